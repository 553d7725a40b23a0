"""From a connection that was reset to a trunk that is registered again."""

from __future__ import annotations

import re
import time

from bench.lab import Lab, Trunks
from bench.table import Figure, Row
from skypetrunk.net.backoff import FIRST_RETRY

RUNS = 9


def waits(trunks: Trunks) -> list[float]:
    """Seconds that its back-off made it wait, each time so far: by its log, as chance drew them."""
    found = re.findall(r"Scheduling retry .* in (\S+) seconds", trunks.program.written())
    return [float(each) for each in found]


def measure() -> Figure:
    """Each run with a process of its own: after several losses in a minute it would wait longer."""
    whole, rest = [], []
    with Lab() as lab:
        for _ in range(RUNS):
            with Trunks(lab) as trunk:
                trunk.waitRegistered()
                time.sleep(0.2)
                cut = lab.switch(cut="reset")
                took = trunk.waitRegistered()[0] - cut
                whole.append(took)
                rest.append(took - sum(waits(trunk)))
    drawn = f"{FIRST_RETRY / 2:g} to {FIRST_RETRY * 1.5:g} s, drawn by chance"
    rows = (
        Row("until registered again", tuple(whole), "s", note=f"of it the wait before the attempt: {drawn}"),
        Row("the same without that wait", tuple(rest), "s"),
    )
    return Figure(f"The carrier resets the TLS connection, {RUNS} times", "recovery", rows)
