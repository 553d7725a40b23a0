"""
Warning: what about a session description is not acceptable (RFC 3261 section 20.43).

Ours says it to whoever wrote the description.  Of the other side's only the code crosses, with the words of
the RFC: its own words, and the name of who warns, may be about its network.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from skypetrunk.errors import MalformedMessage, RemoteError
from skypetrunk.wire.grammar import quote, splitCommas
from skypetrunk.wire.message import Header, Response

PHRASES = {
    300: "Incompatible network protocol",
    301: "Incompatible network address formats",
    302: "Incompatible transport protocol",
    303: "Incompatible bandwidth units",
    304: "Media type not available",
    305: "Incompatible media format",
    306: "Attribute not understood",
    307: "Session description parameter not understood",
    330: "Multicast not available",
    331: "Unicast not available",
    370: "Insufficient bandwidth",
}
"""Those that say something without words of their own."""

LONGEST_TEXT = 200
"""Characters of our words: they quote what the peer has written."""

# Our pseudonym: a host name would tell where we are.
_AGENT = "skypetrunk"

_code = re.compile(r"[ \t]*([0-9]{3})[ \t]").match


def warningOf(error: RemoteError) -> tuple[Header, ...]:
    """What is wrong with the description that was refused for C{error}, for its writer; none but with 488."""
    if (error.status or 488) != 488:
        return ()
    text = " ".join(str(error).split())
    shown = "".join(each if " " <= each <= "~" else "?" for each in text[:LONGEST_TEXT])
    return (Header("Warning", f"{error.warning} {_AGENT} {quote(shown)}"),)


def warningsAcross(codes: Iterable[int]) -> tuple[Header, ...]:
    """What the other side may know of warnings: each code once, those without a phrase not at all."""
    known = [code for code in dict.fromkeys(codes) if code in PHRASES]
    return tuple(Header("Warning", f'{code} {_AGENT} "{PHRASES[code]}"') for code in known)


def warningCodes(response: Response) -> list[int]:
    """The codes in C{response}; what breaks the grammar says nothing."""
    try:
        values = [each for value in response.values("Warning") for each in splitCommas(value)]
    except MalformedMessage:
        return []
    return [int(found[1]) for found in map(_code, values) if found is not None]


__all__ = ["LONGEST_TEXT", "PHRASES", "warningCodes", "warningOf", "warningsAcross"]
