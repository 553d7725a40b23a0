"""The UDP port that knows how long a datagram waited, over real sockets on loopback."""

from __future__ import annotations

import socket
import sys
import time
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReactorFDSet
from twisted.internet.protocol import DatagramProtocol
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from skypetrunk.net.timed_port import BATCH, TimedPort, listenUDP


@implementer(IReactorFDSet)
class Readers:
    """What a port needs of a reactor."""

    def __init__(self) -> None:
        self.readers: list[Any] = []

    def addReader(self, reader: Any) -> None:
        """One more."""
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        """One less."""
        if reader in self.readers:
            self.readers.remove(reader)

    def addWriter(self, writer: Any) -> None:
        """Not needed."""

    def removeWriter(self, writer: Any) -> None:
        """Not needed."""

    def removeAll(self) -> list[Any]:
        """Not needed."""
        return []

    def getReaders(self) -> list[Any]:
        """Those that are read."""
        return self.readers

    def getWriters(self) -> list[Any]:
        """None."""
        return []

    def callLater(self, delay: float, call: Any) -> None:
        """Twisted's port closes in the next turn."""
        call()


class Heard(DatagramProtocol):
    """Keeps what it gets."""

    noisy = False

    def __init__(self) -> None:
        self.got: list[tuple[bytes, Any]] = []
        self.close: Any = None

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """One more."""
        self.got.append((datagram, addr))
        if self.close is not None:
            self.close()
        if datagram == b"broken":
            raise ZeroDivisionError


class TimedPortTests(SynchronousTestCase):
    """L{TimedPort} and L{listenUDP}."""

    def setUp(self) -> None:
        """A port, and a socket that sends to it."""
        self.reactor = Readers()
        self.heard = Heard()
        self.waited: list[float] = []
        self.port = self.listen("127.0.0.1")
        self.peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.peer.bind(("127.0.0.1", 0))
        self.addCleanup(self.peer.close)

    def listen(self, interface: str) -> TimedPort:
        """A port of the system's choice."""
        port = listenUDP(self.reactor, 0, self.heard, interface, 65536, self.waited.append)
        assert isinstance(port, TimedPort)
        self.addCleanup(lambda: port.connected and port.stopListening())
        return port

    def send(self, *datagrams: bytes) -> None:
        """From the peer."""
        for each in datagrams:
            self.peer.sendto(each, ("127.0.0.1", self.port.getHost().port))

    def test_heard(self) -> None:
        """What comes is handed on with its sender, and what goes is sent."""
        self.send(b"one", b"two")
        self.port.doRead()
        peer = self.peer.getsockname()
        self.assertEqual(self.heard.got, [(b"one", peer), (b"two", peer)])
        self.port.write(b"back", self.peer.getsockname())
        self.assertEqual(self.peer.recv(10), b"back")
        self.port.doRead()

    def test_waited(self) -> None:
        """How long they waited is told before they are handed on; it grows while nobody reads."""
        if sys.platform != "linux":
            return
        for _ in range(50):
            del self.waited[:]
            self.send(b"one")
            time.sleep(0.02)  # what the kernel notes is real time
            self.send(b"two")
            self.port.doRead()
            first, second = self.waited
            if first >= 0.02:
                # It begins to note times a while after it was asked to.
                break
        self.assertGreaterEqual(first, 0.02)
        self.assertLess(second, first)

    def test_batch(self) -> None:
        """One turn takes so many; the next one goes on."""
        self.send(*[b"x"] * (BATCH + 2))
        self.port.doRead()
        self.assertEqual(len(self.heard.got), BATCH)
        self.port.doRead()
        self.assertEqual(len(self.heard.got), BATCH + 2)

    def test_IPv6(self) -> None:
        """Addresses have two parts, as IPv4's."""
        self.port.stopListening()
        port = self.listen("::1")
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as peer:
            peer.bind(("::1", 0))
            peer.sendto(b"six", ("::1", port.getHost().port))
            port.doRead()
            self.assertEqual(self.heard.got, [(b"six", peer.getsockname()[:2])])

    def test_failure(self) -> None:
        """A protocol that raises is logged, and the next datagram is read."""
        self.send(b"broken", b"next")
        self.port.doRead()
        self.assertEqual(len(self.heard.got), 2)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_closedMeanwhile(self) -> None:
        """A port that its protocol closes is not read any more."""
        self.heard.close = self.port.stopListening
        self.send(b"one", b"two")
        self.port.doRead()
        self.assertEqual(len(self.heard.got), 1)
        self.assertEqual(self.reactor.readers, [])

    def test_taken(self) -> None:
        """A port that is taken is said to be."""
        number = self.port.getHost().port
        self.assertRaises(
            CannotListenError,
            listenUDP,
            self.reactor,
            number,
            Heard(),
            "127.0.0.1",
            100,
            self.waited.append,
        )

    def test_otherReactors(self) -> None:
        """A reactor without descriptors, and who does not ask, get the reactor's own port."""
        opened: list[int] = []

        class Reactor:
            def listenUDP(self, port: int, protocol: Any, interface: str, maxPacketSize: int) -> object:
                opened.append(port)
                return self

        listenUDP(Reactor(), 5060, Heard(), "127.0.0.1", 100, self.waited.append)
        listenUDP(Reactor(), 5061, Heard(), "127.0.0.1", 100, None)
        self.assertEqual(opened, [5060, 5061])
