"""Tests of L{skypetrunk.service.carrier}: when a trunk is up, and how it learns that its carrier is gone."""

from __future__ import annotations

from itertools import count
from typing import Any

from twisted.internet.defer import Deferred

from skypetrunk.core.authentication import Authentication
from skypetrunk.core.request_client import RequestClient
from skypetrunk.errors import ChannelFailed
from skypetrunk.service.ways import REDIAL_SECONDS
from skypetrunk.testing import countingToken
from skypetrunk.wire.uri import SIPURI, parseURI
from tests.core.messages import outgoing
from tests.service.carriernet import ADDRESS, DOMAIN, CarrierCase


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


class NoPongTests(CarrierCase):
    """A registrar that leaves pings unanswered is asked by OPTIONS (RFC 3261 section 11) instead."""

    def setUp(self) -> None:
        """Registered, and the first ping was not answered."""
        super().setUp()
        self.start()
        self.grants()
        self.withoutPongs()
        self.network.advance(105)
        self.assertEqual(self.requests("OPTIONS"), [])
        self.network.advance(10)

    def withoutPongs(self) -> None:
        """The carrier's newest connection knows nothing of pings."""
        channel = self.connections[-1]
        write = channel._write
        self.patch(channel, "_write", lambda data: data == b"\r\n" or write(data))

    def test_condemned(self) -> None:
        """Once it has answered, whatever it said, its silence costs the connection."""
        for status in (200, 405, 503):
            self.setUp()
            self.assertTrue(self.trunk.side.up)
            self.answers(status)
            self.network.advance(60)
            self.assertEqual(len(self.requests("OPTIONS")), 2)
            self.assertTrue(self.trunk.side.up)
            self.answers(status)
            self.network.deafen()
            self.network.advance(60)
            self.network.advance(32)
            self.assertFalse(self.trunk.side.up)
            self.network.advance(2)
            self.grants()
            self.assertTrue(self.trunk.side.up)

    def test_neverAnswers(self) -> None:
        """A carrier that answers no OPTIONS is asked once for each connection, and kept."""
        self.network.advance(32)
        for _ in range(10):
            self.network.advance(105)
        self.assertEqual(len(self.requests("OPTIONS")), 1)
        self.assertTrue(self.trunk.side.up)
        self.connections[0].abort("gone")
        self.network.flush()
        self.network.advance(2)
        self.withoutPongs()
        self.grants()
        self.network.advance(105)
        self.network.advance(10)
        self.assertEqual(len(self.requests("OPTIONS")), 2)

    def test_ended(self) -> None:
        """Nothing is asked after the end."""
        self.answers(200)
        stopped = Deferred.fromCoroutine(self.trunk.stop())
        self.network.flush()
        self.answers(200)
        self.network.flush()
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class ServiceRouteTests(CarrierCase):
    """The route that calls take belongs to the registration (RFC 3608)."""

    ROUTE = ("Service-Route", "<sip:inner.carrier.example;lr>")

    @property
    def route(self) -> list[str]:
        """By which a call would leave now."""
        return [str(each) for each in self.trunk.side.serviceRoute]

    def test_learned(self) -> None:
        """With each answer anew; a refusal leaves it as long as what was granted holds."""
        self.start()
        self.assertEqual(self.route, [])
        self.grants(self.ROUTE, seconds=600)
        self.assertEqual(self.route, [self.ROUTE[1]])
        self.network.advance(480)
        self.answers(500)
        self.assertEqual(self.route, [self.ROUTE[1]])
        self.network.advance(120)
        self.assertEqual((self.trunk.side.up, self.route), (False, []))

    def test_given_up(self) -> None:
        """An answer without it ends it."""
        self.start()
        self.grants(self.ROUTE)
        self.network.advance(3480)
        self.grants()
        self.assertEqual((self.trunk.side.up, self.route), (True, []))

    def test_lost(self) -> None:
        """Gone with the connection, and with the registration when the trunk stops."""
        self.start()
        self.grants(self.ROUTE)
        self.connections[0].abort("gone")
        self.network.flush()
        self.assertEqual(self.route, [])


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


class ProfileTests(CarrierCase):
    """What of the profile reaches the calls."""

    profile = "session_expires = 900\nmin_se = 600"

    def test_sessionTimer(self) -> None:
        """The session intervals."""
        self.assertEqual((self.trunk.side.sessionExpires, self.trunk.side.leastExpires), (900, 600))


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


class RefusedTests(CarrierCase):
    """503: the server is passed over, for as long as it says."""

    profile = "options_interval = 30"

    def held(self) -> list[tuple[str, float]]:
        """Why it is passed over, and for how long."""
        targets: Any = self.trunk.status()["targets"]
        return [(each["reason"], each["penalty"]) for each in targets]

    def test_register(self) -> None:
        """REGISTER."""
        self.start()
        self.carrier.transactions.pop()
        self.assertEqual(self.held(), [])
        self.answers(503, ("Retry-After", "120 (soon)"))
        self.assertEqual(self.held(), [("REGISTER is answered 503 Service Unavailable", 120.0)])
        self.assertIsNotNone(self.trunk.flows.current())

    def test_registerOtherwise(self) -> None:
        """Another refusal says nothing of the server."""
        self.start()
        self.carrier.transactions.pop()
        self.answers(480)
        self.assertEqual(self.held(), [])

    def test_options(self) -> None:
        """OPTIONS, until it is answered otherwise."""
        self.start()
        self.answers(503)
        self.assertEqual(self.held(), [("OPTIONS is answered 503", 15.0)])
        self.network.advance(30)
        self.answers(404)
        self.assertEqual(self.held(), [])

    def test_silent(self) -> None:
        """No answer to either: the connection is dropped, and the table says why."""
        self.start()
        self.network.advance(32)
        self.assertEqual(self.held(), [("the registrar does not answer", 15.0)])


class NeitherTests(CarrierCase):
    """Nothing is asked of the carrier."""

    profile = "register = false\noptions_interval = 0"

    def test_neither(self) -> None:
        """Up as soon as the verified connection stands."""
        self.start()
        self.assertTrue(self.trunk.side.up)
        self.network.advance(3600)
        self.assertEqual(self.carrier.transactions, [])


class TrapTests(CarrierCase):
    """Traps that makers of such clients fell into, in the places where they bit."""

    profile = "register = false\noptions_interval = 0"

    def setUp(self) -> None:
        """Connected."""
        super().setUp()
        self.start()
        self.done: list[int] = []

    def send(self, method: str, nextHop: str = "sip:carrier.example") -> None:
        """A request within a dialog."""
        uri = parseURI(nextHop)
        assert isinstance(uri, SIPURI)
        request = outgoing(method, To="<sip:2000@carrier.example>;tag=theirs")
        side = self.trunk.side
        RequestClient(
            request,
            self.trunk.transactions,
            self.trunk,
            Authentication(side.credentials, countingToken()),
            count(request.cseq.number + 1).__next__,
            lambda status, response: self.done.append(status),
        ).start(uri)
        self.network.flush()

    def idleClose(self) -> None:
        """The edge closes the quiet connection: close_notify and FIN."""
        self.connections[0].close()
        self.network.flush()

    def test_L4_idleClose(self) -> None:
        """
        An edge closes a connection that was quiet for two minutes; a BYE written into it seemed to succeed
        and died at 32 s.  The end is seen, a write fails at once, the edge is dialled again.
        """
        old = self.successResultOf(self.trunk.find(self.uri))
        self.idleClose()
        self.assertIsNone(self.trunk.flows.current())
        self.assertRaises(ChannelFailed, old.send, outgoing("BYE"))
        self.send("BYE")
        self.assertEqual(self.requests("BYE"), [])
        self.network.advance(1)
        self.answers(200)
        self.assertEqual(self.done, [200])

    def test_L4_resend(self) -> None:
        """The close crosses the BYE: it is sent again over the new connection, with the next number."""
        self.send("BYE")
        self.idleClose()
        self.network.advance(1)
        self.assertEqual([each.cseq.number for each in self.requests("BYE")], [7, 8])
        self.answers(200)
        self.assertEqual(self.done, [200])

    def test_L4_routeSetEdge(self) -> None:
        """The edge of the route set is dialled at once, by its literal address."""
        self.idleClose()
        self.send("BYE", "sip:192.0.2.1:5061;transport=tls;lr")
        self.assertEqual(len(self.requests("BYE")), 1)
        self.assertEqual(self.network.attempts, [ADDRESS, ADDRESS])

    def test_L4_halfOpen(self) -> None:
        """No FIN came, as a router forgot the way: the missing pong ends it, and the BYE goes again."""
        self.trunk.flows.pingsAnswered(30)
        self.network.deafen()
        self.network.advance(20)
        self.send("BYE")
        self.assertEqual(self.requests("BYE"), [])
        self.network.advance(7)
        self.network.advance(10)
        self.network.advance(1)
        self.answers(200)
        self.assertEqual(self.done, [200])

    def test_L4_noEdge(self) -> None:
        """Where nobody answers the dialling the wait has an end."""
        self.network.unlisten(*ADDRESS)
        self.idleClose()
        self.send("BYE")
        self.network.advance(REDIAL_SECONDS - 0.1)
        self.assertEqual(self.done, [])
        self.network.advance(0.2)
        self.assertEqual(self.done, [503])

    def test_L4_stop(self) -> None:
        """So it has when the trunk stops."""
        self.network.unlisten(*ADDRESS)
        self.idleClose()
        self.send("BYE")
        stopping = Deferred.fromCoroutine(self.trunk.stop())
        self.network.flush()
        self.successResultOf(stopping)
        self.assertEqual(self.done, [503])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    @property
    def uri(self) -> SIPURI:
        """The trunk's domain."""
        return SIPURI("sip", None, None, DOMAIN)
