"""A thousand trunks whose carrier was away: they register again, each over its own TLS connection."""

from __future__ import annotations

import resource
import statistics
import time

from bench.lab import Lab, Trunks
from bench.processes import Failed
from bench.recovery import waits
from bench.table import Figure, Row

FLOWS = 1000
OUTAGE = 10.0


def measure() -> Figure:
    """All trunks in one process, all connections at one practice carrier; each REGISTER is challenged."""
    _openFiles(FLOWS + 200)
    # A resumed handshake would flatter both; the generic profile asks for no OCSP, as a thousand
    # administrators would not share one cache.
    with Lab() as lab, Trunks(lab, FLOWS, profile="generic") as trunks:
        first = trunks.waitRegistered(FLOWS, 120)
        if len(first) != FLOWS:
            raise Failed(f"{len(first)} registrations of {FLOWS} trunks")
        time.sleep(12)  # a server that closes sooner is held to have refused
        lab.switch(nodes="dead")
        time.sleep(OUTAGE)
        back = lab.switch(nodes="good")
        tried = len(waits(trunks))
        used = trunks.program.seconds()
        again = [each - back for each in trunks.waitRegistered(FLOWS, 120)]
        used = trunks.program.seconds() - used
        time.sleep(2)
        twice = len(trunks.waitRegistered(0, 1))
        failures = len(waits(trunks)) - tried
    busiest = max(sum(1 for one in again if start <= one < start + 1) for start in range(int(again[-1]) + 1))
    rows = (
        Row("the first again", (again[0],), "s"),
        Row("half of them again", (statistics.median(again),), "s"),
        Row("the last again", (again[-1],), "s"),
        Row("most in one second", (busiest,), ""),
        Row("further attempts that failed", (failures,), ""),
        Row("registrations lost or doubled", (twice,), ""),
        Row("CPU of the trunks, each", (used / FLOWS * 1000,), "ms"),
        Row("at the very start: the last registered", (first[-1] - trunks.begun,), "s"),
    )
    return Figure(f"{FLOWS} trunks after {OUTAGE:g} s in which connections were refused", "thousand", rows)


def _openFiles(count: int) -> None:
    """
    Let the processes to come have so many files open.

    @raise Failed: the system does not.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        if hard != resource.RLIM_INFINITY and hard < count:
            raise Failed(f"a process may open {hard} files, and {count} are needed: ulimit -n")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
