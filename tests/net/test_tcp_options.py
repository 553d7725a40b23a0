"""Tests of L{skypetrunk.net.tcp_options}: what the kernel is asked, on sockets that are not connected."""

from __future__ import annotations

import socket

from twisted.internet.protocol import Factory, Protocol
from twisted.internet.tcp import Connection
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.net.certificates import loadTrustRoots
from skypetrunk.net.identity import IdentityPolicy
from skypetrunk.net.tcp_options import watchPeer
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
        """A dead peer is found in 90 s, or 30 s after something was sent to it."""
        self.assertTrue(handle.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        for name, value in (
            ("TCP_NODELAY", 1),
            ("TCP_KEEPIDLE", 60),
            ("TCP_KEEPINTVL", 10),
            ("TCP_KEEPCNT", 3),
            ("TCP_USER_TIMEOUT", 30000),
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
