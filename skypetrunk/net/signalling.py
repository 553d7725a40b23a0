"""
SIP messages over TLS, TCP and UDP (RFC 3261 section 18): the transport layer below the transactions.

What a peer sends never raises and never ends the process: it becomes a message for the
transactions, an answer of our own, or nothing.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime, ISystemHandle
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from skypetrunk.core.keep_alive import PING, KeepAlive
from skypetrunk.errors import ChannelFailed, MalformedMessage
from skypetrunk.interfaces import IMessageChannel, IPBXDialect, ISizedChannel, ITransactions
from skypetrunk.net.handshake import connectionEnd
from skypetrunk.net.quiet import Quiet
from skypetrunk.net.reception import MessageObserver, Networks, Reception, allowed
from skypetrunk.net.tcp_options import sendAtOnce, watchPeer
from skypetrunk.net.tls import closeWithin
from skypetrunk.wire.address import TransportAddress, isLiteral
from skypetrunk.wire.framing import Limits, Ping, Pong, StreamFramer
from skypetrunk.wire.message import Request, Response

DEFAULT_LIMITS = Limits()

LARGEST_REQUEST = 1300
"""Octets of a request by UDP, where nobody knows the MTU (RFC 3261 section 18.1.1)."""

#: Channels of UDP peers that are kept; one more and the longest unused is made anew when needed.
_CHANNELS_KEPT = 1000


@implementer(IMessageChannel)
class StreamSignalling(Protocol):
    """
    One TCP or TLS connection.

    @ivar reliable: always.
    @ivar secure: the peer has proved its identity.
    @ivar quiet: how long nothing was said.
    @ivar since: the clock's time when it was made.
    """

    reliable = True
    factory: StreamSignallingFactory
    _log = Logger()

    def __init__(self, factory: StreamSignallingFactory) -> None:
        self.factory = factory
        self.secure = factory.secure
        self.localAddress = self.peer = TransportAddress(factory.transport, "", 0)
        self._framer = StreamFramer(factory.limits)
        self._closing: IDelayedCall | None = None
        self._open = False
        self._keepAlive: KeepAlive | None = None
        self.quiet = Quiet(factory.clock)
        self.since = factory.clock.seconds()

    def connectionMade(self) -> None:
        """The connection stands, verified where that is asked for."""
        assert self.transport is not None
        self._open = True
        factory = self.factory
        self.peer = _streamAddress(factory.transport, self.transport.getPeer())
        self.localAddress = _streamAddress(factory.transport, self.transport.getHost())
        watchPeer(self.transport)
        sendAtOnce(self.transport)
        if factory.chance is not None:
            self._keepAlive = KeepAlive(
                factory.clock,
                factory.chance,
                self._ping,
                lambda: self.abort("no answer to a ping"),
                factory.pingWithin,
                lambda: factory.pongMissing(self),
            )
            self._keepAlive.start()
        factory.connectionMade(self)

    def dataReceived(self, data: bytes) -> None:
        """Some octets.  After C{close} nobody is interested."""
        reception = self.factory.reception
        if self._closing is not None:
            return
        try:
            frames = self._framer.receive(data)
        except MalformedMessage as problem:
            self._giveUp(problem)
            return
        for frame in frames:
            if isinstance(frame, Ping):
                self._write(b"\r\n")  # RFC 5626 section 4.4.1
            elif not isinstance(frame, Pong):
                self.quiet.heard()
                reception.received(frame, self)
            elif self._keepAlive is not None:
                self._keepAlive.ponged()
        if self._framer.failure is not None:
            self._giveUp(self._framer.failure)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone, and so are the transactions that need it."""
        wasOpen, self._open = self._open, False
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        self._stopPings()
        self.quiet.ended(reason)
        if wasOpen:
            failure = ChannelFailed(f"{self.peer}: {connectionEnd(reason)}")
            self.factory.connectionLost(self, failure)

    @property
    def usable(self) -> bool:
        """It stands, and is not being closed."""
        return self._open and self._closing is None

    def send(self, message: Request | Response) -> None:
        """See L{IMessageChannel.send}."""
        if not self.usable:
            raise ChannelFailed(f"{self.peer}: the connection is closed")
        reception = self.factory.reception
        message = reception.translated(message)
        self._write(message.encode())
        self.quiet.spoken()
        reception.seen(True, message, self)

    def toward(self, peer: TransportAddress) -> IMessageChannel:
        """A connection leads to one peer."""
        return self

    def close(self) -> None:
        """Close politely; abort after the bound if the peer does not answer (RFC 5246 section 7.2.1)."""
        if self._open and self._closing is None and self.transport is not None:
            self._stopPings()
            self._closing = closeWithin(self.transport, self.factory.clock)

    def abort(self, why: str) -> None:
        """Close at once."""
        if self._open and self.transport is not None:
            self._log.warn("{peer}: connection given up: {why}", peer=self.peer, why=why)
            self.transport.abortConnection()  # type: ignore[attr-defined]

    def pingsAnswered(self, flowTimer: int | None) -> None:
        """The registrar says that it answers pings; see L{KeepAlive.promised}."""
        if self._keepAlive is not None:
            self._keepAlive.promised(flowTimer)

    def _ping(self) -> None:
        self._framer.pinged()
        self.quiet.ping()
        self._write(PING)

    def _stopPings(self) -> None:
        if self._keepAlive is not None:
            self._keepAlive.stop()

    def _write(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)

    def _giveUp(self, problem: MalformedMessage) -> None:
        """The stream cannot be followed any more: say why, then close."""
        self.factory.reception.refused(problem, self)
        self._log.warn("{peer}: closing: {problem}", peer=self.peer, problem=str(problem))
        self.close()


class StreamSignallingFactory(Factory):
    """
    Makes the protocols of one listening port, or of one trunk's connections.

    @ivar transport: C{"TLS"} or C{"TCP"}.
    @ivar secure: the peers of these connections have proved their identity.
    @ivar reception: what is done with a message; its C{malformed} counts those that were none.
    @ivar strangers: connections refused because of C{allow}.
    @ivar channels: the open connections.
    @ivar chance: from 0 to 1, where the connections are kept alive by pings.
    @ivar pingWithin: seconds from ping to ping at most, C{None} where the usual ones do.
    @ivar pongMissing: told of each ping that is not answered by a peer of which nothing else was known.
    """

    noisy = False

    def __init__(
        self,
        transactions: ITransactions,
        clock: IReactorTime,
        token: Callable[[], str],
        *,
        transport: str,
        secure: bool = False,
        allow: Networks | None = None,
        limits: Limits = DEFAULT_LIMITS,
        observer: MessageObserver | None = None,
        connected: Callable[[StreamSignalling], None] | None = None,
        lost: Callable[[StreamSignalling, ChannelFailed], None] | None = None,
        chance: Callable[[], float] | None = None,
        dialect: IPBXDialect | None = None,
    ) -> None:
        """
        @param token: random text for the To tag of answers to what is malformed.
        @param allow: who may connect; C{None} for everybody.
        @param connected: told of each new connection, before anything is read from it.
        @param lost: told of its end, before the transactions are: they may ask for another way at once.
        @param dialect: see L{Reception}.
        """
        self.clock = clock
        self.transport = transport
        self.secure = secure
        self.limits = limits
        self.reception = Reception(transactions, token, observer, dialect)
        self.strangers = 0
        self.channels: set[StreamSignalling] = set()
        self._allow = allow
        self._connected = connected
        self._lost = lost
        self.chance = chance
        self.pingWithin: float | None = None
        self.pongMissing: Callable[[StreamSignalling], None] = lambda channel: None

    def buildProtocol(self, addr: IAddress | None) -> StreamSignalling | None:  # type: ignore[override]
        """One for each peer that is allowed; others are closed without a word."""
        if self._allow is not None and not allowed(getattr(addr, "host", ""), self._allow):
            self.strangers += 1
            return None
        return StreamSignalling(self)

    def connectionMade(self, channel: StreamSignalling) -> None:
        """A connection of ours stands."""
        self.channels.add(channel)
        if self._connected is not None:
            self._connected(channel)

    def connectionLost(self, channel: StreamSignalling, reason: ChannelFailed) -> None:
        """A connection of ours ended."""
        self.channels.discard(channel)
        if self._lost is not None:
            self._lost(channel, reason)
        self.reception.transactions.channelLost(channel, reason)


@implementer(ISizedChannel)
@dataclass(frozen=True, slots=True)
class DatagramChannel:
    """One UDP socket towards one peer.  Two with the same socket and peer are equal."""

    signalling: DatagramSignalling
    peer: TransportAddress

    @property
    def reliable(self) -> bool:
        """UDP is not."""
        return False

    @property
    def secure(self) -> bool:
        """UDP proves nothing."""
        return False

    @property
    def localAddress(self) -> TransportAddress:
        """The socket's."""
        return self.signalling.localAddress

    def send(self, message: Request | Response) -> None:
        """See L{IMessageChannel.send}."""
        self.signalling.write(message, self)

    def toward(self, peer: TransportAddress) -> IMessageChannel:
        """See L{IMessageChannel.toward}."""
        return self.signalling.channel(peer.host, peer.port)

    def fitting(self, octets: int) -> Deferred[IMessageChannel]:
        """See L{ISizedChannel.fitting}."""
        return self.signalling.fitting(octets, self)


class DatagramSignalling(DatagramProtocol):
    """
    One UDP socket.  Listen with C{maxPacketSize=DatagramSignalling.LARGEST}: Twisted cuts what is longer.

    @ivar reception: what is done with a message; its C{malformed} counts those that were none.
    @ivar dropped: datagrams that nobody looked at, by reason: C{"stranger"}.
    """

    LARGEST = 65536
    noisy = False
    _log = Logger()

    def __init__(
        self,
        transactions: ITransactions,
        token: Callable[[], str],
        *,
        allow: Networks | None = None,
        observer: MessageObserver | None = None,
        connect: Callable[[TransportAddress], Deferred[IMessageChannel]] | None = None,
        dialect: IPBXDialect | None = None,
    ) -> None:
        """
        @param token: random text for the To tag of answers to what is malformed.
        @param allow: who is heard; the others are dropped silently and counted.  C{None} for everybody.
        @param connect: makes the connection to a peer that requests take which are too large for a datagram.
        @param dialect: see L{Reception}.
        """
        self.reception = Reception(transactions, token, observer, dialect)
        self.dropped: Counter[str] = Counter()
        self.localAddress = TransportAddress("UDP", "", 0)
        # Nearly all that comes is from the same few.
        self._isAllowed = lru_cache(maxsize=_CHANNELS_KEPT)(partial(allowed, networks=allow))
        self._connect = connect
        self._send: Callable[[bytes, tuple[str, int]], object] | None = None
        self._channels: OrderedDict[tuple[str, int], DatagramChannel] = OrderedDict()

    def startProtocol(self) -> None:
        """The socket is bound."""
        assert self.transport is not None
        bound: Any = self.transport.getHost()
        self.localAddress = TransportAddress("UDP", bound.host, bound.port)
        # Twisted's own writing looks at the address of each datagram once more, in 4 us.
        handle: Any = self.transport.getHandle() if ISystemHandle.providedBy(self.transport) else None
        self._send = self.transport.write if handle is None else handle.sendto

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        """One datagram.  Never raises."""
        try:
            if not self._isAllowed(addr[0]):
                self.dropped["stranger"] += 1
            # What is nothing but line ends (or zeros) keeps some PBX's NAT binding alive.
            elif datagram[:1] not in b"\r\n\x00" or datagram.strip(b"\r\n\x00"):
                self.reception.received(datagram, self.channel(addr[0], addr[1]))
        except Exception:
            self._log.failure("while receiving a datagram from {peer}", peer=addr)

    def channel(self, host: str, port: int) -> DatagramChannel:
        """The channel to a peer, the same one for as long as it is in use."""
        key = (host, port)
        channel = self._channels.get(key)
        if channel is None:
            channel = self._channels[key] = DatagramChannel(self, TransportAddress("UDP", host, port))
            if len(self._channels) > _CHANNELS_KEPT:
                self._channels.popitem(last=False)
        else:
            self._channels.move_to_end(key)
        return channel

    def fitting(self, octets: int, channel: DatagramChannel) -> Deferred[IMessageChannel]:
        """A connection for what is too large (RFC 3261 section 18.1.1), where the peer takes one."""
        if octets <= LARGEST_REQUEST or self._connect is None:
            return succeed(channel)

        def failed(failure: Failure) -> IMessageChannel:
            self._log.warn(
                "{peer}: a request of {octets} octets goes by UDP, where it may be lost: {problem}",
                peer=channel.peer,
                octets=octets,
                problem=failure.getErrorMessage(),
            )
            return channel

        return self._connect(channel.peer).addErrback(failed)

    def write(self, message: Request | Response, channel: DatagramChannel) -> None:
        """
        Send one datagram.

        @raise ChannelFailed: the socket is closed, the host is no literal address, or the
            operating system refuses.
        """
        peer = channel.peer
        if self.transport is None or self._send is None:
            raise ChannelFailed(f"{peer}: the socket is closed")
        if not isLiteral(peer.host):  # a name would be looked up, waiting
            raise ChannelFailed(f"{peer}: not a literal address")
        message = self.reception.translated(message)
        try:
            self._send(message.encode(), (peer.host, peer.port))
        except Exception as problem:
            raise ChannelFailed(f"{peer}: {problem}") from problem
        self.reception.seen(True, message, channel)


def _streamAddress(transport: str, address: IAddress) -> TransportAddress:
    return TransportAddress(transport, getattr(address, "host", ""), getattr(address, "port", 0))


__all__ = ["DEFAULT_LIMITS", "LARGEST_REQUEST", "DatagramChannel", "DatagramSignalling", "MessageObserver"]
__all__ += ["Networks", "StreamSignalling", "StreamSignallingFactory", "allowed"]
