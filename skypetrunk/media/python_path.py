"""
What the compiled helper does, in Python: F<native/settled.c>, line by line.  It stands for many functions
of the legs, of which each does a little for any packet; here is the little that a usual one needs.
"""

from __future__ import annotations

from errno import EDESTADDRREQ
from struct import Struct
from typing import TYPE_CHECKING, Any

from skypetrunk.media.srtp import DATAGRAM_LIMIT
from skypetrunk.media.statistics import JUMP
from skypetrunk.media.stream import MAX_TIMESTAMP_STEP, REORDERING

if TYPE_CHECKING:
    import socket

    from skypetrunk.media.source import Address

TAG = 16
"""Octets of the longest tag."""

_HEADER = Struct("!BBHII")
_WRITTEN = Struct("!BHII")
_SHORT = Struct("!H")


class PythonPath:
    """
    What is known of a direction.  The attributes are those of the helper's C{struct settled_path}, and its
    comments say what they are.

    @ivar transform: protects or unprotects what is in its memory; see L{InPlaceGuard.inPlace}.
    """

    __slots__ = (
        *("_send", "_sendTo", "arrival", "closed", "connected", "destination", "jitter", "octets", "offset"),
        *("own_payload_type", "own_sequence", "own_ssrc", "packets", "payload", "payload_type", "recent"),
        *("secure", "sent", "sent_octets", "sequence", "show", "source", "ssrc", "tick", "time", "timestamp"),
        *("transform", "transit", "unsent", "worst"),
    )

    def __init__(self, arrival: int, departure: socket.socket) -> None:
        self.arrival = arrival
        self._send, self._sendTo = departure.send, departure.sendto
        self.source: Address | None = None
        self.destination: Any = None
        self.secure = self.connected = self.show = False
        self.transform: tuple[memoryview, Any, Any, Any, Any]
        self.ssrc = self.timestamp = self.sequence = self.payload_type = self.own_payload_type = 0
        self.own_ssrc = self.offset = self.own_sequence = 0
        self.tick = self.transit = self.jitter = self.worst = self.time = 0.0
        self.recent = [-1] * REORDERING
        self.packets = self.octets = self.payload = 0
        self.sent = self.sent_octets = self.unsent = self.closed = 0

    def relay(self, packet: bytes, address: Address, now: float) -> bytes | None:
        """
        Do all that is to be done with a packet.

        @return: what is to L{leave}; C{None}: it was not usual, and nothing was done.
        """
        length = len(packet)
        if address[:2] != self.source or length < 12 or length > DATAGRAM_LIMIT:
            return None
        first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(packet)
        if second & 0x7F != self.payload_type or first >> 6 != 2 or 192 <= second <= 223:
            return None
        header = _headerLength(packet, first) if first & 0x1F else 12
        if not header or length < header or (self.secure and length < header + TAG):
            return None
        if ssrc != self.ssrc or sequence != (self.sequence + 1) & 0xFFFF:
            return None
        if (timestamp - self.timestamp) & 0xFFFFFFFF > MAX_TIMESTAMP_STEP:
            return None
        transit = now - timestamp * self.tick
        apart = transit - self.transit if transit > self.transit else self.transit - transit
        if not apart <= JUMP:
            return None

        view, size, function, context, memory = self.transform
        view[:length] = packet
        number = (self.own_sequence + 1) & 0xFFFF
        if not self.secure:
            stamp = (timestamp + self.offset) & 0xFFFFFFFF
            _WRITTEN.pack_into(view, 1, second & 0x80 | self.own_payload_type, number, stamp, self.own_ssrc)
        size[0] = length
        if function(context, memory, size):
            return None
        if self.secure:
            view[1] = second & 0x80 | self.own_payload_type  # not before: the tag covers it
        self.sequence, self.own_sequence, self.timestamp = sequence, number, timestamp
        self.recent[sequence % REORDERING] = sequence << 32 | timestamp
        self.time, self.transit = now, transit
        self.jitter = jitter = self.jitter + (apart - self.jitter) / 16
        if jitter > self.worst:
            self.worst = jitter
        self.packets += 1
        self.octets += length
        self.payload += length - header
        return bytes(view[: size[0]])

    def leave(self, packet: bytes, again: bool = True) -> None:
        """Send what L{relay} has given."""
        try:
            if self.connected:
                self._send(packet)
            else:
                self._sendTo(packet, self.destination)
        except OSError as error:
            if again and isinstance(error, ConnectionRefusedError):
                self.closed += 1
                self.leave(packet, again=False)
            elif self.connected and error.errno == EDESTADDRREQ:
                self.connected = False  # another process has the socket, too
                self.leave(packet, again)
            else:
                self.unsent += 1
        else:
            self.sent += 1
            self.sent_octets += len(packet)


def _headerLength(packet: bytes, first: int) -> int:
    """Octets before the payload; 0: they are not all there."""
    header = 12 + 4 * (first & 0x0F)
    if first & 0x10:
        if len(packet) < header + 4:
            return 0
        header += 4 + 4 * int(_SHORT.unpack_from(packet, header + 2)[0])
    return header


__all__ = ["PythonPath"]
