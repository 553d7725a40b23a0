"""
Requests and responses as frozen values (RFC 3261 section 7).  L{skypetrunk.wire.message} reads them.

Header lines keep their order and the spelling of their names.  A message that we build and one that
we received are the same class; nothing that could break a line gets into either.  Most headers are only
written again.  So what was read, an answer to it and each changed copy keep lines, C{Name: value}, and
their canonical names; C{headers} are made of them for whoever asks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from skypetrunk.errors import MalformedMessage
from skypetrunk.wire.grammar import LWS, checkLine, isToken, splitCommas
from skypetrunk.wire.header_lines import Header, asHeader, checkedHeaders, checkedLine, valueOf
from skypetrunk.wire.headers import (
    CSeq,
    NameAddr,
    Via,
    parseCallID,
    parseContacts,
    parseCSeq,
    parseNameAddr,
    parseNameAddrs,
    parseNumber,
    parseVias,
)
from skypetrunk.wire.lazy import Lazy
from skypetrunk.wire.names import LIST_HEADERS, canonicalName
from skypetrunk.wire.uri import URI, parseURI

# The typed properties, by the header that they read.
_TYPED = {
    "call-id": "callID",
    "contact": "contacts",
    "cseq": "cseq",
    "from": "fromAddress",
    "max-forwards": "maxForwards",
    "record-route": "recordRoutes",
    "route": "routes",
    "to": "toAddress",
    "via": "vias",
}

_noSpace = re.compile(r"[^\x00-\x20\x7f]++").fullmatch


class Message:
    """
    What requests and responses have in common.  The typed properties read their header at
    first use and raise L{MalformedMessage} if it breaks its grammar; those of a message from
    L{parseMessage} were read there already.
    """

    body: bytes
    version: str
    __match_args__: tuple[str, ...]

    def _check(self) -> None:
        """Headers given as plain pairs become L{Header}s; anything that could break a line is refused."""
        self.__dict__["headers"], self.__dict__["_names"] = checkedHeaders(self.headers)
        checkLine(self.version)

    # Reading

    @Lazy
    def headers(self) -> tuple[Header, ...]:
        """The header lines, in their order."""
        return tuple(map(asHeader, self._lines))

    @Lazy
    def _lines(self) -> Sequence[str]:
        return [f"{name}: {value}" for name, value in self.headers]

    @Lazy
    def _names(self) -> Sequence[str]:
        # In the index each name is where it stands first.
        if len(self._index) == len(self._lines):
            return list(self._index)
        return [canonicalName(line.partition(":")[0]) for line in self._lines]

    @Lazy
    def _index(self) -> dict[str, list[str]]:
        index: dict[str, list[str]] = {}
        for name, line in zip(self._names, self._lines, strict=True):
            index.setdefault(name, []).append(valueOf(line))
        return index

    def header(self, name: str) -> str | None:
        """The value of the first line of that name, in any spelling or compact form."""
        canonical = canonicalName(name)
        index = self.__dict__.get("_index")
        if index is not None:
            return index[canonical][0] if canonical in index else None
        # Messages of our own are asked for a header or two: an index of all would cost more than it saves.
        names = self._names
        return valueOf(self._lines[names.index(canonical)]) if canonical in names else None

    def values(self, name: str) -> tuple[str, ...]:
        """
        The values of all lines of that name.  Where the header's grammar is a list, its elements.

        @raise MalformedMessage: a list with a quoted string that does not end.
        """
        canonical = canonicalName(name)
        found = self._valuesOf(canonical)
        if canonical in LIST_HEADERS:
            return tuple([element for value in found for element in splitCommas(value)])
        return tuple(found)

    def _valuesOf(self, canonical: str) -> Sequence[str]:
        index = self.__dict__.get("_index")
        if index is not None:
            return index.get(canonical, ())  # type: ignore[no-any-return]
        lines = zip(self._names, self._lines, strict=True)
        return [valueOf(line) for name, line in lines if name == canonical]

    def _one(self, name: str) -> str:
        found = self.header(name)
        if found is None:
            raise MalformedMessage(f"no {name} header")
        return found

    @Lazy
    def vias(self) -> tuple[Via, ...]:
        """All Via values, top first."""
        return parseVias(self._valuesOf("via"))

    @property
    def topVia(self) -> Via:
        """The Via of the element that sent this request, or that this response is for."""
        if not self.vias:
            raise MalformedMessage("no via header")
        return self.vias[0]

    @Lazy
    def fromAddress(self) -> NameAddr:
        """From."""
        return parseNameAddr(self._one("from"))

    @Lazy
    def toAddress(self) -> NameAddr:
        """To."""
        return parseNameAddr(self._one("to"))

    @Lazy
    def cseq(self) -> CSeq:
        """CSeq."""
        return parseCSeq(self._one("cseq"))

    @Lazy
    def callID(self) -> str:
        """Call-ID."""
        return parseCallID(self._one("call-id"))

    @Lazy
    def contacts(self) -> tuple[NameAddr, ...]:
        """All Contact addresses; L{skypetrunk.wire.headers.STAR} for C{*}."""
        return parseContacts(self._valuesOf("contact"))

    @Lazy
    def routes(self) -> tuple[NameAddr, ...]:
        """All Route addresses, next hop first."""
        return parseNameAddrs(self._valuesOf("route"))

    @Lazy
    def recordRoutes(self) -> tuple[NameAddr, ...]:
        """All Record-Route addresses, in the order of the message."""
        return parseNameAddrs(self._valuesOf("record-route"))

    @Lazy
    def maxForwards(self) -> int | None:
        """Max-Forwards, 0 to 255, or C{None} without one."""
        value = self.header("max-forwards")
        return None if value is None else parseNumber(value.strip(LWS), "Max-Forwards", 255)

    @property
    def contentType(self) -> str | None:
        """The media type of the body in lower case, without parameters."""
        value = self.header("content-type")
        if value is None:
            return None
        return value.partition(";")[0].replace(" ", "").replace("\t", "").lower()

    # Changed copies

    def _copy(self, lines: Sequence[str], names: Sequence[str], changed: str) -> Self:
        """
        The same with lines that are known to be good, those of the name C{changed} other ones.
        Typed values of the others that were read stay read.
        """
        fields = self.__dict__ | {"_lines": lines, "_names": names}
        fields.pop("headers", None)
        fields.pop("_index", None)
        fields.pop(_TYPED.get(changed, ""), None)
        return make(type(self), fields)

    def withHeader(self, name: str, value: str) -> Self:
        """
        The same with exactly one line of that name: in the place of the first one, or last.

        @raise ValueError: a line break, or no header name.
        """
        line, canonical = checkedLine(name, value)
        lines, names = [*self._lines], self._names
        count = names.count(canonical)
        if count == 0:
            return self.addingHeader(name, value)
        at = names.index(canonical)
        if count == 1:
            lines[at] = line
        else:
            lines, names = self._without(canonical)
            lines.insert(at, line)
            names.insert(at, canonical)
        return self._copy(lines, names, canonical)

    def addingHeader(self, name: str, value: str) -> Self:
        """The same with one more line, last.  @raise ValueError: as L{withHeader}."""
        line, canonical = checkedLine(name, value)
        return self._copy([*self._lines, line], [*self._names, canonical], canonical)

    def prependingHeader(self, name: str, value: str) -> Self:
        """The same with one more line, first.  @raise ValueError: as L{withHeader}."""
        line, canonical = checkedLine(name, value)
        return self._copy([line, *self._lines], [canonical, *self._names], canonical)

    def withoutHeader(self, name: str) -> Self:
        """The same without any line of that name."""
        canonical = canonicalName(name)
        return self._copy(*self._without(canonical), canonical)

    def _without(self, canonical: str) -> tuple[list[str], list[str]]:
        """The lines without those of that name, and their names."""
        names = self._names
        lines = [line for name, line in zip(names, self._lines, strict=True) if name != canonical]
        return lines, [name for name in names if name != canonical]

    def withTopVia(self, via: Via) -> Self:
        """The same with its first Via value replaced; others, also those of the same line, stay."""
        names = self._names
        if "via" not in names:
            raise ValueError("no Via to be replaced")
        at = names.index("via")
        name, value = asHeader(self._lines[at])
        value = ", ".join((str(via), *splitCommas(value)[1:]))
        lines = [*self._lines]
        lines[at], _ = checkedLine(name, value)
        changed = self._copy(lines, names, "via")
        if "vias" in self.__dict__:
            changed.__dict__["vias"] = (via, *self.vias[1:])
        index = self.__dict__.get("_index")
        if index is not None:
            # No name changes its place: it can be kept as well.
            changed.__dict__["_index"] = index | {"via": [value, *index["via"][1:]]}
        return changed

    def withBody(self, body: bytes, contentType: str | None = None) -> Self:
        """The same with that body, and Content-Type set or removed."""
        name = "Content-Type"
        changed = self.withoutHeader(name) if contentType is None else self.withHeader(name, contentType)
        changed.__dict__["body"] = body
        return changed

    def bare(self, *only: str) -> Self:
        """
        Some headers, and nothing that was read of them: to remember a message for a while.

        @param only: the canonical names of those that are kept.
        """
        fields = {name: self.__dict__[name] for name in self.__match_args__ if name != "headers"}
        names = self._names
        fields["_lines"] = [line for name, line in zip(names, self._lines, strict=True) if name in only]
        fields["_names"] = [name for name in names if name in only]
        return make(type(self), fields | {"body": b""})

    # Writing

    def startLine(self) -> str:
        """The first line."""
        raise NotImplementedError

    def encode(self) -> bytes:
        """
        The octets.  Content-Length is always the length of the body, written where the
        message has one, or last.
        """
        lines, names, length = [*self._lines], self._names, len(self.body)
        count = names.count("content-length")
        if count == 0:
            lines.append(f"Content-Length: {length}")
        else:
            at = names.index("content-length")
            name = lines[at].partition(":")[0]
            if count > 1:
                return self.withHeader(name, str(length)).encode()
            lines[at] = f"{name}: {length}"
        head = "\r\n".join((self.startLine(), *lines, "\r\n"))
        return head.encode("utf-8", "surrogateescape") + self.body

    def __repr__(self) -> str:
        # Headers hold credentials and bodies hold SRTP keys.
        return f"<{type(self).__name__} {self.startLine()!r}>"


@dataclass(frozen=True, repr=False)
class Request(Message):
    """
    A request.

    @ivar uri: the Request-URI as written; L{requestURI} is its value.
    """

    method: str
    uri: str
    headers: tuple[Header, ...] = field()  # no default, and the lazy one of the base class shows through
    body: bytes = b""
    version: str = "SIP/2.0"

    def __post_init__(self) -> None:
        if not isToken(self.method):
            raise ValueError(f"no method: {self.method!r}")
        if not _noSpace(self.uri):
            raise ValueError(f"no Request-URI: {self.uri!r}")
        checkLine(self.uri)
        self._check()

    @Lazy
    def requestURI(self) -> URI:
        """The Request-URI."""
        return parseURI(self.uri)

    @property
    def uriReceived(self) -> str:
        """The Request-URI as it came, whatever a dialect made of it: digest credentials are for that one."""
        received: str = self.__dict__.get("_uriReceived", self.uri)
        return received

    def receivedAs(self, uri: str) -> Self:
        """The same, as what came with the Request-URI C{uri}."""
        return make(type(self), self.__dict__ | {"_uriReceived": uri})

    def withURI(self, uri: str) -> Self:
        """The same with another Request-URI.  @raise ValueError: white space, a line break, or nothing."""
        if not _noSpace(uri):
            raise ValueError(f"no Request-URI: {uri!r}")
        checkLine(uri)
        fields = self.__dict__ | {"uri": uri}
        fields.pop("requestURI", None)
        return make(type(self), fields)

    def startLine(self) -> str:
        """C{METHOD uri SIP/2.0}."""
        return f"{self.method} {self.uri} {self.version}"

    def __repr__(self) -> str:
        # A Request-URI may hold a password.
        try:
            shown = repr(self.requestURI)
        except MalformedMessage:
            shown = "of no valid URI"
        return f"<Request {self.method} {shown}>"


@dataclass(frozen=True, repr=False)
class Response(Message):
    """A response."""

    status: int
    reason: str
    headers: tuple[Header, ...] = field()  # no default, and the lazy one of the base class shows through
    body: bytes = b""
    version: str = "SIP/2.0"

    def __post_init__(self) -> None:
        if not 100 <= self.status <= 699:
            raise ValueError(f"no status: {self.status}")
        checkLine(self.reason)
        self._check()

    def startLine(self) -> str:
        """C{SIP/2.0 200 OK}."""
        return f"{self.version} {self.status} {self.reason}"


M = TypeVar("M", bound=Message)


def make(cls: type[M], fields: dict[str, Any]) -> M:
    """A message of fields that are known to be good, which become its own.  For L{skypetrunk.wire}."""
    made: M = object.__new__(cls)
    object.__setattr__(made, "__dict__", fields)
    return made


__all__ = ["Header", "Message", "Request", "Response", "checkedHeaders", "make"]
