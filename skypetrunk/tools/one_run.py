"""A command that runs the reactor until its work is done, or a signal ends it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

INTERRUPTED = 130
"""The exit status of a command that a signal has ended, as shells have it."""


class OneRun:
    """One run of the reactor."""

    def __init__(
        self,
        reactor: Any,
        work: Callable[[], Coroutine[Any, Any, int]],
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """
        @param work: cancelled by a signal; it takes back what it has begun, and the reactor waits for that.
        @param stopping: tells whether it is about to end by itself, and needs no cancelling.
        """
        self._reactor = reactor
        self._work = work
        self._stopping = stopping
        self._running: Deferred[int] | None = None
        self._result: int | Failure = INTERRUPTED

    def run(self) -> int:
        """
        Until it is over.

        @return: the exit status.
        @raise Exception: what the work has raised.
        """
        self._reactor.callWhenRunning(self._begin)
        self._reactor.addSystemEventTrigger("before", "shutdown", self._interrupted)
        self._reactor.run()
        if isinstance(self._result, Failure):
            self._result.raiseException()
        return self._result

    def _begin(self) -> None:
        self._running = Deferred.fromCoroutine(self._work())
        self._running.addBoth(self._over)

    def _over(self, result: int | Failure) -> None:
        self._running = None
        cancelled = isinstance(result, Failure) and result.check(CancelledError) is not None
        self._result = INTERRUPTED if cancelled else result
        if self._reactor.running:
            self._reactor.callLater(0, self._reactor.stop)

    def _interrupted(self) -> Deferred[None] | None:
        """The reactor is about to stop."""
        running = self._running
        if running is None:
            return None
        over: Deferred[None] = Deferred()
        running.addBoth(lambda _: over.callback(None))
        if not self._stopping():
            running.cancel()
        return over


__all__ = ["INTERRUPTED", "OneRun"]
