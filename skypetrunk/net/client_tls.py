"""
What one trunk asks of TLS, and what OpenSSL is told of it for each connection.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL, crypto
from twisted.internet import ssl
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from skypetrunk.errors import PeerNotVerified
from skypetrunk.interfaces import IIdentityPolicy, IRevocationPolicy
from skypetrunk.net.certificates import OwnCertificate, TrustRoots
from skypetrunk.net.handshake import HandshakeRecorder
from skypetrunk.net.identity import PinnedKey, asciiDomain, chainProblem
from skypetrunk.wire.address import isLiteral

#: Suites with forward secrecy and authenticated encryption; those of TLS 1.3 are always on.
FORWARD_SECRET = "ECDHE+AESGCM:ECDHE+CHACHA20"

#: Suites as the datasheet's handshake describes them, key exchange by RSA alone: a stolen server
#: key opens every recorded call.
STATIC_RSA = "AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-SHA256:AES256-SHA256:AES128-SHA:AES256-SHA"


class ClientTLS:
    """
    What one trunk asks of TLS.  Build a new one when a file changes: contexts are kept in here.

    No session is ever resumed: a resumed one would stand on a chain and an OCSP answer of another day.

    @ivar domain: the identity the peer must prove, whatever its address was found by.
    """

    def __init__(
        self,
        domain: str,
        roots: TrustRoots,
        identity: IIdentityPolicy,
        *,
        certificate: OwnCertificate | None = None,
        staticRSA: bool = False,
        minimum: Any = ssl.TLSVersion.TLSv1_2,
        revocation: IRevocationPolicy | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        @param certificate: shown when the server asks for one; without it the answer is "none".
        @param staticRSA: accept suites without forward secrecy too.
        @param minimum: L{ssl.TLSVersion}; less than TLS 1.2 has no effect.
        @param revocation: asked after all else is proved; C{None}: revocation is not looked at.
        @raise ValueError: C{domain} is no domain name; nobody to vouch for the peer and no pinned key.
        """
        self.domain = domain
        self.roots = roots
        self.identity = identity
        self.revocation = revocation
        if not roots.verify and not isinstance(identity, PinnedKey):
            raise ValueError("without roots only a pinned key proves anything")
        name = asciiDomain(domain)
        # RFC 6066 section 3: a name, never an address.
        self._serverName = None if isLiteral(name) else name.encode("ascii")
        self._monotonic = monotonic
        # OpenSSL's callback for OCSP is the context's: who waits for the answer on each connection.
        self._waiting: WeakKeyDictionary[SSL.Connection, Callable[[bytes], None]] = WeakKeyDictionary()
        ciphers = f"{FORWARD_SECRET}:{STATIC_RSA}" if staticRSA else FORWARD_SECRET
        self._options = ssl.CertificateOptions(
            trustRoot=roots.trust,
            raiseMinimumTo=minimum,
            acceptableCiphers=ssl.AcceptableCiphers.fromOpenSSLCipherString(ciphers),
            privateKey=certificate.key if certificate else None,
            certificate=certificate.certificate if certificate else None,
            extraCertChain=list(certificate.chain) if certificate else None,
            enableSessions=False,
            enableSessionTickets=False,
        )
        if revocation is not None:
            self._options.getContext().set_ocsp_client_callback(self._stapled)

    def recorder(self) -> HandshakeRecorder:
        """A recorder for one attempt."""
        return HandshakeRecorder(self.domain, self._monotonic)

    def connection(self, protocol: TLSMemoryBIOProtocol, stapled: Callable[[bytes], None]) -> SSL.Connection:
        """
        An OpenSSL connection that verifies the chain, names the trunk's domain and asks for a stapled
        OCSP answer (RFC 6066 sections 3 and 8).

        @param stapled: told of the answer, DER; not told without one.
        """
        connection = self._options.clientConnectionForTLS(protocol)
        if self._serverName is not None:
            connection.set_tlsext_host_name(self._serverName)
        if self.revocation is not None:
            connection.request_ocsp()
            self._waiting[connection] = stapled
        return connection

    def _stapled(self, connection: SSL.Connection, answer: bytes, data: object) -> bool:
        """A stapled answer, or an empty one; it is judged when all else is proved."""
        self._waiting[connection](answer)
        return True


@implementer(IOpenSSLClientConnectionCreator)
class ConnectionCreator:
    """
    Makes the OpenSSL connection of one attempt and listens to it.

    @ivar problem: what was wrong with the chain, if anything was.
    @ivar stapled: the OCSP answer that came with the handshake, DER; empty without one.
    """

    problem: PeerNotVerified | None = None
    stapled = b""

    def __init__(self, tls: ClientTLS, recorder: HandshakeRecorder) -> None:
        self._tls = tls
        self._recorder = recorder
        self._leaf: bytes | None = None

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """See L{IOpenSSLClientConnectionCreator}."""
        connection = self._tls.connection(tlsProtocol, self._keep)
        connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._verified)
        connection.set_info_callback(self._recorder.stateChanged)
        return connection

    def _keep(self, answer: bytes) -> None:
        self.stapled = answer

    def _verified(
        self, connection: SSL.Connection, certificate: crypto.X509, number: int, depth: int, ok: int
    ) -> bool:
        """OpenSSL's opinion of one certificate of the chain; from the root down to the peer's own."""
        try:
            seen = certificate.to_cryptography()
            if depth == 0:
                # After a renegotiation (TLS 1.2) all that was proved must still hold: the same certificate.
                leaf = seen.public_bytes(Encoding.DER)
                if self._leaf is not None and self._leaf != leaf:
                    raise ValueError("another than the one that was verified, after a renegotiation")
                self._leaf = leaf
                self._recorder.certificateSeen(seen)
            if not self._tls.roots.verify:
                return True
            if not ok:
                self.problem = chainProblem(
                    number, seen, self._tls.domain, self._tls.roots.names, depth
                )
            return bool(ok)
        except Exception as problem:
            self.problem = PeerNotVerified(
                wanted=f"a valid certificate for {self._tls.domain}",
                seen=f"one that cannot be accepted ({type(problem).__name__}: {problem})",
            )
            return False


__all__ = ["FORWARD_SECRET", "STATIC_RSA", "ClientTLS", "ConnectionCreator"]
