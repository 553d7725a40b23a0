"""What one side of a call said, each packet at its place in time."""

from __future__ import annotations

from array import array

from skypetrunk.wire.rtp import parseRTP

RATE = 8000
"""Samples in a second."""

MOST_DRIFT = RATE
"""Samples between a packet's place by its time stamp and by the time when it came: more is a jump."""


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
        # Where the last packet was put, what it counts, and whose it was.
        self._place = 0
        self._timestamp = 0
        self._source: int | None = None

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
        if header.ssrc != self._source or abs(place - now) > MOST_DRIFT:
            # Another source, as music on hold: it begins to count anywhere.
            place = now
        self._source, self._timestamp, self._place = header.ssrc, header.timestamp, place
        self._keep(place, array("h", [law[octet] for octet in payload]))

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
