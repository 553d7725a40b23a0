"""
A media worker keeps nothing of legs that are over.
"""

from __future__ import annotations

import socket

from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.interfaces import ANY_PATH
from skypetrunk.media.crossing_values import packed
from skypetrunk.media.keeping import Opening
from skypetrunk.media.worker import COUNTING_SECONDS, WorkerProtocol


class ReleasedTests(SynchronousTestCase):
    """A worker in this process."""

    def test_releasedMeanwhile(self) -> None:
        """Legs that are released while they wait to be told of are forgotten, and not told of any more."""
        clock = MemoryReactorClock()
        worker = WorkerProtocol(clock, lambda: None, False)
        worker.makeConnection(StringTransport())
        opening = Opening("carrier", True, ANY_PATH, "127.0.0.1", "127.0.0.1", 20000)
        for number in range(1, 101):
            pair = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
            for each in pair:
                each.bind(("127.0.0.1", 0))
            worker.opened(number, packed(opening), *[each.detach() for each in pair])
        clock.pump([COUNTING_SECONDS / 50] * 2)
        for number in range(1, 100):
            worker.released(number, False)
        clock.pump([COUNTING_SECONDS / 50] * 250)
        self.assertEqual((set(worker._told), set(worker._heard)), ({100}, {100}))
        worker.released(100, False)
        self.assertEqual((worker._told, worker._heard), ({}, {}))
        self.assertFalse(worker._counting.running)
