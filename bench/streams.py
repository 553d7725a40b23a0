"""CPU per relayed packet by the number of streams, at the same number of packets per second."""

from __future__ import annotations

import contextlib

from bench.processes import Missing
from bench.relay import carried, floor
from bench.rtpengine import rtpengine
from bench.table import Figure, Row, ratio

STREAMS = (10, 1000)
PACE = 20_000
SECONDS = 3.0
SETTLING = 1.5
RUNS = 5


def measure() -> Figure:
    """Short runs of both in turn, of the C program and of the trunk, RTP to SRTP."""
    rows = []
    programs = {
        "C, no crypto, no checks": floor,
        "rtpengine in userspace, one thread": rtpengine,
        "skypetrunk": carried,
    }
    for title, program in programs.items():
        values: dict[int, list[float]] = {streams: [] for streams in STREAMS}
        with contextlib.ExitStack() as stack:
            try:
                both = {streams: stack.enter_context(program(streams)) for streams in STREAMS}
            except Missing as missing:
                rows.append(Row(title, note=str(missing)))
                continue
            for _, load in both.values():
                load.run(0.5, rate=4)  # makes the sources known
            for _ in range(RUNS):
                for streams, (process, load) in both.items():
                    # After the pause in which the other was measured each stream begins anew.
                    load.run(SETTLING, (False,), PACE // streams)
                    before = process.seconds()
                    result = load.run(SECONDS, (False,), PACE // streams)
                    values[streams].append((process.seconds() - before) * 1e6 / result.received)
        for streams, found in values.items():
            compared = None if streams == STREAMS[0] else ratio(found, values[STREAMS[0]])
            rows.append(Row(f"{title}, {streams} streams", tuple(found), "us", compared))
    title = f"CPU per packet, RTP to SRTP, {PACE} packets per second, {RUNS} runs of {SECONDS:g} s"
    return Figure(title, "streams", tuple(rows))
