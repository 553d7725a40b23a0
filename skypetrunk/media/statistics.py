"""
What a leg counts: packets, octets, refusals, and loss as RFC 3550 defines it.
"""

from __future__ import annotations

from skypetrunk.interfaces import DirectionStatistics

MAX_DROPOUT = 3000
"""RFC 3550 A.1: a larger step forward is a restart of the source, not a loss."""

MAX_MISORDER = 100
"""RFC 3550 A.1: a packet this far behind is late, not a restart."""


SOURCES = 16
"""Sources of one stream that are accounted for at a time: early media, an answer, and forks of both."""


class _Source:
    """Expected and received packets of one SSRC, since it began or restarted."""

    __slots__ = ("expected", "highest", "received", "ssrc")

    def __init__(self, ssrc: int, sequence: int) -> None:
        self.ssrc = ssrc
        self.highest = sequence
        self.expected = self.received = 1

    @property
    def lost(self) -> int:
        """Duplicates make up for losses (A.3), never below none."""
        return max(0, self.expected - self.received)


class Reception:
    """
    Expected and received packets of the sources of one direction (RFC 3550 A.1 and A.3).

    There is no probation: the caller shows only packets that were authenticated or
    came from the signalled host.  Each source has an account of its own, as a carrier may send
    several at once; one that restarts begins a new one, and its losses before stay.
    """

    def __init__(self) -> None:
        self._current: _Source | None = None
        self._sources: dict[int, _Source] = {}
        self._lostBefore = 0

    def received(self, ssrc: int, sequence: int) -> None:
        """A packet of C{ssrc} with 16-bit C{sequence} came in."""
        source = self._current
        if source is None or source.ssrc != ssrc:
            source = self._sources.get(ssrc)
        if source is not None:
            self._current = source
            ahead = (sequence - source.highest) & 0xFFFF
            if ahead < MAX_DROPOUT:
                source.expected += ahead
                source.highest = sequence
                source.received += 1
                return
            if ahead > 0x10000 - MAX_MISORDER:
                source.received += 1
                return
        self._begin(ssrc, sequence)

    def _begin(self, ssrc: int, sequence: int) -> None:
        before = self._sources.pop(ssrc, None)
        if before is None and len(self._sources) >= SOURCES:
            before = self._sources.pop(next(iter(self._sources)))
        if before is not None:
            self._lostBefore += before.lost
        self._current = self._sources[ssrc] = _Source(ssrc, sequence)

    @property
    def lost(self) -> int:
        """Packets expected and not received."""
        return self._lostBefore + sum(source.lost for source in self._sources.values())


class Counters:
    """The counters of one direction; the relay writes the attributes directly."""

    def __init__(self) -> None:
        self.packets = 0
        self.octets = 0
        self.authenticated = 0
        self.early = 0
        self.rtcpPackets = 0
        self.reception = Reception()
        self._refused: dict[str, int] | None = None

    def refuse(self, reason: str) -> None:
        """A packet was not let through, because of C{reason}."""
        if self._refused is None:
            self._refused = {}
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
            refused=tuple(sorted((self._refused or {}).items())),
        )
