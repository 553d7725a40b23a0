"""
What a leg's peer reports of the stream that it gets from us, and how long the way there and back is.

The round trip is that of one leg, though most reports cross from one to the other: a peer's report refers to
the last sender report that it got (RFC 3550 section 6.4.1), and it is enough to know when that left here,
whoever's clock is in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import NamedTuple

from skypetrunk.wire.reports import ReportBlock, reportBlocks, senderTime, withoutTimes
from skypetrunk.wire.rtp import RR, SR, RTCPPacket

REMEMBERED = 8
"""
Sender reports whose time of leaving is known: at one in five seconds, more than any report refers to.  And
sources that may come back.
"""

LONGEST_TRIP = 30.0
"""Seconds; what seems to have taken longer is an error of the peer's."""

_UNEVEN = 0.01
"""Seconds by which a peer's delay may be too long, as some round it to milliseconds or to its next packet."""

_HEADER = Struct("!BBH")


class Stream(NamedTuple):
    """
    What we send to a peer, as far as its reports need it.

    @ivar tick: seconds of its time stamp's unit, C{None} where that is not known.
    @ivar lost: packets of it that were lost before they came to us.
    @ivar beyond: round trip on the other leg in seconds, 0.0 where that is not known.
    """

    ssrc: int
    codec: str | None
    tick: float | None
    lost: int
    beyond: float


class Feedback:
    """
    Of one leg.

    @ivar stream: what was reported on last, C{None}: nothing yet.
    @ivar reports: how many came.
    @ivar fraction: lost between the last two reports, 0 to 1.
    @ivar jitter: seconds, C{None}: not known.
    @ivar roundTrip: seconds, C{None}: not known.
    @ivar explained: packets that the peer missed, or is to miss, and that no way loses now: we took them
        out, or they were lost of whoever was on the other leg before.
    @ivar goesOn: the first report counts what another process has sent before, in the same stream.
    @ivar senderReport: SSRC and time (L{skypetrunk.wire.reports.middle}) of the peer's last sender report,
        and when it came.
    """

    __slots__ = (
        "_leaving",
        "_lost",
        "_lostBefore",
        "_others",
        "_ours",
        "explained",
        "fraction",
        "goesOn",
        "jitter",
        "reports",
        "roundTrip",
        "senderReport",
        "stream",
        "worstJitter",
        "worstRoundTrip",
    )

    def __init__(self) -> None:
        self.stream: Stream | None = None
        self.reports = 0
        self.fraction = 0.0
        self.jitter: float | None = None
        self.worstJitter: float | None = None
        self.roundTrip: float | None = None
        self.worstRoundTrip: float | None = None
        self.senderReport: tuple[int, int, float] | None = None
        self._lost = self._lostBefore = self.explained = 0
        self.goesOn = False
        # The newest REMEMBERED, last; a deque of each call would be larger than all it ever holds.
        self._leaving: tuple[tuple[int, float], ...] = ()
        self._ours: tuple[int, ...] = ()
        # What was lost of the other sources reported on, the one that was left last at the end.
        self._others: tuple[tuple[int, int], ...] = ()

    @property
    def lost(self) -> int:
        """Packets that the peer missed, those included that never came to us, but for L{explained}."""
        others = self._lostBefore + sum([lost for _, lost in self._others])
        return max(0, others + self._lost - self.explained)

    def left(self, time: int, now: float, own: bool) -> None:
        """
        A sender report left for the peer.

        @param time: the middle of its NTP time.
        @param own: we made it.
        """
        self._leaving = (*self._leaving, (time, now))[-REMEMBERED:]
        if own:
            self._ours = (*self._ours, time)[-REMEMBERED:]

    def disown(self) -> None:
        """What left so far is of nobody who is on the other leg from now on: see L{crossing}."""
        self._ours = tuple([time for time, _ in self._leaving])

    def heard(self, packets: Sequence[RTCPPacket], stream: Stream | None, now: float) -> None:
        """
        A compound of the peer came.

        @param stream: what it gets from us.
        """
        for packet in packets:
            time = senderTime(packet)
            if time is not None and packet.ssrc is not None:
                self.senderReport = packet.ssrc, time, now
            if stream is not None:
                for block in reportBlocks(packet):
                    if block.ssrc == stream.ssrc:
                        self._reported(block, stream, now)

    def _reported(self, block: ReportBlock, stream: Stream, now: float) -> None:
        if self.stream is not None and self.stream.ssrc != stream.ssrc:
            self._leave(self.stream.ssrc, stream.ssrc)
        self.stream = stream
        self.reports += 1
        self.fraction = block.fraction / 256
        self._lost = max(0, block.lost)
        if self.goesOn:
            self.goesOn = False
            self.explained += self._lost
        if stream.tick is not None:
            self.jitter = block.jitter * stream.tick
            self.worstJitter = max(self.jitter, self.worstJitter or 0.0)
        for time, left in self._leaving:
            if time == block.lastReport and time:
                trip = now - left - block.delay / 65536
                if -_UNEVEN <= trip <= LONGEST_TRIP:
                    self.roundTrip = max(trip, 0.0)
                    self.worstRoundTrip = max(self.roundTrip, self.worstRoundTrip or 0.0)

    def _leave(self, before: int, now: int) -> None:
        """Another source is reported on; one that comes back, as after music on hold, goes on counting."""
        self._others = (*self._others, (before, self._lost))
        back = [each for each in self._others if each[0] == now]
        self._others = tuple([each for each in self._others if each[0] != now])
        self._lost = back[0][1] if back else 0
        if len(self._others) > REMEMBERED:
            self._lostBefore += self._others[0][1]
            self._others = self._others[1:]

    def crossing(self, compound: bytes, packets: Sequence[RTCPPacket]) -> bytes:
        """
        What may cross of the C{packets} of C{compound}: whoever is on the other leg never saw the sender
        reports that we made, or another party did before a transfer.
        """
        if not self._ours:
            return compound
        ours = frozenset(self._ours)
        written = bytearray()
        for packet in packets:
            body = withoutTimes(packet, ours) if packet.packetType in (SR, RR) else packet.body
            written += _HEADER.pack(0x80 | packet.count, packet.packetType, len(body) // 4) + body
        return bytes(written)


__all__ = ["Feedback", "Stream"]
