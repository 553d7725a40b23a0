"""The PBX side's transports: the UDP, TCP and TLS addresses we listen on, and the way back to the PBX."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, fail, maybeDeferred, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IListeningPort, IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from skypetrunk.errors import NoTarget
from skypetrunk.interfaces import IChannelFinder, IMessageChannel, IPBXDialect, ITransactions
from skypetrunk.net.datagram_signalling import DatagramSignalling
from skypetrunk.net.pbx_tls import PBXTLS, TLSStreams
from skypetrunk.net.reception import MessageObserver, Networks, allowed
from skypetrunk.net.signalling import StreamSignalling, StreamSignallingFactory
from skypetrunk.net.timed_port import listenUDP
from skypetrunk.wire.address import TransportAddress, foldedHost, isLiteral
from skypetrunk.wire.uri import SIPURI

DEFAULT_PORT = 5060
"""RFC 3261 section 19.1.2."""

DEFAULT_TLS_PORT = 5061
"""The same."""

CONNECT_SECONDS = 5.0
"""A PBX stands on the same network; one that has not answered by then will not."""

_GONE = "the connection that the PBX registered over is gone, and it has made no other"

REFUSED_SECONDS = 60.0
"""How long a UDP peer that took no connection is not asked for another: a silent one costs a call 5 s."""


@implementer(IChannelFinder)
class PBXTransports:
    """
    Everything that carries SIP to and from one PBX.

    @ivar listening: the addresses bound, with the ports the system gave.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        clock: IReactorTime,
        token: Callable[[], str],
        listen: Sequence[TransportAddress],
        address: TransportAddress | None,
        allow: Networks,
        observer: MessageObserver | None = None,
        others: Sequence[TransportAddress] = (),
        preferred: Callable[[], TransportAddress | None] | None = None,
        unreachable: Callable[[TransportAddress, str], None] | None = None,
        dialect: IPBXDialect | None = None,
        tls: PBXTLS | None = None,
        waited: Callable[[float], None] | None = None,
    ) -> None:
        """
        @param reactor: TCP and UDP.
        @param listen: where we listen, literal; the first of a transport also sends.
        @param address: where the PBX takes calls, if that is fixed.
        @param allow: who is heard.
        @param others: where it takes them too.
        @param preferred: which of several addresses is the best now; C{None} if none is known.
        @param unreachable: told of each address where no connection was taken, and why.
        @param dialect: of this PBX; it may not raise.
        @param tls: required where C{listen} has a TLS address.
        @param waited: told how many seconds each datagram waited until it was read.
        """
        self._reactor = reactor
        self._listen = tuple(listen)
        self._own = (address, *others)
        self._preferred = preferred or (lambda: address)
        self._unreachable = unreachable
        self._allow = allow
        self._datagrams: list[DatagramSignalling] = []
        self._ports: list[IListeningPort] = []
        self.listening: tuple[TransportAddress, ...] = ()
        self._clock = clock
        self._token = token
        self._observer = observer
        self._dialect = dialect
        self._streams: StreamSignallingFactory | None = None
        self._tls = tls
        self._waited = waited
        self._secure: TLSStreams | None = None
        self._connecting: set[Deferred[Any]] = set()
        self._stopped: Deferred[None] | None = None
        self._refused: dict[TransportAddress, float] = {}

    @property
    def strangers(self) -> int:
        """Datagrams and connections of others than C{allow}, dropped silently."""
        connections = 0 if self._streams is None else self._streams.strangers
        connections += 0 if self._secure is None else self._secure.strangers
        return connections + sum(each.dropped["stranger"] for each in self._datagrams)

    @property
    def strangerHosts(self) -> list[str]:
        """The last of them of each transport: one may be the PBX, at another address than it was given."""
        secure = None if self._secure is None else self._secure.listener
        listening = (*self._datagrams, self._streams, secure)
        return sorted({each.stranger for each in listening if each is not None and each.stranger is not None})

    @property
    def crowded(self) -> int:
        """Connections that were closed as there were too many."""
        connections = 0 if self._streams is None else self._streams.crowded
        return connections + (0 if self._secure is None else self._secure.crowded)

    @property
    def malformed(self) -> int:
        """Messages that were none."""
        streams = 0 if self._streams is None else self._streams.reception.malformed
        streams += 0 if self._secure is None else self._secure.malformed
        return streams + sum(each.reception.malformed for each in self._datagrams)

    @property
    def handshakes(self) -> int:
        """TLS connections of who may connect that came to nothing."""
        return 0 if self._secure is None else self._secure.failures

    def replaceTLS(self, tls: PBXTLS) -> None:
        """From the next connection on, ask and show this."""
        self._tls = tls
        if self._secure is not None:
            self._secure.replace(tls)

    def listen(self, transactions: ITransactions) -> None:
        """
        Bind every address.

        @param transactions: take what is received.
        @raise CannotListenError: one is taken, or not ours; none stays bound.
        """
        bound = []
        token, allow, observer = self._token, self._allow, self._observer
        self._stopped = None
        self._streams = StreamSignallingFactory(
            transactions,
            self._clock,
            token,
            transport="TCP",
            allow=allow,
            observer=observer,
            lost=self._connectionLost,
            dialect=self._dialect,
        )
        if self._tls is not None:
            self._secure = TLSStreams(
                self._tls,
                transactions,
                self._clock,
                token,
                allow,
                observer,
                self._dialect,
                self._checkStopped,
            )
        try:
            for address in self._listen:
                datagrams = address.transport == "UDP"
                port = self._bindUDP(address, transactions) if datagrams else self._bindTCP(address)
                self._ports.append(port)
                own: Any = port.getHost()
                bound.append(TransportAddress(address.transport, address.host, own.port))
        except Exception:
            self.stop()
            raise
        self.listening = tuple(bound)

    def _bindUDP(self, address: TransportAddress, transactions: ITransactions) -> IListeningPort:
        signalling = DatagramSignalling(
            transactions,
            self._token,
            allow=self._allow,
            observer=self._observer,
            connect=self._connect,
            dialect=self._dialect,
        )
        largest = DatagramSignalling.LARGEST
        port: IListeningPort = listenUDP(
            self._reactor, address.port, signalling, address.host, largest, self._waited
        )
        self._datagrams.append(signalling)
        return port

    def _bindTCP(self, address: TransportAddress) -> IListeningPort:
        factory: Any = self._streams
        if address.transport == "TLS":
            assert self._secure is not None
            factory = self._secure.listener
        port: IListeningPort = self._reactor.listenTCP(address.port, factory, interface=address.host)
        return port

    def stop(self) -> Deferred[None]:
        """
        Close all of it; fires when every port is free again and every connection closed, which each
        has a bound for.
        """
        ports, self._ports = self._ports, []
        self._datagrams = []
        waiting: list[Deferred[Any]] = [maybeDeferred(port.stopListening) for port in ports]
        self._stopped = Deferred()
        waiting.append(self._stopped)
        for connecting in tuple(self._connecting):
            connecting.cancel()
        if self._streams is not None:
            for channel in tuple(self._streams.channels):
                channel.close()
        if self._secure is not None:
            self._secure.close()
        self._checkStopped()
        return DeferredList(waiting, consumeErrors=True).addCallback(lambda _: None)

    def _connectionLost(self, channel: StreamSignalling, reason: Exception) -> None:
        self._checkStopped()

    def _checkStopped(self) -> None:
        open_ = self._streams is not None and bool(self._streams.channels)
        open_ = open_ or (self._secure is not None and self._secure.open)
        if self._stopped is not None and not self._stopped.called and not open_:
            self._stopped.callback(None)

    def find(self, uri: SIPURI) -> Deferred[IMessageChannel]:
        """
        The PBX's next hop: C{maddr}, else a literal host.  The configured address stands for a
        name, for a host that may not call us, and for what cannot be reached.  So does that from which
        it has registered; but a port that it only called from takes no connections.
        """
        wanted = self._wanted(uri)
        address = self._preferred()
        if wanted is None:
            return fail(NoTarget(f"{uri.host} may not be called, and the PBX is not registered"))
        configured = address in self._own
        found = self._reach(wanted, connect=configured or wanted is not address)
        if address is None or wanted == address or wanted in self._own:
            return found

        def fallBack(failure: Failure) -> Deferred[IMessageChannel]:
            if self._stopped is not None:
                return fail(failure)
            self._log.warn(
                "{wanted} cannot be reached, its requests go to {address}: {problem}",
                wanted=wanted,
                address=address,
                problem=failure.getErrorMessage(),
            )
            return self._reach(address, connect=configured)

        return found.addErrback(fallBack)

    def _wanted(self, uri: SIPURI) -> TransportAddress | None:
        host = uri.maddr or uri.host
        preferred = self._preferred()
        if not isLiteral(host) or not allowed(host, self._allow):
            return preferred
        transport = "TLS" if uri.scheme == "sips" else (uri.transport or "").upper()
        # Where we listen for TLS, no Contact leads to a transport that is not configured.
        usable = [own.transport for own in self._listen] if self._tls is not None else ["UDP", "TCP"]
        if transport not in usable:
            transport = usable[0] if preferred is None else preferred.transport
        port = uri.port or (DEFAULT_TLS_PORT if transport == "TLS" else DEFAULT_PORT)
        return TransportAddress(transport, host, port)

    def _reach(self, address: TransportAddress, connect: bool) -> Deferred[IMessageChannel]:
        if self._streams is None or self._stopped is not None:
            return fail(NoTarget(f"{address}: not listening"))
        if address.transport == "UDP":
            return self._datagram(address)
        if address.transport == "TLS":
            return self._secureStream(address, connect)
        return self._stream(address, self._streams, connect)

    def _standing(
        self, address: TransportAddress, channels: Iterable[StreamSignalling]
    ) -> StreamSignalling | None:
        """
        Which of C{channels} leads to C{address}: one to its very port, else where the PBX has registered
        from, else the newest one to its host, since a PBX that lost its power leaves dead ones behind.
        """
        host, before = foldedHost(address.host), self._preferred()
        # Where several processes share a host their ports tell them apart.
        alike = [own for own in self._own if own is not None and _isAlike(own, address)]
        exactly = len(alike) > 1 and address in alike
        found = [
            each
            for each in channels
            if each.usable
            and foldedHost(each.peer.host) == host
            and not (exactly and each.peer.port != address.port)
        ]
        return max(
            found,
            key=lambda each: (each.peer.port == address.port, each.peer == before, each.since),
            default=None,
        )

    def _datagram(self, address: TransportAddress) -> Deferred[IMessageChannel]:
        family = ip_address(address.host).version
        for datagrams in self._datagrams:
            if ip_address(datagrams.localAddress.host).version == family:
                return succeed(datagrams.channel(address.host, address.port))
        return fail(NoTarget(f"{address}: no UDP address of this family is in listen"))

    def _connect(self, peer: TransportAddress) -> Deferred[IMessageChannel]:
        """A connection to where C{peer} takes datagrams, for a request that is too large for one."""
        address = TransportAddress("TCP", peer.host, peer.port)
        streams = self._streams
        if streams is None or self._stopped is not None:
            return fail(NoTarget(f"{address}: not listening"))
        version = ip_address(peer.host).version
        if not any(
            own.transport == "TCP" and ip_address(own.host).version == version for own in self._listen
        ):
            return fail(NoTarget("no TCP address of this family is in listen"))
        now = self._clock.seconds()
        if self._refused.get(address, now) > now:
            return fail(NoTarget(f"{address} takes no connections"))

        def failed(failure: Failure) -> Failure:
            self._refused[address] = self._clock.seconds() + REFUSED_SECONDS
            return failure

        return self._stream(address, streams).addErrback(failed)

    def _stream(
        self, address: TransportAddress, streams: StreamSignallingFactory, connect: bool = True
    ) -> Deferred[IMessageChannel]:
        # Whoever has a connection from a host is reached by it: a PBX's own has a port of the system's.
        channel = self._standing(address, streams.channels)
        if channel is not None:
            return succeed(channel)
        if not connect:
            return fail(NoTarget(f"{address}: {_GONE}"))
        return self._connected(address, self._endpoint(address).connect(streams))

    def _secureStream(self, address: TransportAddress, connect: bool) -> Deferred[IMessageChannel]:
        if self._secure is None:
            return fail(NoTarget(f"{address}: no TLS address is in listen"))
        channel = self._standing(address, self._secure.reusable())
        if channel is not None:
            return succeed(channel)
        if not connect:
            return fail(NoTarget(f"{address}: {_GONE}"))
        if not self._secure.tls.verifies:
            return fail(NoTarget(f"{address}: whose certificate it should be is not configured"))
        return self._connected(address, self._secure.connect(address, self._endpoint(address)))

    def _endpoint(self, address: TransportAddress) -> IStreamClientEndpoint:
        """The way to a TCP port."""
        six = ip_address(address.host).version == 6
        # The PBX knows us by the address that it calls.
        own = [each.host for each in self._listen if (ip_address(each.host).version == 6) == six]
        endpoint = TCP6ClientEndpoint if six else TCP4ClientEndpoint
        bound = (own[0], 0) if own else None
        return endpoint(self._reactor, address.host, address.port, CONNECT_SECONDS, bound)

    def _connected(self, address: TransportAddress, connecting: Deferred[Any]) -> Deferred[IMessageChannel]:
        """A connection on its way, which is given up when all of it stops."""
        self._connecting.add(connecting)

        def done(result: Any) -> Any:
            self._connecting.discard(connecting)
            if isinstance(result, Failure):
                if self._unreachable is not None and self._stopped is None:
                    self._unreachable(address, result.getErrorMessage())
                return Failure(NoTarget(f"{address}: {result.getErrorMessage()}"))
            return result

        return connecting.addBoth(done)


def _isAlike(one: TransportAddress, other: TransportAddress) -> bool:
    """Do they differ in the port at most?"""
    return one.transport == other.transport and foldedHost(one.host) == foldedHost(other.host)
