"""
Tests of L{skypetrunk.wire.reports}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.wire.reports import (
    ReportBlock,
    SenderInfo,
    middle,
    reportBlocks,
    senderTime,
    withoutTimes,
    writeReport,
)
from skypetrunk.wire.rtp import RR, SDES, SR, RTCPPacket, parseRTCP

BLOCK = ReportBlock(0x11111111, 64, 12345, 0x00012345, 80, 0x705C8000, 0x00058000)
INFO = SenderInfo(0xB705C800 / 2 - 0.5, 0xFFFFFFFF, 1000, 160_000)


class ReportTests(SynchronousTestCase):
    """RFC 3550 section 6.4."""

    def test_octets(self) -> None:
        """A sender report, octet by octet."""
        info = SenderInfo(1_700_000_000.25, 0x01020304, 5, 800)
        written = writeReport(0xAABBCCDD, info, (BLOCK,), b"abc")
        expected = (
            "81 c8 000c aabbccdd  e8fe6f80 40000000 01020304 00000005 00000320"
            "11111111 40 003039 00012345 00000050 705c8000 00058000"
            "81 ca 0003 aabbccdd 01 03 616263 00 0000"
        )
        self.assertEqual(written.hex(), expected.replace(" ", ""))
        self.assertEqual(middle(1_700_000_000.25), 0x6F804000)

    def test_roundTrip(self) -> None:
        """What is written is read again; what has no place in 24 bits is the next that has."""
        for lost, read in ((0, 0), (-3, -3), (0x7FFFFF, 0x7FFFFF), (2**30, 0x7FFFFF), (-(2**30), -0x800000)):
            block = BLOCK._replace(lost=lost)
            sr, description = parseRTCP(writeReport(7, INFO, (block, BLOCK), b"x" * 24))
            self.assertEqual((sr.packetType, sr.count, sr.ssrc), (SR, 2, 7))
            self.assertEqual(list(reportBlocks(sr)), [BLOCK._replace(lost=read), BLOCK])
            self.assertEqual(senderTime(sr), middle(INFO.time))
            self.assertEqual((description.packetType, description.ssrc), (SDES, 7))

    def test_receiver(self) -> None:
        """Without anything sent: RR, which may have nothing to say."""
        rr, _ = parseRTCP(writeReport(7, None, (), b"x"))
        self.assertEqual((rr.packetType, rr.count, rr.body), (RR, 0, (7).to_bytes(4, "big")))
        self.assertIsNone(senderTime(rr))
        self.assertEqual(list(reportBlocks(rr)), [])

    def test_others(self) -> None:
        """Other packets have no blocks, whatever their count says."""
        packet = RTCPPacket(SDES, 2, bytes(60))
        self.assertEqual(list(reportBlocks(packet)), [])
        self.assertIsNone(senderTime(packet))

    def test_withoutTimes(self) -> None:
        """Only what refers to a report of ours loses its times."""
        other = BLOCK._replace(lastReport=5)
        for info in (INFO, None):
            packet, _ = parseRTCP(writeReport(7, info, (BLOCK, other), b"x"))
            body = withoutTimes(packet, frozenset((BLOCK.lastReport, 9)))
            self.assertEqual(
                list(reportBlocks(RTCPPacket(packet.packetType, 2, body))),
                [BLOCK._replace(lastReport=0, delay=0), other],
            )
            self.assertEqual(withoutTimes(packet, frozenset((1,))), packet.body)
