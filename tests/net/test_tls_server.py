"""TLS of who connects to us: real OpenSSL over memory, and a clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.logger import LogEvent, eventAsText, globalLogPublisher
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from skypetrunk.errors import PeerNotVerified
from skypetrunk.interfaces import IIdentityPolicy, IRevocationPolicy
from skypetrunk.net.certificates import loadOwnCertificate, loadTrustRoots
from skypetrunk.net.identity import IdentityPolicy, keyPin
from skypetrunk.net.tls import MOST_HELD, ClientTLS, TLSClientEndpoint
from skypetrunk.net.tls_server import HANDSHAKE_SECONDS, QUIET_SECONDS, ServerTLS, TLSListener
from tests.net.certificates import Issued, authority, dns, intermediate, issueItself, leaf, usage
from tests.net.network import CLIENT, Listeners, MemoryNetwork
from tests.net.test_tls import Broken, Revocation, Speakers

PLACE = ("192.0.2.1", 5061)
HELLO = b"REGISTER sip:carrier.example SIP/2.0\r\n"


def ip(*addresses: str) -> tuple[x509.GeneralName, ...]:
    """Addresses of a SubjectAltName."""
    return tuple(x509.IPAddress(ip_address(address)) for address in addresses)


class ListenerCase(SynchronousTestCase):
    """A listener in memory."""

    def setUp(self) -> None:
        """Nobody listens yet."""
        self.clock = Clock()
        self.network = MemoryNetwork(self.clock)
        self.listeners = Listeners()
        self.speakers = Speakers()
        self.events: list[LogEvent] = []
        observer: Any = self.events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.ended = 0

    def listen(
        self,
        *,
        asks: bool = False,
        identity: IIdentityPolicy | None = None,
        name: str | None = None,
        allow: Sequence[str] | None = None,
        roots: Issued | None = None,
        serverAuthClients: bool = False,
        revocation: IRevocationPolicy | None = None,
    ) -> TLSListener:
        """A listener at 192.0.2.1:5061, which has a certificate of the root for that."""
        own = leaf(ip(PLACE[0]), keyName="server")
        tls = ServerTLS(
            loadOwnCertificate(own.pem, own.keyPEM),
            roots=(roots or authority()).pem if asks else None,
            identity=identity or IdentityPolicy(),
            name=name,
            serverAuthClients=serverAuthClients,
            revocation=revocation,
        )
        networks = None if allow is None else [ip_network(each) for each in allow]

        def ended() -> None:
            self.ended += 1

        self.listener = TLSListener(tls, self.listeners, self.clock, networks, ended)
        self.network.listen(*PLACE, self.listener)
        return self.listener

    def connect(self, issued: Issued | None = None) -> Deferred[Any]:
        """A client that verifies the listener, and shows this certificate."""
        own = None if issued is None else loadOwnCertificate(issued.pem, issued.keyPEM)
        tls = ClientTLS(PLACE[0], loadTrustRoots(authority().pem), IdentityPolicy(), certificate=own)
        endpoint = TLSClientEndpoint(self.network.endpoint(*PLACE), tls, self.clock, "tls:192.0.2.1:5061")
        result = endpoint.connect(self.speakers)
        self.network.flush()
        return result

    def lines(self, words: str = "") -> list[str]:
        """What was logged."""
        texts = [eventAsText(event, includeTimestamp=False, includeSystem=False) for event in self.events]
        return [text for text in texts if words in text]

    def assertRefused(self, issued: Issued | None, *words: str) -> None:
        """This client is not let in, was not heard, and the log says why."""
        before = self.listener.failures
        self.clock.advance(QUIET_SECONDS)
        # With TLS 1.3 the client believes in the connection before it hears of the refusal.
        self.connect(issued).addBoth(lambda result: None)
        self.assertEqual(self.listeners.protocols, [])
        self.assertEqual((self.listener.failures, len(self.listener.gates)), (before + 1, 0))
        line = self.lines("no TLS connection")[-1]
        for each in (CLIENT.host, *words):
            self.assertIn(each, line)


class PlainTests(ListenerCase):
    """Clients are not asked for a certificate."""

    def test_heard(self) -> None:
        """SIP after the handshake; TLS 1.3 with a suite of its own."""
        self.listen()
        self.successResultOf(self.connect())
        self.assertEqual(self.listeners.heard, [HELLO])
        (line,) = self.lines("TLS connection")
        self.assertRegex(line, r"TLS connection, TLSv1\.3 TLS_\w+, no certificate asked for$")
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.network.pumps[0].clientIO.abortConnection()
        self.network.flush()
        self.assertTrue(self.listeners.protocols[0].lost)
        self.assertEqual((self.listener.failures, self.ended), (0, 0))

    def test_strangers(self) -> None:
        """Who may not connect gets no octet of a handshake, and is counted."""
        listener = self.listen(allow=["198.51.100.0/24"])
        self.assertIsNone(listener.buildProtocol(CLIENT))
        self.assertIsNone(listener.buildProtocol(None))
        self.assertEqual((listener.strangers, listener.failures, self.events), (2, 0, []))
        self.assertIsNotNone(listener.buildProtocol(IPv4Address("TCP", "198.51.100.7", 1)))

    def test_slow(self) -> None:
        """A handshake has its bound, whatever comes of it so far."""
        for octets in (b"", b"\x16\x03\x01"):
            listener = self.listen()
            self.successResultOf(self.network.connect(PLACE, Talkers(octets)))
            self.network.flush()
            self.network.advance(HANDSHAKE_SECONDS - 1)
            self.assertEqual((len(listener.gates), listener.failures), (1, 0))
            self.network.advance(1)
            self.assertEqual((len(listener.gates), listener.failures), (0, 1))
            self.assertIn("no handshake within 10 s", self.lines("no TLS connection")[-1])
            self.assertEqual(self.clock.getDelayedCalls(), [])
            self.clock.advance(QUIET_SECONDS)

    def test_garbage(self) -> None:
        """What is no TLS ends at once; SIP in clear is not heard."""
        for octets in (HELLO, b"\x80" * 500, b"GET / HTTP/1.1\r\n\r\n"):
            listener = self.listen()
            self.network.connect(PLACE, Talkers(octets))
            self.network.flush()
            self.assertEqual((listener.failures, self.listeners.protocols), (1, []))
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_quiet(self) -> None:
        """Of many failures one line a minute."""
        listener = self.listen()
        for _ in range(50):
            self.network.connect(PLACE, Talkers(b"x" * 100))
            self.network.flush()
            # Slower than what is too much in a second.
            self.clock.advance(0.05)
        self.assertEqual((listener.failures, self.ended, len(self.lines("no TLS"))), (50, 50, 1))
        self.clock.advance(QUIET_SECONDS)
        self.network.connect(PLACE, Talkers(b"x" * 100))
        self.network.flush()
        self.assertIn("(51 so far)", self.lines("no TLS")[-1])

    def test_abandoned(self) -> None:
        """Handshakes that go on are ended at a stop, which is nobody's failure."""
        listener = self.listen()
        self.network.connect(PLACE, Talkers(b""))
        listener.abandon()
        self.network.flush()
        self.assertEqual((len(listener.gates), listener.failures, self.ended), (0, 0, 1))
        self.assertEqual(self.lines("no TLS"), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_versions(self) -> None:
        """TLS 1.1, and TLS 1.2 without forward secrecy, are refused; with it TLS 1.2 is good."""
        for method, ciphers, good in (
            (SSL.TLS1_1_VERSION, b"ALL:@SECLEVEL=0", False),
            (SSL.TLS1_2_VERSION, b"AES128-GCM-SHA256:AES256-SHA:@SECLEVEL=0", False),
            (SSL.TLS1_2_VERSION, b"ECDHE-ECDSA-AES128-GCM-SHA256", True),
        ):
            listener = self.listen()
            context = SSL.Context(SSL.TLS_CLIENT_METHOD)
            context.set_max_proto_version(method)
            context.set_min_proto_version(method)
            context.set_cipher_list(ciphers)
            creator: Any = Creator(context)
            self.network.connect(PLACE, TLSMemoryBIOFactory(creator, True, self.speakers, self.clock))
            self.network.flush()
            self.assertEqual(bool(self.listeners.heard), good, ciphers)
            self.assertEqual(listener.failures, 0 if good else 1)

    def test_notTaken(self) -> None:
        """A factory that makes no protocol ends the connection."""
        listener = self.listen()
        self.patch(self.listeners, "buildProtocol", lambda address: None)
        self.connect()
        self.assertEqual((len(listener.gates), listener.failures), (0, 1))


class MutualTests(ListenerCase):
    """Clients must show a certificate."""

    def test_right(self) -> None:
        """Issued under the root, for the address the client has, or the configured name."""
        self.listen(asks=True)
        self.successResultOf(self.connect(leaf(ip(CLIENT.host))))
        self.assertEqual(self.listeners.heard, [HELLO])
        self.assertIn(f"proved by IP {CLIENT.host}", self.lines("TLS connection")[0])
        self.listen(asks=True, name="pbx.example")
        self.connect(leaf(dns("pbx.example"), intermediate()))
        self.assertEqual(self.listeners.heard, [HELLO, HELLO])
        self.assertIn("proved by DNS pbx.example", self.lines("TLS connection")[1])
        self.listen(asks=True, identity=IdentityPolicy([keyPin(leaf(ip(CLIENT.host)).certificate)]))
        self.connect(leaf(ip(CLIENT.host)))
        self.assertEqual(len(self.listeners.heard), 3)

    def test_ownRoot(self) -> None:
        """A certificate that signed itself is its own root, also where it says that it is no CA."""
        itself = issueItself(ip(CLIENT.host))
        self.listen(asks=True, roots=itself)
        self.successResultOf(self.connect(itself))
        self.assertEqual(self.listeners.heard, [HELLO])
        other = issueItself(ip(CLIENT.host))
        self.listeners.protocols.clear()
        self.assertRefused(other, "signed by itself")

    def test_wrong(self) -> None:
        """None, one of another root, an expired one, another address or name, another key: not let in."""
        right = ip(CLIENT.host)
        self.listen(asks=True)
        self.assertRefused(None, "peer did not return a certificate")
        self.assertRefused(leaf(right, authority("Other Root")), "issued by CN=Other Root")
        self.assertRefused(leaf(right, expired=True), "expired on")
        self.assertRefused(leaf(right, notYet=True), "not valid before")
        wanted = f"wanted a certificate for IP {CLIENT.host}"
        self.assertRefused(leaf(ip("192.0.2.98")), wanted, "IP 192.0.2.98")
        self.assertRefused(leaf(dns(CLIENT.host)), wanted)
        self.assertRefused(leaf(()), "no SubjectAltName")
        self.network.unlisten(*PLACE)
        self.listen(asks=True, name="pbx.example")
        self.assertRefused(leaf(right), "wanted a certificate for URI sip:pbx.example or DNS pbx.example")
        self.network.unlisten(*PLACE)
        self.listen(asks=True, identity=IdentityPolicy(["sha256/" + "A" * 43 + "="]))
        self.assertRefused(leaf(right), "wanted a key pinned as sha256/AAAA")

    def test_usage(self) -> None:
        """
        A certificate for servers only, as public CAs issue them, is a client's where that is allowed, also
        below a CA for servers only; one for something else, or whose key must not sign, is not.
        """
        servers, mail = usage(ExtendedKeyUsageOID.SERVER_AUTH), usage(ExtendedKeyUsageOID.EMAIL_PROTECTION)
        name = ip(CLIENT.host)
        agreement = x509.KeyUsage(False, False, True, False, False, False, False, False, False)
        good = leaf(name, extensions=[servers])
        below = leaf(name, intermediate("Servers", extensions=[servers]), extensions=[servers])
        bad = [leaf(name, extensions=[mail]), leaf(name, extensions=[servers, agreement])]
        self.listen(asks=True)
        for each in (good, below, *bad):
            self.assertRefused(each, "not meant for this: its extended key usage is ")
        self.listen(asks=True, serverAuthClients=True)
        for each in bad:
            self.assertRefused(each, "not meant for this")
        self.assertRefused(leaf(ip("192.0.2.77"), extensions=[servers]), "IP 192.0.2.77")
        for each in (good, below):
            self.successResultOf(self.connect(each))
        self.assertEqual(self.listeners.heard, [HELLO, HELLO])

    def test_brokenPolicy(self) -> None:
        """A policy that explodes, or says nothing, denies."""

        def explode() -> object:
            raise ZeroDivisionError("boom")

        acts: tuple[Callable[[], object], ...] = (explode, lambda: None, lambda: True)
        for act, words in zip(acts, ("boom", "seen None", "seen True"), strict=True):
            self.listen(asks=True, identity=Broken(act))
            self.assertRefused(leaf(ip(CLIENT.host)), words)
            self.network.unlisten(*PLACE)

    def test_needsPolicy(self) -> None:
        """Roots without an identity policy would let anybody in whom they vouch for."""
        own = leaf(ip(PLACE[0]))
        certificate = loadOwnCertificate(own.pem, own.keyPEM)
        self.assertRaises(ValueError, ServerTLS, certificate, roots=authority().pem)
        self.assertRaises(ValueError, ServerTLS, certificate, roots=b"", identity=IdentityPolicy())


class RevocationTests(ListenerCase):
    """A client is let in when it is known whether its certificate was revoked."""

    def setUp(self) -> None:
        """It has connected, and said something; the policy is asked."""
        super().setUp()
        self.revocation = Revocation()
        self.listen(asks=True, revocation=self.revocation)
        self.connect(leaf(ip(CLIENT.host)))
        self.client = self.speakers.built[-1]
        self.assertEqual(self.listeners.protocols, [])
        ((chain, stapled),) = self.revocation.asked
        self.assertEqual((len(chain), stapled), (2, None))

    def test_good(self) -> None:
        """What it said meanwhile is heard, once; the log says what was found."""
        transport: Any = self.client.transport
        transport.write(b"more")
        self.network.flush()
        self.assertEqual(self.listeners.heard, [])
        self.revocation.answer.callback("not revoked")
        self.assertEqual(b"".join(self.listeners.heard), HELLO + b"more")
        self.assertIn(f"proved by IP {CLIENT.host}; not revoked", self.lines("TLS connection")[0])
        self.assertEqual((self.clock.getDelayedCalls(), len(self.listener.gates)), ([], 0))

    def assertOut(self, words: str) -> None:
        """It was not heard, and the log says why."""
        self.network.flush()
        self.assertEqual((self.listeners.protocols, self.listeners.heard), ([], []))
        self.assertIn(words, self.lines("no TLS connection")[0])
        self.assertEqual((self.clock.getDelayedCalls(), len(self.listener.gates)), ([], 0))

    def test_revoked(self) -> None:
        """Not let in."""
        self.revocation.answer.errback(PeerNotVerified("one that holds", "one that was revoked"))
        self.assertOut("one that was revoked")

    def test_broken(self) -> None:
        """Nor where the policy breaks, or does not say what it found."""
        self.revocation.answer.errback(RuntimeError("bang"))
        self.assertOut("bang")
        for nothing in (None, True):
            self.setUp()
            self.revocation.answer.callback(nothing)  # type: ignore[arg-type]
            self.assertOut("a policy that says what it found")

    def test_slow(self) -> None:
        """Nor where it takes too long."""
        self.clock.advance(HANDSHAKE_SECONDS)
        self.assertOut("no handshake within 10 s")
        self.assertEqual(self.revocation.cancelled, 1)

    def test_talkative(self) -> None:
        """Nor who says too much meanwhile."""
        transport: Any = self.client.transport
        transport.write(b"x" * (MOST_HELD + 1))
        self.assertOut(f"more than {MOST_HELD} octets")

    def test_gone(self) -> None:
        """It does not wait."""
        self.network.pumps[-1].clientIO.abortConnection()
        self.network.flush()
        self.assertEqual(self.revocation.cancelled, 1)
        self.assertEqual((self.listeners.protocols, len(self.listener.gates)), ([], 0))


class Talkers(Listeners):
    """Clients that say something in clear."""

    def __init__(self, octets: bytes) -> None:
        super().__init__()
        self.octets = octets

    def buildProtocol(self, addr: object) -> Any:
        """One more."""
        octets = self.octets

        class Talker(Protocol):
            def connectionMade(self) -> None:
                assert self.transport is not None
                self.transport.write(octets)

        return Talker()


@implementer(IOpenSSLClientConnectionCreator)
class Creator:
    """Connections of a context."""

    def __init__(self, context: SSL.Context) -> None:
        self._context = context

    def clientConnectionForTLS(self, protocol: object) -> SSL.Connection:
        """One more."""
        return SSL.Connection(self._context, None)
