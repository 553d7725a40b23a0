"""A reactor whose clock is driven by the test and whose datagrams stay in memory."""

from __future__ import annotations

from collections.abc import Callable
from errno import ENETUNREACH

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import Clock


class MemoryUDPPort:
    """One bound port: the transport of its protocol."""

    def __init__(self, network: MemoryNetwork, protocol: DatagramProtocol, address: tuple[str, int]) -> None:
        self._network = network
        self._protocol = protocol
        self._address = address

    def getHost(self) -> IPv4Address:
        """The bound address."""
        return IPv4Address("UDP", *self._address)

    def write(self, datagram: bytes, addr: tuple[str, int]) -> None:
        """Send to another port of the network, after its delay."""
        if self._network.unreachable:
            raise OSError(ENETUNREACH, "Network is unreachable")
        self._network.sent.append((self._address, addr, datagram))
        self._network.callLater(self._network.delay, self._network.deliver, datagram, self._address, addr)

    def received(self, datagram: bytes, source: tuple[str, int]) -> None:
        """Hand a datagram to the protocol."""
        self._protocol.datagramReceived(datagram, source)

    def stopListening(self) -> Deferred[None]:
        """Unbind."""
        self._network.ports.pop(self._address, None)
        self._protocol.doStop()
        return succeed(None)


class MemoryNetwork(Clock):
    """
    Time and UDP on one machine.

    @ivar sent: every datagram: source, destination, octets.
    @ivar lose: asked for each datagram whether it gets lost.
    @ivar unreachable: there is no way to anybody.
    """

    delay = 0.001
    unreachable = False

    def __init__(self) -> None:
        super().__init__()
        self.ports: dict[tuple[str, int], MemoryUDPPort] = {}
        self.sent: list[tuple[tuple[str, int], tuple[str, int], bytes]] = []
        self.lose: Callable[[bytes], bool] = lambda datagram: False
        self._next = 20000
        self._bound: set[DatagramProtocol] = set()

    def listenUDP(
        self, port: int, protocol: DatagramProtocol, interface: str = "", maxPacketSize: int = 8192
    ) -> MemoryUDPPort:
        """Bind, as L{twisted.internet.interfaces.IReactorUDP} says; 0 takes the next number."""
        while port == 0:
            if (interface, self._next) not in self.ports:
                port = self._next
            self._next += 1
        address = (interface, port)
        if address in self.ports:
            raise CannotListenError(interface, port, OSError("in use"))
        # A real port closes later than it is asked to: its protocol cannot be bound again at once
        assert protocol not in self._bound
        self._bound.add(protocol)
        bound = MemoryUDPPort(self, protocol, address)
        self.ports[address] = bound
        protocol.makeConnection(bound)  # type: ignore[arg-type]  # all of IUDPTransport that is used
        return bound

    def deliver(self, datagram: bytes, source: tuple[str, int], destination: tuple[str, int]) -> None:
        """A datagram arrives, if somebody is there."""
        if destination in self.ports and not self.lose(datagram):
            self.ports[destination].received(datagram, source)

    def run(self, seconds: float) -> None:
        """Let time pass in steps of a millisecond."""
        self.pump([0.001] * round(seconds * 1000))
