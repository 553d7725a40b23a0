"""The end of a call is told with its last counters."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skypetrunk.interfaces import CallEnded, DirectionStatistics, IDialogObserver, LegStatistics
from skypetrunk.media.kept_leg import PendingStatistics
from skypetrunk.service.final_counters import FinalCounters
from tests.core.callnet import Observer

ENDED = CallEnded("call", "hung up", 200, "caller", 1.0)


def leg(packets: int) -> LegStatistics:
    """A leg that has heard so many."""
    return LegStatistics("call/pbx", False, None, DirectionStatistics(packets=packets), DirectionStatistics())


class Failing(Observer):
    """Cannot take the end."""

    def callEnded(self, ended: CallEnded, media: Sequence[LegStatistics]) -> None:
        """It fails."""
        raise ZeroDivisionError("marker")


class FinalCountersTests(SynchronousTestCase):
    """Two observers, and the first one fails."""

    def setUp(self) -> None:
        """No call yet."""
        self.heard: list[Sequence[LegStatistics]] = []
        observer = Observer()
        observer.callEnded = lambda ended, media: self.heard.append(tuple(media))  # type: ignore[method-assign]
        self.counters = FinalCounters([Failing(), observer])

    def end(self, *media: LegStatistics) -> None:
        """The call ends."""
        self.counters.callEnded(ENDED, media)

    def pending(self, packets: int) -> PendingStatistics:
        """What is known of a leg, whose last counters come."""
        known = leg(packets)
        final: Deferred[LegStatistics] = Deferred()
        return PendingStatistics(
            known.name, known.secure, known.suite, known.received, known.sent, final=final
        )

    def test_atOnce(self) -> None:
        """With nothing to wait for nobody waits."""
        self.assertTrue(verifyObject(IDialogObserver, self.counters))
        self.end(leg(1), leg(2))
        self.assertEqual(self.heard, [(leg(1), leg(2))])
        self.successResultOf(self.counters.settled())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_waits(self) -> None:
        """All that is missing is waited for, and put where it belongs."""
        one, other = self.pending(1), self.pending(2)
        self.end(one, leg(5), other)
        settled = self.counters.settled()
        other.final.callback(leg(20))
        self.assertEqual(self.heard, [])
        self.assertNoResult(settled)
        one.final.callback(leg(10))
        self.assertEqual(self.heard, [(leg(10), leg(5), leg(20))])
        self.successResultOf(settled)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_cameBefore(self) -> None:
        """Some legs of a call are closed long before its end."""
        early = self.pending(1)
        early.final.callback(leg(10))
        self.end(early)
        self.assertEqual(self.heard, [(leg(10),)])
        self.successResultOf(self.counters.settled())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
