"""Keys pressed, as RTP carries them (RFC 4733 section 2): one event in many packets, read once."""

from __future__ import annotations

from struct import Struct

from skypetrunk.errors import PacketRefused

KEYS = "0123456789*#ABCD"
"""By event code (RFC 4733 section 3.2); what is beyond them is no key."""

_EVENT = Struct("!BBH")
_END = 0x80


class KeyReader:
    """
    Turns the packets of events into keys.

    A key is told when its event ends.  All packets of an event have one time stamp, and the last one comes
    three times (section 2.5.1.4), so the time stamp tells repetitions.  Where all of those are lost, the
    next event ends the one before.
    """

    def __init__(self) -> None:
        self._event: tuple[int, int] | None = None
        self._key = ""

    def received(self, ssrc: int, timestamp: int, payload: bytes) -> str:
        """
        One packet.

        @param timestamp: of its header, 32 bits.
        @return: the keys that were pressed: none, one, or two where the end of the first was lost.
        @raise PacketRefused: C{malformed}: too short.
        """
        if len(payload) < _EVENT.size:
            raise PacketRefused("malformed")
        code, flags, _ = _EVENT.unpack_from(payload)
        keys = ""
        if self._event != (ssrc, timestamp):
            if self._event is not None and ssrc == self._event[0] and self._late(timestamp):
                return ""
            keys, self._event = self._key, (ssrc, timestamp)
            self._key = KEYS[code] if code < len(KEYS) else ""
        if flags & _END:
            keys, self._key = keys + self._key, ""
        return keys

    def _late(self, timestamp: int) -> bool:
        """Is it of an event before the last one?"""
        assert self._event is not None
        return (timestamp - self._event[1]) & 0xFFFFFFFF >= 0x80000000


__all__ = ["KEYS", "KeyReader"]
