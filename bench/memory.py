"""Memory per call, signalling and media."""

from __future__ import annotations

import time

from bench.table import Figure, Row
from bench.trunk import Trunk

CALLS = 200
RATE = 40.0


def measure() -> Figure:
    """The trunk's own memory with no call and with 200."""
    with Trunk(CALLS) as trunk:
        # What is only made once, and what the first calls leave behind, is not the price of a call.
        trunk.caller.place(20, RATE, hold=False)
        time.sleep(1)
        before = trunk.program.memory()
        calls = trunk.caller.place(CALLS, RATE, hold=True)
        time.sleep(1)
        during = trunk.program.memory()
        trunk.caller.hangUp(calls)
    rows = (
        Row("skypetrunk, per call", ((during - before) / CALLS / 1024,), "KiB"),
        Row("skypetrunk, no call", (before / 2**20,), "MiB"),
        Row(f"skypetrunk, {CALLS} calls", (during / 2**20,), "MiB"),
    )
    return Figure(f"Private memory of the process, {CALLS} calls up, four media ports each", "memory", rows)
