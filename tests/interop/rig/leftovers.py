"""
Trunks whose test is over, left alone until their last timer has to be gone.

The longest transaction lives 64*T1 = 32 s after a call (RFC 3261 timer J, RFC 6026 timers L and M).
Instead of waiting that long in each test, the trunk is set aside, with the carrier it is registered
at, and judged when a later test ends, or by the last of all tests.
"""

from __future__ import annotations

import atexit
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.interop.rig.processes import Peer
from tests.interop.rig.trunk import Trunk

#: Seconds after which nothing may be left: 64*T1, T4, and some for a slow machine.
LAST_TIMER = 64 * 0.5 + 5 + 3


@dataclass(frozen=True)
class Leftover:
    """
    A trunk set aside.  C{peers} are stopped after it, in this order; C{scratch} is then removed.

    @ivar keys: SRTP keys that it must not have written anywhere.
    """

    test: str
    since: float
    trunk: Trunk
    peers: Sequence[Peer]
    scratch: Path
    keys: Sequence[bytes]

    def judge(self) -> None:
        """Nothing may be left in it, and on SIGTERM it has to end in order."""
        try:
            wait = max(0.0, self.since + LAST_TIMER - time.monotonic())
            self.trunk.checkEmpty(wait + 1)
            self.trunk.terminate()
            self.trunk.checkSecrets(self.keys)
            self.trunk.checkNoTraceback()
        except AssertionError as failed:
            raise AssertionError(f"after {self.test}, kept in {self.scratch}: {failed}") from failed
        else:
            shutil.rmtree(self.scratch, ignore_errors=True)
        finally:
            self.clear()

    def clear(self) -> None:
        """Stop all processes."""
        for peer in (self.trunk, *self.peers):
            peer.stop()
        atexit.unregister(self.abandon)

    def abandon(self) -> None:
        """At the end of a run without the last test: nobody will judge it any more."""
        self.clear()
        shutil.rmtree(self.scratch, ignore_errors=True)


_waiting: list[Leftover] = []


def leave(test: str, trunk: Trunk, peers: Sequence[Peer], scratch: Path, keys: Sequence[bytes]) -> None:
    """Set a trunk aside."""
    one = Leftover(test, time.monotonic(), trunk, peers, scratch, keys)
    atexit.register(one.abandon)
    _waiting.append(one)


def judgeDue() -> None:
    """Judge the trunks whose last timer is over by now."""
    due = [one for one in _waiting if time.monotonic() - one.since > LAST_TIMER]
    _judge(due)


def judgeAll() -> int:
    """
    Wait for all that are left and judge them.

    @return: how many.
    """
    count = len(_waiting)
    _judge(list(_waiting))
    return count


def _judge(those: Sequence[Leftover]) -> None:
    failures = []
    for one in those:
        _waiting.remove(one)
        try:
            one.judge()
        except AssertionError as failed:
            failures.append(str(failed))
    if failures:
        raise AssertionError("\n".join(failures))
