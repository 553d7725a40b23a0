"""
Octets of every kind at the live listeners and from the carrier's side: answers as the RFC asks, no
traceback, nothing that stays, and a call afterwards as if nothing had been.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.task import deferLater
from twisted.logger import LogLevel

from skypetrunk.net import backoff
from skypetrunk.net.signalling import StreamSignalling
from skypetrunk.wire.message import Response
from tests.net.hostile import Datagrams, Stream, mutated
from tests.service.scene import ACCOUNT, BUSY, Scene, SceneCase
from tests.wire.test_torture import ENTRIES, octets

SEED = 4475

FRAMED = [name for name, entry in ENTRIES.items() if "on_stream" not in entry and entry["verdict"] != "none"]

SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.9\r\ns=-\r\nc=IN IP4 127.0.0.9\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
)


def request(method: str, number: str = BUSY, call: str = "call", extra: str = "", body: str = "") -> bytes:
    """A request of a PBX; C{extra} are whole header lines."""
    return (
        f"{method} sip:{number}@127.0.0.1 SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 127.0.0.1:5099;rport;branch=z9hG4bK{call}{method}\r\n"
        "Max-Forwards: 70\r\n"
        f"From: <sip:1001@127.0.0.1>;tag=mine\r\n"
        f"To: <sip:{number}@127.0.0.1>\r\n"
        f"Call-ID: {call}\r\n"
        f"CSeq: 1 {method}\r\n"
        "Contact: <sip:1001@127.0.0.1:5099>\r\n"
        f"{extra}"
        + ("Content-Type: application/sdp\r\n" if body else "")
        + f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def allowed(entry: dict[str, Any]) -> set[int]:
    """The final answers that RFC 4475 allows for one message; empty where it wants silence."""
    if entry["verdict"] == "discard" or entry["fields"].get("kind") == "response":
        return set()
    statuses = set(entry.get("reject_status", ()))
    if entry["verdict"] != "reject":
        taken = {"OPTIONS": {200}, "INVITE": {404, 481}, "MESSAGE": {405}, "REGISTER": {405}}
        # The number of an INVITE is looked at before what else is wrong with it.
        further = {404} if entry["fields"]["method"] == "INVITE" else set()
        statuses |= set(entry.get("ua_status_if_parsed") or taken[entry["fields"]["method"]]) | further
    return statuses


class HostileCase(SceneCase):
    """What all of these have in common."""

    async def fine(self, scene: Scene) -> None:
        """Nothing was left, nothing was said that should wake somebody up, and a call works."""
        await scene.idle()
        await scene.until(lambda: scene.status["transactions"] == 0, "no transaction is left")
        self.assertEqual(self.logged(LogLevel.error), [])
        await scene.registered()
        near, far = await scene.callOut()
        await scene.hearing(near, far)
        near.hangUp()
        await scene.over(near, far)

    async def datagrams(self, scene: Scene) -> Datagrams:
        """A UDP socket of a PBX."""
        protocol = Datagrams()
        port = self.reactor.listenUDP(0, protocol, interface="127.0.0.1", maxPacketSize=65536)
        self.addCleanup(port.stopListening)
        assert protocol.transport is not None
        protocol.transport.connect(scene.proxy.host, scene.proxy.port)
        return protocol

    async def stream(self, scene: Scene) -> Stream:
        """A TCP connection of a PBX."""
        endpoint = TCP4ClientEndpoint(self.reactor, scene.proxy.host, scene.proxy.port)
        stream: Stream = await connectProtocol(endpoint, Stream())
        self.addCleanup(self.hungUp, stream)
        return stream

    async def hungUp(self, stream: Stream) -> None:
        """Wait for the end of a connection."""
        transport: Any = stream.transport
        transport.abortConnection()
        while not stream.closed:
            await deferLater(self.reactor, 0.01)

    def answers(self, scene: Scene, since: int) -> list[int]:
        """
        The final statuses that the trunk sent, to whatever address the Via asked for; none of an answer
        that was there before and was sent again.
        """
        sent = [
            (number, message)
            for number, (was, message, _) in enumerate(scene.seen)
            if was and isinstance(message, Response) and message.status >= 200
        ]
        old = {message.encode() for number, message in sent if number < since}
        new = {message.encode(): message.status for number, message in sent if number >= since}
        return [status for octets, status in new.items() if octets not in old]

    def judged(self, name: str, found: Sequence[int]) -> None:
        """One torture message had the answer it should."""
        wanted = allowed(ENTRIES[name])
        if wanted:
            self.assertEqual(len(found), 1, (name, found))
            self.assertIn(found[0], wanted, name)
        else:
            self.assertEqual(found, [], name)


class TortureTests(HostileCase):
    """RFC 4475, each message by itself."""

    async def test_datagrams(self) -> None:
        """From the PBX over UDP."""
        scene = await self.begin()
        peer = await self.datagrams(scene)
        branches: set[bytes] = set()
        for name, entry in ENTRIES.items():
            if entry["verdict"] == "none":
                continue
            branch = re.findall(rb"branch=([^;,\s]+)", octets(name))[:1]
            if branches.intersection(branch):
                # The second of one branch would be taken for a retransmission: the first is forgotten.
                await scene.idle()
                scene.trunk.pbxes["office"].transactions.stop()
            branches.update(branch)
            before = len(scene.seen)
            peer.say(octets(name))
            if allowed(entry):
                await scene.until(lambda since=before: self.answers(scene, since), name)  # type: ignore[misc]
            else:
                await deferLater(self.reactor, 0.03)
            self.judged(name, self.answers(scene, before))
        self.assertGreater(scene.status["pbxes"]["office"]["malformed"], 15)
        await self.fine(scene)

    async def test_streams(self) -> None:
        """From the PBX over TCP, all that can be framed over one connection, which survives."""
        scene = await self.begin()
        peer = await self.stream(scene)
        for name in FRAMED:
            before = len(scene.seen)
            peer.say(octets(name))
            if allowed(ENTRIES[name]):
                await scene.until(lambda since=before: self.answers(scene, since), name)  # type: ignore[misc]
            else:
                await deferLater(self.reactor, 0.03)
            self.judged(name, self.answers(scene, before))
        peer.say(request("OPTIONS"))
        await scene.until(lambda: peer.heard.endswith(b"\r\n\r\n") and b"SIP/2.0 200" in peer.heard, "alive")
        self.assertFalse(peer.closed)
        await self.fine(scene)

    async def test_unframed(self) -> None:
        """What breaks the framing is answered where it can be, and ends only its own connection."""
        scene = await self.begin()
        for name, status in (
            ("ncl", 400),
            ("mcl01", 400),
            ("inv2543", 400),
            ("clerr", None),
            ("baddn", None),
        ):
            peer = await self.stream(scene)
            peer.say(octets(name))
            if status is None:
                # More is waited for, and the connection may go at any time.
                await deferLater(self.reactor, 0.05)
                self.assertEqual((peer.heard, peer.closed), (b"", False), name)
            else:
                await scene.until(lambda each=peer: each.closed, f"{name} ends it")  # type: ignore[misc]
                self.assertEqual(peer.statuses(), [status], name)
        await self.fine(scene)

    async def test_carrier(self) -> None:
        """From the carrier, all that can be framed, over the registered connection, which survives."""
        scene = await self.begin()
        connection = self.connection(scene)
        for name in FRAMED:
            connection.write(octets(name))
            await deferLater(self.reactor, 0.01)
        before = len(scene.seen)
        connection.write(request("OPTIONS", ACCOUNT).replace(b"/UDP", b"/TLS"))
        await scene.until(lambda: 200 in self.answers(scene, before), "alive")
        self.assertEqual(len(scene.requests("REGISTER")), 2)
        await self.fine(scene)

    def connection(self, scene: Scene) -> Any:
        """The transport of the carrier's end of the flow."""
        [binding] = scene.lab.carrier.registrar.bindings()
        assert isinstance(binding.channel, StreamSignalling)
        return binding.channel.transport


class SizeTests(HostileCase):
    """Too much, too little, and never the end."""

    async def test_giants(self) -> None:
        """The largest datagram, and streams whose line, headers or body never end."""
        scene = await self.begin()
        peer = await self.datagrams(scene)
        start = request("OPTIONS").split(b"\r\n\r\n")[0]
        room = 65507 - len(start) - 8
        peer.say(start + b"\r\nX: " + b"x" * (room - 5) + b"\r\n\r\n")
        peer.say(start + b"\r\n" + b"X:y\r\n" * (room // 5) + b"\r\n")
        peer.say(b"x" * 65507)
        peer.say(b"\r\n" * 30000)
        for beginning, more in (
            (b"", b"x" * 1000),
            (b"\x00", b"\x00" * 1000),
            (start + b"\r\nX: ", b"x" * 1000),
            (start + b"\r\n", b"X:y\r\n" * 200),
            (start + b"\r\nX: y\r\n", b" \tz\r\n" * 200),
            (start.replace(b"Content-Length: 0", b"Content-Length: 99999999") + b"\r\n\r\n", b"x" * 1000),
            (start.replace(b"Content-Length: 0", b"Content-Length: " + b"9" * 400) + b"\r\n\r\n", b""),
        ):
            stream = await self.stream(scene)
            stream.say(beginning)
            for _ in range(1000):
                if stream.closed:
                    break
                stream.say(more)
                await deferLater(self.reactor, 0)
            await scene.until(lambda each=stream: each.closed, f"closed: {beginning[-30:]!r}")  # type: ignore[misc]
        await self.fine(scene)
        self.assertLess(len(self.logged(LogLevel.info)), 60)

    async def test_truncated(self) -> None:
        """An INVITE cut anywhere: as a datagram, and as the last word of a connection."""
        scene = await self.begin()
        peer = await self.datagrams(scene)
        for size in range(0, len(request("INVITE", body=SDP)), 9):
            whole = request("INVITE", call=f"cut{size}", body=SDP)
            peer.say(whole[:size])
            stream = await self.stream(scene)
            stream.say(whole[:size])
            transport: Any = stream.transport
            transport.loseConnection()
        await self.fine(scene)

    async def test_keepAlives(self) -> None:
        """Line ends are no message, and are answered on a stream (RFC 5626 section 4.4.1)."""
        scene = await self.begin()
        stream = await self.stream(scene)
        stream.say(b"\r\n\r\n" * 100)
        await scene.until(lambda: stream.heard == b"\r\n" * 100, "pongs")
        self.assertEqual(scene.status["pbxes"]["office"]["malformed"], 0)
        await self.fine(scene)


class MutationTests(HostileCase):
    """Messages with something wrong, the same at each run."""

    def messages(self) -> list[bytes]:
        """What the mutations begin with."""
        whole = [octets(name) for name in ENTRIES]
        whole += [request(method) for method in ("OPTIONS", "BYE", "CANCEL", "ACK", "REGISTER", "PRACK")]
        whole += [request("INVITE", body=SDP), request("INVITE")] * 8
        return whole

    async def test_PBX(self) -> None:
        """From the PBX, over UDP and TCP."""
        random, scene = Random(SEED), await self.begin()
        peer, whole = await self.datagrams(scene), self.messages()
        stream = await self.stream(scene)
        for number in range(1500):
            octets = mutated(random.choice(whole).replace(b"Call-ID: call", b"Call-ID: %d" % number), random)
            peer.say(octets[:65507])
            if stream.closed or number % 10 == 0:
                stream = await self.stream(scene)
            stream.say(octets)
            if number % 20 == 0:
                await deferLater(self.reactor, 0.01)
        self.assertGreater(scene.status["pbxes"]["office"]["malformed"], 300)
        await self.fine(scene)

    async def test_carrier(self) -> None:
        """From the carrier: its own messages, and others between them."""
        self.patch(backoff, "FIRST_RETRY", 0.04)
        self.patch(backoff, "LAST_RETRY", 0.04)
        random, scene = Random(SEED), await self.begin()
        whole = self.messages()
        for number in range(40):
            await scene.until(lambda: scene.lab.carrier.registrar.bindings(), "registered again")
            [binding, *_] = scene.lab.carrier.registrar.bindings()
            assert isinstance(binding.channel, StreamSignalling)
            transport: Any = binding.channel.transport
            for _ in range(10):
                transport.write(mutated(random.choice(whole), random))
            call = scene.phone.dial(BUSY, scene.proxy)
            if number % 4 == 0:
                # Whatever was half a message swallows what follows: the carrier begins anew.
                await deferLater(self.reactor, 0.02)
                scene.dropFlow()
            await deferLater(self.reactor, 0.02)
            call.hangUp()
        scene.dropFlow()
        await scene.until(lambda: scene.phone.agent.calls == (), "every call has an end")
        await self.fine(scene)

    async def test_answers(self) -> None:
        """The carrier's answers to calls arrive with something wrong."""
        self.patch(backoff, "FIRST_RETRY", 0.04)
        self.patch(backoff, "LAST_RETRY", 0.04)
        random, scene = Random(SEED), await self.begin()
        for _ in range(40):
            await scene.until(lambda: scene.lab.carrier.registrar.bindings(), "registered again")
            [binding, *_] = scene.lab.carrier.registrar.bindings()
            assert isinstance(binding.channel, StreamSignalling)
            transport: Any = binding.channel.transport
            honest = transport.write
            transport.write = lambda data, write=honest: write(mutated(data, random))
            call = scene.phone.dial(BUSY, scene.proxy)
            await deferLater(self.reactor, 0.03)
            transport.write = honest
            call.hangUp()
            if random.random() < 0.5:
                scene.dropFlow()
        self.assertGreater(len([line for line in self.logged() if "malformed" in line]), 20)
        scene.dropFlow()
        await scene.until(lambda: scene.phone.agent.calls == (), "every call has an end")
        await self.fine(scene)
