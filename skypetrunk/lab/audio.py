"""
Audio for the lab: G.711, tones, WAV files, and the recognition of tones.

8,000 samples each second, signed 16 bit; a frame is 20 ms, 160 samples.  Tones at
multiples of 50 Hz are exactly orthogonal over a frame, so that one never looks like another.
"""

from __future__ import annotations

import math
import wave
from array import array
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

__all__ = [
    "Codec",
    "FRAME",
    "PCMA",
    "PCMU",
    "RATE",
    "ToneReport",
    "Tone",
    "examine",
    "goertzel",
    "writeWAV",
]

RATE = 8000
FRAME = 160

_QUIET = 100.0
"""Mean square below which a frame counts as silence (about -50 dB of full scale)."""


def _aLawDecoded(octet: int) -> int:
    # ITU-T G.711 table 1a: even bits are inverted, three bits of exponent, four of mantissa
    octet ^= 0x55
    exponent, mantissa = octet >> 4 & 7, octet & 15
    value = (mantissa << 4) + 8 if exponent == 0 else ((mantissa << 4) + 0x108) << exponent - 1
    return value if octet & 0x80 else -value


def _muLawDecoded(octet: int) -> int:
    # ITU-T G.711 table 2a: all bits are inverted, a bias of 33 in 14 bits
    octet ^= 0xFF
    value = (((octet & 15) << 3) + 0x84 << (octet >> 4 & 7)) - 0x84
    return -value if octet & 0x80 else value


class Codec:
    """
    One law of G.711.

    @ivar name: as in C{a=rtpmap}.
    @ivar payloadType: the static one (RFC 3551 section 6).
    @ivar silence: the octet of an idle line.
    """

    def __init__(self, name: str, payloadType: int, decoded: Sequence[int]) -> None:
        self.name = name
        self.payloadType = payloadType
        self._decoded = tuple(decoded)
        levels = sorted((value, octet) for octet, value in enumerate(self._decoded))
        self._octets = bytes(octet for _, octet in levels)
        self._borders = [(one + two) / 2 for (one, _), (two, _) in pairwise(levels)]
        self.silence = self.encode([0])[0]

    def encode(self, samples: Sequence[int]) -> bytes:
        """One octet for each sample: the one whose level is nearest."""
        octets, borders = self._octets, self._borders
        return bytes([octets[bisect(borders, sample)] for sample in samples])

    def decode(self, octets: bytes) -> array[int]:
        """One sample for each octet."""
        table = self._decoded
        return array("h", [table[octet] for octet in octets])


PCMA = Codec("PCMA", 8, [_aLawDecoded(octet) for octet in range(256)])
PCMU = Codec("PCMU", 0, [_muLawDecoded(octet) for octet in range(256)])


class Tone:
    """
    An endless sine, cut into frames.

    @ivar frequency: Hz, a multiple of 50: every frame then is the same.
    """

    def __init__(self, frequency: int, amplitude: int = 8000) -> None:
        if frequency % 50 or not 0 < frequency < RATE // 2:
            raise ValueError(f"a tone wants a multiple of 50 Hz below {RATE // 2}, not {frequency}")
        self.frequency = frequency
        step = 2 * math.pi * frequency / RATE
        self.samples = array("h", [round(amplitude * math.sin(step * at)) for at in range(FRAME)])
        self._frames: dict[int, bytes] = {}

    def frame(self, codec: Codec) -> bytes:
        """The 160 octets of any of its frames."""
        if codec.payloadType not in self._frames:
            self._frames[codec.payloadType] = codec.encode(self.samples)
        return self._frames[codec.payloadType]


def goertzel(samples: Sequence[int], frequency: float) -> float:
    """The part of C{samples}' mean square that is at C{frequency} (Hz)."""
    coefficient = 2 * math.cos(2 * math.pi * frequency / RATE)
    one = two = 0.0
    for sample in samples:
        one, two = sample + coefficient * one - two, one
    return (one * one + two * two - coefficient * one * two) * 2 / (len(samples) ** 2)


@dataclass(frozen=True, slots=True)
class ToneReport:
    """
    What a recording holds, in whole frames.

    @ivar frames: frames examined.
    @ivar right: frames that hold the wanted tone and no other of the given ones above -30 dB of it.
    @ivar foreign: frames that hold one of the others.
    @ivar first: number of the first right frame, or C{None}.
    """

    frequency: int
    frames: int
    right: int
    foreign: int
    first: int | None

    @property
    def share(self) -> float:
        """Right frames, of those from the first right one on; 0.0 when there is none."""
        return 0.0 if self.first is None else self.right / (self.frames - self.first)

    @property
    def recognised(self) -> bool:
        """At least half a second of the tone, 98 % of what follows its start, and nothing foreign."""
        return self.right >= 25 and self.share >= 0.98 and self.foreign == 0


def examine(samples: Sequence[int], frequency: int, others: Sequence[int] = ()) -> ToneReport:
    """
    Look for a tone, frame by frame.

    @param others: tones that must not be heard.
    """
    frames = right = foreign = 0
    first = None
    for start in range(0, len(samples) - FRAME + 1, FRAME):
        frame = samples[start : start + FRAME]
        energy = sum(sample * sample for sample in frame) / FRAME
        wanted = goertzel(frame, frequency)
        limit = max(wanted, _QUIET) / 1000
        strange = energy > _QUIET and any(goertzel(frame, other) > limit for other in others)
        foreign += strange
        # G.711 adds noise some 38 dB below; a frame with a gap or a jump in it loses far more
        if energy > _QUIET and wanted > 0.9 * energy and not strange:
            right += 1
            first = frames if first is None else first
        frames += 1
    return ToneReport(frequency, frames, right, foreign, first)


def writeWAV(path: Path, samples: Sequence[int]) -> None:
    """One channel of 16-bit samples at 8,000 each second."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        # wave writes little-endian data and swaps octets itself where the machine needs it
        file.writeframes(array("h", samples).tobytes())
