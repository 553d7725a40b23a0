"""
One stream of a session description: an C{m=} line and what follows it (RFC 8866 section 5.14), and what it
shares with the section of the session.

Lines may hold keys (C{a=crypto}), so no repr shows them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from skypetrunk.errors import MalformedSDP
from skypetrunk.values import quick
from skypetrunk.wire.sdp_lines import Attribute, Line, addressText, attributeLine, inPlace

__all__ = [
    "ADDRESS_TYPES",
    "DIRECTIONS",
    "SECURE_PROTOCOLS",
    "MediaDescription",
    "Section",
    "collect",
    "directionIn",
    "parseMedia",
]

DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
SECURE_PROTOCOLS = ("RTP/SAVP", "RTP/SAVPF")
ADDRESS_TYPES = ("IP4", "IP6")

_NUMBER = re.compile(r"[0-9]{1,9}")


def _port(text: str) -> int | None:
    """A port number, or C{None}."""
    if not _NUMBER.fullmatch(text):
        return None
    port = int(text)
    return port if port <= 65535 else None


def directionIn(attributes: tuple[Attribute, ...]) -> str | None:
    """The direction that a section's own attributes say, if any does."""
    for name, _ in attributes:
        if name.rstrip() in DIRECTIONS:
            return name.rstrip()
    return None


class Section:
    """What session and media sections share."""

    __slots__ = ()
    attributes: tuple[Attribute, ...]

    def all(self, name: str) -> tuple[str, ...]:
        """The values of every attribute C{name} of this section; one without value counts as empty."""
        return tuple([value or "" for each, value in self.attributes if each == name])

    def first(self, name: str) -> str | None:
        """The value of the first attribute C{name} of this section, empty if it has none; or C{None}."""
        for each, value in self.attributes:
            if each == name:
                return value or ""
        return None

    def has(self, name: str) -> bool:
        """Does this section have an attribute C{name}?"""
        return self.first(name) is not None

    def _ownDirection(self) -> str | None:
        return directionIn(self.attributes)


@quick
@dataclass(frozen=True, slots=True, repr=False)
class MediaDescription(Section):
    """
    One stream: an C{m=} line and what follows it (RFC 8866 section 5.14).

    @ivar kind: C{"audio"}, C{"video"}, C{"image"}...
    @ivar port: of RTP; 0 for a stream that is refused or over.
    @ivar formats: payload types, as text.
    @ivar connection: the address of this section's own C{c=}, if it has one; see L{address}.
    @ivar attributes: C{(name, value)}, value C{None} for a flag.
    @ivar bandwidths: what stands behind C{b=}.
    @ivar others: C{(letter, value)} of i= and k=.
    @ivar inherited: address and direction of the session, set by L{SessionDescription}.
    @ivar written: the lines as read, C{m=} not among them.
    """

    kind: str
    port: int
    portCount: int = 1
    protocol: str = "RTP/AVP"
    formats: tuple[str, ...] = ("0",)
    connection: str | None = None
    attributes: tuple[Attribute, ...] = ()
    bandwidths: tuple[str, ...] = ()
    others: tuple[Line, ...] = ()
    inherited: tuple[str | None, str | None] = field(default=(None, None), compare=False)
    written: tuple[Line, ...] = field(default=(), compare=False)

    @property
    def address(self) -> str | None:
        """The address that counts here: of this section, else of the session."""
        return self.connection if self.connection is not None else self.inherited[0]

    @property
    def direction(self) -> str:
        """The direction that counts here, C{"sendrecv"} if nobody says (RFC 8866 section 6.7)."""
        return self._ownDirection() or self.inherited[1] or "sendrecv"

    @property
    def isHold(self) -> bool:
        """Hold in the manner of RFC 2543: nothing is to be sent to C{0.0.0.0} (RFC 3264 section 8.4)."""
        return self.address in ("0.0.0.0", "::")

    @property
    def isRTP(self) -> bool:
        """RTP of any profile."""
        return "RTP/" in self.protocol.upper()

    @property
    def isSecure(self) -> bool:
        """SRTP keyed in SDP: RTP/SAVP or RTP/SAVPF (RFC 4568 section 5)."""
        return self.protocol.upper() in SECURE_PROTOCOLS

    @property
    def crypto(self) -> tuple[str, ...]:
        """The values of the C{a=crypto} lines, unread."""
        return self.all("crypto")

    @property
    def rtcpPort(self) -> int | None:
        """Where RTCP is received: C{a=rtcp} (RFC 3605), else port + 1; C{None} without RTP."""
        if not self.port or not self.isRTP:
            return None
        value = self.first("rtcp")
        if value:
            port = _port(value.split()[0]) if value.split() else None
            if port:
                return port
        return self.port + 1 if self.port < 65535 else None

    @property
    def multiplexesRTCP(self) -> bool:
        """RTP and RTCP over one port: C{a=rtcp-mux} (RFC 5761 section 5.1)."""
        return self.isRTP and self.has("rtcp-mux")

    @property
    def rtcpAddress(self) -> str | None:
        """The address that goes with L{rtcpPort}."""
        fields = (self.first("rtcp") or "").split()
        if len(fields) == 4 and fields[1].upper() == "IN" and fields[2].upper() in ADDRESS_TYPES:
            return fields[3]
        return self.address

    @property
    def rtpmaps(self) -> dict[str, str]:
        """C{a=rtpmap}: payload type to encoding, as in C{"101": "telephone-event/8000"}."""
        return self._byFormat("rtpmap")

    @property
    def fmtps(self) -> dict[str, str]:
        """C{a=fmtp}: payload type to parameters."""
        return self._byFormat("fmtp")

    def _byFormat(self, name: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for value in self.all(name):
            payload, _, rest = value.strip().partition(" ")
            found.setdefault(payload, rest.strip())
        return found

    @property
    def telephoneEvents(self) -> tuple[str, ...]:
        """The payload types of telephone-event (RFC 4733), in the order of the C{m=} line."""
        maps = self.rtpmaps
        return tuple(f for f in self.formats if maps.get(f, "").lower().startswith("telephone-event/"))

    @property
    def ptime(self) -> int | None:
        """C{a=ptime} in milliseconds."""
        value = (self.first("ptime") or "").strip()
        return int(value) if _NUMBER.fullmatch(value) else None

    def withoutAttributes(self, *names: str) -> MediaDescription:
        """This stream without the attributes of these names."""
        return replace(self, attributes=tuple(a for a in self.attributes if a[0] not in names))

    def addingAttributes(self, *attributes: Attribute) -> MediaDescription:
        """This stream with these attributes at its end."""
        return replace(self, attributes=self.attributes + attributes)

    def lines(self) -> list[str]:
        """The section as text lines."""
        ports = str(self.port) if self.portCount == 1 else f"{self.port}/{self.portCount}"
        new = [line for line in self.others if line[0] == "i"]
        if self.connection is not None:
            new.append(("c", addressText(self.connection)))
        new += [("b", value) for value in self.bandwidths]
        new += [line for line in self.others if line[0] != "i"]
        new += map(attributeLine, self.attributes)
        first = f"m={self.kind} {ports} {self.protocol} {' '.join(self.formats)}"
        return [first, *inPlace(new, self.written)]

    def __repr__(self) -> str:
        return f"<MediaDescription {self.kind} {self.port} {self.protocol} {' '.join(self.formats)}>"


def collect(
    lines: Sequence[Line], allowed: str
) -> tuple[str | None, tuple[Attribute, ...], tuple[str, ...], list[Line]]:
    """
    Connection, attributes, bandwidths and the other lines of a section.

    @param allowed: the letters of those others.
    @raise MalformedSDP: a line that does not belong there, or breaks its grammar.
    """
    connection: str | None = None
    attributes: list[Attribute] = []
    bandwidths: list[str] = []
    rest: list[Line] = []
    for letter, value in lines:
        if letter == "a":
            name, colon, tail = value.partition(":")
            attributes.append((name, tail if colon else None))
        elif letter == "c":
            address = _parseConnection(value)
            # RFC 8866 section 5.7 allows several for multicast layers: never in a call.
            if connection is not None:
                raise MalformedSDP("SDP: c= twice in one section")
            connection = address
        elif letter == "b":
            bandwidths.append(value)
        elif letter in allowed:
            rest.append((letter, value))
        else:
            # Section 5: a letter that is not understood makes the whole description unusable.
            raise MalformedSDP(f"SDP: line {letter!r}= is not known, or not allowed where it stands")
    return connection, tuple(attributes), tuple(bandwidths), rest


def _parseConnection(value: str) -> str:
    fields = value.split()
    if len(fields) != 3 or fields[0].upper() != "IN" or fields[1].upper() not in ADDRESS_TYPES:
        raise MalformedSDP(f"SDP: c= must read IN IP4 or IP6 and an address, seen {value[:60]!r}")
    return fields[2]


def parseMedia(
    lines: Sequence[Line], inherited: tuple[str | None, str | None], keepLines: bool
) -> MediaDescription:
    """
    One section, C{m=} first.

    @param inherited: address and direction of the session.
    @param keepLines: as of L{skypetrunk.wire.sdp.parseSDP}.
    @raise MalformedSDP: it breaks the grammar.
    """
    fields = lines[0][1].split()
    if len(fields) < 4:
        raise MalformedSDP("SDP: m= must have type, port, protocol and at least one format")
    text, slash, count = fields[1].partition("/")
    port = _port(text)
    portCount = _port(count) if slash else 1
    if port is None or not portCount:
        raise MalformedSDP(f"SDP: port {fields[1][:20]!r} of m={fields[0][:20]}")
    connection, attributes, bandwidths, rest = collect(lines[1:], "icbka")
    return MediaDescription(
        kind=fields[0],
        port=port,
        protocol=fields[2],
        formats=tuple(fields[3:]),
        connection=connection,
        attributes=attributes,
        bandwidths=bandwidths,
        portCount=portCount,
        others=tuple(rest),
        inherited=inherited,
        written=tuple(lines[1:]) if keepLines else (),
    )
