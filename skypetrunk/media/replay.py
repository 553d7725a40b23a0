"""What was received already (RFC 3711 section 3.3.2): one window for each SSRC and kind of packet."""

from __future__ import annotations

from dataclasses import dataclass, field

from skypetrunk.errors import PacketRefused

WINDOW = 128
"""Packets, RFC 3711 wants 64 at least; 2.5 s of sound."""


class ReplayWindow:
    """
    Indices that were seen.

    @ivar highest: the highest of them, -1 at first.
    """

    __slots__ = ("_seen", "highest")

    def __init__(self) -> None:
        self.highest = -1
        self._seen = 0

    def begin(self, index: int, seen: bool = False) -> None:
        """
        Begin anew at C{index}.

        @param seen: as if all before it and itself had been seen.
        """
        self.highest = index
        self._seen = (1 << WINDOW) - 1 if seen else 0

    def check(self, index: int) -> None:
        """
        @raise PacketRefused: C{index} was seen, or is older than the window.
        """
        behind = self.highest - index
        if behind >= 0 and (behind >= WINDOW or self._seen >> behind & 1):
            raise PacketRefused("replay")

    def add(self, index: int) -> None:
        """C{index} is authentic."""
        ahead = index - self.highest
        if ahead > 0:
            self._seen = (self._seen << min(ahead, WINDOW) | 1) & (1 << WINDOW) - 1
            self.highest = index
        else:
            self._seen |= 1 << -ahead


@dataclass(slots=True)
class Seen:
    """
    What was seen of one SSRC.

    @ivar nextRTCP: the index of what we send next.
    @ivar given: the roll-over counter of its next RTP packet is that of C{rtp}, whatever its sequence number.
    """

    rtp: ReplayWindow = field(default_factory=ReplayWindow)
    rtcp: ReplayWindow = field(default_factory=ReplayWindow)
    nextRTCP: int = 0
    given: bool = False

    def resume(self, counter: int) -> None:
        """RTP goes on with this roll-over counter, whatever came before."""
        self.rtp.begin(counter << 16)
        self.given = True

    def addRTP(self, other: Seen | None, index: int) -> None:
        """
        What was seen elsewhere.

        @param other: of that; C{None}: nobody knows what, up to C{index}.
        """
        before = self.rtp
        self.rtp = _both(before, None if other is None else other.rtp, index)
        if self.rtp is not before:
            self.given = other is not None and other.given and self.rtp is other.rtp

    def addRTCP(self, other: Seen | None, index: int) -> None:
        """The same of RTCP."""
        self.rtcp = _both(self.rtcp, None if other is None else other.rtcp, index)


def _both(before: ReplayWindow, other: ReplayWindow | None, index: int) -> ReplayWindow:
    if other is not None and before.highest < 0:
        return other
    if other is before:
        return before
    window = ReplayWindow()
    window.begin(max(before.highest, index, -1 if other is None else other.highest), seen=True)
    return window


__all__ = ["WINDOW", "ReplayWindow", "Seen"]
