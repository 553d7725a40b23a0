"""
Sender and receiver reports (RFC 3550 section 6.4): report blocks read, and whole reports written.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from skypetrunk.wire.rtp import RR, SDES, SR, RTCPPacket

__all__ = ["ReportBlock", "SenderInfo", "middle", "reportBlocks", "senderTime", "withoutTimes", "writeReport"]

_HEADER = Struct("!BBHI")
_SENDER = Struct("!QIII")
_BLOCK = Struct("!IIIIII")
_TIMES = 16
_CNAME = 1

NTP_EPOCH = 2_208_988_800
"""Seconds from 1900, where NTP begins to count, to 1970."""


class ReportBlock(NamedTuple):
    """
    What one receiver says of one source (section 6.4.1).

    @ivar fraction: of the packets since its last report that were lost, in 1/256.
    @ivar lost: packets since the beginning; below 0 where duplicates outnumber them.
    @ivar highest: extended highest sequence number, 32 bits.
    @ivar jitter: in units of the time stamps.
    @ivar lastReport: L{middle} of the NTP time of the last sender report; 0: none came.
    @ivar delay: since that came, in 1/65536 s.
    """

    ssrc: int
    fraction: int
    lost: int
    highest: int
    jitter: int
    lastReport: int
    delay: int


class SenderInfo(NamedTuple):
    """
    What a sender says of its own stream.

    @ivar time: seconds since 1970.
    @ivar timestamp: of RTP at the same time, 32 bits.
    @ivar packets: sent so far; C{octets}: payload octets of them.
    """

    time: float
    timestamp: int
    packets: int
    octets: int


def middle(time: float) -> int:
    """The middle 32 of 64 bits of the NTP time of C{time}, in seconds since 1970."""
    return _ntp(time) >> 16 & 0xFFFFFFFF


def reportBlocks(packet: RTCPPacket) -> Iterator[ReportBlock]:
    """Those of an SR or RR that L{skypetrunk.wire.rtp.parseRTCP} read; of others none."""
    for offset in _places(packet):
        ssrc, losses, highest, jitter, lastReport, delay = _BLOCK.unpack_from(packet.body, offset)
        lost = (losses & 0xFFFFFF) - (losses << 1 & 0x1000000)
        yield ReportBlock(ssrc, losses >> 24, lost, highest, jitter, lastReport, delay)


def senderTime(packet: RTCPPacket) -> int | None:
    """The L{middle} of the NTP time of an SR; C{None} for other packets."""
    if packet.packetType != SR:
        return None
    ntp: int = _SENDER.unpack_from(packet.body, 4)[0]
    return ntp >> 16 & 0xFFFFFFFF


def withoutTimes(packet: RTCPPacket, ours: frozenset[int]) -> bytes:
    """The body of an SR or RR; blocks that refer to a sender report among C{ours} say that none came."""
    body = bytearray(packet.body)
    for offset in _places(packet):
        if int.from_bytes(body[offset + _TIMES : offset + _TIMES + 4], "big") in ours:
            body[offset + _TIMES : offset + _BLOCK.size] = bytes(8)
    return bytes(body)


def writeReport(ssrc: int, info: SenderInfo | None, blocks: tuple[ReportBlock, ...], cname: bytes) -> bytes:
    """
    A compound of a report, SR with C{info} and RR without, and the description that must follow it.

    @param ssrc: of whoever reports.
    @param cname: at most 255 octets (section 6.5.1).
    """
    words = 1 + 6 * len(blocks) + (5 if info else 0)
    written = bytearray(_HEADER.pack(0x80 | len(blocks), SR if info else RR, words, ssrc))
    if info is not None:
        counts = (each & 0xFFFFFFFF for each in (info.timestamp, info.packets, info.octets))
        written += _SENDER.pack(_ntp(info.time), *counts)
    for block in blocks:
        lost = min(max(block.lost, -0x800000), 0x7FFFFF) & 0xFFFFFF
        losses = min(block.fraction, 255) << 24 | lost
        rest = (each & 0xFFFFFFFF for each in block[3:])
        written += _BLOCK.pack(block.ssrc, losses, *rest)
    items = bytes((_CNAME, len(cname))) + cname
    items += bytes(4 - len(items) % 4)
    written += _HEADER.pack(0x81, SDES, 1 + len(items) // 4, ssrc) + items
    return bytes(written)


def _places(packet: RTCPPacket) -> range:
    """Where its blocks begin in its body."""
    if packet.packetType not in (SR, RR):
        return range(0)
    start = 24 if packet.packetType == SR else 4
    return range(start, start + _BLOCK.size * packet.count, _BLOCK.size)


def _ntp(time: float) -> int:
    whole = int(time)
    return (whole + NTP_EPOCH & 0xFFFFFFFF) << 32 | int((time - whole) * 0x100000000)
