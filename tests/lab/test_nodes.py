"""The nodes of the practice carrier."""

from __future__ import annotations

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.lab.nodes import NodeSignallingFactory
from skypetrunk.net.signalling import MOST_CONNECTIONS
from tests.net.test_signalling import RecordingTransactions


class ConnectionsTests(SynchronousTestCase):
    """A PBX has a handful of connections, a carrier one or two for each of its customers."""

    def test_many(self) -> None:
        """More trunks than a PBX may have connections are served at a time, all from one host."""
        clock = Clock()
        factory = NodeSignallingFactory(RecordingTransactions(), clock, lambda: "token", transport="TLS")
        for number in range(4 * MOST_CONNECTIONS):
            peer = IPv4Address("TCP", "127.0.0.1", 1024 + number)
            factory.buildProtocol(peer).makeConnection(StringTransport(peerAddress=peer))
        self.assertEqual((len(factory.channels), factory.crowded), (4 * MOST_CONNECTIONS, 0))
