"""A carrier that finds its customer by the customer's own SRV records, and calls in over TLS."""

from __future__ import annotations

from typing import Any

from cryptography import x509
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

from skypetrunk.lab.authority import Identity
from skypetrunk.lab.ports import portNumber
from skypetrunk.lab.tls import serverContext
from skypetrunk.service.control import ControlRefused
from skypetrunk.wire.framing import Limits, StreamFramer
from skypetrunk.wire.message import Request, parseMessage, responseTo
from tests.lab.raw import ACCOUNT, DOMAIN, LabCase

CUSTOMER = "customer.example"


class _Customer(Protocol):
    """Answers every INVITE with 486."""

    factory: _Customers

    def connectionMade(self) -> None:
        """One more."""
        self.factory.connections += 1
        self._framer = StreamFramer(Limits())

    def dataReceived(self, data: bytes) -> None:
        """Requests."""
        transport: Any = self.transport
        self.factory.shown = transport.getHandle().get_peer_certificate(as_cryptography=True)
        for frame in self._framer.receive(data):
            assert isinstance(frame, bytes)
            message = parseMessage(frame, stream=True)
            assert isinstance(message, Request)
            self.factory.requests.append(message)
            if message.method == "INVITE":
                transport.write(responseTo(message, 486, toTag="x").encode())


class _Customers(Factory):
    protocol = _Customer  # type: ignore[assignment]
    noisy = False

    def __init__(self) -> None:
        self.connections = 0
        self.requests: list[Request] = []
        self.shown: x509.Certificate | None = None


@implementer(IOpenSSLServerConnectionCreator)
class _Creator:
    def __init__(self, context: SSL.Context) -> None:
        self._context = context

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        return SSL.Connection(self._context, None)


class CallInTests(LabCase):
    """C{call-in}, C{call-in-dns}, C{call-in-at}."""

    async def customer(self, identity: Identity | None = None) -> _Customers:
        """Somebody whom the lab's name server knows; with the certificate that the lab wrote for it."""
        if identity is None:
            await self.lab.switch({"call-in": CUSTOMER})
            certificate, key = (path.read_bytes() for path in self.lab.credentials.clientFiles)
            identity = Identity(key, (certificate,))
        roots = self.lab.authority.rootPEM
        context = serverContext(identity, clientCertificate="required", clientRoots=roots)
        customers = _Customers()
        factory = TLSMemoryBIOFactory(_Creator(context), False, customers)
        factory.noisy = False
        port = self.reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        await self.lab.switch({"call-in": CUSTOMER, "call-in-at": f"127.0.0.1:{portNumber(port)}"})
        return customers

    async def refused(self) -> str:
        """Why a call cannot be placed."""
        with self.assertRaises(ControlRefused) as refused:
            await self.lab.carrier.placeCall("+442079460100", "+442079460200")
        return str(refused.exception)

    async def test_call(self) -> None:
        """Two calls over one connection, on which the carrier has shown its certificate."""
        self.start()
        customers = await self.customer()
        for _ in range(2):
            placed = await self.lab.carrier.placeCall("+442079460100", "+442079460200")
            self.assertEqual(placed.status, 486)
        self.assertEqual(customers.connections, 1)
        invites = [each for each in customers.requests if each.method == "INVITE"]
        self.assertEqual(invites[0].uri, f"sip:{ACCOUNT}@{CUSTOMER};transport=tls")
        self.assertEqual(invites[0].toAddress.uri.user, "+442079460100")  # type: ignore[union-attr]
        assert customers.shown is not None
        names = customers.shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        self.assertEqual(names.get_values_for_type(x509.DNSName), [DOMAIN])
        await self.lab.switch({"cut": "reset"})
        await self.until(lambda: not self.lab.connections)
        await self.lab.carrier.placeCall("+442079460100", "+442079460200")
        self.assertEqual(customers.connections, 2)

    async def test_wrongName(self) -> None:
        """A certificate of somebody else: refused, and nothing of SIP was sent."""
        self.start()
        customers = await self.customer(self.lab.authority.issue("x", ["other.example"]))
        self.assertIn(f"the certificate is of other.example, not of {CUSTOMER}", await self.refused())
        await self.pause(0.05)
        self.assertEqual((customers.connections, customers.requests), (1, []))

    async def test_wrongIssuer(self) -> None:
        """A certificate of its own making."""
        self.start()
        customers = await self.customer(self.lab.authority.issue("x", [CUSTOMER], own=True))
        self.assertIn("certificate verify failed", await self.refused())
        self.assertEqual(customers.requests, [])

    async def test_notFound(self) -> None:
        """No record; a name server that is not there; nobody who listens."""
        self.start(call_in=CUSTOMER)
        self.assertIn(f"_sips._tcp.{CUSTOMER}: DNSNameError", await self.refused())
        await self.lab.switch({"call-in-at": "127.0.0.1:1"})
        self.assertIn("127.0.0.1:1: Connection was refused", await self.refused())
        await self.lab.switch({"call-in-dns": f"127.0.0.2:{self.lab.names.port}"})
        self.assertIn("Timeout", await self.refused())
