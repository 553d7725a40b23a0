"""
New sources on the plain side, on probation (RFC 3550 A.1): anybody at the PBX's address can send what looks
like RTP, and each such packet would turn the stream that the carrier hears.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from skypetrunk.media.counters import Counters
from skypetrunk.media.statistics import SOURCES
from skypetrunk.wire.rtp import RTPHeader


class _Held(NamedTuple):
    """A packet that those after it have to prove."""

    packet: bytes
    header: RTPHeader
    time: float


MOST = 10
"""Packets of one source that wait, at most."""

STRAYS = 5
"""So many packets that nothing followed, in a second: no source is taken as new while another is heard."""

SILENCE = 0.1
"""Seconds after which it is heard no more."""


class Probation:
    """
    Packets of new sources, and of known ones that jump, wait for the next one in sequence, and are taken
    together with it: nothing of a source that goes on is lost.

    @ivar taken: when the last packet was that needed no proof, in seconds.
    """

    __slots__ = ("_held", "_strays", "taken")

    def __init__(self) -> None:
        self.taken = 0.0
        self._held: dict[int, list[_Held]] = {}
        # When the last ones were.
        self._strays: tuple[float, ...] = ()

    def proven(self, packet: bytes, header: RTPHeader, now: float, received: Counters) -> Sequence[_Held]:
        """
        A packet came that does not follow what its source sent before.

        @param received: where those that nothing followed are counted as refused: C{ssrc}, of a new source,
            or C{sequence}, of a known one.
        @return: what may be taken now, in order.
        """
        sequence, source = header[4], header[6]
        waiting = self._held.pop(source, [])
        if waiting and (sequence - waiting[-1].header[4]) & 0xFFFF != 1:
            self._drop(source, waiting, now, received)
            waiting = []
        elif not waiting and len(self._held) >= SOURCES:
            oldest = next(iter(self._held))
            self._drop(oldest, self._held.pop(oldest), now, received)
        waiting.append(_Held(packet, header, now))
        if len(waiting) > 1 and (now - self.taken >= SILENCE or not self._flooded(now)):
            return waiting
        if len(waiting) > MOST:
            self._drop(source, waiting[:1], now, received)
            del waiting[0]
        self._held[source] = waiting
        return ()

    def _flooded(self, now: float) -> bool:
        return len(self._strays) == STRAYS and now - self._strays[0] < 1.0

    def _drop(self, source: int, packets: Sequence[_Held], now: float, received: Counters) -> None:
        received.refuse("sequence" if received.reception.knows(source) else "ssrc", len(packets))
        self._strays = (*self._strays, *[now] * len(packets))[-STRAYS:]

    def end(self, now: float, received: Counters) -> None:
        """Nothing follows any more; C{received} as for L{proven}."""
        for source, waiting in self._held.items():
            self._drop(source, waiting, now, received)
        self._held.clear()


__all__ = ["Probation"]
