"""Header lines (RFC 3261 section 7.3), checked so that none can be another, or two."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from skypetrunk.wire.grammar import checkLine, isToken
from skypetrunk.wire.names import SPELLINGS


class Header(NamedTuple):
    """One header line."""

    name: str
    value: str


# Half of what the constructor of a named tuple costs; there are fifty of them in a call.
_header = tuple.__new__


def checkedHeader(name: str, value: str) -> Header:
    """@raise ValueError: a name or value that would be another header, or none, on the wire."""
    if name not in SPELLINGS and not isToken(name):
        raise ValueError(f"no header name: {name!r}")
    if "\n" in value or "\r" in value or not value.isascii():
        checkLine(value)
    return _header(Header, (name, value))


def checkedHeaders(pairs: Iterable[tuple[str, str]]) -> tuple[Header, ...]:
    """Many at once, in a third of the time.  @raise ValueError: as L{checkedHeader}."""
    headers = tuple([each if type(each) is Header else Header(*each) for each in pairs])
    for name, _ in headers:
        if name not in SPELLINGS and not isToken(name):
            raise ValueError(f"no header name: {name!r}")
    text = "".join([value for _, value in headers])
    if "\n" in text or "\r" in text or not text.isascii():
        for _, value in headers:
            checkLine(value)
    return headers


__all__ = ["Header", "checkedHeader", "checkedHeaders"]
