"""
TLS towards a carrier or PBX: C{connect()} fires when, and only when, the peer has proved who it is.

Nothing that speaks SIP exists before that moment, so nothing of SIP can reach a stranger.
"""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet import error
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHandshakeListener,
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
from skypetrunk.net.client_tls import FORWARD_SECRET, STATIC_RSA, ClientTLS, ConnectionCreator
from skypetrunk.net.handshake import HandshakeRecord, HandshakeRecorder, handshakeEnd

#: Seconds until an attempt that went nowhere is given up: three SYNs and a slow handshake.
CONNECT_TIMEOUT = 10.0

#: Seconds a peer has to answer our close_notify.
CLOSE_BOUND = 2.0

#: Octets that a peer may send while we still ask whether its certificate is revoked: a few messages.
MOST_HELD = 65536


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
        self._creator = attempt.creator
        self._checking: Deferred[Any] | None = None
        self._held = b""
        self._protocol: IProtocol | None = None

    def handshakeCompleted(self) -> None:
        """The handshake is over and OpenSSL trusts the chain; revocation may take a moment longer."""
        if self._checking is not None:
            return
        if self._attempt is not None:
            self._attempt.handshakeCompleted()
        self._checking = maybeDeferred(self._verify)
        self._checking.addCallback(self._verified).addErrback(self._notVerified)

    def _verify(self) -> Deferred[str | None]:
        """Fails unless the peer's verified chain proves the domain and is not revoked."""
        chain = self.transport.getHandle().get_verified_chain()
        if not chain:
            raise PeerNotVerified(wanted=f"a certificate for {self._tls.domain}", seen="no verified chain")
        ders = [each.to_cryptography().public_bytes(Encoding.DER) for each in chain]
        proof = self._tls.identity.verify(ders, self._tls.domain)
        if not isinstance(proof, str):
            raise PeerNotVerified(wanted="an identity policy that says what proved it", seen=repr(proof))
        self._proof = proof
        if self._tls.revocation is None:
            return succeed(None)
        return self._tls.revocation.check(ders, self._creator.stapled).addCallback(_asText)

    def _verified(self, revocation: str | None) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt is None:
            return
        self._recorder.identityProved(self._proof, revocation)
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
        held, self._held = self._held, b""
        if held:
            self.dataReceived(held)

    def _notVerified(self, failure: Failure) -> None:
        problem = failure.value
        if not isinstance(problem, PeerNotVerified):
            problem = PeerNotVerified(
                wanted=f"proof that the peer is {self._tls.domain}",
                seen=f"a check that broke ({type(problem).__name__}: {problem})",
            )
        self._deny(problem)

    def _deny(self, problem: Exception) -> None:
        attempt, self._attempt = self._attempt, None
        self._held = b""
        if attempt is not None:
            attempt.failed(problem)
        self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """Application data; before the gate is open there is nobody to hear it."""
        if self._protocol is not None:
            self._recorder.dataReceived()
            self._protocol.dataReceived(data)
        elif self._attempt is not None:
            self._held += data
            if len(self._held) > MOST_HELD:
                self._deny(PeerNotVerified("silence until it is verified", f"more than {MOST_HELD} octets"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection ended: during the handshake that is the attempt's failure."""
        attempt, self._attempt = self._attempt, None
        protocol, self._protocol = self._protocol, None
        if self._checking is not None:
            self._checking.cancel()
        if attempt is not None:
            attempt.connectionLost(reason)
        if protocol is not None:
            if self._creator.problem is not None:
                self._log.error(
                    "{domain}: renegotiation denied: {problem}",
                    domain=self._tls.domain,
                    problem=str(self._creator.problem),
                )
            protocol.connectionLost(reason)

    def abandon(self) -> None:
        """Nobody waits for this handshake any more."""
        self._attempt = None
        self.transport.abortConnection()


def _asText(revocation: object) -> str:
    """A revocation policy that does not say what it found denies."""
    if not isinstance(revocation, str):
        raise PeerNotVerified(wanted="a revocation policy that says what it found", seen=repr(revocation))
    return revocation


class TLSFactory(TLSMemoryBIOFactory):
    """
    Twisted's, but what is written becomes a record at once: to gather small writes until the next turn of the
    reactor is of no use for whole messages.
    """

    protocol = TLSMemoryBIOProtocol


class _Attempt(Factory):
    """
    One C{connect()}: builds the gate, fires one Deferred once.

    @ivar factory: the SIP factory.
    @ivar creator: of its OpenSSL connection.
    """

    noisy = False

    def __init__(self, endpoint: TLSClientEndpoint, factory: IProtocolFactory) -> None:
        self.tls = endpoint.tls
        self.recorder = self.tls.recorder()
        self.factory = factory
        self._peer = endpoint.peer
        self.creator = ConnectionCreator(self.tls, self.recorder)
        self._gate: _Gate | None = None
        self._result: Deferred[IProtocol] | None = None
        self._connecting: Deferred[IProtocol] | None = None
        self._handshake = endpoint.handshakeTimeout
        self._clock: IReactorTime | None = None
        self._limit: IDelayedCall | None = None

    def begin(self, tcp: IStreamClientEndpoint, clock: IReactorTime) -> Deferred[IProtocol]:
        """Connect; the Deferred fires with the SIP protocol."""
        result = self._result = Deferred[IProtocol](self._cancelled)
        self._clock = clock
        wrapped = TLSFactory(self.creator, True, self, clock)
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
        if self._handshake is not None and self._clock is not None:
            self._limit = self._clock.callLater(self._handshake, self._late, self._gate)
        return self._gate

    def handshakeCompleted(self) -> None:
        """TLS is up; what is checked then has bounds of its own."""
        limit, self._limit = self._limit, None
        if limit is not None and limit.active():
            limit.cancel()

    def _late(self, gate: _Gate) -> None:
        self.failed(ChannelFailed(f"{self._peer}: no TLS handshake within {self._handshake:g} s"))
        gate.abandon()

    def succeeded(self, protocol: IProtocol) -> None:
        """The gate is open."""
        self.handshakeCompleted()
        result, self._result = self._result, None
        if result is not None:
            result.callback(protocol)

    def failed(self, problem: Exception) -> None:
        """The attempt is over."""
        self.handshakeCompleted()
        result, self._result = self._result, None
        if result is not None:
            result.errback(problem)

    def connectionLost(self, reason: Failure) -> None:
        """The connection ended during the handshake."""
        self.failed(self.creator.problem or ChannelFailed(f"{self._peer}: {handshakeEnd(reason)}"))

    def _notConnected(self, reason: Failure) -> None:
        # Twisted's words for a time-out blame a user.
        silent = reason.check(error.TimeoutError)
        self.failed(ChannelFailed(f"{self._peer}: {'no answer' if silent else reason.getErrorMessage()}"))

    def _cancelled(self, result: Deferred[IProtocol]) -> None:
        # Forget first, then abort: what the abort sets off finds nobody to tell.
        self._result = None
        self.handshakeCompleted()
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

    @ivar handshakeTimeout: seconds that TLS may take after TCP, or C{None}.
    """

    def __init__(
        self,
        tcp: IStreamClientEndpoint,
        tls: ClientTLS,
        clock: IReactorTime,
        peer: str,
        timeout: float = CONNECT_TIMEOUT,
        *,
        handshake: float | None = None,
    ) -> None:
        """
        @param tcp: the way to the literal address.
        @param peer: that address, for people.
        @param timeout: seconds, for TCP, TLS and the checks together.
        @param handshake: seconds, for TLS alone.
        """
        self.handshakeTimeout = handshake
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


__all__ = [
    "CLOSE_BOUND",
    "CONNECT_TIMEOUT",
    "FORWARD_SECRET",
    "MOST_HELD",
    "STATIC_RSA",
    "ClientTLS",
    "TLSClientEndpoint",
    "TLSFactory",
    "closeWithin",
]
