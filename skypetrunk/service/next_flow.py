"""Requests that have no other way than the flow that was lost: they wait for the next one."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from skypetrunk.errors import NoTarget
from skypetrunk.interfaces import IMessageChannel


class NextFlow:
    """Those of one trunk."""

    def __init__(self, clock: IReactorTime, seconds: float) -> None:
        """
        @param seconds: how long each waits.
        """
        self._clock = clock
        self._seconds = seconds
        self._waiting: list[Deferred[IMessageChannel]] = []

    def wait(self, problem: NoTarget) -> Deferred[IMessageChannel]:
        """The next flow, or C{problem} if it does not come soon."""
        waiting: Deferred[IMessageChannel] = Deferred(lambda waiting: waiting.errback(problem))
        self._waiting.append(waiting)
        waiting.addTimeout(self._seconds, self._clock)

        def over(result: IMessageChannel | Failure) -> IMessageChannel | Failure:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            return result

        return waiting.addBoth(over)

    def found(self, channel: IMessageChannel) -> None:
        """There is one."""
        for waiting in tuple(self._waiting):
            waiting.callback(channel)

    def stop(self) -> None:
        """There will be none."""
        for waiting in tuple(self._waiting):
            waiting.cancel()


__all__ = ["NextFlow"]
