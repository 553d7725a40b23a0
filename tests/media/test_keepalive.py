"""
Tests of L{skypetrunk.media.keepalive}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.media.keepalive import KeepAlive


class KeepAliveTests(SynchronousTestCase):
    """RFC 6263: 3 at once, then one after every 15 s of silence."""

    def setUp(self) -> None:
        """A stream that has sent nothing."""
        self.clock = Clock()
        self.clock.advance(1000.1)  # a start whose sums are not exact
        self.times: list[float] = []
        self.reachable = True
        self.unseen: float | None = None
        self.keepAlive = KeepAlive(self.clock, self.send, self.look)

    def look(self) -> None:
        """A packet left since, which nobody has told."""
        if self.unseen is not None:
            self.keepAlive.last = self.unseen

    def send(self, count: int) -> bool:
        """Remember when."""
        if self.reachable:
            self.times += [round(self.clock.seconds() - 1000.1, 6)] * count
        return self.reachable

    def test_silence(self) -> None:
        """Nothing else is sent."""
        self.keepAlive.start()
        self.clock.pump([1.0] * 46)
        self.assertEqual(self.times, [0, 0, 0, 15, 30, 45])

    def test_media(self) -> None:
        """While media flows there are none; 15 s after its last packet they come back."""
        self.keepAlive.last = self.clock.seconds() - 0.02
        self.keepAlive.start()
        for _ in range(20):
            self.clock.advance(1)
            self.keepAlive.last = self.clock.seconds()
        self.assertEqual(self.times, [])
        self.clock.pump([0.5] * 62)
        self.assertEqual(self.times, [35, 50])

    def test_unseen(self) -> None:
        """It looks before it decides whether something was sent."""
        self.keepAlive.start()
        self.clock.advance(10)
        self.unseen = self.clock.seconds()
        self.clock.advance(5)
        self.assertEqual(self.times, [0, 0, 0])
        self.clock.pump([1.0] * 11)
        self.assertEqual(self.times, [0, 0, 0, 25])

    def test_again(self) -> None:
        """A new address gets a burst where the stream is silent; there is one timer."""
        self.keepAlive.start()
        self.clock.advance(5)
        self.keepAlive.start()
        self.assertEqual(self.times, [0, 0, 0, 5, 5, 5])
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_nowhere(self) -> None:
        """Without a place to send to none count as sent: when there is one again, a burst."""
        self.keepAlive.start()
        self.reachable = False
        self.clock.pump([1.0] * 30)
        self.reachable = True
        self.keepAlive.start()
        self.clock.pump([1.0] * 16)
        self.assertEqual(self.times, [0, 0, 0, 30, 30, 30, 45])

    def test_stop(self) -> None:
        """No timer is left; stopping twice, or before starting, does nothing."""
        self.keepAlive.stop()
        self.keepAlive.start()
        self.keepAlive.stop()
        self.keepAlive.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
