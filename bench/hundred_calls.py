"""100 simultaneous G.711 calls through one trunk: does one core carry them without loss?"""

from __future__ import annotations

import time

from bench.processes import Failed
from bench.relay import carried
from bench.table import Figure, Row

CALLS = 100
SECONDS = 15.0


def measure() -> Figure:
    """One run; each packet is accounted for."""
    with carried(CALLS) as (program, load):
        load.run(0.5)
        before, start = program.seconds(), time.monotonic()
        result = load.run(SECONDS)
        share = (program.seconds() - before) / (time.monotonic() - start) * 100
        if not result.received:
            raise Failed(f"nothing was relayed:\n{program.written()[-2000:]}")
    rows = (
        Row("packets sent", (result.sent,), ""),
        Row("packets lost", (result.lost,), ""),
        Row("share of one core", (share,), "%"),
        Row("delay, median", (result.percentile(0.5),), "ms"),
        Row("delay, 99 % below", (result.percentile(0.99),), "ms", note="this benchmark's own included"),
    )
    return Figure(f"{CALLS} calls, G.711, RTP to SRTP and back, {SECONDS:g} s", "hundred_calls", rows)
