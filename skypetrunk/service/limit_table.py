"""C{[trunk.limits]} and C{[pbx.limits]}."""

from __future__ import annotations

import re

from skypetrunk.profiles.tables import Table
from skypetrunk.service.settings import Limits


def readLimits(table: Table, calls: int | None = None, *, incoming: bool = False) -> Limits:
    """
    The limits in C{table}; what is wrong is noted in its problems.

    @param calls: default of the calls at the same time.
    @param incoming: a trunk, which may take more calls than it makes.
    """
    bound = table.integer("calls", 1, 100000, 0) or calls
    burst = table.integer("incoming_burst", 0, 100, 0) if incoming else 0
    if burst and bound is None:
        table.wrong("incoming_burst", "stands without calls", "calls = 30 beside it")
    allow, deny = readPrefixes(table, "allow"), readPrefixes(table, "deny")
    for prefix in deny:
        if prefix.startswith("0"):
            text = f'"{prefix}" counts where it is dialled so; as "+44..." it counts however it is written'
            table.problems.warn(table.key("deny"), text)
    for prefix in allow:
        if prefix in deny:
            table.wrong("deny", f'"{prefix}" stands in allow too', "in one of them")
    return Limits(
        calls=bound,
        incomingBurst=burst,
        callsPerSecond=table.integer("calls_per_second", 1, 10000, 0) or None,
        minutesPerDay=table.integer("minutes_per_day", 1, 10000000, 0) or None,
        allow=allow,
        deny=deny,
    )


def readPrefixes(table: Table, name: str) -> tuple[str, ...]:
    """Beginnings of numbers; a star behind digits stands for "anything" elsewhere, and here for itself."""
    prefixes = table.texts(name, f'{name} = ["+44"]') or ()
    for prefix in prefixes:
        if not re.fullmatch(r"\+[0-9]*|[*#][0-9*#]*|[0-9]+(?:[*#]+[0-9]+)*", prefix):
            table.wrong(name, f'"{prefix}" is no prefix of a number', '"+44", or digits')
    return prefixes
