"""The header values that routing and matching read: addresses, Via, CSeq (RFC 3261 section 20)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from skypetrunk.errors import MalformedMessage
from skypetrunk.values import draftOf, quick
from skypetrunk.wire.grammar import (
    LWS,
    NO_PARAMETERS,
    PLAIN_PARAMETERS,
    Parameters,
    checkLine,
    isToken,
    parseParameters,
    plainParameters,
    quote,
    quotedEnd,
    splitCommas,
    unquote,
)
from skypetrunk.wire.names import LIST_HEADERS, canonicalName
from skypetrunk.wire.uri import SIP_URI, URI, parseURI, sipURI
from skypetrunk.wire.via import Via, parseVia, parseVias

_cseq = re.compile(r"[ \t]*+([0-9]++)[ \t]++([A-Za-z0-9\-.!%*_+`'~]++)[ \t]*+").fullmatch
# As nearly every address is, in one go; L{parseNameAddr} reads all others, too.
_commonNameAddr = re.compile(
    rf"""(?:"([^"\\]*+)"[ \t]*+|([A-Za-z0-9\-.!%*_+`'~]++)[ \t]*+)?+<{SIP_URI}>{PLAIN_PARAMETERS}"""
).fullmatch
# What an unquoted display name may hold beside tokens (raw UTF-8 and brackets are common), without the
# characters that make it ambiguous.
_plainDisplay = re.compile(r'[^",;<>\x00-\x08\x0a-\x1f\x7f]*+').fullmatch


@quick
@dataclass(frozen=True, slots=True)
class NameAddr:
    """
    An address with its parameters: From, To, Contact, Route and their like.

    @ivar display: the display name, decoded; C{None} without one.
    """

    display: str | None
    uri: URI
    params: Parameters = NO_PARAMETERS

    def __post_init__(self) -> None:
        if self.display is not None:
            checkLine(self.display)

    @property
    def tag(self) -> str | None:
        """The C{tag} parameter."""
        return self.params.get("tag")

    def tagged(self, tag: str) -> NameAddr:
        """The same with this C{tag}.  @raise ValueError: it is none."""
        return nameAddr(self.display, self.uri, self.params.with_("tag", tag))

    def replace(self, **changes: Any) -> NameAddr:
        """The same with some fields changed."""
        return replace(self, **changes)

    def __str__(self) -> str:
        display = "" if self.display is None else quote(self.display) + " "
        return f"{display}<{self.uri}>{self.params}"


class _Star(tuple[NameAddr, ...]):
    """C{Contact: *} (RFC 3261 section 10.2.2): an empty tuple, told apart by C{is}."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "STAR"


#: What L{parseContacts} gives for C{*}.  It is an empty tuple; compare with C{is}.
STAR: tuple[NameAddr, ...] = _Star()


_NameAddrDraft = draftOf(NameAddr)


def nameAddr(display: str | None, uri: URI, params: Parameters = NO_PARAMETERS) -> NameAddr:
    """An address of fields that are known to be good."""
    made = _NameAddrDraft()
    made.display = display
    made.uri = uri
    made.params = params
    made.__class__ = NameAddr
    return made  # type: ignore[no-any-return]


def parseNameAddr(value: str) -> NameAddr:
    """
    Read one C{"name" <uri>;params} or C{uri;params}.

    @raise MalformedMessage: it breaks the grammar.
    """
    common = _commonNameAddr(value)
    display: str | None
    if common is not None:
        quoted, token, scheme, user, password, host, port, uriParams, headers, params = common.groups()
        return nameAddr(
            token if quoted is None else quoted,
            sipURI(scheme, user, password, host, port, uriParams, headers),
            plainParameters(params) if params else NO_PARAMETERS,
        )
    value = value.strip(LWS)
    if value.startswith('"'):
        end = quotedEnd(value)
        display = unquote(value[:end])
        if "\r" in display or "\n" in display:
            raise MalformedMessage("a line break in a display name")
        opened = end
        while opened < len(value) and value[opened] in LWS:
            opened += 1
        if value[opened:opened + 1] != "<":
            raise MalformedMessage("no < after a quoted display name")
    else:
        opened = value.find("<")
        semicolon = value.find(";")
        if opened < 0 or 0 <= semicolon < opened:
            return _parseAddrSpec(value, semicolon)
        display = value[:opened].strip(LWS) or None
        if display is not None:
            if not _plainDisplay(display):
                raise MalformedMessage("a display name that must be quoted")
            if "  " in display or "\t" in display:
                display = " ".join(word for word in display.replace("\t", " ").split(" ") if word)
    closed = value.find(">", opened)
    if closed < 0:
        raise MalformedMessage("< without > in an address")
    rest = value[closed + 1:]
    if rest and rest[0] != ";":
        rest = rest.lstrip(LWS)
    return NameAddr(display, parseURI(value[opened + 1:closed].strip(LWS)), parseParameters(rest))


def _parseAddrSpec(value: str, semicolon: int) -> NameAddr:
    """
    An address without brackets, where parameters belong to the header and a URI with
    comma, question mark or semicolon may not stand (RFC 3261 section 20.10).
    """
    uri = value if semicolon < 0 else value[:semicolon].rstrip(LWS)
    if "?" in uri or "," in uri:
        raise MalformedMessage("a URI that must be in < > is not")
    return NameAddr(None, parseURI(uri), parseParameters("" if semicolon < 0 else value[semicolon:]))


def parseNameAddrs(values: Sequence[str]) -> tuple[NameAddr, ...]:
    """The addresses of several header lines, each of which may hold several."""
    if len(values) == 1 and "," not in values[0] and values[0]:
        return (parseNameAddr(values[0]),)
    return tuple([parseNameAddr(element) for value in values for element in splitCommas(value)])


def parseContacts(values: Sequence[str]) -> tuple[NameAddr, ...]:
    """
    The addresses of all Contact lines, or L{STAR}.

    @raise MalformedMessage: one breaks the grammar; C{*} beside others.
    """
    if len(values) == 1:
        value = values[0]
        if value.strip(LWS) == "*":
            return STAR
        if value and "," not in value:
            # What a stranger could fill the memory with is not kept.
            return (_contact(value) if len(value) <= 200 else parseNameAddr(value),)
    return parseNameAddrs(values)


@lru_cache(maxsize=200)
def _contact(value: str) -> NameAddr:
    """A Contact: that of a PBX or a carrier comes again with each of its messages."""
    return parseNameAddr(value)


def parseCallID(value: str) -> str:
    """A Call-ID: one word.  @raise MalformedMessage: none, or several."""
    value = value.strip(LWS)
    if not value or " " in value or "\t" in value:
        raise MalformedMessage("no single word")
    return value


@dataclass(frozen=True, slots=True)
class CSeq:
    """The order of requests in a dialog."""

    number: int
    method: str

    def __post_init__(self) -> None:
        if not 0 <= self.number < 2**32:
            raise ValueError(f"no CSeq number: {self.number}")
        if not isToken(self.method):
            raise ValueError(f"no method: {self.method!r}")

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


_CSeqDraft = draftOf(CSeq)


def parseCSeq(value: str) -> CSeq:
    """
    Read a CSeq value; the number is below 2**32 (RFC 3261 section 8.1.1.5, RFC 4475 section 3.1.2.4).

    @raise MalformedMessage: it breaks the grammar.
    """
    match = _cseq(value)
    if match is None:
        raise MalformedMessage("no number and method")
    number, method = match.groups()
    made = _CSeqDraft()
    made.number = int(number) if len(number) < 10 else parseNumber(number, "CSeq", 2**32 - 1)
    made.method = method
    made.__class__ = CSeq
    return made  # type: ignore[no-any-return]


def parseNumber(text: str, name: str, highest: int) -> int:
    """
    Read digits; leading zeros are allowed, their number is not used as a size.

    @param name: the header, for the error.
    @raise MalformedMessage: no number, or above C{highest}.
    """
    if not (text.isascii() and text.isdigit()):
        raise MalformedMessage(f"{name} is no number")
    if len(text) > 10:
        text = text.lstrip("0")[:11] or "0"  # eleven digits are more than any header may have
    number = int(text)
    if number > highest:
        raise MalformedMessage(f"{name} is too large")
    return number


__all__ = [
    "CSeq",
    "LIST_HEADERS",
    "NameAddr",
    "STAR",
    "Via",
    "canonicalName",
    "nameAddr",
    "parseCSeq",
    "parseCallID",
    "parseContacts",
    "parseNameAddr",
    "parseNameAddrs",
    "parseNumber",
    "parseVia",
    "parseVias",
]
