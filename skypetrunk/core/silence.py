"""Calls that nobody is in any more: no packet comes from either side, and nobody has hung up."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from skypetrunk.core.bridge import Bridge
from skypetrunk.interfaces import DirectionStatistics

LOOKS = 10
"""How often a call is looked at within the time that it may be silent."""


class SilenceWatch:
    """Ends calls that stand, should have media, and have had none for too long."""

    def __init__(self, clock: IReactorTime, seconds: float, calls: Callable[[], Iterable[Bridge]]) -> None:
        """
        @param seconds: of silence that end a call; 0 for none.
        @param calls: all there are.
        """
        self._clock = clock
        self._seconds = seconds
        self._calls = calls
        self._heard: dict[Bridge, tuple[int, float]] = {}
        self._next: IDelayedCall | None = None

    def begin(self) -> None:
        """There is a call."""
        if self._seconds and self._next is None:
            self._next = self._clock.callLater(self._seconds / LOOKS, self._look)

    def end(self) -> None:
        """There is none any more."""
        self._heard.clear()
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _look(self) -> None:
        self._next = None
        self.begin()
        now = self._clock.seconds()
        before, self._heard = self._heard, {}
        for call in tuple(self._calls()):
            if not call.standing or not call.expectsMedia:
                # On hold nobody has to send; the time begins when that ends.
                continue
            count = sum(_packets(leg.session.media.statistics().received) for leg in call.legs)
            seen, since = before.get(call, (-1, now))
            if count != seen:
                since = now
            self._heard[call] = count, since
            if now - since >= self._seconds:
                call.hangUp(f"no packet from either side for {self._seconds:.0f} s")


def _packets(received: DirectionStatistics) -> int:
    """All that shows that somebody is there, also what was refused."""
    return received.packets + received.rtcpPackets + sum(number for _, number in received.refused)


__all__ = ["SilenceWatch"]
