"""Tests of L{skypetrunk.media.either}."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skypetrunk.errors import LocalError
from skypetrunk.interfaces import IMediaLeg, MediaAddress, MediaPath
from skypetrunk.media.either import EitherLeg
from skypetrunk.media.plain import PlainLeg
from skypetrunk.media.plane import MediaPlane
from skypetrunk.media.secure import SecureLeg
from skypetrunk.wire.reports import ReportBlock, writeReport
from skypetrunk.wire.rtp import SDES, SR, RTCPPacket, parseRTCP, parseRTP
from tests.media.doubles import CARRIER, PBX, STRANGER, SUITE, MemoryNetwork, SecurePeer, entropy, key, rtp

REPORT = bytes.fromhex("80c9000100000001")


class KindTests(SynchronousTestCase):
    """Which leg stands for which mode."""

    def setUp(self) -> None:
        """A plane behind a router."""
        self.plane = MediaPlane(
            MemoryNetwork(), Clock(), "192.0.2.1", "203.0.113.77", (20000, 20099), entropy()
        )

    def test_kinds(self) -> None:
        """Towards a carrier the mode tells, and each shows the address outside; a PBX has plain RTP."""
        for secure, mode, kind, shown in (
            (True, "required", SecureLeg, "203.0.113.77"),
            (True, "opportunistic", EitherLeg, "203.0.113.77"),
            (True, "off", PlainLeg, "203.0.113.77"),
            (False, "off", PlainLeg, "192.0.2.1"),
        ):
            leg = self.plane.allocate("leg", secure, MediaPath(srtp=mode))
            self.assertIs(type(leg), kind)
            self.assertEqual(leg.address.host, shown)
            self.assertTrue(verifyObject(IMediaLeg, leg))

    def test_setClear(self) -> None:
        """A leg that has to be secure cannot be told that it is not; one without SRTP is not."""
        self.assertRaises(LocalError, self.plane.allocate("leg", True).setClear)
        plain = self.plane.allocate("leg", True, MediaPath(srtp="off"))
        plain.setClear()
        self.assertFalse(plain.statistics().secure)
        self.assertRaises(LocalError, plain.setLocalKey, SUITE, key(1))


class EitherLegTests(SynchronousTestCase):
    """The carrier's side of a call; the PBX's is known."""

    def setUp(self) -> None:
        """Nothing is agreed."""
        self.clock = Clock()
        self.clock.advance(1000)
        self.network = MemoryNetwork()
        self.plane = MediaPlane(self.network, self.clock, "192.0.2.1", None, (20000, 20099), entropy())
        self.pbx = self.plane.allocate("pbx", False)
        self.leg = self.plane.allocate("carrier", True, MediaPath(srtp="opportunistic"))
        self.plane.join(self.pbx, self.leg, "call")
        self.pbx.setRemote(MediaAddress(*PBX, PBX[1] + 1))
        self.peer = SecurePeer(key(2), key(1))

    def clear(self) -> None:
        """RTP in clear is agreed."""
        self.leg.setRemote(MediaAddress(*CARRIER, CARRIER[1] + 1))
        self.leg.setClear()

    def secured(self) -> None:
        """SRTP is agreed."""
        self.leg.setRemote(MediaAddress(*CARRIER, CARRIER[1] + 1))
        self.leg.setRemoteKey(SUITE, key(2))
        self.leg.setLocalKey(SUITE, key(1))

    def heard(self, packet: bytes, source: tuple[str, int] = CARRIER) -> list[bytes]:
        """What reaches the PBX of a packet from the carrier's side."""
        self.network.deliver(self.leg.address.port, packet, source)
        return [each.data for each in self.network.take() if each.port == self.pbx.address.port]

    def said(self, packet: bytes) -> list[bytes]:
        """What reaches the carrier of a packet of the PBX."""
        self.network.deliver(self.pbx.address.port, packet, PBX)
        return [each.data for each in self.network.take() if each.port == self.leg.address.port]

    def refused(self) -> dict[str, int]:
        """What was not let in, by reason."""
        return dict(self.leg.statistics().received.refused)

    def test_secure(self) -> None:
        """With keys it is SRTP, and what is none is refused from wherever it comes."""
        self.secured()
        self.network.take()
        self.assertEqual(self.heard(self.peer.protect(rtp(1))), [rtp(1)])
        self.assertEqual(self.heard(rtp(2)), [])
        (sent,) = self.said(rtp(7))
        self.peer.receive(sent)
        self.assertEqual(len(self.peer.plain), 1)
        statistics = self.leg.statistics()
        self.assertEqual((statistics.secure, statistics.suite), (True, SUITE))
        self.assertEqual(statistics.received.authenticated, 1)

    def test_reports(self) -> None:
        """In clear the reports that we make are, too, in the PBX's own numbers; the peer's are read."""
        self.clear()
        found: list[RTCPPacket] = []
        for number in range(1200):
            self.clock.advance(0.02)
            self.network.deliver(self.pbx.address.port, rtp(number), PBX)
            for each in self.network.take():
                if each.port == self.leg.address.rtcpPort:
                    found += parseRTCP(each.data)
        kinds = {(packet.packetType, packet.ssrc) for packet in found}
        self.assertEqual(kinds, {(SR, 0x11111111), (SDES, 0x11111111)})
        block = ReportBlock(0x11111111, 0, 7, 0, 0, 0, 0)
        compound = writeReport(5, None, (block,), b"carrier")
        self.network.deliver(self.leg.address.rtcpPort, compound, (CARRIER[0], CARRIER[1] + 1))
        sent = self.leg.statistics().sent
        self.assertEqual((sent.reports, sent.lost), (1, 7))

    def test_clear(self) -> None:
        """Without, RTP goes both ways as it is, and only the signalled host is heard."""
        self.clear()
        self.assertEqual(self.heard(rtp(1)), [rtp(1)])
        self.assertEqual(self.heard(rtp(2), (CARRIER[0], 7777)), [])
        self.clock.advance(1.0)
        self.assertEqual(self.heard(rtp(2), (CARRIER[0], 7777)), [rtp(2)])
        self.assertEqual(self.heard(rtp(3), STRANGER), [])
        self.assertEqual(self.said(rtp(7)), [rtp(7)])
        self.network.deliver(self.leg.address.rtcpPort, REPORT, CARRIER)
        self.network.deliver(self.pbx.address.rtcpPort, REPORT, PBX)
        statistics = self.leg.statistics()
        self.assertEqual((statistics.secure, statistics.suite), (False, None))
        received, sent = statistics.received, statistics.sent
        self.assertEqual((received.packets, received.authenticated, received.rtcpPackets), (2, 0, 1))
        self.assertEqual((sent.packets, sent.authenticated, sent.rtcpPackets), (1, 0, 1))
        self.assertEqual(self.refused(), {"source": 2})

    def test_nothingBefore(self) -> None:
        """Before anything is agreed nothing is sent, and what comes waits for what it proves to be."""
        for agree in (self.clear, self.secured):
            self.setUp()
            packets = [rtp(1), rtp(2)]
            if agree == self.secured:
                packets = [self.peer.protect(each) for each in packets]
            for packet in packets:
                self.assertEqual(self.heard(packet), [])
            self.assertEqual(self.heard(rtp(3), STRANGER), [])
            self.assertEqual(self.said(rtp(9)), [])
            self.assertFalse(self.leg.statistics().secure)
            agree()
            heard = [each.data for each in self.network.take() if each.port == self.pbx.address.port]
            self.assertEqual(heard, [rtp(1), rtp(2)])
            self.assertEqual(self.leg.statistics().received.early, 2)
            self.assertEqual(sum(self.refused().values()), 1)

    def test_raised(self) -> None:
        """From clear to SRTP: RTP in clear is not heard, and nothing leaves in clear, any more."""
        self.clear()
        self.heard(rtp(1))
        self.said(rtp(1))
        self.secured()
        self.network.take()
        self.assertEqual(self.heard(rtp(2)), [])
        self.assertEqual(self.heard(self.peer.protect(rtp(2))), [rtp(2)])
        (sent,) = self.said(rtp(2))
        self.peer.receive(sent)
        self.assertEqual(self.peer.refused, [])
        self.assertTrue(self.leg.statistics().secure)

    def test_otherBranch(self) -> None:
        """Early media was SRTP, the branch that answers has none: no keep-alive, no SRTP is sent to it."""
        self.secured()
        self.network.take()
        self.clear()
        self.clock.pump([1.0] * 40)
        self.assertEqual(self.network.take(), [])
        self.assertEqual(self.said(rtp(3)), [rtp(3)])
        self.assertEqual(self.heard(rtp(3)), [rtp(3)])
        self.secured()
        self.network.take()
        (sent,) = self.said(rtp(4))
        self.peer.receive(sent)
        self.assertEqual([parseRTP(each).payloadType for each in self.peer.plain], [0])

    def test_joinedAnew(self) -> None:
        """The PBX's leg is joined to another one: what comes in clear reaches nobody any more."""
        self.clear()
        self.heard(rtp(1))
        other = self.plane.allocate("other", True, MediaPath(srtp="opportunistic"))
        self.plane.join(self.pbx, other, "call")
        self.assertEqual(self.heard(rtp(2)), [])
        self.plane.join(self.pbx, self.leg, "call")
        self.assertEqual(self.heard(rtp(3)), [rtp(3)])

    def test_hold(self) -> None:
        """Nothing is sent where the direction does not allow it, or there is no address."""
        self.clear()
        self.leg.setSending(False)
        self.assertEqual(self.said(rtp(1)), [])
        self.leg.setSending(True)
        self.leg.setRemote(None)
        self.assertEqual(self.said(rtp(2)), [])
        self.assertEqual(self.heard(rtp(1)), [rtp(1)])

    def test_refusedStaysRefused(self) -> None:
        """What was no SRTP while that was agreed is not heard when clear media is agreed a moment later."""
        self.secured()
        self.network.take()
        self.assertEqual(self.heard(rtp(1, payload=bytes(30))), [])
        self.clear()
        self.assertEqual([each for each in self.network.take() if each.port == self.pbx.address.port], [])
        self.assertEqual(self.refused(), {"authentication": 1})

    def test_released(self) -> None:
        """After the end nothing is agreed, heard or sent."""
        for agree in (self.clear, self.secured):
            self.setUp()
            agree()
            self.leg.release()
            self.leg.setClear()
            self.pbx.release()
            self.assertEqual(self.plane.openPorts, 0)
            self.assertEqual(self.clock.getDelayedCalls(), [])
