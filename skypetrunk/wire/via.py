"""Via: the hops that a request has passed, and that its responses go back by (RFC 3261 section 20.42)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from skypetrunk.errors import MalformedMessage
from skypetrunk.values import draftOf
from skypetrunk.wire.grammar import (
    LWS,
    NO_PARAMETERS,
    PLAIN_PARAMETERS,
    Parameters,
    isToken,
    parseParameters,
    plainParameters,
    splitCommas,
)
from skypetrunk.wire.uri import checkHost, readIPv6, readPort, writeHost

_sentBy = re.compile(r"([A-Za-z0-9_.\-]++|\[[0-9A-Fa-f:.]++\])[ \t]*+(?::[ \t]*+([0-9]{1,5}))?+").fullmatch
_protocol = re.compile(
    r"([A-Za-z0-9\-.!%*_+`'~]++)[ \t]*+/[ \t]*+([A-Za-z0-9\-.!%*_+`'~]++)[ \t]*+/[ \t]*+"
    r"([A-Za-z0-9\-.!%*_+`'~]++)[ \t]++"
).match
# As nearly every Via is, in one go; L{parseVia} reads all others, too.
_commonVia = re.compile(
    rf"SIP/2\.0/([A-Z]++) ([A-Za-z0-9_.\-]++|\[[0-9A-Fa-f:.]++\])(?::([0-9]{{1,5}}))?+{PLAIN_PARAMETERS}"
).fullmatch


@dataclass(frozen=True, slots=True)
class Via:
    """
    One hop of the way that a response takes back.

    @ivar transport: upper case.
    @ivar host: as in sent-by; IPv6 without brackets.
    @ivar protocol: C{"SIP/2.0"} in every message that is taken.
    """

    transport: str
    host: str
    port: int | None = None
    params: Parameters = NO_PARAMETERS
    protocol: str = "SIP/2.0"

    def __post_init__(self) -> None:
        if not isToken(self.transport):
            raise ValueError(f"no transport: {self.transport!r}")
        name, _, version = self.protocol.partition("/")
        if not (isToken(name) and isToken(version)):
            raise ValueError(f"no protocol: {self.protocol!r}")
        checkHost(self.host)
        if self.port is not None and not 0 <= self.port <= 65535:
            raise ValueError(f"no port: {self.port}")

    @property
    def branch(self) -> str | None:
        """The C{branch} parameter."""
        return self.params.get("branch")

    @property
    def received(self) -> str | None:
        """Where the request really came from (RFC 3261 section 18.2.1); IPv6 without brackets."""
        value = self.params.get("received")
        return value.strip("[]") if value else value

    @property
    def rport(self) -> int | None:
        """The port it came from (RFC 3581); C{None} too where C{rport} only asks (C{"rport" in params})."""
        value = self.params.get("rport")
        if value and value.isascii() and value.isdigit() and len(value) <= 5 and int(value) <= 65535:
            return int(value)
        return None

    @property
    def maddr(self) -> str | None:
        """The C{maddr} parameter; IPv6 without brackets."""
        value = self.params.get("maddr")
        return value.strip("[]") if value else value

    def seenFrom(self, host: str, port: int) -> Via:
        """
        That of a request that came from there: with C{received} (RFC 3261 section 18.2.1), and with the port
        where C{rport} asks for it (RFC 3581 section 4); itself where nothing is to be said.
        """
        pairs: list[tuple[str, str | None]] = []
        asked = told = False
        for name, value in self.params:
            folded = name.lower()
            # What the peer wrote itself would send our answers to a place of its choice.
            if folded == "received":
                if not told:
                    pairs.append((name, host))
                told = True
            elif folded != "rport":
                pairs.append((name, value))
            elif not asked:
                asked = True
                pairs.append((name, str(port)))
        if not told:
            if not asked and self.host == host:
                return self
            pairs.append(("received", host))
        return self.replace(params=Parameters(pairs))

    @property
    def sentBy(self) -> str:
        """C{host} or C{host:port}, as it stands in the header."""
        return writeHost(self.host, self.port)

    def replace(self, **changes: Any) -> Via:
        """The same with some fields changed."""
        if changes.keys() == {"params"}:  # in every request that comes in
            made = _ViaDraft()
            made.transport, made.host, made.port = self.transport, self.host, self.port
            made.params, made.protocol = changes["params"], self.protocol
            made.__class__ = Via
            return made  # type: ignore[no-any-return]
        return replace(self, **changes)

    def __str__(self) -> str:
        return f"{self.protocol}/{self.transport} {writeHost(self.host, self.port)}{self.params}"


_ViaDraft = draftOf(Via)


def _via(transport: str, host: str, port: str | None, params: Parameters, protocol: str) -> Via:
    """A Via of matched text; C{host} with its brackets."""
    made = _ViaDraft()
    made.transport = transport
    made.host = host if host[0] != "[" else readIPv6(host)
    made.port = None if port is None else readPort(port)
    made.params = params
    made.protocol = protocol
    made.__class__ = Via
    return made  # type: ignore[no-any-return]


def parseVia(value: str) -> Via:
    """
    Read one Via value.

    @raise MalformedMessage: it breaks the grammar.
    """
    common = _commonVia(value)
    if common is not None:
        transport, host, port, params = common.groups()
        return _via(transport, host, port, plainParameters(params) if params else NO_PARAMETERS, "SIP/2.0")
    text = value.strip(LWS)
    head = text.partition(";")[0]
    start = _protocol(head)
    sentBy = _sentBy(head[start.end():].rstrip(LWS)) if start is not None else None
    if start is None or sentBy is None:
        raise MalformedMessage("a Via that breaks its grammar")
    protocol = f"{start[1].upper()}/{start[2]}"
    return _via(start[3].upper(), sentBy[1], sentBy[2], parseParameters(text[len(head):]), protocol)


def parseVias(values: Sequence[str]) -> tuple[Via, ...]:
    """The hops of several header lines, each of which may hold several."""
    if len(values) == 1 and "," not in values[0] and values[0]:
        return (parseVia(values[0]),)
    return tuple([parseVia(element) for value in values for element in splitCommas(value)])


__all__ = ["Via", "parseVia", "parseVias"]
