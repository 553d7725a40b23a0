"""
Session descriptions (RFC 8866), as SIP uses them: octets in, frozen values out, octets back.

A description that was read is written as it was read: each line that still says the
same keeps its octets and its place, also where a user agent took another order.  Lines
may hold keys (C{a=crypto}), so no repr shows them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from skypetrunk.errors import MalformedSDP
from skypetrunk.wire.sdp_lines import (
    MAX_LINES,
    MAX_MEDIA,
    Attribute,
    Line,
    addressText,
    attributeLine,
    inPlace,
    splitSections,
)

__all__ = [
    "DIRECTIONS",
    "MAX_LINES",
    "MAX_MEDIA",
    "SECURE_PROTOCOLS",
    "MediaDescription",
    "Origin",
    "SessionDescription",
    "parseSDP",
]

DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
SECURE_PROTOCOLS = ("RTP/SAVP", "RTP/SAVPF")

_NUMBER = re.compile(r"[0-9]{1,9}")
# Session identifiers beyond 64 bits (20 digits) are seen in the field.
_LONG_NUMBER = re.compile(r"[0-9]{1,64}")
_ADDRESS_TYPES = {"IP4", "IP6"}


def _port(text: str) -> int | None:
    """A port number, or C{None}."""
    if not _NUMBER.fullmatch(text):
        return None
    port = int(text)
    return port if port <= 65535 else None


def _parseConnection(value: str) -> str:
    fields = value.split()
    if len(fields) != 3 or fields[0].upper() != "IN" or fields[1].upper() not in _ADDRESS_TYPES:
        raise MalformedSDP(f"SDP: c= must read IN IP4 or IP6 and an address, seen {value[:60]!r}")
    return fields[2]


@dataclass(frozen=True, slots=True)
class Origin:
    """
    The C{o=} line (RFC 8866 section 5.2).

    @ivar sessionID: digits; longer than 64 bits in the field, so text.
    @ivar version: digits; goes up by one with each change of the description.
    @ivar address: the host's address or name.
    """

    username: str
    sessionID: str
    version: str
    address: str

    def encode(self) -> str:
        """What stands behind C{o=}."""
        return f"{self.username} {self.sessionID} {self.version} {addressText(self.address)}"


def _directionIn(attributes: tuple[Attribute, ...]) -> str | None:
    """The direction that a section's own attributes say, if any does."""
    for name, _ in attributes:
        if name.rstrip() in DIRECTIONS:
            return name.rstrip()
    return None


class _Section:
    """What session and media sections share."""

    __slots__ = ()
    attributes: tuple[Attribute, ...]

    def all(self, name: str) -> tuple[str, ...]:
        """The values of every attribute C{name} of this section; one without value counts as empty."""
        return tuple(value or "" for each, value in self.attributes if each == name)

    def first(self, name: str) -> str | None:
        """The value of the first attribute C{name} of this section, empty if it has none; or C{None}."""
        for each, value in self.attributes:
            if each == name:
                return value or ""
        return None

    def has(self, name: str) -> bool:
        """Does this section have an attribute C{name}?"""
        return any(each == name for each, _ in self.attributes)

    def _ownDirection(self) -> str | None:
        return _directionIn(self.attributes)


@dataclass(frozen=True, slots=True, repr=False)
class MediaDescription(_Section):
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
        if len(fields) == 4 and fields[1].upper() == "IN" and fields[2].upper() in _ADDRESS_TYPES:
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


@dataclass(frozen=True, slots=True, repr=False)
class SessionDescription(_Section):
    """
    A whole description.

    @ivar connection: the address of the session's C{c=}, if there is one.
    @ivar times: what stands behind C{t=}.
    @ivar sessionName: what stands behind C{s=}, or C{None}: some leave the line out.
    @ivar others: C{(letter, value)} of i= u= e= p= r= z= k=.
    @ivar written: the session's lines as read.
    """

    origin: Origin
    sessionName: str | None = "-"
    connection: str | None = None
    media: tuple[MediaDescription, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    bandwidths: tuple[str, ...] = ()
    times: tuple[str, ...] = ("0 0",)
    others: tuple[Line, ...] = ()
    written: tuple[Line, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        inherited = (self.connection, self._ownDirection())
        media = tuple(m if m.inherited == inherited else replace(m, inherited=inherited) for m in self.media)
        object.__setattr__(self, "media", media)

    def encode(self) -> bytes:
        """
        The octets, lines ending in CRLF.

        @raise ValueError: a value holds a line end.
        """
        new: list[Line] = [("v", "0"), ("o", self.origin.encode())]
        if self.sessionName is not None:
            new.append(("s", self.sessionName))
        new += [line for line in self.others if line[0] in "iuep"]
        if self.connection is not None:
            new.append(("c", addressText(self.connection)))
        new += [("b", value) for value in self.bandwidths]
        new += [("t", value) for value in self.times]
        new += [line for line in self.others if line[0] not in "iuep"]
        new += map(attributeLine, self.attributes)
        lines = inPlace(new, self.written)
        for media in self.media:
            lines += media.lines()
        lines.append("")
        text = "\r\n".join(lines)
        if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1:
            raise ValueError("a value of a session description holds a line end")
        return text.encode("utf-8", "surrogateescape")

    def __repr__(self) -> str:
        return f"<SessionDescription {self.origin.encode()}, {len(self.media)} media>"


def parseSDP(data: bytes, keepLines: bool = True) -> SessionDescription:
    """
    Read a session description.  Lines may end in LF alone (RFC 8866 section 5).

    @param keepLines: it may be written again: remember the lines as they were read.
    @raise MalformedSDP: it breaks the grammar, lacks a mandatory line that nobody leaves
        out, or is larger than L{MAX_LINES} or L{MAX_MEDIA}.
    """
    sections = splitSections(data)
    lines = sections[0]
    if lines[0] != ("v", "0"):
        raise MalformedSDP("SDP: the first line must be v=0")
    if len(lines) < 2 or lines[1][0] != "o":
        raise MalformedSDP("SDP: the second line must be o=")
    origin = _parseOrigin(lines[1][1])
    connection, attributes, bandwidths, rest = _collect(lines[2:], "siuepcbtrzka")
    names = [value for letter, value in rest if letter == "s"]
    if len(names) > 1:
        raise MalformedSDP("SDP: s= twice")
    inherited = (connection, _directionIn(attributes))
    session = SessionDescription(
        origin,
        names[0] if names else None,
        connection,
        tuple([_parseMedia(section, inherited, keepLines) for section in sections[1:]]),
        attributes,
        bandwidths,
        tuple(value for letter, value in rest if letter == "t"),
        tuple(line for line in rest if line[0] not in "st"),
        tuple(lines) if keepLines else (),
    )
    for media in session.media:
        # RFC 8866 section 5.7; a stream that is off needs no address.
        if media.address is None and media.port:
            raise MalformedSDP(f"SDP: no c= for m={media.kind}, neither there nor for the session")
    return session


def _collect(
    lines: Sequence[Line], allowed: str
) -> tuple[str | None, tuple[Attribute, ...], tuple[str, ...], list[Line]]:
    """Connection, attributes, bandwidths and the other lines of a section."""
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


def _parseOrigin(value: str) -> Origin:
    fields = value.split()
    if len(fields) != 6 or fields[3].upper() != "IN" or fields[4].upper() not in _ADDRESS_TYPES:
        raise MalformedSDP("SDP: o= must have user, session, version, IN, IP4 or IP6, and address")
    if not _LONG_NUMBER.fullmatch(fields[1]) or not _LONG_NUMBER.fullmatch(fields[2]):
        raise MalformedSDP("SDP: session and version of o= must be numbers")
    return Origin(fields[0], fields[1], fields[2], fields[5])


def _parseMedia(
    lines: Sequence[Line], inherited: tuple[str | None, str | None], keepLines: bool
) -> MediaDescription:
    fields = lines[0][1].split()
    if len(fields) < 4:
        raise MalformedSDP("SDP: m= must have type, port, protocol and at least one format")
    text, slash, count = fields[1].partition("/")
    port = _port(text)
    portCount = _port(count) if slash else 1
    if port is None or not portCount:
        raise MalformedSDP(f"SDP: port {fields[1][:20]!r} of m={fields[0][:20]}")
    connection, attributes, bandwidths, rest = _collect(lines[1:], "icbka")
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
