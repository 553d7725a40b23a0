"""
When a registration that failed is tried again: soon where the carrier may recover, slowly where somebody has
to change something first.  It is always tried again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from twisted.internet.interfaces import IReactorTime

from skypetrunk.printable import printable
from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.message import Response, reasonPhrase

#: Seconds until the first attempt after a failure, and the longest; doubling in between.
RETRY = (4.0, 300.0)
#: The same where somebody has to change something first: trying more often may lock the account.
RETRY_SLOWLY = (60.0, 1800.0)
#: A Retry-After is obeyed up to here: one that is wrong must not cost a day of calls.
RETRY_AFTER_LIMIT = 3600.0

#: Statuses after which somebody has to change something.
REFUSED = frozenset({401, 403, 404, 407})


class HoldOff(NamedTuple):
    """
    A refusal that holds over the next connection too: a carrier that closes after it must not be asked each
    time.

    @ivar until: the clock's time.
    @ivar peer: who said so, C{None} if it holds wherever the account is known.
    """

    until: float
    peer: TransportAddress | None
    reason: str
    status: int


class RetryLanes:
    """The waiting of one registration."""

    def __init__(self, clock: IReactorTime, random: Callable[[], float]) -> None:
        """
        @param random: 0 to 1; up to half of each delay is left to it.
        """
        self._clock = clock
        self._random = random
        self._failures = 0
        self._holdOff: HoldOff | None = None

    def after(
        self, reason: str, status: int, peer: TransportAddress, retryAfter: int | None, slowly: bool
    ) -> float:
        """Seconds to wait after a refusal by C{peer}, who may have named some itself."""
        delay = self._next(RETRY_SLOWLY if slowly else RETRY)
        if retryAfter is not None:
            # Up to a tenth later: all its customers were told the same.
            spread = 1.1 - 0.1 * self._random()
            delay = max(delay, min(float(retryAfter), RETRY_AFTER_LIMIT) * spread)
        if slowly or retryAfter is not None:
            where = None if slowly else peer
            self._holdOff = HoldOff(self._clock.seconds() + delay, where, reason, status)
        return delay

    def afterSilence(self) -> float:
        """Seconds to wait where nobody answered."""
        return self._next(RETRY)

    def holdOff(self, peer: TransportAddress) -> tuple[HoldOff, float] | None:
        """The refusal that keeps us from asking C{peer} now, and for how many seconds."""
        hold = self._holdOff
        if hold is None or hold.peer not in (None, peer):
            return None
        left = hold.until - self._clock.seconds()
        return (hold, left) if left > 0 else None

    def reset(self) -> None:
        """Success, or another password: all begins anew."""
        self._failures = 0
        self._holdOff = None

    def _next(self, lane: tuple[float, float]) -> float:
        first, longest = lane
        delay = min(first * 2.0 ** min(self._failures, 30), longest) * (0.5 + 0.5 * self._random())
        self._failures += 1
        return delay


def refusalReason(response: Response, user: str, domain: str, problem: str) -> str:
    """
    Why C{response} refuses the account C{user}, in words for the operator.

    @param problem: what was wrong with our credentials, after 401 and 407.
    """
    reason = printable(response.reason) or reasonPhrase(response.status)
    match response.status:
        case 401 | 407:
            return f"{reason}: {problem}"
        case 403:
            return f"{reason}: password or permission of account {user} is wrong"
        case 404:
            return f"{reason}: account {user} is not known at {domain}"
    return reason


__all__ = ["REFUSED", "HoldOff", "RetryLanes", "refusalReason"]
