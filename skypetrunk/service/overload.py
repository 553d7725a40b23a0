"""Overload: how late the reactor is, and new calls that are refused before answers grow slow."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from skypetrunk.core.answers import CONGESTION
from skypetrunk.errors import CallRefused

TICK = 0.1
"""Seconds between two looks at the clock."""

LATE = 0.2
"""Seconds.  A peer sends its request again after 0.5 s (T1), which makes the load larger still."""

TOO_LATE = 0.4
"""Seconds after which one turn of the reactor is enough to refuse what else comes in it."""

WAITED = 0.1
"""Seconds.  Requests that waited longer have many others behind them; soon the socket's buffer is full."""

LASTING = 0.3
"""Seconds for which that must last the first time: what piled up in one pause of the process is served."""

CALM = 2.0
"""Seconds without a refusal after which it is over."""


class LoadMeter:
    """
    Looks whether what should happen now happens now, and whether what comes is read when it comes.

    One late turn may be anything; two of them, or one that is very long, are overload.  Refusals cost little,
    so that a trunk that has more than it can carry is on time again at once, and carries what it can.

    @ivar refused: calls.
    @ivar lateness: seconds, at the last look.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, chance: Callable[[], float]) -> None:
        """
        @param chance: random, from 0 to 1, so that not all who were refused come back together.
        """
        self.refused = 0
        self.lateness = 0.0
        self._clock = clock
        self._chance = chance
        self._due = 0.0
        self._late = 0
        self._logged = False
        self._waited = 0.0
        self._slowSince: float | None = None
        self._read = 0.0
        self._refused = float("-inf")
        self._next: IDelayedCall | None = None

    def start(self) -> None:
        """Look from now on."""
        self._late = 0
        self._schedule()

    def stop(self) -> None:
        """Look no more."""
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._next = None

    def _schedule(self) -> None:
        self._due = self._clock.seconds() + TICK
        self._next = self._clock.callLater(TICK, self._look)

    def _look(self) -> None:
        self.lateness = max(self._clock.seconds() - self._due, 0.0)
        self._late = self._late + 1 if self.lateness > LATE else 0
        if self._logged and not self._late and self._clock.seconds() - self._refused >= CALM:
            self._logged = False
            self._log.info(
                "on time again; {refused} calls were refused since the start", refused=self.refused
            )
        self._schedule()

    @property
    def overloaded(self) -> bool:
        """Would a call that comes now be answered late?"""
        if self._next is None:
            return False
        now = self._clock.seconds()
        if self._slowSince is not None and now - self._read < TICK:
            if now - self._slowSince >= LASTING or now - self._refused < CALM:
                return True
        return self._late > 1 or now - self._due > TOO_LATE

    def waited(self, seconds: float) -> None:
        """What is read now has waited for that since it came."""
        self._waited = seconds
        if seconds <= WAITED:
            self._slowSince = None
            return
        now = self._clock.seconds()
        # With long silence between two of them it is not one that lasts.
        if self._slowSince is None or now - self._read > LASTING:
            self._slowSince = now
        self._read = now

    def admit(self) -> None:
        """
        Let a new call go on.

        @raise CallRefused: there is too much to do.
        """
        if not self.overloaded:
            return
        self.refused += 1
        self._refused = self._clock.seconds()
        if not self._logged:
            self._logged = True
            late = max(self.lateness, self._waited)
            self._log.warn("overload: {late:.2f} s late, new calls are refused", late=late)
        raise CallRefused("the trunk is overloaded", 503, CONGESTION, retryAfter=2 + int(self._chance() * 6))
