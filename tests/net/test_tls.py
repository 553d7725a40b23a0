"""Tests of L{skypetrunk.net.tls}: the gate denies, and what it denies has heard nothing of SIP."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from twisted.internet import ssl
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import NoProtocol
from twisted.internet.interfaces import (
    IAddress,
    IOpenSSLClientConnectionCreator,
    IProtocol,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from skypetrunk.errors import ChannelFailed, PeerNotVerified
from skypetrunk.interfaces import IIdentityPolicy, IRevocationPolicy
from skypetrunk.net.certificates import loadOwnCertificate, loadTrustRoots, noTrustRoots, systemTrustRoots
from skypetrunk.net.client_tls import ConnectionCreator
from skypetrunk.net.identity import IdentityPolicy, PinnedKey, keyPin
from skypetrunk.net.tls import (
    MOST_HELD,
    ClientTLS,
    TLSClientEndpoint,
    _Attempt,
    closeWithin,
)
from skypetrunk.net.tls_server import tlsServerOptions
from tests.net.certificates import Issued, authority, dns, intermediate, leaf, uris
from tests.net.network import Listeners, MemoryNetwork

DOMAIN = "carrier.example"
HELLO = b"REGISTER sip:carrier.example SIP/2.0\r\n"


class Speaker(Protocol):
    """Speaks first, as SIP does."""

    def __init__(self) -> None:
        self.heard = b""
        self.lost = False

    def connectionMade(self) -> None:
        """Say hello."""
        assert self.transport is not None
        self.transport.write(HELLO)

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self.heard += data

    def connectionLost(self, reason: object = None) -> None:
        """Remember it."""
        self.lost = True


class Speakers(Factory):
    """
    Builds L{Speaker}s.

    @ivar built: all of them.
    """

    noisy = False

    def __init__(self) -> None:
        self.built: list[Speaker] = []

    def buildProtocol(self, addr: IAddress | None) -> Speaker | None:
        """One more."""
        self.built.append(Speaker())
        return self.built[-1]


@implementer(IIdentityPolicy)
class Broken:
    """A policy that explodes, or says nonsense."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act

    def verify(self, chain: Sequence[bytes], domain: str) -> str:
        """Do it."""
        return self._act()  # type: ignore[return-value]


@implementer(IRevocationPolicy)
class Revocation:
    """
    A policy that takes its time.

    @ivar asked: chain and stapled answer of each question.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[Sequence[bytes], bytes | None]] = []
        self.cancelled = 0
        self.answer: Deferred[str] = Deferred(self._cancel)

    def _cancel(self, answer: object) -> None:
        self.cancelled += 1

    def check(self, chain: Sequence[bytes], stapled: bytes | None) -> Deferred[str]:
        """Remember it."""
        self.asked.append((chain, stapled))
        return self.answer


class TLSTestCase(SynchronousTestCase):
    """A carrier in memory."""

    def setUp(self) -> None:
        """Nobody listens yet."""
        self.clock = Clock()
        self.network = MemoryNetwork(self.clock)
        self.listeners = Listeners()
        self.speakers = Speakers()

    def serve(
        self,
        issued: Issued | None = None,
        minimum: object = ssl.TLSVersion.TLSv1_2,
        maximum: object = None,
        ciphers: str | None = None,
        clientRoots: bytes | None = None,
    ) -> None:
        """A TLS server with this certificate at 192.0.2.1:5061."""
        issued = issued or leaf(dns(DOMAIN))
        options = tlsServerOptions(
            loadOwnCertificate(issued.pem, issued.keyPEM),
            minimum=minimum,
            maximum=maximum,
            ciphers=ciphers,
            clientRoots=clientRoots,
        )
        self.network.listenTLS("192.0.2.1", 5061, options, self.listeners)

    def tls(self, identity: IIdentityPolicy | None = None, **more: object) -> ClientTLS:
        """The trunk's side."""
        return ClientTLS(
            DOMAIN,
            loadTrustRoots(authority().pem),
            identity or IdentityPolicy(),
            monotonic=self.clock.seconds,
            **more,  # type: ignore[arg-type]
        )

    def endpoint(self, tls: ClientTLS | None = None) -> TLSClientEndpoint:
        """The way to 192.0.2.1:5061."""
        tcp = self.network.endpoint("192.0.2.1", 5061)
        return TLSClientEndpoint(tcp, tls or self.tls(), self.clock, "192.0.2.1:5061")

    def connect(self, tls: ClientTLS | None = None) -> Deferred[IProtocol]:
        """Connect and let everything happen that happens at once."""
        connecting = self.endpoint(tls).connect(self.speakers)
        self.network.flush()
        return connecting

    def assertDenied(self, tls: ClientTLS | None = None) -> PeerNotVerified:
        """C{connect()} refuses the peer; nothing of SIP was built or written; nothing is left."""
        connecting = self.connect(tls)
        problem: PeerNotVerified = self.failureResultOf(connecting, PeerNotVerified).value
        self.assertNothingSaid()
        return problem

    def assertNothingSaid(self) -> None:
        """No SIP protocol was built, the server decrypted no octet, no timer and no connection is left."""
        self.network.flush()
        self.assertEqual(self.speakers.built, [])
        self.assertEqual(self.listeners.heard, [])
        self.assertTrue(all(self.network.closed(index) for index in range(len(self.network.pumps))))
        self.assertTrue(all(attempt.called for attempt in self.network.hanging))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ConnectTests(TLSTestCase):
    """A peer that is who it should be."""

    def test_interfaces(self) -> None:
        """The endpoint is one, the creator is one."""
        self.assertTrue(verifyObject(IStreamClientEndpoint, self.endpoint()))
        creator = ConnectionCreator(self.tls(), self.tls().recorder())
        self.assertTrue(verifyObject(IOpenSSLClientConnectionCreator, creator))

    def test_verified(self) -> None:
        """C{connect()} fires with the SIP protocol, which can speak at once."""
        self.serve()
        self.listeners.heard.clear()
        protocol = self.successResultOf(self.connect())
        self.assertIs(protocol, self.speakers.built[0])
        self.assertEqual(b"".join(self.listeners.heard), HELLO)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_notBeforeTheHandshake(self) -> None:
        """TCP alone fires nothing and builds nothing."""
        self.serve()
        connecting = self.endpoint().connect(self.speakers)
        self.assertNoResult(connecting)
        self.assertEqual(self.speakers.built, [])
        self.network.flush()
        self.successResultOf(connecting)

    def test_data(self) -> None:
        """Data passes in both directions, and the end of the connection is told."""
        self.serve()
        speaker = self.successResultOf(self.connect())
        assert isinstance(speaker, Speaker)
        self.listeners.protocols[0].transport.write(b"SIP/2.0 200 OK\r\n")  # type: ignore[union-attr]
        self.network.flush()
        self.assertEqual(speaker.heard, b"SIP/2.0 200 OK\r\n")
        self.listeners.protocols[0].transport.loseConnection()  # type: ignore[union-attr]
        self.network.flush()
        self.assertTrue(speaker.lost)

    def test_intermediate(self) -> None:
        """A chain over an intermediate that the server sends; a URI as proof."""
        self.serve(leaf(uris("sip:carrier.example"), intermediate()))
        endpoint = self.endpoint()
        endpoint.connect(self.speakers)
        self.network.flush()
        record = endpoint.handshake()
        assert record is not None
        self.assertEqual(record.proof, "URI sip:carrier.example")

    def test_pinnedRoot(self) -> None:
        """The verified chain includes the root, so that its key may be pinned."""
        self.serve(leaf(dns(DOMAIN), intermediate()))
        self.successResultOf(self.connect(self.tls(IdentityPolicy([keyPin(authority().certificate)]))))

    def test_serverName(self) -> None:
        """SNI carries the configured domain (RFC 6066 section 3)."""
        self.serve()
        self.successResultOf(self.connect())
        connection = self.network.pumps[0].server.getHandle()
        self.assertEqual(connection.get_servername(), b"carrier.example")

    def test_pinnedKey(self) -> None:
        """A peer whose certificate nobody issued, expired even, is known by its key; SNI holds no address."""
        peer = leaf((), authority("PBX itself"), expired=True)
        self.serve(peer)
        tls = ClientTLS("192.0.2.1", noTrustRoots(), PinnedKey([keyPin(peer.certificate)]))
        self.successResultOf(self.connect(tls))
        self.assertEqual(b"".join(self.listeners.heard), HELLO)
        self.assertIsNone(self.network.pumps[0].server.getHandle().get_servername())

    def test_neverUnverified(self) -> None:
        """Without roots no other policy than a pinned key is taken."""
        pin = keyPin(leaf(()).certificate)
        for policy in (IdentityPolicy(), IdentityPolicy([pin]), Broken(lambda: "yes")):
            self.assertRaises(ValueError, ClientTLS, DOMAIN, noTrustRoots(), policy)

    def test_wildcardAllowed(self) -> None:
        """A profile may accept wildcards."""
        self.serve(leaf(dns("*.carrier.example")))
        roots = loadTrustRoots(authority().pem)
        tls = ClientTLS("sip.carrier.example", roots, IdentityPolicy(wildcards=True))
        self.successResultOf(self.connect(tls))

    def test_ownCertificate(self) -> None:
        """A server that asks for a certificate gets ours."""
        ours = leaf(dns("trunk.example"), subject="Trunk")
        self.serve(clientRoots=authority().pem)
        tls = self.tls(certificate=loadOwnCertificate(ours.pem, ours.keyPEM))
        self.successResultOf(self.connect(tls))
        shown = self.network.pumps[0].server.getPeerCertificate().to_cryptography()
        self.assertEqual(shown, ours.certificate)

    def test_noOwnCertificate(self) -> None:
        """Without one the answer is an empty list, which is legal."""
        self.serve(clientRoots=authority().pem)
        self.successResultOf(self.connect())
        self.assertIsNone(self.network.pumps[0].server.getPeerCertificate())

    def test_noResumption(self) -> None:
        """
        One L{ClientTLS} serves many connections, and each is a whole handshake with a certificate to be
        looked at, though the server offers sessions and tickets.
        """
        issued = leaf(dns(DOMAIN))
        own = loadOwnCertificate(issued.pem, issued.keyPEM)
        for newest in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            options = ssl.CertificateOptions(
                own.key,
                own.certificate,
                raiseMinimumTo=newest,
                lowerMaximumSecurityTo=newest,
                enableSessions=True,
                enableSessionTickets=True,
            )
            self.network.listenTLS("192.0.2.1", 5061, options, self.listeners)
            tls = self.tls()
            for _ in range(3):
                endpoint = self.endpoint(tls)
                self.successResultOf(self.flushed(endpoint.connect(self.speakers)))
                record = endpoint.handshake()
                assert record is not None and record.certificate is not None
                self.assertEqual(record.steps[2].mark, "seen")
                self.listeners.protocols[-1].transport.write(b"\r\n")  # type: ignore[union-attr]
                self.network.flush()

    def flushed(self, connecting: Deferred[IProtocol]) -> Deferred[IProtocol]:
        """C{connecting}, after everything has happened that happens at once."""
        self.network.flush()
        return connecting


class DenyTests(TLSTestCase):
    """Each of these is refused, and has decrypted no octet of SIP."""

    def test_wrongAuthority(self) -> None:
        """Another CA: the error says whose certificate was seen and which roots were wanted."""
        self.serve(leaf(dns(DOMAIN), authority("Other Root")))
        problem = self.assertDenied()
        self.assertIn("CN=Test Root", problem.wanted)
        self.assertIn("CN=Other Root", problem.seen)

    def test_expired(self) -> None:
        """An expired certificate."""
        self.serve(leaf(dns(DOMAIN), expired=True))
        self.assertIn("expired on ", self.assertDenied().seen)

    def test_notYetValid(self) -> None:
        """A certificate of tomorrow."""
        self.serve(leaf(dns(DOMAIN), notYet=True))
        self.assertIn("not valid before ", self.assertDenied().seen)

    def test_selfSigned(self) -> None:
        """A certificate that vouches for itself."""
        self.serve(authority("Somebody"))
        self.assertIn("signed by itself", self.assertDenied().seen)

    def test_missingIntermediate(self) -> None:
        """A server that does not send its intermediate."""
        whole = leaf(dns(DOMAIN), intermediate())
        self.serve(Issued(whole.certificate, whole.key))
        self.assertIn("CN=Test Intermediate", self.assertDenied().seen)

    def test_wrongName(self) -> None:
        """The right CA, another name."""
        self.serve(leaf(dns("other.example")))
        problem = self.assertDenied()
        self.assertIn("DNS carrier.example", problem.wanted)
        self.assertEqual(problem.seen, "DNS other.example")

    def test_noName(self) -> None:
        """No SubjectAltName; the common name does not count."""
        self.serve(leaf((), subject=DOMAIN))
        self.assertEqual(self.assertDenied().seen, "no SubjectAltName")

    def test_onlyMail(self) -> None:
        """Only an e-mail address."""
        self.serve(leaf([x509.RFC822Name("sip@carrier.example")]))
        self.assertDenied()

    def test_wildcard(self) -> None:
        """RFC 5922 section 7.2: a wildcard."""
        self.serve(leaf(dns("*.carrier.example")))
        tls = ClientTLS("sip.carrier.example", loadTrustRoots(authority().pem), IdentityPolicy())
        self.assertIn("wildcards are refused", self.assertDenied(tls).seen)

    def test_libraryRejects(self) -> None:
        """Names that the library calls invalid."""
        for bad in ("*.example", "sip.*.example", "192.0.2.1"):
            self.serve(leaf([*dns(bad), *dns(DOMAIN)]))
            self.assertDenied(self.tls(IdentityPolicy(wildcards=True)))

    def test_twoColons(self) -> None:
        """A URI with two colons."""
        self.serve(leaf(uris("sip:carrier.example:5061")))
        self.assertDenied()

    def test_pinMismatch(self) -> None:
        """A certificate that is right in all but its key."""
        self.serve()
        spare = leaf(dns(DOMAIN), keyName="spare")
        self.assertDenied(self.tls(IdentityPolicy([keyPin(spare.certificate)])))

    def test_verifierRaises(self) -> None:
        """A policy that explodes denies."""
        self.serve()

        def explode() -> None:
            raise RuntimeError("bang")

        self.assertIn("RuntimeError: bang", self.assertDenied(self.tls(Broken(explode))).seen)

    def test_verifierExits(self) -> None:
        """So does one that raises something that is no L{Exception}."""
        self.serve()

        def leave() -> None:
            raise SystemExit(0)

        self.assertDenied(self.tls(Broken(leave)))

    def test_verifierSaysNothing(self) -> None:
        """And one that returns without a proof."""
        self.serve()
        self.assertDenied(self.tls(Broken(lambda: None)))
        self.assertDenied(self.tls(Broken(lambda: True)))
        self.assertDenied(self.tls(Broken(Deferred)))

    def test_callbackRaises(self) -> None:
        """An exception in OpenSSL's verify callback denies."""
        self.serve()

        def explode(self: object, certificate: object) -> None:
            raise RuntimeError("bang")

        from skypetrunk.net.handshake import HandshakeRecorder

        self.patch(HandshakeRecorder, "certificateSeen", explode)
        self.assertIn("RuntimeError: bang", self.assertDenied().seen)

    def test_silent(self) -> None:
        """A server that says nothing: given up after the time-out."""
        self.network.listen("192.0.2.1", 5061, self.listeners)
        connecting = self.endpoint().connect(self.speakers)
        self.network.deafen()
        self.network.flush()
        self.network.advance(9.9)
        self.assertNoResult(connecting)
        self.network.advance(0.2)
        problem = self.failureResultOf(connecting, ChannelFailed).value
        self.assertEqual(str(problem), "192.0.2.1:5061: no verified TLS connection within 10 s")
        self.assertNothingSaid()

    def test_noConnection(self) -> None:
        """An address that never answers: the time-out covers TCP too."""
        self.network.blackhole("192.0.2.1", 5061)
        connecting = self.connect()
        self.network.advance(10)
        self.failureResultOf(connecting, ChannelFailed)
        self.assertNothingSaid()

    def test_refused(self) -> None:
        """A port where nobody listens."""
        problem = self.failureResultOf(self.connect(), ChannelFailed).value
        self.assertIn("192.0.2.1:5061", str(problem))
        self.assertIn("refused", str(problem))
        self.assertNothingSaid()

    def test_closesMidHandshake(self) -> None:
        """A server that closes in the middle of the handshake."""
        self.serve()
        connecting = self.endpoint().connect(self.speakers)
        pump = self.network.pumps[0]
        pump.pump()
        pump.serverIO.stream.clear()
        pump.serverIO.loseConnection()
        self.network.flush()
        self.failureResultOf(connecting, ChannelFailed)
        self.assertNothingSaid()

    def test_notTLS(self) -> None:
        """A server that answers in clear."""
        self.network.listen("192.0.2.1", 5061, self.listeners)
        connecting = self.endpoint().connect(self.speakers)
        self.network.pumps[0].server.transport.write(b"SIP/2.0 400 Bad Request\r\n\r\n")
        self.network.deafen()
        self.network.flush()
        problem = self.failureResultOf(connecting, ChannelFailed).value
        self.assertIn("TLS handshake failed", str(problem))
        self.assertNothingSaid()

    def test_staticRSA(self) -> None:
        """Suites without forward secrecy are spoken only where the profile says so."""
        self.serve(leaf(dns(DOMAIN), keyName="rsa"), maximum=ssl.TLSVersion.TLSv1_2, ciphers="AES128-SHA")
        self.failureResultOf(self.connect(), ChannelFailed)
        self.assertNothingSaid()
        self.successResultOf(self.connect(self.tls(staticRSA=True)))

    def test_minimum(self) -> None:
        """A minimum of TLS 1.3 refuses TLS 1.2; asking for less than 1.2 has no effect."""
        self.serve(maximum=ssl.TLSVersion.TLSv1_2)
        problem = self.failureResultOf(self.connect(self.tls(minimum=ssl.TLSVersion.TLSv1_3)), ChannelFailed)
        self.assertIn("TLS handshake failed", str(problem.value))
        self.assertNothingSaid()
        self.successResultOf(self.connect(self.tls(minimum=ssl.TLSVersion.TLSv1_0)))

    def test_onlySystemRoots(self) -> None:
        """The platform's roots do not vouch for a throw-away CA."""
        self.serve()
        self.assertDenied(ClientTLS(DOMAIN, systemTrustRoots(), IdentityPolicy()))


class RevocationTests(TLSTestCase):
    """The gate waits for the revocation policy; nothing of SIP is said or heard before it has answered."""

    def setUp(self) -> None:
        """The handshake is over, and the policy is asked."""
        super().setUp()
        self.revocation = Revocation()
        self.assertTrue(verifyObject(IRevocationPolicy, self.revocation))
        self.serve()
        self.last = self.endpoint(self.tls(revocation=self.revocation))
        self.connecting = self.last.connect(self.speakers)
        self.network.flush()
        self.assertNoResult(self.connecting)
        self.assertEqual((self.speakers.built, self.listeners.heard), ([], []))

    def say(self, data: bytes) -> None:
        """The server says something."""
        self.listeners.protocols[0].transport.write(data)  # type: ignore[union-attr]
        self.network.flush()

    def test_asked(self) -> None:
        """For the verified chain, root last; no answer was stapled."""
        ((chain, stapled),) = self.revocation.asked
        self.assertEqual((chain[-1], len(chain), stapled), (authority().der, 2, b""))

    def test_good(self) -> None:
        """The gate opens; what the server said meanwhile is heard; the record says what was found."""
        self.say(b"SIP/2.0 ")
        self.say(b"200 OK\r\n")
        self.assertEqual(self.speakers.built, [])
        self.revocation.answer.callback("not revoked")
        self.network.flush()
        speaker = self.successResultOf(self.connecting)
        assert isinstance(speaker, Speaker)
        self.assertEqual(speaker.heard, b"SIP/2.0 200 OK\r\n")
        self.assertEqual(b"".join(self.listeners.heard), HELLO)
        record = self.last.handshake()
        assert record is not None
        self.assertEqual(record.revocation, "not revoked")

    def assertRefused(self, words: str) -> None:
        """Somebody else; nothing was said."""
        problem = self.failureResultOf(self.connecting, PeerNotVerified).value
        self.assertIn(words, str(problem))
        self.assertNothingSaid()

    def test_refused(self) -> None:
        """Revoked."""
        self.say(b"SIP/2.0 200 OK\r\n")
        self.revocation.answer.errback(PeerNotVerified("one that holds", "one that was revoked"))
        self.assertRefused("one that was revoked")

    def test_broken(self) -> None:
        """A policy that breaks denies, as does one that does not say what it found."""
        self.revocation.answer.errback(RuntimeError("bang"))
        self.assertRefused("RuntimeError: bang")
        for nothing in (None, True, b"good"):
            self.setUp()
            self.revocation.answer.callback(nothing)  # type: ignore[arg-type]
            self.assertRefused("a revocation policy that says what it found")

    def test_raises(self) -> None:
        """So does one that raises where it should return."""

        def explode(self: object, chain: object, stapled: object) -> None:
            raise SystemExit(0)

        self.patch(Revocation, "check", explode)
        connecting = self.connect(self.tls(revocation=Revocation()))
        self.assertIn("SystemExit", str(self.failureResultOf(connecting, PeerNotVerified).value))
        self.assertEqual(self.speakers.built, [])

    def test_talkative(self) -> None:
        """A server that says much while it waits is not kept for long."""
        self.say(b"x" * (MOST_HELD + 1))
        self.assertRefused(f"more than {MOST_HELD} octets")

    def test_gone(self) -> None:
        """The connection ends, or nobody waits any more: the policy is told."""
        self.listeners.protocols[0].transport.loseConnection()  # type: ignore[union-attr]
        self.network.flush()
        self.failureResultOf(self.connecting, ChannelFailed)
        self.assertEqual(self.revocation.cancelled, 1)
        self.assertNothingSaid()

    def test_slow(self) -> None:
        """The time-out of the connection covers it."""
        self.network.advance(10)
        self.failureResultOf(self.connecting, ChannelFailed)
        self.assertEqual(self.revocation.cancelled, 1)
        self.assertNothingSaid()


class BudgetTests(TLSTestCase):
    """How long TLS alone may take."""

    def endpoint(self, tls: ClientTLS | None = None) -> TLSClientEndpoint:
        """The way to 192.0.2.1:5061, where a handshake has 3 s."""
        tcp = self.network.endpoint("192.0.2.1", 5061)
        return TLSClientEndpoint(tcp, tls or self.tls(), self.clock, "192.0.2.1:5061", handshake=3)

    def test_silent(self) -> None:
        """A server that takes the connection and says nothing has 3 s."""
        self.network.listen("192.0.2.1", 5061, self.listeners)
        connecting = self.connect()
        self.network.advance(2.9)
        self.assertNoResult(connecting)
        self.network.advance(0.2)
        problem = self.failureResultOf(connecting, ChannelFailed).value
        self.assertEqual(str(problem), "192.0.2.1:5061: no TLS handshake within 3 s")
        self.network.flush()
        self.assertTrue(self.network.closed())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_done(self) -> None:
        """A handshake that ends in time has no bound any more, however it ends; nor has one given up."""
        self.serve()
        self.successResultOf(self.connect())
        self.network.advance(4)
        self.assertFalse(self.network.closed())
        self.serve(leaf(dns("other.example")))
        self.failureResultOf(self.connect(), PeerNotVerified)
        self.network.listen("192.0.2.1", 5061, self.listeners)
        connecting = self.connect()
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError)
        self.network.flush()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class MiddleTests(TLSTestCase):
    """Somebody between the two."""

    def test_everyOctet(self) -> None:
        """One octet of what the server says in the handshake is another: nothing of SIP is said."""
        for newest in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            self.serve(maximum=newest)
            refused = 0
            for place in range(0, 1200, 9):
                connecting = self.endpoint().connect(self.speakers)
                pump = self.network.pumps.pop()
                received, passed = pump.clientIO.bufferReceived, [0]

                def meddle(data: bytes) -> None:
                    octets, at = bytearray(data), place - passed[0]  # noqa: B023 (called in this turn)
                    passed[0] += len(data)  # noqa: B023
                    if 0 <= at < len(octets):
                        octets[at] ^= 0x01
                    received(bytes(octets))  # noqa: B023

                pump.clientIO.bufferReceived = meddle
                pump.flush()
                if passed[0] <= place:
                    # The handshake was over before.
                    self.successResultOf(connecting)
                    break
                # A length that has grown is waited for.
                self.clock.advance(10)
                pump.flush()
                self.failureResultOf(connecting)
                self.assertEqual((self.speakers.built, self.listeners.heard), ([], []), f"octet {place}")
                refused += 1
            self.assertGreater(refused, 50)
            self.speakers.built.clear()
            self.listeners.heard.clear()


class EndTests(TLSTestCase):
    """Cancelling, broken factories, renegotiation."""

    def test_cancelHandshake(self) -> None:
        """Cancelled during the handshake: aborted, and nothing is told twice."""
        self.serve()
        connecting = self.endpoint().connect(self.speakers)
        self.network.pumps[0].pump()
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError)
        self.assertNothingSaid()

    def test_cancelTCP(self) -> None:
        """Cancelled before there was a connection."""
        self.network.blackhole("192.0.2.1", 5061)
        connecting = self.connect()
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError)
        self.assertNothingSaid()

    def test_noProtocol(self) -> None:
        """A factory that builds nothing: an error, and the connection is gone."""
        self.serve()
        self.patch(Speakers, "buildProtocol", lambda self, addr: None)
        self.failureResultOf(self.connect(), NoProtocol)
        self.assertNothingSaid()

    def test_factoryRaises(self) -> None:
        """A factory that raises likewise."""
        self.serve()

        def explode(self: object, addr: object) -> None:
            raise RuntimeError("bang")

        self.patch(Speakers, "buildProtocol", explode)
        self.failureResultOf(self.connect(), RuntimeError)
        self.assertNothingSaid()

    def test_factoryLifetime(self) -> None:
        """The SIP factory is started and stopped with the connection."""
        self.serve()
        told: list[str] = []
        self.patch(Speakers, "startFactory", lambda self: told.append("start"))
        self.patch(Speakers, "stopFactory", lambda self: told.append("stop"))
        endpoint = self.endpoint()
        attempt = _Attempt(endpoint, self.speakers)
        attempt.doStart()
        attempt.doStop()
        self.assertEqual(told, ["start", "stop"])

    def renegotiate(self, issued: Issued | None = None) -> Speaker:
        """Connect over TLS 1.2, then let the server renegotiate, perhaps with another certificate."""
        first = leaf(dns(DOMAIN))
        self.serve(first, maximum=ssl.TLSVersion.TLSv1_2)
        speaker = self.successResultOf(self.connect())
        assert isinstance(speaker, Speaker)
        server = self.network.pumps[-1].server
        connection = server.getHandle()
        issued = issued or first
        own = loadOwnCertificate(issued.pem, issued.keyPEM)
        connection.use_certificate(own.certificate)
        connection.use_privatekey(own.key)
        connection.renegotiate()
        connection.do_handshake()
        server._flushSendBIO()
        self.network.flush()
        self.assertEqual(connection.total_renegotiations(), 1)
        server.write(b"hello again")
        self.network.flush()
        return speaker

    def test_renegotiation(self) -> None:
        """A renegotiation with the same certificate changes nothing."""
        speaker = self.renegotiate()
        self.assertEqual(speaker.heard, b"hello again")
        self.assertEqual(len(self.speakers.built), 1)
        self.assertFalse(speaker.lost)

    def test_renegotiationDenied(self) -> None:
        """One with another ends the connection, even if that proves the domain; nothing is heard or said."""
        for number, name in enumerate((DOMAIN, "other.example")):
            speaker = self.renegotiate(leaf(dns(name), keyName="next"))
            self.assertEqual(speaker.heard, b"")
            self.assertTrue(speaker.lost)
            self.assertTrue(self.network.closed(number))
            self.assertEqual(b"".join(self.listeners.heard), HELLO * (number + 1))

    def test_closeWithin(self) -> None:
        """A peer that swallows close_notify is aborted after the bound."""
        self.serve()
        speaker = self.successResultOf(self.connect())
        assert isinstance(speaker, Speaker) and speaker.transport is not None
        self.network.deafen()
        closeWithin(speaker.transport, self.clock)
        self.network.flush()
        self.network.advance(1.9)
        self.assertFalse(self.network.closed())
        self.assertFalse(speaker.lost)
        self.network.advance(0.2)
        self.assertTrue(self.network.closed())
        self.assertTrue(speaker.lost)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_truncated(self) -> None:
        """A peer whose TCP ends without close_notify, in the middle of a message or not: the end is told."""
        for said in (b"", b"SIP/2.0 200"):
            self.serve()
            speaker = self.successResultOf(self.connect())
            assert isinstance(speaker, Speaker)
            pump = self.network.pumps[-1]
            pump.server.write(said)
            pump.flush()
            pump.serverIO.loseConnection()
            self.network.flush()
            self.assertEqual((speaker.heard, speaker.lost), (said, True))
            self.assertTrue(self.network.closed())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closePolitely(self) -> None:
        """A peer that plays along is not aborted; the timer is the caller's to cancel."""
        self.serve()
        speaker = self.successResultOf(self.connect())
        assert isinstance(speaker, Speaker) and speaker.transport is not None
        abort = closeWithin(speaker.transport, self.clock)
        self.network.flush()
        self.assertTrue(speaker.lost)
        abort.cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class FileTests(SynchronousTestCase):
    """Roots, certificates and keys from PEM."""

    def test_severalRoots(self) -> None:
        """Every block of a file counts, with text between them."""
        pem = b"first\n" + authority().pem + b"\nsecond\n" + authority("Other Root").pem
        roots = loadTrustRoots(pem)
        self.assertEqual(roots.names, ("CN=Test Root", "CN=Other Root"))
        self.assertEqual(roots.unusable, ())

    def test_intermediateAsRoot(self) -> None:
        """An intermediate in the file is named, for it cannot be a root."""
        self.assertEqual(loadTrustRoots(intermediate().pem).unusable, ("CN=Test Intermediate",))

    def test_noRoots(self) -> None:
        """A file without certificates is an error."""
        self.assertRaises(ValueError, loadTrustRoots, b"")
        broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        self.assertRaises(ValueError, loadTrustRoots, broken)

    def test_otherKey(self) -> None:
        """A key that is another certificate's is an error."""
        one, other = leaf(dns(DOMAIN)), leaf(dns(DOMAIN), keyName="other")
        self.assertRaises(ValueError, loadOwnCertificate, one.pem, other.keyPEM)

    def test_encryptedKey(self) -> None:
        """A key with its password, one with another, and one without the password that it needs."""
        one = leaf(dns(DOMAIN))
        locked = one.key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"p4ss phrase")
        )
        own = loadOwnCertificate(one.pem, locked, b"p4ss phrase")
        self.assertEqual(own.certificate.to_cryptography(), one.certificate)
        for password in (b"another", b"", None):
            problem = self.assertRaises(ValueError, loadOwnCertificate, one.pem, locked, password)
            self.assertNotIn("p4ss", str(problem))

    def test_keyPassword(self) -> None:
        """A password too many is an error that says so."""
        one = leaf(dns(DOMAIN))
        problem = self.assertRaises(ValueError, loadOwnCertificate, one.pem, one.keyPEM, b"secret")
        self.assertIn("assword", str(problem))
        self.assertNotIn("secret", str(problem))

    def test_badDomain(self) -> None:
        """A trunk domain that is none is refused at once."""
        self.assertRaises(
            ValueError, ClientTLS, "a" * 64 + ".example", loadTrustRoots(authority().pem), IdentityPolicy()
        )
