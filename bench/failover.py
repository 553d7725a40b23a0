"""From the end of the carrier's first node to trunks that are registered at the second."""

from __future__ import annotations

import time

from bench.lab import Lab, Trunks
from bench.table import Figure, Row

TRUNKS = 8
"""In one process: each draws its own wait before it tries again."""

_SETTLED = 10.5
"""Seconds after which a server that closes a connection is tried first again, and not passed over."""

_KINDS = {
    "dead": "refused at the first",
    "silent": "the first answers no SYN",
    "stuck": "the first answers no ClientHello",
}


def measure() -> Figure:
    """The first node resets the connections that stand, and is none any more."""
    rows = []
    with Lab("nodes=good,good") as lab:
        for kind, words in _KINDS.items():
            lab.switch(nodes="good,good")
            with Trunks(lab, TRUNKS) as trunks:
                trunks.waitRegistered(TRUNKS)
                time.sleep(_SETTLED)
                lab.switch(nodes=f"{kind},good")
                gone = lab.switch(cut="reset")
                took = [each - gone for each in trunks.waitRegistered(TRUNKS)]
            rows.append(Row(words, tuple(took), "s"))
    return Figure(
        f"Until registered at the next SRV target, back-off included, {TRUNKS} trunks",
        "failover",
        tuple(rows),
    )
