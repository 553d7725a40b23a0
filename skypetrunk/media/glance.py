"""
A look at the sound itself, now and then: is there any, and is it too loud?  For G.711, whose octets say so.

One packet in some hundreds is looked at.  As a tap does, what looks stands in the way of a packet, and then
it is gone again: no other packet pays for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skypetrunk.media.leg_reports import ReportingLeg
    from skypetrunk.media.relay import Onward
    from skypetrunk.wire.rtp import RTPHeader

OFTEN = 3
"""Intervals of reports that have a look each; after them one in so many has."""

LEAST = 3
"""Looks without which nothing is concluded."""

SECONDS = 10.0
"""Between the first look and the last: people wait as long before they say a word."""

_ZEROS: Mapping[str, bytes] = {"PCMU": b"\x7f\xff", "PCMA": b"\x55\xd5"}
"""Octets of no sound (G.711).  Rooms and telephone lines have noise; only what is muted has these alone."""

_CLIPPED: Mapping[str, tuple[bytes, bytes]] = {
    "PCMU": (b"\x00" * 4, b"\x80" * 4),
    "PCMA": (b"\x2a" * 4, b"\xaa" * 4),
}
"""The loudest there are, half a millisecond of them: speech at its right level has one of them at a time."""


class Looks:
    """What was seen of one direction."""

    __slots__ = ("_clipped", "_first", "_intervals", "_last", "_looks", "_silent")

    def __init__(self) -> None:
        self._intervals = self._looks = self._silent = self._clipped = 0
        self._first = self._last = 0.0

    def isDue(self) -> bool:
        """An interval is over: is it one with a look?"""
        self._intervals += 1
        return self._intervals <= OFTEN or self._intervals % OFTEN == 0

    def at(self, payload: bytes, codec: str | None, now: float) -> None:
        """
        A payload came.

        @param codec: its name in SDP; others than those of G.711 are not looked at.
        """
        codec = (codec or "").upper()
        if codec not in _ZEROS or not payload:
            return
        if not self._looks:
            self._first = now
        self._looks += 1
        self._last = now
        # The same octet all the time is no sound either.
        if not payload.translate(None, _ZEROS[codec]) or payload.count(payload[:1]) == len(payload):
            self._silent += 1
        elif any(run in payload for run in _CLIPPED[codec]):
            self._clipped += 1

    @property
    def silent(self) -> bool | None:
        """Was there nothing but digital silence?  C{None}: not known."""
        if self._looks < LEAST or self._last - self._first < SECONDS:
            return None
        return self._silent == self._looks

    @property
    def clipped(self) -> bool | None:
        """Were the tops cut off, in a quarter of what was no silence?  C{None}: not known."""
        if self._looks < LEAST:
            return None
        return self._clipped >= LEAST and 4 * self._clipped >= self._looks - self._silent


class Glance:
    """Stands before where packets of a leg's peer go, for one of them."""

    __slots__ = ("_leg", "_onward")

    def __init__(self, leg: ReportingLeg, onward: Onward) -> None:
        """
        @param leg: whose peer's packet is looked at.
        @param onward: where it goes.
        """
        self._leg = leg
        self._onward = onward

    def sendRTP(self, packet: bytes, header: RTPHeader, now: float) -> None:
        """The packet, which goes on first."""
        if self._leg._onward is self:
            self._leg._onward = self._onward
        self._onward.sendRTP(packet, header, now)
        self._leg.looked(packet, header.payloadType, now)

    def sendRTCP(self, compound: bytes) -> None:
        """It is not looked at."""
        self._onward.sendRTCP(compound)


__all__ = ["Glance", "Looks"]
