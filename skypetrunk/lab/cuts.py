"""
What can happen to a connection of the carrier: closed politely, torn, or gone silent.

L{Wire} stands between TCP and TLS, where octets can be lost without anybody's knowing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IAddress, IDelayedCall, IProtocolFactory, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure

__all__ = ["CUTS", "MOMENTS", "Wire", "WireFactory", "cut"]

CUTS = {
    "close": "close_notify, then FIN",
    "half-close": "FIN without close_notify; what the trunk sends is taken and not answered",
    "reset": "RST",
    "swallow": "the connection stays, and nothing goes over it any more, in both directions",
}
"""How a connection ends, by name."""

MOMENTS = {
    "never": "not by itself",
    "handshake": "right after the handshake, step 15 of the datasheet",
    "registration": "half a second after a REGISTER was answered 200",
    "call": "half a second after a call was answered",
}
"""When, by name."""


class Wire(ProtocolWrapper):
    """
    One connection, below TLS.

    @ivar delay: seconds that all that comes waits.
    @ivar swallowing: nothing is read and nothing is sent.
    """

    factory: WireFactory

    def __init__(self, factory: WireFactory, wrapped: Any) -> None:
        super().__init__(factory, wrapped)  # type: ignore[arg-type]  # generic in stubs only
        self.delay = factory.delay
        self.swallowing = factory.stuck
        self._late: list[IDelayedCall] = []
        self._quiet: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """TCP stands."""
        self._moved()
        super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        """Octets of the peer, at once or late."""
        self._moved()
        if self.swallowing:
            return
        if self.delay:
            self._late.append(self.factory.clock.callLater(self.delay, self._receive, data))
        else:
            super().dataReceived(data)

    def _receive(self, data: bytes) -> None:
        self._late = [each for each in self._late if each.active()]
        if not self.swallowing:
            super().dataReceived(data)

    def write(self, data: bytes) -> None:
        """Octets for the peer."""
        self._moved()
        if not self.swallowing:
            super().write(data)

    def writeSequence(self, data: Any) -> None:
        """The same."""
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """FIN; a peer from whom all is kept does not see that either."""
        if not self.swallowing:
            super().loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is over."""
        # TLS may still write something, which begins a quiet time.
        super().connectionLost(reason)
        for each in (*self._late, self._quiet):
            if each is not None and each.active():
                each.cancel()

    def halfClose(self) -> None:
        """FIN; from now on what comes is dropped."""
        self.swallowing = True
        self.transport.loseWriteConnection()  # type: ignore[union-attr]  # TCP has it

    def reset(self) -> None:
        """RST: Twisted aborts so."""
        self.transport.abortConnection()  # type: ignore[union-attr]  # TCP has it

    def _moved(self) -> None:
        """Something went over it: it is not idle."""
        if self._quiet is not None and self._quiet.active():
            self._quiet.cancel()
        self._quiet = None
        if self.factory.idle and not self.disconnecting:
            self._quiet = self.factory.clock.callLater(self.factory.idle, self._idled)

    def _idled(self) -> None:
        # Through TLS, which says close_notify
        self.wrappedProtocol.loseConnection()  # type: ignore[attr-defined]  # TLSMemoryBIOProtocol


class WireFactory(WrappingFactory):
    """
    The connections of one node.

    @ivar delay: seconds, of new connections.
    @ivar stuck: nothing of new connections is read.
    @ivar idle: seconds until a connection is closed that nothing goes over; 0: never.
    """

    protocol = Wire
    noisy = False

    def __init__(self, wrapped: IProtocolFactory, clock: IReactorTime) -> None:
        super().__init__(wrapped)
        self.clock = clock
        self.delay = 0.0
        self.stuck = False
        self.idle = 0.0

    @property
    def wires(self) -> tuple[Wire, ...]:
        """Those that are open."""
        return tuple(self.protocols)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """One for each connection that what is above wants."""
        return super().buildProtocol(addr)


def cut(close: Callable[[], None], wire: Wire, how: str) -> None:
    """
    Cut one connection.

    @param close: closes it politely, through SIP and TLS.
    @param how: a key of L{CUTS}.
    """
    if how == "close":
        close()
    elif how == "half-close":
        wire.halfClose()
    elif how == "reset":
        wire.reset()
    else:
        wire.swallowing = True
