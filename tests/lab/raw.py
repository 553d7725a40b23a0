"""A lab on real sockets, and a TLS client that only looks: it verifies nothing and says what it saw."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from OpenSSL import SSL, crypto
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IHandshakeListener, IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from skypetrunk.lab.service import Lab, LabSettings
from skypetrunk.lab.settings import CarrierSettings
from skypetrunk.lab.switches import changed, parsed
from skypetrunk.net.certificates import loadOwnCertificate
from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.digest import chooseChallenge, parseChallenges, respond
from skypetrunk.wire.message import Header, Request, Response, parseMessage
from skypetrunk.wire.secret import Secret

ACCOUNT = "99051000000001"
PASSWORD = Secret("marker-Passw0rd")
DOMAIN = "sip.skype.com"
CONTACT = f"<sip:{ACCOUNT}@192.0.2.7:5070>"


@implementer(IHandshakeListener)
class RawClient(Protocol):
    """
    One TLS connection to a lab.

    @ivar data: what came and was not yet taken.
    @ivar handle: OpenSSL's connection.
    @ivar shaken: the handshake is over.
    @ivar lost: why the connection ended, or C{None}.
    @ivar verdicts: OpenSSL's error numbers of the chain, 0 for none.
    @ivar staple: the OCSP answer in the handshake, empty for none.
    """

    transport: TLSMemoryBIOProtocol
    handle: SSL.Connection

    def __init__(self) -> None:
        self.data = b""
        self.shaken = False
        self.lost: Exception | None = None
        self.verdicts: set[int] = set()
        self.staple: bytes | None = None

    def connectionMade(self) -> None:
        """TCP stands."""
        self.handle = self.transport.getHandle()

    def handshakeCompleted(self) -> None:
        """It is."""
        self.shaken = True

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Over."""
        self.lost = reason.value if isinstance(reason.value, Exception) else None

    @property
    def leaf(self) -> x509.Certificate:
        """The carrier's certificate."""
        certificate = self.handle.get_peer_certificate(as_cryptography=True)
        assert certificate is not None
        return certificate

    @property
    def chain(self) -> int:
        """So many certificates were sent."""
        return len(self.handle.get_peer_cert_chain(as_cryptography=True) or ())

    def responses(self) -> list[Response]:
        """All whole responses that came, taken; messages without a body."""
        found = []
        while b"\r\n\r\n" in self.data:
            head, _, self.data = self.data.partition(b"\r\n\r\n")
            message = parseMessage(head + b"\r\n\r\n", stream=True)
            if isinstance(message, Response):
                found.append(message)
        return found


@implementer(IOpenSSLClientConnectionCreator)
class _Creator:
    def __init__(self, context: SSL.Context, client: RawClient) -> None:
        self._context = context
        self._client = client
        context.set_verify(SSL.VERIFY_PEER, self._verified)
        context.set_ocsp_client_callback(self._stapled)

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        connection.request_ocsp()
        connection.set_tlsext_host_name(DOMAIN.encode())
        return connection

    def _verified(
        self, connection: SSL.Connection, certificate: crypto.X509, number: int, depth: int, ok: int
    ) -> bool:
        self._client.verdicts.add(number)
        return True

    def _stapled(self, connection: SSL.Connection, staple: bytes, data: object) -> bool:
        self._client.staple = staple
        return True


class LabCase(TestCase):
    """Tests with one lab; what they open is closed in the end."""

    timeout = 8

    def setUp(self) -> None:
        """No lab yet, and no client."""
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.clients: list[RawClient] = []

    def start(self, *, control: bool = False, address: str = "127.0.0.1", **switches: str) -> Lab:
        """A lab with these switches (an underscore for each hyphen), on ports of the system."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        carrier = CarrierSettings({ACCOUNT: PASSWORD}, ringing=0.02)
        path = Path(directory.name)
        socket = path / "control.sock" if control else None
        settings = LabSettings(carrier, path, address=address, port=0, dnsPort=0, control=socket)
        values = parsed({name.replace("_", "-"): value for name, value in switches.items()})
        lab = self.lab = Lab(self.reactor, changed(settings, values))
        lab.listen()
        lab.startService()
        self.addCleanup(self._stop, lab)
        return lab

    async def _stop(self, lab: Lab) -> None:
        for client in self.clients:
            if client.lost is None:
                client.transport.abortConnection()
        await self.until(lambda: all(client.lost is not None for client in self.clients))
        lab.carrier.agent.transactions.stop()
        await lab.stopService()

    async def until(self, done: Callable[[], object], seconds: float = 5.0) -> None:
        """Wait for something."""
        end = self.reactor.seconds() + seconds
        while not done():
            if self.reactor.seconds() > end:
                self.fail("it did not come about")
            await deferLater(self.reactor, 0.005)

    async def pause(self, seconds: float) -> None:
        """Wait so long."""
        await deferLater(self.reactor, seconds)

    def context(self, certificate: bool = False) -> SSL.Context:
        """What a client asks for: anything."""
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(SSL.TLS1_VERSION)
        context.set_cipher_list(b"ALL:@SECLEVEL=0")
        store = context.get_cert_store()
        assert store is not None
        root = x509.load_pem_x509_certificate(self.lab.authority.rootPEM)
        store.add_cert(crypto.X509.from_cryptography(root))
        if certificate:
            chain, key = (path.read_bytes() for path in self.lab.credentials.clientFiles)
            own = loadOwnCertificate(chain, key)
            context.use_certificate(own.certificate)
            context.use_privatekey(own.key)
            for each in own.chain:
                context.add_extra_chain_cert(each)
        return context

    async def tcp(self, node: int = 0, *, context: SSL.Context | None = None, timeout: int = 2) -> RawClient:
        """A client whose TCP connection stands."""
        client = RawClient()
        address: TransportAddress = self.lab.nodes[node].address
        creator = _Creator(context or self.context(), client)
        kind = TCP6ClientEndpoint if ":" in address.host else TCP4ClientEndpoint
        endpoint = kind(self.reactor, address.host, address.port, timeout=timeout)
        factory = Factory.forProtocol(lambda: client)
        factory.noisy = False
        await endpoint.connect(TLSMemoryBIOFactory(creator, True, factory))
        self.clients.append(client)
        return client

    async def connect(self, node: int = 0, *, context: SSL.Context | None = None) -> RawClient:
        """A client whose handshake is over, or whose connection is."""
        client = await self.tcp(node, context=context)
        await self.until(lambda: client.shaken or client.lost is not None)
        return client

    # A PBX by hand

    def request(
        self, method: str, number: int, extra: tuple[tuple[str, str], ...] = (), call: str = "one"
    ) -> Request:
        """A request of the account to the registrar."""
        headers = [
            ("Via", f"SIP/2.0/TLS 127.0.0.1:9;branch=z9hG4bK{call}{number}{method}"),
            ("Max-Forwards", "70"),
            ("From", f"<sip:{ACCOUNT}@{DOMAIN}>;tag=raw"),
            ("To", f"<sip:{ACCOUNT}@{DOMAIN}>"),
            ("Call-ID", call),
            ("CSeq", f"{number} {method}"),
            *extra,
            ("Content-Length", "0"),
        ]
        return Request(method, f"sip:{DOMAIN}", tuple(Header(*each) for each in headers))

    def authorised(self, request: Request, challenge: Response, count: int = 1) -> Request:
        """The request with credentials for a challenge."""
        proxy = challenge.status == 407
        chosen = chooseChallenge(
            parseChallenges(challenge.values("Proxy-Authenticate" if proxy else "WWW-Authenticate"))
        )
        assert chosen is not None
        value = respond(
            chosen, ACCOUNT, PASSWORD, request.method, request.uri, nonceCount=count, cnonce="c", body=b""
        )
        return request.withHeader("Proxy-Authorization" if proxy else "Authorization", value)

    async def answer(self, client: RawClient, request: Request) -> Response:
        """The final answer to a request."""
        client.transport.write(request.encode())
        found: list[Response] = []

        def final() -> bool:
            found.extend(each for each in client.responses() if each.status >= 200)
            return bool(found)

        await self.until(final)
        return found[0]

    async def register(
        self, client: RawClient, *extra: tuple[str, str], contact: str = CONTACT, call: str = "one"
    ) -> Response:
        """REGISTER, challenge, REGISTER: the last answer."""
        headers = (("Contact", contact), *extra)
        challenge = await self.answer(client, self.request("REGISTER", 1, headers, call))
        assert challenge.status == 401, challenge
        again = self.request("REGISTER", 2, headers, call)
        return await self.answer(client, self.authorised(again, challenge))
