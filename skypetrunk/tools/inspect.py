"""C{skypetrunk inspect}: what the trunk makes of SIP messages that were captured."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from errno import EBADF
from typing import Any, BinaryIO

from twisted.python import usage

from skypetrunk.errors import MalformedMessage
from skypetrunk.printable import printable
from skypetrunk.service.options import CommandOptions
from skypetrunk.tools.key_summary import keySummary
from skypetrunk.wire.framing import StreamFramer
from skypetrunk.wire.inspection import Inspection, inspectMessage, inspectRefused
from skypetrunk.wire.names import canonicalName

#: A longer datagram cannot be: its length has 16 bits.
_DATAGRAM = 65535

_hidePasswords = re.compile(r"(sips?:[^:@\s<>]*+):[^@\s<>]*+@", re.IGNORECASE).sub

_OTHERS = {
    b"\xd4\xc3\xb2\xa1": "a capture of packets (pcap)",
    b"\xa1\xb2\xc3\xd4": "a capture of packets (pcap)",
    b"\x4d\x3c\xb2\xa1": "a capture of packets (pcap)",
    b"\x0a\x0d\x0d\x0a": "a capture of packets (pcapng)",
    b"\x1f\x8b": "compressed (gzip)",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
    b"\xef\xbb\xbf": "text with a byte order mark",
}
"""How files begin that are given by mistake: what is wanted are the octets of a message alone."""

_SHOWN = ("Via", "Route", "Record-Route", "From", "To", "Call-ID", "CSeq", "Contact", "Max-Forwards")


class Options(CommandOptions):
    """The command line."""

    synopsis = "[options] FILE..."
    longdesc = (
        "Reads SIP messages as they came from the network, one in each FILE, or from standard input where"
        " FILE is -. Prints for each whether the trunk takes it, or with what status it refuses it, routing"
        " headers, a summary of its SDP, and what is wrong with it, with the section of the RFC. Exits with 0"
        " if all are valid, with 1 if one is not, with 2 if a file cannot be read. SRTP keys and passwords"
        " are left out, but JSON has every header."
    )
    optFlags = [
        ["json", None, "One JSON object for each message, on a line of its own."],
        ["stream", None, "Each file is what came over TCP or TLS: messages cut by Content-Length."],
    ]

    def parseArgs(self, *files: str) -> None:
        """At least one."""
        if not files:
            raise usage.UsageError("which file? - is standard input")
        self.files = files


def main(options: Options) -> int:
    """Inspect all files, and print."""
    status = 0
    for name in options.files:
        try:
            for inspection in _inspections(name, bool(options["stream"])):
                if not inspection.valid:
                    status = max(status, 1)
                for line in [_json(name, inspection)] if options["json"] else _summary(name, inspection):
                    print(line)
        except _Unreadable as problem:
            print(f"skypetrunk: {_printable(name)}: cannot be read: {problem}", file=sys.stderr)
            status = 2
    return status


class _Unreadable(Exception):
    """A file, with what the system says; what cannot be printed is another matter."""


def _inspections(name: str, stream: bool) -> Iterator[Inspection]:
    """
    All messages of one file.

    @raise _Unreadable: it is.
    """
    try:
        with _open(name) as file:
            yield from _stream(file) if stream else _datagram(file)
    except OSError as problem:
        raise _Unreadable(problem.strerror) from problem


def _open(name: str) -> AbstractContextManager[BinaryIO]:
    if name == "-" and sys.stdin is None:
        raise OSError(EBADF, "it is closed")
    return nullcontext(sys.stdin.buffer) if name == "-" else open(name, "rb")


def _datagram(file: BinaryIO) -> Iterator[Inspection]:
    data = file.read(_DATAGRAM + 1)
    other = _other(data)
    if other is not None:
        yield other
    elif len(data) > _DATAGRAM:
        yield inspectRefused(data, MalformedMessage(f"no datagram: it has more than {_DATAGRAM} octets"))
    else:
        yield inspectMessage(data)


def _stream(file: BinaryIO) -> Iterator[Inspection]:
    """All messages of a stream, and what ends it if that is not the end of one."""
    framer = StreamFramer()
    found = False
    data = b"-"
    while data and framer.failure is None:
        data = file.read(_DATAGRAM)
        other = None if found or framer.unfinished else _other(data)
        if other is not None:
            yield other
            return
        unfinished = framer.unfinished + data
        try:
            frames = framer.receive(data)
        except MalformedMessage:
            break
        for frame in frames:
            if isinstance(frame, bytes):
                found = True
                yield inspectMessage(frame, stream=True)
                unfinished = unfinished[unfinished.find(frame) + len(frame):]
    if framer.failure is not None:
        yield inspectRefused(unfinished, framer.failure)
    elif framer.unfinished:
        problem = MalformedMessage("the stream ends before its last message; a trunk would wait")
        yield inspectRefused(framer.unfinished, problem)
    elif not found:
        yield inspectRefused(b"", MalformedMessage("no SIP message"))


def _other(data: bytes) -> Inspection | None:
    """A file of another kind, as its first octets say."""
    for beginning, what in _OTHERS.items():
        if data.startswith(beginning):
            return inspectRefused(b"", MalformedMessage(f"no SIP message: {what}"))
    return None


def _json(name: str, inspection: Inspection) -> str:
    """One message on one line, in ASCII: octets that are no UTF-8 are lone surrogates."""
    shown: dict[str, Any] = {
        "file": name,
        "verdict": "valid" if inspection.valid else "invalid",
        "status": inspection.status,
        "fields": inspection.fields,
        "problems": [{"text": each.text, "section": each.section} for each in inspection.problems],
    }
    return json.dumps(shown)


def _summary(file: str, inspection: Inspection) -> Iterator[str]:
    """One message in lines for people."""
    if inspection.valid:
        verdict = "valid"
    elif inspection.status is None:
        verdict = "invalid, dropped without an answer"
    else:
        verdict = f"invalid, answered with {inspection.status}"
    yield _printable(f"{file}: {verdict}")
    message = inspection.message
    if message is not None:
        yield _printable(f"  {message.startLine()}")
        for shown in _SHOWN:
            # As they stand: a list that is broken cannot be cut.
            for name, value in message.headers:
                if canonicalName(name) == shown.lower():
                    yield _printable(f"  {shown}: {value}")
    if inspection.description is not None:
        for media in inspection.description.media:
            formats = " ".join(media.formats)
            keys = keySummary(inspection.description, media)
            yield _printable(
                f"  SDP: {media.kind} {media.port} {media.protocol} {formats}, {media.direction},"
                f" at {media.address}{keys}"
            )
    for problem in inspection.problems:
        yield _printable(f"  problem: {problem}")


def _printable(text: str) -> str:
    """C{text} without passwords, and without what a terminal would obey or could not show."""
    return printable(_hidePasswords(r"\1:<hidden>@", text))
