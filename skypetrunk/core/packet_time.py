"""Packet times of the two sides of a call (RFC 8866 section 6.4): told, and left as they are."""

from __future__ import annotations

from functools import lru_cache

from skypetrunk.core.audio_stream import REMEMBERED, AudioStream


def wish(stream: AudioStream, name: str = "ptime") -> int | None:
    """
    Milliseconds of sound that who wrote C{stream} wants in a packet; C{None} if it does not say.

    @param name: C{"maxptime"} for the most that it takes.
    """
    for each, value in stream.attributes:
        if each == name:
            text = (value or "").strip()
            return int(text) if text.isascii() and text.isdecimal() and len(text) <= 4 else None
    return None


@lru_cache(maxsize=REMEMBERED)
def difference(one: AudioStream, other: AudioStream) -> str:
    """How the wishes of two sides differ, in words; empty if they do not, or one of them has none."""
    wishes = wish(one), wish(other)
    if None not in wishes and wishes[0] != wishes[1]:
        return f"packets of {wishes[0]} and of {wishes[1]} ms are asked for"
    for asking, taking in ((wish(one), wish(other, "maxptime")), (wish(other), wish(one, "maxptime"))):
        if asking is not None and taking is not None and asking > taking:
            return f"packets of {asking} ms are asked for, and no more than {taking} ms are taken"
    return ""


__all__ = ["difference", "wish"]
