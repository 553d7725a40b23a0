"""
Which servers of a carrier can be used: what was seen of each, and for how long that counts.

One table for each trunk, and whatever goes to the carrier fills and asks it: connections, REGISTER, OPTIONS
and calls.  A server that failed is passed over for a while, twice as long after each further failure; one
that came back has to hold for a minute before its failures are forgotten, so that a server which comes and
goes is not taken for a good one each time that it comes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skypetrunk.interfaces import Target
from skypetrunk.wire.address import TransportAddress

FIRST_PENALTY = 15.0
"""Seconds that a server is passed over after a failure; twice as long after each further one."""

LONGEST_PENALTY = 240.0
"""A server that came back is used again within this time."""

LONGEST_ASKED = 3600.0
"""A Retry-After is obeyed up to here: one that is wrong must not cost a day of calls."""

SETTLED = 60.0
"""Seconds that a server must have held for its failures to be forgotten."""

PARDONED = 30.0
"""
Seconds in which one 503 without Retry-After is pardoned.  RFC 3261 section 21.5.4 makes it a 500, which
speaks of one call; carriers answer so where a single destination has no circuit.
"""

_MOST_FAILURES = 10
_MOST_TARGETS = 256


@dataclass(slots=True)
class _State:
    """
    One server.

    @ivar target: as it was found first.
    @ivar failures: that count.
    @ivar until: end of the penalty.
    @ivar reason: of the last failure; empty while it is well.
    @ivar asked: the server itself has named the time, and is not tried before (RFC 3261 section 21.5.4).
    @ivar mute: it could be connected to, and did not answer: only an answer shows that it is well.
    @ivar since: when it was well again.
    @ivar struck: when it answered 503 last without more.
    """

    target: Target
    failures: int = 0
    until: float = 0.0
    reason: str = ""
    asked: bool = False
    mute: bool = False
    since: float = 0.0
    struck: float | None = None


class TargetHealth:
    """The servers of one trunk."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        """
        @param seconds: the clock.
        """
        self._seconds = seconds
        self._states: dict[tuple[str, str, int], _State] = {}

    def _stateOf(self, target: Target) -> _State:
        state = self._states.get(target.address)
        if state is None:
            if len(self._states) >= _MOST_TARGETS:
                # The one whose penalty ended first is known the longest, or does not matter.
                del self._states[min(self._states, key=lambda each: self._states[each].until)]
            state = self._states[target.address] = _State(target)
        return state

    def failed(
        self, target: Target, reason: str, retryAfter: float | None = None, *, mute: bool = False
    ) -> float:
        """
        C{target} could not be reached, did not answer, or takes nothing.

        @param reason: in words.
        @param retryAfter: seconds, if it said so itself.
        @param mute: it can be connected to.
        @return: seconds that it is passed over.
        """
        state, now = self._stateOf(target), self._seconds()
        if not state.reason and now - state.since >= SETTLED:
            state.failures = 0
        penalty = min(FIRST_PENALTY * 2**state.failures, LONGEST_PENALTY)
        state.failures = min(state.failures + 1, _MOST_FAILURES)
        state.asked = retryAfter is not None or (state.asked and now < state.until)
        if retryAfter is not None:
            penalty = min(retryAfter, LONGEST_ASKED)
        # What the server asked for is not made shorter by a failure.
        state.until = max(now + penalty, state.until if state.asked else 0.0)
        state.reason = reason
        state.mute = state.mute or mute
        state.struck = None
        return state.until - now

    def struck(self, target: Target, reason: str) -> float:
        """
        C{target} has answered 503 and did not say for how long: the first time that changes nothing.

        @return: seconds that it is passed over.
        """
        state, now = self._stateOf(target), self._seconds()
        if state.struck is not None and now - state.struck <= PARDONED:
            return self.failed(target, reason, mute=True)
        state.struck = now
        return 0.0

    def connected(self, target: Target) -> None:
        """A verified connection to C{target} stands."""
        state = self._states.get(target.address)
        if state is not None and not state.mute:
            self._recovered(state)

    def answered(self, target: Target) -> None:
        """C{target} has answered a request, otherwise than with 503."""
        state = self._states.get(target.address)
        if state is not None:
            state.struck = None
            self._recovered(state)

    def _recovered(self, state: _State) -> None:
        now = self._seconds()
        if state.asked and now < state.until:
            return
        if state.reason:
            state.since = now
        state.reason, state.until, state.asked, state.mute = "", 0.0, False, False

    def usable(self, target: Target) -> bool:
        """Is nothing held against C{target} now?"""
        state = self._states.get(target.address)
        return state is None or state.until <= self._seconds()

    def order(self, targets: Sequence[Target]) -> list[Target]:
        """
        C{targets} in the order to try: those without a penalty as given, then the others by its end, as none
        of them may be as bad as it seems.  Those that asked to be left alone are left out.
        """
        now = self._seconds()

        def left(target: Target) -> float:
            state = self._states.get(target.address)
            return 0.0 if state is None else max(state.until - now, 0.0)

        # The sort is stable.
        return sorted((each for each in targets if not self.avoided(each)), key=left)

    def avoided(self, target: Target) -> bool:
        """Has C{target} asked to be left alone?"""
        state = self._states.get(target.address)
        return state is not None and state.asked and self._seconds() < state.until

    def status(self) -> list[Mapping[str, Any]]:
        """What is held against whom, ready for JSON."""
        now = self._seconds()
        return [
            {
                "target": shown(state.target),
                "penalty": round(max(state.until - now, 0.0), 1),
                "failures": state.failures,
                "reason": state.reason,
            }
            for state in self._states.values()
            if state.reason
        ]


def shown(target: Target) -> str:
    """C{target} for people: address, and the name that it was found by."""
    address = str(TransportAddress(target.transport, target.host, target.port))
    return address if target.name == target.host else f"{address} ({target.name})"


__all__ = [
    "FIRST_PENALTY",
    "LONGEST_ASKED",
    "LONGEST_PENALTY",
    "PARDONED",
    "SETTLED",
    "TargetHealth",
    "shown",
]
