"""
The timers of SIP transactions: RFC 3261 table 4, and L and M of RFC 6026.

All figures are seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.interfaces import IDelayedCall, IReactorTime


@dataclass(frozen=True, slots=True)
class Timers:
    """
    The three base values, and what RFC 3261 derives from them.

    @ivar t1: estimate of the round-trip time.
    @ivar t2: longest interval between retransmissions, INVITE requests excepted.
    @ivar t4: how long a message may stay in the network.
    """

    t1: float = 0.5
    t2: float = 4.0
    t4: float = 5.0

    @property
    def bound(self) -> float:
        """64*T1: timers B, D, F, H, J, L, M and the bound after CANCEL (section 9.1)."""
        return 64 * self.t1

    def capped(self, interval: float) -> float:
        """The interval after C{interval} for timers E and G: twice it, at most T2."""
        return min(2 * interval, self.t2)


def glareDelay(ours: bool, chance: int) -> float:
    """
    Seconds until an INVITE that was answered 491 is sent again, in steps of 10 ms (RFC 3261 section 14.1).

    @param ours: the Call-ID is ours: 2.1 to 4 s; else up to 2 s.
    @param chance: a random number of at least 16 bits.
    """
    return (210 + chance % 191) / 100 if ours else chance % 201 / 100


class StateTimers:
    """
    What runs while a machine is in one state: the data of that state, handed to
    each transition that leaves it.

    @ivar interval: seconds until the next retransmission after the one that is awaited.
    @ivar held: headers of a CANCEL that waits for the first provisional response, or C{None}.
    """

    __slots__ = ("_expiry", "_resend", "held", "interval")

    def __init__(
        self, expiry: IDelayedCall | None = None, resend: IDelayedCall | None = None, interval: float = 0.0
    ) -> None:
        self._expiry = expiry
        self._resend = resend
        self.interval = interval
        self.held: tuple[tuple[str, str], ...] | None = None

    def resendBy(self, resend: IDelayedCall) -> None:
        """The next retransmission was scheduled."""
        self._resend = resend

    def cancel(self) -> None:
        """The state is left: nothing of it fires any more."""
        if self._expiry is not None and self._expiry.active():
            self._expiry.cancel()
        if self._resend is not None and self._resend.active():
            self._resend.cancel()
        # A call that has fired still refers to the machine, and the machine to us.
        self._expiry = self._resend = None


def untimed() -> StateTimers:
    """A state that waits for its user or its peer without a bound of its own."""
    return StateTimers()


def waiting(clock: IReactorTime, seconds: float, expired: Callable[[], None]) -> StateTimers:
    """
    A state that ends after C{seconds}.

    With 0 seconds (timers D, I, J, K on a reliable transport) C{expired} is called
    here: the machine that is entering the state queues it until that transition is done.
    """
    if seconds:
        return StateTimers(clock.callLater(seconds, expired))
    expired()
    return StateTimers()
