"""How many calls per second the trunk carries here, together with the caller and the carrier."""

from __future__ import annotations

import time

from bench.caller import percentile
from bench.processes import Failed
from bench.trunk import Trunk

SECONDS = 3.0
"""How long each rate is tried."""

STEADY = 40.0
"""
The same for what has to last: from 64*T1 on transactions of earlier calls end while new ones begin, which
costs, too.
"""

SLOW = 0.25
"""Seconds: a rate at which 1 % of the answers take longer is more than it can carry."""

_STEP = 1.15
_FIRST = 60.0


def capacity(trunk: Trunk, seconds: float = SECONDS) -> float:
    """
    The highest rate at which every call is answered in time, in calls per second.

    @param seconds: how long each rate is tried.
    @raise Failed: not even a low one.
    """
    rate, found = _FIRST, 0.0
    # From what the CPU would allow, so that the search is short.
    before = trunk.program.seconds()
    if trunk.caller.offer(int(rate * SECONDS), rate).clean:
        found = rate
        share = (trunk.program.seconds() - before) / SECONDS
        rate = max(rate, 0.6 * rate / share)
    failures = 0
    while failures < 2:
        outcome = trunk.caller.offer(int(rate * seconds), rate)
        time.sleep(0.5)
        if outcome.clean and percentile(outcome.accepted, 99) < SLOW:
            found, failures = max(found, rate), 0
            rate *= _STEP
        else:
            failures += 1  # once may be something else that the machine does
            time.sleep(2.0)
            if rate < _FIRST / 2:
                break
            if found < rate and failures == 2 and not found:
                rate, failures = rate / 2, 0
    if not found:
        raise Failed("no rate was found at which all calls are answered in time")
    return found
