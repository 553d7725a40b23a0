"""Tests of L{skypetrunk.service.carrier}: when a trunk is up, and how it learns that its carrier is gone."""

from __future__ import annotations

from twisted.internet.defer import Deferred

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


class OptionsTests(CarrierCase):
    """A carrier that knows the trunk by its address: OPTIONS (RFC 3261 section 11) shows that it lives."""

    profile = "register = false"

    def setUp(self) -> None:
        """Connected, and OPTIONS sent."""
        super().setUp()
        self.start()

    def assertUp(self, up: bool, problem: str | None = None) -> None:
        """The trunk takes calls, or not, and says why."""
        status = self.trunk.status()
        self.assertEqual((self.trunk.side.up, status["up"], status["problem"]), (up, up, problem))

    def test_request(self) -> None:
        """From the account to the domain, over the connection, each minute."""
        (request,) = self.requests("OPTIONS")
        self.assertEqual(request.uri, "sip:carrier.example")
        self.assertEqual(str(request.fromAddress.uri), "sip:account@carrier.example")
        self.assertEqual(str(request.contacts[0].uri), "sip:account@192.0.2.99:40000;transport=tls")
        self.answers(200)
        self.network.advance(59)
        self.assertEqual(len(self.requests("OPTIONS")), 1)
        self.network.advance(1)
        self.assertEqual(len({each.callID for each in self.requests("OPTIONS")}), 2)

    def test_anyAnswer(self) -> None:
        """Up as soon as it has answered, whatever it said, and not before."""
        for status in (200, 404, 405, 401, 500):
            self.setUp()
            self.assertUp(False)
            self.answers(status)
            self.assertUp(True)
            self.network.advance(60)
            self.assertUp(True)

    def test_503(self) -> None:
        """503: it lives, but takes no calls; nor does the trunk, until another answer."""
        self.answers(503)
        self.assertUp(False, "OPTIONS is answered 503")
        self.network.advance(60)
        self.answers(200)
        self.assertUp(True)
        self.network.advance(60)
        self.answers(503)
        self.assertUp(False, "OPTIONS is answered 503")
        self.assertEqual(len(self.connections), 1)

    def test_silence(self) -> None:
        """No answer until timer F: the connection is condemned, and a new one has to be answered."""
        self.answers(200)
        self.network.deafen()
        self.network.advance(60)
        self.network.advance(31.9)
        self.assertUp(True)
        self.network.advance(0.2)
        self.assertFalse(self.trunk.side.up)
        self.network.advance(1)
        self.assertEqual(len(self.requests("OPTIONS")), 2)
        self.assertUp(False, "OPTIONS is not answered")
        self.answers(200)
        self.assertUp(True)

    def test_lost(self) -> None:
        """A connection that ends takes the state with it; an answer that comes too late changes nothing."""
        self.answers(200)
        self.network.advance(60)
        self.connections[0].abort("restarting")
        self.network.flush()
        self.assertFalse(self.trunk.side.up)
        self.network.advance(1)
        self.assertUp(False)
        self.answers(200)
        self.assertUp(True)

    def test_stop(self) -> None:
        """Nothing is asked any more."""
        self.answers(200)
        stopping = Deferred.fromCoroutine(self.trunk.stop())
        self.network.flush()
        self.successResultOf(stopping)
        self.network.advance(600)
        self.assertFalse(self.trunk.side.up)
        self.assertEqual(len(self.requests("OPTIONS")), 1)


class BothTests(CarrierCase):
    """Registration and OPTIONS together."""

    profile = "options_interval = 30"

    def test_both(self) -> None:
        """Up needs both."""
        self.start()
        register, options = self.carrier.transactions
        self.assertEqual(options.request.method, "OPTIONS")
        self.answers(200)
        self.assertFalse(self.trunk.side.up)
        self.carrier.transactions[-1] = register
        self.grants()
        self.assertTrue(self.trunk.side.up)
        self.network.advance(30)
        self.answers(503)
        self.assertFalse(self.trunk.side.up)
        self.assertEqual(self.trunk.status()["problem"], "OPTIONS is answered 503")


class NeitherTests(CarrierCase):
    """Nothing is asked of the carrier."""

    profile = "register = false\noptions_interval = 0"

    def test_neither(self) -> None:
        """Up as soon as the verified connection stands."""
        self.start()
        self.assertTrue(self.trunk.side.up)
        self.network.advance(3600)
        self.assertEqual(self.carrier.transactions, [])
