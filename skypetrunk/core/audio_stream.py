"""One audio line of a session description: the part that may cross to the other leg, and where it leads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from skypetrunk.errors import MalformedSDP
from skypetrunk.interfaces import MediaAddress
from skypetrunk.wire.address import literal
from skypetrunk.wire.sdp import MediaDescription, parseSDP

_CROSSING = ("rtpmap", "fmtp", "ptime", "maxptime")
SENDS = ("sendrecv", "sendonly")
RECEIVES = ("sendrecv", "recvonly")


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


def streamOf(line: MediaDescription) -> AudioStream:
    """The allow-listed part of an audio line; payload types that were not offered lose their lines."""
    attributes = []
    for name, value in line.attributes:
        if name not in _CROSSING:
            continue
        if name in ("rtpmap", "fmtp") and (value or "").split(" ", 1)[0] not in line.formats:
            continue
        attributes.append((name, value))
    direction = line.direction
    if line.isHold:
        direction = "sendonly" if direction in SENDS else "inactive"
    return AudioStream(line.formats, tuple(attributes), direction)


def common(stream: AudioStream, formats: Sequence[str]) -> AudioStream:
    """C{stream} without the payload types that are not among C{formats}."""
    common = tuple(number for number in stream.formats if number in formats)
    attributes = tuple(
        (name, value)
        for name, value in stream.attributes
        if name not in ("rtpmap", "fmtp") or (value or "").split(" ", 1)[0] in common
    )
    return AudioStream(common or tuple(formats), attributes, stream.direction)


def remoteOf(line: MediaDescription, ours: str) -> MediaAddress | None:
    """
    Where the peer receives, C{None} on hold by C{c=0.0.0.0}.

    @param ours: our own address: packets do not cross from one family to the other.
    @raise MalformedSDP: of the other family; or a host name, which would have to be looked up on
        nothing but the peer's word.
    """
    host, rtcpHost = line.address, line.rtcpAddress
    if host is None or line.isHold:
        return None
    version = literal(ours).version
    _check(host, version)
    remote = MediaAddress(host, line.port, line.rtcpPort or line.port)
    if rtcpHost is None or rtcpHost == host:
        return remote
    try:
        _check(rtcpHost, version)
    except MalformedSDP:
        # The call does not need it.
        return remote
    return replace(remote, rtcpHost=rtcpHost)


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
    """The IP version of the audio in C{offer}; C{None} without any that can be read."""
    try:
        media = parseSDP(offer, keepLines=False).media
        lines = [line for line in media if line.kind.lower() == "audio" and line.port]
        theirs = literal(lines[0].address or "") if lines else None
    except (MalformedSDP, ValueError):
        # Whoever reads it next says what is wrong with it.
        return None
    return None if theirs is None else (getattr(theirs, "ipv4_mapped", None) or theirs).version


def limited(answer: str, offer: str) -> str:
    """The most of an answer's direction that its offer allows (RFC 3264 section 6.1)."""
    sends = answer in SENDS and offer in RECEIVES
    receives = answer in RECEIVES and offer in SENDS
    return {(True, True): "sendrecv", (True, False): "sendonly", (False, True): "recvonly"}.get(
        (sends, receives), "inactive"
    )
