"""Which number means which codec on one leg: it stays so for the whole session (RFC 3264 section 8.3.2)."""

from __future__ import annotations

from skypetrunk.core.audio_stream import AudioStream
from skypetrunk.wire.codec import STATIC

DYNAMIC = range(96, 128)
"""Numbers that mean what a description says (RFC 3551 section 3)."""


class PayloadTypes:
    """The numbers in our descriptions of one session."""

    __slots__ = ("_means",)

    def __init__(self) -> None:
        self._means: dict[str, str] = {}

    def offered(self, stream: AudioStream) -> dict[str, str]:
        """
        The numbers to offer C{stream} with.  A codec keeps the number that it had here; another number is
        made up only where that of C{stream} has meant something else here.  Where there is none left the
        codec is not among them.
        """
        codecs, means = stream.codecs, self._means
        if not means:
            means.update(codecs)
            return {number: number for number in codecs}
        found = {number: number for number, codec in codecs.items() if means.get(number) == codec}
        for number, codec in codecs.items():
            if number in found:
                continue
            before = [n for n, each in means.items() if each == codec and n not in found.values()]
            if before:
                found[number] = before[0]
            elif number not in means and number not in found.values():
                found[number] = number
        for number in codecs:
            if number not in found:
                unused = self._unused({*found.values(), *codecs})
                if unused is not None:
                    found[number] = unused
        means.update((to, codecs[number]) for number, to in found.items())
        return {number: found[number] for number in codecs if number in found}

    def answered(self, stream: AudioStream) -> None:
        """C{stream} is our answer: its numbers are those of the peer's offer."""
        self._means.update(stream.codecs)

    def _unused(self, taken: set[str]) -> str | None:
        """
        One that never meant anything here; where there is none left, one that means nothing now.  A peer may
        have named all 128.
        """
        free = [str(number) for number in reversed(DYNAMIC) if str(number) not in taken]
        fresh = [number for number in free if number not in self._means]
        spare = [str(number) for number in range(64) if number not in STATIC and str(number) not in taken]
        return next(iter(fresh or free or spare), None)


__all__ = ["PayloadTypes"]
