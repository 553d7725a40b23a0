"""80 % of what the trunk can carry, for a while: nothing may fail."""

from __future__ import annotations

from bench.caller import percentile
from bench.capacity import SECONDS as TRIED
from bench.capacity import STEADY, capacity
from bench.table import Figure, Row
from bench.trunk import Trunk

SHARE = 0.8
SECONDS = 20
LONG_SECONDS = 300
SIMULTANEOUS = 1000


def measure(long: bool = False) -> Figure:
    """
    The capacity first, then the calls.

    @param long: for five minutes.
    """
    seconds = LONG_SECONDS if long else SECONDS
    with Trunk(SIMULTANEOUS) as trunk:
        trunk.caller.place(50, 50, hold=False)
        rate = SHARE * capacity(trunk, STEADY if long else TRIED)
        before, idle = trunk.program.seconds(), trunk.program.waited()
        outcome = trunk.caller.offer(int(rate * seconds), rate)
        used = trunk.program.seconds() - before
        waited = trunk.program.waited() - idle
    failed = len(outcome.refused) + outcome.failed + outcome.lost
    delays = [each * 1000 for each in outcome.accepted]
    note = (
        f"{len(outcome.refused)} answered 503, in {len(outcome.refusedIn)} of {seconds} s; "
        f"{outcome.failed} otherwise, {outcome.lost} lost"
    )
    rows = (
        Row("calls per second", (rate,), "/s", note=f"{SHARE:.0%} of {rate / SHARE:.0f}, the capacity here"),
        Row("calls that were answered and ended", (float(len(delays) - outcome.lost),), ""),
        Row("calls that failed", (float(failed),), "", note=note if failed else ""),
        Row("from INVITE to 200, half are below", (percentile(delays, 50),), "ms"),
        Row("from INVITE to 200, 99 % are below", (percentile(delays, 99),), "ms"),
        Row("share of one core", (100 * used / seconds,), "%"),
        Row("time that others had its core", (100 * waited / seconds,), "%"),
    )
    command = "endurance --long" if long else "endurance"
    return Figure(f"{SHARE:.0%} of the capacity for {seconds} s", command, rows)
