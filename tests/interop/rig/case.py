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


class _Watched(TestResultDecorator):
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
    @ivar scratchLeft: somebody else removes the scratch directory.
    @ivar scratch: its own directory; kept, and named, when it fails.
    """

    skip = None if os.environ.get(_SWITCH) == "1" else f"{_SWITCH}=1 switches tests with real peers on"
    bound = 90

    def setUp(self) -> None:
        """Make the scratch directory and start the clock."""
        # Short, because UNIX sockets allow 107 octets for a path.
        self.scratch = Path(tempfile.mkdtemp(prefix="st-"))
        self.scratchLeft = False
        self._peers: list[Peer] = []
        self._kept: list[Peer] = []

        def late(number: int, frame: FrameType | None) -> None:
            raise AssertionError(f"the test did not end within {self.bound} s")

        previous = signal.signal(signal.SIGALRM, late)
        signal.alarm(self.bound)
        self.addCleanup(signal.signal, signal.SIGALRM, previous)
        self.addCleanup(signal.alarm, 0)

    def started(self, peer: SomePeer) -> SomePeer:
        """Start a peer; it is stopped at the end of the test, the last one first."""
        self._peers.append(peer)
        self.addCleanup(self._stopUnlessKept, peer)
        peer.start()
        return peer

    def _stopUnlessKept(self, peer: Peer) -> None:
        if peer not in self._kept:
            peer.stop()

    def keep(self, peer: Peer) -> None:
        """Do not stop C{peer} at the end of the test: whoever keeps it does, or L{stopKept}."""
        if peer not in self._peers:
            self._peers.append(peer)
        self._kept.append(peer)

    def stopKept(self) -> None:
        """Stop what was kept, the last one first."""
        for peer in reversed(self._kept):
            peer.stop()

    @property
    def failed(self) -> bool:
        """Has this test failed by now?"""
        return self._watched.failed

    def run(self, result: Any) -> None:  # type: ignore[override]
        """Run the test; if it fails, show the end of each peer's log and keep the scratch directory."""
        self._watched = _Watched(result)
        super().run(self._watched)
        scratch = getattr(self, "scratch", None)
        if scratch is None:
            return
        if self.failed:
            print(f"\n=== {self.id()} failed; everything is kept in {scratch}", file=sys.stderr)
            for peer in self._peers:
                print(peer.tail(15), file=sys.stderr)
        elif not self.scratchLeft:
            shutil.rmtree(scratch, ignore_errors=True)
