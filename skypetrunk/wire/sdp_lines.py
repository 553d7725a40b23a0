"""
The lines of a session description (RFC 8866 section 5), and how they keep their place.

The RFC fixes an order, user agents do not always follow it, and some peers read only
what they know: so a line that did not change is written where it was read.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

from skypetrunk.errors import MalformedSDP

__all__ = [
    "Attribute",
    "Line",
    "MAX_LINES",
    "MAX_MEDIA",
    "addressText",
    "attributeLine",
    "inPlace",
    "splitSections",
]

# Name and value; C{None} for a flag.
Attribute = tuple[str, str | None]
# Letter and what stands behind the equals sign.
Line = tuple[str, str]

# The longest offers seen, browsers with ICE and a dozen codecs per stream, have some 300 lines.
MAX_LINES = 1000
# A stream with port 0 stays for the life of a session (RFC 3264 section 8.2), so re-INVITEs pile them
# up; nobody has more than a handful.
MAX_MEDIA = 32

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
    merged = new
    if written:
        merged = _insert(*_merge(new, written))
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


def splitSections(data: bytes) -> list[list[Line]]:
    """
    The lines of the session, then those of each stream.  They may end in LF alone (RFC 8866 section 5).

    @raise MalformedSDP: something is no line, or there are too many.
    """
    if not data.strip():
        raise MalformedSDP("SDP: empty")
    text = data.decode("utf-8", "surrogateescape")
    if "\0" in text:
        raise MalformedSDP("SDP: holds a NUL")
    text = text.rstrip("\r\n").replace("\r\n", "\n")
    if "\r" in text:
        raise _noLine()
    rows = text.split("\n", MAX_LINES)
    if len(rows) > MAX_LINES:
        raise MalformedSDP(f"SDP: more than {MAX_LINES} lines")
    lines: list[Line] = []
    sections = [lines]
    for row in rows:
        if row[1:2] != "=":
            raise _noLine()
        if row[0] == "m":
            if len(sections) > MAX_MEDIA:
                raise MalformedSDP(f"SDP: more than {MAX_MEDIA} streams")
            lines = []
            sections.append(lines)
        lines.append((row[0], row[2:]))
    if not sections[0]:
        raise MalformedSDP("SDP: begins with m=")
    return sections


def _noLine() -> MalformedSDP:
    return MalformedSDP("SDP: a line that does not begin with a letter and =")
