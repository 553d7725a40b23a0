"""How long a connection was quiet: carriers close those that say nothing for a while, and mean no harm."""

from __future__ import annotations

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from skypetrunk.net.tcp_options import UNRECEIPTED

IDLE = 20.0
"""Seconds without a message after which the peer's closing is not about what was said."""

#: Seconds after a ping between which an end means that nobody received it.
_NOT_RECEIVED = (UNRECEIPTED - 1, UNRECEIPTED + 5)


class Quiet:
    """
    Of one connection.

    @ivar idle: seconds of quiet after which the peer closed it for that; C{None} while it stands, or if it
        ended otherwise.
    @ivar pinged: pings were sent in that time.
    @ivar since: the clock's time of the last message.
    """

    __slots__ = ("_clock", "_heard", "_pingedAt", "idle", "pinged", "since")

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self.since = clock.seconds()
        self._pingedAt = 0.0
        self._heard = False
        self.idle: float | None = None
        self.pinged = False

    def heard(self) -> None:
        """A message came."""
        self._heard = True
        self.spoken()

    def spoken(self) -> None:
        """A message was sent or came."""
        self.since = self._clock.seconds()
        self.pinged = False

    def ping(self) -> None:
        """A ping was sent: that is no message."""
        self._pingedAt = self._clock.seconds()
        self.pinged = True

    def ended(self, reason: Failure) -> None:
        """The connection ended."""
        now = self._clock.seconds()
        first, last = _NOT_RECEIVED
        # Many close without TLS's goodbye, which looks like any other loss.
        dead = self.pinged and first <= now - self._pingedAt <= last
        idly = reason.check(ConnectionDone) or (reason.check(ConnectionLost) and not dead)
        # Who never said anything has not closed because all was said.
        if idly and self._heard and now - self.since >= IDLE:
            self.idle = now - self.since


__all__ = ["IDLE", "Quiet"]
