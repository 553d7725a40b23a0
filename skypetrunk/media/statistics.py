"""
What a leg counts: packets, octets, refusals, and loss as RFC 3550 defines it.
"""

from __future__ import annotations

from skypetrunk.interfaces import DirectionStatistics

MAX_DROPOUT = 3000
"""RFC 3550 A.1: a larger step forward is a restart of the source, not a loss."""

MAX_MISORDER = 100
"""RFC 3550 A.1: a packet this far behind is late, not a restart."""


class Reception:
    """
    Expected and received packets of the sources of one direction (RFC 3550 A.1 and A.3).

    There is no probation: the caller shows only packets that were authenticated or
    came from the signalled host.  A source that changes or restarts begins a new
    account; the losses of the old one stay.
    """

    def __init__(self) -> None:
        self._ssrc: int | None = None
        self._highest = 0
        self._expected = 0
        self._received = 0
        self._lostBefore = 0

    def received(self, ssrc: int, sequence: int) -> None:
        """A packet of C{ssrc} with 16-bit C{sequence} came in."""
        if ssrc == self._ssrc:
            ahead = (sequence - self._highest) & 0xFFFF
            if ahead < MAX_DROPOUT:
                self._expected += ahead
                self._highest = sequence
                self._received += 1
                return
            if ahead > 0x10000 - MAX_MISORDER:
                self._received += 1
                return
        self._lostBefore = self.lost
        self._ssrc = ssrc
        self._highest = sequence
        self._expected = self._received = 1

    @property
    def lost(self) -> int:
        """Packets expected and not received; duplicates make up for losses (A.3), never below none."""
        return self._lostBefore + max(0, self._expected - self._received)


class Counters:
    """The counters of one direction; the relay writes the attributes directly."""

    def __init__(self) -> None:
        self.packets = 0
        self.octets = 0
        self.authenticated = 0
        self.early = 0
        self.rtcpPackets = 0
        self.reception = Reception()
        self._refused: dict[str, int] = {}

    def refuse(self, reason: str) -> None:
        """A packet was not let through, because of C{reason}."""
        self._refused[reason] = self._refused.get(reason, 0) + 1

    def snapshot(self) -> DirectionStatistics:
        """The counters as a value."""
        return DirectionStatistics(
            packets=self.packets,
            octets=self.octets,
            authenticated=self.authenticated,
            lost=self.reception.lost,
            early=self.early,
            rtcpPackets=self.rtcpPackets,
            refused=tuple(sorted(self._refused.items())),
        )
