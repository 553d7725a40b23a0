"""
What a message is, for people and for tests: its verdict, its fields, and each problem with the section
of the RFC that it is one of.

The verdict is that of L{parseMessage}, which the trunk uses; the other problems come from reading on where
it stops, and from rules whose breach is let pass.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from skypetrunk.errors import MalformedMessage, MalformedSDP
from skypetrunk.wire.headers import NameAddr, Via, parseNameAddr, parseNumber
from skypetrunk.wire.message import Request, Response, parseMessage, readHead
from skypetrunk.wire.names import canonicalName
from skypetrunk.wire.request_response import make
from skypetrunk.wire.sdp import SessionDescription, parseSDP
from skypetrunk.wire.uri import SIPURI, URI, OpaqueURI

#: Where a problem that the parser names begins so, this is the section that it breaks.
_SECTIONS = (
    ("version ", "21.5.6"),
    ("a request line", "7.1"),
    ("a response without a valid status", "7.2"),
    ("no SIP message", "7"),
    ("no empty line", "7"),
    ("no datagram", "18.1.1"),
    ("the stream ends", "18.3"),
    ("line ", "7.3.1"),
    ("a CR", "7.3.1"),
    ("more than one Via", "8.1.3.3"),
    ("a body shorter", "18.3"),
    ("more than one Content-Length", "20.14"),
    ("no Content-Length", "20.14"),
    ("Content-Length", "20.14"),
    ("message: more than one", "7.3.1"),
    ("message: no ", "8.1.1"),
    ("CSeq", "20.16"),
    ("Request-URI", "19.1.1"),
    ("Via", "20.42"),
    ("From", "20.20"),
    ("To", "20.39"),
    ("Call-ID", "20.8"),
    ("max-forwards", "20.22"),
    ("contact", "20.10"),
    ("route", "20.34"),
    ("record-route", "20.30"),
    ("number of headers", "21.5.7"),
    ("header ", "21.5.7"),
    ("body above", "21.5.7"),
)

_lineEnd = re.compile(rb"\r?\n").sub
_integer = re.compile(r"[0-9]{1,40}").fullmatch
_statusLine = re.compile(rb"(SIP/[0-9]+\.[0-9]+) +([0-9]{1,40})(?: ([^\r\n]*+))?", re.IGNORECASE).match
# RFC 3261 section 20.17: the one form of RFC 1123 that is left.
_date = re.compile(r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT").fullmatch

_NUMBERS = ("max_forwards", "content_length", "expires", "retry_after")
_TEXTS = ("call_id", "content_type", "subject", "date", "authorization")
_LISTS = ("accept", "require", "proxy_require", "warning")
_ADDRESSES = ("contact", "route", "record_route")
#: Headers that are fields of their own, or none: the name of a program says nothing about its message.
_TYPED = {
    "via",
    "from",
    "to",
    "cseq",
    "user-agent",
    "server",
    *(name.replace("_", "-") for name in (*_NUMBERS, *_TEXTS, *_LISTS, *_ADDRESSES)),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """
    Something that a message should not be.

    @ivar section: such as C{"RFC 3261 section 20.42"}.
    """

    text: str
    section: str

    def __str__(self) -> str:
        return f"{self.text} ({self.section})"


@dataclass(frozen=True, repr=False)
class Inspection:
    """
    What was found out about one message.

    @ivar valid: the trunk takes it.
    @ivar status: what it is answered with if it is not valid; C{None}: it is dropped, or waited for.
    @ivar message: as far as it could be read, or C{None}.
    @ivar problems: the one that decides first.
    @ivar description: the body, if it is SDP that can be read.
    """

    valid: bool
    status: int | None
    message: Request | Response | None
    problems: tuple[Problem, ...]
    description: SessionDescription | None = None

    @property
    def fields(self) -> dict[str, Any]:
        """Everything that could be read, in values that JSON has."""
        return {} if self.message is None else _fields(self.message)


def inspectMessage(data: bytes, *, stream: bool = False) -> Inspection:
    """
    Judge the octets of one message as a user agent that gets it.

    @param stream: as for L{parseMessage}.
    """
    try:
        message = parseMessage(data, stream=stream)
    except MalformedMessage as error:
        return inspectRefused(data, error)
    if isinstance(message, Response) and len(message.vias) > 1:
        # Section 8.1.3.3: a user agent's own request had one.
        problem = Problem("more than one Via in a response: it is not for us", _section("more than one Via"))
        return Inspection(False, None, message, (problem, *_lesser(message)), _description(message))
    problems = [*_lesser(message), *_discarded(data, message)]
    return Inspection(True, None, message, tuple(problems), _description(message))


def inspectRefused(data: bytes, error: MalformedMessage) -> Inspection:
    """What is left to say of octets that were refused with C{error}."""
    first = Problem(str(error), _section(str(error)))
    message = _readAnyway(data)
    if b"\n" in data and b"\r\n" not in data:
        first = Problem("lines that end with LF alone, not with CR LF", _section("no SIP message"))
    further = () if message is None else tuple(p for p in _broken(message) if p.text != first.text)
    return Inspection(False, None if error.silent else error.status, message, (first, *further))


def _section(text: str) -> str:
    if "Content-Length headers" in text:
        return "RFC 3261 section 20.14"
    for beginning, section in _SECTIONS:
        if text.startswith(beginning):
            return f"RFC 3261 section {section}"
    return "RFC 3261 section 25.1"


def _readAnyway(data: bytes) -> Request | Response | None:
    """C{data} without its body, for showing it, never for acting on it."""
    # With any line ends: a body that follows by others would be shown as a header.
    data = _lineEnd(b"\r\n", data)
    head = data.lstrip(b"\r\n").partition(b"\r\n\r\n")[0].rstrip(b"\r\n")
    try:
        return readHead(head)[0]
    except MalformedMessage:
        status = _statusLine(head)
    if status is None:
        return None
    version, number, reason = (part or b"" for part in status.groups())
    rest = head[status.end():]
    shown = readHead(b"SIP/2.0 100 Unread" + rest)[0]
    changed = {"version": version.decode(), "status": int(number), "reason": _decoded(reason)}
    return make(Response, {**shown.__dict__, **changed})


def _decoded(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")


# Problems


def _broken(message: Request | Response) -> Iterator[Problem]:
    """Headers that cannot be read, each by itself, where the parser stops at the first."""
    readers: list[tuple[str, str, Callable[[], object]]] = [
        ("via", "Via", lambda: message.vias),
        ("from", "From", lambda: message.fromAddress),
        ("to", "To", lambda: message.toAddress),
        ("call-id", "Call-ID", lambda: message.callID),
        ("cseq", "CSeq", lambda: message.cseq),
        ("max-forwards", "max-forwards", lambda: message.maxForwards),
        ("contact", "contact", lambda: message.contacts),
        ("route", "route", lambda: message.routes),
        ("record-route", "record-route", lambda: message.recordRoutes),
    ]
    if isinstance(message, Request):
        request = message
        readers.append(("via", "Request-URI", lambda: request.requestURI))
    for header, where, read in readers:
        if message.header(header) is not None:
            try:
                read()
            except MalformedMessage as e:
                yield Problem(f"{where}: {e}", _section(where))


def _discarded(data: bytes, message: Request | Response) -> Iterator[Problem]:
    """Octets behind a message, which may be a second one that was captured with it."""
    body = data.lstrip(b"\r\n").partition(b"\r\n\r\n")[2]
    behind = body[len(message.body):]
    # An editor's line end is none.
    if behind.strip(b"\r\n"):
        yield Problem(f"{len(behind)} octets behind the body, which are discarded", "RFC 3261 section 18.3")


def _lesser(message: Request | Response) -> Iterator[Problem]:
    """What a valid message should not be, and is let pass."""
    if isinstance(message, Request):
        if message.maxForwards is None:
            yield Problem("no Max-Forwards", "RFC 3261 section 8.1.1.6")
        if message.method == "INVITE" and not message.contacts:
            yield Problem("an INVITE without Contact", "RFC 3261 section 8.1.1.8")
        branch = message.topVia.branch or ""
        if not branch.startswith("z9hG4bK") or len(branch) == 7:
            yield Problem("a Via branch of RFC 2543, which need not be unique", "RFC 3261 section 8.1.1.7")
        if isinstance(message.requestURI, SIPURI) and message.requestURI.headers:
            yield Problem("a Request-URI with headers", "RFC 3261 section 19.1.1")
    if message.fromAddress.tag is None:
        yield Problem("From without a tag", "RFC 3261 section 8.1.1.3")
    date = message.header("date")
    if date is not None and _date(date) is None:
        yield Problem("a Date that is none", "RFC 3261 section 20.17")
    if message.body and message.contentType is None:
        yield Problem("a body without Content-Type", "RFC 3261 section 20.15")
    if message.contentType == "application/sdp":
        try:
            parseSDP(message.body)
        except MalformedSDP as e:
            yield Problem(str(e), "RFC 8866 section 5")


def _description(message: Request | Response) -> SessionDescription | None:
    if message.contentType != "application/sdp":
        return None
    try:
        return parseSDP(message.body)
    except MalformedSDP:
        return None


# Fields


def _fields(message: Request | Response) -> dict[str, Any]:
    """What can be read; the rest is left out."""
    readers: list[tuple[str, Callable[[], Any]]] = [
        ("via", lambda: [_via(via) for via in message.vias]),
        ("from", lambda: _scalar([_address(parseNameAddr(value)) for value in message.values("from")])),
        ("to", lambda: _scalar([_address(parseNameAddr(value)) for value in message.values("to")])),
        ("cseq", lambda: _scalar([_cseq(value) for value in message.values("cseq")])),
        ("contact", lambda: [_address(each) for each in message.contacts]),
        ("route", lambda: [_address(each) for each in message.routes]),
        ("record_route", lambda: [_address(each) for each in message.recordRoutes]),
    ]
    fields: dict[str, Any] = {"header_lines": len(message.headers)}
    if isinstance(message, Request):
        request = message
        fields |= {"kind": "request", "method": message.method}
        readers.append(("request_uri", lambda: _uri(request.requestURI)))
    else:
        fields |= {"kind": "response", "status": message.status, "reason": message.reason}
    if message.version:
        fields["version"] = message.version
    for name, read in readers:
        try:
            value = read()
        except (MalformedMessage, ValueError):
            continue
        if value:
            fields[name] = value
    for name in (*_NUMBERS, *_TEXTS):
        values = list(message._index.get(name.replace("_", "-"), ()))
        if values:
            # Lengths that contradict each other are none.
            numbers = name in _NUMBERS and (len(values) == 1 or name != "content_length")
            fields[name] = _scalar([_number(value) for value in values] if numbers else values)
    for name in _LISTS:
        values = list(message._index.get(name.replace("_", "-"), ()))
        if values:
            fields[name] = ", ".join(values)
    others: dict[str, str] = {}
    for header in message.headers:
        if canonicalName(header.name) not in _TYPED:
            before = f"{others[header.name]}, " if header.name in others else ""
            others[header.name] = before + header.value
    if others:
        fields["other_headers"] = others
    return fields


def _number(value: str) -> int | str:
    """A number that a header can have, or the text that stands there instead."""
    try:
        return parseNumber(value, "number", 2**32 - 1)
    except MalformedMessage:
        return value


def _scalar(values: list[Any]) -> Any:
    """One value as it is, as most headers stand once; several as a list."""
    return values[0] if len(values) == 1 else values


def _uri(uri: URI) -> dict[str, Any]:
    if isinstance(uri, OpaqueURI):
        return {"raw": str(uri), "scheme": uri.scheme, "opaque": uri.rest}
    if not isinstance(uri, SIPURI):
        return {"raw": str(uri), "scheme": "tel", "number": uri.number, "params": dict(uri.params)}
    described = {
        "raw": str(uri),
        "scheme": uri.scheme,
        "host": uri.host,
        "port": uri.port,
        "params": dict(uri.params),
        "headers": dict(uri.headers),
    }
    if uri.user is not None:
        described["user"] = uri.user
    if uri.password is not None:
        described["password"] = uri.password
    return described


def _address(address: NameAddr) -> dict[str, Any]:
    return {"display": address.display, "uri": _uri(address.uri), "params": dict(address.params)}


def _via(via: Via) -> dict[str, Any]:
    return {
        "protocol": via.protocol,
        "transport": via.transport,
        "host": via.host,
        "port": via.port,
        "params": dict(via.params),
    }


def _cseq(value: str) -> dict[str, Any]:
    """A CSeq, whether or not its number is one that we take.  @raise ValueError: not even two words."""
    number, method = value.split()
    return {"number": int(number) if _integer(number) else number, "method": method}


__all__ = ["Inspection", "Problem", "inspectMessage", "inspectRefused"]
