"""
A UDP port of a media leg: nothing that arrives there may raise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.protocol import DatagramProtocol

from skypetrunk.errors import PacketRefused
from skypetrunk.media.connecting import disconnect
from skypetrunk.media.source import SILENCE

if TYPE_CHECKING:
    from skypetrunk.media.connecting import Connections
    from skypetrunk.media.relay import MediaLeg
    from skypetrunk.media.source import Address

Receive = Callable[[bytes, "Address"], None]

UNSENT = "unsent"
"""The counter of packets that the system did not take: no route, buffer full, peer's port closed."""

CLOSED = "closed"
"""The counter of packets of which the peer's system has said that nobody listens there."""


class MediaPort(DatagramProtocol):
    """
    One UDP port of a leg.

    @ivar receive: takes each datagram; raises L{PacketRefused}.
    @ivar leg: whose it is, until it is over.
    @ivar send: writes a datagram; raises L{OSError} when the system does not take it.
    @ivar peer: whom the socket is connected to, C{None}: nobody.
    @ivar write: writes a datagram to C{peer}; raises the same.
    @ivar shared: another process may have the socket, too, and connect it once more while it lets go.
    """

    noisy = False
    shared = False

    def __init__(self, receive: Receive, leg: MediaLeg) -> None:
        """
        @param receive: takes each datagram; raises L{PacketRefused}.
        @param leg: told of what was refused, and of what nobody foresaw.
        """
        self.receive = receive
        self.leg: MediaLeg | None = leg
        self.send: Callable[[bytes, Address], object] = self._unbound
        self.peer: Address | None = None
        self.write: Callable[[bytes], object] = self._unbound
        self._connections: Connections | None = None
        # What takes datagrams, whoever looks at them first; and where a peer sends from, but its SDP is not.
        self._receive = receive
        self._elsewhere: Address | None = None

    def startProtocol(self) -> None:
        """The port is bound."""
        transport: Any = self.transport
        # One datagram for each turn of the reactor: legs share it fairly, and no read is
        # wasted on finding out that a socket is empty.
        transport.maxThroughput = 1
        # The transport looks at the address of each packet; ours were looked at when signalled.
        getHandle: Any = getattr(transport, "getHandle", None)
        self.send = transport.write if getHandle is None else getHandle().sendto

    @property
    def mayConnect(self) -> bool:
        """Is it one of RTP, of a leg with one peer?"""
        return self.leg is not None and self.leg.connects and self is self.leg.rtpPort

    def connectBy(self, connections: Connections) -> None:
        """The socket may be connected to the peer; C{connections} know when no more."""
        self._connections = connections
        self.hear(self._receive)

    def hear(self, receive: Receive, connects: bool = True) -> None:
        """
        Everybody is heard: the peer may be elsewhere now.  When it is known where, and that is where ours
        go, the socket is connected to it.

        @param receive: takes each datagram from now on.
        @param connects: they are RTP, by which the leg knows where its peer is.
        """
        self.disconnect()
        if self.shared and self._connections is not None:
            self._unconnected()
        self._elsewhere = None
        self._receive = receive
        self.receive = self._receiveFirst if connects and self._connections is not None else receive

    def _receiveFirst(self, datagram: bytes, addr: Address) -> None:
        self._receive(datagram, addr)
        leg, connections = self.leg, self._connections
        if addr == self._elsewhere or leg is None or connections is None or leg.usualSource != addr:
            return  # it does not say yet who is to be heard
        destination = leg.steadyPeer
        if destination is None:
            self._elsewhere = addr
            return
        handle: Any = self.transport.getHandle()  # type: ignore[union-attr]
        try:
            handle.connect(destination)
        except OSError:
            return  # so the system has no way to it, and will say so when something is sent
        # What others have sent before is still to be read: who sent it is looked at as ever.
        self.peer, self.write, self.receive = destination, handle.send, self._receive
        connections.add(self, SILENCE)

    def quietIn(self, now: float) -> float:
        """See L{skypetrunk.media.connecting.Connected}."""
        leg = self.leg
        if leg is None:
            return 0.0
        lent = leg.heardBy
        heard: float = (0.0 if lent is None else lent.path.time) or leg.heardFrom.heard
        return heard + SILENCE - now

    def disconnect(self) -> None:
        """Hear everybody; the next packet of the peer connects again."""
        if self.peer is None:
            return
        self._let()
        leg = self.leg
        if leg is not None:
            if leg.heardBy is not None:
                leg.heardBy.pause()
            if leg.sentBy is not None:
                leg.sentBy.look()
        self._unconnected()
        self.receive = self._receiveFirst

    def _unconnected(self) -> None:
        try:
            disconnect(self.transport.getHandle())  # type: ignore[union-attr]
        except OSError:
            pass  # it hears its peer as before

    def _let(self) -> None:
        self.peer, self.write = None, self._unbound
        if self._connections is not None:
            self._connections.remove(self)

    def datagramReceived(self, datagram: bytes, addr: Address) -> None:
        """A packet came in.  Nothing that is in it may raise from here: each would be a traceback."""
        try:
            self.receive(datagram, addr)
        except PacketRefused as refusal:
            if self.leg is not None:
                self.leg.received.refuse(refusal.reason)
        except Exception:
            if self.leg is not None:
                self.leg.packetFailed()

    def connectionRefused(self) -> None:
        """The peer's port is closed: it may open yet."""
        if self.leg is not None:
            self.leg.sent.refuse(CLOSED)

    def forget(self) -> None:
        """The leg is over.  While both refer to each other, both would wait for the garbage collector."""
        self._let()
        self._connections = None
        self.receive, self.leg, self.send = _unheard, None, self._unbound
        self._receive = _unheard

    @staticmethod
    def _unbound(datagram: bytes, addr: Address | None = None) -> object:
        raise OSError("the port is not bound")


def _unheard(datagram: bytes, addr: Address) -> None:
    """A datagram after the end."""


__all__ = ["CLOSED", "UNSENT", "MediaPort", "Receive"]
