"""
The Replaces header (RFC 3891 section 6.1): which dialog a new call takes over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from skypetrunk.errors import MalformedMessage
from skypetrunk.wire.grammar import LWS, escape, parseParameters

# RFC 3261 section 25.1: callid = word [ "@" word ].
_WORD = r"[A-Za-z0-9\-.!%*_+`'~()<>:\\\"/\[\]?{}]+"
_callID = re.compile(rf"{_WORD}(?:@{_WORD})?").fullmatch

UNESCAPED = "-_.!~*'()[]/?:+$"
"""What may stand in a header of a URI as it is (RFC 3261 section 25.1)."""


@dataclass(frozen=True, slots=True)
class Replaces:
    """
    A dialog, as the one sees it who gets the INVITE.

    @ivar toTag: the tag of whoever gets it.
    @ivar fromTag: the tag of that one's peer.
    @ivar earlyOnly: only if it is not answered yet.
    """

    callID: str
    toTag: str
    fromTag: str
    earlyOnly: bool = False

    def __str__(self) -> str:
        early = ";early-only" if self.earlyOnly else ""
        return f"{self.callID};to-tag={self.toTag};from-tag={self.fromTag}{early}"

    def escaped(self) -> str:
        """As the value of a header in a URI (RFC 3891 section 6.1)."""
        return escape(str(self), UNESCAPED)


def parseReplaces(value: str) -> Replaces:
    """
    Read the value of one Replaces header.

    @raise MalformedMessage: it breaks its grammar, or one of the tags is missing or stands there twice (400).
    """
    callID, semicolon, rest = value.partition(";")
    callID = callID.strip(LWS)
    parameters = parseParameters(semicolon + rest)
    tags = [parameters.get(name) for name in ("to-tag", "from-tag")]
    if not _callID(callID) or not all(tags):
        raise MalformedMessage("wanted Replaces with a Call-ID, to-tag and from-tag", 400)
    return Replaces(callID, tags[0] or "", tags[1] or "", "early-only" in parameters)


__all__ = ["Replaces", "parseReplaces"]
