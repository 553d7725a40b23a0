"""Media workers: what a packet costs with none, one and two; and signalling while media has a whole core."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Iterator

from bench.caller import percentile
from bench.media import Load
from bench.processes import Failed, Missing, Program
from bench.relay import standing
from bench.table import Figure, Row, ratio
from bench.trunk import Trunk

CALLS = 100
"""Of each worker: how many packets gather while it is busy decides what one of them costs."""

SECONDS = 4.0
RUNS = 4

ASKED = 300
PAUSE = 0.02
"""OPTIONS, and seconds between two of them."""

_PATIENCE = 2.0


def measure() -> Figure:
    """
    Short runs with each number of workers in turn; then a flood.

    @raise Missing: the machine has one core, or cannot keep a process on one.
    """
    cores = sorted(os.sched_getaffinity(0))
    taskset = shutil.which("taskset")
    if len(cores) < 2 or taskset is None:
        raise Missing("this wants two cores, and taskset")
    values: dict[int, list[float]] = {0: [], 1: [], 2: []}
    lost = dict.fromkeys(values, 0)
    with contextlib.ExitStack() as stack:
        measured = {
            number: stack.enter_context(standing(CALLS * max(number, 1), workers=number)) for number in values
        }
        for run in range(RUNS + 1):
            for number, (trunk, load) in measured.items():
                before = _seconds(trunk.program)
                result = load.run(SECONDS if run else 0.5)  # the first ones make the sources known
                if not result.received:
                    raise Failed(f"nothing was relayed:\n{trunk.program.written()[-2000:]}")
                if run:
                    values[number].append((_seconds(trunk.program) - before) * 1e6 / result.received)
                    lost[number] += result.lost
    rows = [
        Row(
            f"{number or 'no'} worker{'s' * (number != 1)}, all processes",
            tuple(values[number]),
            "us",
            ratio(values[number], values[1]) if number == 2 else None,
            f"{lost[number]} packets lost" if lost[number] else "",
        )
        for number in values
    ]
    for workers in (0, 1):
        pinned = (taskset, "-c", str(cores[0]))
        # The helper would want more packets than this benchmark can send.
        with standing(CALLS, helper=False, wrapper=pinned, workers=workers) as (trunk, load):
            delays, share = _options(trunk, load, set(cores[1:]))
        what = f"OPTIONS to its answer in a flood, {workers or 'no'} worker{'s' * (workers != 1)}"
        media = f"half are below; media could use {share:.0f} % of the core"
        rows.append(Row(what, (percentile(delays, 50),), "ms", note=media))
        rows.append(Row(what, (percentile(delays, 99),), "ms", note="99 % are below"))
    title = f"CPU per relayed packet, {RUNS} runs of {SECONDS:g} s, {CALLS} calls a worker; OPTIONS"
    return Figure(title, "workers", tuple(rows))


def _seconds(program: Program) -> float:
    """CPU of the trunk and its workers."""
    return program.seconds() + sum(map(program.seconds, program.children))


def _wanted(program: Program) -> float:
    """Seconds in which the process that carries the media ran, or could have run."""
    carrying: list[int | None] = [*program.children] or [None]
    return max(program.seconds(each) + program.waited(each) for each in carrying)


def _options(trunk: Trunk, load: Load, cores: set[int]) -> tuple[list[float], float]:
    """
    Milliseconds from OPTIONS to its answer, while more packets come than can be relayed; and the percentage
    of a core that the process which relays them could have used.

    @raise Failed: one has no answer.
    """
    delays = []
    load.run(0.5)
    with _flood(load, cores):
        time.sleep(0.5)
        before, start = _wanted(trunk.program), time.monotonic()
        for _ in range(ASKED):
            asked = time.perf_counter()
            if not trunk.caller.options(_PATIENCE):
                raise Failed("OPTIONS was not answered")
            delays.append((time.perf_counter() - asked) * 1000)
            time.sleep(PAUSE)
        share = (_wanted(trunk.program) - before) / (time.monotonic() - start)
    return delays, share * 100


@contextlib.contextmanager
def _flood(load: Load, cores: set[int]) -> Iterator[None]:
    """Another process sends as much as it can from the ends without SRTP."""
    child = os.fork()
    if not child:
        try:
            os.sched_setaffinity(0, cores)
            load.flood()
        finally:
            os._exit(1)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
