"""One packet of 20 ms of G.711 encrypted and decrypted, for each suite and each implementation."""

from __future__ import annotations

import time
from collections.abc import Callable

from bench.table import Figure, Row, ratio
from skypetrunk.interfaces import IPacketGuard
from skypetrunk.media.own_srtp import OwnGuard
from skypetrunk.media.srtp import PROFILES, Guard
from skypetrunk.wire.sdes import SUITES, MasterKey

RUNS = 5
PACKETS = 10_000


def measure() -> Figure:
    """Runs of all in turn."""
    works: dict[tuple[str, str], Callable[[str, MasterKey, bool], IPacketGuard]] = {}
    for suite in SUITES:
        if suite in PROFILES:
            works[suite, "libsrtp"] = Guard
        works[suite, "our own"] = OwnGuard
    values: dict[tuple[str, str], list[float]] = {name: [] for name in works}
    for _ in range(RUNS):
        for name, make in works.items():
            values[name].append(_microseconds(name[0], make))
    reference = next(iter(values.values()))
    rows = tuple(
        Row(f"{suite}, {by}", tuple(found), "us", None if found is reference else ratio(found, reference))
        for (suite, by), found in values.items()
    )
    return Figure("A packet of G.711 encrypted and decrypted", "srtp", rows)


def _microseconds(suite: str, make: Callable[[str, MasterKey, bool], IPacketGuard]) -> float:
    """CPU time of one packet, encrypted and decrypted, as the mean of many."""
    known = SUITES[suite]
    key = MasterKey(bytes(known.keyOctets), bytes(known.saltOctets))
    sender, receiver = make(suite, key, True), make(suite, key, False)
    packets = [b"\x80\x00" + number.to_bytes(2, "big") + bytes(8) + bytes(160) for number in range(PACKETS)]
    start = time.process_time()
    received = [receiver.rtp(sender.rtp(packet)) for packet in packets]
    spent = time.process_time() - start
    assert received == packets
    return spent * 1e6 / PACKETS
