"""
TLS towards a carrier or PBX: C{connect()} fires when, and only when, the peer has proved who it is.

Nothing that speaks SIP exists before that moment, so nothing of SIP can reach a stranger.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL, crypto
from twisted.internet import error, ssl
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
    ITransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from skypetrunk.errors import ChannelFailed, PeerNotVerified
from skypetrunk.interfaces import IIdentityPolicy
from skypetrunk.net.certificates import OwnCertificate, TrustRoots
from skypetrunk.net.handshake import HandshakeRecord, HandshakeRecorder, handshakeEnd
from skypetrunk.net.identity import PinnedKey, asciiDomain, chainProblem
from skypetrunk.wire.address import isLiteral

#: Suites with forward secrecy and authenticated encryption; those of TLS 1.3 are always on.
FORWARD_SECRET = "ECDHE+AESGCM:ECDHE+CHACHA20"

#: Suites as the datasheet's handshake describes them, key exchange by RSA alone: a stolen server
#: key opens every recorded call.
STATIC_RSA = "AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-SHA256:AES256-SHA256:AES128-SHA:AES256-SHA"

#: Seconds until an attempt that went nowhere is given up: three SYNs and a slow handshake.
CONNECT_TIMEOUT = 10.0

#: Seconds a peer has to answer our close_notify.
CLOSE_BOUND = 2.0


class ClientTLS:
    """
    What one trunk asks of TLS.  Build a new one when a file changes: contexts are kept in here.

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
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        @param certificate: shown when the server asks for one; without it the answer is "none".
        @param staticRSA: accept suites without forward secrecy too.
        @param minimum: L{ssl.TLSVersion}; less than TLS 1.2 has no effect.
        @raise ValueError: C{domain} is no domain name; nobody to vouch for the peer and no pinned key.
        """
        self.domain = domain
        self.roots = roots
        self.identity = identity
        if not roots.verify and not isinstance(identity, PinnedKey):
            raise ValueError("without roots only a pinned key proves anything")
        name = asciiDomain(domain)
        # RFC 6066 section 3: a name, never an address.
        self._serverName = None if isLiteral(name) else name.encode("ascii")
        self._monotonic = monotonic
        ciphers = f"{FORWARD_SECRET}:{STATIC_RSA}" if staticRSA else FORWARD_SECRET
        self._options = ssl.CertificateOptions(
            trustRoot=roots.trust,
            raiseMinimumTo=minimum,
            acceptableCiphers=ssl.AcceptableCiphers.fromOpenSSLCipherString(ciphers),
            privateKey=certificate.key if certificate else None,
            certificate=certificate.certificate if certificate else None,
            extraCertChain=list(certificate.chain) if certificate else None,
        )

    def recorder(self) -> HandshakeRecorder:
        """A recorder for one attempt."""
        return HandshakeRecorder(self.domain, self._monotonic)

    def connection(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """An OpenSSL connection that verifies the chain and names the trunk's domain (RFC 6066)."""
        connection = self._options.clientConnectionForTLS(protocol)
        if self._serverName is not None:
            connection.set_tlsext_host_name(self._serverName)
        return connection


@implementer(IOpenSSLClientConnectionCreator)
class _ConnectionCreator:
    """
    Makes the OpenSSL connection of one attempt and listens to it.

    @ivar problem: what was wrong with the chain, if anything was.
    """

    problem: PeerNotVerified | None = None

    def __init__(self, tls: ClientTLS, recorder: HandshakeRecorder) -> None:
        self._tls = tls
        self._recorder = recorder

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        connection = self._tls.connection(tlsProtocol)
        connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._verified)
        connection.set_info_callback(self._recorder.stateChanged)
        return connection

    def _verified(
        self, connection: SSL.Connection, certificate: crypto.X509, number: int, depth: int, ok: int
    ) -> bool:
        """OpenSSL's opinion of one certificate of the chain; from the root down to the peer's own."""
        try:
            seen = certificate.to_cryptography()
            if depth == 0:
                self._recorder.presented += 1
                self._recorder.certificateSeen(seen)
            if not self._tls.roots.verify:
                return True
            if not ok:
                self.problem = chainProblem(number, seen, self._tls.domain, self._tls.roots.names)
            return bool(ok)
        except Exception as problem:
            self.problem = PeerNotVerified(
                wanted=f"a valid certificate for {self._tls.domain}",
                seen=f"one that cannot be read ({type(problem).__name__}: {problem})",
            )
            return False


@implementer(IHandshakeListener)
class _Gate(Protocol):
    """
    Stands between TLS and SIP.  The SIP protocol is built in here, after the peer has proved its identity.

    @ivar transport: the TLS transport, also the SIP protocol's.
    """

    transport: TLSMemoryBIOProtocol
    _log = Logger()

    def __init__(self, attempt: _Attempt, address: IAddress | None) -> None:
        self._attempt: _Attempt | None = attempt
        self._address = address
        self._tls = attempt.tls
        self._recorder = attempt.recorder
        self._verifiedAt = 0
        self._protocol: IProtocol | None = None

    def handshakeCompleted(self) -> None:
        """The handshake is over and OpenSSL trusts the chain.  After a renegotiation, once more."""
        try:
            self._verify()
        except PeerNotVerified as problem:
            self._deny(problem)
        except BaseException as problem:
            self._deny(
                PeerNotVerified(
                    wanted=f"proof that the peer is {self._tls.domain}",
                    seen=f"a check that broke ({type(problem).__name__}: {problem})",
                )
            )
        else:
            if self._attempt is not None:
                self._open(self._attempt)

    def _verify(self) -> None:
        """Raises unless the peer's verified chain proves the domain."""
        presented = self._recorder.presented
        chain = self.transport.getHandle().get_verified_chain()
        if not chain:
            raise PeerNotVerified(wanted=f"a certificate for {self._tls.domain}", seen="no verified chain")
        ders = [each.to_cryptography().public_bytes(Encoding.DER) for each in chain]
        proof = self._tls.identity.verify(ders, self._tls.domain)
        if not isinstance(proof, str):
            raise PeerNotVerified(wanted="an identity policy that says what proved it", seen=repr(proof))
        self._recorder.identityProved(proof)
        self._verifiedAt = presented

    def _deny(self, problem: Exception) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.failed(problem)
        else:
            self._log.error(
                "{domain}: renegotiation denied: {problem}", domain=self._tls.domain, problem=str(problem)
            )
        self.transport.abortConnection()

    def _open(self, attempt: _Attempt) -> None:
        self._attempt = None
        try:
            protocol = attempt.factory.buildProtocol(self._address)  # type: ignore[arg-type]
            if protocol is None:
                raise error.NoProtocol()
            self._protocol = protocol
            protocol.makeConnection(self.transport)
        except Exception as problem:
            attempt.failed(problem)
            self.transport.abortConnection()
            return
        attempt.succeeded(protocol)

    def dataReceived(self, data: bytes) -> None:
        """Application data; before the gate is open there is nobody to hear it."""
        if self._recorder.presented != self._verifiedAt:
            # Twisted reports only the first handshake: a later one shows by its certificate.
            self.handshakeCompleted()
        if self._protocol is None or self._recorder.presented != self._verifiedAt:
            return
        self._recorder.dataReceived()
        self._protocol.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection ended: during the handshake that is the attempt's failure."""
        attempt, self._attempt = self._attempt, None
        protocol, self._protocol = self._protocol, None
        if attempt is not None:
            attempt.connectionLost(reason)
        if protocol is not None:
            protocol.connectionLost(reason)

    def abandon(self) -> None:
        """Nobody waits for this handshake any more."""
        self._attempt = None
        self.transport.abortConnection()


class _Attempt(Factory):
    """
    One C{connect()}: builds the gate, fires one Deferred once.

    @ivar factory: the SIP factory.
    """

    noisy = False

    def __init__(self, endpoint: TLSClientEndpoint, factory: IProtocolFactory) -> None:
        self.tls = endpoint.tls
        self.recorder = self.tls.recorder()
        self.factory = factory
        self._peer = endpoint.peer
        self._creator = _ConnectionCreator(self.tls, self.recorder)
        self._gate: _Gate | None = None
        self._result: Deferred[IProtocol] | None = None
        self._connecting: Deferred[IProtocol] | None = None

    def begin(self, tcp: IStreamClientEndpoint, clock: IReactorTime) -> Deferred[IProtocol]:
        """Connect; the Deferred fires with the SIP protocol."""
        result = self._result = Deferred[IProtocol](self._cancelled)
        wrapped = TLSMemoryBIOFactory(self._creator, True, self, clock)
        self._connecting = tcp.connect(wrapped)
        self._connecting.addErrback(self._notConnected)
        return result

    def doStart(self) -> None:
        """Passed on to the SIP factory."""
        self.factory.doStart()

    def doStop(self) -> None:
        """Passed on to the SIP factory."""
        self.factory.doStop()

    def buildProtocol(self, addr: IAddress | None) -> _Gate:
        """The TCP connection stands: its gate."""
        self._gate = _Gate(self, addr)
        return self._gate

    def succeeded(self, protocol: IProtocol) -> None:
        """The gate is open."""
        result, self._result = self._result, None
        if result is not None:
            result.callback(protocol)

    def failed(self, problem: Exception) -> None:
        """The attempt is over."""
        result, self._result = self._result, None
        if result is not None:
            result.errback(problem)

    def connectionLost(self, reason: Failure) -> None:
        """The connection ended during the handshake."""
        self.failed(self._creator.problem or ChannelFailed(f"{self._peer}: {handshakeEnd(reason)}"))

    def _notConnected(self, reason: Failure) -> None:
        self.failed(ChannelFailed(f"{self._peer}: {reason.getErrorMessage()}"))

    def _cancelled(self, result: Deferred[IProtocol]) -> None:
        # Forget first, then abort: what the abort sets off finds nobody to tell.
        self._result = None
        gate, connecting = self._gate, self._connecting
        if gate is not None:
            gate.abandon()
        elif connecting is not None:
            connecting.cancel()


@implementer(IStreamClientEndpoint)
class TLSClientEndpoint:
    """
    Connects to one address and verifies that it is the trunk.

    C{connect()} errbacks with L{PeerNotVerified} (the peer is somebody else), L{ChannelFailed} (there is no
    working TLS peer) or L{CancelledError}.
    """

    def __init__(
        self,
        tcp: IStreamClientEndpoint,
        tls: ClientTLS,
        clock: IReactorTime,
        peer: str,
        timeout: float = CONNECT_TIMEOUT,
    ) -> None:
        """
        @param tcp: the way to the literal address.
        @param peer: that address, for people.
        @param timeout: seconds, for TCP and TLS together.
        """
        self.tls = tls
        self.peer = peer
        self._tcp = tcp
        self._clock = clock
        self._timeout = timeout
        self._recorder: HandshakeRecorder | None = None

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """See L{IStreamClientEndpoint.connect}."""
        attempt = _Attempt(self, protocolFactory)
        self._recorder = attempt.recorder
        result = attempt.begin(self._tcp, self._clock)
        return result.addTimeout(self._timeout, self._clock, onTimeoutCancel=self._timedOut)

    def handshake(self) -> HandshakeRecord | None:
        """The last attempt, as far as it came, or C{None} before the first."""
        return None if self._recorder is None else self._recorder.record()

    def _timedOut(self, result: IProtocol | Failure, seconds: float) -> IProtocol | Failure:
        if isinstance(result, Failure) and result.check(CancelledError):
            raise ChannelFailed(f"{self.peer}: no verified TLS connection within {seconds:g} s")
        return result


def closeWithin(transport: ITransport, clock: IReactorTime, seconds: float = CLOSE_BOUND) -> IDelayedCall:
    """
    Close politely, and abort a peer that does not play along.

    @return: the abort to come; C{cancel()} it in C{connectionLost}.
    """
    abort = clock.callLater(seconds, transport.abortConnection)  # type: ignore[attr-defined]
    transport.loseConnection()
    return abort
