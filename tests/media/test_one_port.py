"""
RTP and RTCP over one port (RFC 5761).
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.interfaces import MediaAddress
from skypetrunk.wire.rtp import RR, parseRTCP, parseRTP
from tests.media.doubles import CARRIER, PBX, STRANGER, Call, rtp

REPORT = bytes.fromhex("80c9000111111111")
ELSEWHERE = ("203.0.113.99", 7000)


class OnePortTests(SynchronousTestCase):
    """It is agreed when the peer's RTCP goes to the port of its RTP."""

    def setUp(self) -> None:
        """With both sides."""
        self.call = Call()
        self.plain, self.secure = self.call.plain, self.call.secure
        self.plain.setRemote(MediaAddress(*PBX, PBX[1]))
        self.secure.setRemote(MediaAddress(*CARRIER, CARRIER[1]))

    def fromCarrier(self, compound: bytes, source: tuple[str, int] = CARRIER) -> None:
        """RTCP of the carrier, at the port of RTP."""
        self.call.fromCarrier(self.call.peer.protectRTCP(compound), source)

    def test_toPBX(self) -> None:
        """RTP and RTCP of the carrier, mixed, each to the one port of the PBX, from ours."""
        for sequence in (1, 2):
            self.call.fromCarrier(self.call.peer.protect(rtp(sequence)))
            self.fromCarrier(REPORT)
        sent = self.call.network.take()
        self.assertEqual({(each.port, each.destination) for each in sent}, {(self.plain.address.port, PBX)})
        heard = [parseRTP(each.data).sequence for each in sent if each.data[1] < 192]
        self.assertEqual(heard, [1, 2])
        reports = [parseRTCP(each.data)[0].packetType for each in sent if each.data[1] >= 192]
        self.assertEqual(reports, [RR, RR])
        received = self.secure.statistics().received
        self.assertEqual((received.packets, received.rtcpPackets, received.refused), (2, 2, ()))

    def test_toCarrier(self) -> None:
        """And those of the PBX, protected."""
        self.call.fromPBX(rtp(1))
        self.call.fromPBX(REPORT)
        sent = self.call.network.take()
        ways = {(each.port, each.destination) for each in sent}
        self.assertEqual(ways, {(self.secure.address.port, CARRIER)})
        self.call.peer.receive(sent[0].data)
        plain = self.call.peer.unprotectRTCP(sent[-1].data)
        self.assertEqual(parseRTCP(plain)[0].packetType, RR)
        self.assertEqual(self.plain.statistics().received.rtcpPackets, 1)

    def test_source(self) -> None:
        """Where RTP comes from, there RTCP goes, too; nobody else is heard."""
        self.call.fromCarrier(self.call.peer.protect(rtp(1)), ELSEWHERE)
        self.call.network.take()
        self.call.fromPBX(REPORT)
        self.assertEqual([each.destination for each in self.call.network.take()], [ELSEWHERE])
        self.call.fromPBX(REPORT, STRANGER)
        forged = bytearray(self.call.peer.protectRTCP(REPORT))
        forged[-1] ^= 1
        self.call.fromCarrier(bytes(forged), STRANGER)
        self.assertEqual(self.call.network.take(), [])
        self.assertEqual(dict(self.plain.statistics().received.refused), {"source": 1})
        self.assertEqual(dict(self.secure.statistics().received.refused), {"authentication": 1})

    def test_secondPort(self) -> None:
        """A peer that uses the second port all the same is heard."""
        self.call.network.deliver(self.plain.address.rtcpPort, REPORT, (PBX[0], PBX[1] + 1))
        self.assertEqual(self.plain.statistics().received.rtcpPackets, 1)

    def test_notAgreed(self) -> None:
        """Without it, and after it, RTCP at the port of RTP is no RTP packet."""
        self.plain.setRemote(MediaAddress(*PBX, PBX[1] + 1))
        self.secure.setRemote(MediaAddress(*CARRIER, CARRIER[1] + 1))
        self.call.network.take()
        self.call.fromPBX(REPORT)
        self.fromCarrier(REPORT)
        self.assertEqual(self.call.network.take(), [])
        for leg in (self.plain, self.secure):
            received = leg.statistics().received
            self.assertEqual(sum(count for _, count in received.refused), 1)
            self.assertEqual(received.rtcpPackets, 0)

    def test_hold(self) -> None:
        """It stays so through a hold without an address, and ends with the call."""
        self.secure.setRemote(None)
        self.fromCarrier(REPORT)
        self.assertEqual(self.secure.statistics().received.rtcpPackets, 1)
        self.call.release()
        self.secure.setRemote(MediaAddress(*CARRIER, CARRIER[1]))
        self.assertIsNone(self.secure.rtpPort.leg)
        self.secure.rtpPort.datagramReceived(REPORT, CARRIER)
        self.assertEqual(self.secure.statistics().received.rtcpPackets, 1)
