"""
What was accepted of a source's SRTCP, and how it is followed when its index begins again.

An SRTCP packet says its index (RFC 3711 section 3.4), so nobody loses count.  But a peer that takes up its
key anew begins at 0, and all that it sends has been seen by its number.  It is believed where a sender report
says so: that has the time of day, which is under the tag, and never comes again.  A recording has an earlier
one than what was accepted last.
"""

from __future__ import annotations

_SENDER_REPORT = 200
_TIMED_OCTETS = 28


def timeOf(compound: bytes) -> int:
    """
    When its sender made it: 64 bits of NTP time (RFC 3550 section 6.4.1).

    @param compound: RTCP, decrypted.
    @return: 0 where it does not begin with a sender report, or the sender knows no time.
    """
    if len(compound) < _TIMED_OCTETS or compound[1] != _SENDER_REPORT:
        return 0
    return int.from_bytes(compound[8:16], "big")


class Reporter:
    """
    One source of SRTCP.

    @ivar index: the highest, since it has begun again; -1 before the first.
    @ivar time: the latest of L{timeOf}.
    @ivar beyond: the highest index that it has had before it began again; -1 where it has not.
    @ivar floor: C{time} then.
    """

    __slots__ = ("beyond", "floor", "index", "time")

    def __init__(self, index: int = -1, time: int = 0, beyond: int = -1, floor: int = 0) -> None:
        self.index, self.time = index, time
        self.beyond, self.floor = beyond, floor

    def took(self, compound: bytes, index: int) -> None:
        """A compound was accepted."""
        self.index = max(index, self.index)
        self.time = max(timeOf(compound), self.time)

    def restart(self) -> None:
        """It has begun again."""
        self.beyond = max(self.index, self.beyond)
        self.floor = self.time
        self.index = -1

    def isNew(self, compound: bytes) -> bool:
        """Is it later than all that was accepted?"""
        return timeOf(compound) > self.time

    def admits(self, compound: bytes, index: int) -> bool:
        """Can it be that it was not accepted before it began again?"""
        return index > self.beyond or timeOf(compound) > self.floor


__all__ = ["Reporter", "timeOf"]
