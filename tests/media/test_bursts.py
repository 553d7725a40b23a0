"""
Tests of L{skypetrunk.media.bursts}, by way of the streams that it is used for.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.media.bursts import GMIN, Bursts
from skypetrunk.media.statistics import Reception
from tests.media.test_statistics import header


def received(sequences: Iterable[int]) -> Reception:
    """What came of one source."""
    reception = Reception()
    for sequence in sequences:
        reception.received(header(sequence), 0.0)
    return reception


def figures(bursts: Bursts) -> tuple[int, int, int]:
    """Bursts, packets lost in them, packets in them."""
    return bursts.bursts, bursts.burstLost, bursts.burstLength


def without(count: int, *missing: int) -> list[int]:
    """The first C{count} numbers, but for these."""
    return [number for number in range(count) if number not in missing]


def reference(lost: list[bool]) -> tuple[int, int, int]:
    """RFC 3611 section 4.7.2 in its own words: from loss to loss, with no GMIN received ones in a row."""
    text = "".join("x" if each else "." for each in lost).strip(".")
    parts = [part.strip(".") for part in text.replace("." * GMIN, "|").split("|")]
    bursts = [part for part in parts if part.count("x") > 1]
    return len(bursts), sum(part.count("x") for part in bursts), sum(map(len, bursts))


class BurstTests(SynchronousTestCase):
    """Losses that lie together."""

    def test_alone(self) -> None:
        """Single losses with 16 received ones between them are no burst; with 15 they are."""
        self.assertEqual(figures(received(without(200, 20, 37, 54)).bursts()), (0, 0, 0))
        self.assertEqual(figures(received(without(200, 20, 36, 53)).bursts()), (1, 2, 17))

    def test_run(self) -> None:
        """Packets in a row are one, and what is near belongs to it; two far apart are two."""
        reception = received(without(300, 20, 21, 22, 30, 200, 201))
        bursts = reception.bursts()
        self.assertEqual(figures(bursts), (2, 6, 13))
        self.assertEqual((bursts.runs, bursts.missing, bursts.longest), (3, 6, 3))

    def test_looking(self) -> None:
        """A look at a stream that goes on changes nothing, whenever it is."""
        reception = Reception()
        for number in without(400, 100, 101, 110, 111, 250):
            reception.received(header(number), 0.0)
            reception.bursts()
        self.assertEqual(figures(reception.bursts()), (1, 4, 12))

    def test_late(self) -> None:
        """What comes late was not lost: no burst is left."""
        sequences = without(200, 50, 51)
        sequences[60:60] = [51, 50]
        self.assertEqual(figures(received(sequences).bursts()), (0, 0, 0))

    def test_restart(self) -> None:
        """The bursts of a source before its restart stay; they do not join with those after it."""
        again = [40_000 + number for number in without(50, 2, 3)]
        self.assertEqual(figures(received([*without(50, 46, 47), *again]).bursts()), (2, 4, 4))

    def test_random(self) -> None:
        """Against the definition, at several rates of loss."""
        for seed, rate in enumerate((0.005, 0.03, 0.2, 0.6)):
            random = Random(seed)
            lost = [random.random() < rate for _ in range(30_000)]
            lost[0] = lost[-1] = False
            reception = received(number for number, gone in enumerate(lost) if not gone)
            self.assertEqual(figures(reception.bursts()), reference(lost))
            self.assertEqual(reception.bursts().missing, sum(lost))
