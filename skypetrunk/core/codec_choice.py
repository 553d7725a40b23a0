"""What of a stream may cross to and from one side: its codecs, and whether it has keys in RTP."""

from __future__ import annotations

from collections.abc import Sequence

from skypetrunk.core.audio_stream import AudioStream, allowed, renumbered
from skypetrunk.core.fax_stream import FaxRefused, FaxStream
from skypetrunk.errors import MalformedSDP
from skypetrunk.wire.codec import EVENTS, clockRate, nameOf


class CodecChoice:
    """
    The choice for one side.

    A side without telephone-event in its descriptions has keys in INFO.  For the other one it is as if it had
    events: they are offered there, and what crosses is translated.
    """

    __slots__ = ("_events", "_fax", "_names")

    def __init__(self, names: Sequence[str] = (), events: bool = True, fax: bool = False) -> None:
        """
        @param names: of codecs that may cross, in order of preference; empty: any.
        @param events: telephone-event may stand in its descriptions.
        @param fax: T.38 may take the place of sound.
        """
        self._names = tuple(names)
        self._events = events
        self._fax = fax

    def toPeer(self, stream: AudioStream) -> AudioStream:
        """
        What our description may have of C{stream}.

        @raise MalformedSDP: there is no codec for it, or it is T.38 and may not be.
        """
        if isinstance(stream, FaxStream):
            return self._admitted(stream)
        stream = allowed(stream, self._names)
        if self._events:
            return stream
        if not stream.hasAudio:
            raise MalformedSDP("wanted a codec, offered are events alone", warning=305)
        return _withoutEvents(stream)

    def fromPeer(self, stream: AudioStream) -> AudioStream:
        """What the other side is told of the peer's C{stream}.  Raises as L{toPeer}."""
        if isinstance(stream, FaxStream):
            return self._admitted(stream)
        return self.shown(allowed(stream, self._names))

    def _admitted(self, stream: FaxStream) -> FaxStream:
        if not self._fax:
            raise FaxRefused
        return stream

    def shown(self, stream: AudioStream) -> AudioStream:
        """C{stream} with the events that the peer is told of in another way."""
        return stream if self._events or isinstance(stream, FaxStream) else _withEvents(stream)


def _withoutEvents(stream: AudioStream) -> AudioStream:
    return renumbered(stream, {n: n for n, codec in stream.codecs.items() if nameOf(codec) != EVENTS})


def _withEvents(stream: AudioStream) -> AudioStream:
    """Of each clock rate of its codecs, and of no other."""
    stream = _withoutEvents(stream)
    formats, attributes = list(stream.formats), list(stream.attributes)
    numbers = map(str, (101, *range(100, 95, -1), *range(102, 128)))
    free = [number for number in numbers if number not in formats]
    rates = dict.fromkeys(rate for rate in map(clockRate, stream.codecs.values()) if rate)
    for number, rate in zip(free, rates, strict=False):
        formats.append(number)
        attributes += [("rtpmap", f"{number} {EVENTS}/{rate}"), ("fmtp", f"{number} 0-15")]
    return AudioStream(tuple(formats), tuple(attributes), stream.direction)


def hasEvents(one: AudioStream, other: AudioStream) -> bool:
    """Do both descriptions have the same events?"""
    both = set(one.codecs.values()) & set(other.codecs.values())
    return any(nameOf(codec) == EVENTS for codec in both)


ANY = CodecChoice()
"""Everything may cross."""

__all__ = ["ANY", "CodecChoice", "hasEvents"]
