"""CPU per call while a thousand other calls stand, beside ten, and memory per standing call."""

from __future__ import annotations

import os
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from bench.calls import CALLS, RATE
from bench.processes import Program, privateMemory
from bench.table import Figure, Row, ratio
from bench.trunk import HOST, WIDE, Trunk
from skypetrunk.interfaces import MediaAddress
from skypetrunk.media.plane import MediaPlane
from skypetrunk.wire.sdes import MasterKey

FEW, MANY = 10, 1000
RUNS = 6

_FORGOTTEN = 33.0
"""Seconds after which the transactions of the INVITEs are over (64*T1)."""


def measure() -> Figure:
    """Two trunks, one with ten calls and one with a thousand; short runs of each in turn."""
    with Trunk(FEW + CALLS) as few, Trunk(MANY + CALLS) as many:
        trunks = {FEW: few, MANY: many}
        standing, values = {}, {count: list[float]() for count in trunks}
        for trunk in trunks.values():
            trunk.caller.place(20, RATE, hold=False)
        time.sleep(1)
        empty = many.program.memory()
        for count, trunk in trunks.items():
            standing[count] = trunk.caller.place(count, 2 * RATE, hold=True)
        fresh = many.program.memory()
        time.sleep(_FORGOTTEN)
        settled = many.program.memory()
        idle = {count: _idle(trunk.program) for count, trunk in trunks.items()}
        for _ in range(RUNS):
            for count, trunk in trunks.items():
                values[count].append(_run(trunk, idle[count]))
        for count, trunk in trunks.items():
            trunk.caller.hangUp(standing[count])
    # What other benchmarks of this run have given back would be used again.
    with ProcessPoolExecutor(1, get_context("spawn")) as alone:
        media = alone.submit(_media).result()
    rows = (
        Row(f"{FEW} standing calls", tuple(values[FEW]), "ms"),
        Row(f"{MANY} standing calls", tuple(values[MANY]), "ms", ratio(values[MANY], values[FEW])),
        Row(
            "the standing calls themselves",
            (idle[MANY] * 1000 / MANY,),
            "ms/s",
            note="for each: SRTP keep-alives; not in the above",
        ),
        Row("memory of the media of one", (media / 1024,), "KiB", note="ports, SRTP; part of the next"),
        Row("memory of one, just set up", ((fresh - empty) / MANY / 1024,), "KiB"),
        Row("memory of one, after 64*T1", ((settled - empty) / MANY / 1024,), "KiB"),
    )
    return Figure(f"CPU per call beside standing ones, {RUNS} runs of {CALLS} calls", "standing", rows)


def _idle(program: Program) -> float:
    """CPU seconds per second without new calls: over one interval of keep-alives."""
    before, start = program.seconds(), time.monotonic()
    time.sleep(15)
    return (program.seconds() - before) / (time.monotonic() - start)


def _run(trunk: Trunk, idle: float) -> float:
    """CPU milliseconds per new call."""
    before, start = trunk.program.seconds(), time.monotonic()
    trunk.caller.place(CALLS, RATE, hold=False)
    time.sleep(0.1)
    used = trunk.program.seconds() - before - idle * (time.monotonic() - start)
    return used * 1000 / CALLS


def _media() -> float:
    """Octets of two legs with their ports and SRTP contexts, in a process that does nothing else."""
    from twisted.internet import reactor

    clock: Any = reactor
    plane = MediaPlane(clock, clock, HOST, None, WIDE, os.urandom)
    remote = MediaAddress(HOST, 9, 9)
    types = {8: "PCMA/8000", 0: "PCMU/8000", 101: "telephone-event/8000"}

    def place() -> list[Any]:
        legs = [plane.allocate("call", secure) for secure in (False, True)]
        plane.join(legs[0], legs[1], "call")
        for leg in legs:
            leg.setRemote(remote)
            leg.setPayloadTypes(dict(types), dict(types))
        suite = "AES_CM_128_HMAC_SHA1_80"
        legs[1].setLocalKey(suite, MasterKey(os.urandom(16), os.urandom(14)))
        legs[1].setRemoteKey(suite, MasterKey(os.urandom(16), os.urandom(14)))
        return legs

    first = place()  # what is made once
    before = privateMemory(os.getpid())
    calls = [place() for _ in range(MANY)]
    used = privateMemory(os.getpid()) - before
    for leg in [*first, *(leg for call in calls for leg in call)]:
        leg.release()
    return used / MANY
