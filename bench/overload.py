"""Three times what the trunk can carry: what is refused is refused at once, the others are served in time."""

from __future__ import annotations

import time

from bench.caller import Outcome, percentile
from bench.capacity import capacity
from bench.table import Figure, Row
from bench.trunk import Trunk

TIMES = 3
SECONDS = 8
SIMULTANEOUS = 1500


def measure() -> Figure:
    """The same trunk at its capacity and at three times as much."""
    with Trunk(SIMULTANEOUS) as trunk:
        trunk.caller.place(50, 50, hold=False)
        rate = capacity(trunk)
        usual = trunk.caller.offer(int(rate * SECONDS), rate)
        time.sleep(1)
        begun = time.monotonic()
        much = trunk.caller.offer(int(TIMES * rate * SECONDS), TIMES * rate)
        took = time.monotonic() - begun
    offered = int(TIMES * rate * SECONDS)
    rows = (
        *_delays(f"at capacity, {rate:.0f} per second", usual),
        *_delays(f"at {TIMES} times that", much),
        Row("503", (percentile(_ms(much.refused), 50),), "ms", note="half are below"),
        Row("503", (percentile(_ms(much.refused), 99),), "ms", note="99 % are below"),
        Row("503 without Retry-After", (float(much.bare),), ""),
        Row("refused with 503", (100 * len(much.refused) / offered,), "%"),
        Row("refused otherwise, or lost", (100 * (much.failed + much.lost) / offered,), "%"),
        Row("accepted", (len(much.accepted) / took,), "/s", len(much.accepted) / took / rate),
    )
    return Figure(f"{TIMES} times the capacity, {SECONDS} s", "overload", rows)


def _delays(what: str, outcome: Outcome) -> tuple[Row, ...]:
    delays = _ms(outcome.accepted)
    return (
        Row(f"INVITE to 200, {what}", (percentile(delays, 50),), "ms", note="half are below"),
        Row(f"INVITE to 200, {what}", (percentile(delays, 99),), "ms", note="99 % are below"),
    )


def _ms(seconds: list[float]) -> list[float]:
    return [each * 1000 for each in seconds]
