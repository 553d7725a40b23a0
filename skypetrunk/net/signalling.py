"""
SIP messages over TLS and TCP (RFC 3261 section 18): the transport layer below the transactions, where it is
reliable.  The other one is L{skypetrunk.net.datagram_signalling}.

What a peer sends never raises and never ends the process: it becomes a message for the
transactions, an answer of our own, or nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from skypetrunk.core.keep_alive import PING, KeepAlive
from skypetrunk.errors import ChannelFailed, MalformedMessage
from skypetrunk.interfaces import IMessageChannel, IPBXDialect, ITransactions
from skypetrunk.net.handshake import connectionEnd
from skypetrunk.net.quiet import Quiet
from skypetrunk.net.reception import MessageObserver, Networks, Reception, allowed
from skypetrunk.net.tcp_options import sendAtOnce, watchPeer
from skypetrunk.net.tls import closeWithin
from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.framing import Limits, Ping, Pong, StreamFramer
from skypetrunk.wire.message import Request, Response

DEFAULT_LIMITS = Limits()

MOST_CONNECTIONS = 256
"""Of one neighbour, each of which takes a file and memory; a PBX has a handful, or one for each call."""

FIRST_WORDS = 1.0
"""Seconds that a new one has for its first message: its INVITE may be on its way."""

QUIET_SECONDS = 60.0
"""After one of them was ended for that, the next ones are only counted."""


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
        """
        Close at once.

        @param why: for the log; empty where it was told.
        """
        if self._open and self.transport is not None:
            if why:
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
    @ivar stranger: the host of the last of those, C{None} if there was none.
    @ivar crowded: connections that were ended as there were too many.
    @ivar mostConnections: that may be open at a time.
    @ivar channels: the open connections.
    @ivar chance: from 0 to 1, where the connections are kept alive by pings.
    @ivar pingWithin: seconds from ping to ping at most, C{None} where the usual ones do.
    @ivar pongMissing: told of each ping that is not answered by a peer of which nothing else was known.
    """

    noisy = False
    mostConnections = MOST_CONNECTIONS

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
        self.strangers = self.crowded = 0
        self.stranger: str | None = None
        self.channels: set[StreamSignalling] = set()
        self._allow = allow
        self._connected = connected
        self._lost = lost
        self.chance = chance
        self.pingWithin: float | None = None
        self.pongMissing: Callable[[StreamSignalling], None] = lambda channel: None
        self._loudAt = 0.0

    def buildProtocol(self, addr: IAddress | None) -> StreamSignalling | None:  # type: ignore[override]
        """One for each peer that is allowed; others are closed without a word."""
        if self._allow is not None and not allowed(getattr(addr, "host", ""), self._allow):
            self.strangers += 1
            self.stranger = getattr(addr, "host", None)
            return None
        return StreamSignalling(self)

    def connectionMade(self, channel: StreamSignalling) -> None:
        """A connection of ours stands."""
        if len(self.channels) >= self.mostConnections:
            self._makeRoom()
        self.channels.add(channel)
        if self._connected is not None:
            self._connected(channel)

    def _makeRoom(self) -> None:
        """
        Who has the most connections loses one, as who opens them is to pay: the first of those that never had
        a message, else the one that was quiet the longest.
        """
        now = self.clock.seconds()

        def worth(it: StreamSignalling) -> tuple[bool, float]:
            return it.quiet.since > it.since or now - it.since < FIRST_WORDS, it.quiet.since

        [(host, count)] = Counter(each.peer.host for each in self.channels).most_common(1)
        least = min((each for each in self.channels if each.peer.host == host), key=worth)
        self.crowded += 1
        self.channels.discard(least)
        why = f"there are too many, {count} of this host ({self.crowded} ended so far)"
        least.abort(why if now >= self._loudAt else "")
        if now >= self._loudAt:
            self._loudAt = now + QUIET_SECONDS

    def connectionLost(self, channel: StreamSignalling, reason: ChannelFailed) -> None:
        """A connection of ours ended."""
        self.channels.discard(channel)
        if self._lost is not None:
            self._lost(channel, reason)
        self.reception.transactions.channelLost(channel, reason)


def _streamAddress(transport: str, address: IAddress) -> TransportAddress:
    return TransportAddress(transport, getattr(address, "host", ""), getattr(address, "port", 0))


__all__ = ["DEFAULT_LIMITS", "QUIET_SECONDS", "StreamSignalling", "StreamSignallingFactory"]
