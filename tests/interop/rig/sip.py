"""SIP messages as the peers' traces show them, read with little more than regular expressions."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class CryptoLine:
    """An C{a=crypto} line (RFC 4568 section 9.1): C{key} is master key and salt."""

    tag: int
    suite: str
    key: bytes


@dataclass(frozen=True)
class Message:
    """
    One SIP message.

    @ivar text: all of it, with lines ended by C{\\n}.
    @ivar sent: by the peer whose trace it is from.
    @ivar time: seconds, of the trace's own clock; 0.0 where the trace has none.
    """

    text: str
    sent: bool
    time: float = 0.0

    @property
    def startLine(self) -> str:
        """The first line."""
        return self.text.split("\n", 1)[0]

    @property
    def status(self) -> int | None:
        """The status code of a response."""
        return int(self.startLine.split()[1]) if self.startLine.startswith("SIP/2.0 ") else None

    @property
    def method(self) -> str:
        """The method of a request, or the one that a response answers."""
        return self.header("CSeq").split()[1]

    @property
    def requestURI(self) -> str:
        """The Request-URI of a request."""
        return self.startLine.split()[1]

    @property
    def body(self) -> str:
        """What stands after the empty line."""
        return self.text.partition("\n\n")[2]

    def headers(self, name: str) -> list[str]:
        """All values of a header, one for each line."""
        head = self.text.partition("\n\n")[0]
        return re.findall(rf"^{name}[ \t]*:[ \t]*(.*)$", head, re.MULTILINE | re.IGNORECASE)

    def header(self, name: str) -> str:
        """The first value of a header; empty when there is none."""
        return next(iter(self.headers(name)), "")

    def lines(self, prefix: str) -> list[str]:
        """Lines of the body that begin with C{prefix}, without it."""
        return [line[len(prefix) :] for line in self.body.split("\n") if line.startswith(prefix)]

    def crypto(self) -> list[CryptoLine]:
        """All C{a=crypto} lines of the body."""
        pattern = r"(\d+) (\S+) inline:([A-Za-z0-9+/=]+)"
        found = (re.match(pattern, line) for line in self.lines("a=crypto:"))
        # rtpengine leaves out what fills up the last four characters.
        return [CryptoLine(int(m[1]), m[2], base64.b64decode(m[3] + "===")) for m in found if m]

    def mediaAddress(self) -> tuple[str, int]:
        """Host and port of the first m= line."""
        return self.lines("c=IN IP4 ")[0].strip(), int(self.lines("m=audio ")[0].split()[0])


def requests(messages: Iterable[Message], method: str, *, sent: bool | None = None) -> list[Message]:
    """The requests of one method, sent or received or both."""
    return [
        message
        for message in messages
        if message.startLine.startswith(f"{method} ") and sent in (None, message.sent)
    ]


def responses(
    messages: Iterable[Message], method: str, status: int | None = None, *, sent: bool | None = None
) -> list[Message]:
    """The responses to one method, of one status or all, sent or received or both."""
    return [
        message
        for message in messages
        if message.status is not None
        and message.method == method
        and status in (None, message.status)
        and sent in (None, message.sent)
    ]


@dataclass(frozen=True)
class AgreedKeys:
    """What an offer and its answer agreed (RFC 4568 section 5.1): one suite, a key for each direction."""

    suite: str
    offerer: bytes
    answerer: bytes


def agreed(offer: Message, answer: Message) -> AgreedKeys:
    """
    The keys of an offer/answer exchange.

    @raise AssertionError: it breaks RFC 4568 section 5.1.2: not exactly one line, or a tag or suite
        that was not offered.
    """
    lines = answer.crypto()
    assert len(lines) == 1, f"an answer with {len(lines)} a=crypto lines"
    chosen = [line for line in offer.crypto() if line.tag == lines[0].tag]
    assert len(chosen) == 1, f"tag {lines[0].tag} was offered {len(chosen)} times"
    assert chosen[0].suite == lines[0].suite, f"{lines[0].suite} answers {chosen[0].suite}"
    return AgreedKeys(chosen[0].suite, chosen[0].key, lines[0].key)
