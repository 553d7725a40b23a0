"""
A look at a TLS server that makes no claim on it: which version and suite it would take, and what it shows.

It is for servers that the trunk's own handshake has failed with, to learn why.  Nothing of SIP is ever sent,
and the connection ends with the handshake: whatever the server is, it learns a ClientHello.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from skypetrunk.net.handshake import handshakeEnd
from skypetrunk.net.identity import asciiDomain
from skypetrunk.wire.address import isLiteral

__all__ = ["Glance", "glance"]


@dataclass(frozen=True, slots=True)
class Glance:
    """
    What a server would do.

    @ivar version: of TLS, C{None} where no handshake came about at all.
    @ivar cipher: OpenSSL's name of the suite.
    @ivar chain: the certificates that it sent, its own first.
    @ivar problem: why no handshake came about, or C{None}.
    """

    version: str | None
    cipher: str | None
    chain: Sequence[x509.Certificate]
    problem: str | None


def glance(endpoint: IStreamClientEndpoint, domain: str, clock: Any, seconds: float) -> Deferred[Glance]:
    """
    Look at the server at C{endpoint}; never fails.

    @param domain: for SNI (RFC 6066).
    @param seconds: how long it may take.
    """
    looking: Deferred[Glance] = Deferred()
    factory = TLSMemoryBIOFactory(_Undemanding(domain), True, _LookFactory(looking), clock)
    factory.noisy = False
    connecting = endpoint.connect(factory)

    def failed(failure: Failure) -> None:
        _fire(looking, Glance(None, None, (), failure.getErrorMessage()))

    def late(result: object, seconds: float) -> Glance:
        connecting.cancel()
        return Glance(None, None, (), f"no answer to the ClientHello within {seconds:g} s")

    connecting.addErrback(failed)
    # The protocol, if there is one, closes its connection when it is told that nobody looks any more.
    return looking.addTimeout(seconds, clock, onTimeoutCancel=late)


def _fire(looking: Deferred[Glance], result: Glance) -> None:
    if not looking.called:
        looking.callback(result)


@implementer(IOpenSSLClientConnectionCreator)
class _Undemanding:
    """Takes every version and suite that OpenSSL still knows, and every certificate."""

    def __init__(self, domain: str) -> None:
        name = asciiDomain(domain)
        self._name = None if isLiteral(name) else name.encode("ascii")

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """See L{IOpenSSLClientConnectionCreator}."""
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(SSL.TLS1_VERSION)
        # Level 0: what is too weak for the trunk is what is looked for.
        context.set_cipher_list(b"ALL:@SECLEVEL=0")
        connection = SSL.Connection(context, None)
        if self._name is not None:
            connection.set_tlsext_host_name(self._name)
        return connection


class _LookFactory(Factory):
    noisy = False

    def __init__(self, looking: Deferred[Glance]) -> None:
        self._looking = looking

    def buildProtocol(self, addr: Any) -> _Look:
        return _Look(self._looking)


@implementer(IHandshakeListener)
class _Look(Protocol):
    transport: TLSMemoryBIOProtocol

    def __init__(self, looking: Deferred[Glance]) -> None:
        self._looking = looking
        looking.addBoth(self._over)

    def _over(self, result: Any) -> Any:
        if self.transport is not None:
            self.transport.abortConnection()
        return result

    def handshakeCompleted(self) -> None:
        """All is known that was asked for."""
        connection = self.transport.getHandle()
        chain = [each.to_cryptography() for each in connection.get_peer_cert_chain() or ()]
        _fire(
            self._looking,
            Glance(connection.get_protocol_version_name(), connection.get_cipher_name(), chain, None),
        )

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Before that: it refuses whatever we are."""
        _fire(self._looking, Glance(None, None, (), handshakeEnd(reason)))
