"""Keys end: ours are renewed in time, and who overruns its own is asked for another one, and heard on."""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.key_lifetime import HEARING_SECONDS, LOOK_SECONDS, KeyWatch
from skypetrunk.core.keys import KeyUses
from skypetrunk.interfaces import ANY_PATH, DirectionStatistics, KeyPair, LegStatistics, MediaPath
from skypetrunk.wire.message import Request
from skypetrunk.wire.sdes import MasterKey, parseCrypto
from skypetrunk.wire.sdp import parseSDP
from tests.core.callnet import KEY, OTHER_KEY, PCMA, SAVP, CallNet, RecordingMediaLeg, sdp

CARRIER = "203.0.113.9"
SUITE, OTHER = "AES_CM_128_HMAC_SHA1_80", MasterKey(bytes(range(16)), bytes(14))
LIMITED = SAVP.replace(KEY, KEY + "|2^16")


class CountingLeg(RecordingMediaLeg):
    """A media leg that says what it has counted."""

    heard = DirectionStatistics()
    said = DirectionStatistics()

    def statistics(self) -> LegStatistics:
        """As told."""
        return replace(super().statistics(), received=self.heard, sent=self.said)


def packets(number: int, rtcp: int = 0) -> DirectionStatistics:
    """SRTP, all authentic, and SRTCP."""
    return DirectionStatistics(packets=number, authenticated=number, rtcpPackets=rtcp)


class UsesTests(SynchronousTestCase):
    """Since when a key is in use."""

    def test_first(self) -> None:
        """Before the first key nothing was counted; RTP in clear before a key was."""
        media = CountingLeg("a", True, 20000)
        pairs = [KeyPair(SUITE, MasterKey(bytes([n]) * 16, bytes(14)), OTHER, 2**20) for n in (1, 2)]
        uses = KeyUses()
        uses.settled(pairs[0], media)
        assert uses.ours is not None and uses.theirs is not None
        self.assertEqual((uses.ours.packets, uses.theirs.packets, uses.theirs.lifetime), (0, 0, 2**20))
        media.heard, media.said = packets(7, 3), packets(5)
        uses.settled(pairs[1], media)
        assert uses.ours is not None and uses.theirs is not None
        self.assertEqual((uses.ours.packets, uses.theirs.packets), (5, 0))
        for begun in (uses, KeyUses()):
            begun.forget()
            begun.settled(pairs[0], media)
            assert begun.ours is not None and begun.theirs is not None
            self.assertEqual((begun.ours.packets, begun.theirs.packets, begun.theirs.rtcpPackets), (5, 7, 3))


class LifetimeTests(SynchronousTestCase):
    """A call of the PBX; what the media legs count is told by the test."""

    def setUp(self) -> None:
        """No call yet."""
        self.net = CallNet()
        self.clock: Clock = self.net.clock
        self.legs: list[CountingLeg] = []

        def allocate(name: str, secure: bool, path: MediaPath = ANY_PATH) -> CountingLeg:
            self.legs.append(CountingLeg(name, secure, 20000 + 2 * len(self.legs)))
            return self.legs[-1]

        self.net.plane.allocate = allocate  # type: ignore[method-assign]

    def call(self, answer: str = LIMITED) -> None:
        """Answered by the carrier."""
        self.near, self.far = self.net.outboundCall(answer=sdp(answer, CARRIER))
        self.net.carrier.got()
        self.key = self.keyOf(self.far)

    def keyOf(self, request: Request) -> MasterKey:
        """The first of our description in C{request}."""
        return parseCrypto(parseSDP(request.body).media[0].crypto[0]).keys[0].master

    def looks(self, heard: DirectionStatistics | None = None, said: DirectionStatistics | None = None) -> str:
        """The media leg of the carrier's side has counted this, and is looked at; the warnings of that."""
        leg = self.legs[1]
        leg.heard, leg.said = heard or leg.heard, said or leg.said
        with capturedLogs() as events:
            self.clock.advance(LOOK_SECONDS)
        warnings = [formatEvent(each) for each in events if each["log_level"] is LogLevel.warn]
        return "\n".join(warnings)

    def renewed(self, answer: str | None, version: int = 2) -> Request:
        """The carrier is offered a new key, and answers; C{None}: 488."""
        again = self.net.carrier.request("INVITE")
        self.assertNotEqual(self.keyOf(again), self.key)
        if answer is None:
            self.net.carrier.answers(again, 488)
        else:
            self.net.carrier.answers(again, 200, sdp(answer, CARRIER, version))
        self.assertEqual(self.net.carrier.got()[-1:], ["ACK"])
        return again

    def quiet(self) -> None:
        """Nobody is told anything."""
        self.assertEqual((self.looks(), self.net.carrier.got()), ("", []))

    def test_overrun(self) -> None:
        """Up to its lifetime a key is nobody's business; with more there is one warning, and one offer."""
        self.call()
        self.assertEqual(self.looks(packets(2**16)), "")
        self.quiet()
        warning = self.looks(packets(2**16 + 1))
        self.assertIn("carrier has sent 65537 packets with a key that it said is good for 65536", warning)
        again = self.renewed(LIMITED.replace(KEY, OTHER_KEY))
        leg = self.legs[1]
        self.assertIn(("local", "AES_CM_128_HMAC_SHA1_80", self.keyOf(again)), leg.events)
        self.assertEqual(len([each for each in leg.events if each[0] == "remote key"]), 2)
        self.quiet()
        # The new key begins at none.
        self.assertEqual(self.looks(packets(2 * 2**16 + 1)), "")
        self.assertIn("65537 packets", self.looks(packets(2 * 2**16 + 2)))

    def test_kept(self) -> None:
        """A carrier that keeps its key, or refuses, is not asked again; the call stays."""
        for answer in (LIMITED, None):
            self.setUp()
            self.call()
            self.assertIn("good for 65536", self.looks(packets(2**17)))
            self.renewed(answer)
            for more in range(3, 20):
                self.assertEqual(self.looks(packets(more * 2**16)), "")
            self.assertEqual(self.net.carrier.got(), [])
            self.assertEqual(self.net.manager.callCount(), 1)

    def test_reports(self) -> None:
        """SRTCP packets count by themselves (RFC 3711 section 9.2)."""
        self.call()
        self.assertEqual(self.looks(packets(2**16, 2**16)), "")
        self.assertIn("65537 packets", self.looks(packets(1, 2**16 + 1)))

    def test_unlimited(self) -> None:
        """A carrier that names no lifetime is never asked."""
        self.call(SAVP)
        self.assertEqual(self.looks(packets(2**40)), "")
        self.quiet()

    def test_forged(self) -> None:
        """Only what was authentic counts."""
        self.call()
        self.assertEqual(self.looks(DirectionStatistics(packets=2**17, authenticated=5)), "")
        self.quiet()

    def test_ours(self) -> None:
        """Ours is renewed at 15 of 16 parts; where the carrier refuses that, it is asked again."""
        manager = self.net.manager
        manager._keys = KeyWatch(self.clock, lambda: manager._bridges, 1600)
        self.call(SAVP)
        self.looks(said=packets(1499))
        self.quiet()
        self.looks(said=packets(1500))
        self.renewed(None)
        self.looks()
        self.key = self.keyOf(self.renewed(SAVP))
        self.quiet()
        self.looks(said=packets(2999))
        self.quiet()
        self.looks(said=packets(3000))
        self.renewed(SAVP, 3)

    def test_repeated(self) -> None:
        """A re-INVITE that repeats the carrier's key does not begin its count again; another key does."""
        for key, warned in ((KEY, True), (OTHER_KEY, False)):
            self.setUp()
            self.call()
            self.assertEqual(self.looks(packets(2**16)), "")
            offer = sdp(LIMITED.replace(KEY, key) + "a=sendonly\r\n", CARRIER, 2)
            hold = self.net.carrier.back(self.far, "INVITE", 1, body=offer)
            self.net.pbx.answers(
                self.net.pbx.request("INVITE"), 200, sdp(PCMA + "a=recvonly\r\n", version=2)
            )
            self.net.carrier.ack(hold, self.net.carrier.response(200))
            self.assertEqual(bool(self.looks(packets(2**16 + 1))), warned)

    def test_busy(self) -> None:
        """While a change of the PBX is on its way nothing is asked; it is at the next look."""
        self.call()
        accepted = self.net.pbx.response(200)
        self.net.pbx.within(self.near, accepted, "INVITE", 2, sdp(version=2))
        change = self.net.carrier.request("INVITE")
        self.net.carrier.answers(change, 180)
        self.assertEqual(self.net.carrier.got(), ["INVITE"])
        self.assertEqual(self.looks(packets(2**17)), "")
        self.assertEqual(self.net.carrier.got(), [])
        self.net.carrier.answers(change, 200, sdp(LIMITED, CARRIER, 2))
        self.net.pbx.ack(self.near.withHeader("CSeq", "2 INVITE"), self.net.pbx.response(200))
        self.assertIn("ACK", self.net.carrier.got())
        self.assertIn("good for", self.looks())
        self.renewed(LIMITED.replace(KEY, OTHER_KEY), 3)

    def listens(self, unheard: bool) -> bool:
        """The carrier hears us or not, and that is looked at: is it offered a new key?"""
        before, self.legs[1].unheard = self.far, unheard
        self.clock.advance(HEARING_SECONDS)
        if "INVITE" not in self.net.carrier.channel.summary():
            return False
        self.far = self.net.carrier.request("INVITE")
        self.net.carrier.got()
        self.assertNotEqual(self.keyOf(self.far), self.keyOf(before))
        return True

    def test_unheard(self) -> None:
        """A carrier that no longer hears us is offered one new key, and another when that happens again."""
        self.call(SAVP)
        self.assertFalse(self.listens(False))
        for version in (2, 3):
            self.assertTrue(self.listens(True))
            self.net.carrier.answers(self.far, 200, sdp(SAVP, CARRIER, version))
            self.assertIn(("local", "AES_CM_128_HMAC_SHA1_80", self.keyOf(self.far)), self.legs[1].events)
            # What a worker has told may be old.
            self.assertFalse(self.listens(True))
            self.assertFalse(self.listens(False))

    def test_unheardOn(self) -> None:
        """One that refuses it, or hears nothing all the same, is left alone."""
        for answer in (488, 200):
            self.setUp()
            self.call(SAVP)
            self.assertTrue(self.listens(True))
            self.net.carrier.answers(self.far, answer, sdp(SAVP, CARRIER, 2) if answer == 200 else b"")
            for _ in range(30):
                self.assertFalse(self.listens(True))
            self.assertEqual(self.net.manager.callCount(), 1)

    def test_unheardPBX(self) -> None:
        """A leg in clear has no key; and a refresh or hold of a carrier that hears us brings none."""
        self.call(SAVP)
        self.legs[0].unheard = True
        self.net.pbx.got()
        self.assertFalse(self.listens(False))
        self.assertEqual(self.net.pbx.got(), [])
        for version, direction in ((2, "sendonly"), (3, "sendrecv")):
            offer = sdp(SAVP + f"a={direction}\r\n", CARRIER, version)
            change = self.net.carrier.back(self.far, "INVITE", version, body=offer)
            agreed = "recvonly" if direction == "sendonly" else direction
            body = sdp(PCMA + f"a={agreed}\r\n", version=version)
            self.net.pbx.answers(self.net.pbx.request("INVITE"), 200, body)
            accepted = self.net.carrier.response(200)
            self.net.carrier.ack(change, accepted)
            self.assertEqual(parseCrypto(parseSDP(accepted.body).media[0].crypto[0]).keys[0].master, self.key)
            self.assertFalse(self.listens(False))

    def test_nothingLeft(self) -> None:
        """The last call takes the timer with it."""
        self.call()
        self.net.pbx.within(self.near, self.net.pbx.response(200), "BYE", 2)
        self.net.carrier.answers(self.net.carrier.request("BYE"), 200)
        self.net.settle()
        self.assertEqual(self.clock.getDelayedCalls(), [])
