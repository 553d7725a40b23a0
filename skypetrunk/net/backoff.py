"""How long to wait before a connection is made anew."""

from __future__ import annotations

from collections.abc import Callable

from twisted.application.internet import backoffPolicy

#: Seconds until the first new attempt, and between two after many: what a carrier's restart may cost.
#: Chance makes each of them half as long to half as long again.
FIRST_RETRY, LAST_RETRY = 1.0, 120.0

#: Seconds a connection must have lasted for its loss to count as the first failure.
_SETTLED = 60.0


class Backoff:
    """
    How long to wait before the next attempt: doubled each time, half of it and the same again
    left to chance, so that customers of a carrier that failed do not return all at once.
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._failures = 0
        self._policy = backoffPolicy(FIRST_RETRY / 2, LAST_RETRY, 2.0, jitter=lambda: 0.0)

    def reset(self) -> None:
        """The next attempt is the first one."""
        self._failures = 0

    def lost(self, lasted: float) -> None:
        """A connection ended after so many seconds."""
        if lasted >= _SETTLED:
            self._failures = 0

    def __call__(self, attempt: int) -> float:
        """Seconds until the next attempt; its number is not looked at."""
        # Twisted counts anew after each connection; one that breaks at once is a failure too.
        self._failures += 1
        return self._policy(self._failures) * (0.5 + self._random())


__all__ = ["FIRST_RETRY", "LAST_RETRY", "Backoff"]
