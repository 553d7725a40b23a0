"""Tests of L{skypetrunk.core.keep_alive}: pings, pongs, and who is condemned for silence."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core import keep_alive
from skypetrunk.core.keep_alive import ANSWERS, KeepAlive
from tests.core.messages import undecided


class KeepAliveTests(SynchronousTestCase):
    """One connection, whose peer is played here."""

    def setUp(self) -> None:
        """Chance chooses the shortest time."""
        self.begin(0.0)

    def begin(self, chance: float, within: float | None = None) -> None:
        """A connection stands from now on."""
        self.clock = Clock()
        self.chance = chance
        self.pings: list[float] = []
        self.dead: list[float] = []
        self.mute: list[float] = []
        self.keepAlive = KeepAlive(
            self.clock,
            lambda: self.chance,
            lambda: self.pings.append(self.clock.seconds()),
            lambda: self.dead.append(self.clock.seconds()),
            within,
            lambda: self.mute.append(self.clock.seconds()),
        )
        self.keepAlive.start()

    def test_table(self) -> None:
        """Every input is decided in every state."""
        self.assertEqual(undecided(keep_alive._machine), [])

    def pongs(self, times: int) -> None:
        """So many pings are answered after a second each."""
        for _ in range(times):
            self.clock.advance(95)
            self.clock.advance(1)
            self.keepAlive.ponged()

    def test_interval(self) -> None:
        """RFC 5626 section 4.4.1: the first ping after 95 to 120 seconds; chance says when."""
        for chance, seconds in ((0.0, 95), (0.5, 105), (1.0, 115)):
            self.begin(chance)
            self.clock.advance(seconds - 0.1)
            self.assertEqual(self.pings, [])
            self.clock.advance(0.1)
            self.assertEqual(self.pings, [seconds])

    def test_within(self) -> None:
        """A peer that closes what is quiet is pinged before that; a shorter Flow-Timer counts as well."""
        for chance, within, flowTimer, seconds in (
            (0.0, 40, None, 32),
            (1.0, 40, None, 40),
            (0.0, 200, None, 95),
            (0.0, 40, 30, 24),
            (0.0, 40, 300, 32),
        ):
            self.begin(chance, within)
            if flowTimer is not None:
                self.keepAlive.promised(flowTimer)
            self.clock.advance(seconds - 0.1)
            self.assertEqual(self.pings, [])
            self.clock.advance(0.2)
            self.assertEqual(len(self.pings), 1)

    def test_answered(self) -> None:
        """After a pong comes the next ping, without end."""
        self.pongs(20)
        self.assertEqual(self.pings, [95 + 96.0 * n for n in range(20)])
        self.assertEqual(self.dead, [])

    def test_neverAnswers(self) -> None:
        """A carrier that knows nothing of pings is kept: they only keep the way open."""
        for _ in range(100):
            self.clock.advance(95)
            self.clock.advance(10)
        self.assertEqual(len(self.pings), 100)
        self.assertEqual(self.dead, [])
        self.assertEqual(self.mute, [105.0 * n for n in range(1, 101)])

    def test_knownToAnswer(self) -> None:
        """4.4.1: no pong within 10 seconds of a peer that answered before: the flow has failed."""
        self.pongs(ANSWERS)
        self.clock.advance(95)
        self.clock.advance(9.9)
        self.assertEqual(self.dead, [])
        self.clock.advance(0.1)
        self.assertEqual(self.dead, [self.clock.seconds()])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_chancePong(self) -> None:
        """A peer that sends a CRLF now and then, and answers no ping, is not taken for one that answers."""
        for _ in range(5):
            self.pongs(ANSWERS - 1)
            self.clock.advance(50)
            self.keepAlive.ponged()
            self.clock.advance(45)
            self.clock.advance(10)
        self.assertEqual(self.dead, [])

    def test_promised(self) -> None:
        """4.4.1: who says that it supports outbound is condemned by the first ping without pong."""
        self.keepAlive.promised(None)
        self.clock.advance(95)
        self.clock.advance(10)
        self.assertEqual((self.pings, self.dead), ([95], [105]))

    def test_flowTimer(self) -> None:
        """4.4: a Flow-Timer of 60 seconds makes a ping after 48 to 60, from when it is known."""
        self.clock.advance(20)
        self.chance = 1.0
        self.keepAlive.promised(60)
        self.clock.advance(59.9)
        self.assertEqual(self.pings, [])
        self.clock.advance(0.1)
        self.keepAlive.ponged()
        self.chance = 0.0
        self.keepAlive.promised(60)
        self.clock.advance(60)
        self.keepAlive.ponged()
        self.clock.advance(48)
        self.assertEqual(self.pings, [80, 140, 188])

    def test_flowTimerAgain(self) -> None:
        """Each refresh of the registration repeats the Flow-Timer; that does not put a ping off."""
        self.keepAlive.promised(120)
        for _ in range(3):
            self.clock.advance(32)
            self.keepAlive.promised(120)
        self.assertEqual(self.pings, [96])

    def test_flowTimerBounds(self) -> None:
        """A Flow-Timer that is nonsense makes neither a flood nor silence."""
        self.keepAlive.promised(0)
        self.clock.advance(23.9)
        self.assertEqual(self.pings, [])
        self.clock.advance(0.1)
        self.keepAlive.ponged()
        self.keepAlive.promised(10**9)
        self.clock.advance(2880)
        self.assertEqual(self.pings, [24, 2904])

    def test_stop(self) -> None:
        """Nothing is left after the end, in any state, and nothing begins again."""
        for seconds in (0, 95, 105):
            self.begin(0.0)
            for _ in range(seconds // 5):
                self.clock.advance(5)
            self.keepAlive.stop()
            self.assertEqual(self.clock.getDelayedCalls(), [])
            self.keepAlive.ponged()
            self.keepAlive.promised(30)
            self.keepAlive.start()
            self.assertEqual(self.clock.getDelayedCalls(), [])
