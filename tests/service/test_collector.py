"""The garbage collector of a running trunk."""

from __future__ import annotations

import gc
import weakref

from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from skypetrunk.service import collector
from skypetrunk.service.collector import INTERVAL, LONGEST, YOUNG, Collector


class _Node:
    """In a cycle with itself."""

    def __init__(self) -> None:
        self.me = self


def _oldCycle() -> weakref.ref[_Node]:
    """Garbage that has left the youngest generation, where nobody looks."""
    node = _Node()
    gc.collect(0)
    return weakref.ref(node)


class CollectorTests(TestCase):
    """L{Collector}."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.collector = Collector(self.clock)
        self.collector.startService()
        self.addCleanup(self.stop)

    def stop(self) -> None:
        if self.collector.running:
            self.collector.stopService()

    def test_young(self) -> None:
        """Cycles among the youngest go soon; older ones stay."""
        old, young = _oldCycle(), weakref.ref(_Node())
        self.clock.advance(YOUNG / 2)
        self.assertIsNotNone(young())
        self.clock.advance(YOUNG / 2)
        self.assertIsNone(young())
        self.assertIsNotNone(old())

    def test_inTime(self) -> None:
        """
        However many old objects are freed meanwhile, the youngest are looked through while they are few:
        Python waits until more were made than freed.
        """
        old = [[each] for each in range(10**5)]
        gc.collect(0)
        waiting = []
        for _ in range(100):
            young = [[each] for each in range(1000)]
            del old[-1000:]
            self.clock.advance(YOUNG)
            waiting.append(len(gc.get_objects(0)))
            old[:0] = young
        self.assertLess(max(waiting), 100)

    def test_pythonAlone(self) -> None:
        """Nothing is looked through in between, and afterwards by Python itself."""
        self.assertFalse(gc.isenabled())
        self.collector.stopService()
        self.assertTrue(gc.isenabled())

    def test_few(self) -> None:
        """All are looked through where that takes no time that anybody hears."""
        self.patch(collector, "FEW", 10**9)
        old = _oldCycle()
        self.clock.advance(INTERVAL - 1)
        self.assertIsNotNone(old())
        self.clock.advance(1)
        self.assertIsNone(old())

    def test_many(self) -> None:
        """Else it waits, but not for ever; and again as long from then on."""
        kept = [[each] for each in range(10**4)]
        self.patch(collector, "FEW", len(kept) // 2)
        for _ in range(2):
            old = _oldCycle()
            self.clock.pump([INTERVAL] * round(LONGEST / INTERVAL - 1))
            self.assertIsNotNone(old())
            self.clock.advance(INTERVAL)
            self.assertIsNone(old())
        self.assertEqual(len(kept), 10**4)

    def test_frozen(self) -> None:
        """What was there at the start is never looked through, until the end."""
        self.assertGreater(gc.get_freeze_count(), 1000)
        self.collector.stopService()
        self.assertEqual(gc.get_freeze_count(), 0)
        self.clock.advance(10 * INTERVAL)
        self.assertEqual(self.clock.getDelayedCalls(), [])
