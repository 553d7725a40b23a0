"""Tests of L{skypetrunk.core.target_health}."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.target_health import TargetHealth, shown
from skypetrunk.interfaces import Target

A, B, C = (Target(f"192.0.2.{number}", 5061, f"{name}.example") for number, name in enumerate("abc", 1))


class TargetHealthTests(SynchronousTestCase):
    """Three servers."""

    def setUp(self) -> None:
        """Nothing is known of them."""
        self.clock = Clock()
        self.clock.advance(1000)
        self.health = TargetHealth(self.clock.seconds)

    def order(self) -> str:
        """Their names, in the order to try."""
        return "".join(each.name[0] for each in self.health.order([A, B, C]))

    def test_well(self) -> None:
        """What nothing is known of is well, in the order given."""
        self.assertEqual(self.order(), "abc")
        self.assertEqual([each.name[0] for each in self.health.order([C, A])], ["c", "a"])
        self.health.connected(A)
        self.health.answered(B)
        self.assertTrue(self.health.usable(A))
        self.assertEqual(self.health.status(), [])

    def test_penalty(self) -> None:
        """A server that failed comes last until its penalty ends; it is not left out."""
        self.assertEqual(self.health.failed(A, "connection refused"), 15)
        self.assertEqual(self.order(), "bca")
        self.assertFalse(self.health.usable(A))
        self.assertFalse(self.health.avoided(A))
        self.clock.advance(5)
        self.health.failed(B, "no answer")
        self.assertEqual(self.order(), "cab")
        self.clock.advance(10)
        self.assertEqual(self.order(), "acb")
        self.assertTrue(self.health.usable(A))
        self.clock.advance(5)
        self.assertEqual(self.order(), "abc")

    def test_doubled(self) -> None:
        """Each further failure costs twice as much, up to a bound."""
        self.assertEqual([self.health.failed(A, "refused") for _ in range(6)], [15, 30, 60, 120, 240, 240])
        for _ in range(20):
            self.assertEqual(self.health.failed(A, "refused"), 240)

    def test_recovered(self) -> None:
        """A connection ends the penalty at once."""
        self.health.failed(A, "refused")
        self.health.connected(A)
        self.assertEqual(self.order(), "abc")
        self.assertEqual(self.health.status(), [])

    def test_hysteresis(self) -> None:
        """Failures are forgotten only after a minute of health: who comes and goes costs more."""
        self.health.failed(A, "refused")
        for penalty in (30, 60, 120):
            self.health.connected(A)
            self.clock.advance(59)
            self.assertEqual(self.health.failed(A, "it closed the connection"), penalty)
        self.health.connected(A)
        self.clock.advance(60)
        self.assertEqual(self.health.failed(A, "it closed the connection"), 15)

    def test_mute(self) -> None:
        """Who can be connected to and does not answer is well when it answers, not when it connects."""
        self.health.failed(A, "no answer to INVITE", mute=True)
        self.health.connected(A)
        self.assertEqual(self.order(), "bca")
        self.health.answered(A)
        self.assertEqual(self.order(), "abc")
        self.health.failed(A, "refused")
        self.health.connected(A)
        self.assertEqual(self.order(), "abc")

    def test_retryAfter(self) -> None:
        """RFC 3261 section 21.5.4: nothing goes to a server that asked for a pause, whatever else it says."""
        self.assertEqual(self.health.failed(A, "503 Service Unavailable", 120), 120)
        self.assertEqual(self.order(), "bc")
        self.assertTrue(self.health.avoided(A))
        self.health.connected(A)
        self.health.answered(A)
        self.clock.advance(100)
        self.assertEqual(self.health.failed(A, "refused"), 30)
        self.assertEqual(self.order(), "bc")
        self.clock.advance(29)
        self.assertEqual(self.order(), "bc")
        self.clock.advance(1)
        self.assertEqual(self.order(), "abc")
        self.health.failed(A, "503", 0)
        self.assertEqual(self.order(), "abc")

    def test_retryAfterStays(self) -> None:
        """A failure does not make the pause shorter."""
        self.health.failed(A, "503", 120)
        self.assertEqual(self.health.failed(A, "refused"), 120)

    def test_retryAfterBounded(self) -> None:
        """A day is not believed."""
        self.assertEqual(self.health.failed(A, "503", 86400), 3600)
        self.clock.advance(3600)
        self.assertEqual(self.order(), "abc")

    def test_struck(self) -> None:
        """Section 21.5.4, too: a 503 without Retry-After is a 500, but not twice within half a minute."""
        self.assertEqual(self.health.struck(A, "503 no circuit"), 0)
        self.assertTrue(self.health.usable(A))
        self.clock.advance(31)
        self.assertEqual(self.health.struck(A, "503 no circuit"), 0)
        self.clock.advance(30)
        self.assertEqual(self.health.struck(A, "503 no circuit"), 15)
        self.assertEqual(self.order(), "bca")
        self.health.answered(A)
        self.assertEqual(self.health.struck(A, "503 no circuit"), 0)
        self.health.answered(A)
        self.assertEqual(self.health.struck(A, "503 no circuit"), 0)

    def test_bounded(self) -> None:
        """A carrier whose addresses change all the time does not fill the memory; penalties stay."""
        self.health.failed(A, "503", 3600)
        for number in range(1000):
            self.health.failed(Target(f"198.51.100.{number}", 5061, "x"), "refused")
        self.assertEqual(len(self.health.status()), 256)
        self.assertEqual(self.order(), "bc")

    def test_oneServer(self) -> None:
        """A server is the same by whatever name it was found; its port makes another one of it."""
        self.health.failed(Target(A.host, A.port, A.host), "refused")
        self.assertFalse(self.health.usable(A))
        self.assertTrue(self.health.usable(Target(A.host, 5062, A.name)))

    def test_status(self) -> None:
        """Who is passed over, for how long, and why."""
        self.health.failed(A, "connection refused")
        self.clock.advance(5)
        expected = {
            "target": "tls:192.0.2.1:5061 (a.example)",
            "penalty": 10.0,
            "failures": 1,
            "reason": "connection refused",
        }
        self.assertEqual(self.health.status(), [expected])
        self.clock.advance(50)
        self.assertEqual(self.health.status(), [{**expected, "penalty": 0.0}])

    def test_shown(self) -> None:
        """A literal address has no other name."""
        self.assertEqual(shown(Target("2001:db8::1", 5062, "2001:db8::1")), "tls:[2001:db8::1]:5062")
