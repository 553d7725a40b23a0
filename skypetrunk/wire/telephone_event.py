"""Keys pressed, as RTP carries them (RFC 4733 section 2): one event in many packets, read once."""

from __future__ import annotations

from struct import Struct

from skypetrunk.errors import PacketRefused

KEYS = "0123456789*#ABCD"
"""By event code (RFC 4733 section 3.2); what is beyond them is no key."""

_EVENT = Struct("!BBH")
_END = 0x80
_LONGEST = 0xFFFF


BOTH = 2.0
"""Seconds between a key as an event and the same in INFO, at most, of telephones that send both."""

LATEST = 96_000
"""Units of the time stamp by which a packet may come late: two seconds at 48 kHz."""


class KeyReader:
    """
    Turns the packets of events into keys.

    A key is told when its event ends.  All packets of an event have one time stamp, and the last one comes
    three times (section 2.5.1.4), so the time stamp tells repetitions.  Where all of those are lost, the
    next event ends the one before.

    A key that is held for longer than the duration has bits for, 1.4 s at 48 kHz, comes in segments, each
    with the time stamp of its own beginning, and only the last one has an end (section 2.5.1.3).
    """

    def __init__(self) -> None:
        self._event: tuple[int, int] | None = None
        self._key = ""
        self._lasts = 0

    def received(self, ssrc: int, timestamp: int, payload: bytes) -> str:
        """
        One packet.

        @param timestamp: of its header, 32 bits.
        @return: the keys that were pressed: none, one, or two where the end of the first was lost.
        @raise PacketRefused: C{malformed}: too short.
        """
        if len(payload) < _EVENT.size:
            raise PacketRefused("malformed")
        code, flags, lasts = _EVENT.unpack_from(payload)
        keys, key = "", KEYS[code] if code < len(KEYS) else ""
        if self._event != (ssrc, timestamp):
            if self._event is not None and ssrc == self._event[0] and self._late(timestamp):
                return ""
            if key != self._key or not self._goesOn(ssrc, timestamp):
                keys = self._key
            self._event, self._key, self._lasts = (ssrc, timestamp), key, 0
        self._lasts = max(self._lasts, lasts)
        if flags & _END:
            keys, self._key = keys + self._key, ""
        return keys

    def _goesOn(self, ssrc: int, timestamp: int) -> bool:
        """Does a segment begin where the last one ended, or had to end, if its last packets are lost?"""
        before = self._event
        if before is None or before[0] != ssrc:
            return False
        return (timestamp - before[1]) & 0xFFFFFFFF in (self._lasts, _LONGEST)

    def _late(self, timestamp: int) -> bool:
        """Is it of an event before the last one?  What is further behind is of a source that begins again."""
        assert self._event is not None
        return 0 < (self._event[1] - timestamp) & 0xFFFFFFFF <= LATEST


__all__ = ["BOTH", "KEYS", "KeyReader"]
