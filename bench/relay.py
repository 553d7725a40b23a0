"""CPU per relayed packet, RTP to SRTP and back, beside C without crypto and rtpengine."""

from __future__ import annotations

import contextlib
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.media import Load
from bench.processes import Failed, Missing, Program, find
from bench.rtpengine import rtpengine
from bench.table import Figure, Row, ratio
from bench.trunk import HOST, Trunk

STREAMS = 200
RATE = 100
SECONDS = 3.0
SETTLING = 0.4
RUNS = 5
DIRECTIONS = {"RTP to SRTP": (False,), "SRTP to RTP": (True,), "both ways": (False, True)}


def measure() -> Figure:
    """Short runs of each program in turn, one direction after the other."""
    titles = {
        "floor": "C, no crypto, no checks",
        "rtpengine": "rtpengine in userspace, one thread",
        "python": "skypetrunk, media.helper = false",
        "skypetrunk": "skypetrunk",
    }
    opened = {
        "floor": floor,
        "rtpengine": rtpengine,
        "python": lambda calls: carried(calls, helper=False),
        "skypetrunk": carried,
    }
    values: dict[tuple[str, str], list[float]] = {(way, name): [] for way in DIRECTIONS for name in titles}
    notes = dict.fromkeys(titles, "")
    lost = dict.fromkeys(values, 0)
    with contextlib.ExitStack() as stack:
        measured = {}
        for name, program in opened.items():
            try:
                measured[name] = stack.enter_context(program(STREAMS))
            except Missing as missing:
                notes[name] = str(missing)
        for _, load in measured.values():
            load.run(0.5)  # makes the sources known
        for _ in range(RUNS):
            for (way, name), found in values.items():
                if name not in measured:
                    continue
                process, load = measured[name]
                ends = DIRECTIONS[way]
                # After the pause in which the others were measured each stream begins anew.
                load.run(SETTLING, ends, RATE // len(ends))
                before = process.seconds()
                result = load.run(SECONDS, ends, RATE // len(ends))
                if not result.received:
                    raise Failed(f"{name} relayed nothing:\n{process.written()[-2000:]}")
                found.append((process.seconds() - before) * 1e6 / result.received)
                lost[way, name] += result.lost
    rows = []
    for (way, name), found in values.items():
        note = notes[name] or (f"{lost[way, name]} packets lost" if lost[way, name] else "")
        other = values[way, "rtpengine"]
        if name in ("python", "skypetrunk") and other:
            note = f"x {ratio(found, other):.2f} of rtpengine{'; ' + note if note else ''}"
        compared = None if name == "floor" else ratio(found, values[way, "floor"])
        rows.append(Row(f"{way}: {titles[name]}", tuple(found), "us", compared, note))
    pace = STREAMS * RATE
    title = (
        f"CPU per relayed packet, {RUNS} runs of {SECONDS:g} s, {STREAMS} streams, {pace} packets per second"
    )
    return Figure(title, "relay", tuple(rows))


@contextlib.contextmanager
def carried(calls: int, helper: bool = True) -> Iterator[tuple[Program, Load]]:
    """The trunk with C{calls} up."""
    with standing(calls, helper=helper) as (trunk, load):
        yield trunk.program, load


@contextlib.contextmanager
def standing(
    calls: int, *, helper: bool = True, wrapper: Sequence[str] = (), workers: int | None = None
) -> Iterator[tuple[Trunk, Load]]:
    """See L{carried} and L{Trunk}; C{workers} carry the calls."""
    load = Load(calls)
    try:
        with Trunk(
            calls,
            callerPorts=load.plainPorts,
            carrierPorts=load.securePorts,
            helper=helper,
            wrapper=wrapper,
            media="" if workers is None else f"workers = {workers}",
        ) as trunk:
            trunk.program.waitUntil(lambda: _ready(trunk.program) >= (workers or 0), 15)
            up = trunk.caller.place(calls, 50, hold=True)
            plain = {each.audio: each.media for each in up}
            secure = trunk.carrier.media
            load.connect(
                [plain[port] or (HOST, 9) for port in load.plainPorts],
                [secure[port] for port in load.securePorts],
            )
            yield trunk, load
            trunk.caller.hangUp(up)
    finally:
        load.close()


def _ready(program: Program) -> int:
    """Media workers that can be given calls."""
    return len(re.findall("media worker [0-9]+ is ready", program.written()))


@contextlib.contextmanager
def floor(calls: int) -> Iterator[tuple[Program, Load]]:
    """
    The C program.

    @raise Missing: there is no compiler.
    """
    compiler = find("gcc", "apt-get install gcc libc6-dev")
    load = Load(calls)
    with tempfile.TemporaryDirectory(prefix="skypetrunk-bench-") as directory:
        binary = Path(directory) / "floor"
        source = Path(__file__).with_name("floor.c")
        compiled = subprocess.run(
            [compiler, "-O2", "-o", binary, source], capture_output=True, text=True, check=False
        )
        if compiled.returncode:
            raise Missing(f"gcc cannot compile floor.c: {compiled.stderr[-200:]}")
        program = Program([str(binary), str(calls)], Path(directory), "floor.out")
        try:
            program.waitUntil(lambda: program.written().count("\n") == calls, 5)
            ports = [line.split() for line in program.written().splitlines()]
            load.connect([(HOST, int(one)) for one, _ in ports], [(HOST, int(other)) for _, other in ports])
            yield program, load
        finally:
            program.stop()
            load.close()
