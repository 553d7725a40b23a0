"""What a leg hands packets to: the other leg of the call, or what stands before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from skypetrunk.media.relay import MediaLeg
    from skypetrunk.wire.rtp import RTPHeader

Show = Callable[[bytes, float], bool]
"""Gets each plain RTP packet of a leg's peer, and its time; false: it wants no more.  Never raises."""


class Onward(Protocol):
    """Where a leg hands what its peer sent: the other leg, or what stands before it."""

    def sendRTP(self, packet: bytes, header: RTPHeader, now: float) -> None:
        """See L{MediaLeg.sendRTP}."""

    def sendRTCP(self, compound: bytes) -> None:
        """See L{MediaLeg.sendRTCP}."""


class Tapped:
    """
    Stands between two legs of a call that somebody looks at, in one direction.  Calls without one have
    nothing of it, not even a question for each packet.
    """

    __slots__ = ("_leg", "_other", "_show")

    def __init__(self, leg: MediaLeg, other: Onward, show: Show) -> None:
        """
        @param leg: whose peer's packets are shown.
        @param other: where they go.
        """
        self._leg = leg
        self._other = other
        self._show = show

    def sendRTP(self, packet: bytes, header: RTPHeader, now: float) -> None:
        """The call comes first."""
        self._other.sendRTP(packet, header, now)
        if not self._show(packet, now):
            self._leg.untap(self)

    def sendRTCP(self, compound: bytes) -> None:
        """It is not shown."""
        self._other.sendRTCP(compound)


__all__ = ["Onward", "Show", "Tapped"]
