"""
Is it the right tone?  Judged in frames of 20 ms, as people hear it, in plain Python.

Tones are multiples of 50 Hz, so that a frame holds whole periods and leaks nothing.
"""

from __future__ import annotations

import math
import struct
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

RATE = 8000
FRAME = RATE // 50
#: Below this mean square a frame is silence; full scale is about 5e8, a telephone tone 1e6 to 1e8.
_SILENCE = 1000.0


@dataclass(frozen=True)
class Verdict:
    """
    What a recording holds.

    @ivar frames: frames of 20 ms, without the incomplete last one.
    @ivar right: those in which the wanted tone is there and all else is at least 30 dB below it.
    @ivar first: seconds to the first right frame; infinite when there is none.
    @ivar worst: of the right frames, the strongest "all else", in dB relative to the tone.
    """

    frames: int
    right: int
    first: float
    worst: float

    @property
    def share(self) -> float:
        """Right frames of all frames."""
        return self.right / self.frames if self.frames else 0.0

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return self.frames / 50


def judge(samples: Sequence[int], tone: int) -> Verdict:
    """Judge linear samples at 8000 Hz."""
    assert tone % 50 == 0, "a tone that does not fit a frame"
    step = 2 * math.pi * tone / RATE
    cosine = [math.cos(step * n) for n in range(FRAME)]
    sine = [math.sin(step * n) for n in range(FRAME)]
    frames, right, first, worst = len(samples) // FRAME, 0, math.inf, -math.inf
    for number in range(frames):
        frame = samples[number * FRAME : (number + 1) * FRAME]
        energy = float(sum(value * value for value in frame))
        real = sum(map(float.__mul__, map(float, frame), cosine))
        imaginary = sum(map(float.__mul__, map(float, frame), sine))
        power = (real * real + imaginary * imaginary) * 2 / FRAME
        if power / FRAME < _SILENCE:
            continue
        rest = 10 * math.log10(max(energy - power, 1e-9) / power)
        if rest <= -30:
            right += 1
            worst = max(worst, rest)
            first = min(first, number / 50)
    return Verdict(frames, right, first, worst)


def readWAV(path: Path) -> list[int]:
    """
    Samples of a mono WAV file, at 8000 Hz and 16 bits.  A recorder that was ended leaves zero
    lengths in the header, so the file's own length counts.
    """
    data = path.read_bytes()
    start = data.find(b"fmt ")
    kind, channels, rate, _, _, bits = struct.unpack("<HHIIHH", data[start + 8 : start + 24])
    assert (kind, channels, rate, bits) == (1, 1, RATE, 16), f"{path.name}: {(kind, channels, rate, bits)}"
    raw = data[data.find(b"data") + 8 :]
    return [value for (value,) in struct.iter_unpack("<h", raw[: len(raw) // 2 * 2])]


def _alaw(octet: int) -> int:
    octet ^= 0x55
    exponent, mantissa = octet >> 4 & 7, octet & 15
    value = (mantissa << 4) + 8
    if exponent:
        value = (value + 0x100) << (exponent - 1)
    return value if octet & 0x80 else -value


def _mulaw(octet: int) -> int:
    octet = ~octet & 0xFF
    value = (((octet & 15) << 3) + 0x84 << (octet >> 4 & 7)) - 0x84
    return -value if octet & 0x80 else value


_ALAW = [_alaw(octet) for octet in range(256)]
_MULAW = [_mulaw(octet) for octet in range(256)]


def decodeG711(payload: bytes, payloadType: int = 8) -> list[int]:
    """Linear samples of G.711, A-law (8) or mu-law (0)."""
    table = {8: _ALAW, 0: _MULAW}[payloadType]
    return [table[octet] for octet in payload]


def encodeALaw(samples: Sequence[int]) -> bytes:
    """G.711 A-law of linear samples, by looking for the nearest value."""
    nearest = sorted((value, octet) for octet, value in enumerate(_ALAW))
    found = []
    for sample in samples:
        low, high = 0, len(nearest) - 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if nearest[middle][0] <= sample else (low, middle)
        found.append(min(nearest[low], nearest[high], key=lambda pair: abs(pair[0] - sample))[1])
    return bytes(found)


def sine(tone: int, seconds: float, amplitude: int = 8000) -> list[int]:
    """A tone as linear samples."""
    step = 2 * math.pi * tone / RATE
    return [int(amplitude * math.sin(step * n)) for n in range(int(RATE * seconds))]


def sineALaw(tone: int, seconds: float, amplitude: int = 8000) -> bytes:
    """A tone in G.711 A-law."""
    return encodeALaw(sine(tone, seconds, amplitude))


def writeWAV(path: Path, samples: Sequence[int]) -> None:
    """A mono WAV file, at 8000 Hz and 16 bits."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))
