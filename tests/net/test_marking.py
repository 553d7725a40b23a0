"""Tests of L{skypetrunk.net.marking}."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import reactor as globalReactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IReactorFDSet, IReactorTCP
from twisted.internet.protocol import ClientFactory, DatagramProtocol, Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactor
from twisted.trial.unittest import SynchronousTestCase, TestCase

from skypetrunk.net.marking import MarkingReactor, mark
from skypetrunk.net.timed_port import listenUDP

reactor: Any = globalReactor


def marked(handle: socket.socket) -> int:
    """The DSCP that the kernel writes for this socket."""
    if handle.family == socket.AF_INET:
        return handle.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) >> 2
    return handle.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS) >> 2


class MarkTests(TestCase):
    """Over sockets of one address."""

    host = "127.0.0.1"

    def setUp(self) -> None:
        """A reactor that marks, if there is such an address."""
        try:
            with socket.socket(self.family, socket.SOCK_DGRAM) as probe:
                probe.bind((self.host, 0))
        except OSError as error:
            self.skipTest(f"{self.host}: {error}")
        self.marking: Any = MarkingReactor(reactor, 24)

    @property
    def family(self) -> socket.AddressFamily:
        """Of the host."""
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    async def test_tcp(self) -> None:
        """Both ends of a connection: the one that is made, and the one that is accepted."""
        accepted: Deferred[Protocol] = Deferred()

        class Accepting(Factory):
            def buildProtocol(self, address: object) -> Protocol:
                protocol = Protocol()
                reactor.callLater(0, accepted.callback, protocol)
                return protocol

        port = self.marking.listenTCP(0, Accepting(), interface=self.host)
        self.addCleanup(port.stopListening)
        kind = TCP6ClientEndpoint if ":" in self.host else TCP4ClientEndpoint
        endpoint: Any = kind(self.marking, self.host, port.getHost().port)
        near = await endpoint.connect(Factory.forProtocol(Protocol))
        far = await accepted
        for protocol in (near, far):
            transport: Any = protocol.transport
            self.assertEqual(marked(transport.getHandle()), 24)
            self.addCleanup(transport.abortConnection)

    def test_udp(self) -> None:
        """Ports of the reactor and ours; what is received has the mark, as somebody else sees it."""
        option = "IP_RECVTOS" if self.family == socket.AF_INET else "IPV6_RECVTCLASS"
        level = socket.IPPROTO_IP if self.family == socket.AF_INET else socket.IPPROTO_IPV6
        with socket.socket(self.family, socket.SOCK_DGRAM) as observer:
            observer.bind((self.host, 0))
            observer.settimeout(5)
            observer.setsockopt(level, getattr(socket, option), 1)
            for waited in (None, lambda seconds: None):
                protocol = DatagramProtocol()
                port = listenUDP(self.marking, 0, protocol, self.host, 2000, waited)
                self.addCleanup(port.stopListening)
                port.write(b"x", observer.getsockname()[:2])
                _, ancillary, _, _ = observer.recvmsg(10, 100)
                ((seen, _, value),) = ancillary
                self.assertEqual((seen, value[0]), (level, 24 << 2))


class MarkIPv6Tests(MarkTests):
    """The same over IPv6."""

    host = "::1"


class ReactorTests(SynchronousTestCase):
    """What is between."""

    def test_rest(self) -> None:
        """It provides what its reactor provides, and does all else as that."""
        marking: Any = MarkingReactor(reactor, 24)
        self.assertEqual(IReactorFDSet.providedBy(marking), IReactorFDSet.providedBy(reactor))
        self.assertTrue(IReactorTCP.providedBy(marking))
        clock = Clock()
        mine: Any = MarkingReactor(clock, 24)
        self.assertEqual(mine.seconds(), 0.0)
        clock.advance(2.5)
        self.assertEqual((mine.seconds(), mine.rightNow), (2.5, 2.5))
        clock.advance(1)
        self.assertEqual((mine.seconds(), mine.rightNow), (3.5, 3.5))
        self.assertRaises(AttributeError, getattr, mine, "nothingOfTheKind")

    def test_nothing(self) -> None:
        """What has no socket is left alone, and so is what the system does not let us mark."""
        mark(None, 46)
        memory: Any = MarkingReactor(MemoryReactor(), 46)
        memory.listenTCP(5060, Factory())
        memory.connectTCP("192.0.2.1", 5060, ClientFactory())
        self.assertEqual((len(memory.tcpServers), len(memory.tcpClients)), (1, 1))
        closed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        closed.close()

        class Port:
            socket = closed

        mark(Port(), 46)
