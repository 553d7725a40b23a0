"""One audio line of a session description: the part that may cross to the other leg, and where it leads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from skypetrunk.errors import MalformedSDP
from skypetrunk.interfaces import MediaAddress
from skypetrunk.printable import printable
from skypetrunk.wire.address import literal
from skypetrunk.wire.codec import COMPANIONS, STATIC, clockRate, encodingOf, isPayloadType, nameOf
from skypetrunk.wire.sdp import MediaDescription, parseSDP

_CROSSING = frozenset(("rtpmap", "fmtp", "ptime", "maxptime"))
_NUMBERED = frozenset(("rtpmap", "fmtp"))
SENDS = ("sendrecv", "sendonly")
RECEIVES = ("sendrecv", "recvonly")
_DIRECTIONS = {
    (True, True): "sendrecv",
    (True, False): "sendonly",
    (False, True): "recvonly",
    (False, False): "inactive",
}

LONGEST = 200
"""Characters of what a peer has named that stand in an error."""

REMEMBERED = 64
"""
Results kept of what follows from streams alone: the calls of a neighbour have the same few.  Nothing of a key
or a port is in them.
"""


@dataclass(frozen=True, slots=True)
class AudioStream:
    """
    What one leg tells the other of its audio.

    @ivar formats: payload type numbers, in order of preference.
    @ivar attributes: rtpmap, fmtp, ptime and maxptime lines.
    @ivar direction: as the party that wrote it means it; hold by C{c=0.0.0.0} (RFC 2543) is
        already turned into a direction.
    """

    formats: tuple[str, ...]
    attributes: tuple[tuple[str, str | None], ...]
    direction: str

    @property
    def codecs(self) -> Mapping[str, str]:
        """What each payload type means, see L{encodingOf}, in order of preference."""
        return _meanings(self.formats, self.attributes).codecs

    @property
    def rtpmaps(self) -> Mapping[str, str]:
        """What C{a=rtpmap} says of those that have one."""
        return _meanings(self.formats, self.attributes).rtpmaps

    @property
    def encodings(self) -> Mapping[int, str]:
        """All payload types, with what C{a=rtpmap} says of them; empty without one."""
        return _meanings(self.formats, self.attributes).encodings

    @property
    def fmtps(self) -> Mapping[str, str]:
        """The parameters of those that have some."""
        return _meanings(self.formats, self.attributes).fmtps

    @property
    def hasAudio(self) -> bool:
        """Is there a codec, not only what goes with one?"""
        return any(nameOf(codec) not in COMPANIONS for codec in self.codecs.values())

    def directed(self, direction: str) -> AudioStream:
        """The same in another direction."""
        return self if direction == self.direction else replace(self, direction=direction)


class _Meanings(NamedTuple):
    """See the properties of L{AudioStream}."""

    rtpmaps: Mapping[str, str]
    fmtps: Mapping[str, str]
    codecs: Mapping[str, str]
    encodings: Mapping[int, str]


@lru_cache(maxsize=REMEMBERED)
def _meanings(formats: tuple[str, ...], attributes: tuple[tuple[str, str | None], ...]) -> _Meanings:
    maps: dict[str, dict[str, str]] = {"rtpmap": {}, "fmtp": {}}
    for name, value in attributes:
        if name in maps:
            number, _, rest = (value or "").strip().partition(" ")
            maps[name].setdefault(number, rest.strip())
    rtpmaps = maps["rtpmap"]
    return _Meanings(
        rtpmaps,
        maps["fmtp"],
        {number: encodingOf(int(number), rtpmaps.get(number, "")) for number in formats},
        {int(number): rtpmaps.get(number, "") for number in formats},
    )


def streamOf(line: MediaDescription) -> AudioStream:
    """The allow-listed part of an audio line; payload types that were not offered lose their lines."""
    direction = line.direction
    if line.isHold:
        direction = "sendonly" if direction in SENDS else "inactive"
    crossing = tuple([each for each in line.attributes if each[0] in _CROSSING])
    return _stream(line.formats, crossing, direction)


@lru_cache(maxsize=REMEMBERED)
def _stream(
    formats: tuple[str, ...], attributes: tuple[tuple[str, str | None], ...], direction: str
) -> AudioStream:
    formats = tuple(number for number in dict.fromkeys(formats) if isPayloadType(number))
    # Some write a space behind the colon, or a tab behind the number.
    read = [(name, value and " ".join(value.split(None, 1))) for name, value in attributes]
    known = [(name, value) for name, value in read if name not in _NUMBERED or _number(value) in formats]
    return AudioStream(formats, tuple(known), direction)


def allowed(stream: AudioStream, names: Sequence[str]) -> AudioStream:
    """
    What may cross of C{stream}: codecs of C{names}, in that order, and events and comfort noise with the
    clock rate of one of them.

    @param names: of codecs, in any case; empty: all may.
    @raise MalformedSDP: there is none of them (488, and 305 in Warning).
    """
    if not names and stream.formats:
        return stream
    order = [name.lower() for name in names]
    codecs = stream.codecs
    ranks = {n: order.index(nameOf(codec)) for n, codec in codecs.items() if nameOf(codec) in order}
    clocks = {clockRate(codecs[number]) for number in ranks}
    if not ranks:
        seen = ", ".join(nameOf(codec) for codec in codecs.values() if nameOf(codec) not in COMPANIONS)
        seen = printable(seen[:LONGEST])
        raise MalformedSDP(
            f"wanted {', '.join(names) or 'a codec'}, offered is {seen or 'no codec'}", warning=305
        )
    kept = sorted(ranks, key=lambda number: ranks[number])
    kept += [n for n, codec in codecs.items() if nameOf(codec) in COMPANIONS and clockRate(codec) in clocks]
    return renumbered(stream, {number: number for number in kept})


def completed(stream: AudioStream, other: AudioStream) -> AudioStream:
    """C{stream}; what it says nothing of means what C{other} says: some leave that out of answers."""
    maps = stream.rtpmaps
    silent = [n for n in stream.formats if not maps.get(n) and int(n) not in STATIC and other.rtpmaps.get(n)]
    told = tuple(("rtpmap", f"{number} {other.rtpmaps[number]}") for number in silent)
    return replace(stream, attributes=stream.attributes + told) if told else stream


def alike(one: AudioStream, other: AudioStream) -> bool:
    """Do they say the same, though the numbers may be others?"""
    return _meaning(completed(one, other)) == _meaning(completed(other, one))


def _meaning(stream: AudioStream) -> tuple[object, ...]:
    codecs = [(codec, stream.fmtps.get(number)) for number, codec in stream.codecs.items()]
    times = [each for each in stream.attributes if each[0] not in ("rtpmap", "fmtp")]
    return codecs, times, stream.direction


def matched(stream: AudioStream, offer: AudioStream) -> dict[str, str]:
    """
    Payload types of C{stream}, with those of C{offer} that mean the same: under the same number if there is
    one, else with the same parameters, else the first that is left.
    """
    codecs, offered = stream.codecs, offer.codecs
    found = {number: number for number, codec in codecs.items() if offered.get(number) == codec}
    for alike in (True, False):
        for number, codec in codecs.items():
            if number in found:
                continue
            left = [n for n, each in offered.items() if each == codec and n not in found.values()]
            if alike:
                left = [n for n in left if offer.fmtps.get(n) == stream.fmtps.get(number)]
            if left:
                found[number] = left[0]
    return {number: found[number] for number in codecs if number in found}


def renumbered(stream: AudioStream, numbers: Mapping[str, str]) -> AudioStream:
    """
    C{stream} with the payload types that C{numbers} gives to its own, in that order, and no others.  What a
    number means by itself alone is written down with another one.  Redundant audio (RFC 2198) holds numbers
    within its packets, and is left out if any changes.
    """
    codecs = stream.codecs
    changed = any(number != to for number, to in numbers.items())
    if not changed and tuple(numbers) == stream.formats:
        return stream
    kept = {
        number: to
        for number, to in numbers.items()
        if number in codecs and not (changed and nameOf(codecs[number]) == "red")
    }
    attributes = []
    for name, value in stream.attributes:
        if name in _NUMBERED:
            number, space, rest = (value or "").partition(" ")
            if number not in kept:
                continue
            value = f"{kept[number]}{space}{rest}"
        attributes.append((name, value))
    for number, to in kept.items():
        if number != to and int(number) in STATIC and not stream.rtpmaps.get(number):
            attributes.append(("rtpmap", f"{to} {codecs[number]}"))
    return AudioStream(tuple(kept.values()), tuple(attributes), stream.direction)


@lru_cache(maxsize=REMEMBERED)
def within(stream: AudioStream, offer: AudioStream) -> AudioStream:
    """As L{common}, which may be nothing."""
    stream = completed(stream, offer)
    return renumbered(stream, matched(stream, completed(offer, stream)))


def common(stream: AudioStream, offer: AudioStream) -> AudioStream:
    """
    C{stream} as far as C{offer} has it, with the payload types of C{offer} (RFC 3264 section 6.1: an answer
    should have the same number for the same codec).

    @raise MalformedSDP: they have no codec in common.
    """
    found = within(stream, offer)
    if not found.hasAudio:
        raise MalformedSDP("no codec that both sides have", warning=305)
    return found


def remoteOf(
    line: MediaDescription, ours: str, together: bool = False, allowedGroup: str | None = None
) -> MediaAddress | None:
    """
    Where the peer receives, C{None} on hold by C{c=0.0.0.0}.

    @param ours: our own address: packets do not cross from one family to the other.
    @param together: RTP and RTCP over one port was agreed.
    @param allowedGroup: the one multicast group that it may be.
    @raise MalformedSDP: of the other family; or a host name, which would have to be looked up on
        nothing but the peer's word.
    """
    host, rtcpHost = line.address, line.rtcpAddress
    if host is None or line.isHold:
        return None
    version = literal(ours).version
    group = groupOf(line)
    if group is not None:
        host, _, ttl = group.partition("/")
        named = literal(host)
        if str(named) != allowedGroup or named.version != version:
            raise MalformedSDP(f"the media address is a multicast group, {host}: pbx.multicast", warning=301)
        return MediaAddress(str(named), line.port, line.rtcpPort or 0, ttl=int(ttl or 1))
    _check(host, version)
    remote = MediaAddress(host, line.port, line.port if together else line.rtcpPort or 0)
    if together or rtcpHost is None or rtcpHost == host:
        return remote
    try:
        _check(rtcpHost, version)
    except MalformedSDP:
        # The call does not need it.
        return remote
    return replace(remote, rtcpHost=rtcpHost)


def groupOf(line: MediaDescription) -> str | None:
    """
    The multicast group of a line, if it is one; of IPv4 with its TTL.  IPv6 has none: how far a packet goes
    is part of the group (RFC 8866 section 5.7).
    """
    return _group(line.address or "")


@lru_cache(maxsize=REMEMBERED)
def _group(address: str) -> str | None:
    host, slash, ttl = address.partition("/")
    try:
        group = literal(host)
    except ValueError:
        return None
    if not group.is_multicast or (slash and group.version == 6):
        return None
    return address if not slash or (ttl.isdecimal() and len(ttl) < 4 and int(ttl) < 256) else None


def _check(host: str, version: int) -> None:
    """Packets can be sent to C{host} from an address of this IP version."""
    try:
        theirs = literal(host)
    except ValueError:
        raise MalformedSDP(f"wanted a literal media address, seen {host[:60]!r}", warning=301) from None
    theirs = getattr(theirs, "ipv4_mapped", None) or theirs
    if theirs.version != version:
        raise MalformedSDP(f"wanted a media address of IPv{version}, seen {host}", warning=301)


def offeredVersion(offer: bytes) -> int | None:
    """The IP version of the audio or fax in C{offer}; C{None} without any that can be read."""
    try:
        media = parseSDP(offer, keepLines=False).media
        lines = [line for line in media if line.kind.lower() in ("audio", "image") and line.port]
        theirs = literal(lines[0].address or "") if lines else None
    except (MalformedSDP, ValueError):
        # Whoever reads it next says what is wrong with it.
        return None
    return None if theirs is None else (getattr(theirs, "ipv4_mapped", None) or theirs).version


def limited(answer: str, offer: str) -> str:
    """The most of an answer's direction that its offer allows (RFC 3264 section 6.1)."""
    sends = answer in SENDS and offer in RECEIVES
    receives = answer in RECEIVES and offer in SENDS
    return _DIRECTIONS[sends, receives]


def _number(value: str | None) -> str:
    """The payload type that an attribute is about."""
    return (value or "").partition(" ")[0]
