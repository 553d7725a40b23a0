"""
Tests of L{skypetrunk.media.statistics}.
"""

from __future__ import annotations

from collections.abc import Iterable

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.interfaces import DirectionStatistics
from skypetrunk.media.statistics import SOURCES, Counters, Reception


def lost(*packets: tuple[int, Iterable[int]]) -> int:
    """Loss after these sequence numbers of these sources."""
    reception = Reception()
    for ssrc, sequences in packets:
        for sequence in sequences:
            reception.received(ssrc, sequence & 0xFFFF)
    return reception.lost


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
            reception.received(ssrc, 5)
        self.assertEqual(len(reception._sources), SOURCES)

    def test_restart(self) -> None:
        """A.1: a jump is a restart, not 40,000 lost packets."""
        self.assertEqual(lost((1, [10, 11, 40_011, 40_012])), 0)
        self.assertEqual(lost((1, [30_000, 30_001, 5, 6])), 0)


class CountersTests(SynchronousTestCase):
    """The counters of a direction."""

    def test_snapshot(self) -> None:
        """The value holds what was counted, and does not change any more."""
        counters = Counters()
        counters.packets = 3
        counters.refuse("source")
        counters.refuse("authentication")
        counters.refuse("source")
        counters.reception.received(1, 5)
        counters.reception.received(1, 7)
        seen = counters.snapshot()
        counters.refuse("size")
        self.assertEqual(
            seen, DirectionStatistics(packets=3, lost=1, refused=(("authentication", 1), ("source", 2)))
        )
