"""What a PBX in this process offers and takes: G.711 and keys, one stream (RFC 3264, RFC 3551, RFC 4733)."""

from __future__ import annotations

from dataclasses import dataclass

from skypetrunk.core.audio_stream import AudioStream
from skypetrunk.errors import MalformedSDP

_STATIC = {"0": "PCMU/8000", "8": "PCMA/8000"}
_CODECS = ("PCMA", "PCMU")
_EVENT = "TELEPHONE-EVENT/8000"

OFFER = AudioStream(
    ("8", "0", "101"),
    (
        ("rtpmap", "8 PCMA/8000"),
        ("rtpmap", "0 PCMU/8000"),
        ("rtpmap", "101 telephone-event/8000"),
        ("fmtp", "101 0-15"),
        ("ptime", "20"),
    ),
    "sendrecv",
)


@dataclass(frozen=True, slots=True)
class Choice:
    """
    What of a peer's stream is used.

    @ivar stream: our answer to it.
    @ivar codec: C{"PCMA"} or C{"PCMU"}.
    @ivar eventType: payload type of telephone-event, C{None} without it.
    """

    stream: AudioStream
    codec: str
    payloadType: int
    eventType: int | None


def choose(stream: AudioStream, preferred: str | None = None) -> Choice:
    """
    The codec that stands first, or C{preferred} where that is there too, and keys.

    @raise MalformedSDP: there is no G.711 (488).
    """
    maps = dict(_STATIC)
    for name, value in stream.attributes:
        number, _, encoding = (value or "").partition(" ")
        if name == "rtpmap":
            # A third part says one channel, or nothing.
            maps[number] = "/".join(encoding.strip().upper().split("/")[:2])
    known = [number for number in stream.formats if number.isdecimal() and int(number) < 128]
    codecs = [(maps.get(number, ""), number) for number in known]
    fitting = [(kind[:4], number) for kind, number in codecs if kind in {f"{each}/8000" for each in _CODECS}]
    if not fitting:
        raise MalformedSDP("wanted G.711 (PCMA or PCMU), seen none", 488)
    codec, number = next((each for each in fitting if each[0] == preferred), fitting[0])
    event = next((number for kind, number in codecs if kind == _EVENT), None)
    attributes: list[tuple[str, str | None]] = [("rtpmap", f"{number} {codec}/8000")]
    if event is not None:
        attributes += [("rtpmap", f"{event} telephone-event/8000"), ("fmtp", f"{event} 0-15")]
    attributes.append(("ptime", "20"))
    formats = (number,) if event is None else (number, event)
    answer = AudioStream(formats, tuple(attributes), "sendrecv")
    return Choice(answer, codec, int(number), None if event is None else int(event))


__all__ = ["OFFER", "Choice", "choose"]
