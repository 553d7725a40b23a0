"""Tests that only wait, in a process of their own beside another test that only waits."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from tests.interop.rig.ports import RANGE
from tests.interop.rig.processes import Peer

# Where tests run in the background of a shell SIGINT is ignored, and so it would be in what they start.
_TRIAL = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from twisted.scripts.trial import run; run()"
)


class Aside(Peer):
    """trial with one module of the rig's."""

    def __init__(self, scratch: Path, module: str, ports: str) -> None:
        """
        @param ports: first and last of those that it may take, which nobody beside it does.
        """
        super().__init__(scratch, module)
        self._ports = ports

    def start(self) -> None:
        """Begin."""
        self.launch(
            [sys.executable, "-c", _TRIAL, f"--temp-directory={self.scratch}/{self.name}", self.name],
            environment={"PYTHONPATH": os.pathsep.join(sys.path), RANGE: self._ports},
        )

    def passed(self, count: int, seconds: float) -> None:
        """
        Wait for the end.

        @raise AssertionError: not all of so many tests have passed.
        """
        status, text = self.waitEnded(seconds), self.text()
        assert status == 0 and f"PASSED (successes={count})" in text, text[-6000:]

    def stop(self, seconds: float = 5.0) -> int | None:
        """End it as its user would: it ends what it has started."""
        if self._process is not None and self.running():
            self._process.send_signal(signal.SIGINT)
            try:
                self.waitEnded(30)
            except AssertionError:
                pass
        return super().stop(seconds)
