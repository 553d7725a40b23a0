"""
What of an RTCP compound may cross from one leg to the other.

An RTCP compound carries names, addresses and free text of whoever wrote it (RFC 3550
section 6.5), none of which belongs on the other side of a border.  Reports cross; source
description is written anew; BYE, APP and all unknown types stay where they came from.
"""

from __future__ import annotations

from struct import Struct

from skypetrunk.wire.rtp import RR, SDES, SR, parseRTCP, rewriteRTCP

_HEADER = Struct("!BBH")
_COUNTS = Struct("!II")


def relayable(
    compound: bytes, source: int | None = None, counts: tuple[int, int] | None = None
) -> tuple[int | None, bytes]:
    """
    The packets of C{compound} that may cross.

    @param source: the only SSRC whose sender reports are taken, where C{counts} is given.
    @param counts: packets and payload octets to put into sender reports, or C{None}: as they are.
    @return: who sent it, and the packets as a compound, empty when there is no report among them.
    @raise PacketRefused: C{malformed}.
    """
    packets = [packet for packet in parseRTCP(compound) if packet.packetType in (SR, RR, SDES)]
    if not packets or packets[0].packetType == SDES:
        return None, b""
    sender = packets[0].ssrc
    written = bytearray()
    for packet in packets:
        body = packet.body
        if packet.packetType == SR and counts is not None:
            if packet.ssrc != source:
                # Its time stamps belong to a stream that we do not follow.
                return None, b""
            body = body[:16] + _COUNTS.pack(*(count & 0xFFFFFFFF for count in counts)) + body[24:]
        written += _HEADER.pack(0x80 | packet.count, packet.packetType, len(body) // 4) + body
    return sender, bytes(written)


def unchanged(compound: bytes, cname: bytes) -> bytes:
    """
    A compound whose streams keep their numbers, described by C{cname}; empty when nothing of it may cross.

    @raise PacketRefused: C{malformed}.
    """
    sender, kept = relayable(compound)
    if not kept:
        return b""
    return rewriteRTCP(
        kept,
        sender=lambda ssrc: ssrc if ssrc == sender else None,
        source=lambda ssrc: ssrc,
        timestamp=lambda _, value: value,
        sequence=lambda _, value: value,
        cname=cname,
    )
