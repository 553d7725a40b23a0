"""
SIP requests and responses (RFC 3261 section 7) as frozen values.

Header lines keep their order and the spelling of their names.  Undone when reading: folding (a fold
becomes one space, section 7.3.1) and white space around the value.  Text is UTF-8 with
C{surrogateescape}, so that octets which are no UTF-8 are written back as they came.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, NoReturn, Self, TypeVar, overload

from skypetrunk.errors import MalformedMessage
from skypetrunk.wire.grammar import LWS, checkLine, isToken, splitCommas
from skypetrunk.wire.headers import (
    LIST_HEADERS,
    CSeq,
    NameAddr,
    Via,
    canonicalName,
    parseContacts,
    parseCSeq,
    parseNameAddr,
    parseNameAddrs,
    parseNumber,
    parseVia,
)
from skypetrunk.wire.reasons import reasonPhrase
from skypetrunk.wire.uri import URI, parseURI

T = TypeVar("T")

_noSpace = re.compile(r"[^\x00-\x20\x7f]++").fullmatch

# RFC 3261 section 20: these may stand once.  With a second one, two elements may read different messages.
_SINGLE = ("from", "to", "call-id", "cseq", "max-forwards", "content-length", "content-type")
_MANDATORY = ("via", "from", "to", "call-id", "cseq")


class _Lazy(Generic[T]):
    """
    A value made at first use.  Without C{__set__} the instance's dictionary wins from then on,
    so each further read costs an attribute lookup.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self.make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Self | T:
        if instance is None:
            return self
        value = instance.__dict__[self.name] = self.make(instance)
        return value


class Header(NamedTuple):
    """One header line."""

    name: str
    value: str


def _checked(name: str, value: str) -> Header:
    """@raise ValueError: a name or value that would be another header, or none, on the wire."""
    if not isToken(name):
        raise ValueError(f"no header name: {name!r}")
    return Header(name, checkLine(value))


class Message:
    """
    What requests and responses have in common.  The typed properties read their header at
    first use and raise L{MalformedMessage} if it breaks its grammar; those of a message from
    L{parseMessage} were read there already.
    """

    headers: tuple[Header, ...]
    body: bytes
    version: str
    __match_args__: tuple[str, ...]

    def _check(self) -> None:
        """Headers given as plain pairs become L{Header}s; anything that could break a line is refused."""
        object.__setattr__(self, "headers", tuple([_checked(name, value) for name, value in self.headers]))
        checkLine(self.version)

    # Reading

    @_Lazy
    def _index(self) -> dict[str, list[str]]:
        index: dict[str, list[str]] = {}
        for name, value in self.headers:
            index.setdefault(canonicalName(name), []).append(value)
        return index

    def header(self, name: str) -> str | None:
        """The value of the first line of that name, in any spelling or compact form."""
        found = self._index.get(canonicalName(name))
        return found[0] if found else None

    def values(self, name: str) -> tuple[str, ...]:
        """
        The values of all lines of that name.  Where the header's grammar is a list, its elements.

        @raise MalformedMessage: a list with a quoted string that does not end.
        """
        canonical = canonicalName(name)
        found = self._index.get(canonical, ())
        if canonical in LIST_HEADERS:
            return tuple([element for value in found for element in splitCommas(value)])
        return tuple(found)

    def _one(self, name: str) -> str:
        found = self._index.get(name)
        if not found:
            raise MalformedMessage(f"no {name} header")
        return found[0]

    @_Lazy
    def vias(self) -> tuple[Via, ...]:
        """All Via values, top first."""
        found = self._index.get("via", ())
        return tuple([parseVia(element) for value in found for element in splitCommas(value)])

    @property
    def topVia(self) -> Via:
        """The Via of the element that sent this request, or that this response is for."""
        if not self.vias:
            raise MalformedMessage("no via header")
        return self.vias[0]

    @_Lazy
    def fromAddress(self) -> NameAddr:
        """From."""
        return parseNameAddr(self._one("from"))

    @_Lazy
    def toAddress(self) -> NameAddr:
        """To."""
        return parseNameAddr(self._one("to"))

    @_Lazy
    def cseq(self) -> CSeq:
        """CSeq."""
        return parseCSeq(self._one("cseq"))

    @_Lazy
    def callID(self) -> str:
        """Call-ID."""
        value = self._one("call-id").strip(LWS)
        if not value or " " in value or "\t" in value:
            raise MalformedMessage("Call-ID is no single word")
        return value

    @_Lazy
    def contacts(self) -> tuple[NameAddr, ...]:
        """All Contact addresses; L{skypetrunk.wire.headers.STAR} for C{*}."""
        return parseContacts(self._index.get("contact", ()))

    @_Lazy
    def routes(self) -> tuple[NameAddr, ...]:
        """All Route addresses, next hop first."""
        return parseNameAddrs(self._index.get("route", ()))

    @_Lazy
    def recordRoutes(self) -> tuple[NameAddr, ...]:
        """All Record-Route addresses, in the order of the message."""
        return parseNameAddrs(self._index.get("record-route", ()))

    @_Lazy
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

    def _copy(self, headers: tuple[Header, ...], body: bytes | None = None) -> Self:
        """The same with headers that are known to be good."""
        return _make(
            type(self),
            {name: getattr(self, name) for name in self.__match_args__}
            | {"headers": headers, "body": self.body if body is None else body},
        )

    def withHeader(self, name: str, value: str) -> Self:
        """
        The same with exactly one line of that name: in the place of the first one, or last.

        @raise ValueError: a line break, or no header name.
        """
        header = _checked(name, value)
        canonical = canonicalName(name)
        kept = []
        placed = False
        for old in self.headers:
            if canonicalName(old.name) != canonical:
                kept.append(old)
            elif not placed:
                kept.append(header)
                placed = True
        if not placed:
            kept.append(header)
        return self._copy(tuple(kept))

    def addingHeader(self, name: str, value: str) -> Self:
        """The same with one more line, last.  @raise ValueError: as L{withHeader}."""
        return self._copy((*self.headers, _checked(name, value)))

    def prependingHeader(self, name: str, value: str) -> Self:
        """The same with one more line, first.  @raise ValueError: as L{withHeader}."""
        return self._copy((_checked(name, value), *self.headers))

    def withoutHeader(self, name: str) -> Self:
        """The same without any line of that name."""
        canonical = canonicalName(name)
        return self._copy(tuple([old for old in self.headers if canonicalName(old.name) != canonical]))

    def withTopVia(self, via: Via) -> Self:
        """The same with its first Via value replaced; others, also those of the same line, stay."""
        headers = list(self.headers)
        for at, (name, value) in enumerate(headers):
            if canonicalName(name) == "via":
                headers[at] = _checked(name, ", ".join((str(via), *splitCommas(value)[1:])))
                return self._copy(tuple(headers))
        raise ValueError("no Via to be replaced")

    def withBody(self, body: bytes, contentType: str | None = None) -> Self:
        """The same with that body, and Content-Type set or removed."""
        changed = self.withoutHeader("content-type") if contentType is None else self.withHeader(
            "Content-Type", contentType
        )
        return changed._copy(changed.headers, body)

    # Writing

    def startLine(self) -> str:
        """The first line."""
        raise NotImplementedError

    def encode(self) -> bytes:
        """
        The octets.  Content-Length is always the length of the body, written where the
        message has one, or last.
        """
        length = str(len(self.body))
        lines = [self.startLine()]
        written = False
        for name, value in self.headers:
            if len(name) in (1, 14) and canonicalName(name) == "content-length":
                if written:
                    continue
                written = True
                value = length
            lines.append(f"{name}: {value}")
        if not written:
            lines.append(f"Content-Length: {length}")
        lines.append("\r\n")
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + self.body

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
    headers: tuple[Header, ...]
    body: bytes = b""
    version: str = "SIP/2.0"

    def __post_init__(self) -> None:
        if not isToken(self.method):
            raise ValueError(f"no method: {self.method!r}")
        if not _noSpace(self.uri):
            raise ValueError(f"no Request-URI: {self.uri!r}")
        checkLine(self.uri)
        self._check()

    @_Lazy
    def requestURI(self) -> URI:
        """The Request-URI."""
        return parseURI(self.uri)

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
    headers: tuple[Header, ...]
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


def _make(cls: type[M], fields: dict[str, Any]) -> M:
    """A message of fields that are known to be good, without checking them again."""
    made: M = object.__new__(cls)
    made.__dict__.update(fields)
    return made


def _readHeaders(lines: list[str]) -> tuple[tuple[Header, ...], dict[str, list[str]], str | None]:
    """
    Header lines (without the start line) as values, with their index and the first thing that is
    wrong with them.  Lines that cannot be read are left out, the others still serve for an answer.
    """
    headers: list[Header] = []
    index: dict[str, list[str]] = {}
    problem: str | None = None
    at, count = 1, len(lines)
    while at < count:
        line = lines[at]
        at += 1
        if at < count and lines[at][:1] in (" ", "\t"):
            pieces = [line]
            while at < count and lines[at][:1] in (" ", "\t"):
                pieces.append(lines[at].strip(LWS))
                at += 1
            line = " ".join(pieces)
        name, colon, value = line.partition(":")
        canonical = canonicalName(name)
        if canonical not in _KNOWN:
            name = name.rstrip(LWS)
            canonical = canonicalName(name)
            if not (colon and isToken(name)):
                problem = problem or f"no header line: {line[:40]!r}"
                continue
        value = value.strip(LWS)
        headers.append(Header(name, value))
        if canonical in index:
            index[canonical].append(value)
        else:
            index[canonical] = [value]
    return tuple(headers), index, problem


_KNOWN = LIST_HEADERS | set(_SINGLE) | {"date", "subject", "user-agent", "server", "expires", "event"}


def _refuse(text: str, message: Message | None = None, status: int = 400) -> NoReturn:
    raise _withMessage(MalformedMessage(text, status), message)


def _withMessage(error: MalformedMessage, message: Message | None) -> MalformedMessage:
    """C{error} with the request an answer can be built from; without a Via there is no way back."""
    if isinstance(message, Request) and message.header("via"):
        error.message = message
    return error


def _readHead(head: bytes) -> tuple[Message, str | None]:
    """
    The start line and headers of a message, and the first thing that is wrong with them.

    @raise MalformedMessage: not even a start line.
    """
    text = head.decode("utf-8", "surrogateescape")
    lines = text.split("\r\n")
    start = lines[0]
    headers, index, problem = _readHeaders(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1:
        # Two elements that disagree about a bare CR or LF read two different messages.
        problem = "a CR or LF that does not end a line"
    if start[:4].upper() == "SIP/":
        version, _, rest = start.partition(" ")
        status, _, reason = rest.partition(" ")
        if not (len(status) == 3 and status.isascii() and status.isdigit() and "100" <= status <= "699"):
            _refuse("a response with no valid status")
        fields = {"status": int(status), "reason": reason, "headers": headers, "body": b"", "_index": index}
        return _make(Response, fields | {"version": version.upper()}), problem
    method, _, rest = start.partition(" ")
    uri, _, version = rest.rpartition(" ")
    if not isToken(method):
        _refuse("no SIP message")
    if not (version[:4].upper() == "SIP/" and _noSpace(uri)):
        problem = "a request line that breaks its grammar"
    fields = {"method": method, "uri": uri, "headers": headers, "body": b"", "_index": index}
    return _make(Request, fields | {"version": version.upper()}), problem


def salvage(head: bytes) -> Request | None:
    """The request that begins like C{head}, as far as it can be answered, or C{None}."""
    try:
        message, _ = _readHead(head)
    except MalformedMessage:
        return None
    return _withMessage(MalformedMessage(""), message).message


def parseMessage(data: bytes, *, stream: bool = False) -> Request | Response:
    """
    Read one message and L{validate} it.  Octets after the body are ignored (RFC 3261 section 18.3).

    @param stream: it came over TCP or TLS, where Content-Length is required (section 20.14).
    @raise MalformedMessage: C{status} and C{message} say how to answer, C{silent} whether to.
    """
    start = 0
    while data.startswith(b"\r\n", start):  # RFC 3261 section 7.5
        start += 2
    end = data.find(b"\r\n\r\n", start)
    message, problem = _readHead(data[start:end] if end >= 0 else data[start:].rstrip(b"\r\n"))
    if end < 0:
        problem = problem or "no empty line after the headers"
    if not isinstance(message, (Request, Response)):
        raise AssertionError("one of the two")
    if message.version != "SIP/2.0" and re.fullmatch(r"SIP/[0-9]+\.[0-9]+", message.version):
        # RFC 3261 section 21.5.6; before all else, as another version has other rules.
        _refuse(f"version {message.version}", message, 505)
    if problem is not None:
        _refuse(problem, message)
    lengths = message._index.get("content-length", ())
    if len(lengths) > 1:
        _refuse("more than one Content-Length", message)
    if lengths:
        try:
            length = parseNumber(lengths[0], "Content-Length", 2**32 - 1)
        except MalformedMessage as e:
            raise _withMessage(e, message) from None
        if end + 4 + length > len(data):
            _refuse("a body shorter than Content-Length", message)
        message.__dict__["body"] = data[end + 4:end + 4 + length]
    elif stream:
        _refuse("no Content-Length on a stream", message)
    else:
        message.__dict__["body"] = data[end + 4:]
    validate(message)
    return message


def validate(message: Request | Response) -> None:
    """
    Check what every element needs of a message, once and for all: the mandatory headers, that
    single ones stand once, that each header with a typed property can be read, and that CSeq
    names the method (RFC 3261 sections 8.1.1 and 16.3, RFC 4475).

    From without a tag and a missing Max-Forwards are let through for RFC 2543 peers.

    @raise MalformedMessage: as L{parseMessage}.
    """
    index = message._index
    read = message.__getattribute__
    try:
        if message.version != "SIP/2.0":
            raise MalformedMessage(f"version {message.version}", 505)
        for name in _MANDATORY:
            if name not in index:
                raise MalformedMessage(f"no {name} header")
        for name in _SINGLE:
            if name in index and len(index[name]) > 1:
                raise MalformedMessage(f"more than one {name} header")
        cseq = message.cseq
        if isinstance(message, Request):
            if cseq.method != message.method:
                raise MalformedMessage("CSeq names another method than the request line")
            read("requestURI")
            read("maxForwards")
        if message.topVia.protocol != "SIP/2.0":
            raise MalformedMessage("a Via of another protocol")
        for property in ("fromAddress", "toAddress", "callID"):
            read(property)
        for name, property in (("contact", "contacts"), ("route", "routes"), ("record-route", "recordRoutes")):
            if name in index:
                read(property)
    except MalformedMessage as e:
        raise _withMessage(e, message) from None


def responseTo(
    request: Request,
    status: int,
    reason: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    toTag: str | None = None,
    recordRoute: bool = False,
) -> Response:
    """
    A response as RFC 3261 section 8.2.6.2 builds it: all Via values, From, To, Call-ID and CSeq of
    the request as they stand, those of them that it has; Timestamp too in a 100.

    @param headers: more of them, after those.
    @param toTag: added to To, unless it has a tag.
    @param recordRoute: copy Record-Route, as an answer that makes a dialog does (section 12.1.1).
    @raise ValueError: a line break in something given.
    """
    copied = {"via", "from", "to", "call-id", "cseq"}
    if recordRoute:
        copied.add("record-route")
    if status == 100:
        copied.add("timestamp")
    if toTag is not None and not isToken(toTag):
        raise ValueError(f"no tag: {toTag!r}")
    lines = []
    for header in request.headers:
        canonical = canonicalName(header.name)
        if canonical not in copied:
            continue
        if canonical == "to" and toTag is not None:
            try:
                if request.toAddress.tag is None:
                    header = Header(header.name, f"{header.value};tag={toTag}")
            except MalformedMessage:
                pass  # an answer to a broken To repeats it
        lines.append(header)
    lines += [Header(name, value) for name, value in headers]
    return Response(status, reasonPhrase(status) if reason is None else reason, tuple(lines), body)


__all__ = [
    "Header",
    "Message",
    "Request",
    "Response",
    "parseMessage",
    "reasonPhrase",
    "responseTo",
    "salvage",
    "validate",
]
