"""
Reading SIP messages (RFC 3261 section 7), and the answers to them.

Undone when reading: folding (a fold becomes one space, section 7.3.1) and white space around names
and values.  All else is written back as it came: text is UTF-8 with C{surrogateescape}, so that
octets which are no UTF-8 survive.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NoReturn

from skypetrunk.errors import MalformedMessage
from skypetrunk.wire.grammar import LWS, checkLine, isToken
from skypetrunk.wire.headers import (
    nameAddr,
    parseCallID,
    parseContacts,
    parseCSeq,
    parseNameAddr,
    parseNameAddrs,
    parseNumber,
    parseVias,
)
from skypetrunk.wire.names import SPELLINGS, canonicalName
from skypetrunk.wire.reasons import reasonPhrase
from skypetrunk.wire.request_response import Header, Message, Request, Response, checkedHeaders, make
from skypetrunk.wire.uri import parseURI

# RFC 3261 section 20: these may stand once.  With a second one, two elements may read different messages.
_SINGLE = ("from", "to", "call-id", "cseq", "max-forwards", "content-length", "content-type")
_MANDATORY = frozenset(("via", "from", "to", "call-id", "cseq"))
_REPEATED = frozenset(("via", "from", "call-id", "cseq"))
_ROUTES = (("route", "routes"), ("record-route", "recordRoutes"))

_version = re.compile(r"[sS][iI][pP]/[0-9]+\.[0-9]+").fullmatch
_usualRequest = re.compile(r"([A-Za-z0-9\-.!%*_+`'~]++) ([^\x00-\x20\x7f]++) SIP/2\.0").fullmatch
_requestURI = re.compile(r"[^\x00-\x20\x7f]++").fullmatch
# It begins with the line break: looking for the white space before it would be quadratic.
_fold = re.compile(r"(?:\r\n[ \t]++)++").sub


class _Folded(Exception):
    """A header line goes on in the next one."""


def _readHeaders(
    lines: list[str], unfolded: bool = False
) -> tuple[list[str], dict[str, list[str]], str | None]:
    """
    Header lines (without the start line) as they are written again, C{Name: value}, with their index and
    the first thing that is wrong with them.  Lines that cannot be read are left out, the others still
    serve for an answer.

    @param unfolded: a line that still begins with white space, after an empty one, is none.
    @raise _Folded: the lines must be unfolded first.
    """
    index: dict[str, list[str]] = {}
    others: dict[str, str | None] = {}  # what is written for lines that do not stay as they are
    problem: str | None = None
    spelled = SPELLINGS.get
    for line in lines:
        name, colon, value = line.partition(": ")
        canonical = spelled(name)
        if canonical is None or not colon or value.strip(LWS) != value:
            name, colon, value = line.partition(":")
            canonical = spelled(name)
            if canonical is None or not colon:
                if line.startswith((" ", "\t")) and not unfolded:
                    raise _Folded()
                name = name.rstrip(LWS)
                if not (colon and isToken(name)):
                    problem = problem or f"line {lines.index(line) + 2} is no header"
                    others[line] = None
                    continue
                canonical = canonicalName(name)
            value = value.strip(LWS)
            if line != (written := f"{name}: {value}"):
                others[line] = written
        if canonical in index:
            index[canonical].append(value)
        else:
            index[canonical] = [value]
    if others:
        lines = [kept for line in lines if (kept := others.get(line, line)) is not None]
    return lines, index, problem


def _broken(lines: list[str]) -> bool:
    """Is there a CR or LF within a line?"""
    text = "".join(lines)
    return "\n" in text or "\r" in text


def readHead(head: bytes) -> tuple[Request | Response, str | None]:
    """
    The start line and headers of a message, and the first thing that is wrong with them.

    @raise MalformedMessage: not even a start line.
    """
    text = head.decode("utf-8", "surrogateescape")
    lines = text.split("\r\n")
    try:
        written, index, problem = _readHeaders(lines[1:])
    except _Folded:
        lines = _fold(" ", text).split("\r\n")
        written, index, problem = _readHeaders(lines[1:], True)
    if _broken(lines):
        # Two elements that disagree about a bare CR or LF read two different messages.
        problem = "a CR or LF that does not end a line"
    start = lines[0]
    usual = _usualRequest(start)
    if usual is not None:
        method, uri = usual.groups()
        version = "SIP/2.0"
    elif start[:4].upper() == "SIP/":
        return _readStatusLine(start, written, index), problem
    else:
        method, _, rest = start.partition(" ")
        uri, _, version = rest.rpartition(" ")
        if not isToken(method):
            _refuse("no SIP message")
        if not (_version(version) and _requestURI(uri)):
            problem = "a request line that breaks its grammar"
        version = version.upper()
    return make(
        Request,
        {
            "method": method,
            "uri": uri,
            "_lines": written,
            "body": b"",
            "version": version,
            "_index": index,
        },
    ), problem


def _readStatusLine(line: str, written: list[str], index: dict[str, list[str]]) -> Response:
    """A response without its body (RFC 3261 section 7.2).  @raise MalformedMessage: no such line."""
    version, _, rest = line.partition(" ")
    status, _, reason = rest.partition(" ")
    if not (len(status) == 3 and status.isascii() and status.isdigit() and "100" <= status <= "699"):
        _refuse("a response without a valid status")
    if not _version(version):
        _refuse("no SIP message")
    return make(
        Response,
        {
            "status": int(status),
            "reason": reason,
            "_lines": written,
            "body": b"",
            "version": version.upper(),
            "_index": index,
        },
    )


def _refuse(text: str, message: Message | None = None, status: int = 400) -> NoReturn:
    raise _withMessage(MalformedMessage(text, status), message)


def _withMessage(error: MalformedMessage, message: Message | None) -> MalformedMessage:
    """C{error} with the request an answer can be built from; without a Via there is no way back."""
    if isinstance(message, Request) and message.header("via"):
        error.message = message
    return error


def salvage(head: bytes) -> Request | None:
    """The request that begins with C{head}, as far as it can be answered, or C{None}."""
    try:
        message, _ = readHead(head)
    except MalformedMessage:
        return None
    return message if isinstance(message, Request) and message.header("via") else None


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
    message, problem = readHead(data[start:end] if end >= 0 else data[start:].rstrip(b"\r\n"))
    if message.version != "SIP/2.0" and _version(message.version):
        # RFC 3261 section 21.5.6; before all else, as another version has other rules.
        _refuse(f"version {message.version}", message, 505)
    if problem is not None:
        _refuse(problem, message)
    if end < 0:
        _refuse("no empty line after the headers", message)
    body = data[end + 4:]
    lengths = message._index.get("content-length", ())
    if len(lengths) > 1:
        _refuse("more than one Content-Length", message)
    if lengths:
        try:
            length = parseNumber(lengths[0], "Content-Length", 2**32 - 1)
        except MalformedMessage as e:
            raise _withMessage(e, message) from None
        if length > len(body):
            _refuse("a body shorter than Content-Length", message)
        body = body[:length]
    elif stream:
        _refuse("no Content-Length on a stream", message)
    message.__dict__["body"] = body
    validate(message)
    return message


def validate(message: Request | Response) -> None:
    """
    Check what every element needs of a message: the mandatory headers, that single ones stand once,
    that each header with a typed property can be read, but for Contact in the answer to a REGISTER, and
    that CSeq names the method (RFC 3261 sections 8.1.1 and 16.3, RFC 4475).

    From without a tag and a missing Max-Forwards are let through for RFC 2543 peers.

    @raise MalformedMessage: as L{parseMessage}.
    """
    index = message._index
    where = "message"
    try:
        if message.version != "SIP/2.0":
            raise MalformedMessage(f"version {message.version}", 505)
        if not _MANDATORY <= index.keys():
            missing = ", ".join(sorted(_MANDATORY - index.keys()))
            raise MalformedMessage(f"no {missing} header")
        if len(index) != len(message._lines):
            for name in _SINGLE:
                if name in index and len(index[name]) > 1:
                    raise MalformedMessage(f"more than one {name} header")
        # Put where the lazy properties would put them, without their detours: this is the hot path.
        known = message.__dict__
        where = "CSeq"
        cseq = known["cseq"] = parseCSeq(index["cseq"][0])
        if isinstance(message, Request):
            if cseq.method != message.method:
                raise MalformedMessage("names another method than the request line")
            where = "Request-URI"
            known["requestURI"] = parseURI(message.uri)
        where = "Via"
        vias = known["vias"] = parseVias(index["via"])
        if not vias or vias[0].protocol != "SIP/2.0":
            raise MalformedMessage("none of SIP/2.0")
        where = "From"
        known["fromAddress"] = parseNameAddr(index["from"][0])
        where = "To"
        to = index["to"][0]
        if isinstance(message, Request) and to == f"<{message.uri}>":
            # As it should be in the first request of a dialog (RFC 3261 section 8.1.1.1): it is read.
            known["toAddress"] = nameAddr(None, known["requestURI"])
        else:
            known["toAddress"] = parseNameAddr(to)
        where = "Call-ID"
        known["callID"] = parseCallID(index["call-id"][0])
        if "max-forwards" in index:
            where = "max-forwards"
            known["maxForwards"] = parseNumber(index["max-forwards"][0].strip(LWS), "Max-Forwards", 255)
        # What a registrar lists may be somebody else's, and does not make its answer less true.
        if "contact" in index and not (cseq.method == "REGISTER" and isinstance(message, Response)):
            where = "contact"
            known["contacts"] = parseContacts(index["contact"])
        for name, property in _ROUTES:
            if name in index:
                where = name
                known[property] = parseNameAddrs(index[name])
    except MalformedMessage as e:
        raise _withMessage(MalformedMessage(f"{where}: {e}", e.status), message) from None


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
    if toTag is not None and not isToken(toTag):
        raise ValueError(f"no tag: {toTag!r}")
    if not 100 <= status <= 699:
        raise ValueError(f"no status: {status}")
    lines, names = [], []  # of the response
    for name, line in zip(request._names, request._lines, strict=True):
        if name == "to":
            if toTag is not None:
                try:
                    if request.toAddress.tag is None:
                        line = f"{line};tag={toTag}"
                except MalformedMessage:
                    pass  # an answer to a broken To repeats it
        elif name not in _REPEATED and not (
            (name == "record-route" and recordRoute) or (name == "timestamp" and status == 100)
        ):
            continue
        lines.append(line)
        names.append(name)
    more, moreNames = checkedHeaders(headers)
    lines += [f"{name}: {value}" for name, value in more]
    names += moreNames
    phrase = reasonPhrase(status) if reason is None else checkLine(reason)
    return make(
        Response,
        {
            "status": status,
            "reason": phrase,
            "_lines": lines,
            "body": body,
            "version": "SIP/2.0",
            "_names": names,
        },
    )


__all__ = [
    "Header",
    "Message",
    "Request",
    "Response",
    "parseMessage",
    "readHead",
    "reasonPhrase",
    "responseTo",
    "salvage",
    "validate",
]
