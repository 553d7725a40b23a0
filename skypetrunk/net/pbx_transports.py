"""The PBX side's transports: the UDP and TCP addresses we listen on, and the way back to the PBX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, fail, maybeDeferred, succeed
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IListeningPort, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from skypetrunk.errors import NoTarget
from skypetrunk.interfaces import IChannelFinder, IMessageChannel, ITransactions
from skypetrunk.net.signalling import (
    DatagramSignalling,
    MessageObserver,
    Networks,
    StreamSignallingFactory,
    allowed,
)
from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.uri import SIPURI

DEFAULT_PORT = 5060
"""RFC 3261 section 19.1.2."""

CONNECT_SECONDS = 5.0
"""A PBX stands on the same network; one that has not answered by then will not."""


@implementer(IChannelFinder)
class PBXTransports:
    """
    Everything that carries SIP to and from one PBX.

    @ivar listening: the addresses bound, with the ports the system gave.
    """

    def __init__(
        self,
        reactor: Any,
        clock: IReactorTime,
        token: Callable[[], str],
        listen: Sequence[TransportAddress],
        address: TransportAddress,
        allow: Networks,
        observer: MessageObserver | None = None,
    ) -> None:
        """
        @param reactor: TCP and UDP.
        @param listen: where we listen, literal; the first of a transport also sends.
        @param address: where the PBX takes calls.
        @param allow: who is heard.
        """
        self._reactor = reactor
        self._listen = tuple(listen)
        self._address = address
        self._allow = allow
        self._datagrams: list[DatagramSignalling] = []
        self._ports: list[IListeningPort] = []
        self.listening: tuple[TransportAddress, ...] = ()
        self._clock = clock
        self._token = token
        self._observer = observer
        self._streams: StreamSignallingFactory | None = None

    @property
    def strangers(self) -> int:
        """Datagrams and connections of others than C{allow}, dropped silently."""
        connections = 0 if self._streams is None else self._streams.strangers
        return connections + sum(each.dropped["stranger"] for each in self._datagrams)

    @property
    def malformed(self) -> int:
        """Messages that were none."""
        streams = 0 if self._streams is None else self._streams.reception.malformed
        return streams + sum(each.reception.malformed for each in self._datagrams)

    def listen(self, transactions: ITransactions) -> None:
        """
        Bind every address.

        @param transactions: take what is received.
        @raise CannotListenError: one is taken, or not ours; none stays bound.
        """
        bound = []
        token, allow, observer = self._token, self._allow, self._observer
        self._streams = StreamSignallingFactory(
            transactions, self._clock, token, transport="TCP", allow=allow, observer=observer
        )
        try:
            for address in self._listen:
                if address.transport == "UDP":
                    datagrams = DatagramSignalling(transactions, token, allow=allow, observer=observer)
                    port = self._reactor.listenUDP(
                        address.port,
                        datagrams,
                        interface=address.host,
                        maxPacketSize=DatagramSignalling.LARGEST,
                    )
                    self._datagrams.append(datagrams)
                else:
                    port = self._reactor.listenTCP(address.port, self._streams, interface=address.host)
                self._ports.append(port)
                bound.append(TransportAddress(address.transport, address.host, port.getHost().port))
        except Exception:
            self.stop()
            raise
        self.listening = tuple(bound)

    def stop(self) -> Deferred[None]:
        """Close all of it; fires when every port is free again."""
        if self._streams is not None:
            for channel in tuple(self._streams.channels):
                channel.close()
        ports, self._ports = self._ports, []
        self._datagrams = []
        waiting = [maybeDeferred(port.stopListening) for port in ports]
        return DeferredList(waiting).addCallback(lambda _: None)

    def find(self, uri: SIPURI) -> Deferred[IMessageChannel]:
        """
        The PBX's next hop: C{maddr}, else a literal host; a name, or a host that may not call us,
        stands for the configured address.
        """
        host = uri.maddr or uri.host
        port = uri.port or DEFAULT_PORT
        if not _isLiteral(host) or not allowed(host, self._allow):
            host, port = self._address.host, self._address.port
        transport = (uri.transport or self._address.transport).upper()
        if transport == "UDP":
            return self._findDatagram(host, port)
        return self._findStream(host, port)

    def _findDatagram(self, host: str, port: int) -> Deferred[IMessageChannel]:
        family = ip_address(host).version
        for datagrams in self._datagrams:
            if ip_address(datagrams.localAddress.host).version == family:
                return succeed(datagrams.channel(host, port))
        return fail(NoTarget(f"udp:{host}:{port}: no UDP address of this family is in listen"))

    def _findStream(self, host: str, port: int) -> Deferred[IMessageChannel]:
        if self._streams is None:
            return fail(NoTarget("not listening"))
        for channel in self._streams.channels:
            # Connections are reused: ours by their far port, the PBX's own by its host.
            if channel.peer.host == host:
                return succeed(channel)
        endpoint = HostnameEndpoint(self._reactor, host, port, timeout=CONNECT_SECONDS)
        connected: Deferred[Any] = endpoint.connect(self._streams)

        def failed(failure: Failure) -> Failure:
            return Failure(NoTarget(f"tcp:{host}:{port}: {failure.getErrorMessage()}"))

        return connected.addErrback(failed)


def _isLiteral(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
