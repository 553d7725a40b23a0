"""
Tests of L{skypetrunk.media.poller}.
"""

from __future__ import annotations

import select
import socket
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IReactorFDSet, IReactorUDP, IReadDescriptor
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from skypetrunk.media import poller
from skypetrunk.media.poller import REST, RESTS, Binder, Poller, boundSocket
from skypetrunk.media.settling import SettlingPoller, mediaReactor
from tests.media.doubles import MemoryNetwork


@implementer(IReactorFDSet)
class Readers:
    """
    The part of a reactor that a poller needs.

    @ivar readers: what it watches.
    """

    def __init__(self) -> None:
        self.readers: list[Any] = []

    def addReader(self, reader: Any) -> None:
        """Watch it."""
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        """Forget it."""
        self.readers.remove(reader)

    def addWriter(self, writer: Any) -> None:
        """Nothing is ever waited for."""

    def removeWriter(self, writer: Any) -> None:
        """Nothing was."""

    def removeAll(self) -> list[Any]:
        """Forget everything."""
        self.readers, before = [], self.readers
        return before

    def getReaders(self) -> list[Any]:
        """What is watched."""
        return self.readers

    def getWriters(self) -> list[Any]:
        """Nothing."""
        return []


class Heard(DatagramProtocol):
    """
    Keeps what it receives.

    @ivar closes: ports it closes when it receives something.
    """

    noisy = False

    def __init__(self) -> None:
        self.datagrams: list[tuple[bytes, tuple[str, int]]] = []
        self.closes: list[Any] = []

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        """Keep it."""
        self.datagrams.append((datagram, addr))
        while self.closes:
            self.closes.pop().stopListening()


class PollerTests(SynchronousTestCase):
    """Real sockets, turned by hand."""

    def setUp(self) -> None:
        """A poller with two ports, and a peer."""
        if not hasattr(select, "epoll"):
            self.skipTest("no epoll")
        self.readers = Readers()
        self.clock = Clock()
        self.rests: list[float] = []
        self.arriving: list[tuple[int, bytes]] = []
        self.poller = Poller(self.readers, self.clock, self.sleep)
        self.protocols = [Heard(), Heard()]
        self.ports: list[Any] = []
        for protocol in self.protocols:
            port = self.poller.listenUDP(0, protocol, "127.0.0.1", 100)
            self.addCleanup(port.stopListening)
            self.ports.append(port)
        self.peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.peer.close)
        self.peer.bind(("127.0.0.1", 0))

    def send(self, *datagrams: tuple[int, bytes]) -> None:
        """The peer sends to the ports of these places."""
        for place, datagram in datagrams:
            self.peer.sendto(datagram, ("127.0.0.1", self.ports[place].getHost().port))

    def sleep(self, seconds: float) -> None:
        """What is to come comes while it rests."""
        self.rests.append(seconds)
        self.send(*self.arriving)
        self.arriving = []

    def heard(self) -> list[list[bytes]]:
        """What each port has received."""
        return [[datagram for datagram, _ in protocol.datagrams] for protocol in self.protocols]

    def test_interfaces(self) -> None:
        """They are what they stand for."""
        self.assertTrue(verifyObject(IReactorUDP, self.poller))
        self.assertTrue(verifyObject(IReadDescriptor, self.poller))
        self.assertTrue(verifyObject(IListeningPort, self.ports[0]))
        self.assertTrue(verifyObject(IReactorFDSet, self.readers))

    def test_whereItCan(self) -> None:
        """A reactor that watches no descriptors keeps its own ports."""
        network = MemoryNetwork()
        self.assertIs(mediaReactor(network, Clock(), None), network)
        self.assertIs(type(mediaReactor(self.readers, Clock(), None)), SettlingPoller)  # type: ignore[arg-type]

    def test_oneOfEach(self) -> None:
        """A turn reads one datagram of each port that has any, with its source."""
        self.send((0, b"a"), (0, b"b"), (1, b"c"))
        self.poller.doRead()
        self.assertEqual(self.heard(), [[b"a"], [b"c"]])
        self.poller.doRead()
        self.assertEqual(self.heard(), [[b"a", b"b"], [b"c"]])
        self.assertEqual({source for _, source in self.protocols[0].datagrams}, {self.peer.getsockname()})
        self.poller.doRead()
        self.assertEqual(len(self.protocols[0].datagrams), 2)

    def frame(self, packets: int) -> None:
        """Ten milliseconds with so many packets, each read by itself."""
        for _ in range(packets):
            self.send((0, b"a"))
            self.poller.doRead()
        self.clock.advance(0.0101)
        self.poller.doRead()

    def test_flooded(self) -> None:
        """Where many come to few sockets there is no rest: what piles up there would be lost."""
        self.frame(100)
        self.send((0, b"a"))
        self.poller.doRead()
        self.assertEqual(self.rests, [])

    def test_rests(self) -> None:
        """Where many come it lets them gather: BUSY of them in a second are 40 in 10 ms."""
        self.patch(poller, "FLOOD", 10_000)
        self.frame(40)
        self.frame(40)
        self.send((0, b"a"))
        self.poller.doRead()
        self.assertEqual(self.rests, [])
        self.frame(40)  # 41 of them
        self.send((0, b"a"))
        self.poller.doRead()
        self.assertEqual(self.rests, [REST])

    def test_gathered(self) -> None:
        """What came while it rested is read in the same turn."""
        self.patch(poller, "FLOOD", 10_000)
        self.frame(41)
        before = len(self.protocols[0].datagrams)
        self.arriving = [(0, b"b"), (1, b"c")]
        self.send((0, b"a"))
        self.poller.doRead()
        self.assertEqual(self.heard()[0][before:], [b"a", b"b"])
        self.assertEqual(self.heard()[1], [b"c"])

    def test_turn(self) -> None:
        """It rests again while something comes, so many times; then the reactor has its turn."""
        self.patch(poller, "FLOOD", 10_000)
        self.frame(41)
        before = len(self.protocols[0].datagrams)
        self.send(*[(0, b"a")] * (RESTS + 2))
        self.poller.doRead()
        self.assertEqual(self.rests, [REST] * RESTS)
        self.assertEqual(len(self.protocols[0].datagrams) - before, RESTS + 1)

    def test_quietAgain(self) -> None:
        """No rest when nothing came, when few come, after a break, or after a change of the clock."""
        self.patch(poller, "FLOOD", 10_000)
        self.frame(41)
        self.poller.doRead()
        self.assertEqual(self.rests, [])
        self.frame(10)
        rested = len(self.rests)
        self.frame(10)
        self.assertEqual(len(self.rests), rested)
        for change in (2, -100):
            self.frame(41)
            self.clock.rightNow += change
            self.poller.doRead()
            self.rests.clear()
            self.send((0, b"a"))
            self.poller.doRead()
            self.assertEqual(self.rests, [])

    def test_longest(self) -> None:
        """No more of a datagram is read than was asked for."""
        self.send((0, bytes(200)))
        self.poller.doRead()
        self.assertEqual(self.heard(), [[bytes(100)], []])

    def test_closedMeanwhile(self) -> None:
        """A port that is closed by what another one receives in the same turn is not read."""
        for protocol, port in zip(self.protocols, reversed(self.ports), strict=True):
            protocol.closes = [port]
        self.send((0, b"a"), (1, b"b"))
        self.poller.doRead()
        self.assertEqual(sorted(map(len, self.heard())), [0, 1])

    def test_unforeseen(self) -> None:
        """A protocol that fails takes nothing from the others; it is told once."""
        for _ in range(2):
            self.protocols[0].closes, self.protocols[1].closes = [None], [None]
            self.send((0, b"a"), (1, b"b"))
            self.poller.doRead()
        self.assertEqual(self.heard(), [[b"a"] * 2, [b"b"] * 2])
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)

    def test_allClosed(self) -> None:
        """With the last port the poller leaves the reactor; the next one brings it back."""
        self.assertEqual(self.readers.readers, [self.poller])
        number = self.ports[0].getHost().port
        for port in self.ports:
            port.stopListening()
            port.stopListening()
            self.assertIsNone(self.protocols[self.ports.index(port)].transport)
        self.assertEqual(self.readers.readers, [])
        self.assertEqual(self.poller.fileno(), -1)
        again = self.poller.listenUDP(number, Heard(), "127.0.0.1")
        self.addCleanup(again.stopListening)
        self.assertEqual(self.readers.readers, [self.poller])

    def test_taken(self) -> None:
        """A port that is taken is said to be, and leaves nothing behind."""
        port = self.peer.getsockname()[1]
        error = self.assertRaises(CannotListenError, self.poller.listenUDP, port, Heard(), "127.0.0.1")
        self.assertEqual(error.port, port)
        self.ports[0].stopListening()
        self.ports[1].stopListening()
        self.assertEqual(self.readers.readers, [])

    def test_adopted(self) -> None:
        """A socket that was bound elsewhere is read, until it is closed here: there it is still open."""
        bound = boundSocket(0, "127.0.0.1")
        self.addCleanup(bound.close)
        protocol = Heard()
        adopted: Any = self.poller.adopt(bound.dup(), protocol, 100)
        self.peer.sendto(b"a", bound.getsockname())
        self.poller.doRead()
        self.assertEqual([datagram for datagram, _ in protocol.datagrams], [b"a"])
        adopted.stopListening()
        self.peer.sendto(b"b", bound.getsockname())
        assert self.poller._epoll is not None
        self.assertEqual(self.poller._epoll.poll(0), [])

    def test_binder(self) -> None:
        """It binds, says what is taken, and reads nothing."""
        binder, protocol = Binder(), Heard()
        self.assertTrue(verifyObject(IReactorUDP, binder))
        port: Any = binder.listenUDP(0, protocol, "127.0.0.1")
        number = port.getHost().port
        self.assertRaises(CannotListenError, binder.listenUDP, number, Heard(), "127.0.0.1")
        self.peer.sendto(b"a", ("127.0.0.1", number))
        self.assertEqual(port.getHandle().recvfrom(10), (b"a", self.peer.getsockname()))
        self.assertEqual(protocol.datagrams, [])
        port.stopListening()
        self.assertIsNone(protocol.transport)
        boundSocket(number, "127.0.0.1").close()
