"""
RTP and RTCP packets (RFC 3550): fields without copying, and headers written anew.

Payload is never touched.  What a stream's numbers become is decided by who owns the
stream; the functions here only put them into the octets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple

from skypetrunk.errors import PacketRefused

__all__ = [
    "APP",
    "BYE",
    "PSFB",
    "RR",
    "RTPFB",
    "SDES",
    "SR",
    "RTCPPacket",
    "RTPHeader",
    "isRTCP",
    "parseRTCP",
    "parseRTP",
    "rewriteHeader",
    "rewriteRTCP",
    "writeHeader",
]

SR, RR, SDES, BYE, APP, RTPFB, PSFB = range(200, 207)

_FIXED = Struct("!BBHII")
_WRITTEN = Struct("!BHII")
_SHORTS = Struct("!HH")
_WORD = Struct("!I")
_TWO_WORDS = Struct("!II")
_CNAME = 1


class RTPHeader(NamedTuple):
    """
    The header of an RTP packet (RFC 3550 section 5.1).  A named tuple, since it is made
    for each packet and costs a third of a frozen dataclass.

    @ivar padding: the P bit; the count behind it is not looked at, it is encrypted in SRTP.
    @ivar headerLength: octets before the payload, CSRCs and extension included.
    """

    version: int
    padding: bool
    marker: bool
    payloadType: int
    sequence: int
    timestamp: int
    ssrc: int
    headerLength: int


def parseRTP(packet: bytes | bytearray | memoryview) -> RTPHeader:
    """
    Read the header of an RTP or SRTP packet.

    @raise PacketRefused: C{malformed}: too short, not version 2, or RTCP.
    """
    length = len(packet)
    if length < 12:
        raise PacketRefused("malformed")
    first, second, sequence, timestamp, ssrc = _FIXED.unpack_from(packet)
    # RFC 5761 section 4: these values are RTCP packet types.
    if first >> 6 != 2 or 192 <= second <= 223:
        raise PacketRefused("malformed")
    headerLength = 12 + 4 * (first & 0x0F)
    if first & 0x10:
        if length < headerLength + 4:
            raise PacketRefused("malformed")
        headerLength += 4 + 4 * _SHORTS.unpack_from(packet, headerLength)[1]
    if length < headerLength:
        raise PacketRefused("malformed")
    return RTPHeader(
        2, bool(first & 0x20), second >= 0x80, second & 0x7F, sequence, timestamp, ssrc, headerLength
    )


def writeHeader(
    buffer: bytearray | memoryview,
    *,
    marker: bool,
    payloadType: int,
    sequence: int,
    timestamp: int,
    ssrc: int,
) -> None:
    """Write these fields into the packet at the start of C{buffer}, in place."""
    _WRITTEN.pack_into(buffer, 1, payloadType | 0x80 if marker else payloadType, sequence, timestamp, ssrc)


def rewriteHeader(
    packet: bytes,
    *,
    marker: bool,
    sequence: int,
    timestamp: int,
    ssrc: int,
    payloadType: int | None = None,
) -> bytes:
    """C{packet} with these fields, and its own payload type unless another is given."""
    buffer = bytearray(packet)
    if payloadType is None:
        payloadType = buffer[1] & 0x7F
    _WRITTEN.pack_into(buffer, 1, payloadType | 0x80 if marker else payloadType, sequence, timestamp, ssrc)
    return bytes(buffer)


def isRTCP(packet: bytes | bytearray | memoryview) -> bool:
    """Is a packet from a port that carries both RTCP (RFC 5761 section 4)?"""
    return len(packet) >= 8 and packet[0] >> 6 == 2 and 192 <= packet[1] <= 223


@dataclass(frozen=True, slots=True)
class RTCPPacket:
    """
    One packet of a compound.

    @ivar count: report, source or chunk count; the format of feedback.
    @ivar body: what follows the first four octets, without padding.
    """

    packetType: int
    count: int
    body: bytes

    @property
    def ssrc(self) -> int | None:
        """Who sent it: the first word, C{None} in an empty SDES or BYE."""
        return None if len(self.body) < 4 else int(_WORD.unpack_from(self.body)[0])


def parseRTCP(compound: bytes) -> tuple[RTCPPacket, ...]:
    """
    Take a compound apart.  Reduced-size RTCP (RFC 5506) is taken too.

    @raise PacketRefused: C{malformed}: lengths that do not add up (RFC 3550 appendix A.2),
        or a packet too short for what its count says.
    """
    packets = []
    offset, end = 0, len(compound)
    while offset < end:
        if end - offset < 4 or compound[offset] >> 6 != 2 or not 192 <= compound[offset + 1] <= 223:
            raise PacketRefused("malformed")
        stop = offset + 4 + 4 * _SHORTS.unpack_from(compound, offset)[1]
        if stop > end:
            raise PacketRefused("malformed")
        body = compound[offset + 4 : stop]
        if compound[offset] & 0x20:
            # Only the last packet may be padded, by whole words.
            if stop != end or not body or not 0 < body[-1] <= len(body) or body[-1] % 4:
                raise PacketRefused("malformed")
            body = body[: -body[-1]]
        packet = RTCPPacket(compound[offset + 1], compound[offset] & 0x1F, body)
        if len(body) < _leastOctets(packet):
            raise PacketRefused("malformed")
        packets.append(packet)
        offset = stop
    if not packets:
        raise PacketRefused("malformed")
    return tuple(packets)


def _leastOctets(packet: RTCPPacket) -> int:
    """Octets that the body must have at least."""
    kind, count = packet.packetType, packet.count
    if kind == SR:
        return 24 + 24 * count
    if kind == RR:
        return 4 + 24 * count
    if kind in (SDES, BYE):
        return 4 * count
    return 4 if kind > PSFB else 8  # APP has a name, feedback a second SSRC; XR and unknown ones an SSRC


def rewriteRTCP(
    compound: bytes,
    *,
    sender: Callable[[int], int | None],
    source: Callable[[int], int | None],
    timestamp: Callable[[int, int], int],
    sequence: Callable[[int, int], int],
    cname: bytes | None = None,
) -> bytes:
    """
    The compound as the other leg must see it, where streams have other numbers.

    What speaks of a stream that no function knows is left out: the other leg would
    not understand it.  So are packet types beyond RFC 3550 and 4585.  NTP times, counts,
    and what APP and feedback carry stay as they are.

    @param sender: the new SSRC of whoever sent this, or C{None}: leave its packets out.
    @param source: the new SSRC of a stream that is reported on, or C{None}: leave the report out.
    @param timestamp: C{(ssrc, value)}, with the old SSRC: the new RTP time stamp of a sender report.
    @param sequence: C{(ssrc, value)}, with the old SSRC: the new extended highest sequence number
        (32 bits) of a report.
    @param cname: the CNAME to give instead of all source description; C{None} passes it on.
    @return: the new compound, empty if nothing is left.
    @raise PacketRefused: C{malformed}.
    """
    written = bytearray()
    for packet in parseRTCP(compound):
        kind, body = packet.packetType, packet.body
        count, new = packet.count, b""
        if kind in (SR, RR):
            count, new = _rewriteReport(packet, sender, source, timestamp, sequence)
        elif kind == SDES:
            count, new = _rewriteDescription(packet, sender, cname)
        elif kind == BYE:
            old = [_WORD.unpack_from(body, 4 * n)[0] for n in range(count)]
            named = [to for to in map(sender, old) if to is not None]
            if named:
                count, new = len(named), b"".join(map(_WORD.pack, named)) + body[4 * packet.count :]
        elif kind == APP:
            mapped = sender(_WORD.unpack_from(body)[0])
            new = b"" if mapped is None else _WORD.pack(mapped) + body[4:]
        elif kind in (RTPFB, PSFB):
            new = _rewriteFeedback(body, sender, source)
        if new:
            written += _SHORTS.pack(0x8000 | count << 8 | kind, len(new) // 4) + new
    return bytes(written)


def _rewriteReport(
    packet: RTCPPacket,
    sender: Callable[[int], int | None],
    source: Callable[[int], int | None],
    timestamp: Callable[[int, int], int],
    sequence: Callable[[int, int], int],
) -> tuple[int, bytes]:
    body = packet.body
    ssrc = _WORD.unpack_from(body)[0]
    mapped = sender(ssrc)
    if mapped is None:
        return 0, b""
    offset = 24 if packet.packetType == SR else 4
    new = bytearray(body[:offset])
    _WORD.pack_into(new, 0, mapped)
    if packet.packetType == SR:
        # The NTP time stays, so the RTP time of the same instant is all there is to translate.
        _WORD.pack_into(new, 12, timestamp(ssrc, _WORD.unpack_from(body, 12)[0]) & 0xFFFFFFFF)
    count = 0
    for start in range(offset, offset + 24 * packet.count, 24):
        about = _WORD.unpack_from(body, start)[0]
        to = source(about)
        if to is None:
            continue
        block = bytearray(body[start : start + 24])
        _WORD.pack_into(block, 0, to)
        highest = sequence(about, _WORD.unpack_from(body, start + 8)[0])
        _WORD.pack_into(block, 8, highest & 0xFFFFFFFF)
        new += block
        count += 1
    return count, bytes(new)


def _rewriteDescription(
    packet: RTCPPacket, sender: Callable[[int], int | None], cname: bytes | None
) -> tuple[int, bytes]:
    body, offset, count = packet.body, 0, 0
    new = bytearray()
    for _ in range(packet.count):
        if offset + 4 > len(body):
            raise PacketRefused("malformed")
        mapped = sender(_WORD.unpack_from(body, offset)[0])
        start = offset = offset + 4
        # RFC 3550 section 6.5: items until a zero octet, then up to the next whole word.
        while offset < len(body) and body[offset]:
            if offset + 2 > len(body):
                raise PacketRefused("malformed")
            offset += 2 + body[offset + 1]
        items = body[start:offset]
        offset = (offset // 4 + 1) * 4
        if offset > len(body):
            raise PacketRefused("malformed")
        if mapped is None:
            continue
        if cname is not None:
            items = bytes((_CNAME, len(cname))) + cname
        new += _WORD.pack(mapped) + items + bytes(4 - len(items) % 4)
        count += 1
    return count, bytes(new)


def _rewriteFeedback(
    body: bytes, sender: Callable[[int], int | None], source: Callable[[int], int | None]
) -> bytes:
    """RFC 4585 section 6.1: who sends it, and what stream it is about (0: none in particular)."""
    by, about = _TWO_WORDS.unpack_from(body)
    mapped = sender(by)
    to = source(about) if about else 0
    if mapped is None or to is None:
        return b""
    return _TWO_WORDS.pack(mapped, to) + body[8:]
