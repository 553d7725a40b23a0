"""Connections that are cut, and what is left of calls and registrations."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime

from OpenSSL import SSL
from twisted.internet.error import ConnectionDone, ConnectionLost

from skypetrunk.lab.calls import Phase
from skypetrunk.lab.cuts import CUTS, MOMENTS
from skypetrunk.wire.message import Request
from tests.lab.peer import offer
from tests.lab.raw import ACCOUNT, DOMAIN, LabCase, RawClient

PING = b"\r\n\r\n"


class CutTests(LabCase):
    """C{cut}, C{cut-on} and C{cut-how}."""

    async def ended(self, client: RawClient, how: str) -> None:
        """The client sees the end that C{how} is."""
        if how == "swallow":
            await self.pause(0.05)
            client.transport.write(PING)
            await self.pause(0.1)
            self.assertEqual((client.lost, client.data), (None, b""))
            return
        await self.until(lambda: client.lost)
        closed = bool(client.handle.get_shutdown() & SSL.RECEIVED_SHUTDOWN)
        # close_notify alone is a polite end
        self.assertEqual(closed, how == "close", how)
        self.assertIsInstance(client.lost, ConnectionDone if how == "close" else ConnectionLost, how)

    async def test_now(self) -> None:
        """All connections, once; the next one is as good as ever, and the switch is off."""
        self.start()
        for how in CUTS:
            client = await self.connect()
            await self.lab.switch({"cut": how})
            await self.ended(client, how)
            other = await self.connect()
            other.transport.write(PING)
            await self.until(lambda other=other: other.data == b"\r\n")  # type: ignore[misc]
        self.assertIn("none", [each["value"] for each in self.lab.switches() if each["name"] == "cut"])

    async def test_handshake(self) -> None:
        """After step 15, each in its way, in both versions of TLS."""
        self.start(cut_on="handshake")
        for version in ("1.2", "1.3"):
            for how in CUTS:
                await self.lab.switch({"cut-how": how, "tls": version})
                client = await self.connect()
                self.assertTrue(client.shaken, (version, how))
                await self.ended(client, how)

    async def test_registration(self) -> None:
        """Half a second after REGISTER was answered; the binding goes with the connection."""
        self.start(cut_on="registration", cut_how="reset")
        client = await self.connect()
        self.assertEqual((await self.register(client)).status, 200)
        self.assertEqual((client.lost, len(self.lab.carrier.registrar.bindings())), (None, 1))
        await self.ended(client, "reset")
        await self.until(lambda: not self.lab.carrier.registrar.bindings())

    def test_all(self) -> None:
        """No way and no moment is left out here and below."""
        self.assertEqual(set(MOMENTS), {"never", "handshake", "registration", "call"})
        self.assertEqual(set(CUTS), {"close", "half-close", "reset", "swallow"})


class CallTests(LabCase):
    """A connection ends with a call up, by either side."""

    async def call(self, client: RawClient) -> Request:
        """A call to the tone number that is up; its INVITE."""
        description = offer()
        invite = self.request("INVITE", 1, (("Contact", f"<sip:{ACCOUNT}@127.0.0.1:9>"),))
        invite = Request(invite.method, f"sip:+442079460002@{DOMAIN}", invite.headers)
        invite = invite.withBody(description, "application/sdp")
        client.transport.write(invite.encode())
        await self.until(lambda: b"SIP/2.0 200" in client.data)
        [call] = self.lab.carrier.agent.calls
        await self.until(lambda: call.phase is Phase.ANSWERED)
        return invite

    async def test_carrierCloses(self) -> None:
        """Half a second after the answer, with the call up; the call goes on for the time of C{grace}."""
        self.start(authentication="ip", cut_on="call", cut_how="close", grace="0.4")
        client = await self.connect()
        await self.call(client)
        await self.until(lambda: client.lost)
        self.assertIsInstance(client.lost, ConnectionDone)
        [call] = self.lab.carrier.agent.calls
        await self.until(lambda: call.phase is Phase.ENDED)
        self.assertEqual(call.cause, "the connection was lost")

    async def test_pbxCloses(self) -> None:
        """The call outlives the connection, and a BYE by the next one finds it."""
        self.start(authentication="ip")
        client = await self.connect()
        await self.call(client)
        [call] = self.lab.carrier.agent.calls
        client.transport.loseConnection()
        await self.until(lambda: client.lost)
        self.assertIs(call.phase, Phase.ANSWERED)
        callID, tag = call.key
        bye = self.request("BYE", 2).withHeader("To", f"<sip:+442079460002@{DOMAIN}>;tag={tag}")
        answer = await self.answer(await self.connect(), bye)
        self.assertEqual((answer.status, call.cause, callID), (200, "the other end hung up", "one"))


class WayTests(LabCase):
    """C{seen-at}, C{alg} and C{clock}: what happens to answers on the way."""

    async def test_answers(self) -> None:
        """NAT and ALG show in Via, and the carrier's clock in Date."""
        self.start(authentication="ip")
        client = await self.connect()
        plain = await self.answer(client, self.request("OPTIONS", 1))
        self.assertEqual((plain.header("Date"), plain.topVia.host), (None, "127.0.0.1"))
        self.assertIsNone(plain.topVia.received)
        await self.lab.switch({"seen-at": "198.51.100.7:4711", "alg": "on", "clock": "-7200"})
        request = self.request("OPTIONS", 2)
        answer = await self.answer(client, request.withHeader("Via", f"{request.header('Via')};rport"))
        via = answer.topVia
        self.assertEqual((via.host, via.received, via.rport), ("192.0.2.66", "198.51.100.7", 4711))
        self.assertEqual(via.branch, request.topVia.branch)
        told = parsedate_to_datetime(answer.header("Date") or "")
        self.assertLess(abs(time.time() - told.timestamp() - 7200), 5)


class QuietTests(LabCase):
    """C{idle} and C{pongs}."""

    async def test_idle(self) -> None:
        """Closed when nothing goes over it; what goes over it keeps it."""
        self.start(idle="0.3")
        client = await self.connect()
        before = self.reactor.seconds()
        for _ in range(3):
            await self.pause(0.15)
            client.transport.write(PING)
        await self.until(lambda: client.lost)
        self.assertGreater(self.reactor.seconds() - before, 0.7)
        self.assertIsInstance(client.lost, ConnectionDone)

    async def test_pongs(self) -> None:
        """No pong, and messages are answered all the same."""
        self.start(pongs="off", authentication="ip")
        client = await self.connect()
        client.transport.write(PING)
        await self.pause(0.1)
        self.assertEqual(client.data, b"")
        self.assertEqual((await self.answer(client, self.request("OPTIONS", 1))).status, 200)
        await self.lab.switch({"pongs": "on"})
        client.transport.write(PING)
        await self.until(lambda: client.data == b"\r\n")
