"""
SIP messages over UDP (RFC 3261 section 18): the transport layer below the transactions, where it is not
reliable.  The other one is L{skypetrunk.net.signalling}.

What a peer sends never raises: it becomes a message for the transactions, an answer of our own, or nothing.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import ISystemHandle
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from skypetrunk.errors import ChannelFailed
from skypetrunk.interfaces import IMessageChannel, IPBXDialect, ISizedChannel, ITransactions
from skypetrunk.net.reception import MessageObserver, Networks, Reception, allowed
from skypetrunk.wire.address import TransportAddress, isLiteral
from skypetrunk.wire.message import Request, Response

LARGEST_REQUEST = 1300
"""Octets of a request by UDP, where nobody knows the MTU (RFC 3261 section 18.1.1)."""

#: Channels of UDP peers that are kept; one more and the longest unused is made anew when needed.
_CHANNELS_KEPT = 1000


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
    @ivar stranger: the host of the last of those, C{None} if there was none.
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
        self.stranger: str | None = None
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
                self.stranger = addr[0]
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


__all__ = ["LARGEST_REQUEST", "DatagramChannel", "DatagramSignalling"]
