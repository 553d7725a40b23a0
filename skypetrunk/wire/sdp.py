"""
Session descriptions (RFC 8866), as SIP uses them: octets in, frozen values out, octets back.

A description that was read is written as it was read: each line that still says the
same keeps its octets and its place, also where a user agent took another order, and all
end as they did, in CRLF, or in LF alone if all did.  Lines may hold keys (C{a=crypto}), so
no repr shows them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from skypetrunk.errors import MalformedSDP
from skypetrunk.values import quick
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
from skypetrunk.wire.sdp_media import (
    ADDRESS_TYPES,
    DIRECTIONS,
    SECURE_PROTOCOLS,
    MediaDescription,
    Section,
    collect,
    directionIn,
    parseMedia,
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

# Session identifiers beyond 64 bits (20 digits) are seen in the field.
_LONG_NUMBER = re.compile(r"[0-9]{1,64}")


@quick
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


@quick
@dataclass(frozen=True, slots=True, repr=False)
class SessionDescription(Section):
    """
    A whole description.

    @ivar connection: the address of the session's C{c=}, if there is one.
    @ivar times: what stands behind C{t=}.
    @ivar sessionName: what stands behind C{s=}, or C{None}: some leave the line out.
    @ivar others: C{(letter, value)} of i= u= e= p= r= z= k=.
    @ivar written: the session's lines as read.
    @ivar lineEnd: what each line ends in; a new description has CRLF (RFC 8866 section 5).
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
    lineEnd: str = field(default="\r\n", compare=False)

    def __post_init__(self) -> None:
        inherited = (self.connection, self._ownDirection())
        if any([m.inherited != inherited for m in self.media]):
            media = tuple(replace(m, inherited=inherited) for m in self.media)
            object.__setattr__(self, "media", media)

    def encode(self) -> bytes:
        """
        The octets, each line with its end.

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
        text, ends = self.lineEnd.join(lines), len(lines) - 1
        if text.count("\n") != ends or text.count("\r") != ends * self.lineEnd.count("\r"):
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
    connection, attributes, bandwidths, rest = collect(lines[2:], "siuepcbtrzka")
    names = [value for letter, value in rest if letter == "s"]
    if len(names) > 1:
        raise MalformedSDP("SDP: s= twice")
    inherited = (connection, directionIn(attributes))
    session = SessionDescription(
        origin,
        names[0] if names else None,
        connection,
        tuple([parseMedia(section, inherited, keepLines) for section in sections[1:]]),
        attributes,
        bandwidths,
        tuple(value for letter, value in rest if letter == "t"),
        tuple(line for line in rest if line[0] not in "st"),
        tuple(lines) if keepLines else (),
        "\n" if keepLines and b"\r" not in data else "\r\n",
    )
    for media in session.media:
        # RFC 8866 section 5.7; a stream that is off needs no address.
        if media.address is None and media.port:
            raise MalformedSDP(f"SDP: no c= for m={media.kind}, neither there nor for the session")
    return session


def _parseOrigin(value: str) -> Origin:
    fields = value.split()
    if len(fields) != 6 or fields[3].upper() != "IN" or fields[4].upper() not in ADDRESS_TYPES:
        raise MalformedSDP("SDP: o= must have user, session, version, IN, IP4 or IP6, and address")
    if not _LONG_NUMBER.fullmatch(fields[1]) or not _LONG_NUMBER.fullmatch(fields[2]):
        raise MalformedSDP("SDP: session and version of o= must be numbers")
    return Origin(fields[0], fields[1], fields[2], fields[5])
