"""
Timers that are set by the thousand, always to the same few lengths, and nearly all cancelled.

The reactor keeps its timers in a heap: setting and cancelling one costs some 5 microseconds, and a cancelled
one stays there.  Timers of one length end in the order in which they were set, so that a queue will do; its
head alone is a timer of the reactor.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

SLACK = 100
"""Cancelled timers that a queue may hold beside as many that run."""


@implementer(IDelayedCall)
class _Timer:
    """One timer of a queue."""

    __slots__ = ("_call", "_cancelled", "_queue", "_time")

    def __init__(self, queue: _Queue, time: float, call: Callable[[], object]) -> None:
        self._queue = queue
        self._time = time
        self._call: Callable[[], object] | None = call
        self._cancelled = False

    def active(self) -> bool:
        """See L{IDelayedCall.active}."""
        return self._call is not None

    def cancel(self) -> None:
        """See L{IDelayedCall.cancel}."""
        if self._call is None:
            self._check()
        self._cancelled = True
        self._call = None
        self._queue.cancelled()

    def getTime(self) -> float:
        """See L{IDelayedCall.getTime}."""
        return self._time

    def delay(self, secondsLater: float) -> None:
        """See L{IDelayedCall.delay}."""
        self._queue.move(self, self._time + secondsLater)

    def reset(self, secondsFromNow: float) -> None:
        """See L{IDelayedCall.reset}."""
        self._queue.move(self, self._queue.seconds() + secondsFromNow)

    def _check(self) -> None:
        if self._call is None:
            raise AlreadyCancelled() if self._cancelled else AlreadyCalled()


class _Queue:
    """The timers of one length."""

    _log = Logger()

    def __init__(self, clock: IReactorTime, length: float) -> None:
        self.seconds = clock.seconds
        self._clock = clock
        self._length = length
        self._timers: deque[_Timer] = deque()
        self._dead = 0
        self._next: IDelayedCall | None = None

    def add(self, call: Callable[[], object]) -> _Timer:
        timer = _Timer(self, self.seconds() + self._length, call)
        timers = self._timers
        if timers and timer._time < timers[-1]._time:
            self._insert(timer)  # the clock was set back
        else:
            timers.append(timer)
            if self._next is None:
                self._next = self._clock.callLater(self._length, self._passed)
        return timer

    def cancelled(self) -> None:
        """Forget the dead when they are many, or alone."""
        self._dead += 1
        if self._dead == len(self._timers):
            self._timers.clear()
            self._dead = 0
            self._schedule()
        elif self._dead > SLACK and self._dead > len(self._timers) // 2:
            self._timers = deque(self.live())
            self._dead = 0

    def move(self, timer: _Timer, time: float) -> None:
        """C{timer} shall end at another time than its place says."""
        timer._check()
        self._timers.remove(timer)
        timer._time = time
        self._insert(timer)

    def _insert(self, timer: _Timer) -> None:
        place = sum(each._time <= timer._time for each in self._timers)
        self._timers.insert(place, timer)
        if place == 0:
            self._schedule()

    def live(self) -> list[_Timer]:
        return [timer for timer in self._timers if timer._call is not None]

    def _schedule(self) -> None:
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._next = None
        if self._timers:
            wait = max(self._timers[0]._time - self.seconds(), 0.0)
            self._next = self._clock.callLater(wait, self._passed)

    def _passed(self) -> None:
        """Call those whose time has come."""
        now = self.seconds()
        while self._timers:
            timer = self._timers[0]
            call = timer._call
            if call is None:
                self._dead -= 1
            elif timer._time > now:
                break
            self._timers.popleft()
            if call is not None:
                timer._call = None
                try:
                    call()
                except Exception:
                    self._log.failure("a timer failed")
        self._schedule()


@implementer(IReactorTime)
class QueuedClock:
    """A clock with queues for the lengths that are set often; all others go on to the clock beneath."""

    def __init__(self, clock: IReactorTime, lengths: Iterable[float]) -> None:
        """
        @param lengths: seconds.
        """
        self.seconds = clock.seconds
        self._clock = clock
        self._queues = {length: _Queue(clock, length) for length in lengths}

    def callLater(
        self, delay: float, callable: Callable[..., Any], *args: object, **kwargs: object
    ) -> IDelayedCall:
        """See L{IReactorTime.callLater}."""
        queue = self._queues.get(delay)
        if queue is None or args or kwargs:
            return self._clock.callLater(delay, callable, *args, **kwargs)
        return queue.add(callable)

    def getDelayedCalls(self) -> list[IDelayedCall]:
        """The timers of the queues; those beneath belong to others, too."""
        return [timer for queue in self._queues.values() for timer in queue.live()]
