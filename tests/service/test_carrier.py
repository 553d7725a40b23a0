"""Tests of L{skypetrunk.service.carrier}: when a trunk is up, and how it learns that its carrier is gone."""

from __future__ import annotations

from tests.service.carriernet import CarrierCase


class PromiseTests(CarrierCase):
    """Pings (RFC 5626 section 4.4.1) over the connection of a registration."""

    def setUp(self) -> None:
        """Registering."""
        super().setUp()
        self.start()

    def silent(self) -> None:
        """From now on the carrier hears nothing: a router has forgotten the connection."""
        self.network.deafen()

    def test_flowTimer(self) -> None:
        """A registrar that names a Flow-Timer is believed: no pong in 10 s, and the trunk registers anew."""
        self.grants(("Flow-Timer", "30"))
        self.assertTrue(self.trunk.side.up)
        self.reactor.network.advance(60)
        self.assertEqual(len(self.connections), 1)
        self.silent()
        self.network.advance(27)
        self.network.advance(10)
        self.assertFalse(self.trunk.side.up)
        self.network.advance(1)
        self.assertEqual(len(self.requests("REGISTER")), 2)
        self.grants()
        self.assertTrue(self.trunk.side.up)

    def test_noPromise(self) -> None:
        """Another registrar's silence proves nothing."""
        self.grants()
        self.silent()
        for _ in range(10):
            self.network.advance(105)
        self.assertTrue(self.trunk.side.up)
