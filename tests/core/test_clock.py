"""The queues of timers, on a clock that is turned by hand."""

from __future__ import annotations

from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skypetrunk.core.clock import SLACK, QueuedClock


class QueuedClockTests(SynchronousTestCase):
    """L{QueuedClock}."""

    def setUp(self) -> None:
        """Queues for one and for ten seconds."""
        self.beneath = Clock()
        self.clock = QueuedClock(self.beneath, (1.0, 10.0))
        self.events: list[str] = []

    def set(self, length: float, name: str) -> IDelayedCall:
        """A timer that writes down its name."""
        return self.clock.callLater(length, lambda: self.events.append(name))

    def advance(self, *amounts: float) -> list[str]:
        """Time passes; what ended since the last time."""
        self.events.clear()
        self.beneath.pump(amounts)
        return list(self.events)

    def test_interfaces(self) -> None:
        """It stands where a clock does, and its timers where those of a reactor do."""
        verifyObject(IReactorTime, self.clock)
        verifyObject(IDelayedCall, self.set(1.0, "one"))
        self.assertEqual(self.clock.seconds(), self.beneath.seconds())

    def test_in_order(self) -> None:
        """Each ends when its own time has come, and not again."""
        self.set(1.0, "a")
        self.assertEqual(self.advance(0.5), [])
        self.set(1.0, "b")
        self.set(10.0, "ten")
        self.assertEqual(self.advance(0.5), ["a"])
        self.assertEqual(self.advance(0.5), ["b"])
        self.assertEqual(self.advance(5.0), [])
        self.assertEqual(self.advance(4.5), ["ten"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.beneath.getDelayedCalls(), [])

    def test_late(self) -> None:
        """A clock that jumps ends all that are due, in order."""
        self.set(1.0, "a")
        self.beneath.rightNow += 0.1
        self.set(1.0, "b")
        self.assertEqual(self.advance(7.0), ["a", "b"])

    def test_one_beneath(self) -> None:
        """However many there are, one for each queue is with the clock beneath."""
        for _ in range(50):
            self.set(1.0, "a")
            self.set(10.0, "b")
        self.assertEqual(len(self.beneath.getDelayedCalls()), 2)
        self.assertEqual(len(self.clock.getDelayedCalls()), 100)

    def test_cancelled(self) -> None:
        """A cancelled one, first, last or between, does not end; the others do in time."""
        timers = [self.set(1.0, name) for name in "abc"]
        timers[1].cancel()
        timers[0].cancel()
        self.assertEqual([each.active() for each in timers], [False, False, True])
        self.assertEqual(self.advance(1.0), ["c"])

    def test_nothing_left(self) -> None:
        """When all are cancelled, nothing stays with the clock beneath; the next one works."""
        for timer in [self.set(1.0, "a"), self.set(1.0, "b")]:
            timer.cancel()
        self.assertEqual(self.beneath.getDelayedCalls(), [])
        self.set(1.0, "c")
        self.assertEqual(self.advance(1.0), ["c"])

    def test_many_cancelled(self) -> None:
        """Cancelled ones are forgotten before their time, when they are many."""
        kept = self.set(10.0, "kept")
        for _ in range(10 * SLACK):
            self.set(10.0, "gone").cancel()
        (queue,) = [each for each in self.clock._queues.values() if each.live()]
        self.assertLess(len(queue._timers), 2 * SLACK + 2)
        self.assertTrue(kept.active())
        self.assertEqual(self.advance(10.0), ["kept"])

    def test_twice(self) -> None:
        """What has ended or was cancelled cannot be cancelled."""
        ended, cancelled = self.set(1.0, "a"), self.set(10.0, "b")
        cancelled.cancel()
        self.advance(1.0)
        self.assertRaises(AlreadyCalled, ended.cancel)
        self.assertRaises(AlreadyCancelled, cancelled.cancel)
        self.assertRaises(AlreadyCancelled, cancelled.reset, 1.0)

    def test_moved(self) -> None:
        """One that is moved ends at its new time, before or after others."""
        first, second = self.set(10.0, "first"), self.set(10.0, "second")
        first.delay(5.0)
        second.reset(3.0)
        self.assertEqual((first.getTime(), second.getTime()), (15.0, 3.0))
        self.assertEqual(self.advance(3.0), ["second"])
        self.assertEqual(self.advance(7.0), [])
        self.assertEqual(self.advance(5.0), ["first"])

    def test_set_while_ending(self) -> None:
        """One that sets the next, as retransmissions do, and one that cancels its neighbour."""
        def again() -> None:
            self.events.append("again")
            self.set(1.0, "next")
            neighbour.cancel()

        self.clock.callLater(1.0, again)
        neighbour = self.set(1.0, "neighbour")
        self.assertEqual(self.advance(1.0), ["again"])
        self.assertEqual(self.advance(1.0), ["next"])

    def test_failure(self) -> None:
        """One that raises is logged, and the others end."""
        def broken() -> None:
            raise ZeroDivisionError

        self.clock.callLater(1.0, broken)
        self.set(1.0, "other")
        self.assertEqual(self.advance(1.0), ["other"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_set_back(self) -> None:
        """What is set after the clock was set back does not wait for what was set before."""
        self.beneath.rightNow = 1000.0
        self.set(1.0, "before")
        self.beneath.rightNow = 10.0
        self.set(1.0, "after")
        self.assertEqual(self.advance(1.0), ["after"])

    def test_other_lengths(self) -> None:
        """Other lengths, and calls with arguments, go on to the clock beneath."""
        self.clock.callLater(2.0, self.events.append, "two")
        self.clock.callLater(1.0, self.events.append, "with arguments")
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.advance(1.0, 1.0), ["with arguments", "two"])
