"""Tests of L{skypetrunk.media.gap}: what a process had heard that is gone and could not tell."""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.interfaces import ANY_PATH
from skypetrunk.media.heard import MARGIN, UNTOLD_SECONDS
from skypetrunk.media.keeping import LocalKeeper, Opening
from skypetrunk.media.poller import Poller, boundSocket
from skypetrunk.media.replay import WINDOW
from skypetrunk.media.srtp import InPlaceGuard
from skypetrunk.wire.rtp import parseRTP
from tests.media.doubles import SUITE, Call, SecurePeer, entropy, key, rtp
from tests.media.test_poller import Readers

HOST = "127.0.0.1"

FRAME, TICKS = 0.02, 160
"""Seconds and units of a time stamp from one packet to the next."""


class GapTests(SynchronousTestCase):
    """A call that another leg goes on with."""

    def setUp(self) -> None:
        """Fifty packets were told of, and ten not."""
        before = Call()
        self.peer = before.peer
        self.recorded: list[bytes] = []
        for sequence in range(60):
            before.clock.advance(FRAME)
            self.recorded.append(self.peer.protect(rtp(sequence)))
            before.fromCarrier(self.recorded[-1])
            if sequence == 49:
                (self.told,) = before.secure.accepted
        self.told = replace(self.told, tick=before.secure.received.reception.tick)
        self.died = before.clock.seconds()

    def goOn(self, died: float) -> None:
        """Another leg does, told that the one before was lost at C{died} (seconds)."""
        self.call = Call(ready=False)
        self.call.clock.advance(died - self.call.clock.seconds())
        self.call.secure.hearOn(self.told.until(died))
        self.call.secure.setRemoteKey(SUITE, key(2))

    def taken(self, *packets: bytes) -> list[int]:
        """The sequence numbers of those of them that are taken."""
        found: list[int] = []
        for packet in packets:
            before = self.call.secure.received.packets
            self.call.fromCarrier(packet)
            if self.call.secure.received.packets > before:
                found.append(parseRTP(packet).sequence)
        return found

    def test_recording(self) -> None:
        """It is let in neither at once nor later, and the carrier is heard on after a moment."""
        self.goOn(self.died)
        self.assertEqual(self.taken(*self.recorded), [])
        live = [self.peer.protect(rtp(sequence)) for sequence in range(60, 60 + 2 * WINDOW)]
        heard = []
        for packet in live:
            heard += self.taken(packet, *self.recorded[-20:])
        lost = 2 * WINDOW - len(heard)
        self.assertEqual(heard, list(range(60 + lost, 60 + 2 * WINDOW)))
        self.assertLessEqual(lost * FRAME, MARGIN)
        context = self.call.secure._context
        assert context is not None
        self.assertIsInstance(context.guard, InPlaceGuard)

    def test_late(self) -> None:
        """A packet that comes behind the first one heard cannot be told from a recording."""
        self.goOn(self.died)
        early, late = (self.peer.protect(rtp(sequence, timestamp=20_000)) for sequence in (70, 69))
        self.assertEqual(self.taken(early, late), [70])

    def test_leaps(self) -> None:
        """Numbers that leap, again and again, are followed as they are where nothing was lost."""
        self.goOn(self.died)
        for number in range(1, 40):
            packet = self.peer.protect(rtp(60 + number * 0x6000, timestamp=20_000 + number * TICKS))
            self.assertEqual(self.taken(packet), [60 + number * 0x6000 & 0xFFFF])

    def test_beginsAgain(self) -> None:
        """So is a carrier that loses count."""
        self.goOn(self.died)
        self.assertEqual(self.taken(self.peer.protect(rtp(20_000, timestamp=20_000))), [20_000])
        peer = SecurePeer(key(2), key(1))
        for sequence in range(10, 300):
            packet = peer.protect(rtp(sequence, timestamp=20_000 + sequence * TICKS))
            self.assertEqual(self.taken(packet), [sequence])

    def test_begunBefore(self) -> None:
        """Nothing is let in twice of one that has lost count in that while."""
        before = Call()
        recorded = []
        for number in range(60):
            before.clock.advance(FRAME)
            if number == 50:
                (told,) = before.secure.accepted
                before.peer = SecurePeer(key(2), key(1))
            sequence = number + (30_000 if number < 50 else 10_000)
            recorded.append(before.peer.protect(rtp(sequence, timestamp=number * TICKS)))
            before.fromCarrier(recorded[-1])
        self.assertEqual(before.secure.received.packets, 60)
        self.told = replace(told, tick=FRAME / TICKS)
        self.goOn(before.clock.seconds())
        heard = []
        for number in range(60, 60 + 2 * WINDOW):
            packet = before.peer.protect(rtp(number + 10_000, timestamp=number * TICKS))
            heard += self.taken(packet, *recorded[-20:])
        self.assertGreater(len(heard), 2 * WINDOW - 1 - MARGIN / FRAME)
        self.assertEqual(heard, list(range(10_060 + 2 * WINDOW - len(heard), 10_060 + 2 * WINDOW)))

    def test_told(self) -> None:
        """Who goes on with it again is told, too."""
        self.goOn(self.died)
        (self.told,) = self.call.secure.accepted
        self.goOn(self.died)
        self.assertEqual(self.taken(*self.recorded), [])

    def test_untilHeard(self) -> None:
        """Who goes on, and has heard nothing yet, tells the next one how time stamps go on with time."""
        clock, sockets = Clock(), [boundSocket(0, HOST) for _ in range(2)]
        clock.advance(self.died)
        keeper = LocalKeeper(Poller(Readers(), clock), clock, entropy(), object())
        number = keeper.open(Opening("carrier", True, ANY_PATH, HOST, HOST, 5004), *sockets)
        keeper.order(number, "hearOn", self.told)
        self.assertEqual(keeper.heard(number), (self.told,))
        keeper.order(number, "setRemoteKey", SUITE, key(2), None)
        self.assertEqual(keeper.heard(number), (self.told,))
        keeper.release(number)
        for each in sockets:
            each.close()

    def test_silence(self) -> None:
        """Of a source that was silent for long only what it would have sent lately is not taken."""
        self.goOn(self.died + 100)
        first, last = int((100.3 - UNTOLD_SECONDS) / FRAME), 5000
        for number in (first, last, last + 20):
            packet = self.peer.protect(rtp(60 + number, timestamp=(49 + number) * TICKS))
            self.assertEqual(self.taken(packet), [60 + number] if number > last else [])
        self.goOn(self.died + 100)
        self.assertEqual(self.taken(self.peer.protect(rtp(5200, timestamp=60 * TICKS))), [5200])

    def test_otherSource(self) -> None:
        """It says nothing of others."""
        self.goOn(self.died)
        self.assertEqual(self.taken(self.peer.protect(rtp(1, ssrc=5))), [1])
