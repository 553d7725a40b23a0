"""
Keep-alives of a stream with nothing to say (RFC 6263).

They open the way through NAT, and they are the first packet that a carrier waits for
before it sends early media.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

INTERVAL = 15.0
"""Seconds of silence between keep-alives (RFC 6263 section 5: Tr)."""

BURST = 3
"""Packets at the start: one may be lost, and a latch may want more than one."""

QUIET = 1.0
"""Seconds: a stream that sent something within them needs no burst."""


class KeepAlive:
    """
    Sends when nothing else was sent.

    @ivar last: when the last packet was sent (seconds); the relay writes it.
    """

    def __init__(
        self, clock: IReactorTime, send: Callable[[int], bool], look: Callable[[], None]
    ) -> None:
        """
        @param send: sends so many keep-alives; C{False}: there was no place to send them to.
        @param look: sees to it that C{last} is true.
        """
        self._look = look
        self._clock = clock
        self._send = send
        self._call: IDelayedCall | None = None
        self.last = float("-inf")

    def start(self) -> None:
        """The way is known, or it changed: a burst unless media flows, and from now on the interval."""
        now = self._clock.seconds()
        if now - self.last >= QUIET and self._send(BURST):
            self.last = now
        if self._call is None:
            self._call = self._clock.callLater(INTERVAL, self._tick)

    def stop(self) -> None:
        """No more of them; who sent them is let go."""
        self._send, self._look = _nowhere, _nothing
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _tick(self) -> None:
        self._look()
        now = self._clock.seconds()
        wait = self.last + INTERVAL - now
        if wait < 0.001:  # a clock's sums are not exact
            wait = INTERVAL
            if self._send(1):
                self.last = now
        self._call = self._clock.callLater(wait, self._tick)


def _nowhere(count: int) -> bool:
    return False


def _nothing() -> None:
    """There is nothing to look at."""
