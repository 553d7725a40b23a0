"""
All media sockets in one epoll, which is the single reader in the reactor.

Each socket of a call as a port of Twisted's own costs a turn of the reactor's machinery for
each packet, and its own registration with the reactor.  Here one turn reads many sockets.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IListeningPort,
    IReactorTime,
    IReactorUDP,
    IReadDescriptor,
    ISystemHandle,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from skypetrunk.media.connecting import Connections, mayConnect
from skypetrunk.media.port import MediaPort

if TYPE_CHECKING:
    from skypetrunk.media.settled import Settled
    from skypetrunk.media.source import Address

BATCH = 64
"""Sockets read at a time, one datagram of each: signalling waits 1 ms at most."""

REST = 0.002
"""Seconds that a busy poller lets packets gather.  Waking up for each costs more than relaying it."""

RESTS = 8
"""Rests in one turn of the reactor: signalling waits some milliseconds more, and may wait 50 (99 %)."""

BUSY = 4000
"""Packets in a second from which on it rests: at least eight gather."""

FLOOD = 100
"""
Packets in a second for each socket, twice what calls with 10 ms a packet have on RTP and RTCP: what is more
piles up in few sockets, and must be read as fast as can be.
"""

_WINDOW = 0.01

Received = Callable[[bytes, "Address"], None]


class Reader:
    """
    One socket of a L{Poller}.

    @ivar socket: never waits.
    @ivar size: how much of a datagram is read.
    @ivar received: gets it.
    @ivar protocol: whose it is.
    @ivar peer: the only one whose datagrams the socket has, while that is sure: it need not be asked for.
    @ivar lent: to what they are lent (L{skypetrunk.media.settled}).
    @ivar open: still?
    """

    __slots__ = ("lent", "open", "peer", "protocol", "received", "size", "socket")

    def __init__(self, opened: socket.socket, size: int, received: Received, protocol: Any) -> None:
        self.socket = opened
        self.size = size
        self.received = received
        self.protocol = protocol
        self.peer: Address | None = None
        self.lent: Settled | None = None
        self.open = True


Came = tuple[Reader, bytes, "Address"]
"""A datagram, where it came in, and from where."""


@implementer(IReactorUDP, IReadDescriptor)
class Poller:
    """Opens UDP ports, and reads them.  It is in the reactor while there are any."""

    _log = Logger()

    def __init__(
        self, reactor: Any, clock: IReactorTime, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """
        @param reactor: provides L{IReactorFDSet}.
        @param clock: as the legs have it.
        @param sleep: lets so many seconds go by.
        """
        self._reactor = reactor
        self._seconds = clock.seconds
        self._connections = Connections(clock)
        self._sleep = sleep
        self._failed = False
        # What came since when, for what is busy.
        self._busy = False
        self._count = 0
        self._since = 0.0
        self._epoll: select.epoll | None = None
        self._descriptor = -1
        # By descriptor.
        self._readers: dict[int, Reader] = {}

    def listenUDP(
        self, port: int, protocol: Any, interface: str = "", maxPacketSize: int = 8192
    ) -> IListeningPort:
        """
        As the reactor's.

        @param protocol: a L{twisted.internet.protocol.DatagramProtocol}.
        @param interface: literal address.
        @raise CannotListenError: the port cannot be bound.
        """
        return self.adopt(boundSocket(port, interface), protocol, maxPacketSize)

    def adopt(
        self, opened: socket.socket, protocol: Any, maxPacketSize: int, lent: bool = False
    ) -> IListeningPort:
        """
        The same with a socket that is bound, and never waits; it is ours from now on.

        @param lent: but it is not: whoever closes the port leaves it open.
        """
        if self._epoll is None:
            self._epoll = select.epoll()
        if not self._readers:
            self._descriptor = self._epoll.fileno()
            self._reactor.addReader(self)
        received = protocol.datagramReceived if opened.family == socket.AF_INET else _shortened(protocol)
        descriptor = opened.fileno()
        self._readers[descriptor] = Reader(opened, maxPacketSize, received, protocol)
        self._epoll.register(descriptor, select.EPOLLIN)
        listening = PolledPort(self, opened, protocol, lent)
        protocol.makeConnection(listening)
        if isinstance(protocol, MediaPort) and protocol.mayConnect and mayConnect(opened):
            protocol.connectBy(self._connections)
        return listening

    def forget(self, descriptor: int) -> None:
        """
        The socket of a port is about to be closed.  That alone does not take it out of the epoll where
        another process has it, too (epoll(7)).
        """
        assert self._epoll is not None
        self._epoll.unregister(descriptor)
        self._readers.pop(descriptor).open = False
        if not self._readers:
            self._reactor.removeReader(self)
            self._descriptor = -1

    # IReadDescriptor

    def fileno(self) -> int:
        """The epoll's."""
        return self._descriptor

    def doRead(self) -> None:
        """What is there; and where there is much, a rest and what came meanwhile, some times."""
        try:
            self._count += self._read(RESTS if self._busy else 0)
        except Exception:
            # Whatever it is, the reactor would read none of any call again.
            self._unforeseen()
        now = self._seconds()
        passed = now - self._since
        if not 0 <= passed < _WINDOW:
            most = FLOOD * len(self._readers)
            self._busy = 0 < passed < 1 and BUSY * passed < self._count < most * passed
            self._since, self._count = now, 0

    def _read(self, rests: int) -> int:
        """
        What is there, and what comes while it rests: no more of that when nothing came, or too much.

        @return: how many datagrams there were.
        """
        count = ready = self._readOnce()
        while rests and 0 < ready < BATCH:
            rests -= 1
            self._sleep(REST)
            ready = self._readOnce()
            count += ready
        return count

    def _readOnce(self) -> int:
        """
        One datagram of each socket that has one: calls share the time fairly.

        @return: how many had one.
        """
        assert self._epoll is not None
        ready = self._epoll.poll(0, BATCH)
        readers = self._readers
        came: list[Came] = []
        for descriptor, _ in ready:
            reader = readers[descriptor]
            peer = reader.peer
            try:
                if peer is None:
                    datagram, address = reader.socket.recvfrom(reader.size)
                else:
                    datagram, address = reader.socket.recv(reader.size), peer
            except ConnectionRefusedError:
                reader.protocol.connectionRefused()
            except OSError:
                pass  # read by nobody, or an error of an earlier packet: there will be others
            else:
                came.append((reader, datagram, address))
        # All are read before anything is done with one: each part of the work stays in the core's caches.
        left = iter(came)
        for _ in came:
            try:
                self._came(left)
                break
            except Exception:
                self._unforeseen()
        return len(ready)

    def _unforeseen(self) -> None:
        """Called while an exception is handled that no leg has: they see to their own packets."""
        if not self._failed:
            self._failed = True
            self._log.failure("Media sockets cannot be read as they should; this is told once")

    def _came(self, came: Iterator[Came]) -> None:
        """Do what is to be done with the datagrams that were read."""
        for reader, datagram, address in came:
            if reader.open:  # and was not closed by what came before it
                reader.received(datagram, address)

    def logPrefix(self) -> str:
        """For the reactor."""
        return "media"

    def connectionLost(self, reason: Failure) -> None:
        """The reactor is done with us."""


@implementer(IReactorUDP)
class Binder:
    """Opens UDP ports that are read elsewhere."""

    def listenUDP(
        self, port: int, protocol: Any, interface: str = "", maxPacketSize: int = 8192
    ) -> IListeningPort:
        """As L{Poller.listenUDP}, but nothing is read."""
        listening = PolledPort(self, boundSocket(port, interface), protocol)
        protocol.makeConnection(listening)
        return listening

    def forget(self, descriptor: int) -> None:
        """Nobody read it here."""


@implementer(IListeningPort, ISystemHandle)
class PolledPort:
    """
    One UDP port of a L{Poller} or a L{Binder}.

    @ivar maxThroughput: as Twisted's ports have it; one datagram is read at a time, whatever it says.
    """

    __slots__ = ("_lent", "_open", "_poller", "_protocol", "_socket", "maxThroughput")

    def __init__(
        self, poller: Poller | Binder, opened: socket.socket, protocol: Any, lent: bool = False
    ) -> None:
        self._poller = poller
        self._socket = opened
        self._protocol = protocol
        self._lent = lent
        self._open = True

    def startListening(self) -> None:
        """It does."""

    def stopListening(self) -> None:
        """Close it, now.  A second call does nothing."""
        if self._open:
            self._open = False
            self._poller.forget(self._socket.fileno())
            if not self._lent:
                self._socket.close()
            self._protocol.doStop()

    def getHost(self) -> IPv4Address | IPv6Address:
        """Where it is bound."""
        host, port = self._socket.getsockname()[:2]
        return (IPv6Address if self._socket.family == socket.AF_INET6 else IPv4Address)("UDP", host, port)

    def getHandle(self) -> socket.socket:
        """The socket."""
        return self._socket


def boundSocket(port: int, interface: str) -> socket.socket:
    """
    A UDP socket that never waits.

    @param interface: literal address.
    @raise CannotListenError: the port cannot be bound.
    """
    family = socket.AF_INET6 if ":" in interface else socket.AF_INET
    try:
        opened = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            opened.bind((interface, port))
        except OSError:
            opened.close()
            raise
    except OSError as error:
        raise CannotListenError(interface, port, error) from None  # type: ignore[no-untyped-call]
    return opened


def _shortened(protocol: Any) -> Received:
    """Addresses of IPv6 sockets have four parts."""

    def received(datagram: bytes, address: Any) -> None:
        protocol.datagramReceived(datagram, address[:2])

    return received
