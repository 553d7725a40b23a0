"""What was received already (RFC 3711 section 3.3.2): one window for each SSRC and kind of packet."""

from __future__ import annotations

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


__all__ = ["WINDOW", "ReplayWindow"]
