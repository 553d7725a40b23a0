"""
Tests of L{skypetrunk.media.statistics}.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.interfaces import DirectionStatistics
from skypetrunk.media.counters import Counters
from skypetrunk.media.opinion import score
from skypetrunk.media.statistics import LONGEST_NAME, SOURCES, Reception, names, ticks
from skypetrunk.wire.rtp import RTPHeader


def lost(*packets: tuple[int, Iterable[int]]) -> int:
    """Loss after these sequence numbers of these sources."""
    reception = Reception()
    for ssrc, sequences in packets:
        for sequence in sequences:
            reception.received(header(sequence, ssrc), 0.0)
    return reception.lost


def header(sequence: int, ssrc: int = 1, timestamp: int = 0, payloadType: int = 8) -> RTPHeader:
    """Of a packet."""
    return RTPHeader(2, False, False, payloadType, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc, 12)


def order(sequences: Iterable[int]) -> tuple[int, int, int, int]:
    """Lost, longest loss, reordered and duplicates after these sequence numbers."""
    reception = Reception()
    for sequence in sequences:
        reception.received(header(sequence), 0.0)
    return reception.lost, reception.bursts().longest, reception.reordered, reception.duplicates


class ReferenceA8:
    """Jitter as the code of RFC 3550 A.8 has it: integers, in units of time stamps, scaled by 16."""

    def __init__(self) -> None:
        self.transit = 0
        self.jitter = 0
        self.begun = False

    def received(self, timestamp: int, arrival: int) -> None:
        """@param arrival: in units of time stamps."""
        transit = (arrival - timestamp) & 0xFFFFFFFF
        d = (transit - self.transit + 0x80000000 & 0xFFFFFFFF) - 0x80000000
        self.transit = transit
        if not self.begun:
            self.begun = True
            return
        self.jitter += abs(d) - ((self.jitter + 8) >> 4)

    def milliseconds(self, rate: int) -> float:
        """What is reported."""
        return (self.jitter >> 4) * 1000 / rate


class ReceptionTests(SynchronousTestCase):
    """Loss by RFC 3550 A.3."""

    def test_nothing(self) -> None:
        """No packet, no loss."""
        self.assertEqual(lost(), 0)

    def test_gaps(self) -> None:
        """What is missing between the first and the last is lost."""
        self.assertEqual(lost((1, [10, 11, 14, 15])), 2)

    def test_wrap(self) -> None:
        """Counting goes on over the wrap."""
        self.assertEqual(lost((1, range(65000, 66000))), 0)
        self.assertEqual(lost((1, [65534, 65535, 1, 2])), 1)
        self.assertEqual(lost((1, range(0, 200_000, 2))), 99_999)

    def test_late(self) -> None:
        """A late packet was not lost."""
        self.assertEqual(lost((1, [10, 12, 11, 13])), 0)

    def test_duplicates(self) -> None:
        """A.3: duplicates count as received; loss is never negative."""
        self.assertEqual(lost((1, [10, 10, 10, 11])), 0)
        self.assertEqual(lost((1, [10, 10, 14])), 2)

    def test_newSource(self) -> None:
        """A new source is no loss, and the losses of the old one stay."""
        self.assertEqual(lost((1, [10, 12]), (2, [5000, 5001])), 1)

    def test_severalSources(self) -> None:
        """Each source has its own account, however they alternate; their number has a bound."""
        packets = [(ssrc, [ssrc * 1000 + 2 * n]) for n in range(50) for ssrc in (1, 2, 3, 4)]
        self.assertEqual(lost(*packets), 4 * 49)
        self.assertEqual(lost(*((ssrc, [10, 12]) for ssrc in range(1000))), 1000)
        reception = Reception()
        for ssrc in range(1000):
            reception.received(header(5, ssrc), 0.0)
        self.assertEqual(len(reception._sources), SOURCES)

    def test_restart(self) -> None:
        """A.1: a jump is a restart, not 40,000 lost packets."""
        self.assertEqual(lost((1, [10, 11, 40_011, 40_012])), 0)
        self.assertEqual(lost((1, [30_000, 30_001, 5, 6])), 0)


class OrderTests(SynchronousTestCase):
    """What came late, twice or not at all, in a row."""

    def test_runs(self) -> None:
        """The longest run counts, not the sum; over the wrap too."""
        self.assertEqual(order([1, 2, 4, 8, 9]), (4, 3, 0, 0))
        self.assertEqual(order([65533, 3, 5]), (6, 5, 0, 0))

    def test_late(self) -> None:
        """A packet that fills a hole was not lost, and parts it."""
        self.assertEqual(order([1, 7, 4]), (4, 2, 1, 0))
        self.assertEqual(order([1, 3, 2]), (0, 0, 1, 0))
        self.assertEqual(order([65535, 1, 0]), (0, 0, 1, 0))

    def test_twice(self) -> None:
        """The last one again, an earlier one again, a late one again."""
        self.assertEqual(order([1, 2, 2, 3, 1]), (0, 0, 0, 2))
        self.assertEqual(order([1, 4, 2, 2]), (0, 1, 1, 1))

    def test_beforeTheFirst(self) -> None:
        """The first packet that came need not be the first that was sent."""
        self.assertEqual(order([5, 3, 4, 6]), (0, 0, 2, 0))

    def test_settled(self) -> None:
        """A run long ago is not forgotten, also when the source restarts; what is kept has a bound."""
        self.assertEqual(order([0, *range(8, 1000), 1002]), (9, 7, 0, 0))
        self.assertEqual(order([0, 8, 40_000, 40_001]), (7, 7, 0, 0))
        reception = Reception()
        for sequence in range(0, 60_000, 2):
            reception.received(header(sequence), 0.0)
        [source] = reception._sources.values()
        self.assertLessEqual(len(source.holes), 51)

    def test_random(self) -> None:
        """Against sets: a stream with loss, disorder and duplicates."""
        random = Random(7)
        sent = [n for n in range(20_000) if n == 0 or random.random() > 0.05]
        came: list[tuple[float, int]] = []
        for n in sent:
            came.append((n + (random.random() * 8 if n and random.random() < 0.1 else 0), n))
            if random.random() < 0.02:
                came.append((n + random.random() * 8, n))
        arrivals = [n for _, n in sorted(came)]
        seen: set[int] = set()
        late = twice = 0
        for n in arrivals:
            twice += n in seen
            late += n not in seen and any(later in seen for later in range(n + 1, n + 12))
            seen.add(n)
        longest = run = 0
        for n in range(max(seen)):
            run = 0 if n in seen else run + 1
            longest = max(longest, run)
        missing = max(seen) + 1 - len(seen)
        self.assertTrue(late and twice and longest > 1)
        self.assertEqual(order(arrivals), (missing - twice, longest, late, twice))


class JitterTests(SynchronousTestCase):
    """Jitter by RFC 3550, beside the code of its A.8."""

    def check(self, rate: int, step: int, encodings: dict[int, str], payloadType: int) -> None:
        """A stream with late packets, from a time stamp that wraps, at a wall clock's time."""
        random = Random(rate)
        reception, reference = Reception(), ReferenceA8()
        reception.ticks = ticks(encodings)
        worst = 0.0
        for n in range(2000):
            timestamp = 0xFFFF0000 + n * step
            arrival = 1_700_000_000 * rate + n * step + int(random.random() ** 4 * 0.1 * rate)
            reception.received(header(n, 1, timestamp, payloadType), arrival / rate)
            reference.received(timestamp, arrival)
            worst = max(worst, reference.milliseconds(rate))
            # The reference rounds to units twice.
            assert reception.jitter is not None
            self.assertLess(abs(reception.jitter - reference.milliseconds(rate)), 2500 / rate + 0.01)
        assert reception.worstJitter is not None
        self.assertGreater(worst, 10)
        self.assertLess(abs(reception.worstJitter - worst), 2500 / rate + 0.01)

    def test_reference(self) -> None:
        """At 8 and at 48 kHz."""
        self.check(8000, 160, {}, 8)
        self.check(48000, 960, {111: "opus/48000/2"}, 111)

    def test_even(self) -> None:
        """A stream that keeps its pace has none; nor has one of no audio a figure."""
        reception = Reception()
        self.assertIsNone(reception.jitter)
        self.assertIsNone(reception.worstJitter)
        for n in range(100):
            reception.received(header(n, 1, 160 * n), 1000 + n / 50)
        self.assertEqual((reception.jitter, reception.worstJitter), (0.0, 0.0))

    def test_events(self) -> None:
        """Digits, whose time stamp stands still, are not jitter of the audio around them."""
        reception = Reception()
        reception.ticks = ticks({8: "PCMA/8000", 101: "telephone-event/8000"})
        for n in range(100):
            isDigit = 40 <= n < 60
            reception.received(
                header(n, 1, 160 * (40 if isDigit else n), 101 if isDigit else 8), 1000 + n / 50
            )
        self.assertEqual(reception.worstJitter, 0.0)

    def test_jump(self) -> None:
        """Time stamps that begin anew, as after a hold, are no jitter; what is late afterwards is."""
        reception = Reception()
        reception.received(header(1, 1, 0), 1000.0)
        reception.received(header(2, 1, 5_000_000), 1000.02)
        reception.received(header(3, 1, 5_000_160), 1060.0)
        self.assertEqual(reception.worstJitter, 0.0)
        reception.received(header(4, 1, 5_000_320), 1060.036)
        self.assertEqual((reception.jitter, reception.worstJitter), (1.0, 1.0))

    def test_codec(self) -> None:
        """What was heard last, by SDP or by the table; digits are no codec."""
        reception = Reception()
        encodings = {0: "", 8: "PCMA/8000", 101: "telephone-event/8000", 111: "opus/48000/2"}
        reception.ticks, reception.names = ticks(encodings), names(encodings)
        found: list[str | None] = []
        for number in (101, 0, 8, 111, 101, 77):
            reception.received(header(len(found), 1, 0, number), 0.0)
            found.append(reception.codec)
        self.assertEqual(found, [None, "PCMU", "PCMA", "opus", "opus", "opus"])

    def test_shown(self) -> None:
        """A name of the peer's is shown: it is short, and no terminal takes it for a command."""
        found = names({96: "\x1b]0;x\x07/8000", 97: "x" * 60_000, 98: "iLBC/8000", 99: "\udcff/8000"})
        shown = [r"\x1b]0;x\x07", "x" * LONGEST_NAME, "iLBC", r"\xff"]
        self.assertEqual([found[n] for n in range(96, 100)], shown)

    def test_ticks(self) -> None:
        """What SDP says goes before the table; nonsense in it does no harm."""
        found = ticks(
            {0: "", 8: "L16/16000", 96: "x/0", 97: "x", 98: "x/9999999", 99: "x/\u0664", 100: "X/90000"}
        )
        self.assertEqual(
            (found[0], found[8], found[9], found[100]), (1 / 8000, 1 / 16000, 1 / 8000, 1 / 90000)
        )
        self.assertFalse({96, 97, 98, 99} & set(found))


class CountersTests(SynchronousTestCase):
    """The counters of a direction."""

    def test_snapshot(self) -> None:
        """The value holds what was counted, and does not change any more."""
        counters = Counters()
        counters.packets = 3
        counters.refuse("source")
        counters.refuse("authentication")
        counters.refuse("source")
        counters.reception.received(header(5), 0.0)
        counters.reception.received(header(7), 0.0)
        seen = counters.snapshot()
        counters.refuse("size")
        self.assertEqual(
            seen,
            DirectionStatistics(
                packets=3,
                lost=1,
                refused=(("authentication", 1), ("source", 2)),
                longestLoss=1,
                jitter=0.0,
                worstJitter=0.0,
                codec="PCMA",
                opinion=score("PCMA", 3, 1),
            ),
        )
