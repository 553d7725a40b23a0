"""
TLS of whoever connects to us.  The SIP protocol of a connection is built after the handshake, and where a
certificate is asked for, after it was verified: nothing that somebody else says is read as SIP.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL, crypto
from twisted.internet import ssl
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHandshakeListener,
    IOpenSSLServerConnectionCreator,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from skypetrunk.errors import PeerNotVerified
from skypetrunk.interfaces import IIdentityPolicy
from skypetrunk.net.certificates import OwnCertificate, loadTrustRoots
from skypetrunk.net.handshake import handshakeEnd
from skypetrunk.net.identity import WRONG_PURPOSE, chainProblem, forServersOnly
from skypetrunk.net.reception import Networks, allowed
from skypetrunk.net.tls import FORWARD_SECRET

HANDSHAKE_SECONDS = 10.0
"""How long who connects may take for the handshake: a slow machine needs a second."""

QUIET_SECONDS = 60.0
"""After a handshake that was none was logged, how long others are only counted: a PBX tries on and on."""


MOST_HANDSHAKES = 64
"""At the same time: each costs memory and time of ours before anybody has proved anything."""

MOST_FROM_ONE = 16
"""Connections of one host at the same time; a carrier's edge or a PBX has a handful."""

MOST_IN_A_SECOND = 30
"""New connections; after an outage every gateway of a carrier comes at once."""


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
    ) -> None:
        """
        @param roots: PEM: who vouches for the clients; C{None}: they are not asked for a certificate.
        @param identity: what their certificate must prove; required beside C{roots}.
        @param name: whose it must be; default: the address they come from.
        @param serverAuthClients: a certificate for servers only is good enough for a client, too.
        @raise ValueError: C{roots} without C{identity}, or without a certificate in it.
        """
        if roots is not None and identity is None:
            raise ValueError("no identity policy beside the roots")
        self.asks = roots is not None
        self._names = () if roots is None else loadTrustRoots(roots).names
        self._identity = identity
        self._name = name
        self._serverAuthClients = serverAuthClients
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
                refused(chainProblem(number, seen, self._name or host, self._names))
            return bool(ok)

        if self.asks:
            # What the callback raises counts as a refusal.
            connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, verified)
        return connection

    def verify(self, connection: SSL.Connection, host: str) -> str | None:
        """
        What the client has proved after the handshake, or C{None} where nothing is asked.

        @raise PeerNotVerified: it is not who it should be.
        """
        if not self.asks or self._identity is None:
            return None
        chain = connection.get_verified_chain()
        if not chain:
            raise PeerNotVerified(wanted=f"a certificate for {self._name or host}", seen="no verified chain")
        ders = [each.to_cryptography().public_bytes(Encoding.DER) for each in chain]
        proof = self._identity.verify(ders, self._name or host)
        if not isinstance(proof, str):
            raise PeerNotVerified(wanted="an identity policy that says what proved it", seen=repr(proof))
        return proof


@implementer(IHandshakeListener)
class _Gate(Protocol):
    """Stands between TLS and SIP, for one connection."""

    transport: TLSMemoryBIOProtocol
    _log = Logger()

    def __init__(self, listener: TLSListener, address: IAddress | None) -> None:
        self._listener = listener
        # As it was when the connection was made.
        self.tls = listener.tls
        self._address = address
        self.host = getattr(address, "host", "")
        self._timer: IDelayedCall | None = None
        self._protocol: IProtocol | None = None
        self.problem: Exception | None = None
        self.abandoned = False

    def connectionMade(self) -> None:
        """TCP stands; the handshake has its bound."""
        self._listener.gates.add(self)
        self._listener.opened[self.host] += 1
        self._timer = self._listener.clock.callLater(HANDSHAKE_SECONDS, self._tooSlow)

    def _tooSlow(self) -> None:
        self._timer = None
        self._deny(TimeoutError(f"no handshake within {HANDSHAKE_SECONDS:g} s"))

    def handshakeCompleted(self) -> None:
        """The handshake is over, with a valid chain where one was asked for."""
        self._cancel()
        try:
            proof = self.tls.verify(self.transport.getHandle(), self.host)
        except BaseException as problem:
            self._deny(problem if isinstance(problem, Exception) else PeerNotVerified("proof", repr(problem)))
            return
        protocol = self._listener.factory.buildProtocol(self._address)  # type: ignore[arg-type]
        if protocol is None:
            self._deny(ConnectionError("not taken"))
            return
        handle = self.transport.getHandle()
        self._log.info(
            "{host}: TLS connection, {version} {cipher}, {proof}",
            host=self.host,
            version=handle.get_protocol_version_name(),
            cipher=handle.get_cipher_name(),
            proof=f"proved by {proof}" if proof else "no certificate asked for",
        )
        self._listener.gates.discard(self)
        self._protocol = protocol
        protocol.makeConnection(self.transport)

    def _deny(self, problem: Exception) -> None:
        self.problem = problem
        self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """Application data; before the gate is open there is nobody to hear it."""
        if self._protocol is not None:
            self._protocol.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection ended: during the handshake that is its failure."""
        self._cancel()
        self._listener.closed(self.host)
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connectionLost(reason)
        elif self in self._listener.gates:
            self._listener.gates.discard(self)
            self._listener.failed(self, reason)

    def abandon(self) -> None:
        """Nobody waits for this handshake any more."""
        self.abandoned = True
        self.transport.abortConnection()

    def _cancel(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()


class _Gates(Factory):
    noisy = False

    def __init__(self, listener: TLSListener) -> None:
        self._listener = listener

    def buildProtocol(self, addr: IAddress | None) -> _Gate:
        return _Gate(self._listener, addr)


@implementer(IOpenSSLServerConnectionCreator)
class _Creator:
    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        gate: Any = tlsProtocol.wrappedProtocol

        def refused(problem: PeerNotVerified) -> None:
            gate.problem = problem

        connection: SSL.Connection = gate.tls.connection(tlsProtocol, refused, gate.host)
        return connection


class TLSListener(TLSMemoryBIOFactory):
    """
    What a TLS port makes of connections.

    @ivar tls: what the next connection is shown and asked; may be replaced.
    @ivar strangers: those of others than C{allow}, closed before a handshake.
    @ivar failures: connections whose handshake did not come to a good end.
    @ivar crowded: connections closed before a handshake because there were too many.
    @ivar opened: connections that stand, by host.
    @ivar gates: those whose handshake goes on.
    """

    noisy = False
    _log = Logger()

    def __init__(
        self,
        tls: ServerTLS,
        factory: IProtocolFactory,
        clock: IReactorTime,
        allow: Networks | None = None,
        ended: Callable[[], None] | None = None,
    ) -> None:
        """
        @param factory: makes the SIP protocols, whose transport has proved what C{tls} asks.
        @param allow: who may connect; C{None} for everybody.
        @param ended: told of each handshake that was none.
        """
        super().__init__(_Creator(), False, _Gates(self), clock)
        self.tls = tls
        self.factory = factory
        self.clock = clock
        self.strangers = 0
        self.failures = 0
        self.crowded = 0
        self.opened: Counter[str] = Counter()
        self._recent: deque[float] = deque(maxlen=MOST_IN_A_SECOND)
        self.gates: set[_Gate] = set()
        self._allow = allow
        self._ended = ended
        self._loudAt = 0.0

    def buildProtocol(self, addr: IAddress | None) -> TLSMemoryBIOProtocol | None:  # type: ignore[override]
        """One for each peer that is allowed, as long as there is room; others are closed without a word."""
        host = getattr(addr, "host", "")
        if not allowed(host, self._allow):
            self.strangers += 1
            return None
        if self._isCrowded(host):
            self.crowded += 1
            return None
        return super().buildProtocol(addr)

    def _isCrowded(self, host: str) -> bool:
        now, recent = self.clock.seconds(), self._recent
        if len(self.gates) >= MOST_HANDSHAKES or self.opened[host] >= MOST_FROM_ONE:
            return True
        if len(recent) == MOST_IN_A_SECOND and now - recent[0] < 1:
            return True
        recent.append(now)
        return False

    def closed(self, host: str) -> None:
        """A connection of C{host} has ended."""
        self.opened[host] -= 1
        if self.opened[host] <= 0:
            del self.opened[host]

    def failed(self, gate: _Gate, reason: Failure) -> None:
        """A handshake was none: it is said why, as who may connect wants to be heard."""
        if not gate.abandoned:
            self.failures += 1
            self._say(gate, reason)
        if self._ended is not None:
            self._ended()

    def _say(self, gate: _Gate, reason: Failure) -> None:
        now = self.clock.seconds()
        if self.failures > 1 and now < self._loudAt:
            return
        self._loudAt = now + QUIET_SECONDS
        problem = str(gate.problem) if gate.problem is not None else handshakeEnd(reason)
        self._log.warn(
            "{host}: no TLS connection ({failures} so far): {problem}",
            host=gate.host,
            failures=self.failures,
            problem=problem,
        )

    def abandon(self) -> None:
        """End the handshakes that go on."""
        for gate in tuple(self.gates):
            gate.abandon()


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
        roots = x509.load_pem_x509_certificates(clientRoots)
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


__all__ = ["HANDSHAKE_SECONDS", "QUIET_SECONDS", "ServerTLS", "TLSListener", "tlsServerOptions"]
