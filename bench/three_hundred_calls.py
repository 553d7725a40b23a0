"""300 and 500 simultaneous G.711 calls, each way, through a trunk that has one core; the load has another."""

from __future__ import annotations

import os
import resource
import shutil
import time
from dataclasses import replace
from pathlib import Path

from bench.media import FRAMES
from bench.processes import Failed, Missing
from bench.relay import standing
from bench.table import Figure, Row

CALLS = (300, 500)
"""What is wanted, and what would be good."""

SECONDS = 10.0


def measure() -> Figure:
    """
    One run of each; each packet is accounted for.

    @raise Missing: the machine has one core, or cannot keep a process on one.
    """
    cores = sorted(os.sched_getaffinity(0))
    taskset = shutil.which("taskset")
    if len(cores) < 2 or taskset is None:
        raise Missing("this wants two cores, and taskset")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8 * max(CALLS))), hard))
    os.sched_setaffinity(0, cores[1:])
    try:
        rows = [row for calls in CALLS for row in _carried(calls, (taskset, "-c", str(cores[0])))]
    finally:
        os.sched_setaffinity(0, cores)
    title = f"{' and '.join(map(str, CALLS))} calls, G.711, RTP to SRTP and back, {SECONDS:g} s"
    return Figure(title, "three_hundred_calls", tuple(rows))


def _carried(calls: int, wrapper: tuple[str, ...]) -> list[Row]:
    """@param wrapper: keeps the trunk on its core."""
    with standing(calls, wrapper=wrapper) as (trunk, load):
        load.run(0.5)
        before, own, start = trunk.program.seconds(), time.process_time(), time.monotonic()
        waited, ownWaited = trunk.program.waited(), _waited()
        result = load.run(SECONDS)
        took = time.monotonic() - start
        share = (trunk.program.seconds() - before) / took * 100
        ours = (time.process_time() - own) / took * 100
        waited = (trunk.program.waited() - waited) / took * 100
        ownWaited = (_waited() - ownWaited) / took * 100
        if not result.received:
            raise Failed(f"nothing was relayed:\n{trunk.program.written()[-2000:]}")
    wanted = f"{calls * FRAMES * 2:,} are wanted"
    values = (
        Row("packets sent", (result.sent,), ""),
        Row("packets per second", (result.sent / result.seconds,), "", note=wanted),
        Row("packets lost", (result.lost,), ""),
        Row("share of the trunk's core", (share,), "%"),
        Row("share of this benchmark's own", (ours,), "%", note="packets are made in it, too"),
        Row("others had the trunk's core", (waited,), "%", note="while it could have run"),
        Row("others had this benchmark's", (ownWaited,), "%", note="they make all delays longer"),
        Row("delay, median", (result.percentile(0.5),), "ms"),
        Row("delay, 99 % below", (result.percentile(0.99),), "ms", note="this benchmark's own included"),
    )
    return [replace(each, what=f"{calls} calls: {each.what}") for each in values]


def _waited() -> float:
    """Seconds in which we could have run, but others had the core; 0 where unknown."""
    try:
        return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0
