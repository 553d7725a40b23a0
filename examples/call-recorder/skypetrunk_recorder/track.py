"""What one side of a call said, each packet at its place in time."""

from __future__ import annotations

from array import array

from skypetrunk.wire.rtp import parseRTP

RATE = 8000
"""Samples in a second."""

MOST_LATE = RATE
"""Samples between a packet's place by its time stamp and by the time when it came: more is a jump."""

APART = RATE // 50
"""Less than that each side may be beside its true place: two sides are in step within twice that."""

PAUSE = RATE // 10
"""So long without a packet, and time stamps may have stood still meanwhile."""

LOOKED_AT = 50
"""Packets all of which are late: it is not the network, which has let the first one wait, but their clock."""


def _aLaw(octet: int) -> int:
    """ITU-T G.711 table 1a: every other bit is inverted; sign, exponent and four bits of the sample."""
    octet ^= 0x55
    exponent, mantissa = octet >> 4 & 7, octet & 15
    size = (mantissa << 4) + 8 if exponent == 0 else (mantissa << 4) + 264 << exponent - 1
    return size if octet & 0x80 else -size


def _muLaw(octet: int) -> int:
    """ITU-T G.711 table 2a: all bits are inverted, and a bias is taken off."""
    octet ^= 0xFF
    size = ((octet & 15) << 3) + 132 << (octet >> 4 & 7)
    return 132 - size if octet & 0x80 else size - 132


_SAMPLES = {0: [_muLaw(octet) for octet in range(256)], 8: [_aLaw(octet) for octet in range(256)]}
"""By payload type (RFC 3551 section 6)."""


class Track:
    """
    Samples of 16 bits that were not taken yet.

    @ivar end: where the last of them ends, in samples since the beginning of the call.
    @ivar others: packets that were no G.711.
    """

    def __init__(self) -> None:
        self.end = 0
        self.others = 0
        self._start = 0
        self._samples = array("h")
        # Where the last packet was put, what it counts, whose it was, and when it came.
        self._place = 0
        self._timestamp = 0
        self._source: int | None = None
        self._came = 0
        # Where what comes without a break began, and where the sound before it ends.
        self._run = self._free = 0
        # How late the last packets were, at least, and how many they are.
        self._late = self._packets = 0

    def put(self, packet: bytes, now: int) -> None:
        """
        Keep the sound of an RTP packet.

        @param now: samples since the beginning of the call.
        """
        header = parseRTP(packet)
        payload = packet[header.headerLength :]
        if header.padding and payload:
            payload = payload[: -payload[-1]]
        law = _SAMPLES.get(header.payloadType)
        if law is None:
            self.others += 1
            return
        # Time stamps have 32 bits; a late packet steps back.
        step = (header.timestamp - self._timestamp + 0x80000000) % 0x100000000 - 0x80000000
        place = self._place + step
        late, paused = now - place, now - self._came > PAUSE
        if header.ssrc != self._source or abs(late) > MOST_LATE or (paused and late > APART):
            # Another source, as music on hold: it begins to count anywhere.
            place = self._begin(now)
        elif late < -APART:
            # None comes before it is sent: those before were late.
            self._moveBack(-late)
            place = now
        elif self._isAlwaysLate(late):
            place = self._begin(place + self._late)
        self._source, self._timestamp, self._place, self._came = header.ssrc, header.timestamp, place, now
        self._keep(place, array("h", [law[octet] for octet in payload]))

    def _begin(self, place: int) -> int:
        self._run, self._free, self._packets = place, self.end, 0
        return place

    def _isAlwaysLate(self, late: int) -> bool:
        self._late = min(self._late, late) if self._packets else late
        self._packets += 1
        if self._packets < LOOKED_AT:
            return False
        self._packets = 0
        return self._late > APART

    def _moveBack(self, count: int) -> None:
        """What came without a break, as far as there is silence before it."""
        count = max(0, min(count, self._run - max(self._free, self._start)))
        self._run -= count
        at = self._run - self._start
        del self._samples[at : at + count]
        self.end -= count
        self._packets = 0

    def _keep(self, place: int, samples: array[int]) -> None:
        at = place - self._start
        if at < 0:
            # What was taken stays as it is.
            samples, at = samples[-at:], 0
        missing = at + len(samples) - len(self._samples)
        if missing > 0:
            self._samples.frombytes(bytes(2 * missing))
        self._samples[at : at + len(samples)] = samples
        self.end = self._start + len(self._samples)

    def skip(self, end: int) -> None:
        """There is silence until C{end}, after all that was taken."""
        self._start = self.end = end

    def take(self, end: int) -> array[int]:
        """All until C{end}, silence where nothing came."""
        count = end - self._start
        taken = self._samples[:count]
        taken.frombytes(bytes(2 * (count - len(taken))))
        del self._samples[:count]
        self._start = end
        self.end = max(self.end, end)
        return taken


__all__ = ["RATE", "Track"]
