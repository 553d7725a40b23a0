"""Header lines (RFC 3261 section 7.3), checked so that none can be another, or two."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from skypetrunk.wire.grammar import checkLine, isToken
from skypetrunk.wire.names import SPELLINGS, canonicalName


class Header(NamedTuple):
    """One header line."""

    name: str
    value: str


# Half of what the constructor of a named tuple costs; there are fifty of them in a call.
_header = tuple.__new__


def asHeader(line: str) -> Header:
    """The header of a line C{Name: value}."""
    name, _, value = line.partition(": ")
    return _header(Header, (name, value))


def valueOf(line: str) -> str:
    """The value in a line C{Name: value}."""
    return line.partition(": ")[2]


def checkedLine(name: str, value: str) -> tuple[str, str]:
    """
    The line of a header, and its canonical name.

    @raise ValueError: a name or value that would be another header, or none, on the wire.
    """
    canonical = SPELLINGS.get(name) or _checkedName(name)
    if "\n" in value or "\r" in value or not value.isascii():
        checkLine(value)
    return f"{name}: {value}", canonical


def checkedHeaders(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[Header, ...], list[str]]:
    """Many at once, and their canonical names.  @raise ValueError: as L{checkedLine}."""
    headers = tuple([each if type(each) is Header else Header(*each) for each in pairs])
    spelled = SPELLINGS.get
    names = [spelled(name) or _checkedName(name) for name, _ in headers]
    text = "".join([value for _, value in headers])
    if "\n" in text or "\r" in text or not text.isascii():
        for _, value in headers:
            checkLine(value)
    return headers, names


def _checkedName(name: str) -> str:
    """The canonical form of a header's name.  @raise ValueError: it is none."""
    if not isToken(name):
        raise ValueError(f"no header name: {name!r}")
    return canonicalName(name)


__all__ = ["Header", "asHeader", "checkedHeaders", "checkedLine", "valueOf"]
