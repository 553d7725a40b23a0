"""
New sources on the plain side, on probation (RFC 3550 A.1): anybody at the PBX's address can send what looks
like RTP, and each such packet would turn the stream that the carrier hears.
"""

from __future__ import annotations

from typing import NamedTuple

from skypetrunk.media.statistics import SOURCES, Counters
from skypetrunk.wire.rtp import RTPHeader


class _Held(NamedTuple):
    """A packet that the next one has to prove."""

    packet: bytes
    header: RTPHeader
    time: float


class Probation:
    """
    Packets of new sources, and of known ones that jump, wait for the next one in sequence, and are taken
    together with it: nothing of a source that goes on is lost.
    """

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: dict[int, _Held] = {}

    def proven(
        self, packet: bytes, header: RTPHeader, now: float, received: Counters
    ) -> tuple[_Held, ...]:
        """
        A packet came that does not follow what its source sent before.

        @param received: where one that nothing followed is counted as refused: C{ssrc}, of a new source, or
            C{sequence}, of a known one.
        @return: what may be taken now, in order.
        """
        sequence, source = header[4], header[6]
        came = _Held(packet, header, now)
        before = self._held.pop(source, None)
        if before is not None and (sequence - before.header[4]) & 0xFFFF == 1:
            return before, came
        if before is not None:
            _drop(source, received)
        elif len(self._held) >= SOURCES:
            oldest = next(iter(self._held))
            del self._held[oldest]
            _drop(oldest, received)
        self._held[source] = came
        return ()

    def end(self, received: Counters) -> None:
        """Nothing follows any more; C{received} as for L{proven}."""
        for source in self._held:
            _drop(source, received)
        self._held.clear()


def _drop(source: int, received: Counters) -> None:
    received.refuse("sequence" if received.reception.knows(source) else "ssrc")


__all__ = ["Probation"]
