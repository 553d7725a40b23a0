"""
Tests of L{skypetrunk.media.roll_over}, C{context} and C{reporters}: peers that lose count, and whoever has
recorded them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from time import process_time
from typing import Any, cast

from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.interfaces import DeclaredKeys, MediaAddress
from skypetrunk.media import srtp
from skypetrunk.media.context import MOST_WOUND
from skypetrunk.media.crossing_values import packed, unpacked
from skypetrunk.media.heard import Heard
from skypetrunk.media.known import MOST_SOURCES
from skypetrunk.media.own_srtp import LAST_INDEX, KeyedMKI, OwnGuard
from skypetrunk.media.roll_over import (
    LATE,
    LEAP,
    MOST_RUNS,
    OLDEST,
    SILENCE,
    TRIES,
    TRIES_PER_SECOND,
    Timeline,
    Tries,
)
from skypetrunk.media.srtp import PublicGuard
from skypetrunk.wire.rtp import parseRTP
from skypetrunk.wire.sdes import InlineKey
from tests.media.doubles import CARRIER, PBX, STRANGER, SUITE, Call, key, rtp

SSRC = 0x11111111
WRAP = 0x10000


class RollOverCase(SynchronousTestCase):
    """A call whose carrier counts for itself, and somebody who records it."""

    suite = SUITE

    def setUp(self) -> None:
        """Make the call."""
        self.call = Call(self.suite)
        self.leg = self.call.secure
        self.events: list[LogEvent] = []
        observer = cast(ILogObserver, self.events.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.recorded: list[bytes] = []
        self.sent = 0
        self.restart()

    def made(self, counter: int = 0) -> OwnGuard:
        """A context of the carrier's key."""
        return OwnGuard(self.suite, key(2), True, rollOver={SSRC: counter})

    def restart(self, counter: int = 0) -> None:
        """The carrier makes a new context of the same key."""
        self.sender = self.made(counter)

    def play(self, sequences: Iterable[int], ssrc: int = SSRC, skew: int = 0, step: int = 1) -> list[int]:
        """
        The carrier sends, 20 ms apart.

        @param skew: of its time stamps, which go on whatever the sequence does.
        @return: which of them the PBX hears.
        """
        heard = []
        for sequence in sequences:
            self.sent += 1
            self.call.clock.advance(0.02 * step)
            timestamp = (int(self.call.clock.seconds() * 8000) + skew) & 0xFFFFFFFF
            plain = rtp(sequence, timestamp=timestamp, ssrc=ssrc, payload=b"%08d" % self.sent)
            packet = self.sender.rtp(plain)
            self.recorded.append(packet)
            self.call.fromCarrier(packet)
            heard += [parseRTP(each.data).sequence for each in self.call.receiveAll() if each.data == plain]
        return heard

    def replay(self) -> None:
        """All that was recorded, from anywhere, again, in both directions and very slowly: none is let in."""
        before = self.leg.statistics().received.packets
        for order in (self.recorded, self.recorded[::-1]):
            for packet in order:
                self.call.clock.advance(0.02)
                self.call.fromCarrier(packet, STRANGER)
        self.assertEqual(self.leg.statistics().received.packets, before)
        self.assertEqual(self.call.receiveAll(), [])

    def wrapped(self, times: int = 1) -> None:
        """So many times over the end of the sequence, with most of it left out."""
        for _ in range(times):
            for first in (1000, 20_000, 40_000, 60_000):
                self.play(range(first, first + 30))
            self.play(range(65_530, 65_536))
        self.play(range(40))
        self.call.clock.advance(400)

    @property
    def resumptions(self) -> int:
        """How often the carrier was followed."""
        return self.leg.statistics().received.resumptions


class ResetTests(RollOverCase):
    """The peer begins again at roll-over counter 0, with the same key."""

    def test_reset(self) -> None:
        """Its numbers go on: no packet is lost, it is told once, and goes on over the end."""
        self.wrapped(2)
        self.assertEqual(self.resumptions, 0)
        self.restart()
        self.assertEqual(self.play(range(40, 300)), list(range(40, 300)))
        self.assertEqual(self.resumptions, 1)
        self.wrapped()
        self.assertEqual(self.resumptions, 1)
        (told,) = [each for each in self.events if "it is followed" in str(each.get("log_format"))]
        said = told["leg"], told["what"], told["counter"], told["expected"]
        self.assertEqual(said, ("carrier", "roll-over counter", 0, 2))

    def test_recorded(self) -> None:
        """Before it, after it, and after a second one: nothing that was heard is heard again."""
        self.wrapped(2)
        self.replay()
        self.restart()
        self.play(range(40, 80))
        self.replay()
        self.assertEqual(self.play(range(80, 120)), list(range(80, 120)))
        self.replay()
        self.wrapped()
        self.restart()
        self.assertEqual(self.play(range(120, 160)), list(range(120, 160)))
        self.replay()
        self.assertEqual(self.play(range(160, 200)), list(range(160, 200)))
        self.assertEqual(self.resumptions, 2)
        # Beyond what the second one had reached, and not what the first one had.
        self.wrapped()
        self.assertEqual(self.play(range(40, 300)), list(range(40, 300)))
        self.replay()
        self.assertEqual(self.play(range(300, 340)), list(range(300, 340)))

    def test_unsteadySince(self) -> None:
        """Followed back, and then its time stamps leapt: what is ahead of it now has been heard before."""
        self.wrapped(2)
        self.restart()
        self.play(range(40, 60))
        self.play(range(60, 80), skew=2**29)
        self.replay()

    def test_beyond(self) -> None:
        """Where the new numbers have come beyond the old ones recordings are refused still."""
        self.wrapped()
        self.restart()
        self.assertEqual(self.play(range(40, 60)), list(range(40, 60)))
        self.wrapped(2)
        self.assertEqual(self.resumptions, 1)
        self.replay()
        self.assertEqual(self.play(range(40, 60)), list(range(40, 60)))

    def test_first(self) -> None:
        """A recording that comes before the first packet of the new context does not keep it out."""
        self.wrapped()
        self.restart()
        for packet in self.recorded:
            self.call.fromCarrier(packet, STRANGER)
        self.assertEqual(self.play(range(40, 60)), list(range(40, 60)))

    def test_lowerSequence(self) -> None:
        """With a lower sequence number, in the first round already, where time stamps go on."""
        self.play(range(30_000, 30_300))
        self.restart()
        self.assertEqual(self.play(range(10_000, 10_300)), list(range(10_000, 10_300)))
        self.replay()
        self.assertEqual(self.resumptions, 1)

    def test_afterHold(self) -> None:
        """It was silent for ten minutes; its time stamps stood still, or went on."""
        for skew in (0, -590 * 8000):
            self.setUp()
            self.wrapped()
            self.call.clock.advance(600)
            self.restart()
            self.assertEqual(self.play(range(40, 60), skew=skew - 400 * 8000), list(range(40, 60)))
            self.replay()

    def test_timestampsBack(self) -> None:
        """Time stamps that were heard before prove nothing: not followed, nor if they have ever gone back."""
        self.wrapped()
        self.restart()
        self.assertEqual(self.play(range(40, 60), skew=-402 * 8000), [])
        self.setUp()
        self.play(range(20))
        self.play(range(20, 40), skew=-2 * LATE)
        self.wrapped()
        self.restart()
        self.assertEqual(self.play(range(40, 60)), [])
        self.assertEqual(self.resumptions, 0)

    def test_leap(self) -> None:
        """
        Its time stamps begin anew as well, ahead or behind, where they never were: it is followed, each time,
        as often as all that were heard can be remembered.
        """
        self.wrapped()
        for number in range(1, MOST_RUNS + 1):
            self.restart()
            first = 100 * number
            skew = number * 2**28 * (-1) ** number
            self.assertEqual(self.play(range(first, first + 20), skew=skew), list(range(first, first + 20)))
            self.assertEqual(self.resumptions, number)
            self.replay()
            self.call.clock.advance(1)
            rest = list(range(first + 20, first + 30))
            self.assertEqual(self.play(rest, skew=skew), rest)
            self.wound(skew)
            self.replay()
        self.restart()
        self.assertEqual(self.play(range(40, 60), skew=7 * 2**27), [])
        self.replay()

    def wound(self, skew: int) -> None:
        """Once more over the end."""
        for first in (20_000, 40_000, 60_000):
            self.play(range(first, first + 5), skew=skew)
        self.play(range(65_530, 65_536), skew=skew)
        self.play(range(20), skew=skew)
        self.call.clock.advance(SILENCE)

    def test_leapWhileHeard(self) -> None:
        """As long as a source is heard nobody else can be it; nor with what it may have sent before that."""
        self.wrapped()
        for earlier in (self.call.clock.seconds() - 1000 + 1, 500):
            self.restart()
            self.assertEqual(self.play(range(40, 60), skew=-int(earlier * 8000)), [])
        self.restart(1)
        self.assertEqual(self.play(range(40, 50)), list(range(40, 50)))
        self.restart()
        self.assertEqual(self.play(range(50, 70), skew=2**30), [])
        self.restart(1)
        self.assertEqual(self.play(range(70, 80)), list(range(70, 80)))
        self.assertEqual(self.resumptions, 0)

    def test_leapAhead(self) -> None:
        """Over the end elsewhere, and with other time stamps; what was heard before stays known."""
        self.wrapped()
        self.restart(3)
        self.assertEqual(self.play(range(40, 60), skew=2**30), list(range(40, 60)))
        self.replay()
        self.call.clock.advance(1)
        self.restart()
        self.assertEqual(self.play(range(100, 120), skew=2**31), list(range(100, 120)))
        self.replay()
        self.assertEqual(self.resumptions, 2)

    def test_oldKey(self) -> None:
        """A key of more than twelve hours: time stamps may have wrapped since."""
        self.wrapped()
        self.call.clock.advance(OLDEST)
        self.restart()
        self.assertEqual(self.play(range(40, 60), skew=-int(OLDEST) * 8000), [])
        self.assertEqual(self.resumptions, 0)

    def test_otherSources(self) -> None:
        """Other sources of the same key know nothing of it: their numbers stand."""
        other = self.made()
        packets = [other.rtp(rtp(sequence, ssrc=7)) for sequence in range(65_500, 65_700)]
        self.recorded += packets
        for packet in packets[:100]:
            self.call.fromCarrier(packet)
        self.call.receiveAll()
        self.wrapped()
        self.restart()
        self.play(range(40, 60))
        for packet in packets[100:]:
            self.call.fromCarrier(packet)
        self.assertEqual(len(self.call.receiveAll()), 100)
        self.replay()

    def test_forgeries(self) -> None:
        """A flood of packets that look like the next one costs a few HMACs, and moves nothing."""
        self.wrapped()
        tried = []
        real = OwnGuard.opens

        def opens(guard: OwnGuard, *arguments: object) -> bool:
            tried.append(arguments)
            return real(guard, *arguments)  # type: ignore[arg-type]

        self.patch(OwnGuard, "opens", opens)
        timestamp = int(self.call.clock.seconds() * 8000)
        for number in range(5000):
            self.call.clock.advance(0.001)
            forged = rtp(40 + number, timestamp=timestamp + 8 * number, payload=bytes(30))
            self.call.fromCarrier(forged, CARRIER)
        self.assertEqual(self.call.receiveAll(), [])
        self.assertGreaterEqual(len(tried), TRIES)
        self.assertLessEqual(len(tried), TRIES + 5 * TRIES_PER_SECOND + 1)
        self.assertEqual(self.play(range(40, 60)), list(range(40, 60)))
        self.assertEqual(self.resumptions, 0)

    def test_duplicatesCostNothing(self) -> None:
        """What comes twice is not looked at a second time."""
        self.wrapped()
        self.patch(OwnGuard, "opens", lambda *_: self.fail("tried"))
        for packet in self.recorded:
            self.call.fromCarrier(packet)

    def report(self, sender: OwnGuard, time: float) -> bytes:
        """A sender report of the carrier's, made then."""
        words = SSRC, int(time), int(time % 1 * 2**32), 0, 0, 0
        return sender.rtcp(bytes.fromhex("80c80006") + b"".join(each.to_bytes(4, "big") for each in words))

    def control(self, *compounds: bytes) -> int:
        """They come, some in a second; how many are accepted."""
        before = self.leg.statistics().received.rtcpPackets
        for each in compounds:
            self.call.clock.advance(0.2)
            self.call.network.deliver(self.leg.address.rtcpPort, each, CARRIER)
        return self.leg.statistics().received.rtcpPackets - before

    def test_senderReports(self) -> None:
        """A sender report proves by its time that it is new: RTCP is followed, and no recording is."""
        bye = bytes.fromhex("80c90001") + SSRC.to_bytes(4, "big")
        recorded = [self.report(self.sender, time) for time in range(100, 120)]
        recorded.append(self.sender.rtcp(bye))
        self.assertEqual(self.control(*recorded), 21)
        for begun in (200, 300):
            self.restart()
            later = [self.report(self.sender, begun + time) for time in range(10)]
            self.assertEqual(self.control(*recorded), 0)
            # One is late, and one comes twice.
            self.assertEqual(self.control(later[1], later[0], later[1], *later[2:]), 10)
            recorded += later
            self.assertEqual(self.control(*recorded, *recorded[::-1]), 0)
            # What has no time waits until it is beyond what was heard.
            recorded.append(self.sender.rtcp(bye))
            self.assertEqual(self.control(recorded[-1]), 0)
        rest = [self.sender.rtcp(bye) for _ in range(20)]
        self.assertEqual(self.control(*rest), 10)
        self.assertEqual(self.control(*recorded, *rest), 0)
        (told,) = [each for each in self.events if "it is followed" in str(each.get("log_format"))]
        self.assertIn((told["what"], told["expected"]), (("SRTCP index", 21), ("SRTCP index", 22)))
        self.assertEqual(self.resumptions, 2)

    def test_earlierReports(self) -> None:
        """A clock that was put back proves nothing, nor does none at all; forgeries cost a few HMACs."""
        recorded = [self.report(self.sender, time) for time in range(100, 120)]
        self.assertEqual(self.control(*recorded), 20)
        self.restart()
        self.assertEqual(self.control(*(self.report(self.sender, time) for time in (0, 50, 119))), 0)
        tried = []
        real = OwnGuard.openReport

        def opened(guard: OwnGuard, packet: bytes) -> tuple[int, bytes]:
            tried.append(packet)
            return real(guard, packet)

        self.patch(OwnGuard, "openReport", opened)
        forged = bytearray(self.report(self.sender, 500))
        forged[-1] ^= 1
        self.assertEqual(self.control(*[bytes(forged)] * 200), 0)
        self.assertEqual(len(tried), 200)
        for _ in range(200):
            self.call.network.deliver(self.leg.address.rtcpPort, bytes(forged), CARRIER)
        self.assertLessEqual(len(tried), 200 + TRIES)
        self.assertEqual(self.control(self.report(self.sender, 501)), 1)

    def test_control(self) -> None:
        """RTCP without a time is a replay until its index is beyond; nothing of it is heard twice."""
        report = bytes.fromhex("80c90001") + SSRC.to_bytes(4, "big")
        compounds = [self.sender.rtcp(report) for _ in range(5)]
        self.wrapped()
        for compound in compounds:
            self.call.network.deliver(self.leg.address.rtcpPort, compound, CARRIER)
        self.restart()
        self.play(range(40, 60))
        for _ in range(10):
            self.call.network.deliver(self.leg.address.rtcpPort, self.sender.rtcp(report), CARRIER)
        for compound in compounds:
            self.call.network.deliver(self.leg.address.rtcpPort, compound, CARRIER)
        self.assertEqual(self.leg.statistics().received.rtcpPackets, 10)


class OwnResetTests(ResetTests):
    """The same by the other implementation."""

    def setUp(self) -> None:
        """The peer has declared its key with an MKI."""
        super().setUp()
        self.leg.setRemoteKey(SUITE, key(2), DeclaredKeys((InlineKey(key(2), None, 1, 1),)))
        self.call.clock.advance(10)

    def made(self, counter: int = 0) -> OwnGuard:
        """With its MKI."""
        return OwnGuard(SUITE, [KeyedMKI(key(2), b"\1")], True, rollOver={SSRC: counter})


class ForeignResetTests(ResetTests):
    """libsrtp sends, and its packets are taken by our own implementation from the first reset on."""

    def made(self, counter: int = 0) -> Any:
        """libsrtp counts from 0."""
        return PublicGuard(SUITE, key(2), True) if not counter else super().made(counter)


class HandedOnTests(RollOverCase):
    """Another process goes on with the key."""

    def handOn(self, *earlier: Heard) -> None:
        """What is known of the carrier crosses, with what was told C{earlier}; nothing else does."""
        self.leg.sync()
        self.told = [packed(each) for each in (*earlier, *self.leg.accepted)]
        before = self.call.clock.seconds()
        self.call = Call(self.suite, ready=False)
        self.call.clock.advance(before - self.call.clock.seconds())
        self.leg = self.call.secure
        self.call.plain.setRemote(MediaAddress(*PBX, PBX[1] + 1))
        for each in self.told:
            self.leg.hearOn(unpacked(each))
        self.leg.setRemoteKey(self.suite, key(2))
        self.leg.setRemote(MediaAddress(*CARRIER, CARRIER[1] + 1))

    def test_goesOn(self) -> None:
        """
        Its roll-over counter is known, however high; nothing that was accepted is accepted again; and libsrtp
        does it, as before.
        """
        for times in (0, 1, 6):
            self.wrapped(times)
            self.handOn()
            self.assertIsInstance(self.leg._context.guard, type(srtp.protector(SUITE, key(2))))  # type: ignore[union-attr]
            self.replay()
            self.assertEqual(self.play(range(40, 60)), list(range(40, 60)))
            self.replay()
            self.assertEqual(self.resumptions, 0)
            self.restart()
            self.assertEqual(self.play(range(60, 80)), list(range(60, 80)))
            self.replay()
            self.setUp()

    def test_otherwiseThen(self) -> None:
        """What was heard since counts, where the key is used with another suite and handed on again."""
        self.play(range(10))
        self.handOn()
        self.assertEqual(self.play(range(10, 30)), list(range(10, 30)))
        self.leg.setRemoteKey("AES_CM_128_HMAC_SHA1_32" if self.suite == SUITE else SUITE, key(2))
        self.handOn()
        self.replay()
        self.assertEqual(self.play(range(30, 40)), list(range(30, 40)))

    def test_lateAndLost(self) -> None:
        """What came meanwhile is lost; the next packet is heard, if it is less than half a round further."""
        self.wrapped(4)
        self.handOn()
        self.assertEqual(self.play(range(30_000, 30_020)), list(range(30_000, 30_020)))
        self.replay()

    def test_half(self) -> None:
        """A step of just half a round is one ahead, for all who count."""
        self.wrapped()
        far = range(39 + WRAP // 2, 60 + WRAP // 2)
        self.assertEqual(self.play(far), list(far))
        self.handOn()
        self.replay()
        self.play(range(50_000, 50_010))
        self.assertEqual(self.play(range(10)), list(range(10)))
        self.assertEqual(self.resumptions, 0)

    def test_sources(self) -> None:
        """Each has its own count, and a bound is still one."""
        for number in range(MOST_SOURCES):
            self.play([number, number + 1], ssrc=number)
        self.handOn()
        self.replay()
        self.assertEqual(self.play([9, 10], ssrc=3), [9, 10])
        self.assertEqual(self.play([9, 10], ssrc=3000), [])

    def test_manyThatAreLong(self) -> None:
        """As many sources as there may be, each of which has sent for days, are no hang; and each goes on."""
        self.play([0])
        (told,) = self.leg.accepted
        time, counter = self.call.clock.seconds(), MOST_WOUND >> 16
        sources = [(ssrc, MOST_WOUND, 0, 0, time - ssrc, True, 0, ()) for ssrc in range(MOST_SOURCES)]
        began = process_time()
        self.handOn(replace(told, masters=(*told.masters, b"another"), sources=tuple(sources[:-1])))
        self.assertLess(process_time() - began, 0.5)
        for ssrc in (0, 1, 100, MOST_SOURCES - 2):
            self.sender = OwnGuard(self.suite, key(2), True, rollOver={ssrc: counter})
            self.assertEqual(self.play(range(5), ssrc=ssrc), [1, 2, 3, 4])
        self.assertEqual(self.resumptions, 0)
        self.replay()

    def test_begunAgain(self) -> None:
        """One that had begun again is still held to that; so is one that does now."""
        self.wrapped(2)
        self.restart()
        self.play(range(40, 60), skew=2**30)
        self.handOn()
        self.replay()
        self.assertEqual(self.play(range(60, 80), skew=2**30), list(range(60, 80)))
        self.replay()
        self.restart()
        self.call.clock.advance(1)
        self.assertEqual(self.play(range(40, 60), skew=2**29), list(range(40, 60)))
        self.replay()
        self.assertEqual(self.resumptions, 1)

    def test_toldEarlier(self) -> None:
        """
        What was told of it when its key was declared beside another one says less than what was told last, in
        which its time stamps have begun anew: all that was heard between the two stays known.
        """
        self.play(range(65_500, 65_510))
        (told,) = self.leg.accepted
        self.play((*range(65_510, 65_536), *range(20)))
        self.restart()
        self.call.clock.advance(1)
        wanted = list(range(65_512, 65_520))
        self.assertEqual(self.play(wanted, skew=2**30), wanted)
        self.handOn(replace(told, masters=(*told.masters, b"another")))
        self.replay()
        wanted = list(range(65_520, 65_530))
        self.assertEqual(self.play(wanted, skew=2**30), wanted)

    def test_endless(self) -> None:
        """An index to which libsrtp would have to be led for long is told to the other implementation."""
        self.play(range(5))
        (told,) = self.leg.accepted
        (source,) = told.sources
        high = (LAST_INDEX >> 17 << 16) + 10
        far = Heard(told.masters, told.made, ((source[0], high, *source[2:]),), ())
        self.call = Call(self.suite, ready=False)
        self.leg = self.call.secure
        self.leg.hearOn(far)
        self.leg.setRemoteKey(self.suite, key(2))
        self.call.plain.setRemote(MediaAddress(*PBX, PBX[1] + 1))
        self.restart(high >> 16)
        self.assertEqual(self.play(range(8, 15)), [11, 12, 13, 14])

    def test_control(self) -> None:
        """SRTCP goes on as well, and none of it is heard again."""
        report = bytes.fromhex("80c90001") + SSRC.to_bytes(4, "big")
        compounds = [self.sender.rtcp(report) for _ in range(200)]
        port = self.leg.address.rtcpPort
        for compound in compounds[:150]:
            self.call.clock.advance(0.1)
            self.call.network.deliver(port, compound, CARRIER)
        self.play(range(5))
        self.handOn()
        port = self.leg.address.rtcpPort
        for compound in compounds + compounds:
            self.call.clock.advance(0.1)
            self.call.network.deliver(port, compound, CARRIER)
        self.assertEqual(self.leg.statistics().received.rtcpPackets, 50)


class OwnHandedOnTests(HandedOnTests):
    """The same by the other implementation."""

    suite = "AES_CM_128_HMAC_SHA1_32"

    def setUp(self) -> None:
        """Without libsrtp."""
        self.patch(srtp, "PROFILES", {})
        super().setUp()


class LostTests(RollOverCase):
    """We do not know the peer's roll-over counter."""

    def test_late(self) -> None:
        """We come into a stream that has gone on for a while."""
        for counter in (1, 2, 3):
            self.setUp()
            self.restart(counter)
            self.assertEqual(self.play(range(65_400, 65_700)), list(range(65_400, 65_536)) + list(range(164)))
            self.assertEqual(self.resumptions, 1)
            self.replay()

    def test_tooLate(self) -> None:
        """There is an end to what is tried."""
        self.restart(9)
        self.assertEqual(self.play(range(20)), [])

    def test_newKey(self) -> None:
        """The counter stands when the key changes, however high it is (RFC 3711 section 3.3.1), or is 0."""
        for counter, first in ((6, 40), (6, 30_000), (7, 5), (0, 40)):
            self.setUp()
            self.wrapped(6)
            # Nothing is heard under one of them.
            for number in (3, 4):
                self.leg.setRemoteKey(self.suite, key(number))
            self.sender = OwnGuard(self.suite, key(4), True, rollOver={SSRC: counter})
            wanted = list(range(first, first + 30))
            self.assertEqual(self.play(wanted), wanted)
            self.assertEqual(self.resumptions, int(counter > 0))
            self.replay()
            # It is taken by the same as any other, which costs less and may be the helper.
            context = self.leg._context
            assert context is not None
            self.assertIsInstance(context.guard, type(srtp.protector(self.suite, key(2))))
            self.assertEqual(context.line.index, counter << 16 | wanted[-1])
            for start in range(wanted[-1] + 20_000, wanted[-1] + 90_000, 20_000):
                self.assertEqual(len(self.play(each & 0xFFFF for each in range(start, start + 3))), 3)
            self.assertEqual(self.resumptions, int(counter > 0))
            self.replay()
            self.sender = OwnGuard(self.suite, key(4), True)
            self.assertEqual(self.play(range(50, 70)), list(range(50, 70)))
            self.replay()

    def test_newKeyOutOfOrder(self) -> None:
        """The first packets under it come in another order than they were sent: each is heard, once."""
        for counter in (0, 1, 2):
            for first in (0, 10, 65_530):
                self.setUp()
                self.play(range(65_500, 65_536))
                self.leg.setRemoteKey(self.suite, key(4))
                self.sender = OwnGuard(self.suite, key(4), True, rollOver={SSRC: counter})
                packets = []
                for sequence in range(first, first + 6):
                    timestamp = int(self.call.clock.seconds() * 8000) + 160 * sequence
                    plain = rtp(sequence, timestamp=timestamp, ssrc=SSRC, payload=b"%08d" % sequence)
                    packets.append(self.sender.rtp(plain))
                before = self.leg.statistics().received.packets
                for each in (3, 1, 0, 2, 5, 4):
                    self.call.fromCarrier(packets[each])
                self.assertEqual(self.leg.statistics().received.packets - before, 6)
                self.recorded += packets
                self.call.receiveAll()
                self.replay()

    def test_holdAcrossTheEnd(self) -> None:
        """During hold it sent elsewhere, once and twice around."""
        for counter, sequence in ((1, 30_000), (1, 65_000), (2, 100), (2, 64_000), (3, 0)):
            self.setUp()
            self.play(range(100, 400))
            self.call.clock.advance(1400 * counter)
            self.restart(counter)
            wanted = list(range(sequence, sequence + 50))
            self.assertEqual(self.play(wanted), wanted)
            self.replay()

    def test_unsteady(self) -> None:
        """Ahead is never a recording, whatever its time stamps."""
        self.play(range(20))
        self.play(range(20, 40), skew=-2 * LATE)
        self.restart(2)
        self.assertEqual(self.play(range(40, 60), skew=2**30), list(range(40, 60)))
        self.replay()


class SourcesTests(RollOverCase):
    """Many SSRCs of one key."""

    def test_many(self) -> None:
        """A bounded number of them; none is forgotten, so none is heard again."""
        for number in range(MOST_SOURCES + 20):
            self.play([number, number + 1], ssrc=number)
        received = self.leg.statistics().received
        self.assertEqual(received.packets, 2 * MOST_SOURCES)
        self.assertEqual(dict(received.refused), {"source": 40})
        self.replay()
        self.assertEqual(self.play([9, 10], ssrc=3), [9, 10])
        reports = [self.sender.rtcp(bytes.fromhex("80c90001") + bytes((0, 0, 9, n))) for n in range(20)]
        for report in reports:
            self.call.network.deliver(self.leg.address.rtcpPort, report, CARRIER)
        self.assertEqual(self.leg.statistics().received.rtcpPackets, 0)

    def test_reporters(self) -> None:
        """Those of RTCP count, too."""
        for number in range(MOST_SOURCES + 20):
            report = self.sender.rtcp(bytes.fromhex("80c90001") + number.to_bytes(4, "big"))
            self.call.network.deliver(self.leg.address.rtcpPort, report, CARRIER)
        self.assertEqual(self.leg.statistics().received.rtcpPackets, MOST_SOURCES)
        self.assertEqual(self.play([1, 2]), [])
        self.assertEqual(self.play([1, 2], ssrc=5), [1, 2])

    def test_between(self) -> None:
        """Two sources at once, each with its own roll-over counter."""
        for number in range(65_500, 65_600):
            self.assertEqual(len(self.play([number & 0xFFFF])), 1)
            self.assertEqual(len(self.play([(number + 30_000) & 0xFFFF], ssrc=8)), 1)


class SameKeyOtherwiseTests(RollOverCase):
    """A key that comes with another suite, or an MKI: its packets can be written anew, with a valid tag."""

    def test_shorterTag(self) -> None:
        """The tag of 32 bits is the beginning of that of 80."""
        self.play(range(65_500, 65_550))
        self.leg.setRemoteKey("AES_CM_128_HMAC_SHA1_32", key(2))
        self.call.clock.advance(10)
        self.recorded = [packet[:-6] for packet in self.recorded]
        self.replay()
        self.sender = OwnGuard("AES_CM_128_HMAC_SHA1_32", key(2), True, rollOver={SSRC: 1})
        self.assertEqual(self.play(range(14, 40)), list(range(14, 40)))
        self.replay()

    def test_sameReports(self) -> None:
        """SRTCP is the same with either suite: what was accepted under one is a replay under the other."""
        report = bytes.fromhex("80c90001") + SSRC.to_bytes(4, "big")
        compounds = [self.sender.rtcp(report) for _ in range(50)]

        def accepted(compounds: list[bytes]) -> int:
            before = self.leg.statistics().received.rtcpPackets
            for each in compounds:
                self.call.clock.advance(0.2)
                self.call.network.deliver(self.leg.address.rtcpPort, each, CARRIER)
            return self.leg.statistics().received.rtcpPackets - before

        for number, suite in enumerate((SUITE, "AES_CM_128_HMAC_SHA1_32", SUITE, "AES_CM_128_HMAC_SHA1_32")):
            self.leg.setRemoteKey(suite, key(2))
            self.call.clock.advance(10)
            self.assertEqual(accepted(compounds[: 10 * number]), 0, number)
            self.assertEqual(accepted(compounds[: 10 * number + 10]), 10, number)
            self.assertEqual(accepted(compounds[: 10 * number + 10]), 0, number)

    def test_addedMKI(self) -> None:
        """No tag covers the MKI."""
        self.play(range(65_500, 65_550))
        self.leg.setRemoteKey(SUITE, key(2), DeclaredKeys((InlineKey(key(2), None, 1, 1),)))
        self.call.clock.advance(10)
        plain = self.recorded
        self.recorded = [packet[:-10] + b"\1" + packet[-10:] for packet in plain]
        self.replay()
        self.sender = OwnGuard(SUITE, [KeyedMKI(key(2), b"\1")], True, rollOver={SSRC: 1})
        self.recorded = []
        self.assertEqual(self.play(range(14, 40)), list(range(14, 40)))
        # And back.
        self.leg.setRemoteKey(SUITE, key(2))
        self.call.clock.advance(10)
        self.recorded = plain + [packet[:-11] + packet[-10:] for packet in self.recorded]
        self.replay()
        self.restart(1)
        self.assertEqual(self.play(range(40, 60)), list(range(40, 60)))


    def test_apartThenTogether(self) -> None:
        """
        Keys that were used one after the other are declared with MKIs, and the peer begins to count anew: it
        is followed, and nothing that came under either is heard again.
        """
        self.play((*range(65_500, 65_536), *range(20)))
        self.leg.setRemoteKey(SUITE, key(3))
        self.call.clock.advance(10)
        self.sender = OwnGuard(SUITE, key(3), True)
        self.assertEqual(self.play(range(20, 40)), list(range(20, 40)))
        numbers = [2] * 56 + [3] * 20
        declared = DeclaredKeys(tuple(InlineKey(key(each), None, each, 1) for each in (2, 3)))
        self.leg.setRemoteKey(SUITE, key(2), declared)
        self.call.clock.advance(10)
        before = [
            packet[:-10] + bytes([number]) + packet[-10:]
            for number, packet in zip(numbers, self.recorded, strict=True)
        ]
        self.recorded = before
        self.replay()
        keys = [KeyedMKI(key(each), bytes([each])) for each in (2, 3)]
        self.sender = OwnGuard(SUITE, keys, True)
        for mki, first in ((b"\2", 40), (b"\3", 60), (b"\2", 80)):
            self.sender.select(mki)
            self.assertEqual(self.play(range(first, first + 20)), list(range(first, first + 20)))
            self.replay()
        self.assertEqual(self.resumptions, 1)


class TimelineTests(SynchronousTestCase):
    """What is known of a source."""

    def advanced(self, *packets: tuple[int, int], now: float = 1.0) -> Timeline:
        """From sequence and time stamp 0."""
        line = Timeline(SSRC, 0, 0, 0.0)
        for sequence, timestamp in packets:
            line.advance(parseRTP(rtp(sequence, timestamp=timestamp)), now)
        return line

    def test_index(self) -> None:
        """The nearest one, and never below 0."""
        for sequences, index in (
            ((1, 2), 2),
            ((65_535,), 65_535),
            ((30_000, 60_000, 20_000), WRAP + 20_000),
            ((30_000, 60_000, 20_000, 65_000), WRAP + 20_000),
            ((30_000, 60_000, 20_000, 20_000 + WRAP // 2, 60_000), WRAP + 60_000),
        ):
            self.assertEqual(self.advanced(*((each, 0) for each in sequences)).index, index)

    def test_steady(self) -> None:
        """Late packets and events are no step back, silence is no leap."""
        self.assertTrue(self.advanced((1, 160), (2, LEAP), (3, 0), (4, 160)).steady)
        self.assertEqual(self.advanced((1, LEAP), (2, 160)).newest, LEAP)
        self.assertTrue(self.advanced((1, 600 * 48_000), now=600.0).steady)
        self.assertFalse(self.advanced((1, 600 * 48_000), now=300.0).steady)
        self.assertFalse(self.advanced((1, -LATE - 1 & 0xFFFFFFFF)).steady)

    def test_tries(self) -> None:
        """So many at once, then so many in a second, never more at once."""
        tries = Tries()
        for pause in (0.0, 3600.0):
            self.assertEqual([tries.take(pause) for _ in range(TRIES + 1)].count(True), TRIES)
        self.assertEqual([tries.take(3601.0) for _ in range(TRIES)].count(True), int(TRIES_PER_SECOND))
