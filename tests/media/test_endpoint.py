"""The end of a call in this process: what it plays, hears and reads, beside a leg of the same plane."""

from __future__ import annotations

from collections.abc import Iterator
from struct import pack

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skypetrunk.interfaces import AudioPacket, IMediaEndpoint, MediaAddress
from skypetrunk.media import MediaPlane
from skypetrunk.media.endpoint import Endpoint
from skypetrunk.media.plain import PlainLeg
from skypetrunk.wire.rtp import RTPHeader, parseRTP
from tests.media.doubles import PBX, MemoryNetwork, entropy, rtp


class EndpointCase(SynchronousTestCase):
    """An endpoint whose peer is the plain leg of a bridge."""

    address = "192.0.2.1"

    def setUp(self) -> None:
        """Both know each other."""
        self.clock = Clock()
        self.clock.advance(1000)
        self.network = MemoryNetwork()
        self.plane = MediaPlane(
            self.network, self.clock, self.address, "203.0.113.7", (20000, 20099), entropy()
        )
        leg, end = self.plane.allocate("call/attendant", False), self.plane.endpoint("attendant")
        assert isinstance(leg, PlainLeg) and isinstance(end, Endpoint)
        self.leg, self.end = leg, end
        # Its timer is none of the endpoint's.
        self.plane._reports.remove(leg)
        self.heard: list[AudioPacket] = []
        self.keys: list[str] = []
        self.failures: list[bool] = []
        end.attach(self.heard.append, self.keys.append, lambda: self.failures.append(True))
        end.agreed("PCMA", 8, 101)
        self.end.setRemote(self.leg.address)

    def sent(self) -> list[tuple[RTPHeader, bytes]]:
        """What the endpoint sent since the last time."""
        found = []
        for datagram in self.network.take():
            if datagram.port == self.end.address.port:
                self.assertEqual(datagram.destination, (self.end.address.host, self.leg.address.port))
                found.append((parseRTP(datagram.data), datagram.data[12:]))
        return found

    def receive(self, *packets: bytes) -> None:
        """The leg sends these to the endpoint."""
        for packet in packets:
            source = (self.end.address.host, self.leg.address.port)
            self.network.deliver(self.end.address.port, packet, source)


class EndpointTests(EndpointCase):
    """On one address."""

    def test_provided(self) -> None:
        """It is an L{IMediaEndpoint}."""
        self.assertTrue(verifyObject(IMediaEndpoint, self.end))

    def test_ports(self) -> None:
        """Its ports are the plane's, and given back."""
        self.assertEqual(self.plane.openPorts, 4)
        self.end.release()
        self.leg.release()
        self.assertEqual((self.plane.openPorts, self.network.ports), (0, {}))

    def test_plays(self) -> None:
        """Frames leave every 20 ms, numbered, with the marker on the first."""
        frames = [bytes([n]) * 160 for n in range(5)]
        finished = self.end.play(frames)
        self.clock.advance(0)
        (first,) = self.sent()
        self.assertEqual((first[0].marker, first[0].payloadType, first[1]), (True, 8, frames[0]))
        found = [first]
        for _ in range(4):
            self.clock.advance(0.02)
            found += self.sent()
        self.assertEqual([payload for _, payload in found], frames)
        self.assertEqual([header.marker for header, _ in found], [True, False, False, False, False])
        steps = [(h.sequence - first[0].sequence) & 0xFFFF for h, _ in found]
        self.assertEqual(steps, [0, 1, 2, 3, 4])
        stamps = [(h.timestamp - first[0].timestamp) & 0xFFFFFFFF for h, _ in found]
        self.assertEqual(stamps, [0, 160, 320, 480, 640])
        self.assertNoResult(finished)
        self.clock.advance(0.02)
        self.assertIs(self.successResultOf(finished), True)
        self.assertEqual((self.sent(), self.clock.getDelayedCalls()), ([], []))

    def test_silenceBetween(self) -> None:
        """What is played later has a time stamp that says so."""
        self.end.play([b"a" * 160])
        self.clock.advance(0)
        ((first, _),) = self.sent()
        self.clock.advance(0.5)
        self.end.play([b"b" * 160])
        self.clock.advance(0)
        ((second, _),) = self.sent()
        self.assertEqual((second.timestamp - first.timestamp) & 0xFFFFFFFF, 4000)
        self.assertEqual(((second.sequence - first.sequence) & 0xFFFF, second.marker), (1, True))

    def test_late(self) -> None:
        """A process that was late a little makes up for it, and for no more: then there was silence."""
        self.end.play([b"x" * 160] * 100)
        self.clock.advance(0)
        self.sent()
        self.clock.pump([0.07])
        self.assertEqual([header.marker for header, _ in self.sent()], [False, False, False])
        self.clock.advance(1)
        ((header, _),) = self.sent()
        self.assertTrue(header.marker)

    def test_hold(self) -> None:
        """On hold nothing is sent, and nothing of the frames is lost."""
        finished = self.end.play([b"a" * 160, b"b" * 160])
        self.clock.advance(0)
        self.sent()
        self.end.setSending(False)
        self.assertFalse(self.end.sending)
        self.clock.pump([0.02] * 10)
        self.assertEqual(self.sent(), [])
        self.end.setSending(True)
        self.clock.pump([0.02] * 2)
        ((header, payload),) = self.sent()
        self.assertEqual((header.marker, payload), (True, b"b" * 160))
        self.clock.pump([0.02])
        self.assertIs(self.successResultOf(finished), True)

    def test_stopped(self) -> None:
        """By stop, by what is played next, by another codec, and by the end; each fires once."""
        frames = [b"x" * 160] * 100
        first = self.end.play(frames)
        self.end.stop()
        second = self.end.play(frames)
        third = self.end.play(frames)
        self.end.agreed("PCMU", 0, None)
        fourth = self.end.play(frames)
        self.end.agreed("PCMU", 0, 96)
        self.assertNoResult(fourth)
        self.end.release()
        fifth = self.end.play(frames)
        for each in (first, second, third, fourth, fifth):
            self.assertIs(self.successResultOf(each), False)
        self.end.stop()
        self.assertEqual((self.clock.getDelayedCalls(), self.sent()), ([], []))

    def test_framesFail(self) -> None:
        """Frames that raise, and those that cannot be played, end it; what went before was heard."""

        def broken() -> Iterator[bytes]:
            yield b"x" * 160
            raise RuntimeError

        for number, frames in enumerate((broken(), iter([b"x" * 160, b""]), iter([b"x" * 160, b"x" * 1281]))):
            finished = self.end.play(frames)
            self.clock.pump([0, 0.02])
            self.assertIs(self.successResultOf(finished), False)
            self.assertEqual((len(self.sent()), len(self.failures)), (1, number + 1))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_send(self) -> None:
        """Packets in the vendor's own time, before and after what is played."""
        self.end.send(b"a" * 80, marker=True, timestamp=8000)
        self.end.send(b"b" * 80)
        found = self.sent()
        self.assertEqual([payload for _, payload in found], [b"a" * 80, b"b" * 80])
        self.assertEqual((found[1][0].timestamp - found[0][0].timestamp) & 0xFFFFFFFF, 80)
        self.end.setRemote(None)
        self.end.send(b"c")
        self.end.release()
        self.end.send(b"d")
        self.assertEqual(self.sent(), [])

    def test_hears(self) -> None:
        """The leg's packets of the codec agreed, and nobody else's."""
        packet = rtp(7, payload=b"sound", marker=True)
        coded = packet[:1] + bytes([0x88]) + packet[2:]
        self.receive(coded, packet)
        self.network.deliver(self.end.address.port, coded, PBX)
        self.assertEqual(self.heard, [AudioPacket(b"sound", 7, 1120, True)])
        statistics = self.end.statistics().received
        self.assertEqual((statistics.packets, statistics.refused), (2, (("source", 1),)))
        # Padding is no sound (RFC 3550 section 5.1).
        self.receive(bytes([0xA0]) + coded[1:] + b"\0\0\3")
        self.assertEqual(self.heard[-1].payload, b"sound")

    def test_keys(self) -> None:
        """Each key once, of the payload type agreed, and what is too short is counted."""
        header = rtp(1, payload=b"")
        event = header[:1] + bytes([101]) + header[2:]
        self.receive(*[event + pack("!BBH", 11, 0x8A, 800)] * 3, event + b"\0")
        other = header[:1] + bytes([96]) + header[2:4] + b"\0\0\0\1" + header[8:]
        self.receive(other + pack("!BBH", 1, 0x8A, 800))
        self.assertEqual((self.keys, self.heard), (["#"], []))
        self.assertEqual(self.end.statistics().received.refused, (("malformed", 1),))

    def test_afterTheEnd(self) -> None:
        """Nobody is told of what was still on its way."""
        received = self.end.rtpReceived
        self.end.release()
        packet = rtp(7)
        received(packet[:1] + bytes([0x88]) + packet[2:], (self.end.address.host, self.leg.address.port))
        self.assertEqual(self.heard, [])


class WildcardTests(EndpointCase):
    """On every address, with another name outside."""

    address = "0.0.0.0"

    def test_near(self) -> None:
        """Endpoint and leg meet on the loopback address, not on the name for the carrier."""
        self.assertEqual(self.leg.address.host, "203.0.113.7")
        self.assertEqual(self.end.address, MediaAddress("127.0.0.1", 20002, 20003))
        self.end.send(b"x")
        self.assertEqual(len(self.sent()), 1)
