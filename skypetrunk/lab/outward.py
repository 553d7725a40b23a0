"""
Calls of a carrier that knows its customer by a domain: it asks for the customer's SRV records, connects, and
wants a certificate of that domain, as carriers do that register nobody.

Apart from the trunk's own code for the same on purpose.
"""

from __future__ import annotations

from typing import Any

from cryptography import x509
from OpenSSL import SSL, crypto
from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.names import client, dns
from twisted.names.error import DomainError, ResolverError
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

from skypetrunk.errors import ChannelFailed
from skypetrunk.lab.authority import Identity
from skypetrunk.lab.cuts import WireFactory
from skypetrunk.lab.nodes import NodeSignallingFactory
from skypetrunk.net.certificates import loadOwnCertificate
from skypetrunk.net.signalling import StreamSignalling
from skypetrunk.service.control import ControlRefused

__all__ = ["Outward"]

_PATIENCE = 3


@implementer(IOpenSSLClientConnectionCreator)
class _Creator:
    """Shows the carrier's certificate, and wants one that the lab's CA issued."""

    def __init__(self, identity: Identity, roots: bytes, domain: str) -> None:
        self._domain = domain
        context = self._context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        store = context.get_cert_store()
        assert store is not None
        for root in x509.load_pem_x509_certificates(roots):
            store.add_cert(crypto.X509.from_cryptography(root))
        context.set_verify(SSL.VERIFY_PEER, lambda connection, certificate, number, depth, ok: bool(ok))
        own = loadOwnCertificate(b"".join(identity.chain), identity.key)
        context.use_certificate(own.certificate)
        context.use_privatekey(own.key)
        for each in own.chain:
            context.add_extra_chain_cert(each)

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        connection.set_tlsext_host_name(self._domain.encode("ascii"))
        return connection


class Outward:
    """
    The connections that the carrier makes.

    @ivar wires: them, below TLS, by customer.
    """

    def __init__(self, reactor: Any, makeSignalling: Any) -> None:
        """
        @param makeSignalling: makes a L{NodeSignallingFactory}, given what is told of connections that end.
        """
        self.wires: list[WireFactory] = []
        self._reactor = reactor
        self._makeSignalling = makeSignalling
        self._signalling: dict[str, NodeSignallingFactory] = {}

    @property
    def channels(self) -> tuple[StreamSignalling, ...]:
        """Open connections."""
        return tuple(each for factory in self._signalling.values() for each in factory.channels)

    async def connected(
        self, domain: str, server: tuple[str, int], identity: Identity, roots: bytes
    ) -> StreamSignalling:
        """
        The connection to the customer C{domain}: that of the last call, or a new one.

        @param server: address and port of the name server to ask.
        @param identity: what we show.
        @param roots: PEM: who may vouch for the customer.
        @raise ControlRefused: it says at which step it failed, and what was seen.
        """
        known = self._signalling.get(domain)
        for channel in known.channels if known is not None else ():
            return channel
        problem = ""
        for host, port in await self._found(domain, server):
            try:
                return await self._connect(domain, host, port, _Creator(identity, roots, domain))
            except (ConnectError, ChannelFailed, defer.TimeoutError) as error:
                problem = f"{host}:{port}: {error or 'no handshake'}"
        raise ControlRefused(f"{domain} cannot be reached: {problem}")

    async def _found(self, domain: str, server: tuple[str, int]) -> list[tuple[str, int]]:
        """Literal addresses and ports, in the order of the SRV records (RFC 2782)."""
        resolver = client.Resolver(servers=[server], timeout=(1,), reactor=self._reactor)
        owner = f"_sips._tcp.{domain}"
        try:
            answers, _, _ = await resolver.lookupService(owner)
            records = sorted((each.payload for each in answers if each.type == dns.SRV), key=_order)
            found = []
            for record in records:
                name = str(record.target)
                for look in (resolver.lookupAddress, resolver.lookupIPV6Address):
                    for each in (await look(name))[0]:
                        if each.type in (dns.A, dns.AAAA):
                            found.append((_literal(each.payload), record.port))
        except (DomainError, ResolverError, defer.TimeoutError) as error:
            raise ControlRefused(f"{owner}: {type(error).__name__}") from error
        if not found:
            raise ControlRefused(f"{owner}: there is no SRV record with an address")
        return found

    async def _connect(self, domain: str, host: str, port: int, creator: _Creator) -> StreamSignalling:
        shaken: Deferred[StreamSignalling] = Deferred()

        def lost(channel: StreamSignalling, reason: Exception) -> None:
            if not shaken.called:
                shaken.errback(reason)

        signalling: NodeSignallingFactory = self._makeSignalling(lost)
        signalling.shaken = shaken.callback
        wires = WireFactory(TLSMemoryBIOFactory(creator, True, signalling), self._reactor)
        kind = TCP6ClientEndpoint if ":" in host else TCP4ClientEndpoint
        await kind(self._reactor, host, port, timeout=_PATIENCE).connect(wires)
        self.wires.append(wires)
        shaken.addTimeout(_PATIENCE, self._reactor)
        channel = await shaken
        names = _names(channel)
        if domain not in names:
            channel.abort("its certificate is of another name")
            raise ChannelFailed(f"the certificate is of {', '.join(names) or 'nobody'}, not of {domain}")
        self._signalling[domain] = signalling
        return channel


def _order(record: Any) -> tuple[int, int]:
    return record.priority, -record.weight


def _literal(record: Any) -> str:
    return str(record.dottedQuad()) if hasattr(record, "dottedQuad") else str(record._address)


def _names(channel: StreamSignalling) -> list[str]:
    """DNS names and SIP domains of the peer's certificate (RFC 5922 section 7.1)."""
    handle: SSL.Connection = channel.transport.getHandle()  # type: ignore[union-attr]  # TLS has it
    certificate = handle.get_peer_certificate(as_cryptography=True)
    assert certificate is not None
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    uris = found.get_values_for_type(x509.UniformResourceIdentifier)
    names = [
        *found.get_values_for_type(x509.DNSName),
        *(each[4:] for each in uris if each.startswith("sip:")),
    ]
    return list(dict.fromkeys(each.lower() for each in names))
