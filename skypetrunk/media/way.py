"""Where the packets of one leg go and come from, and what has come since its peer was described last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skypetrunk.interfaces import MediaWay

if TYPE_CHECKING:
    from skypetrunk.media.counters import Counters


class Way:
    """
    Of one leg.

    @ivar bound: our own host.
    @ivar stranger: the host that was refused last, as the peer's SDP does not name it.
    """

    __slots__ = ("_described", "_heard", "_heardAt", "_marks", "_signalled", "bound", "stranger")

    def __init__(self) -> None:
        self.bound = ""
        self.stranger: str | None = None
        self._signalled: str | None = None
        self._described: float | None = None
        self._marks = (0, 0, 0)
        self._heard = 0
        self._heardAt: float | None = None

    def described(self, host: str | None, received: Counters, now: float) -> None:
        """
        The peer's SDP was taken, be it the same as before.

        @param host: where it says it receives; C{None} on hold.
        """
        self._signalled = host or self._signalled
        self._described = now
        self._marks = received.packets, received.refusals("authentication"), received.refusals("source")

    @property
    def quietSince(self) -> float | None:
        """When something had come at the last look."""
        return self._heardAt

    def look(self, received: Counters, now: float) -> None:
        """From time to time: does anything come?"""
        if received.packets != self._heard:
            self._heard, self._heardAt = received.packets, now

    def value(self, told: str, source: str | None, received: Counters, now: float) -> MediaWay:
        """
        All of it.

        @param told: our host in our SDP.
        @param source: from where the peer sends, where that is known.
        """
        self.look(received, now)
        packets, authentication, strange = self._marks
        return MediaWay(
            told=told,
            bound=self.bound,
            signalled=self._signalled,
            source=source,
            stranger=self.stranger,
            described=_ago(self._described, now),
            packetsSince=received.packets - packets,
            unauthenticSince=received.refusals("authentication") - authentication,
            strangeSince=received.refusals("source") - strange,
            quiet=_ago(self._heardAt, now),
        )


def _ago(then: float | None, now: float) -> float | None:
    return None if then is None else round(now - then, 1)


__all__ = ["Way"]
