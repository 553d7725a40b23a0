"""Tests of L{skypetrunk.net.signalling}: messages in and out over streams."""

from __future__ import annotations

from ipaddress import ip_network

from OpenSSL import SSL
from twisted.internet import ssl
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver, StringTransport
from twisted.logger import LogLevel, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from skypetrunk.errors import ChannelFailed
from skypetrunk.interfaces import IClientTransaction, IClientTransactionUser, IMessageChannel, ITransactions
from skypetrunk.net.certificates import loadOwnCertificate, loadTrustRoots
from skypetrunk.net.identity import IdentityPolicy
from skypetrunk.net.signalling import DEFAULT_LIMITS, StreamSignalling, StreamSignallingFactory
from skypetrunk.net.tls import ClientTLS, TLSClientEndpoint
from skypetrunk.net.tls_server import tlsServerOptions
from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.framing import Limits
from skypetrunk.wire.message import Message, Request, Response, parseMessage
from tests.net.certificates import authority, dns, leaf
from tests.net.network import Listeners, MemoryNetwork

NETWORKS = (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"))


def options(callID: str = "one", extra: str = "", body: str = "", method: str = "OPTIONS") -> bytes:
    """A request that is as it should be, but for C{extra}."""
    return (
        f"{method} sip:trunk.example SIP/2.0\r\n"
        f"Via: SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bK{callID}\r\n"
        "From: <sip:pbx@pbx.example>;tag=f\r\n"
        "To: <sip:trunk.example>\r\n"
        f"Call-ID: {callID}\r\n"
        f"CSeq: 1 {method}\r\n"
        f"{extra}"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def ok(request: Request | Response) -> Response:
    """Any response."""
    return Response(200, "OK", request.headers)


@implementer(ITransactions)
class RecordingTransactions:
    """
    A transaction layer that only remembers.

    @ivar received: messages with their channel.
    @ivar lost: channels with the reason.
    """

    def __init__(self) -> None:
        self.received: list[tuple[Request | Response, IMessageChannel]] = []
        self.lost: list[tuple[IMessageChannel, Exception]] = []
        self.error: Exception | None = None

    def messageReceived(self, message: Request | Response, channel: IMessageChannel) -> None:
        """Remember it, or explode as told."""
        if self.error is not None:
            raise self.error
        self.received.append((message, channel))

    def sendRequest(
        self, request: Request, channel: IMessageChannel, user: IClientTransactionUser
    ) -> IClientTransaction:
        """Nobody sends requests here."""
        raise NotImplementedError

    def sendAck(self, ack: Request, channel: IMessageChannel) -> Request:
        """Nor ACKs."""
        raise NotImplementedError

    def channelFound(self, channel: IMessageChannel) -> None:
        """Connections do not know what they replace."""
        raise AssertionError("called by whoever keeps them")

    def channelLost(self, channel: IMessageChannel, reason: Exception) -> None:
        """Remember it."""
        self.lost.append((channel, reason))

    def callIDs(self) -> list[str]:
        """Call-IDs of what was received."""
        return [message.callID for message, _ in self.received]


class SignallingTestCase(SynchronousTestCase):
    """Transactions and an observer that remember."""

    def setUp(self) -> None:
        """Nothing happened yet."""
        self.clock = Clock()
        self.transactions = RecordingTransactions()
        self.assertTrue(verifyObject(ITransactions, self.transactions))
        self.seen: list[tuple[bool, Message, IMessageChannel]] = []

    def observe(self, sent: bool, message: Request | Response, channel: IMessageChannel) -> None:
        """A message observer."""
        self.seen.append((sent, message, channel))


class StreamTests(SignallingTestCase):
    """A TCP connection from a PBX."""

    def setUp(self) -> None:
        """A connection that stands."""
        super().setUp()
        self.events: list[tuple[str, StreamSignalling]] = []
        self.factory = self.makeFactory()
        self.transport = StringTransport(
            IPv4Address("TCP", "192.0.2.9", 5060), IPv4Address("TCP", "192.0.2.1", 40001)
        )
        self.channel = self.build(self.factory)
        self.channel.makeConnection(self.transport)

    def makeFactory(self, limits: Limits = DEFAULT_LIMITS) -> StreamSignallingFactory:
        """A factory that tells this test everything."""
        return StreamSignallingFactory(
            self.transactions,
            self.clock,
            lambda: "our-tag",
            transport="TCP",
            allow=NETWORKS,
            limits=limits,
            observer=self.observe,
            connected=lambda channel: self.events.append(("connected", channel)),
            lost=lambda channel, reason: self.events.append(("lost", channel)),
        )

    def build(self, factory: StreamSignallingFactory) -> StreamSignalling:
        """A protocol for 192.0.2.1."""
        channel = factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 40001))
        assert channel is not None
        return channel

    def answer(self) -> Message:
        """The one message that was written."""
        written = self.transport.value()
        self.transport.clear()
        return parseMessage(written, stream=True)

    def test_channel(self) -> None:
        """It is a channel with both addresses; a connection leads to one peer."""
        self.assertTrue(verifyObject(IMessageChannel, self.channel))
        self.assertEqual(self.channel.localAddress, TransportAddress("TCP", "192.0.2.9", 5060))
        self.assertEqual(self.channel.peer, TransportAddress("TCP", "192.0.2.1", 40001))
        self.assertIs(self.channel.toward(TransportAddress("TCP", "192.0.2.7", 1)), self.channel)
        self.assertTrue(self.channel.reliable)
        self.assertFalse(self.channel.secure)
        self.assertEqual(self.events, [("connected", self.channel)])

    def test_receive(self) -> None:
        """Messages reach the transactions with their channel, wherever the octets were cut."""
        data = options("one") + options("two", body="body")
        for at in range(0, len(data), 7):
            self.channel.dataReceived(data[at : at + 7])
        self.assertEqual(self.transactions.callIDs(), ["one", "two"])
        self.assertEqual(self.transactions.received[1][0].body, b"body")
        self.assertIs(self.transactions.received[1][1], self.channel)
        self.assertEqual([sent for sent, _, _ in self.seen], [False, False])

    def test_send(self) -> None:
        """A message is written and observed."""
        message = ok(parseMessage(options()))
        self.channel.send(message)
        self.assertEqual(self.transport.value(), message.encode())
        self.assertEqual(self.seen, [(True, message, self.channel)])

    def test_ping(self) -> None:
        """RFC 5626 section 4.4.1: a double CRLF is answered with a single one."""
        self.channel.dataReceived(b"\r\n\r\n")
        self.assertEqual(self.transport.value(), b"\r\n")
        self.channel.dataReceived(options())
        self.assertEqual(self.transactions.callIDs(), ["one"])

    def test_pong(self) -> None:
        """A single CRLF is only an answer."""
        self.channel.dataReceived(b"\r\n" + options())
        self.assertEqual(self.transport.value(), b"")
        self.assertEqual(self.transactions.callIDs(), ["one"])

    def test_malformed(self) -> None:
        """RFC 3261 section 21.4.1: 400 to a request that is none; the connection survives."""
        self.channel.dataReceived(options("bad", extra="Max-Forwards: many\r\n"))
        answer = self.answer()
        assert isinstance(answer, Response)
        self.assertEqual(answer.status, 400)
        self.assertEqual(answer.callID, "bad")
        self.assertEqual(answer.toAddress.tag, "our-tag")
        self.assertEqual(self.factory.reception.malformed, 1)
        self.channel.dataReceived(options())
        self.assertEqual(self.transactions.callIDs(), ["one"])
        self.assertFalse(self.transport.disconnecting)

    def test_version(self) -> None:
        """RFC 3261 section 21.5.6: 505 to another version."""
        self.channel.dataReceived(options().replace(b"SIP/2.0\r\nVia", b"SIP/7.0\r\nVia", 1))
        answer = self.answer()
        assert isinstance(answer, Response)
        self.assertEqual(answer.status, 505)

    def test_malformedSilently(self) -> None:
        """Neither ACK nor a response is answered."""
        broken = b"Max-Forwards: many\r\n"
        self.channel.dataReceived(options(extra=broken.decode(), method="ACK"))
        self.channel.dataReceived(
            options().replace(b"OPTIONS sip:trunk.example SIP/2.0", b"SIP/2.0 200 OK", 1)
        )
        self.channel.dataReceived(b"SIP/2.0 999 What\r\nContent-Length: 0\r\n\r\n")
        self.assertEqual(self.transport.value(), b"")
        self.assertEqual(self.factory.reception.malformed, 2)
        self.assertFalse(self.transport.disconnecting)

    def test_noContentLength(self) -> None:
        """RFC 3261 section 20.14: a stream without Content-Length cannot be followed: 400, then closed."""
        self.channel.dataReceived(options().replace(b"Content-Length: 0\r\n", b""))
        answer = self.answer()
        assert isinstance(answer, Response)
        self.assertEqual(answer.status, 400)
        self.assertTrue(self.transport.disconnecting)

    def test_bodyTooLarge(self) -> None:
        """A body above the limit is refused before it was kept; messages before it count."""
        self.channel.dataReceived(options() + options("big").replace(b"Length: 0", b"Length: 99999999"))
        answer = self.answer()
        assert isinstance(answer, Response)
        self.assertIn(answer.status, (413, 513))
        self.assertEqual(answer.callID, "big")
        self.assertEqual(self.transactions.callIDs(), ["one"])
        self.assertTrue(self.transport.disconnecting)

    def test_endlessLine(self) -> None:
        """A line that does not end closes the connection."""
        channel = self.build(self.makeFactory(Limits(line=100)))
        channel.makeConnection(self.transport)
        channel.dataReceived(b"x" * 101)
        self.assertTrue(self.transport.disconnecting)
        channel.dataReceived(options())
        self.assertEqual(self.transactions.received, [])

    def test_transactionsRaise(self) -> None:
        """A bug above is logged; the connection survives."""
        self.transactions.error = RuntimeError("bug")
        self.channel.dataReceived(options())
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.transactions.error = None
        self.channel.dataReceived(options("two"))
        self.assertEqual(self.transactions.callIDs(), ["two"])

    def test_observerRaises(self) -> None:
        """An observer's failure changes nothing."""

        def explode(sent: bool, message: Request | Response, channel: IMessageChannel) -> None:
            raise RuntimeError("bug")

        self.factory.reception._observer = explode
        self.channel.dataReceived(options())
        self.channel.send(ok(parseMessage(options())))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)
        self.assertEqual(self.transactions.callIDs(), ["one"])
        self.assertTrue(self.transport.value().startswith(b"SIP/2.0 200 OK"))

    def test_lost(self) -> None:
        """The end of the connection reaches the transactions; then nothing can be sent."""
        self.assertEqual(self.factory.channels, {self.channel})
        self.channel.connectionLost(Failure(ConnectionLost()))
        [(channel, reason)] = self.transactions.lost
        self.assertIs(channel, self.channel)
        self.assertIsInstance(reason, ChannelFailed)
        self.assertEqual(self.events[-1], ("lost", self.channel))
        self.assertEqual(self.factory.channels, set())
        self.assertRaises(ChannelFailed, self.channel.send, ok(parseMessage(options())))

    def test_refusedLate(self) -> None:
        """A server of TLS 1.3 refuses our certificate after the handshake: that is told in words."""
        refused = SSL.Error([("SSL routines", "", "tlsv13 alert certificate required")])
        self.channel.connectionLost(Failure(refused))
        [(_, reason)] = self.transactions.lost
        self.assertEqual(str(reason), f"{self.channel.peer}: tlsv13 alert certificate required")

    def test_close(self) -> None:
        """After C{close} nothing is sent or heard; the abort is cancelled when the connection ends."""
        self.channel.close()
        self.channel.close()
        self.assertTrue(self.transport.disconnecting)
        self.assertRaises(ChannelFailed, self.channel.send, ok(parseMessage(options())))
        self.channel.dataReceived(options())
        self.assertEqual(self.transactions.received, [])
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.channel.connectionLost()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.channel.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_abortAfterBound(self) -> None:
        """A TCP peer that never closes is aborted after 2 s."""
        self.channel.close()
        self.clock.advance(1.9)
        self.assertFalse(self.transport.disconnected)
        self.clock.advance(0.2)
        self.assertTrue(self.transport.disconnected)

    def test_abort(self) -> None:
        """A connection that is believed dead is torn down at once."""
        self.channel.abort("no answer")
        self.assertTrue(self.transport.disconnected)

    def test_strangers(self) -> None:
        """Who is not allowed gets no protocol and is counted."""
        self.assertIsNone(self.factory.buildProtocol(IPv4Address("TCP", "198.51.100.1", 1)))
        self.assertIsNone(self.factory.buildProtocol(None))
        self.assertEqual(self.factory.strangers, 2)
        self.assertIsNotNone(self.factory.buildProtocol(IPv6Address("TCP", "2001:db8::1", 1)))

    def test_noTracebacks(self) -> None:
        """What peers do wrong is one line each in the log, and never a failure."""
        events = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)  # type: ignore[arg-type]
        self.channel.dataReceived(options("bad", extra="Max-Forwards: many\r\n"))
        self.channel.dataReceived(b"\x16\x03\x01" + b"\xff" * 20 + b"\r\n\r\n")
        self.assertEqual(len(events), 3)
        self.assertTrue(all(event["log_level"] in (LogLevel.info, LogLevel.warn) for event in events))


class TLSStreamTests(SignallingTestCase):
    """The same over TLS, towards a verified peer."""

    def connect(self) -> StreamSignalling:
        """A channel to a carrier in memory."""
        self.network = MemoryNetwork(self.clock)
        self.listeners = Listeners()
        issued = leaf(dns("carrier.example"))
        serverOptions = tlsServerOptions(
            loadOwnCertificate(issued.pem, issued.keyPEM), maximum=ssl.TLSVersion.TLSv1_2
        )
        self.network.listenTLS("192.0.2.1", 5061, serverOptions, self.listeners)
        tls = ClientTLS("carrier.example", loadTrustRoots(authority().pem), IdentityPolicy())
        endpoint = TLSClientEndpoint(
            self.network.endpoint("192.0.2.1", 5061), tls, self.clock, "192.0.2.1:5061"
        )
        factory = StreamSignallingFactory(
            self.transactions, self.clock, lambda: "our-tag", transport="TLS", secure=True
        )
        connecting = endpoint.connect(factory)
        self.network.flush()
        channel = self.successResultOf(connecting)
        assert isinstance(channel, StreamSignalling)
        return channel

    def test_bothWays(self) -> None:
        """A request out, one in."""
        channel = self.connect()
        self.assertTrue(channel.secure)
        self.assertEqual(channel.peer, TransportAddress("TLS", "192.0.2.1", 5061))
        self.assertEqual(channel.localAddress, TransportAddress("TLS", "192.0.2.99", 40000))
        request = parseMessage(options())
        channel.send(request)
        self.network.flush()
        self.assertEqual(b"".join(self.listeners.heard), request.encode())
        self.network.pumps[0].server.write(options("two"))
        self.network.flush()
        self.assertEqual(self.transactions.callIDs(), ["two"])

    def test_politeClose(self) -> None:
        """A peer that answers close_notify ends the connection at once, and no timer is left."""
        channel = self.connect()
        channel.close()
        self.network.flush()
        self.assertEqual([lost for lost, _ in self.transactions.lost], [channel])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_swallowedCloseNotify(self) -> None:
        """A peer that swallows close_notify is aborted after 2 s."""
        channel = self.connect()
        self.network.deafen()
        channel.close()
        self.network.flush()
        self.network.advance(1.9)
        self.assertEqual(self.transactions.lost, [])
        self.network.advance(0.2)
        self.assertEqual([lost for lost, _ in self.transactions.lost], [channel])
        self.assertTrue(self.network.closed())
        self.assertEqual(self.clock.getDelayedCalls(), [])
