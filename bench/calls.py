"""CPU per call, INVITE to BYE, without media: beside sippy's back-to-back user agent."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.caller import Caller
from bench.carrier import Carrier
from bench.processes import Failed, Missing, Program, find, takePorts
from bench.table import Figure, Row, ratio
from bench.trunk import HOST, Trunk

RATE = 50.0
FAST = 200.0
"""Calls per second at which a process hardly sleeps: less of it is gone from the caches of its core."""

CALLS = 150
RUNS = 5

_SIPPY = f"{sys.executable} -m pip install sippy"


def measure() -> Figure:
    """Short runs of each program in turn, so that what else the machine does hits all of them."""
    titles = {
        "sippy": "sippy b2bua_simple: UDP, UDP",
        "open": "skypetrunk: UDP, TLS",
        "challenged": "skypetrunk: UDP, TLS, each INVITE challenged",
    }
    values: dict[tuple[str, float], list[float]] = {
        (name, rate): [] for rate in (RATE, FAST) for name in titles
    }
    notes: dict[tuple[str, float], str] = {}
    with contextlib.ExitStack() as stack:
        measured = {}
        for name, opened in (("open", Trunk(2 * CALLS)), ("challenged", Trunk(2 * CALLS, challenging=True))):
            trunk = stack.enter_context(opened)
            measured[name] = (trunk.program, trunk.caller)
        try:
            measured["sippy"] = stack.enter_context(_sippy())
        except Missing as missing:
            notes = dict.fromkeys([("sippy", RATE), ("sippy", FAST)], str(missing))
        for _, caller in measured.values():
            caller.place(20, RATE, hold=False)  # the first ones import, compile and fill caches
        for rate in (RATE, FAST):
            for _ in range(RUNS):
                for name, (program, caller) in measured.items():
                    if (name, rate) in notes:
                        continue
                    try:
                        values[name, rate].append(_run(program, caller, rate))
                    except Failed as failure:
                        if name != "sippy" and rate == RATE:
                            raise
                        notes[name, rate] = f"gave up: {failure}"
    rows = [
        Row(
            f"{titles[name]}, {rate:g}/s",
            tuple(figures),
            "ms",
            ratio(figures, values["sippy", rate]) if name != "sippy" else None,
            notes.get((name, rate), ""),
        )
        for (name, rate), figures in values.items()
    ]
    return Figure(f"CPU per call, {RUNS} runs of {CALLS} calls", "calls", tuple(rows))


def _run(program: Program, caller: Caller, rate: float) -> float:
    """CPU milliseconds per call of one run."""
    before = program.seconds()
    caller.place(CALLS, rate, hold=False)
    time.sleep(0.1)
    return (program.seconds() - before) * 1000 / CALLS


@contextlib.contextmanager
def _sippy() -> Iterator[tuple[Program, Caller]]:
    """
    sippy's example, between a caller and a carrier over UDP.

    @raise Missing: it is not installed.
    """
    command = find("b2bua_simple", _SIPPY)
    carrier = Carrier(HOST, takePorts(HOST), [9])
    carrier.startUDP()
    port = takePorts(HOST)
    there = f"{HOST}:{carrier.address[1]}"
    with tempfile.TemporaryDirectory(prefix="skypetrunk-bench-") as directory:
        program = Program(
            [command, "-f", "-l", HOST, "-p", str(port), "-n", there], Path(directory), "sippy"
        )
        caller = Caller(HOST, (HOST, port), [9])
        try:
            time.sleep(1.5)  # it says nothing when it is ready
            yield program, caller
        finally:
            caller.close()
            program.stop()
            carrier.stop()
