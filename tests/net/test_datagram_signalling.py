"""Tests of L{skypetrunk.net.datagram_signalling}: messages in and out over UDP."""

from __future__ import annotations

from twisted.internet.address import IPv4Address
from twisted.internet.error import MessageLengthError
from zope.interface.verify import verifyObject

from skypetrunk.errors import ChannelFailed
from skypetrunk.interfaces import IMessageChannel
from skypetrunk.net.datagram_signalling import DatagramSignalling
from skypetrunk.net.reception import allowed
from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.message import parseMessage
from tests.net.test_signalling import NETWORKS, SignallingTestCase, ok, options


class FakeUDP:
    """
    A UDP port that keeps what is written.

    @ivar error: raised by the next C{write}.
    """

    def __init__(self) -> None:
        self.written: list[tuple[bytes, tuple[str, int]]] = []
        self.error: Exception | None = None

    def getHost(self) -> IPv4Address:
        """Where it is bound."""
        return IPv4Address("UDP", "192.0.2.9", 5060)

    def write(self, data: bytes, address: tuple[str, int]) -> None:
        """Keep it, or explode as told."""
        if self.error is not None:
            raise self.error
        self.written.append((data, address))


class DatagramTests(SignallingTestCase):
    """A UDP socket towards PBXes."""

    def setUp(self) -> None:
        """A bound socket."""
        super().setUp()
        self.signalling = self.make()

    def make(self) -> DatagramSignalling:
        """One with a socket of its own."""
        signalling = DatagramSignalling(
            self.transactions, lambda: "our-tag", allow=NETWORKS, observer=self.observe
        )
        self.udp = FakeUDP()
        signalling.makeConnection(self.udp)  # type: ignore[arg-type]
        return signalling

    def test_channel(self) -> None:
        """One channel for each peer, equal when made anew."""
        channel = self.signalling.channel("192.0.2.1", 5070)
        self.assertTrue(verifyObject(IMessageChannel, channel))
        self.assertIs(self.signalling.channel("192.0.2.1", 5070), channel)
        self.assertEqual(channel.peer, TransportAddress("UDP", "192.0.2.1", 5070))
        self.assertEqual(channel.localAddress, TransportAddress("UDP", "192.0.2.9", 5060))
        self.assertFalse(channel.reliable or channel.secure)
        other = channel.toward(TransportAddress("UDP", "192.0.2.2", 5060))
        self.assertEqual(other.peer, TransportAddress("UDP", "192.0.2.2", 5060))
        for port in range(1, 1200):
            self.signalling.channel("192.0.2.3", port)
        anew = self.signalling.channel("192.0.2.1", 5070)
        self.assertIsNot(anew, channel)
        self.assertEqual(anew, channel)
        self.assertEqual(len({anew, channel}), 1)

    def test_receive(self) -> None:
        """A datagram reaches the transactions with the channel back."""
        self.signalling.datagramReceived(options(), ("192.0.2.1", 5070))
        [(message, channel)] = self.transactions.received
        self.assertEqual(message.callID, "one")
        self.assertIs(channel, self.signalling.channel("192.0.2.1", 5070))
        self.assertEqual(self.seen, [(False, message, channel)])

    def test_send(self) -> None:
        """A message goes to the channel's peer."""
        message = ok(parseMessage(options()))
        self.signalling.channel("192.0.2.1", 5070).send(message)
        self.assertEqual(self.udp.written, [(message.encode(), ("192.0.2.1", 5070))])
        self.assertEqual([sent for sent, _, _ in self.seen], [True])

    def test_strangers(self) -> None:
        """Others are dropped in silence and counted."""
        for host in ("198.51.100.1", "2001:db9::1", "nonsense"):
            self.signalling.datagramReceived(options(), (host, 5060))
        self.assertEqual(self.signalling.dropped["stranger"], 3)
        self.assertEqual(self.transactions.received, [])
        self.assertEqual(self.udp.written, [])

    def test_keepAlive(self) -> None:
        """Line ends alone say nothing."""
        for octets in (b"\r\n\r\n", b"\r\n", b"", b"\x00\x00\x00\x00"):
            self.signalling.datagramReceived(octets, ("192.0.2.1", 5070))
        self.assertEqual(self.signalling.reception.malformed, 0)
        self.assertEqual(self.udp.written, [])

    def test_malformed(self) -> None:
        """400 to where it came from."""
        bad = options("bad", extra="Max-Forwards: many\r\n")
        self.signalling.datagramReceived(bad, ("192.0.2.1", 5070))
        [(answer, address)] = self.udp.written
        self.assertTrue(answer.startswith(b"SIP/2.0 400 "))
        self.assertEqual(address, ("192.0.2.1", 5070))
        self.assertEqual(self.signalling.reception.malformed, 1)

    def test_neverRaises(self) -> None:
        """Nothing that arrives and nothing that breaks above or below makes C{datagramReceived} raise."""
        for octets in (b"\xff" * 65535, b"INVITE", b"SIP/2.0 200", b"\r\nx\r\n\r\n", options()[:50]):
            self.signalling.datagramReceived(octets, ("192.0.2.1", 5070))
        self.assertEqual(self.transactions.received, [])
        self.udp.error = OSError("unreachable")
        bad = options("bad", extra="Max-Forwards: many\r\n")
        self.signalling.datagramReceived(bad, ("192.0.2.1", 5070))
        self.transactions.error = RuntimeError("bug")
        self.signalling.datagramReceived(options(), ("192.0.2.1", 5070))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_sendFails(self) -> None:
        """What the socket refuses, a name as host, and a closed socket are failed channels."""
        message = ok(parseMessage(options()))
        channel = self.signalling.channel("192.0.2.1", 5070)
        self.udp.error = MessageLengthError("message too long")
        self.assertRaises(ChannelFailed, channel.send, message)
        self.assertEqual(self.seen, [])
        self.signalling.transport = None
        self.assertRaises(ChannelFailed, channel.send, message)

    def test_allowed(self) -> None:
        """Networks of both families, zones, and IPv4 in IPv6."""
        self.assertTrue(allowed("192.0.2.200", NETWORKS))
        self.assertTrue(allowed("::ffff:192.0.2.200", NETWORKS))
        self.assertTrue(allowed("2001:db8::1%eth0", NETWORKS))
        self.assertTrue(allowed("anything", None))
        self.assertFalse(allowed("192.0.3.1", NETWORKS))
        self.assertFalse(allowed("192.0.2.1", ()))
