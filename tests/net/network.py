"""
A network in memory: real Twisted TLS and real OpenSSL over L{iosim}'s transports.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.test.iosim import FakeTransport, IOPump
from zope.interface import implementer

CLIENT = IPv4Address("TCP", "192.0.2.99", 40000)


class Listener(Protocol):
    """Keeps what it hears; says C{answer} to each piece, if there is one."""

    answer = b""

    def __init__(self, heard: list[bytes]) -> None:
        self.heard = heard
        self.lost = False

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self.heard.append(data)
        if self.answer and self.transport is not None:
            self.transport.write(self.answer)

    def connectionLost(self, reason: object = None) -> None:
        """Remember it."""
        self.lost = True


class Listeners(Factory):
    """
    Builds L{Listener}s.

    @ivar heard: everything that any of them heard.
    """

    noisy = False

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.protocols: list[Listener] = []

    def buildProtocol(self, addr: object) -> Listener:
        """One more."""
        self.protocols.append(Listener(self.heard))
        return self.protocols[-1]


@implementer(IStreamClientEndpoint)
class _MemoryEndpoint:
    def __init__(self, network: MemoryNetwork, address: tuple[str, int]) -> None:
        self._network = network
        self._address = address

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        return self._network.connect(self._address, protocolFactory)


class MemoryNetwork:
    """
    Servers by address.

    @ivar pumps: one for each connection ever made, oldest first.
    @ivar attempts: addresses that somebody tried, in order.
    @ivar hanging: attempts at addresses that never answer.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.pumps: list[IOPump] = []
        self.attempts: list[tuple[str, int]] = []
        self.hanging: list[Deferred[IProtocol]] = []
        self._servers: dict[tuple[str, int], Callable[[], IProtocol | None]] = {}
        self._silent: set[tuple[str, int]] = set()

    def listen(self, host: str, port: int, factory: IProtocolFactory) -> None:
        """Start a plain server."""

        self._servers[host, port] = lambda: factory.buildProtocol(CLIENT)

    def listenTLS(self, host: str, port: int, options: CertificateOptions, factory: IProtocolFactory) -> None:
        """Start a server that speaks TLS."""
        self.listen(host, port, TLSMemoryBIOFactory(options, False, factory, self.clock))

    def unlisten(self, host: str, port: int) -> None:
        """Stop a server; its connections stay."""
        del self._servers[host, port]

    def blackhole(self, host: str, port: int) -> None:
        """An address that never answers a SYN."""
        self._silent.add((host, port))

    def endpoint(self, host: str, port: int) -> IStreamClientEndpoint:
        """The way to an address."""
        return _MemoryEndpoint(self, (host, port))

    def connect(self, address: tuple[str, int], factory: IProtocolFactory) -> Deferred[IProtocol]:
        """See L{IStreamClientEndpoint.connect}."""
        self.attempts.append(address)
        if address in self._silent:
            self.hanging.append(Deferred())
            return self.hanging[-1]
        if address not in self._servers:
            return fail(ConnectionRefusedError("refused"))
        factory.doStart()
        peer = IPv4Address("TCP", *address)
        server = self._servers[address]()
        if server is None:
            return fail(ConnectionRefusedError("closed without a word"))
        client = factory.buildProtocol(peer)
        assert client is not None
        # Each connection leaves from a port of its own.
        own = IPv4Address("TCP", CLIENT.host, CLIENT.port + len(self.pumps))
        serverIO = FakeTransport(server, isServer=True, hostAddress=peer, peerAddress=own)
        clientIO = FakeTransport(client, isServer=False, hostAddress=own, peerAddress=peer)
        self.pumps.append(IOPump(client, server, clientIO, serverIO, False, clock=self.clock))
        server.makeConnection(serverIO)
        client.makeConnection(clientIO)
        return succeed(client)

    def flush(self) -> None:
        """Carry everything that is under way."""
        while any([pump.flush() for pump in self.pumps]):
            pass

    def advance(self, seconds: float) -> None:
        """Let time pass, then carry everything."""
        self.clock.advance(seconds)
        self.flush()

    def deafen(self, index: int = -1) -> None:
        """The server of a connection hears nothing any more."""
        self.pumps[index].serverIO.bufferReceived = lambda data: None

    def closed(self, index: int = -1) -> bool:
        """Whether the client's end of a connection was torn down."""
        return bool(self.pumps[index].clientIO.disconnecting)
