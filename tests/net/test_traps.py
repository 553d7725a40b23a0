"""Traps of TLS and connections that makers of such clients fell into."""

from __future__ import annotations

from skypetrunk.errors import PeerNotVerified
from tests.net.certificates import dns, leaf
from tests.net.test_flows import DOMAIN, FlowsTestCase


class TrapTests(FlowsTestCase):
    """One test for each trap; L4 is in C{tests/service/test_carrier.py}."""

    def setUp(self) -> None:
        """A flow that stands, and an edge beside it."""
        super().setUp()
        self.serve("192.0.2.1")
        self.serve("192.0.2.3")
        self.start()

    def serverName(self) -> bytes | None:
        """SNI of the last connection, as the server saw it."""
        name: bytes | None = self.network.pumps[-1].server.getHandle().get_servername()
        return name

    def test_L3_literalHop(self) -> None:
        """
        A carrier that record-routes itself by a literal address: the name taken from there failed against the
        certificate.  Every hop of a trunk is asked for, and has to prove, the trunk's domain.
        """
        for hop in ("sip:192.0.2.3:5061;transport=tls;lr", "sip:c.carrier.example;lr"):
            channel = self.successResultOf(self.find(hop))
            self.assertEqual((channel.peer.host, channel.secure), ("192.0.2.3", True))
            self.assertEqual(self.serverName(), DOMAIN.encode())

    def test_L3_noOtherName(self) -> None:
        """A certificate for the address, or for the name of the hop, proves nothing."""
        self.serve("192.0.2.4", issued=leaf(dns("192.0.2.4", "d.carrier.example")))
        self.resolver.zone["d.carrier.example"] = [("A", "192.0.2.4")]
        for hop in ("sip:192.0.2.4;lr", "sip:d.carrier.example;lr"):
            problem = self.failureResultOf(self.find(hop), PeerNotVerified).value
            self.assertIn(f"URI sip:{DOMAIN}", str(problem))

    def test_L5_pingIsDouble(self) -> None:
        """
        A single CRLF is a pong (RFC 5626 section 3.5.1), and made the peer close sooner.  The ping is the
        double one, and single ones that come for it are understood as its pongs, time after time.
        """
        self.flows.pingsAnswered(None)
        listener = self.listeners.protocols[0]
        for number in range(1, 6):
            self.network.advance(105)
            self.assertEqual(self.listeners.heard, [b"\r\n\r\n"] * number)
            assert listener.transport is not None
            listener.transport.write(b"\r\n")
            self.network.flush()
        self.network.advance(90)
        self.assertEqual(self.events, ["up tls:192.0.2.1:5061"])
        self.assertEqual(self.transactions.received, [])

    def test_L5_pongIsSingle(self) -> None:
        """The answer to the carrier's ping is a single CRLF, however the ping was cut."""
        listener = self.listeners.protocols[0]
        assert listener.transport is not None
        for pieces in ((b"\r\n\r\n",), (b"\r\n", b"\r\n"), (b"\r", b"\n\r", b"\n")):
            for piece in pieces:
                listener.transport.write(piece)
                self.network.flush()
            self.assertEqual(self.listeners.heard.pop(), b"\r\n")
            self.assertEqual(self.listeners.heard, [])
