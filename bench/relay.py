"""CPU per relayed packet, RTP to SRTP and back, beside C without crypto and rtpengine."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.media import FRAMES, Load
from bench.processes import Failed, Missing, Program, find
from bench.rtpengine import rtpengine
from bench.table import Figure, Row, ratio
from bench.trunk import HOST, Trunk

CALLS = 100
SECONDS = 4.0
RUNS = 4


def measure() -> Figure:
    """Short runs of each program in turn."""
    titles = {
        "floor": "C, no crypto, no checks",
        "rtpengine": "rtpengine in userspace, one thread",
        "skypetrunk": "skypetrunk, whole process",
    }
    opened = {"floor": _floor, "rtpengine": rtpengine, "skypetrunk": carried}
    values: dict[str, list[float]] = {name: [] for name in titles}
    notes = dict.fromkeys(titles, "")
    lost = dict.fromkeys(titles, 0)
    with contextlib.ExitStack() as stack:
        measured = {}
        for name, program in opened.items():
            try:
                measured[name] = stack.enter_context(program(CALLS))
            except Missing as missing:
                notes[name] = str(missing)
        for run in range(RUNS + 1):
            for name, (process, load) in measured.items():
                before = process.seconds()
                result = load.run(SECONDS if run else 0.5)  # the first ones make the sources known
                if not result.received:
                    raise Failed(f"{name} relayed nothing:\n{process.written()[-2000:]}")
                if run:
                    values[name].append((process.seconds() - before) * 1e6 / result.received)
                    lost[name] += result.lost
    rows = tuple(
        Row(
            title,
            tuple(values[name]),
            "us",
            None if name == "floor" else ratio(values[name], values["floor"]),
            notes[name] or (f"{lost[name]} packets lost" if lost[name] else ""),
        )
        for name, title in titles.items()
    )
    pace = CALLS * 2 * FRAMES
    title = f"CPU per relayed packet, {RUNS} runs of {SECONDS:g} s, {CALLS} calls, {pace} packets per second"
    return Figure(title, "relay", rows)


@contextlib.contextmanager
def carried(calls: int) -> Iterator[tuple[Program, Load]]:
    """The trunk with C{calls} up."""
    load = Load(calls)
    try:
        with Trunk(calls, callerPorts=load.plainPorts, carrierPorts=load.securePorts) as trunk:
            up = trunk.caller.place(calls, 50, hold=True)
            plain = {each.audio: each.media for each in up}
            secure = trunk.carrier.media
            load.connect(
                [plain[port] or (HOST, 9) for port in load.plainPorts],
                [secure[port] for port in load.securePorts],
            )
            yield trunk.program, load
            trunk.caller.hangUp(up)
    finally:
        load.close()


@contextlib.contextmanager
def _floor(calls: int) -> Iterator[tuple[Program, Load]]:
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
