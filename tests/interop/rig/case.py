"""The base of all interop tests: scratch directory, time limit, logs shown on failure."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from twisted.trial.reporter import TestResultDecorator
from twisted.trial.unittest import SynchronousTestCase

from tests.interop.rig.processes import Peer

SomePeer = TypeVar("SomePeer", bound=Peer)

_SWITCH = "SKYPETRUNK_INTEROP"


class _Watched(TestResultDecorator):  # type: ignore[misc]
    """A reporter that remembers whether this test failed."""

    failed = False

    def addError(self, test: object, error: object) -> None:
        self.failed = True
        self._originalReporter.addError(test, error)

    def addFailure(self, test: object, failure: object) -> None:
        self.failed = True
        self._originalReporter.addFailure(test, failure)


class InteropCase(SynchronousTestCase):
    """
    A test that runs real programs.

    @cvar bound: seconds after which a test is ended and fails.
    @ivar scratch: its own directory; kept, and named, when it fails.
    """

    skip = None if os.environ.get(_SWITCH) == "1" else f"{_SWITCH}=1 switches tests with real peers on"
    bound = 90

    def setUp(self) -> None:
        """Make the scratch directory and start the clock."""
        # Short, because UNIX sockets allow 107 octets for a path.
        self.scratch = Path(tempfile.mkdtemp(prefix="st-"))
        self._peers: list[Peer] = []

        def late(number: int, frame: FrameType | None) -> None:
            raise AssertionError(f"the test did not end within {self.bound} s")

        previous = signal.signal(signal.SIGALRM, late)
        signal.alarm(self.bound)
        self.addCleanup(signal.signal, signal.SIGALRM, previous)
        self.addCleanup(signal.alarm, 0)

    def started(self, peer: SomePeer) -> SomePeer:
        """Start a peer; it is stopped at the end of the test, the last one first."""
        self._peers.append(peer)
        self.addCleanup(peer.stop)
        peer.start()
        return peer

    def run(self, result: Any) -> None:  # type: ignore[override]
        """Run the test; if it fails, show the end of each peer's log and keep the scratch directory."""
        watched = _Watched(result)
        super().run(watched)
        scratch = getattr(self, "scratch", None)
        if scratch is None:
            return
        if watched.failed:
            print(f"\n=== {self.id()} failed; everything is kept in {scratch}", file=sys.stderr)
            for peer in self._peers:
                print(peer.tail(15), file=sys.stderr)
        else:
            shutil.rmtree(scratch, ignore_errors=True)
