"""
TLS of whoever connects to us.  The SIP protocol of a connection is built after the handshake, and where a
certificate is asked for, after it was verified: nothing that somebody else says is read as SIP.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred, maybeDeferred
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
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from skypetrunk.errors import PeerNotVerified
from skypetrunk.net.handshake import handshakeEnd
from skypetrunk.net.reception import Networks, allowed
from skypetrunk.net.server_tls import ServerTLS, tlsServerOptions
from skypetrunk.net.tls import MOST_HELD, TLSFactory

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
        self._checking: Deferred[Any] | None = None
        self._held = b""
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
        """The handshake is over, with a valid chain where one was asked for; who is revoked is not let in."""
        self._checking = maybeDeferred(self.tls.verify, self.transport.getHandle(), self.host)
        self._checking.addCallback(self._verified).addErrback(self._notVerified)

    def _notVerified(self, failure: Failure) -> None:
        problem = failure.value
        self._deny(problem if isinstance(problem, Exception) else PeerNotVerified("proof", repr(problem)))

    def _verified(self, proof: str | None) -> None:
        if self.problem is not None or self.abandoned or self not in self._listener.gates:
            return
        self._cancel()
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
        held, self._held = self._held, b""
        if held:
            self.dataReceived(held)

    def _deny(self, problem: Exception) -> None:
        if self.problem is None:
            self.problem = problem
        self._held = b""
        self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """Application data; before the gate is open there is nobody to hear it."""
        if self._protocol is not None:
            self._protocol.dataReceived(data)
        elif self._checking is not None and self.problem is None:
            # Clients speak first; SIP hears it when they are verified.
            self._held += data
            if len(self._held) > MOST_HELD:
                self._deny(PeerNotVerified("silence until it is verified", f"more than {MOST_HELD} octets"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection ended: during the handshake that is its failure."""
        self._cancel()
        if self._checking is not None:
            self._checking.cancel()
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


class TLSListener(TLSFactory):
    """
    What a TLS port makes of connections.

    @ivar tls: what the next connection is shown and asked; may be replaced.
    @ivar strangers: those of others than C{allow}, closed before a handshake.
    @ivar stranger: the host of the last of those, C{None} if there was none.
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
        self.stranger: str | None = None
        self.failures = 0
        self.crowded = 0
        self.opened: Counter[str] = Counter()
        self._recent: deque[float] = deque(maxlen=MOST_IN_A_SECOND)
        self.gates: set[_Gate] = set()
        self._allow = allow
        self._ended = ended
        self._loudAt = 0.0
        self._crowdedLoudAt = 0.0

    def buildProtocol(self, addr: IAddress | None) -> TLSMemoryBIOProtocol | None:  # type: ignore[override]
        """One for each peer that is allowed, as long as there is room; others are closed without a word."""
        host = getattr(addr, "host", "")
        if not allowed(host, self._allow):
            self.strangers += 1
            self.stranger = host
            return None
        if self._isCrowded(host):
            self.crowded += 1
            self._sayCrowded(host)
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

    def _sayCrowded(self, host: str) -> None:
        """Now and then: what is closed without a word leaves whoever looks after a PBX in the dark."""
        now = self.clock.seconds()
        if now < self._crowdedLoudAt:
            return
        self._crowdedLoudAt = now + QUIET_SECONDS
        self._log.warn(
            "{host}: no TLS connection: it has {opened}, {handshakes} handshakes go on ({crowded} so far)",
            host=host,
            opened=self.opened[host],
            handshakes=len(self.gates),
            crowded=self.crowded,
        )

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


__all__ = ["HANDSHAKE_SECONDS", "QUIET_SECONDS", "ServerTLS", "TLSListener", "tlsServerOptions"]
