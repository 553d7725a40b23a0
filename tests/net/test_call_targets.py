"""Tests of L{skypetrunk.net.call_targets}: which server a call goes to."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred, fail
from zope.interface.verify import verifyObject

from skypetrunk.errors import NoTarget
from skypetrunk.interfaces import ICallAttempt, ICallTargets, IChannelFinder, IMessageChannel, Target
from skypetrunk.net.call_targets import CallTargets
from skypetrunk.wire.uri import SIPURI
from tests.net.test_flows import DOMAIN, SRV, FlowsTestCase, uri
from tests.net.zone import silence

A = Target("192.0.2.1", 5061, "a.carrier.example")
B = Target("192.0.2.2", 5062, "b.carrier.example")


class CallTargetsTests(FlowsTestCase):
    """The flow leads to a.carrier.example; b.carrier.example listens too."""

    def setUp(self) -> None:
        """Connected."""
        super().setUp()
        self.serve("192.0.2.1")
        self.serve("192.0.2.2", 5062)
        self.start()
        self.asked: list[tuple[str, IMessageChannel | None]] = []
        self.second: tuple[Target, IMessageChannel] | None = None

    def others(self, asked: SIPURI, otherwise: IMessageChannel | None) -> Deferred[IMessageChannel]:
        """The way of all other requests, which finds nothing."""
        self.asked.append((str(asked), otherwise))
        return fail(NoTarget("nowhere"))

    def targets(self, balance: bool = False) -> CallTargets:
        """Those of a new call."""
        return CallTargets(self.flows, self.others, balance, lambda: self.second)

    def go(self, attempt: ICallAttempt, where: str = f"sip:+44@{DOMAIN}") -> Deferred[IMessageChannel]:
        """The way of an INVITE."""
        found: Deferred[IMessageChannel] = attempt.find(uri(where))
        self.network.flush()
        return found

    def peer(self, attempt: ICallAttempt) -> str:
        """Where an INVITE goes."""
        return str(self.successResultOf(self.go(attempt)).peer)

    def test_interfaces(self) -> None:
        """They are what the core asks."""
        targets = self.targets()
        self.assertTrue(verifyObject(ICallTargets, targets))
        self.assertTrue(verifyObject(ICallAttempt, targets.attempt()))
        self.assertTrue(verifyObject(IChannelFinder, targets.attempt()))

    def test_follow(self) -> None:
        """The flow first, without a question to DNS; then the others; then none."""
        targets = self.targets()
        queries = len(self.resolver.queries)
        first = targets.attempt()
        self.assertTrue(first.another())
        self.assertIs(self.successResultOf(self.go(first)), self.flows.current())
        self.assertEqual(len(self.resolver.queries), queries)
        self.assertTrue(first.another())
        second = targets.attempt()
        self.assertEqual(self.peer(second), "tls:192.0.2.2:5062")
        self.assertFalse(second.another())
        problem = self.failureResultOf(self.go(targets.attempt()), NoTarget).value
        self.assertEqual(str(problem), "no server is left to try")

    def test_secondInstead(self) -> None:
        """The second flow first where it is said to be the registered one, without a question to DNS."""
        self.flows.channelTo(B)
        self.network.flush()
        channel = self.successResultOf(self.flows.channelTo(B))
        self.second = B, channel
        queries = len(self.resolver.queries)
        targets = self.targets()
        self.assertIs(self.successResultOf(self.go(targets.attempt())), channel)
        self.assertEqual(len(self.resolver.queries), queries)
        self.assertEqual(self.peer(targets.attempt()), "tls:192.0.2.1:5061")

    def test_passedOver(self) -> None:
        """A server that cannot be reached costs no attempt, and is known as such."""
        self.network.unlisten("192.0.2.2", 5062)
        targets = self.targets()
        self.peer(targets.attempt())
        problem = self.failureResultOf(self.go(targets.attempt()), NoTarget).value
        self.assertIn("tls:192.0.2.2:5062", str(problem))
        self.assertFalse(self.flows.health.usable(B))

    def test_unwell(self) -> None:
        """The flow's server is passed over: the call goes to the other, and to it at last."""
        self.flows.health.failed(A, "INVITE is not answered", mute=True)
        targets = self.targets()
        self.assertEqual(self.peer(targets.attempt()), "tls:192.0.2.2:5062")
        self.assertEqual(self.peer(targets.attempt()), "tls:192.0.2.1:5061")

    def test_noLongerNamed(self) -> None:
        """DNS does not name the flow's server any more: who follows takes it, others at the end."""
        del self.resolver.zone["a.carrier.example"]
        self.assertEqual(self.peer(self.targets().attempt()), "tls:192.0.2.1:5061")
        targets = self.targets(balance=True)
        self.assertEqual(self.peer(targets.attempt()), "tls:192.0.2.2:5062")
        self.assertEqual(self.peer(targets.attempt()), "tls:192.0.2.1:5061")

    def test_nameServerDown(self) -> None:
        """Without DNS the servers are those that were found last."""
        self.resolver.errors[f"SRV {SRV}"] = silence()
        targets = self.targets(balance=True)
        self.assertEqual(self.peer(targets.attempt()), "tls:192.0.2.1:5061")
        self.assertEqual(self.peer(targets.attempt()), "tls:192.0.2.2:5062")

    def test_weights(self) -> None:
        """With balance each call draws anew (RFC 2782)."""
        self.resolver.zone[SRV] = [
            ("SRV", 1, 1, 5061, "a.carrier.example"),
            ("SRV", 1, 1, 5062, "b.carrier.example"),
        ]
        draws = iter([1, 0, 2, 0])
        locator = self.flows._locator
        self.patch(locator, "_draw", lambda highest: next(draws))
        found = [self.peer(self.targets(balance=True).attempt()) for _ in range(2)]
        self.assertEqual(found, ["tls:192.0.2.1:5061", "tls:192.0.2.2:5062"])

    def test_route(self) -> None:
        """A first hop that is not the trunk's own leads where it says; no other server will do."""
        attempt = self.targets().attempt()
        self.failureResultOf(self.go(attempt, "sip:edge.carrier.example;lr"), NoTarget)
        self.assertEqual(self.asked, [("sip:edge.carrier.example;lr", None)])
        self.assertFalse(attempt.another())
        attempt.answered()
        attempt.silent("nothing")
        attempt.refused("503", 60)
        self.assertEqual(self.flows.health.status(), [])

    def test_dialog(self) -> None:
        """What comes after the INVITE goes to its server, where a Contact leads to no certain other."""
        targets = self.targets()
        self.peer(targets.attempt())
        attempt = targets.attempt()
        channel = self.successResultOf(self.go(attempt))
        self.assertTrue(attempt.stands())
        self.assertIs(self.successResultOf(self.go(attempt)), channel)
        self.failureResultOf(self.go(attempt, "sip:far@10.0.0.1"), NoTarget)
        self.assertEqual(self.asked, [("sip:far@10.0.0.1", channel)])
        self.network.pumps[-1].serverIO.loseConnection()
        self.network.flush()
        self.assertFalse(attempt.stands())
        self.failureResultOf(self.go(attempt), NoTarget)
        self.assertEqual(self.asked[1:], [(f"sip:+44@{DOMAIN}", None)])

    def test_cancel(self) -> None:
        """The call ends while a server is connected to."""
        self.network.blackhole("192.0.2.2", 5062)
        targets = self.targets()
        self.peer(targets.attempt())
        connecting = self.go(targets.attempt())
        self.assertNoResult(connecting)
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError)

    def test_told(self) -> None:
        """What the server did to an INVITE is known to all, and logged once it counts."""
        attempt = self.targets().attempt()
        self.peer(attempt)
        attempt.refused("INVITE is answered 503", None)
        self.assertTrue(self.flows.health.usable(A))
        self.assertNotIn("passed over", self.logged())
        attempt.refused("INVITE is answered 503", 30)
        self.assertTrue(self.flows.health.avoided(A))
        logged = "tls:192.0.2.1:5061 (a.carrier.example) is passed over for 30 s: INVITE is answered 503"
        self.assertIn(logged, self.logged())
