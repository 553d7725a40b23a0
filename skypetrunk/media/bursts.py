"""
Losses that come together: bursts, as RFC 3611 section 4.7.2 has them.

The same part of lost packets is hardly heard when they are spread out, and cuts words when they are not.
"""

from __future__ import annotations

GMIN = 16
"""Packets received in a row that end a burst (RFC 3611 section 4.7.2 recommends 16: a third of a second)."""


class Bursts:
    """
    Runs of lost packets of one source, in their order.

    @ivar runs: of packets lost one after the other; C{missing}: packets in them; C{longest}: in one of them.
    @ivar bursts: that are over; C{burstLost}: packets lost in them; C{burstLength}: lost and received ones,
        from the first to the last loss of each.  One packet that was lost alone is no burst.
    """

    __slots__ = (
        "_first",
        "_last",
        "_lost",
        "burstLength",
        "burstLost",
        "bursts",
        "longest",
        "missing",
        "runs",
    )

    def __init__(self) -> None:
        self.runs = self.missing = self.longest = 0
        self.bursts = self.burstLost = self.burstLength = 0
        self._first = self._last = self._lost = 0

    def add(self, first: int, last: int) -> None:
        """The packets from C{first} to C{last} are lost, as places in the stream, behind all before."""
        count = last - first + 1
        self.runs += 1
        self.missing += count
        self.longest = max(self.longest, count)
        if self._lost and first - self._last <= GMIN:
            self._last = last
            self._lost += count
        else:
            self._close()
            self._first, self._last, self._lost = first, last, count

    def _close(self) -> None:
        if self._lost > 1:
            self.bursts += 1
            self.burstLost += self._lost
            self.burstLength += self._last - self._first + 1
        self._lost = 0

    def include(self, other: Bursts) -> None:
        """What was seen of another source, which is over, counts here too."""
        other._close()
        self.runs += other.runs
        self.missing += other.missing
        self.longest = max(self.longest, other.longest)
        self.bursts += other.bursts
        self.burstLost += other.burstLost
        self.burstLength += other.burstLength

    def copy(self) -> Bursts:
        """One that goes its own way."""
        copied = Bursts()
        for name in self.__slots__:
            setattr(copied, name, getattr(self, name))
        return copied


__all__ = ["GMIN", "Bursts"]
