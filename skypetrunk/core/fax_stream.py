"""
Fax by T.38 in session descriptions (ITU-T T.38 annex D): one image line over UDPTL, and what of it may cross.

UDPTL has no SRTP, and what would protect it (DTLS, RFC 7345) no peer has: a leg with it is in clear.
"""

from __future__ import annotations

from dataclasses import dataclass

from skypetrunk.core.audio_stream import SENDS, AudioStream, common, streamOf
from skypetrunk.errors import MalformedSDP
from skypetrunk.wire.sdp import MediaDescription

IMAGE = "image"
UDPTL = "udptl"
T38 = "t38"

REFUSE, PASS = POLICIES = ("refuse", "pass")
"""What becomes of T.38 towards one side."""

_CROSSING = frozenset(
    (
        *("t38faxversion", "t38maxbitrate", "t38faxfillbitremoval", "t38faxtranscodingmmr"),
        *("t38faxtranscodingjbig", "t38faxratemanagement", "t38faxmaxbuffer", "t38faxmaxdatagram"),
        *("t38faxmaxifp", "t38faxudpec", "t38faxudpecdepth", "t38faxudpfecmaxspan"),
        *("t38vendorinfo", "t38modemtype"),
    )
)
"""The attributes of annex D and its later editions, in lower case: peers write them in other cases, too."""


@dataclass(frozen=True, slots=True)
class FaxStream(AudioStream):
    """
    What one leg tells the other of its T.38, in the place of audio: it has no codecs.

    @ivar formats: none; they would be payload types.
    @ivar attributes: those of T.38, as they were written.
    """


def isFax(line: MediaDescription) -> bool:
    """Is it T.38 over UDPTL, and wanted?"""
    return (
        bool(line.port)
        and line.kind.lower() == IMAGE
        and line.protocol.lower() == UDPTL
        and T38 in map(str.lower, line.formats)
    )


def faxOf(line: MediaDescription) -> FaxStream:
    """The allow-listed part of an image line."""
    attributes = tuple(each for each in line.attributes if each[0].lower() in _CROSSING)
    direction = line.direction
    if line.isHold:
        direction = "sendonly" if direction in SENDS else "inactive"
    return FaxStream((), attributes, direction)


def streamIn(line: MediaDescription) -> AudioStream:
    """The part of a line that may cross, whichever it is."""
    return faxOf(line) if isFax(line) else streamOf(line)


class FaxRefused(MalformedSDP):
    """T.38 is offered to a side that may not have it (RFC 3261 section 20.43)."""

    def __init__(self) -> None:
        super().__init__("the offer is fax by T.38, which has no SRTP; fax over G.711 goes on", warning=304)


def commonStream(stream: AudioStream, offer: AudioStream) -> AudioStream:
    """
    L{common} of two audio streams; fax is a matter of the two ends, and stays as it was written.

    @raise MalformedSDP: one is fax and the other is not, or there is no codec in common.
    """
    if isinstance(stream, FaxStream) != isinstance(offer, FaxStream):
        raise MalformedSDP("one side has fax by T.38 and the other sound", warning=304)
    return stream if isinstance(stream, FaxStream) else common(stream, offer)


__all__ = [
    "IMAGE",
    "PASS",
    "POLICIES",
    "REFUSE",
    "T38",
    "UDPTL",
    "FaxRefused",
    "FaxStream",
    "commonStream",
    "faxOf",
    "isFax",
    "streamIn",
]
