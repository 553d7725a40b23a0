"""A WAV file as frames of G.711 (ITU-T G.711, tables 1a and 2a)."""

from __future__ import annotations

import sys
import wave
from array import array
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

FRAME = 160
"""Samples of 20 ms."""

SILENCE = {"PCMA": 0xD5, "PCMU": 0xFF}
"""The octet of an idle line."""


def aLaw(sample: int) -> int:
    """One sample of 16 bits: sign, exponent and four bits of it, every other bit inverted."""
    sign, magnitude = (0x80, sample) if sample >= 0 else (0, -sample - 1)
    exponent = max(magnitude.bit_length() - 8, 0)
    mantissa = magnitude >> max(exponent + 3, 4) & 0x0F
    return (sign | exponent << 4 | mantissa) ^ 0x55


def muLaw(sample: int) -> int:
    """One sample of 16 bits: as A-law, with a bias instead of a straight first piece, all bits inverted."""
    sign, magnitude = (0, sample) if sample >= 0 else (0x80, -sample)
    biased = min(magnitude, 32635) + 132
    exponent = biased.bit_length() - 8
    return (sign | exponent << 4 | (biased >> exponent + 3 & 0x0F)) ^ 0xFF


_LAWS: dict[str, Callable[[int], int]] = {"PCMA": aLaw, "PCMU": muLaw}


def frames(samples: Sequence[int], codec: str) -> Sequence[bytes]:
    """The frames of C{samples}; the last one is filled up with silence."""
    law = _LAWS[codec]
    octets = bytes(map(law, samples))
    octets += bytes([SILENCE[codec]]) * (-len(octets) % FRAME)
    return [octets[start : start + FRAME] for start in range(0, len(octets), FRAME)]


def readWAV(path: Path) -> Sequence[int]:
    """
    The samples of a file.

    @raise ValueError: it is not what is wanted, or nothing.
    """
    try:
        with wave.open(str(path), "rb") as file:
            if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, 8000):
                raise ValueError("wanted one channel of 16 bits, 8000 samples in a second")
            samples = array("h", file.readframes(file.getnframes()))
    except (OSError, EOFError, wave.Error) as error:
        raise ValueError(f"cannot be read: {error}") from error
    if not samples:
        raise ValueError("holds no sound")
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def writeWAV(path: Path, samples: Iterable[int]) -> None:
    """The same the other way."""
    data = array("h", samples)
    if sys.byteorder == "big":
        data.byteswap()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(data.tobytes())


__all__ = ["FRAME", "frames", "readWAV", "writeWAV"]
