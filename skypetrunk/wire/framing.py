"""
Messages cut out of a TCP or TLS stream by Content-Length (RFC 3261 section 18.3), with limits on
what is not finished, and the keep-alives between them (RFC 5626 section 4.4.1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from skypetrunk.errors import LimitExceeded, MalformedMessage
from skypetrunk.wire.headers import parseNumber
from skypetrunk.wire.message import salvage

# Anchored at a line's beginning, so that neither a folded line nor a body can pass for the header.
_contentLength = re.compile(
    rb"\r\n(?:content-length|l)[ \t]*+:((?:[^\r\n]|\r\n[ \t])*+)", re.IGNORECASE
).findall


@dataclass(frozen=True, slots=True)
class Limits:
    """
    What one unfinished message may take, in octets but for the count.

    @ivar line: one header line (as sent, before unfolding).  Identity headers and long Record-Routes
        reach 2,000; the rest is room.
    @ivar headerBlock: start line and headers.  Ten times the largest seen from real systems.
    @ivar headerCount: header lines.  RFC 4475's longest message has 43.
    @ivar body: the largest Content-Length.  An SDP with every codec and ICE stays below 10,000.
    """

    line: int = 8192
    headerBlock: int = 65536
    headerCount: int = 256
    body: int = 65536


@dataclass(frozen=True, slots=True)
class Ping:
    """CRLF CRLF between messages: the peer wants a CRLF."""


@dataclass(frozen=True, slots=True)
class Pong:
    """A single CRLF between messages."""


PING = Ping()
PONG = Pong()

Frame = bytes | Ping | Pong


class StreamFramer:
    """
    Cuts one direction of one connection into messages.

    A CRLF is reported as L{PONG} as soon as it is there.  If the next octets are a second CRLF,
    L{PING} follows: a ping cut in two by the network is still seen, and a pong too many does no harm.
    """

    def __init__(self, limits: Limits = Limits()) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._failure: MalformedMessage | None = None
        self._lonely = False  # a PONG was reported that may become a PING
        self._pinged = False  # a PONG is waited for
        self._newMessage()

    def _newMessage(self) -> None:
        self._searched = 0  # octets of the buffer in which no end of the headers was found
        self._lineStart = 0  # where the last, unfinished line begins
        self._lines = 0
        self._total = 0  # head and body, once the head is complete

    @property
    def failure(self) -> MalformedMessage | None:
        """What ended this stream: raised by L{receive} or about to be raised by the next call of it."""
        return self._failure

    @property
    def unfinished(self) -> bytes:
        """What came of a message that is not complete."""
        return bytes(self._buffer)

    def pinged(self) -> None:
        """A ping was sent: the next single CRLF is its pong, and no half of a ping."""
        self._pinged = True
        self._lonely = False

    def receive(self, data: bytes) -> list[Frame]:
        """
        Take the next octets.

        @return: what is complete now.
        @raise MalformedMessage: the stream cannot be followed any further (or L{LimitExceeded}); its
            C{message} serves for an answer, then the connection must be closed.  If C{data} also
            completed messages, they are returned, and the next call raises: see L{failure}.
        """
        frames: list[Frame] = []
        if self._failure is None:
            self._buffer += data
            try:
                while (frame := self._next()) is not None:
                    frames.append(frame)
            except MalformedMessage as e:
                self._failure = e
                self._buffer.clear()
                if frames:
                    return frames
        if self._failure is not None:
            raise self._failure
        return frames

    def _next(self) -> Frame | None:
        buffer = self._buffer
        if not self._total:
            if not buffer:
                return None
            if buffer[0] == 13 and not self._searched:
                return self._keepAlive()
            self._lonely = False
            end = buffer.find(b"\r\n\r\n", max(self._searched - 3, 0))
            if end < 0:
                self._checkUnfinished()
                return None
            self._headComplete(end)
        if len(buffer) < self._total:
            return None
        frame = bytes(memoryview(buffer)[: self._total])
        del buffer[: self._total]
        self._newMessage()
        return frame

    def _keepAlive(self) -> Frame | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        if buffer[1] != 10:
            raise MalformedMessage("a CR that begins no line")
        if self._lonely:
            del buffer[:2]
            self._lonely = False
            return PING
        if buffer.startswith(b"\r\n\r\n"):
            del buffer[:4]
            return PING
        self._lonely = len(buffer) < 4 and not self._pinged
        self._pinged = False
        del buffer[:2]
        return PONG

    def _checkUnfinished(self) -> None:
        """Everything here looks only at octets that came with the last call."""
        buffer, limits = self._buffer, self._limits
        since = max(self._searched - 1, 0)
        self._lines += buffer.count(b"\r\n", since)
        last = buffer.rfind(b"\r\n", since)
        if last >= 0:
            self._lineStart = last + 2
        self._searched = len(buffer)
        if len(buffer) > limits.headerBlock:
            self._exceeded("header block", limits.headerBlock)
        if self._lines > limits.headerCount + 1:
            self._exceeded("number of headers", limits.headerCount)
        if len(buffer) - self._lineStart - buffer.endswith(b"\r") > limits.line:
            self._exceeded("header line", limits.line)

    def _headComplete(self, end: int) -> None:
        """Check the headers that end at C{end} and learn the length of the body before any of it is kept."""
        limits = self._limits
        if end > limits.headerBlock:
            self._exceeded("header block", limits.headerBlock)
        head = bytes(memoryview(self._buffer)[:end])
        if head.count(b"\r\n") > limits.headerCount:
            self._exceeded("number of headers", limits.headerCount)
        if end > limits.line and max(map(len, head.split(b"\r\n"))) > limits.line:
            self._exceeded("header line", limits.line)
        lengths = _contentLength(head)
        try:
            if len(lengths) != 1:
                raise MalformedMessage(f"{len(lengths)} Content-Length headers on a stream")
            value = lengths[0].strip(b"\r\n\t ").decode("latin-1")
            length = parseNumber(value, "Content-Length", 2**32 - 1)
        except MalformedMessage as e:
            e.message = salvage(head)
            raise
        if length > limits.body:
            self._exceeded("body", limits.body)
        self._total = end + 4 + length

    def _exceeded(self, what: str, limit: int) -> None:
        error = LimitExceeded(f"{what} above {limit}")
        head, complete, _ = bytes(self._buffer[: self._limits.headerBlock]).partition(b"\r\n\r\n")
        error.message = salvage(head if complete else head.rpartition(b"\r\n")[0])
        raise error


__all__ = ["Frame", "Limits", "PING", "PONG", "Ping", "Pong", "StreamFramer"]
