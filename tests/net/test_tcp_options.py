"""Tests of L{skypetrunk.net.tcp_options}: what the kernel is asked, and when it sends."""

from __future__ import annotations

import gc
import socket
from weakref import ref

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.tcp import Connection
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.net.certificates import loadTrustRoots
from skypetrunk.net.identity import IdentityPolicy
from skypetrunk.net.tcp_options import MOST_WAITING, sendAtOnce, watchPeer
from skypetrunk.net.tls import ClientTLS
from tests.net.certificates import authority


class WatchPeerTests(SynchronousTestCase):
    """L{watchPeer}."""

    def connection(self) -> tuple[socket.socket, Connection]:
        """A TCP transport, and its socket."""
        handle = socket.socket()
        self.addCleanup(handle.close)
        return handle, Connection(handle, Protocol(), MemoryReactorClock())

    def assertWatched(self, handle: socket.socket) -> None:
        """A dead peer is found in 70 s, or 9 s after something was sent to it."""
        self.assertTrue(handle.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        for name, value in (
            ("TCP_NODELAY", 1),
            ("TCP_KEEPIDLE", 60),
            ("TCP_KEEPINTVL", 10),
            ("TCP_KEEPCNT", 3),
            ("TCP_USER_TIMEOUT", 9000),
        ):
            option = getattr(socket, name, None)
            if option is not None:
                self.assertEqual(handle.getsockopt(socket.IPPROTO_TCP, option), value, name)

    def test_tcp(self) -> None:
        """A TCP connection."""
        handle, transport = self.connection()
        watchPeer(transport)
        self.assertWatched(handle)

    def test_tls(self) -> None:
        """TLS over one, whose own handle is OpenSSL's."""
        handle, transport = self.connection()
        tls = ClientTLS("carrier.example", loadTrustRoots(authority().pem), IdentityPolicy())

        factory = TLSMemoryBIOFactory(tls._options, True, Factory.forProtocol(Protocol), MemoryReactorClock())
        secured = factory.buildProtocol(None)
        assert secured is not None
        secured.makeConnection(transport)
        watchPeer(secured)
        self.assertWatched(handle)

    def test_others(self) -> None:
        """What is no TCP connection is left alone."""
        watchPeer(None)
        watchPeer(StringTransport())


class SendAtOnceTests(SynchronousTestCase):
    """L{sendAtOnce}."""

    def setUp(self) -> None:
        """A connection, and its peer."""
        handle, self.peer = socket.socketpair()
        self.handle = handle
        for each in (handle, self.peer):
            self.addCleanup(each.close)
            each.setblocking(False)
        self.reactor = MemoryReactorClock()
        self.transport = Connection(handle, Protocol(), self.reactor)
        self.transport.connected = 1
        sendAtOnce(self.transport)

    def assertHeard(self, wanted: bytes) -> None:
        """This, and no more, has come to the peer."""
        heard = b""
        try:
            while piece := self.peer.recv(1 << 20):
                heard += piece
        except BlockingIOError:
            pass
        self.assertEqual((len(heard), heard == wanted), (len(wanted), True))

    def test_atOnce(self) -> None:
        """It is sent without a turn of the reactor."""
        self.transport.write(b"one")
        self.transport.write(b"two")
        self.assertHeard(b"onetwo")
        self.assertEqual(self.reactor.getWriters(), [])

    def test_noRoom(self) -> None:
        """What finds no room waits in Twisted's buffer, and so does all that comes after it."""
        much = bytes(1 << 22)
        self.transport.write(much)
        self.assertEqual(self.reactor.getWriters(), [self.transport])
        heard = b""
        self.transport.write(b"after it")
        while self.reactor.getWriters():
            heard += self.peer.recv(1 << 20)
            self.assertIsNone(self.transport.doWrite())
        try:
            while piece := self.peer.recv(1 << 20):
                heard += piece
        except BlockingIOError:
            pass
        self.assertEqual((len(heard), heard[-8:]), (len(much) + 8, b"after it"))
        self.transport.write(b"at once again")
        self.assertHeard(b"at once again")

    def test_doesNotRead(self) -> None:
        """What waits for a peer that reads nothing, or less than it is sent, has a bound."""
        peer = IPv4Address("TCP", "192.0.2.1", 5060)
        self.transport.getPeer = lambda: peer  # type: ignore[method-assign]
        piece = bytes(1 << 20)
        for _ in range(MOST_WAITING // len(piece)):
            self.transport.write(piece)
        self.transport.doWrite()
        self.reactor.advance(0)
        self.assertFalse(self.transport.disconnected)
        self.transport.write(piece)
        self.transport.write(piece)
        self.reactor.advance(0)
        self.assertTrue(self.transport.disconnected)

    def test_lost(self) -> None:
        """A connection that is lost is for Twisted to find, in the reactor's next turn."""
        self.peer.close()
        self.transport.write(b"nobody is there")
        self.assertEqual(self.reactor.getWriters(), [self.transport])
        self.assertIsInstance(self.transport.doWrite(), ConnectionLost)

    def test_closing(self) -> None:
        """What is written to a connection that ends is sent before the end."""
        self.transport.loseConnection()
        self.transport.write(b"last words")
        self.assertIsInstance(self.transport.doWrite(), ConnectionDone)
        self.assertHeard(b"last words")

    def test_aborted(self) -> None:
        """Nothing is sent over a connection that was given up: who wrote it is told that it was lost."""
        self.transport.abortConnection()
        self.transport.write(b"too late")
        self.assertHeard(b"")
        self.assertIsNone(self.transport.doWrite())
        self.assertHeard(b"")

    def test_others(self) -> None:
        """What is no TCP connection is left alone."""
        sendAtOnce(None)
        transport = StringTransport()
        sendAtOnce(transport)
        transport.write(b"as ever")
        self.assertEqual(transport.value(), b"as ever")

    def test_forgotten(self) -> None:
        """One that is over is gone at once, without a garbage collector."""
        gc.disable()
        self.addCleanup(gc.enable)
        self.transport.write(b"one")
        self.transport.connectionLost(Failure(ConnectionDone()))
        left = ref(self.transport)
        del self.transport
        self.assertIsNone(left())
