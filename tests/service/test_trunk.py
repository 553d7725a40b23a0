"""The whole trunk between a phone and the practice carrier: calls, their ends, and its own."""

from __future__ import annotations

from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.logger import LogLevel

from skypetrunk.lab.audio import examine
from skypetrunk.lab.calls import Call, Phase
from skypetrunk.service.control import ControlRefused, HangUp, PlaceCall, ask, askStatus
from skypetrunk.tools.status import summary
from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.message import Response
from tests.net.hostile import Datagrams, Stream
from tests.service.scene import ACCOUNT, BUSY, CLEAR, HANGS_UP, NO_ANSWER, TONE, UNUSED, Scene, SceneCase


class CallTests(SceneCase):
    """Calls that are answered."""

    async def test_out(self) -> None:
        """A call out, ended by the phone: each side hears the other's tone, and nothing is left of it."""
        scene = await self.begin()
        near, far = await scene.callOut()
        await scene.hearing(near, far, more=50)
        near.hangUp()
        await scene.over(near, far)
        assert near.session is not None and far.session is not None
        for session, own in ((near.session, 650), (far.session, 400)):
            heard = examine(session.recording(), own, [each for each in (400, 650) if each != own])
            self.assertGreaterEqual(heard.right, 45)
            self.assertEqual(heard.foreign, 0)
        record = scene.status["ended"][-1]
        self.assertEqual((record["by"], record["called"], record["from"]), ("caller", TONE, "office"))
        secure = next(leg for leg in record["media"] if leg["secure"])
        self.assertEqual(secure["received"]["authenticated"], secure["received"]["packets"])
        self.assertEqual(secure["received"]["refused"], {})
        # One BYE to the carrier, none back to who said it first.
        self.assertEqual(len({each.callID for each in scene.requests("BYE", transport="TLS")}), 1)
        self.assertEqual(scene.requests("BYE", transport="UDP"), [])
        await scene.until(lambda: scene.status["transactions"] == 0, "no transaction is left")

    async def test_outEndedByCarrier(self) -> None:
        """A call out, ended by the carrier."""
        scene = await self.begin()
        near, far = await scene.callOut()
        await scene.hearing(near, far)
        far.hangUp()
        await scene.over(near, far)
        self.assertEqual(scene.status["ended"][-1]["by"], "callee")
        self.assertEqual(scene.requests("BYE", transport="TLS"), [])

    async def test_hangsUp(self) -> None:
        """The carrier's number that hangs up by itself."""
        scene = await self.begin()
        near, far = await scene.callOut(HANGS_UP)
        await scene.over(near, far)
        self.assertGreater(near.duration, 2.5)

    async def test_in(self) -> None:
        """A call in, ended by the carrier: the phone is called under the number, by the caller."""
        scene = await self.begin()
        near, far = await scene.callIn()
        self.assertEqual((near.number, near.caller), ("+442079460100", "+493012345678"))
        await scene.hearing(near, far, more=50)
        far.hangUp()
        await scene.over(near, far)
        assert near.session is not None
        self.assertGreaterEqual(examine(near.session.recording(), 950, [1400]).right, 45)
        self.assertEqual(scene.status["ended"][-1]["by"], "caller")

    async def test_inEndedByPhone(self) -> None:
        """A call in, ended by the phone."""
        scene = await self.begin()
        near, far = await scene.callIn()
        await scene.hearing(near, far)
        near.hangUp()
        await scene.over(near, far)
        self.assertEqual(scene.status["ended"][-1]["by"], "callee")

    async def test_contactElsewhere(self) -> None:
        """A carrier whose Contact leads nowhere: what follows takes the connection that it came by."""
        scene = await self.begin(maddr=False)
        node = scene.lab.carrier.node
        scene.lab.carrier.node = TransportAddress("TLS", "127.0.0.9", 9)
        for call in (scene.callOut, scene.callIn):
            near, far = await call()
            near.hangUp()
            await scene.over(near, far)
        self.assertEqual(len(scene.requests("REGISTER")), 2)
        self.assertTrue(any("127.0.0.9 cannot be reached" in line for line in self.logged(LogLevel.warn)))
        scene.lab.carrier.node = node

    async def test_both(self) -> None:
        """Two calls at once, one each way; the status shows both, and the operator ends one of them."""
        scene = await self.begin()
        out = await scene.callOut()
        near, far = await scene.callIn()
        await scene.hearing(*out, near, far)
        path = scene.directory / "control"
        state = await askStatus(self.reactor, path)
        self.assertEqual([call["from"] for call in state["up"]], ["office", "carrier"])
        self.assertEqual((state["calls"], state["mediaPorts"]), (2, 8))
        for call in state["up"]:
            names = [leg["name"].partition("/")[2] for leg in call["media"]]
            self.assertEqual(sorted(names), ["carrier", "office"])
            for leg in call["media"]:
                self.assertGreaterEqual(leg["received"]["packets"], 10)
                self.assertGreaterEqual(leg["sent"]["packets"], 10)
                self.assertEqual((leg["received"]["codec"], leg["received"]["opinion"]), ("PCMA", 4.41))
        lines = list(summary(state, True))
        self.assertEqual(len([line for line in lines if "/office: plain RTP: " in line]), 2, lines)
        self.assertEqual(len(lines) - len(list(summary(state))), 4)
        await ask(self.reactor, path, HangUp, call=state["up"][0]["call"])
        for call in out:
            await call.when(Phase.ENDED)
        await scene.hearing(near, far)
        self.assertEqual(scene.status["ended"][-1]["cause"], "ended by the operator")
        near.hangUp()
        await scene.over(near, far)
        for command, arguments in (
            (HangUp, {"call": "none"}),
            (PlaceCall, {"number": "1", "caller": "2"}),
        ):
            with self.assertRaises(ControlRefused):
                await ask(self.reactor, path, command, **arguments)


class NoCallTests(SceneCase):
    """Calls that are not answered."""

    async def refused(self, number: str, **options: object) -> Call:
        """A call of the phone that ends without an answer."""
        self.scene = await self.begin(**options)
        call = self.scene.phone.dial(number, self.scene.proxy)
        await call.when(Phase.ENDED)
        await self.scene.idle()
        return call

    async def test_busy(self) -> None:
        """486 crosses."""
        self.assertEqual((await self.refused(BUSY)).status, 486)

    async def test_unused(self) -> None:
        """404 crosses, and everything of the call has an end by itself."""
        self.assertEqual((await self.refused(UNUSED)).status, 404)
        await self.scene.until(lambda: self.scene.status["transactions"] == 0, "no transaction is left")

    async def test_noAnswer(self) -> None:
        """The carrier gives up: 480."""
        self.assertEqual((await self.refused(NO_ANSWER, patience=0.3)).status, 480)

    async def test_givenUp(self) -> None:
        """The phone gives up: CANCEL reaches the carrier, the phone gets 487."""
        scene = await self.begin()
        near = scene.phone.dial(NO_ANSWER, scene.proxy)
        await near.when(Phase.RINGING)
        [far] = scene.lab.carrier.agent.calls
        near.hangUp()
        await scene.over(near, far)
        self.assertEqual(near.status, 487)
        self.assertEqual(len(scene.requests("CANCEL", transport="TLS")), 1)
        self.assertEqual(scene.status["ended"][-1]["cause"], "cancelled")

    async def test_refusesSRTP(self) -> None:
        """A carrier that answers in the clear is refused with a clear reason, and hears no packet."""
        call = await self.refused(CLEAR)
        self.assertEqual(call.status, 488)
        self.assertLogged("the answer of carrier is refused", "RTP/AVP", level=LogLevel.warn)
        self.assertEqual(len(self.scene.requests("BYE", transport="TLS")), 2)  # the second with credentials
        secure = next(leg for leg in self.scene.status["ended"][-1]["media"] if leg["secure"])
        self.assertEqual(secure["sent"]["packets"], 0)

    async def test_emergency(self) -> None:
        """An emergency number goes back to the PBX's own line, and nothing of it to the carrier."""
        call = await self.refused("999")
        self.assertEqual(call.status, 503)
        self.assertEqual(self.scene.status["emergencies"], 1)
        self.assertEqual(self.scene.requests("INVITE"), [])
        self.assertLogged("an emergency call from office", level=LogLevel.warn)

    async def test_phoneRefuses(self) -> None:
        """A call in that the phone does not answer: CANCEL crosses."""
        scene = await self.begin()
        scene.phone.ringing = None
        called = scene.phone.whenCalled()
        far = scene.lab.carrier.dial("+442079460100", "1")
        near = await called
        await far.when(Phase.RINGING)
        far.hangUp()
        await scene.over(near, far)
        self.assertEqual(len(scene.requests("CANCEL", transport="UDP")), 1)


class NeighbourTests(SceneCase):
    """What a PBX sees beside calls."""

    async def options(self, scene: Scene, source: str = "127.0.0.1") -> Datagrams:
        """An OPTIONS from a host."""
        peer = Datagrams()
        port = self.reactor.listenUDP(0, peer, interface=source)
        self.addCleanup(port.stopListening)
        assert peer.transport is not None
        peer.transport.connect(scene.proxy.host, scene.proxy.port)
        peer.say(
            b"OPTIONS sip:trunk@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bK%d\r\n"
            b"From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: %d\r\nCSeq: 1 OPTIONS\r\n"
            b"Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n" % (id(peer), id(peer))
        )
        return peer

    async def test_options(self) -> None:
        """200 only while a call could leave; before and after 503, or what the configuration says."""
        for lines, status in (([], 503), (["options_unusable = 480"], 480)):
            scene = self.build(lines=lines)
            scene.trunk.listen()
            peer = await self.options(scene)
            await scene.until(lambda each=peer: each.heard, "an answer")  # type: ignore[misc]
            self.assertEqual(peer.statuses(), [status])
            scene.start()
            await scene.registered()
            peer = await self.options(scene)
            await scene.until(lambda each=peer: each.heard, "an answer")  # type: ignore[misc]
            self.assertEqual(peer.statuses(), [200])
            scene.dropFlow()
            await scene.until(lambda each=scene: not each.carrier["up"], "down")  # type: ignore[misc]
            peer = await self.options(scene)
            await scene.until(lambda each=peer: each.heard, "an answer")  # type: ignore[misc]
            self.assertEqual(peer.statuses(), [status])

    async def test_strangers(self) -> None:
        """Whoever is not allowed gets no answer, and is counted in the status, which says where that was."""
        scene = await self.begin()
        stranger = await self.options(scene, "127.0.0.2")
        friend = await self.options(scene)
        await scene.until(lambda: friend.heard, "an answer")
        self.assertEqual(stranger.heard, [])
        endpoint = TCP4ClientEndpoint(
            self.reactor, scene.proxy.host, scene.proxy.port, bindAddress=("127.0.0.2", 0)
        )
        stream: Stream = await connectProtocol(endpoint, Stream())
        await scene.until(lambda: stream.closed, "closed")
        status = scene.status["pbxes"]["office"]
        self.assertEqual((stream.heard, status["strangers"]), (b"", 2))
        self.assertEqual(status["strangerHosts"], ["127.0.0.2"])


class RegistrationTests(SceneCase):
    """The trunk and its carrier."""

    async def test_wrongPassword(self) -> None:
        """State, reason, and a log line that says what is wrong; calls go back with a cause."""
        scene = self.build(trunkPassword="another")
        scene.start()
        await scene.until(lambda: scene.carrier["problem"] and "40" in scene.carrier["problem"], "refused")
        self.assertEqual((scene.carrier["state"], scene.carrier["up"]), ("connected", False))
        self.assertIn("password", scene.carrier["problem"])
        self.assertLogged("cannot register", ACCOUNT, "password", level=LogLevel.error)
        call = scene.phone.dial(TONE, scene.proxy)
        await call.when(Phase.ENDED)
        self.assertEqual(call.status, 503)
        answer = scene.phoneSaw[-2][1]
        assert isinstance(answer, Response)
        self.assertIn("cause=34", answer.header("Reason") or "")

    async def test_restart(self) -> None:
        """The carrier's end of the flow goes: the trunk comes back, and a call keeps its media."""
        scene = await self.begin()
        near, far = await scene.callOut()
        scene.dropFlow()
        await scene.until(lambda: scene.carrier["state"] == "down", "down")
        self.assertEqual(scene.carrier["expires"], None)
        self.assertIn("lost", scene.carrier["problem"].lower())
        await scene.hearing(near, far)
        await scene.registered()
        self.assertEqual(scene.carrier["problem"], None)
        await scene.hearing(near, far)
        near.hangUp()
        await scene.over(near, far)
        again = await scene.callIn()
        again[0].hangUp()
        await scene.over(*again)

    async def test_endWhileDown(self) -> None:
        """A call that ends while there is no way to the carrier: its BYE goes over the next connection."""
        scene = await self.begin()
        near, far = await scene.callOut()
        scene.dropFlow()
        await scene.until(lambda: scene.carrier["state"] == "down", "down")
        near.hangUp()
        await scene.over(near, far)
        await scene.until(lambda: scene.status["transactions"] == 0, "no transaction is left")
        await scene.registered()

    async def test_lapse(self) -> None:
        """A registration that runs out without a refresh takes the trunk out of service at that moment."""
        scene = await self.begin(granted=2)
        scene.muteCarrier()
        await scene.until(lambda: not scene.carrier["up"], "out of service", 2.5)
        self.assertEqual((scene.carrier["state"], scene.carrier["expires"]), ("connected", None))
        self.assertIn("ran out", scene.carrier["problem"])
        self.assertLogged("carrier: the registration ran out", level=LogLevel.error)
        call = scene.phone.dial(TONE, scene.proxy)
        await call.when(Phase.ENDED)
        self.assertEqual(call.status, 503)
