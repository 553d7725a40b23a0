"""Tests of L{skypetrunk.wire.rtp}."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.errors import PacketRefused
from skypetrunk.wire.rtp import (
    APP,
    BYE,
    PSFB,
    RR,
    RTPFB,
    SDES,
    SR,
    RTCPPacket,
    RTPHeader,
    isRTCP,
    parseRTCP,
    parseRTP,
    rewriteHeader,
    rewriteRTCP,
    writeHeader,
)

PACKET = struct.pack("!BBHII", 0x80, 8, 65535, 160, 0xCAFE) + b"payload"
PBX, OURS, CARRIER, THEIRS = 0x11111111, 0xAAAAAAAA, 0xBBBBBBBB, 0x22222222
STRANGER = 0x99999999


def _rtcp(kind: int, count: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body


def _report(ssrc: int, highest: int) -> bytes:
    return struct.pack("!IIIIII", ssrc, 0x05000003, highest, 7, 8, 9)


def _senderInfo(timestamp: int) -> bytes:
    return struct.pack("!IIIII", 1, 2, timestamp, 3, 4)


def _description(*chunks: tuple[int, bytes]) -> bytes:
    body = b""
    for ssrc, items in chunks:
        body += struct.pack("!I", ssrc) + items + bytes(4 - len(items) % 4)
    return _rtcp(SDES, len(chunks), body)


def _rewrite(compound: bytes, cname: bytes | None = None) -> bytes:
    """As from the PBX's leg to the carrier's: +1000 in time, -100 in reported sequence numbers."""

    def timestamp(ssrc: int, value: int) -> int:
        assert ssrc == PBX
        return value + 1000

    def sequence(ssrc: int, value: int) -> int:
        assert ssrc == CARRIER
        return value - 100

    return rewriteRTCP(
        compound,
        sender={PBX: OURS}.get,
        source={CARRIER: THEIRS}.get,
        timestamp=timestamp,
        sequence=sequence,
        cname=cname,
    )


class HeaderTests(SynchronousTestCase):
    """RTP headers (RFC 3550 section 5.1)."""

    def test_fields(self) -> None:
        """All fields come out."""
        self.assertEqual(parseRTP(PACKET), RTPHeader(2, False, False, 8, 65535, 160, 0xCAFE, 12))
        marked = struct.pack("!BBHII", 0xA0, 0x80 | 101, 1, 2, 3)
        self.assertEqual(parseRTP(memoryview(marked)), RTPHeader(2, True, True, 101, 1, 2, 3, 12))

    def test_lengths(self) -> None:
        """CSRCs and extension belong to the header."""
        octets = bytearray(PACKET[:12] + bytes(8) + struct.pack("!HH", 0xBEDE, 1) + bytes(4) + b"xy")
        octets[0] = 0x92
        self.assertEqual(parseRTP(octets).headerLength, 28)
        for end in range(28):
            self.assertEqual(
                self.assertRaises(PacketRefused, parseRTP, bytes(octets[:end])).reason, "malformed"
            )
        self.assertEqual(parseRTP(octets[:28]).headerLength, 28)

    def test_notRTP(self) -> None:
        """Other versions and RTCP are refused."""
        for first, second in ((0x00, 8), (0x40, 8), (0xC0, 8), (0x80, 192), (0x80, 200), (0x80, 223)):
            self.assertRaises(PacketRefused, parseRTP, bytes((first, second)) + PACKET[2:])

    def test_rewrite(self) -> None:
        """Four fields change, nothing else."""
        new = rewriteHeader(PACKET, marker=True, sequence=0, timestamp=2**32 - 1, ssrc=1)
        self.assertEqual(parseRTP(new), RTPHeader(2, False, True, 8, 0, 2**32 - 1, 1, 12))
        self.assertEqual(new[12:], b"payload")
        new = rewriteHeader(new, marker=False, sequence=5, timestamp=6, ssrc=7, payloadType=101)
        self.assertEqual(parseRTP(new), RTPHeader(2, False, False, 101, 5, 6, 7, 12))

    def test_inPlace(self) -> None:
        """A header is written into a buffer longer than the packet."""
        buffer = bytearray(2048)
        buffer[: len(PACKET)] = PACKET
        writeHeader(buffer, marker=True, payloadType=0, sequence=5, timestamp=6, ssrc=7)
        wanted = rewriteHeader(PACKET, marker=True, sequence=5, timestamp=6, ssrc=7, payloadType=0)
        self.assertEqual(bytes(buffer[: len(PACKET)]), wanted)

    def test_tell(self) -> None:
        """RTP and RTCP on one port are told apart (RFC 5761 section 4)."""
        self.assertFalse(isRTCP(PACKET))
        self.assertTrue(isRTCP(_rtcp(RR, 0, bytes(4))))
        for other in (b"", _rtcp(RR, 0, b""), b"\x00" + _rtcp(RR, 0, bytes(4))[1:]):
            self.assertFalse(isRTCP(other))

    @given(
        st.booleans(),
        st.integers(0, 65535),
        st.integers(0, 2**32 - 1),
        # Those between would be RTCP, with the marker (RFC 5761 section 4).
        st.integers(0, 63) | st.integers(96, 127),
        st.binary(max_size=9),
    )
    def test_roundTrip(self, marker: bool, sequence: int, number: int, kind: int, payload: bytes) -> None:
        """What is written is read."""
        packet = rewriteHeader(
            PACKET[:12] + payload,
            marker=marker,
            sequence=sequence,
            timestamp=number,
            ssrc=number ^ 1,
            payloadType=kind,
        )
        self.assertEqual(
            parseRTP(packet), RTPHeader(2, False, marker, kind, sequence, number, number ^ 1, 12)
        )
        self.assertEqual(packet[12:], payload)

    @given(st.binary(max_size=40))
    def test_anyOctets(self, packet: bytes) -> None:
        """Any octets are a header within the packet, or refused."""
        for start in (b"", b"\x9f", b"\x90\x08"):
            try:
                self.assertLessEqual(parseRTP(start + packet).headerLength, len(start + packet))
            except PacketRefused as refused:
                self.assertEqual(refused.reason, "malformed")


class CompoundTests(SynchronousTestCase):
    """RTCP compounds (RFC 3550 section 6.1 and appendix A.2)."""

    def test_parse(self) -> None:
        """A compound is taken apart."""
        body = struct.pack("!I", PBX) + _senderInfo(5) + _report(CARRIER, 6)
        compound = _rtcp(SR, 1, body) + _description((PBX, b"\x01\x01x")) + _rtcp(BYE, 0, b"")
        packets = parseRTCP(compound)
        self.assertEqual([packet.packetType for packet in packets], [SR, SDES, BYE])
        self.assertEqual(packets[0], RTCPPacket(SR, 1, body))
        self.assertEqual([packet.ssrc for packet in packets], [PBX, PBX, None])

    def test_padding(self) -> None:
        """The last packet may be padded; the padding is not passed on."""
        packet = bytearray(_rtcp(RR, 0, struct.pack("!I", PBX) + bytes(7) + b"\x08"))
        packet[0] |= 0x20
        self.assertEqual(parseRTCP(bytes(packet)), (RTCPPacket(RR, 0, struct.pack("!I", PBX)),))
        self.assertEqual(_rewrite(bytes(packet)), _rtcp(RR, 0, struct.pack("!I", OURS)))
        for wrong in (0, 3, 9, 12, 16):
            packet[-1] = wrong
            self.assertRaises(PacketRefused, parseRTCP, bytes(packet))
        packet[-1] = 8
        self.assertRaises(PacketRefused, parseRTCP, bytes(packet) + _rtcp(BYE, 0, b""))

    def test_malformed(self) -> None:
        """Lengths that do not add up, and packets shorter than their counts, are refused."""
        report = _rtcp(RR, 1, struct.pack("!I", PBX) + _report(CARRIER, 6))
        for broken in (
            b"",
            b"\x80",
            report[:-1],
            report[:-4],
            report + b"\x80",
            report + PACKET,
            b"\x40" + report[1:],
            _rtcp(RR, 2, report[4:]),
            _rtcp(RR, 0, b""),
            _rtcp(SR, 1, report[4:]),
            _rtcp(BYE, 2, bytes(4)),
            _rtcp(SDES, 2, bytes(4)),
            _rtcp(APP, 0, bytes(4)),
            _rtcp(PSFB, 1, bytes(4)),
        ):
            self.assertEqual(self.assertRaises(PacketRefused, parseRTCP, broken).reason, "malformed")

    def test_descriptionRunsOut(self) -> None:
        """Items that run over their packet are refused."""
        for items in (b"\x01\xff", b"\x01\x01", b"\x01\x06abcdef", b"abc"):
            body = struct.pack("!I", PBX) + items + b"\x01" * (-len(items) % 4)
            self.assertRaises(PacketRefused, _rewrite, _rtcp(SDES, 1, body))
        self.assertRaises(PacketRefused, _rewrite, _rtcp(SDES, 2, struct.pack("!I", PBX) + bytes(4)))


class MappingTests(SynchronousTestCase):
    """L{rewriteRTCP}: the trunk owns the numbers of the streams it sends."""

    def test_senderReport(self) -> None:
        """Sender, time stamp, and what a report is about and its sequence number change; nothing else."""
        before = _rtcp(
            SR,
            2,
            struct.pack("!I", PBX) + _senderInfo(2**32 - 1) + _report(CARRIER, 50) + _report(STRANGER, 1),
        )
        after = _rtcp(
            SR, 1, struct.pack("!I", OURS) + _senderInfo(999) + _report(THEIRS, (50 - 100) & 0xFFFFFFFF)
        )
        self.assertEqual(_rewrite(before), after)

    def test_receiverReport(self) -> None:
        """A report about an unknown stream is left out, the receiver report goes on."""
        before = _rtcp(RR, 2, struct.pack("!I", PBX) + _report(STRANGER, 1) + _report(CARRIER, 70100))
        self.assertEqual(_rewrite(before), _rtcp(RR, 1, struct.pack("!I", OURS) + _report(THEIRS, 70000)))
        before = _rtcp(RR, 1, struct.pack("!I", PBX) + _report(STRANGER, 1) + b"extension..!")
        self.assertEqual(_rewrite(before), _rtcp(RR, 0, struct.pack("!I", OURS)))

    def test_unknownSender(self) -> None:
        """Packets of an unknown sender are left out, up to an empty result."""
        unknown = struct.pack("!I", STRANGER)
        for packet in (
            _rtcp(SR, 0, unknown + _senderInfo(1)),
            _rtcp(RR, 0, unknown),
            _rtcp(BYE, 1, unknown),
            _rtcp(APP, 0, unknown + b"name"),
            _rtcp(PSFB, 1, unknown + struct.pack("!I", CARRIER)),
            _description((STRANGER, b"\x01\x01x")),
            _rtcp(207, 0, struct.pack("!I", PBX)),
        ):
            self.assertEqual(_rewrite(packet), b"")
            kept = _rtcp(RR, 0, struct.pack("!I", PBX))
            self.assertEqual(_rewrite(kept + packet), _rtcp(RR, 0, struct.pack("!I", OURS)))

    def test_description(self) -> None:
        """Items go with their SSRC, or give way to our own CNAME."""
        for items in (b"", b"\x01\x01x", b"\x01\x02xy\x02\x05alice", b"\x01\x04abcd\x06\x00"):
            before = _description((PBX, items), (STRANGER, b"\x01\x01y"), (PBX, items))
            self.assertEqual(_rewrite(before), _description((OURS, items), (OURS, items)))
        before = _description((PBX, b"\x01\x08alice@pb\x02\x05alice"))
        self.assertEqual(_rewrite(before, b"trunk"), _description((OURS, b"\x01\x05trunk")))

    def test_bye(self) -> None:
        """BYE names our SSRC and keeps its reason."""
        before = _rtcp(BYE, 2, struct.pack("!II", STRANGER, PBX) + b"\x03bye")
        self.assertEqual(_rewrite(before), _rtcp(BYE, 1, struct.pack("!I", OURS) + b"\x03bye"))
        self.assertEqual(_rewrite(_rtcp(BYE, 0, b"")), b"")

    def test_feedback(self) -> None:
        """Feedback names both SSRCs anew; none in particular stays none (RFC 4585 section 6.1)."""
        for kind in (RTPFB, PSFB):
            before = _rtcp(kind, 1, struct.pack("!II", PBX, CARRIER) + b"FCI.")
            self.assertEqual(_rewrite(before), _rtcp(kind, 1, struct.pack("!II", OURS, THEIRS) + b"FCI."))
            before = _rtcp(kind, 15, struct.pack("!II", PBX, 0) + b"FCI.")
            self.assertEqual(_rewrite(before), _rtcp(kind, 15, struct.pack("!II", OURS, 0) + b"FCI."))
            self.assertEqual(_rewrite(_rtcp(kind, 1, struct.pack("!II", PBX, STRANGER))), b"")

    def test_application(self) -> None:
        """APP keeps its subtype, name and data."""
        before = _rtcp(APP, 3, struct.pack("!I", PBX) + b"nameDATA")
        self.assertEqual(_rewrite(before), _rtcp(APP, 3, struct.pack("!I", OURS) + b"nameDATA"))

    @given(
        st.lists(
            st.tuples(
                st.integers(192, 223),
                st.integers(0, 3),
                st.binary(max_size=60).map(lambda b: b[: len(b) & ~3]),
            ),
            max_size=4,
        ),
        st.sampled_from([None, b"cname"]),
    )
    def test_anyCompound(self, packets: list[tuple[int, int, bytes]], cname: bytes | None) -> None:
        """
        Whatever passes is a compound again, and with the same numbers given back it stays as
        it is from then on.
        """
        compound = b"".join(_rtcp(*packet) for packet in packets)

        def rewritten(octets: bytes) -> bytes:
            return rewriteRTCP(
                octets,
                sender=lambda ssrc: ssrc,
                source=lambda ssrc: ssrc,
                timestamp=lambda _, value: value,
                sequence=lambda _, value: value,
                cname=cname,
            )

        try:
            once = rewritten(compound)
        except PacketRefused as refused:
            self.assertEqual(refused.reason, "malformed")
            return
        if once:
            self.assertEqual(rewritten(once), once)

    @given(st.binary(max_size=60))
    def test_anyOctets(self, octets: bytes) -> None:
        """Any octets are rewritten or refused."""
        for start in (b"", b"\x81\xca", b"\x82\xca\x00"):
            try:
                self.assertEqual(len(_rewrite(start + octets)) % 4, 0)
            except PacketRefused as refused:
                self.assertEqual(refused.reason, "malformed")
