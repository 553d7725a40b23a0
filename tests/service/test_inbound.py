"""Carriers that call in over connections of their own: real TLS in memory."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Any, ClassVar

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport
from twisted.logger import eventAsText, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.transactions import Transactions
from skypetrunk.net import tls_server
from skypetrunk.net.certificates import loadOwnCertificate, loadTrustRoots
from skypetrunk.net.identity import IdentityPolicy
from skypetrunk.net.inbound import CarrierListener
from skypetrunk.net.signalling import StreamSignallingFactory
from skypetrunk.net.tls import ClientTLS, TLSClientEndpoint
from skypetrunk.net.tls_server import MOST_FROM_ONE, MOST_HANDSHAKES, MOST_IN_A_SECOND, ServerTLS, TLSListener
from skypetrunk.service.settings import InboundConfiguration, TLSConfiguration
from skypetrunk.testing import RecordingClientUser, RecordingTransactionUser, countingToken
from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.message import Request
from tests.core.callnet import Neighbour
from tests.net.certificates import Issued, authority, dns, leaf
from tests.net.network import Listeners, MemoryNetwork
from tests.service.carriernet import DOMAIN, NetworkReactor
from tests.service.test_flow_loss import FlowLossCase

PLACE = ("192.0.2.99", 5061)
NAME = "trunk.example"


class InboundCase(FlowLossCase):
    """A trunk at 192.0.2.99:5061, beside the connection that it keeps."""

    verify: ClassVar[bool] = True
    allow: ClassVar[tuple[str, ...] | None] = None

    def inbound(self, directory: Path) -> InboundConfiguration:
        """With a certificate for its name."""
        own = leaf(dns(NAME))
        (directory / "own.pem").write_bytes(own.pem)
        (directory / "own.key").write_bytes(own.keyPEM)
        roots = directory / "ca.pem" if self.verify else None
        return InboundConfiguration(
            listen=(TransportAddress("TLS", *PLACE),),
            files=TLSConfiguration(roots, (), directory / "own.pem", directory / "own.key", None),
            allow=None if self.allow is None else tuple(map(ip_network, self.allow)),
            name=NAME,
        )

    def setUp(self) -> None:
        """It listens, and is registered."""
        super().setUp()
        self.trunk.listen()
        self.users: list[RecordingTransactionUser] = []

    def calls(self, issued: Issued | None) -> Any:
        """The carrier's edge connects; what it gets of us is a channel, or nothing."""
        own = None if issued is None else loadOwnCertificate(issued.pem, issued.keyPEM)
        tls = ClientTLS(NAME, loadTrustRoots(authority().pem), IdentityPolicy(), certificate=own)
        endpoint = TLSClientEndpoint(self.network.endpoint(*PLACE), tls, self.reactor, "tls:192.0.2.99:5061")
        user = RecordingTransactionUser()
        self.users.append(user)
        self.edge = Transactions(self.reactor, user, countingToken())
        factory = StreamSignallingFactory(
            self.edge, self.reactor, lambda: "edge", transport="TLS", secure=True
        )
        connecting: Deferred[Any] = endpoint.connect(factory)
        connecting.addErrback(lambda failure: None)
        self.network.flush()
        return factory.channels

    def asks(self, channels: Any, request: Request) -> RecordingClientUser:
        """A request of the edge."""
        user = RecordingClientUser()
        for channel in channels:
            self.edge.sendRequest(request, channel, user)
        self.network.flush()
        return user

    def options(self) -> Request:
        """Is anybody there?"""
        invite = self.invite()
        headers = invite.withoutHeader("Content-Type").withHeader("CSeq", "1 OPTIONS").headers
        return Request("OPTIONS", invite.uri, headers)

    def assertUnheard(self, issued: Issued | None) -> None:
        """Nothing of what this client says is answered, nor read."""
        channels = self.calls(issued)
        user = self.asks(list(channels), self.options())
        self.assertEqual(user.responses, [])
        assert self.trunk.inbound is not None
        self.assertEqual(self.trunk.inbound.status()["connections"], 0)


class VerifiedTests(InboundCase):
    """Who connects must prove to be the carrier."""

    def test_call(self) -> None:
        """The carrier's certificate lets it in; its call reaches the PBX, Contact is where we listen."""
        channels = self.calls(leaf(dns(DOMAIN)))
        user = self.asks(list(channels), self.invite())
        pbx: Neighbour = self.pbx
        pbx.answers(pbx.request("INVITE"), 180)
        self.network.flush()
        self.assertEqual([each.status for each in user.responses], [100, 180])
        contact = user.responses[-1].contacts[0]
        self.assertEqual(str(contact.uri), f"sip:account@{NAME}:5061;transport=tls")
        status = self.trunk.status()["inbound"]
        self.assertEqual(status["connections"], 1)  # type: ignore[index]

    def test_outgoingContact(self) -> None:
        """Our own calls name it too, whatever port their connection has."""
        _, far, _ = self.outboundCall()
        self.assertIn(f"@{NAME}:5061;transport=tls", far.header("Contact") or "")

    def test_unheard(self) -> None:
        """Another name, no certificate, another root: nothing is heard, and the failures are counted."""
        self.assertUnheard(leaf(dns("other.example")))
        self.assertUnheard(None)
        self.assertUnheard(leaf(dns(DOMAIN), issuer=authority("another")))
        assert self.trunk.inbound is not None
        self.assertEqual(self.trunk.inbound.status()["handshakes"], 3)

    def test_stopped(self) -> None:
        """It is gone when the trunk stops."""
        self.calls(leaf(dns(DOMAIN)))
        stopping = Deferred.fromCoroutine(self.trunk.stop())
        for _ in range(20):
            self.network.advance(0.5)
        self.successResultOf(stopping)
        self.assertEqual(list(self.calls(leaf(dns(DOMAIN)))), [])


class ListedTests(InboundCase):
    """No certificate is asked for; the address tells who it is."""

    verify = False
    allow = ("192.0.2.99",)

    def test_heard(self) -> None:
        """An address that is listed."""
        user = self.asks(list(self.calls(None)), self.options())
        self.assertEqual([each.status for each in user.responses], [200])


class StrangerTests(InboundCase):
    """Another address, even with the right certificate."""

    allow = ("198.51.100.0/24",)

    def test_unheard(self) -> None:
        """It is closed before the handshake, without a word, and counted."""
        self.assertUnheard(leaf(dns(DOMAIN)))
        assert self.trunk.inbound is not None
        status = self.trunk.inbound.status()
        self.assertEqual((status["strangers"], status["handshakes"]), (1, 0))


class LimitTests(SynchronousTestCase):
    """Bounds of a listener, whoever it is for."""

    def setUp(self) -> None:
        """A listener that asks for nothing."""
        self.reactor = NetworkReactor()
        self.network: MemoryNetwork = self.reactor.network
        own = leaf(dns(NAME))
        tls = ServerTLS(loadOwnCertificate(own.pem, own.keyPEM))
        self.listener = TLSListener(tls, Listeners(), self.reactor)
        self.network.listen(*PLACE, self.listener)

    def comes(self, host: str) -> object:
        """A connection of C{host}."""
        protocol = self.listener.buildProtocol(IPv4Address("TCP", host, 4000))
        if protocol is not None:
            protocol.makeConnection(StringTransport(peerAddress=IPv4Address("TCP", host, 4000)))
        return protocol

    def test_fromOne(self) -> None:
        """So many of one host, which is said once in a minute; others come in; one that ends makes room."""
        events: list[dict[str, Any]] = []
        globalLogPublisher.addObserver(events.append)  # type: ignore[arg-type]
        self.addCleanup(globalLogPublisher.removeObserver, events.append)  # type: ignore[arg-type]
        self.reactor.advance(100)
        came = [self.comes("192.0.2.7") for _ in range(MOST_FROM_ONE + 2)]
        self.assertEqual(came[MOST_FROM_ONE:], [None, None])
        said = [eventAsText(each, includeTimestamp=False) for each in events]
        (warning,) = (each for each in said if "no TLS connection" in each)
        self.assertIn(f"192.0.2.7: no TLS connection: it has {MOST_FROM_ONE}, ", warning)
        self.assertIsNotNone(self.comes("192.0.2.8"))
        self.assertEqual(self.listener.crowded, 2)
        self.listener.closed("192.0.2.7")
        self.assertIsNotNone(self.comes("192.0.2.7"))

    def test_inASecond(self) -> None:
        """So many in a second, from anywhere."""
        came = [self.comes(f"192.0.2.{number}") for number in range(MOST_IN_A_SECOND + 1)]
        self.assertEqual([each is None for each in came], [False] * MOST_IN_A_SECOND + [True])
        self.reactor.advance(1)
        self.assertIsNotNone(self.comes("192.0.2.1"))

    def test_handshakes(self) -> None:
        """So many handshakes at the same time; those that take too long make room."""
        for number in range(MOST_HANDSHAKES):
            self.assertIsNotNone(self.comes(f"198.51.100.{number}"))
            self.reactor.advance(0.05)
        self.assertIsNone(self.comes("192.0.2.1"))
        self.reactor.advance(tls_server.HANDSHAKE_SECONDS)

    def test_nobody(self) -> None:
        """Neither addresses nor a certificate: there is no such listener."""
        own = leaf(dns(NAME))
        tls = ServerTLS(loadOwnCertificate(own.pem, own.keyPEM))
        token = countingToken()
        layer = Transactions(self.reactor, RecordingTransactionUser(), token)
        self.assertRaises(
            ValueError, CarrierListener, self.reactor, self.reactor, token, tls, [], None, layer
        )
