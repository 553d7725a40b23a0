"""
The SRTP stream that a trunk sends: its numbers are ours, whatever the PBX does.

Passing the PBX's own numbers through breaks calls: after a transfer or a restart the
sequence jumps, and then either libsrtp refuses every packet or the receiver loses the
roll-over counter.  So one outbound key has one SSRC and one sequence that only grows; no
(key, SSRC, index) is ever used for two packets (RFC 3711 section 9.1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from skypetrunk.errors import PacketRefused
from skypetrunk.media.hearing import Hearing
from skypetrunk.media.reports import relayable
from skypetrunk.wire.rtp import RTCPPacket, RTPHeader, rewriteHeader, rewriteRTCP

if TYPE_CHECKING:
    from skypetrunk.interfaces import IPacketGuard

MAX_FORWARD = 100
"""Packets: a larger step is a jump of the source.  Two seconds of loss are still passed on as loss."""

REORDERING = 64
"""Packets: how late one may come and still take its place; libsrtp's own window is 128."""

MAX_TIMESTAMP_STEP = 480_000
"""Ten seconds at 48 kHz: from one packet to the next, more needs a silence that explains it."""

_CLOCK_RATE = 8000
_NEVER = -1


class Following(NamedTuple):
    """
    Where a stream is, while each packet of its source is the next one.

    @ivar sequence: ours, of the last packet.
    @ivar timestamp: the source's, of the last packet.
    @ivar offset: what is added to the source's time stamps.
    @ivar recent: the source's last packets: C{sequence << 32 | timestamp}, each at C{sequence % REORDERING}.
    """

    guard: IPacketGuard
    sequence: int
    timestamp: int
    offset: int
    recent: list[int]


class OutboundStream:
    """
    One outbound key, its context and its stream.  Made once per key, never again.

    @ivar ssrc: ours; random.
    @ivar packets: RTP packets protected so far.
    @ivar octets: payload octets of them.
    """

    def __init__(
        self, guard: IPacketGuard, entropy: Callable[[int], bytes], cname: bytes, ssrc: int | None = None
    ) -> None:
        """
        @param guard: the context that protects.
        @param entropy: that many random octets.
        @param cname: what our RTCP shows instead of the source's description (RFC 7022).
        @param ssrc: random, and known before; C{None}: made here.
        """
        self._guard = guard
        self._cname = cname
        self.ssrc = int.from_bytes(entropy(4), "big") if ssrc is None else ssrc
        self.packets = 0
        self.octets = 0
        # The first sequence number stays below 2**15, so that a receiver which misses
        # some packets at the start cannot mistake a wrap (RFC 3711 section 3.3.1).
        self._highest = (int.from_bytes(entropy(2), "big") & 0x7FFF) - 1
        self._first = 0
        self._timestamp = int.from_bytes(entropy(4), "big")
        self._time: float | None = None
        # What the source counts.  C{_following} is its SSRC while its numbers are followed.
        self._source: int | None = None
        self._following: int | None = None
        self._inHighest = 0
        self._inTimestamp = 0
        self._offset = 0
        self._recent = [_NEVER] * REORDERING
        self._afterJump = _NEVER
        self._hearing = Hearing()

    def rtp(self, packet: bytes, header: RTPHeader, now: float) -> bytes:
        """
        The next packet of the stream, protected.

        @param packet: an RTP packet of the source, C{header} its header.
        @param now: seconds.
        @raise PacketRefused: C{replay}: a duplicate, or too late to have a place.
        """
        _, _, marker, _, sequence, timestamp, ssrc, headerLength = header
        ahead = (sequence - self._inHighest) & 0xFFFF
        if ssrc == self._following and 0 < ahead <= MAX_FORWARD and self._isPlausible(timestamp, now):
            self._highest = index = self._highest + ahead
            self._inHighest += ahead
            self._inTimestamp = timestamp
            self._time = now
        elif ssrc == self._following and self._isLate(ahead, sequence, timestamp):
            index = self._highest - (-ahead & 0xFFFF)
        else:
            # RFC 5761 section 4: with the marker these payload types would be RTCP.
            marker = not 64 <= header.payloadType < 96
            self._follow(header, now)
            index = self._highest
        self._recent[sequence % REORDERING] = sequence << 32 | timestamp
        mapped = (timestamp + self._offset) & 0xFFFFFFFF
        if index == self._highest:
            self._timestamp = mapped
        self.packets += 1
        self.octets += len(packet) - headerLength
        return self._guard.rtp(
            rewriteHeader(packet, marker=marker, sequence=index & 0xFFFF, timestamp=mapped, ssrc=self.ssrc)
        )

    def keepAlive(self, payloadType: int, now: float) -> bytes:
        """A packet without payload, of a payload type that means nothing (RFC 6263 section 4.6)."""
        self._highest += 1
        self._timestamp = self._nextTimestamp(now)
        self._time = now
        self._following = None
        self.packets += 1
        header = bytes((0x80, payloadType)) + bytes(10)
        return self._guard.rtp(
            rewriteHeader(
                header,
                marker=False,
                sequence=self._highest & 0xFFFF,
                timestamp=self._timestamp,
                ssrc=self.ssrc,
            )
        )

    def rtcp(self, compound: bytes) -> bytes:
        """
        A compound of the source as one of this stream, protected; empty when nothing of it may
        go on.  The BYE of a source does not: the stream goes on without it.

        @raise PacketRefused: C{malformed}.
        """
        sender, kept = relayable(compound, self._source, (self.packets, self.octets))
        if not kept:
            return b""
        return self._guard.rtcp(
            rewriteRTCP(
                kept,
                sender=lambda ssrc: self.ssrc if ssrc == sender else None,
                source=lambda ssrc: ssrc,
                timestamp=lambda _, value: value + self._offset,
                sequence=lambda _, value: value,
                cname=self._cname,
            )
        )

    def report(self, compound: bytes) -> bytes:
        """A compound of our own, about this stream and what comes back, protected."""
        return self._guard.rtcp(compound)

    def timestampAt(self, now: float, tick: float) -> int:
        """
        The RTP time stamp of the time C{now}.

        @param tick: seconds of its unit.
        """
        passed = 0.0 if self._time is None else now - self._time
        return self._timestamp + int(passed / tick) & 0xFFFFFFFF

    def reportsToSource(self, compound: bytes) -> bytes:
        """
        A compound of the receiver, its reports on this stream in the numbers of the source.

        @raise PacketRefused: C{malformed}.
        """
        behind = self._highest - self._inHighest
        return rewriteRTCP(
            compound,
            sender=lambda ssrc: ssrc,
            source=lambda ssrc: self._source if ssrc == self.ssrc else None,
            timestamp=lambda _, value: value,
            sequence=lambda _, value: value - behind,
        )

    def reported(self, packets: Sequence[RTCPPacket]) -> None:
        """A compound of the receiver came; L{packets} and the numbers are what they are now."""
        self._hearing.reported(packets, self.ssrc, self.packets)

    @property
    def unheard(self) -> bool:
        """
        Does the receiver report that it no longer hears us, when the sequence numbers have gone over their
        end?  Then its roll-over counter may be another than ours.
        """
        return self._highest > 0xFFFF and self._hearing.lost

    def interrupted(self) -> None:
        """What its source sent meanwhile left elsewhere: that is no loss here."""
        self._following = None

    def usual(self, ssrc: int, sequence: int) -> Following | None:
        """What is needed to go on after this packet, if it is the newest of the source followed."""
        if ssrc != self._following or sequence != self._inHighest & 0xFFFF or self._time is None:
            return None
        return Following(
            self._guard, self._highest & 0xFFFF, self._inTimestamp, self._offset & 0xFFFFFFFF, self._recent
        )

    def went(self, packets: int, octets: int, timestamp: int, now: float) -> None:
        """
        So many packets of the source left since L{usual} was asked, each the next one.

        @param octets: of their payloads.
        @param timestamp: the source's, of the last one, which left at C{now} (seconds).
        """
        self._highest += packets
        self._inHighest += packets
        self._inTimestamp = timestamp
        self._timestamp = (timestamp + self._offset) & 0xFFFFFFFF
        self._time = now
        self.packets += packets
        self.octets += octets

    def ended(self, recent: list[int]) -> None:
        """Packets go through L{rtp} again; C{recent} as L{usual} gave it, with those that did not."""
        self._recent = recent

    def _follow(self, header: RTPHeader, now: float) -> None:
        """A new source, or the old one with new numbers: the stream continues at +1."""
        self._highest += 1
        self._first = self._highest
        self._source = self._following = header.ssrc
        self._inHighest = header.sequence
        self._inTimestamp = header.timestamp
        self._offset = self._nextTimestamp(now) - header.timestamp
        self._time = now
        self._recent = [_NEVER] * REORDERING
        self._afterJump = _NEVER

    def _isLate(self, ahead: int, sequence: int, timestamp: int) -> bool:
        """
        May a packet that is not ahead take the place that it left?

        @return: C{False}: the source jumped.
        @raise PacketRefused: C{replay}: it was here, or its place was never kept.
        """
        behind = -ahead & 0xFFFF
        if behind >= REORDERING:
            return False
        seen = self._recent[sequence % REORDERING]
        if seen >> 32 == sequence:
            if seen & 0xFFFFFFFF != timestamp:
                return False
            raise PacketRefused("replay")
        if self._highest - behind >= self._first:
            return True
        # Before the place where we began to follow.  One is late, two in a row are a jump.
        if sequence == self._afterJump:
            return False
        self._afterJump = (sequence + 1) & 0xFFFF
        raise PacketRefused("replay")

    def _isPlausible(self, timestamp: int, now: float) -> bool:
        """Does this time stamp continue the last one, as far as the time that passed lets it?"""
        step = (timestamp - self._inTimestamp) & 0xFFFFFFFF
        if step <= MAX_TIMESTAMP_STEP:
            return True
        if step >= 0x80000000:
            return 0x100000000 - step <= MAX_TIMESTAMP_STEP  # events carry the time of their start (RFC 4733)
        silence = now - self._time if self._time is not None else 0.0
        return step <= MAX_TIMESTAMP_STEP + silence * 48_000

    def _nextTimestamp(self, now: float) -> int:
        """Ours, after the time that passed since the last packet, 20 ms at least."""
        if self._time is None:
            return self._timestamp
        passed = max(160, int((now - self._time) * _CLOCK_RATE))
        return (self._timestamp + passed) & 0xFFFFFFFF
