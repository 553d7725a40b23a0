"""Tests of L{skypetrunk.net.flows}: one flow kept, others found, all of them verified."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.interfaces import IProtocol, IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver, MemoryReactorClock
from twisted.logger import LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skypetrunk.errors import ChannelFailed, NoTarget, PeerNotVerified
from skypetrunk.interfaces import IChannelFinder, IMessageChannel, Target
from skypetrunk.net.certificates import loadOwnCertificate, loadTrustRoots
from skypetrunk.net.dns_records import Records
from skypetrunk.net.flows import TrunkFlows
from skypetrunk.net.identity import IdentityPolicy
from skypetrunk.net.locate import Locator
from skypetrunk.net.signalling import StreamSignallingFactory
from skypetrunk.net.targets_endpoint import TargetsEndpoint, tlsConnector
from skypetrunk.net.tls import ClientTLS, TLSClientEndpoint
from skypetrunk.net.tls_server import tlsServerOptions
from skypetrunk.wire.message import parseMessage
from skypetrunk.wire.uri import SIPURI, parseURI
from tests.net.certificates import Issued, authority, dns, leaf
from tests.net.network import Listeners, MemoryNetwork
from tests.net.test_signalling import RecordingTransactions, options
from tests.net.zone import ZoneResolver, silence

DOMAIN = "carrier.example"
SRV = "_sips._tcp.carrier.example"
VECTORS = Path(__file__).parent.parent / "vectors" / "dns"


def uri(text: str) -> SIPURI:
    """A SIP URI."""
    parsed = parseURI(text)
    assert isinstance(parsed, SIPURI)
    return parsed


class FlowsTestCase(SynchronousTestCase):
    """A carrier with two servers, a.carrier.example before b.carrier.example."""

    def setUp(self) -> None:
        """Both are listed in DNS; neither listens yet."""
        self.clock = Clock()
        self.network = MemoryNetwork(self.clock)
        self.listeners = Listeners()
        self.transactions = RecordingTransactions()
        self.resolver = ZoneResolver(
            {
                SRV: [("SRV", 1, 0, 5061, "a.carrier.example"), ("SRV", 2, 0, 5062, "b.carrier.example")],
                "a.carrier.example": [("A", "192.0.2.1")],
                "b.carrier.example": [("A", "192.0.2.2")],
                "c.carrier.example": [("A", "192.0.2.3")],
            }
        )
        self.tls = ClientTLS(DOMAIN, loadTrustRoots(authority().pem), IdentityPolicy())
        self.events: list[str] = []
        self.log = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)  # type: ignore[arg-type]
        self.flows = self.makeFlows()

    def makeFlows(self) -> TrunkFlows:
        """The trunk's connections, with no jitter: 0.5 doubles to a factor of 1."""
        return TrunkFlows(
            DOMAIN,
            Locator(Records(self.resolver, self.clock), lambda highest: 0),
            self.connector,
            self.transactions,
            self.clock,
            lambda: "token",
            lambda: 0.5,
            up=lambda channel: self.events.append(f"up {channel.peer}"),
            down=lambda reason: self.events.append("down"),
        )

    def connector(self, target: Target) -> TLSClientEndpoint:
        """The way to a target in memory."""
        tcp = self.network.endpoint(target.host, target.port)
        return TLSClientEndpoint(tcp, self.tls, self.clock, f"{target.host}:{target.port}")

    def serve(self, host: str, port: int = 5061, issued: Issued | None = None) -> None:
        """A TLS server with a certificate of the trunk's domain, or another."""
        issued = issued or leaf(dns(DOMAIN))
        serverOptions = tlsServerOptions(loadOwnCertificate(issued.pem, issued.keyPEM))
        self.network.listenTLS(host, port, serverOptions, self.listeners)

    def start(self) -> None:
        """Start, and let everything happen that happens at once."""
        self.flows.start()
        self.network.flush()

    def find(self, text: str) -> Deferred[IMessageChannel]:
        """Find the channel for a URI."""
        found = self.flows.find(uri(text))
        self.network.flush()
        return found

    def logged(self) -> str:
        """All log lines with a message of ours."""
        return "\n".join(
            str(event["log_format"]).format(**event)
            for event in self.log
            if event["log_namespace"].startswith("skypetrunk.")
        )


class FlowTests(FlowsTestCase):
    """The one flow."""

    def test_interface(self) -> None:
        """It is a channel finder."""
        self.assertTrue(verifyObject(IChannelFinder, self.flows))
        health = self.flows.health
        endpoint = TargetsEndpoint("x", lambda: succeed([]), self.connector, lambda text: None, health)
        self.assertTrue(verifyObject(IStreamClientEndpoint, endpoint))

    def test_up(self) -> None:
        """The first target is connected, verified, and told."""
        self.serve("192.0.2.1")
        self.serve("192.0.2.2", 5062)
        self.start()
        self.assertEqual(self.events, ["up tls:192.0.2.1:5061"])
        self.assertIsNone(self.flows.problem)
        channel = self.flows.current()
        assert channel is not None
        self.assertTrue(channel.secure)
        self.assertIs(self.successResultOf(self.find("sip:carrier.example")), channel)
        self.assertIn("proved by DNS carrier.example", self.logged())
        record = self.flows.handshake()
        assert record is not None
        self.assertEqual(record.proof, "DNS carrier.example")

    def test_upMayRaise(self) -> None:
        """What is told may explode; the flow stands."""
        self.serve("192.0.2.1")

        def explode(channel: IMessageChannel) -> None:
            raise RuntimeError("bug")

        self.flows._up = explode
        self.start()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertIsNotNone(self.flows.current())

    def test_messages(self) -> None:
        """Messages go both ways."""
        self.serve("192.0.2.1")
        self.start()
        channel = self.successResultOf(self.find("sip:carrier.example"))
        channel.send(parseMessage(options()))
        self.network.flush()
        self.assertEqual(b"".join(self.listeners.heard), options())
        self.network.pumps[0].server.write(options("two"))
        self.network.flush()
        self.assertEqual(self.transactions.callIDs(), ["two"])

    def test_nextTarget(self) -> None:
        """C{tests/vectors/dns}, failover: what is not reached or not verified is skipped in silence."""
        cases = json.loads((VECTORS / "cases.json").read_text("utf-8"))["failover"]
        hosts = {"a": ("192.0.2.1", 5061), "b": ("192.0.2.2", 5062)}
        run = [case for case in cases if case["id"] in ("connect-refused", "tls-handshake-fails")]
        self.assertEqual(len(run), 2)
        for case in run:
            self.setUp()
            for name, outcome in case["outcomes"].items():
                if outcome.startswith("tls"):
                    self.serve(*hosts[name], leaf(dns("other.example")))
                elif outcome == "200":
                    self.serve(*hosts[name])
            self.start()
            self.assertEqual(self.network.attempts, [hosts[name] for name in case["tried"]], case["id"])
            self.assertEqual(self.events, ["up tls:192.0.2.2:5062"])
            self.assertEqual(self.listeners.heard, [])

    def test_noneVerified(self) -> None:
        """All servers are somebody else: the log says wanted and seen of each; nothing was said to them."""
        self.serve("192.0.2.1", issued=leaf(dns("other.example")))
        self.serve("192.0.2.2", 5062, leaf(dns(DOMAIN), authority("Other Root")))
        self.start()
        self.assertEqual(self.events, [])
        self.assertEqual(self.listeners.heard, [])
        logged = self.logged()
        self.assertIn("tls:192.0.2.1:5061 (a.carrier.example): wanted a certificate for URI sip:", logged)
        self.assertIn("seen DNS other.example", logged)
        self.assertIn("CN=Other Root", logged)
        problem = self.failureResultOf(self.find("sip:carrier.example"), NoTarget).value
        self.assertIn("seen DNS other.example", str(problem))

    def test_backoff(self) -> None:
        """New attempts come later and later, and DNS is asked each time."""
        self.start()
        attempts = [len(self.network.attempts)]
        for seconds in (0.9, 0.2, 1.9, 0.2, 3.9, 0.2):
            self.network.advance(seconds)
            attempts.append(len(self.network.attempts))
        self.assertEqual(attempts, [2, 2, 4, 4, 6, 6, 8])
        self.assertEqual(self.resolver.queries.count(f"SRV {SRV}"), 4)
        self.serve("192.0.2.2", 5062)
        self.network.advance(8)
        self.assertEqual(self.events, ["up tls:192.0.2.2:5062"])

    def test_jitter(self) -> None:
        """Chance moves an attempt by half of its delay."""
        delays = []
        for chance in (0.0, 0.999):
            flows = self.flows = self.makeFlows()
            flows._backoff._random = lambda chance=chance: chance  # type: ignore[misc]
            self.start()
            delays.append(min(call.getTime() - self.clock.seconds() for call in self.clock.getDelayedCalls()))
            self.network.flush()
            self.successResultOf(flows.stop())
        self.assertApproximates(delays[0], 0.5, 0.01)
        self.assertApproximates(delays[1], 1.5, 0.01)

    def test_silentServer(self) -> None:
        """A target that never answers costs its time-out; the next is tried then."""
        self.network.blackhole("192.0.2.1", 5061)
        self.serve("192.0.2.2", 5062)
        self.start()
        self.network.advance(10)
        self.assertEqual(self.events, ["up tls:192.0.2.2:5062"])

    def test_silentServerSaid(self) -> None:
        """What is said of it, where the system's time-out tells."""
        self.network.blackhole("192.0.2.1", 5061)
        self.start()
        self.network.hanging[-1].errback(ConnectTimeout())
        self.assertIn("192.0.2.1:5061: no answer;", self.logged())

    def test_dnsSilent(self) -> None:
        """DNS that does not answer is a failure as others: told, and tried again."""
        self.resolver.errors[f"SRV {SRV}"] = silence()
        self.start()
        self.assertIn(f"SRV {SRV}: no answer within 4 s", self.logged())
        self.failureResultOf(self.find("sip:carrier.example"), NoTarget)
        self.resolver.errors.clear()
        self.serve("192.0.2.1")
        self.network.advance(1)
        self.assertEqual(self.events, ["up tls:192.0.2.1:5061"])

    def test_lost(self) -> None:
        """A lost connection is told, and made again."""
        self.serve("192.0.2.1")
        self.start()
        self.network.pumps[0].serverIO.loseConnection()
        self.network.flush()
        self.assertEqual(self.events, ["up tls:192.0.2.1:5061", "down"])
        self.assertEqual(len(self.transactions.lost), 1)
        self.assertIsNone(self.flows.current())
        self.failureResultOf(self.find("sip:carrier.example"), NoTarget)
        self.network.advance(1)
        self.assertEqual(self.events[2:], ["up tls:192.0.2.1:5061"])

    def test_flapping(self) -> None:
        """A server that closes at once is a failure too: the delay grows; a good minute resets it."""
        self.serve("192.0.2.1")
        self.start()
        for delay in (1, 2, 4):
            self.network.pumps[-1].serverIO.loseConnection()
            self.network.flush()
            self.network.advance(delay - 0.1)
            self.assertEqual(self.events[-1], "down")
            self.network.advance(0.2)
            self.assertEqual(self.events[-1], "up tls:192.0.2.1:5061")
        self.network.advance(60)
        self.network.pumps[-1].serverIO.loseConnection()
        self.network.flush()
        self.network.advance(1.1)
        self.assertEqual(self.events[-1], "up tls:192.0.2.1:5061")

    def says(self) -> None:
        """The carrier sends a message over the newest connection."""
        transport = self.listeners.protocols[-1].transport
        assert transport is not None
        transport.write(options())
        self.network.flush()

    def close(self, after: float) -> None:
        """The carrier closes after so many seconds of quiet, and the flow is made again within two more."""
        self.says()
        self.network.advance(after)
        before = len(self.network.pumps)
        self.network.pumps[-1].serverIO.loseConnection()
        self.network.flush()
        self.network.advance(1.1)
        self.assertEqual(len(self.network.pumps), before + 1)
        self.assertEqual(self.events[-1], "up tls:192.0.2.1:5061")

    def warnings(self) -> list[str]:
        """What was worse than news."""
        levels = (LogLevel.warn, LogLevel.error, LogLevel.critical)
        return [str(formatEvent(each)) for each in self.log if each["log_level"] in levels]

    def test_idle(self) -> None:
        """A carrier that closes what is quiet: no alarm, no growing delay, and pings come before it."""
        self.serve("192.0.2.1")
        self.start()
        self.close(50)
        self.assertEqual(self.warnings(), [])
        self.assertIn("closed the connection, after 50 s of quiet; connecting again", str(self.logged()))
        self.network.advance(35)
        self.assertEqual(self.listeners.heard, [])
        self.network.advance(1)
        self.assertEqual(self.listeners.heard, [b"\r\n\r\n"])
        # A ping is no message for this one: more of them would be none either.
        for seconds in (60, 45, 45):
            self.close(seconds)
        self.assertEqual(self.warnings(), [])
        self.listeners.heard.clear()
        self.network.advance(35)
        self.assertEqual(self.listeners.heard, [])

    def test_notIdle(self) -> None:
        """Closed soon after a message, without having said a word, or after a ping found nobody: an alarm."""
        self.serve("192.0.2.1")
        self.start()
        self.says()
        self.network.advance(100)
        channel = self.flows.current()
        assert channel is not None
        channel.send(parseMessage(options()))
        self.network.advance(5)
        self.network.pumps[-1].serverIO.loseConnection()
        self.network.flush()
        [first] = self.warnings()
        self.assertIn("connection lost", first)
        self.network.advance(1.1)
        for says, seconds, warnings in ((True, 3, 1), (True, 10, 2), (True, 30, 2), (False, 3, 3)):
            if says:
                self.says()
            self.network.advance(105)
            self.network.advance(seconds)
            self.network.pumps[-1].serverIO.loseConnection()
            self.network.flush()
            self.assertEqual(len(self.warnings()), warnings)
            self.network.advance(2.1)

    def test_renew(self) -> None:
        """A flow believed dead is dropped and made again."""
        self.serve("192.0.2.1")
        self.start()
        self.network.deafen()
        self.flows.renew("no answer to REGISTER")
        self.network.flush()
        self.assertEqual(self.events[-1], "down")
        self.network.advance(1)
        self.assertEqual(self.events[-1], "up tls:192.0.2.1:5061")
        self.flows.stop()
        self.network.flush()
        self.flows.renew("nothing there")


class HealthTests(FlowsTestCase):
    """One table says which server is tried first, and all that goes wrong is in it."""

    def health(self) -> list[tuple[str, str]]:
        """Who is passed over, and why."""
        return [(each["target"], each["reason"]) for each in self.flows.health.status()]

    def lose(self) -> None:
        """The server closes the newest connection."""
        self.network.pumps[-1].serverIO.loseConnection()
        self.network.flush()

    def test_refusedFirst(self) -> None:
        """A server that refused the connection is not tried again first, until its penalty ends."""
        self.serve("192.0.2.2", 5062)
        self.start()
        ((target, reason),) = self.health()
        self.assertEqual(target, "tls:192.0.2.1:5061 (a.carrier.example)")
        self.assertIn("refused", reason)
        self.assertIn("carrier.example: passed over: tls:192.0.2.1:5061 (a.carrier.example): ", self.logged())
        self.network.advance(10)
        self.lose()
        self.network.advance(1.1)
        self.assertEqual(self.network.attempts[2:], [("192.0.2.2", 5062)])
        self.serve("192.0.2.1")
        self.network.advance(15)
        self.lose()
        self.network.advance(2.1)
        self.assertEqual(self.network.attempts[3:], [("192.0.2.1", 5061)])
        self.assertEqual(self.events[-1], "up tls:192.0.2.1:5061")
        self.assertEqual(self.health(), [])

    def test_closedSoon(self) -> None:
        """A server that takes the connection and drops it at once is passed over; not one that idles."""
        self.serve("192.0.2.1")
        self.serve("192.0.2.2", 5062)
        self.start()
        self.network.advance(10)
        self.lose()
        self.network.advance(1.1)
        self.assertEqual(self.events[2:], ["up tls:192.0.2.1:5061"])
        self.lose()
        self.network.advance(2.1)
        self.assertEqual(self.events[4:], ["up tls:192.0.2.2:5062"])
        self.assertIn("it closed the connection after", self.health()[0][1])

    def test_renewed(self) -> None:
        """A server that does not answer is left for the next; that it can be connected to proves nothing."""
        self.serve("192.0.2.1")
        self.serve("192.0.2.2", 5062)
        self.start()
        self.flows.renew("no answer to REGISTER")
        self.network.flush()
        self.network.advance(1.1)
        self.assertEqual(self.events, ["up tls:192.0.2.1:5061", "down", "up tls:192.0.2.2:5062"])
        self.assertEqual(
            self.health(), [("tls:192.0.2.1:5061 (a.carrier.example)", "no answer to REGISTER")]
        )
        self.successResultOf(self.find("sip:192.0.2.1"))
        self.assertEqual(len(self.health()), 1)

    def test_refused(self) -> None:
        """503 with Retry-After: the flow moves, and does not come back before."""
        self.serve("192.0.2.1")
        self.serve("192.0.2.2", 5062)
        self.start()
        self.flows.refused("REGISTER is answered 503", 120)
        self.network.flush()
        self.network.advance(1.1)
        self.assertEqual(self.events, ["up tls:192.0.2.1:5061", "down", "up tls:192.0.2.2:5062"])
        self.network.unlisten("192.0.2.2", 5062)
        self.lose()
        self.network.advance(100)
        self.assertNotIn(("192.0.2.1", 5061), self.network.attempts[1:])
        self.network.advance(100)
        self.assertEqual(self.events[-1], "up tls:192.0.2.1:5061")

    def test_refusedEverywhere(self) -> None:
        """With no other server that is well the flow stays, and what comes in by it."""
        self.serve("192.0.2.1")
        self.start()
        self.flows.health.failed(Target("192.0.2.2", 5062, "b.carrier.example"), "refused")
        self.flows.refused("OPTIONS is answered 503", None)
        self.network.flush()
        self.assertEqual(self.events, ["up tls:192.0.2.1:5061"])
        self.flows.answered()
        self.assertEqual([target for target, _ in self.health()], ["tls:192.0.2.2:5062 (b.carrier.example)"])

    def test_allLeftAlone(self) -> None:
        """Every server has asked for a pause: nothing is tried, and the log says why."""
        located = Locator(Records(self.resolver, self.clock), lambda highest: 0).locate(DOMAIN)
        for target in self.successResultOf(located):
            self.flows.health.failed(target, "503", 60)
        self.start()
        self.assertEqual(self.network.attempts, [])
        self.assertEqual(self.flows.problem, "each server has asked to be left alone")

    def test_dialogGoesOn(self) -> None:
        """A request within a dialog goes to a server that asked for a pause: there is no other."""
        self.serve("192.0.2.1")
        self.serve("192.0.2.3")
        self.start()
        self.flows.health.failed(Target("192.0.2.3", 5061, "192.0.2.3"), "503", 60)
        channel = self.successResultOf(self.find("sip:192.0.2.3"))
        self.assertEqual(str(channel.peer), "tls:192.0.2.3:5061")


class FindTests(FlowsTestCase):
    """Other URIs than the trunk's."""

    def setUp(self) -> None:
        """The flow leads to a.carrier.example; a third server stands beside."""
        super().setUp()
        self.serve("192.0.2.1")
        self.serve("192.0.2.3")
        self.start()
        self.flow = self.flows.current()

    def test_pings(self) -> None:
        """Both are kept open by pings; the peer of the flow is condemned only after a promise."""
        self.successResultOf(self.find("sip:192.0.2.3"))
        self.network.advance(105)
        self.assertEqual(self.listeners.heard, [b"\r\n\r\n", b"\r\n\r\n"])
        self.network.advance(10)
        self.assertEqual(self.transactions.lost, [])
        self.flows.pingsAnswered(30)
        self.network.advance(27)
        self.assertEqual(self.listeners.heard[2:], [b"\r\n\r\n"])
        self.network.advance(10)
        self.assertEqual(self.events, ["up tls:192.0.2.1:5061", "down"])
        self.assertIn("tls:192.0.2.1:5061: connection given up: no answer to a ping", self.logged())
        self.network.advance(1)
        self.assertEqual(self.events[2:], ["up tls:192.0.2.1:5061"])
        self.flows.stop()
        self.network.flush()
        self.flows.pingsAnswered(30)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_flow(self) -> None:
        """The domain in any spelling, our server's address and its name are the flow."""
        for text in (
            "sip:carrier.example",
            "sips:user@Carrier.Example:5061",
            "sip:user@192.0.2.1:5061;transport=tls",
            "sip:192.0.2.1",
            "sip:a.carrier.example;lr",
            "sip:anything.example:5060;maddr=192.0.2.1;transport=udp",
            "sip:192.0.2.3;maddr=carrier.example",
        ):
            self.assertIs(self.successResultOf(self.find(text)), self.flow, text)
        self.assertEqual(len(self.network.attempts), 1)

    def test_otherAddress(self) -> None:
        """Another literal address: a connection of its own, verified as the trunk's domain, then kept."""
        channel = self.successResultOf(self.find("sip:carrier.example;maddr=192.0.2.3"))
        self.assertIsNot(channel, self.flow)
        self.assertTrue(channel.secure)
        self.assertEqual(str(channel.peer), "tls:192.0.2.3:5061")
        self.assertIs(self.successResultOf(self.find("sip:192.0.2.3")), channel)
        self.assertEqual(self.network.attempts[1:], [("192.0.2.3", 5061)])
        self.assertEqual(self.events, ["up tls:192.0.2.1:5061"])

    def test_portOfUDP(self) -> None:
        """A port that is UDP's is not used for TLS."""
        channel = self.successResultOf(self.find("sip:carrier.example:5060;maddr=192.0.2.3;transport=udp"))
        self.assertEqual(str(channel.peer), "tls:192.0.2.3:5061")
        self.assertIs(self.successResultOf(self.find("sip:192.0.2.3:5060")), channel)
        self.serve("192.0.2.4", 5060)
        other = self.successResultOf(self.find("sip:192.0.2.4:5060;transport=tls"))
        self.assertEqual(str(other.peer), "tls:192.0.2.4:5060")

    def test_otherName(self) -> None:
        """A name is looked up: it may be the flow after all, or not."""
        channel = self.successResultOf(self.find("sip:c.carrier.example:5061;transport=tls"))
        self.assertEqual(str(channel.peer), "tls:192.0.2.3:5061")
        self.resolver.zone["alias.example"] = [("A", "192.0.2.1")]
        self.assertIs(self.successResultOf(self.find("sip:alias.example")), self.flow)
        self.failureResultOf(self.find("sip:nowhere.example"), NoTarget)

    def test_notTheTrunk(self) -> None:
        """Another address that does not prove the trunk's domain is refused; nothing is said to it."""
        self.serve("192.0.2.66", issued=leaf(dns("evil.example", "192.0.2.66.example")))
        self.failureResultOf(self.find("sip:192.0.2.66;transport=tls"), PeerNotVerified)
        self.failureResultOf(self.find("sip:192.0.2.66;transport=tls"), PeerNotVerified)
        self.assertEqual(self.listeners.heard, [])
        self.assertEqual(self.network.attempts[1:], [("192.0.2.66", 5061)] * 2)

    def test_unreachable(self) -> None:
        """What cannot be reached is an error; the flow is not touched."""
        problem = self.failureResultOf(self.find("sip:192.0.2.77"), NoTarget).value
        self.assertIn("192.0.2.77", str(problem))
        self.assertIs(self.flows.current(), self.flow)

    def test_together(self) -> None:
        """Two who want the same connection at the same time share it; one may lose interest."""
        first, second, third = (self.flows.find(uri("sip:192.0.2.3")) for _ in range(3))
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.network.flush()
        self.assertIs(self.successResultOf(first), self.successResultOf(third))
        self.assertEqual(len(self.network.attempts), 2)

    def test_extraLost(self) -> None:
        """A connection beside the flow that ended is made anew when it is needed."""
        channel = self.successResultOf(self.find("sip:192.0.2.3"))
        self.network.pumps[-1].serverIO.loseConnection()
        self.network.flush()
        self.assertEqual([lost for lost, _ in self.transactions.lost], [channel])
        self.assertIsNot(self.successResultOf(self.find("sip:192.0.2.3")), channel)
        self.assertEqual(self.events, ["up tls:192.0.2.1:5061"])

    def test_tooMany(self) -> None:
        """Connections beside the flow are bounded: the one that was not asked for the longest is closed."""
        for last in range(100, 116):
            self.serve(f"192.0.2.{last}")
            self.successResultOf(self.find(f"sip:192.0.2.{last}"))
        first = self.successResultOf(self.find("sip:192.0.2.100"))
        self.successResultOf(self.find("sip:192.0.2.3"))
        self.assertEqual([str(lost.peer) for lost, _ in self.transactions.lost], ["tls:192.0.2.101:5061"])
        self.assertEqual(len(self.network.attempts), 18)
        self.assertIs(self.successResultOf(self.find("sip:192.0.2.100")), first)
        self.successResultOf(self.find("sip:192.0.2.101"))
        self.assertEqual(str(self.transactions.lost[-1][0].peer), "tls:192.0.2.102:5061")
        self.assertEqual(self.flows.current(), self.flow)


class StopTests(FlowsTestCase):
    """Every end is bounded and leaves nothing."""

    def assertNothingLeft(self) -> None:
        """No connection, no timer."""
        self.network.flush()
        self.assertTrue(all(self.network.closed(index) for index in range(len(self.network.pumps))))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_notStarted(self) -> None:
        """Stopping what was never started."""
        self.successResultOf(self.flows.stop())
        self.assertNothingLeft()

    def test_polite(self) -> None:
        """The flow and what is beside it close at once with a peer that plays along."""
        self.serve("192.0.2.1")
        self.serve("192.0.2.3")
        self.start()
        self.successResultOf(self.find("sip:192.0.2.3"))
        stopping = self.flows.stop()
        self.assertNoResult(stopping)
        self.network.flush()
        self.successResultOf(stopping)
        self.assertEqual(self.events[-1], "down")
        self.assertEqual(len(self.transactions.lost), 2)
        self.assertNothingLeft()
        self.failureResultOf(self.find("sip:carrier.example"), NoTarget)
        self.failureResultOf(self.find("sip:192.0.2.3"), NoTarget)

    def test_swallowed(self) -> None:
        """Peers that swallow close_notify are aborted after 2 s."""
        self.serve("192.0.2.1")
        self.serve("192.0.2.3")
        self.start()
        self.successResultOf(self.find("sip:192.0.2.3"))
        self.network.deafen(0)
        self.network.deafen(1)
        stopping = self.flows.stop()
        self.network.advance(1.9)
        self.assertNoResult(stopping)
        self.network.advance(0.2)
        self.successResultOf(stopping)
        self.assertNothingLeft()

    def test_connecting(self) -> None:
        """Attempts under way are given up."""
        self.serve("192.0.2.1")
        self.flows.start()
        beside = self.flows.find(uri("sip:192.0.2.1"))
        stopping = self.flows.stop()
        self.network.flush()
        self.successResultOf(stopping)
        self.failureResultOf(beside, NoTarget)
        self.assertEqual(self.events, [])
        self.assertNothingLeft()

    def test_waiting(self) -> None:
        """A new attempt that waits is forgotten."""
        self.start()
        self.successResultOf(self.flows.stop())
        self.network.advance(200)
        self.assertEqual(len(self.network.attempts), 2)
        self.assertNothingLeft()

    def test_locating(self) -> None:
        """Stopping while DNS is asked."""
        never: Deferred[Sequence[Target]] = Deferred()
        endpoint = TargetsEndpoint("x", lambda: never, self.connector, self.events.append, self.flows.health)
        connecting: Deferred[IProtocol] = endpoint.connect(self.flows._factory)
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError)
        self.assertEqual(self.events, [])


class ConnectorTests(FlowsTestCase):
    """Real endpoints."""

    def test_tlsConnector(self) -> None:
        """Literal addresses of both families, over TCP; the time-out covers both layers."""
        reactor = MemoryReactorClock()
        connector = tlsConnector(reactor, self.tls)
        factory = StreamSignallingFactory(self.transactions, self.clock, lambda: "t", transport="TLS")
        four = connector(Target("192.0.2.1", 5061, "a.carrier.example")).connect(factory)
        six = connector(Target("2001:db8::1", 5062, "2001:db8::1")).connect(factory)
        self.assertEqual(
            [client[:2] for client in reactor.tcpClients], [("192.0.2.1", 5061), ("2001:db8::1", 5062)]
        )
        self.assertEqual([client[3] for client in reactor.tcpClients], [2, 2])
        reactor.advance(10)
        problem = self.failureResultOf(four, ChannelFailed).value
        self.assertIn("tls:192.0.2.1:5061 (a.carrier.example)", str(problem))
        self.failureResultOf(six, ChannelFailed)
