"""
What stands between a packet and the SRTP context of its key, where that alone does not decide.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from skypetrunk.errors import PacketRefused
from skypetrunk.media.gap import Gap
from skypetrunk.media.known import Known
from skypetrunk.media.own_srtp import OwnGuard
from skypetrunk.media.replay import WINDOW
from skypetrunk.media.roll_over import Life
from skypetrunk.wire.rtp import parseRTP


class RTPGuard(Protocol):
    """What L{IPacketGuard} says of RTP."""

    suite: str

    def rtp(self, packet: bytes) -> bytes:
        """See L{IPacketGuard}."""


class ResumedGuard:
    """RTP of a context some of whose sources go on with other numbers."""

    def __init__(self, plain: RTPGuard, own: OwnGuard, lives: dict[int, Life]) -> None:
        self.suite = plain.suite
        self._plain = plain
        self._own = own
        self._lives = lives

    def rtp(self, packet: bytes) -> bytes:
        """An RTP packet; see L{IPacketGuard}."""
        life = self._lives.get(int.from_bytes(packet[8:12], "big"))
        if life is None:
            return self._plain.rtp(packet)
        if life.beyond:
            header = parseRTP(packet)
            if life.knows(header.timestamp):
                raise PacketRefused("replay")
            if self._own.highest(header.ssrc) > life.beyond + WINDOW:
                life.beyond = 0
        return self._own.rtp(packet)


class GapGuard:
    """RTP of a context some of whose sources have L{Gap}s."""

    def __init__(self, guard: RTPGuard, gaps: dict[int, Gap], passed: Callable[[], object]) -> None:
        """
        @param passed: called when there is no gap any more.
        """
        self.suite = guard.suite
        self._guard = guard
        self._gaps = gaps
        self._passed = passed

    def rtp(self, packet: bytes) -> bytes:
        """An RTP packet; see L{IPacketGuard}."""
        gap = self._gaps.get(int.from_bytes(packet[8:12], "big"))
        if gap is None:
            return self._guard.rtp(packet)
        header = parseRTP(packet)
        gap.check(header)
        plain = self._guard.rtp(packet)
        if gap.accepted(header):
            del self._gaps[header.ssrc]
            if not self._gaps:
                self._passed()
        return plain


class ClosedGuard:
    """RTP of a context that has enough sources."""

    def __init__(self, guard: RTPGuard, known: Known) -> None:
        self.suite = guard.suite
        self._guard = guard
        self._known = known

    def rtp(self, packet: bytes) -> bytes:
        """An RTP packet; see L{IPacketGuard}."""
        if self._known.isStranger(int.from_bytes(packet[8:12], "big")):
            raise PacketRefused("source")
        return self._guard.rtp(packet)


__all__ = ["ClosedGuard", "GapGuard", "RTPGuard", "ResumedGuard"]
