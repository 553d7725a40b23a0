"""
The lines of a session description (RFC 8866 section 5), and how they keep their place.

The RFC fixes an order, user agents do not always follow it, and some peers read only
what they know: so a line that did not change is written where it was read.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

__all__ = ["Attribute", "Line", "addressText", "attributeLine", "inPlace"]

# Name and value; C{None} for a flag.
Attribute = tuple[str, str | None]
# Letter and what stands behind the equals sign.
Line = tuple[str, str]

_ORDER = "vosiuepcbtrzka"


def addressText(host: str) -> str:
    """An address as C{o=} and C{c=} write it; a name counts as IPv4."""
    return f"IN {'IP6' if ':' in host else 'IP4'} {host}"


def attributeLine(attribute: Attribute) -> Line:
    """C{a=name} or C{a=name:value}."""
    name, value = attribute
    return "a", name if value is None else f"{name}:{value}"


def _same(line: Line) -> Line:
    """What a line says, whatever its spelling: to know a line that was read from one made of the value."""
    letter, value = line
    if letter in "co":
        fields = value.split()
        return letter, " ".join([*fields[:-3], fields[-1]])
    return line


def inPlace(new: Sequence[Line], written: Sequence[Line]) -> list[str]:
    """
    The lines C{new}, those that were C{written} so before in the old spelling and place.

    What is gone from C{written} is left out.  A changed line takes the place of the first
    line of its letter that is gone, attributes excepted: new ones go to the end.  Where
    that would change the order among the C{new} lines of one letter, C{new} stands.
    """
    merged = _insert(*_merge(new, written)) if written else new
    if _byLetter(merged) != _byLetter(new):
        merged = new
    return [f"{letter}={value}" for letter, value in merged]


def _byLetter(lines: Sequence[Line]) -> list[Line]:
    return sorted(map(_same, lines), key=lambda line: line[0])


def _merge(new: Sequence[Line], written: Sequence[Line]) -> tuple[list[Line], list[Line]]:
    """The lines that have a place in C{written}, and those that have none."""
    left = Counter(map(_same, new))
    old = Counter(map(_same, written))
    fresh: dict[str, deque[Line]] = {}
    for line in new:
        said = _same(line)
        if old[said]:
            old[said] -= 1
        else:
            fresh.setdefault(line[0], deque()).append(line)
    placed: list[Line] = []
    for line in written:
        said = _same(line)
        if left[said]:
            left[said] -= 1
            placed.append(line)
        elif line[0] != "a" and fresh.get(line[0]):
            placed.append(fresh[line[0]].popleft())
    return placed, [line for letter in _ORDER for line in fresh.get(letter, ())]


def _insert(placed: list[Line], fresh: Sequence[Line]) -> list[Line]:
    """Each fresh line behind the last one that comes before it in the RFC's order."""
    for line in fresh:
        rank = _ORDER.index(line[0])
        index = len(placed)
        while line[0] != "a" and index and _ORDER.index(placed[index - 1][0]) > rank:
            index -= 1
        placed.insert(index, line)
    return placed
