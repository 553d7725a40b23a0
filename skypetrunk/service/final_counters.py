"""The end of a call is told when the last counters of its media are in: a media worker has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.logger import Logger
from zope.interface import implementer

from skypetrunk.interfaces import CallEnded, CallRequest, IDialogObserver, LegStatistics
from skypetrunk.media.kept_leg import PendingStatistics


@implementer(IDialogObserver)
class FinalCounters:
    """Stands before observers that keep what the media of a call was like."""

    _log = Logger()

    def __init__(self, observers: Sequence[IDialogObserver]) -> None:
        self._observers = tuple(observers)
        self._waiting: set[Deferred[Any]] = set()

    def callStarted(self, request: CallRequest) -> None:
        """See L{IDialogObserver}."""
        self._tell(lambda observer: observer.callStarted(request))

    def callAnswered(self, call: str) -> None:
        """See L{IDialogObserver}."""
        self._tell(lambda observer: observer.callAnswered(call))

    def callEnded(self, ended: CallEnded, media: Sequence[LegStatistics]) -> None:
        """At once, unless there is something to wait for; each has a bound of its own."""
        pending = [each.final for each in media if isinstance(each, PendingStatistics)]
        if not pending:
            self._tell(lambda observer: observer.callEnded(ended, media))
            return
        legs = tuple(media)

        def counted(finals: list[LegStatistics]) -> None:
            self._waiting.discard(waiting)
            final = iter(finals)
            known = [next(final) if isinstance(leg, PendingStatistics) else leg for leg in legs]
            self._tell(lambda observer: observer.callEnded(ended, known))

        waiting = gatherResults(pending)
        self._waiting.add(waiting)
        waiting.addCallback(counted)

    def settled(self) -> Deferred[Any]:
        """Fires when nothing is waited for any more."""
        return DeferredList(list(self._waiting))

    def _tell(self, tell: Callable[[IDialogObserver], None]) -> None:
        for observer in self._observers:
            try:
                tell(observer)
            except Exception:
                self._log.failure("the observer {observer!r} failed", observer=observer)


__all__ = ["FinalCounters"]
