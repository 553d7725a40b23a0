"""
What we show to whoever connects over TLS, and what we ask of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL, crypto
from twisted.internet import ssl
from twisted.internet.defer import Deferred, succeed
from twisted.protocols.tls import TLSMemoryBIOProtocol

from skypetrunk.errors import PeerNotVerified
from skypetrunk.interfaces import IIdentityPolicy, IRevocationPolicy
from skypetrunk.net.certificates import OwnCertificate, loadTrustRoots, readCertificates
from skypetrunk.net.client_tls import FORWARD_SECRET
from skypetrunk.net.identity import WRONG_PURPOSE, chainProblem, forServersOnly


class ServerTLS:
    """
    What we show to whoever connects, and what we ask of them.

    @ivar asks: a certificate is asked for; without a valid one there is no connection.
    """

    def __init__(
        self,
        certificate: OwnCertificate,
        *,
        roots: bytes | None = None,
        identity: IIdentityPolicy | None = None,
        name: str | None = None,
        serverAuthClients: bool = False,
        revocation: IRevocationPolicy | None = None,
    ) -> None:
        """
        @param roots: PEM: who vouches for the clients; C{None}: they are not asked for a certificate.
        @param identity: what their certificate must prove; required beside C{roots}.
        @param name: whose it must be; default: the address they come from.
        @param serverAuthClients: a certificate for servers only is good enough for a client, too.
        @param revocation: asked after all else is proved; C{None}: revocation is not looked at.
        @raise ValueError: C{roots} without C{identity}, or without a certificate in it.
        """
        if roots is not None and identity is None:
            raise ValueError("no identity policy beside the roots")
        self.asks = roots is not None
        self._names = () if roots is None else loadTrustRoots(roots).names
        self._identity = identity
        self._name = name
        self._serverAuthClients = serverAuthClients
        self._revocation = revocation
        self._options = tlsServerOptions(
            certificate, ciphers=FORWARD_SECRET, clientRoots=roots, clientMust=roots is not None
        )
        # Whoever was verified stays the same one.
        self._options.getContext().set_options(SSL.OP_NO_RENEGOTIATION)

    def connection(
        self, protocol: TLSMemoryBIOProtocol, refused: Callable[[PeerNotVerified], None], host: str
    ) -> SSL.Connection:
        """
        An OpenSSL connection.

        @param refused: told why a certificate is not valid.
        @param host: where the client is.
        """
        connection = self._options.serverConnectionForTLS(protocol)

        def verified(
            connection: SSL.Connection, certificate: crypto.X509, number: int, depth: int, ok: int
        ) -> bool:
            if not ok:
                seen = certificate.to_cryptography()
                if number == WRONG_PURPOSE and self._serverAuthClients and forServersOnly(seen):
                    return True
                refused(chainProblem(number, seen, self._name or host, self._names, depth))
            return bool(ok)

        if self.asks:
            # What the callback raises counts as a refusal.
            connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, verified)
        return connection

    def verify(self, connection: SSL.Connection, host: str) -> Deferred[str | None]:
        """
        What the client has proved after the handshake, or C{None} where nothing is asked.

        @raise PeerNotVerified: it is not who it should be; (errback) it was revoked.
        """
        if not self.asks or self._identity is None:
            return succeed(None)
        chain = connection.get_verified_chain()
        if not chain:
            raise PeerNotVerified(wanted=f"a certificate for {self._name or host}", seen="no verified chain")
        ders = [each.to_cryptography().public_bytes(Encoding.DER) for each in chain]
        proof = self._identity.verify(ders, self._name or host)
        if not isinstance(proof, str):
            raise PeerNotVerified(wanted="an identity policy that says what proved it", seen=repr(proof))
        if self._revocation is None:
            return succeed(proof)

        def notRevoked(found: str) -> str:
            if not isinstance(found, str):
                raise PeerNotVerified(wanted="a policy that says what it found", seen=repr(found))
            return f"{proof}; {found}"

        return self._revocation.check(ders, None).addCallback(notRevoked)


def tlsServerOptions(
    certificate: OwnCertificate,
    *,
    minimum: Any = ssl.TLSVersion.TLSv1_2,
    maximum: Any = None,
    ciphers: str | None = None,
    clientRoots: bytes | None = None,
    clientMust: bool = False,
) -> ssl.CertificateOptions:
    """
    The server's side of TLS.

    @param maximum: the highest version to speak, or C{None} for all there are.
    @param ciphers: OpenSSL's cipher string, for TLS 1.2; default: Twisted's.
    @param clientRoots: PEM roots: ask clients for a certificate issued under one of them.
    @param clientMust: refuse clients that show none.
    """
    authorities = None
    if clientRoots is not None:
        roots = readCertificates(clientRoots)
        authorities = [crypto.X509.from_cryptography(each) for each in roots]
    return ssl.CertificateOptions(
        privateKey=certificate.key,
        certificate=certificate.certificate,
        extraCertChain=list(certificate.chain),
        raiseMinimumTo=minimum,
        lowerMaximumSecurityTo=maximum,
        acceptableCiphers=None if ciphers is None else ssl.AcceptableCiphers.fromOpenSSLCipherString(ciphers),
        verify=authorities is not None,
        caCerts=authorities,
        requireCertificate=clientMust,
    )


__all__ = ["ServerTLS", "tlsServerOptions"]
