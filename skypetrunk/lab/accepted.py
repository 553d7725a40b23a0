"""A 2xx of the lab to an INVITE, until its ACK comes (RFC 3261 section 13.3.1.4)."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from skypetrunk.core.timers import Timers
from skypetrunk.interfaces import IServerTransaction
from skypetrunk.wire.message import Response

__all__ = ["Accepted"]


class Accepted:
    """
    One 2xx.

    @ivar number: of its INVITE.
    @ivar late: the ACK brings the answer to the offer in it.
    """

    def __init__(
        self,
        transaction: IServerTransaction,
        response: Response,
        late: bool,
        unacknowledged: Callable[[], None],
    ) -> None:
        """
        @param unacknowledged: told when no ACK came for 64*T1.
        """
        self.number = response.cseq.number
        self.late = late
        self._transaction = transaction
        self._response = response
        self._unacknowledged = unacknowledged
        self._next: IDelayedCall | None = None

    def begin(self, clock: IReactorTime, timers: Timers) -> None:
        """Send it, and go on doing so: over TLS too, as ACK is end to end (section 13.3.1.4)."""
        self._clock = clock
        self._timers = timers
        self._until = clock.seconds() + timers.bound
        self._send(timers.t1)

    def _send(self, interval: float) -> None:
        if self._clock.seconds() >= self._until:
            self._unacknowledged()
            return
        self._transaction.respond(self._response)
        wait = min(interval, self._until - self._clock.seconds())
        self._next = self._clock.callLater(wait, self._send, self._timers.capped(interval))

    def stop(self) -> None:
        """Its ACK came, or the call is over."""
        if self._next is not None and self._next.active():
            self._next.cancel()
