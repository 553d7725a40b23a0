"""The health of a PBX's addresses."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.pbx.health import FIRST_PENALTY, LONGEST_PENALTY, HealthTable
from skypetrunk.wire.address import parseAddress

ONE, TWO, THREE = (
    parseAddress(f"{each}:5060") for each in ("udp:192.0.2.1", "udp:192.0.2.2", "tcp:192.0.2.2")
)


class HealthTests(SynchronousTestCase):
    """L{HealthTable}."""

    def setUp(self) -> None:
        """Three addresses."""
        self.clock = Clock()
        self.table = HealthTable([ONE, TWO, THREE], self.clock.seconds)

    def test_order(self) -> None:
        """As configured; those with a penalty last, whose ends first before the others."""
        self.assertEqual(self.table.order(), (ONE, TWO, THREE))
        self.table.failed(ONE, "no answer")
        self.assertEqual(self.table.order(), (TWO, THREE, ONE))
        self.clock.advance(1)
        self.table.failed(TWO, "no answer")
        self.assertEqual(self.table.order(), (THREE, ONE, TWO))
        self.table.failed(THREE, "no answer", 1)
        self.assertEqual(self.table.order(), (THREE, ONE, TWO))
        self.clock.advance(FIRST_PENALTY)
        self.assertEqual(self.table.order(), (ONE, TWO, THREE))

    def test_ill(self) -> None:
        """While none is without a penalty; a PBX without addresses never is."""
        for each in (ONE, TWO, THREE):
            self.assertFalse(self.table.ill)
            self.table.failed(each, "no answer")
        self.assertTrue(self.table.ill)
        self.clock.advance(FIRST_PENALTY)
        self.assertFalse(self.table.ill)
        self.assertFalse(HealthTable([], self.clock.seconds).ill)

    def test_penalty(self) -> None:
        """It doubles with each failure, up to a bound; an answer ends it."""
        seen = []
        for _ in range(7):
            self.table.failed(ONE, "no answer")
            seen.append(self.table.status()[0]["penalty"])
        self.assertEqual(seen, [15.0, 30.0, 60.0, 120.0, 240.0, 240.0, 240.0])
        self.assertTrue(self.table.succeeded(ONE))
        self.assertFalse(self.table.succeeded(ONE))
        self.assertEqual(self.table.order()[0], ONE)
        self.assertTrue(self.table.failed(ONE, "no answer"))
        self.assertFalse(self.table.failed(ONE, "no answer"))

    def test_ofItsChoice(self) -> None:
        """A time that the PBX names counts, within our bound."""
        self.table.failed(ONE, "503", 5)
        self.assertEqual(self.table.status()[0]["penalty"], 5.0)
        self.table.failed(ONE, "503", 86400)
        self.assertEqual(self.table.status()[0]["penalty"], LONGEST_PENALTY)

    def test_status(self) -> None:
        """What is known of each."""
        self.table.failed(TWO, "no answer")
        self.clock.advance(5)
        self.assertEqual(
            self.table.status()[:2],
            [
                {"address": "udp:192.0.2.1:5060", "penalty": 0.0, "failures": 0, "reason": None},
                {"address": "udp:192.0.2.2:5060", "penalty": 10.0, "failures": 1, "reason": "no answer"},
            ],
        )

    def test_find(self) -> None:
        """A connection is known by its host, a datagram by its port too."""
        for text, wanted in (
            ("udp:192.0.2.1:5060", ONE),
            ("udp:192.0.2.1:5070", None),
            ("tcp:192.0.2.2:40000", THREE),
            ("tcp:192.0.2.1:40000", None),
        ):
            self.assertEqual(self.table.find(parseAddress(text)), wanted, text)
