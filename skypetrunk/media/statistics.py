"""
Loss, order and jitter of what a leg receives, as RFC 3550 defines them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from skypetrunk.media.bursts import Bursts
from skypetrunk.printable import printable
from skypetrunk.wire.rtp import RTPHeader

MAX_DROPOUT = 3000
"""RFC 3550 A.1: a larger step forward is a restart of the source, not a loss."""

MAX_MISORDER = 100
"""RFC 3550 A.1: a packet this far behind is late, not a restart."""

SOURCES = 16
"""Sources of one stream that are accounted for at a time: early media, an answer, and forks of both."""

JUMP = 2.0
"""Seconds that time stamps and clock may part from packet to packet; more is a new beginning, no jitter."""

LONGEST_NAME = 32
"""Characters of a codec's name that stand in figures and records; registered ones have half of that."""

STATIC_NAMES: Mapping[int, str] = {
    0: "PCMU",
    3: "GSM",
    4: "G723",
    5: "DVI4",
    7: "LPC",
    8: "PCMA",
    9: "G722",
    12: "QCELP",
    15: "G728",
    18: "G729",
}
"""Codecs by payload types that need no a=rtpmap (RFC 3551 section 6), those with 8 kHz."""

STATIC_TICKS: Mapping[int, float] = dict.fromkeys(STATIC_NAMES, 1 / 8000)
"""Seconds of a unit of their time stamps."""


def ticks(encodings: Mapping[int, str]) -> Mapping[int, float]:
    """
    Seconds of a time stamp's unit, by payload type.  Events and comfort noise are left out: their time
    stamps say when they began (RFC 4733), not when they were sent.

    @param encodings: as L{skypetrunk.interfaces.IMediaLeg.setPayloadTypes} takes them.
    """
    found = dict(STATIC_TICKS)
    for number, encoding in encodings.items():
        name, _, rest = encoding.partition("/")
        rate = rest.partition("/")[0]
        if name.lower() in ("telephone-event", "cn"):
            found.pop(number, None)
        elif rate.isascii() and rate.isdecimal() and 0 < len(rate) <= 6 and int(rate):
            found[number] = 1 / int(rate)
    return found


def names(encodings: Mapping[int, str]) -> Mapping[int, str]:
    """Codecs by payload type; C{encodings} as for L{ticks}."""
    told = {number: text.partition("/")[0][:LONGEST_NAME] for number, text in encodings.items() if text}
    # A peer has written it, and it is shown on terminals.
    return {**STATIC_NAMES, **{number: printable(name)[:LONGEST_NAME] for number, name in told.items()}}


@lru_cache(maxsize=64)
def meanings(encodings: tuple[tuple[int, str], ...]) -> tuple[Mapping[int, float], Mapping[int, str]]:
    """L{ticks} and L{names} of the same encodings, in pairs.  Calls of a neighbour have the same few."""
    found = dict(encodings)
    return ticks(found), names(found)


class _Source:
    """
    Expected and received packets of one SSRC, since it began or restarted.

    @ivar holes: first and last of each run of missing packets that may still come, as places after the
        first packet.
    @ivar bursts: those that will not come any more, C{None} while there are none.
    @ivar transit: when the last packet came, less its time stamp, in seconds; C{None}: no audio yet.
    @ivar payloadType: of its audio; -1: none yet.
    @ivar jitter: seconds (RFC 3550 section 6.4.1).
    """

    __slots__ = (
        "bursts",
        "expected",
        "highest",
        "holes",
        "jitter",
        "payloadType",
        "received",
        "ssrc",
        "transit",
    )

    def __init__(self, ssrc: int, sequence: int) -> None:
        self.ssrc = ssrc
        self.highest = sequence
        self.expected = self.received = 1
        self.holes: list[tuple[int, int]] = []
        self.bursts: Bursts | None = None
        self.transit: float | None = None
        self.jitter = 0.0
        self.payloadType = -1

    @property
    def lost(self) -> int:
        """Duplicates make up for losses (A.3), never below none."""
        return max(0, self.expected - self.received)

    def settle(self, before: int) -> None:
        """What is missing before the place C{before} will not come any more."""
        if self.bursts is None:
            self.bursts = Bursts()
        while self.holes and self.holes[0][1] < before:
            self.bursts.add(*self.holes.pop(0))

    @property
    def extended(self) -> int:
        """The highest sequence number, with the wraps since the first packet above it (RFC 3550 A.3)."""
        return (self.highest - self.expected + 1 & 0xFFFF) + self.expected - 1

    def allBursts(self) -> Bursts:
        """As if nothing came any more."""
        found = Bursts() if self.bursts is None else self.bursts.copy()
        for hole in self.holes:
            found.add(*hole)
        return found

    def fill(self, place: int) -> bool:
        """A late packet came: was it missing?  What is before the first packet was."""
        for index, (first, last) in enumerate(self.holes):
            if first <= place <= last:
                parts = ((first, place - 1), (place + 1, last))
                self.holes[index : index + 1] = [part for part in parts if part[0] <= part[1]]
                return True
        return place < 0


class Usual(NamedTuple):
    """
    Where a source is, while each packet is the next one: see L{_Source}, L{Reception}.

    @ivar tick: seconds of a unit of its time stamps.
    """

    ssrc: int
    sequence: int
    payloadType: int
    tick: float
    transit: float
    jitter: float
    worst: float


class Reception:
    """
    Expected and received packets of the sources of one direction (RFC 3550 A.1, A.3 and A.8).

    There is no probation: the caller shows only packets that were authenticated or
    came from the signalled host.  Each source has an account of its own, as a carrier may send
    several at once; one that restarts begins a new one, and its losses before stay.

    @ivar ticks: see L{ticks}; packets of other payload types have no part in the jitter.
    @ivar names: codecs by payload type; see L{meanings}.
    @ivar reordered: packets that came after a later one.
    @ivar duplicates: packets that came again.
    @ivar untimed: when the last packet came of each payload type that is not in C{ticks}; C{None}: never.
    """

    __slots__ = (
        *("_burstsBefore", "_current", "_lostBefore", "_sources", "_worst"),
        *("duplicates", "names", "reordered", "ticks", "untimed"),
    )

    def __init__(self) -> None:
        self.ticks = STATIC_TICKS
        self.names = STATIC_NAMES
        self.reordered = 0
        self.duplicates = 0
        self._current: _Source | None = None
        self._sources: dict[int, _Source] = {}
        self._lostBefore = 0
        self._burstsBefore: Bursts | None = None
        self._worst = -1.0  # no audio yet
        self.untimed: dict[int, float] | None = None

    def received(self, header: RTPHeader, now: float) -> None:
        """A packet came in at C{now} (seconds).  Called for each: what is not usual is done elsewhere."""
        _, _, _, payloadType, sequence, timestamp, ssrc, _ = header
        source = self._current
        if source is None or source.ssrc != ssrc:
            source = self._sources.get(ssrc)
        if source is not None and (sequence - source.highest) & 0xFFFF == 1:
            source.highest = sequence
            source.expected += 1
            source.received += 1
        elif source is None or not self._outOfOrder(source, sequence):
            source = self._begin(ssrc, sequence)
        self._current = source
        tick = self.ticks.get(payloadType)
        if tick is None:
            if self.untimed is None:
                self.untimed = {}
            self.untimed[payloadType] = now
            return
        source.payloadType = payloadType
        before = source.transit
        source.transit = transit = now - timestamp * tick
        if before is None:
            self._worst = max(self._worst, 0.0)
            return
        apart = transit - before if transit > before else before - transit
        if apart > JUMP:
            # Unless the time stamp only wrapped.
            span = tick * 0x100000000
            apart = abs((transit - before + span / 2) % span - span / 2)
            if apart > JUMP:
                return
        source.jitter = jitter = source.jitter + (apart - source.jitter) / 16
        if jitter > self._worst:
            self._worst = jitter

    def follows(self, header: RTPHeader) -> bool:
        """
        Is a packet near enough to what its source sent last, two seconds at most?  The first packet of
        all is.
        """
        sequence, ssrc = header[4], header[6]
        source = self._current
        if source is None or source.ssrc != ssrc:
            source = self._sources.get(ssrc)
            if source is None:
                return not self._sources
        ahead = (sequence - source.highest) & 0xFFFF
        return ahead <= MAX_MISORDER or ahead > 0x10000 - MAX_MISORDER

    def knows(self, ssrc: int) -> bool:
        """Was a packet of this source counted?"""
        return ssrc in self._sources

    def _outOfOrder(self, source: _Source, sequence: int) -> bool:
        """A packet that is not the next one; C{False}: the source has begun anew."""
        ahead = (sequence - source.highest) & 0xFFFF
        if 0 < ahead < MAX_DROPOUT:
            settled = source.expected - MAX_MISORDER
            if source.holes and source.holes[0][1] < settled:
                source.settle(settled)
            source.holes.append((source.expected, source.expected + ahead - 2))
            source.expected += ahead
            source.highest = sequence
        elif ahead == 0 or ahead > 0x10000 - MAX_MISORDER:
            place = source.expected - 1 - (-ahead & 0xFFFF)
            if ahead and source.fill(place):
                self.reordered += 1
            else:
                self.duplicates += 1
        else:
            return False
        source.received += 1
        return True

    def _begin(self, ssrc: int, sequence: int) -> _Source:
        before = self._sources.pop(ssrc, None)
        if before is None and len(self._sources) >= SOURCES:
            before = self._sources.pop(next(iter(self._sources)))
        if before is not None:
            self._lostBefore += before.lost
            if self._burstsBefore is None:
                self._burstsBefore = Bursts()
            self._burstsBefore.include(before.allBursts())
        begun = self._sources[ssrc] = _Source(ssrc, sequence)
        return begun

    def usual(self) -> Usual | None:
        """What is needed to go on with the next packet of the source heard last; C{None} before its audio."""
        source = self._current
        if source is None or source.transit is None:
            return None
        tick = self.ticks.get(source.payloadType)
        if tick is None:
            return None
        return Usual(
            source.ssrc, source.highest, source.payloadType, tick, source.transit, source.jitter, self._worst
        )

    def went(self, packets: int, sequence: int, transit: float, jitter: float, worst: float) -> None:
        """So many packets came since L{usual} was asked, each the next one; the rest is what it is now."""
        source = self._current
        assert source is not None
        source.highest = sequence
        source.expected += packets
        source.received += packets
        source.transit, source.jitter, self._worst = transit, jitter, worst

    def lately(self, payloadTypes: Iterable[int], since: float) -> bool:
        """Did a packet of one of them, which are not in L{ticks}, come after C{since} (seconds)?"""
        untimed = self.untimed or {}
        return any(untimed.get(number, since) > since for number in payloadTypes)

    @property
    def lost(self) -> int:
        """Packets expected and not received."""
        return self._lostBefore + sum([source.lost for source in self._sources.values()])

    def bursts(self) -> Bursts:
        """How the losses of all sources lay, as if nothing came late any more."""
        found = Bursts()
        if self._burstsBefore is not None:
            found.include(self._burstsBefore)
        for source in self._sources.values():
            if source.bursts is not None or source.holes:
                found.include(source.allBursts())
        return found

    @property
    def current(self) -> _Source | None:
        """The source heard last."""
        return self._current

    @property
    def tick(self) -> float | None:
        """Of its audio: seconds of a time stamp's unit; C{None} without any."""
        source = self._current
        return None if source is None else self.ticks.get(source.payloadType)

    @property
    def timestamps(self) -> float | None:
        """When its time stamps were 0, in seconds; C{None} without audio."""
        return None if self._current is None else self._current.transit

    @property
    def codec(self) -> str | None:
        """Of the audio heard last; C{None} without any."""
        source = self._current
        return None if source is None else self.names.get(source.payloadType)

    @property
    def jitter(self) -> float | None:
        """Of the source heard last, in milliseconds; C{None} without audio."""
        source = self._current
        return None if source is None or source.transit is None else round(source.jitter * 1000, 2)

    @property
    def worstJitter(self) -> float | None:
        """The highest that L{jitter} has been."""
        return None if self._worst < 0 else round(self._worst * 1000, 2)
