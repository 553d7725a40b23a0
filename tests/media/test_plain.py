"""
Tests of L{skypetrunk.media.plain}.
"""

from __future__ import annotations

from ipaddress import ip_network

from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skypetrunk.errors import LocalError, MalformedSDP
from skypetrunk.interfaces import IMediaLeg, MediaAddress, MediaPath
from skypetrunk.media.leg_reports import STRANGE
from skypetrunk.media.srtp import DATAGRAM_LIMIT
from skypetrunk.wire.rtp import parseRTCP, parseRTP
from tests.media.doubles import CARRIER, PBX, STRANGER, SUITE, Call, key, rtp


class PlainLegTests(SynchronousTestCase):
    """The PBX side of a call."""

    def setUp(self) -> None:
        """A call with both peers known."""
        self.call = Call()
        self.leg = self.call.plain

    def refused(self) -> dict[str, int]:
        """What was not let in, by reason."""
        return dict(self.leg.statistics().received.refused)

    def test_interface(self) -> None:
        """It provides L{IMediaLeg}."""
        self.assertTrue(verifyObject(IMediaLeg, self.leg))

    def test_unchanged(self) -> None:
        """A packet of the carrier comes out as it was, at the signalled address."""
        packet = rtp(65_000, ssrc=0xCAFE, marker=True)
        self.call.fromCarrier(self.call.peer.protect(packet))
        (sent,) = self.call.receiveAll()
        self.assertEqual(sent, (self.leg.address.port, packet, PBX))
        statistics = self.leg.statistics()
        self.assertEqual((statistics.secure, statistics.suite), (False, None))
        self.assertEqual((statistics.sent.packets, statistics.sent.octets), (1, len(packet)))
        self.assertEqual(statistics.sent.authenticated, 0)

    def test_stranger(self) -> None:
        """What comes from another host is dropped and counted, RTP and RTCP, good or garbage."""
        for source in (STRANGER, CARRIER, ("192.0.2.11", PBX[1])):
            self.call.fromPBX(rtp(1), source)
            self.call.fromPBX(b"garbage", source)
            self.call.network.deliver(self.leg.address.rtcpPort, bytes.fromhex("80c9000100000001"), source)
        self.assertEqual(self.call.network.sent, [])
        self.assertEqual(self.refused(), {"source": 9})
        self.assertEqual(self.leg.statistics().received.packets, 0)

    def test_beforeDescription(self) -> None:
        """Before its SDP is known a PBX is a stranger."""
        call = Call(ready=False)
        call.fromPBX(rtp(1))
        self.assertEqual(dict(call.plain.statistics().received.refused), {"source": 1})

    def test_latch(self) -> None:
        """The port that the PBX sends from is where its packets go."""
        self.call.fromPBX(rtp(1), (PBX[0], 4444))
        self.call.fromCarrier(self.call.peer.protect(rtp(1)))
        (sent,) = self.call.receiveAll()
        self.assertEqual(sent.destination, (PBX[0], 4444))

    def test_garbage(self) -> None:
        """Garbage of the PBX itself is counted, moves no latch, and leaves no line in the log."""
        events = EventLoggingObserver()
        globalLogPublisher.addObserver(events)
        self.addCleanup(globalLogPublisher.removeObserver, events)
        for packet in (
            b"",
            b"\x80",
            bytes(12),
            bytes(200),
            b"\x9f" + rtp(1)[1:],
            bytes.fromhex("80c9000100000001"),
        ):
            self.call.fromPBX(packet, (PBX[0], 4444))
        self.call.fromPBX(rtp(1, payload=bytes(DATAGRAM_LIMIT + 500)))
        self.assertEqual(self.refused(), {"malformed": 6, "size": 1})
        for packet in (b"", bytes(8), b"\x80\xc9\xff\xff"):
            self.call.network.deliver(self.leg.address.rtcpPort, packet, PBX)
        self.assertEqual(self.refused(), {"malformed": 9, "size": 1})
        self.assertEqual(self.call.network.sent, [])
        self.call.fromCarrier(self.call.peer.protect(rtp(1)))
        self.assertEqual(self.call.receiveAll()[0].destination, PBX)
        self.assertEqual(list(events), [])

    def test_strangerTold(self) -> None:
        """One that goes on is named in the log: once, however much it sends."""
        events = EventLoggingObserver()
        globalLogPublisher.addObserver(events)
        self.addCleanup(globalLogPublisher.removeObserver, events)
        for sequence in range(STRANGE - 1):
            self.call.fromPBX(rtp(sequence), STRANGER)
        self.assertEqual(list(events), [])
        for sequence in range(1000):
            self.call.fromPBX(rtp(sequence), STRANGER)
        (event,) = events
        self.assertEqual(
            formatEvent(event),
            f"pbx: audio from {STRANGER[0]} port {STRANGER[1]} is refused, as SDP names {PBX[0]}",
        )
        self.assertEqual(self.refused(), {"source": 999 + STRANGE})

    def test_allowed(self) -> None:
        """A host of a configured network is heard, RTP and RTCP, until the signalled one sends."""
        call = Call(path=MediaPath(allow=(ip_network("198.51.100.0/24"),)))
        other = ("198.51.100.77", 4444)
        call.fromPBX(rtp(1), other)
        call.network.deliver(call.plain.address.rtcpPort, bytes.fromhex("80c9000100000001"), other)
        call.fromCarrier(call.peer.protect(rtp(1)))
        self.assertEqual(call.receiveAll()[-1].destination, other)
        self.assertEqual(len(call.peer.plain), 1)
        received = call.plain.statistics().received
        self.assertEqual((received.packets, received.rtcpPackets, received.refused), (1, 1, ()))
        call.fromPBX(rtp(2))
        call.fromPBX(rtp(3), other)
        self.assertEqual(dict(call.plain.statistics().received.refused), {"source": 1})

    def test_noMulticast(self) -> None:
        """A group cannot be joined where the reactor has no multicast: nothing has changed."""
        call = Call(path=MediaPath(group="239.1.2.3"))
        group = MediaAddress("239.1.2.3", 5000, 5001, ttl=1)
        self.assertRaises(MalformedSDP, call.plain.setRemote, group)
        call.fromCarrier(call.peer.protect(rtp(1)))
        self.assertEqual([sent.destination for sent in call.receiveAll()], [PBX])

    def test_asymmetric(self) -> None:
        """A PBX that sends from another port than it receives at gets the carrier's packets where it said."""
        call = Call(path=MediaPath(symmetric=False))
        call.fromPBX(rtp(1), (PBX[0], 4444))
        call.fromCarrier(call.peer.protect(rtp(1)))
        self.assertEqual([sent.destination for sent in call.receiveAll()], [PBX])
        self.assertEqual(len(call.peer.plain), 1)

    def test_refresh(self) -> None:
        """Behind NAT, and silent: an SDP that says the same leaves ours where its own came from."""
        elsewhere = (PBX[0], 4444)
        self.call.fromPBX(rtp(1), elsewhere)
        self.leg.setRemote(MediaAddress(*PBX, PBX[1] + 1))
        self.call.fromCarrier(self.call.peer.protect(rtp(1)))
        self.assertEqual([each.destination for each in self.call.receiveAll()], [elsewhere])

    def test_rtcpElsewhere(self) -> None:
        """RTCP has an address of its own where the SDP says so (RFC 3605): it goes and comes there."""
        host = "192.0.2.88"
        self.leg.setRemote(MediaAddress(*PBX, 5001, host))
        report = bytes.fromhex("80c9000100000001")
        for source in ((PBX[0], 5001), (host, 5001)):
            self.call.network.deliver(self.leg.address.rtcpPort, report, source)
        self.assertEqual(self.leg.statistics().received.rtcpPackets, 1)
        self.call.receiveAll()
        self.call.network.deliver(
            self.call.secure.address.rtcpPort, self.call.peer.protectRTCP(report), CARRIER
        )
        self.assertEqual([sent.destination for sent in self.call.receiveAll()], [(host, 5001)])
        self.assertRaises(MalformedSDP, self.leg.setRemote, MediaAddress(*PBX, 5001, "2001:db8::1"))

    def test_hold(self) -> None:
        """On hold by C{0.0.0.0} or port 0 nothing is sent, and what comes is still relayed."""
        for address in (None, MediaAddress("0.0.0.0", 4000, 4001), MediaAddress(PBX[0], 0, 0)):
            self.leg.setRemote(address)
            self.call.fromCarrier(self.call.peer.protect(rtp(self.call.secure.statistics().received.packets)))
            self.assertEqual(self.call.receiveAll(), [])
            self.call.fromPBX(rtp(self.leg.statistics().received.packets))
        self.call.receiveAll()
        self.assertEqual(len(self.call.peer.plain), 3)

    def test_sending(self) -> None:
        """While the direction forbids it no RTP is sent; RTCP is."""
        self.leg.setSending(False)
        self.call.fromCarrier(self.call.peer.protect(rtp(1)))
        report = bytes.fromhex("80c90001") + b"\0\0\0\1"
        self.call.network.deliver(
            self.call.secure.address.rtcpPort, self.call.peer.protectRTCP(report), CARRIER
        )
        (sent,) = self.call.receiveAll()
        self.assertEqual((sent.port, sent.destination), (self.leg.address.rtcpPort, (PBX[0], PBX[1] + 1)))
        self.leg.setSending(True)
        self.call.fromCarrier(self.call.peer.protect(rtp(2)))
        self.assertEqual([parseRTP(sent.data).sequence for sent in self.call.receiveAll()], [2])

    def test_addresses(self) -> None:
        """Only a literal address of the port's own family can be a destination."""
        for host in ("pbx.example", "2001:db8::1", "224.0.0.5", "", "192.0.2.256"):
            self.assertRaises(MalformedSDP, self.leg.setRemote, MediaAddress(host, 4000, 4001))
        self.leg.setRemote(MediaAddress("::ffff:192.0.2.77", 4000, 4001))
        self.call.fromCarrier(self.call.peer.protect(rtp(1)))
        self.assertEqual(self.call.receiveAll()[0].destination, ("192.0.2.77", 4000))

    def test_keys(self) -> None:
        """A key here is a mistake of the caller."""
        self.assertRaises(LocalError, self.leg.setLocalKey, SUITE, key(1))
        self.assertRaises(LocalError, self.leg.setRemoteKey, SUITE, key(1))

    def test_loss(self) -> None:
        """Packets that the PBX sent and that did not come are counted."""
        for sequence in (1, 2, 5):
            self.call.fromPBX(rtp(sequence))
        self.assertEqual(self.leg.statistics().received.lost, 2)

    def test_twoPlainLegs(self) -> None:
        """Any two legs can be joined; the one joined before is let go."""
        other = self.call.plane.allocate("other", False)
        other.setRemote(MediaAddress("192.0.2.50", 5000, 5001))
        self.call.plane.join(self.leg, other, "call")
        self.call.fromPBX(rtp(1))
        (sent,) = self.call.network.take()
        self.assertEqual(
            (sent.port, sent.data, sent.destination), (other.address.port, rtp(1), ("192.0.2.50", 5000))
        )
        self.call.fromCarrier(self.call.peer.protect(rtp(1)))
        self.assertEqual(self.call.network.take(), [])

    def test_systemRefuses(self) -> None:
        """What the system does not take (no route, port closed, buffer full) is counted, never raised."""
        port = self.call.network.ports[self.leg.address.port]
        for sequence, error in enumerate((ConnectionRefusedError(), BlockingIOError(), OSError("no route"))):
            port.failure = error
            self.call.fromCarrier(self.call.peer.protect(rtp(sequence)))
        self.assertEqual(dict(self.leg.statistics().sent.refused), {"closed": 1, "unsent": 3})
        self.assertEqual(self.call.secure.statistics().received.packets, 3)

    def test_unforeseen(self) -> None:
        """An exception nobody foresaw is logged once for a leg, and counted each time."""
        self.call.secure.sendRTP = None  # type: ignore[assignment, method-assign]
        for sequence in range(5):
            self.call.fromPBX(rtp(sequence))
        (failure,) = self.flushLoggedErrors(TypeError)
        self.assertEqual(self.refused(), {"malformed": 5})
        self.assertIn("NoneType", failure.getErrorMessage())

    def test_description(self) -> None:
        """The carrier's names do not reach the PBX; its SSRC and reports do."""
        items = b"\x01\x0ccarrier@10.9" + bytes(2)
        compound = bytes.fromhex("80c90001 0000cafe 81ca0005 0000cafe") + items
        self.call.network.deliver(
            self.call.secure.address.rtcpPort, self.call.peer.protectRTCP(compound), CARRIER
        )
        (sent,) = self.call.receiveAll()
        self.assertNotIn(b"10.9", sent.data)
        self.assertEqual([packet.ssrc for packet in parseRTCP(sent.data)], [0xCAFE, 0xCAFE])
        self.assertEqual(self.leg.statistics().sent.rtcpPackets, 1)
