"""What thousands of calls leave behind: objects by type, and memory."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from bench.processes import Failed
from bench.table import Figure, Row
from bench.trunk import Trunk

CALLS = 2000
LONG_CALLS = 20000
RATE = 100.0
FIRST = 2000
"""Calls before the first census: some things are made once, and memory that was needed once is kept."""

_FORGOTTEN = 34.0
"""Seconds after which nothing remembers a call (64*T1, and a second for the timers)."""


def measure(long: bool = False) -> Figure:
    """
    A census before the calls, and one after them.

    @param long: 20,000 calls.
    """
    count = LONG_CALLS if long else CALLS
    with tempfile.TemporaryDirectory(prefix="skypetrunk-bench-") as directory:
        found = Path(directory) / "census"
        script = Path(__file__).with_name("census.py")
        with Trunk(500, wrapper=[sys.executable, str(script), str(found)]) as trunk:
            trunk.caller.offer(FIRST, RATE)
            time.sleep(_FORGOTTEN)
            before, memory = _census(trunk, found), trunk.program.memory()
            outcome = trunk.caller.offer(count, RATE)
            time.sleep(_FORGOTTEN)
            after, grown = _census(trunk, found), trunk.program.memory() - memory
    more = Counter(after)
    more.subtract(before)
    grew = [f"{kind} {number:+}" for kind, number in more.most_common(4) if number > 0]
    answered = len(outcome.accepted)
    rows = (
        Row("calls answered and ended", (float(answered - outcome.lost),), ""),
        Row("objects before", (float(sum(before.values())),), ""),
        Row("objects after", (float(sum(after.values())),), "", note=", ".join(grew)),
        Row("objects more for each call", ((sum(after.values()) - sum(before.values())) / answered,), ""),
        Row("memory more for each call", (grown / answered,), "B", note="of the process"),
    )
    return Figure(f"What {count:,} calls leave behind", "growth --long" if long else "growth", rows)


def _census(trunk: Trunk, found: Path) -> Counter[str]:
    found.unlink(missing_ok=True)
    trunk.program.signal(signal.SIGUSR1)
    end = time.monotonic() + 20
    while not found.exists():
        if time.monotonic() > end:
            raise Failed("the census was not taken")
        time.sleep(0.05)
    return Counter(json.loads(found.read_text()))
