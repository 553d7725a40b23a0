"""
What the compiled helper does, F<native/settled.c>, in Python.  It stands for many functions of the legs, of
which each does a little for any packet; here is the little that a usual one needs.
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

_HEAD = Struct("!QI")
"""All up to the time stamp as one number, and the SSRC."""

_SHORT = Struct("!H")

_MARKER = 1 << 55
_SEQUENCE = 1 << 32
_WORD = 0xFFFFFFFF


class PythonPath:
    """
    What is known of a direction.  The attributes are those of the helper's C{struct settled_path}, and its
    comments say what they are.

    Nearly all packets are one run: each is like the one before, but for its sequence number, which is the
    next, and its time stamp, which is as much later as that one's was.  Of those one number is compared and
    kept, and L{count} tells the others from it.

    @ivar transform: protects or unprotects what is in its memory; see L{InPlaceGuard.inPlace}.
    @ivar tag: octets that are added or taken away by that.
    """

    __slots__ = (
        *("_begun", "_expected", "_header", "_least", "_octets", "_period", "_send", "_sendTo", "_shift"),
        *("_step", "_until", "arrival", "closed", "connected", "destination", "jitter", "octets", "offset"),
        *("own_payload_type", "own_sequence", "own_ssrc", "packets", "payload", "payload_type", "recent"),
        *("secure", "sent", "sent_octets", "sequence", "show", "source", "ssrc", "tag", "tick", "time"),
        *("timestamp", "transform", "transit", "unsent", "worst"),
    )

    def __init__(self, arrival: int, departure: socket.socket) -> None:
        self.arrival = arrival
        self._send, self._sendTo = departure.send, departure.sendto
        self.source: Address | None = None
        self.destination: Any = None
        self.secure = self.connected = self.show = False
        self.transform: tuple[Any, Any, Any, Any, Any]
        self.tag = 0
        self.ssrc = self.timestamp = self.sequence = self.payload_type = self.own_payload_type = 0
        self.own_ssrc = self.offset = self.own_sequence = 0
        self.tick = self.transit = self.jitter = self.worst = self.time = 0.0
        self.recent = [-1] * REORDERING
        self.packets = self.octets = self.payload = 0
        self.sent = self.sent_octets = self.unsent = self.closed = 0
        # The number of the run's next packet, of the first that is not counted, and where the run ends.
        self._expected = self._begun = self._until = 0
        # From packet to packet: of the number, and in seconds; and from what comes to what leaves.
        self._step, self._period, self._shift = _SEQUENCE, 0.0, 0
        # Octets: of those that are not counted, of a header, and of the shortest packet.
        self._octets, self._header, self._least = 0, 12, 12

    def relay(self, packet: bytes, address: Address, now: float) -> bytes | None:
        """
        Do all that is to be done with a packet.

        @return: what is to L{leave}; C{None}: it was not usual, and nothing was done.
        """
        length = len(packet)
        if not self._least <= length <= DATAGRAM_LIMIT:
            return None
        if address is not self.source and address[:2] != self.source:
            return None
        head, ssrc = _HEAD.unpack_from(packet)
        if ssrc != self.ssrc:
            return None
        if (head != self._expected or head >= self._until) and not self._begin(packet, head):
            return None
        apart = now - self.time - self._period
        if apart < 0:
            apart = -apart
        if not apart <= JUMP:
            return None

        view, size, function, context, memory = self.transform
        view[:length] = packet
        if not self.secure:
            _HEAD.pack_into(view, 0, head + self._shift, self.own_ssrc)
        size[0] = length
        if function(context, memory, size):
            return None
        if self.secure and self.own_payload_type != self.payload_type:
            view[1] = b"%c" % (packet[1] & 0x80 | self.own_payload_type)  # not before: the tag covers it
        self._expected += self._step
        self._octets += length
        self.time = now
        self.jitter = jitter = self.jitter + (apart - self.jitter) / 16
        if jitter > self.worst:
            self.worst = jitter
        made: bytes = view[: size[0]]
        return made

    def _begin(self, packet: bytes, head: int) -> bool:
        """May it be the first of another run?"""
        self.count()
        first, second, sequence, timestamp = head >> 56, head >> 48 & 0xFF, head >> 32 & 0xFFFF, head & _WORD
        if second & 0x7F != self.payload_type or first >> 6 != 2 or 192 <= second <= 223:
            return False
        header = _headerLength(packet, first) if first & 0x1F else 12
        if not header or len(packet) < header + (TAG if self.secure else 0):
            return False
        step = timestamp - self.timestamp & _WORD
        if sequence != self.sequence + 1 & 0xFFFF or step > MAX_TIMESTAMP_STEP:
            return False
        self._header = header
        self._least = 12 + TAG if self.secure else 12
        self._expected = self._begun = head & ~_MARKER
        self._step = _SEQUENCE + step
        # When the last one came, and how long after it this one is due.
        self.time = self.transit + self.timestamp * self.tick
        self._period = (timestamp - self.timestamp) * self.tick
        own, stamp = self.own_sequence + 1 & 0xFFFF, timestamp + self.offset & _WORD
        second = second & 0x80 | self.own_payload_type
        self._shift = (first << 56 | second << 48 | own << 32 | stamp) - head
        # Until a number, theirs or ours, begins again with 0; and other headers are looked at one by one.
        left = min(0xFFFF - max(sequence, own), (_WORD - max(timestamp, stamp)) // max(step, 1))
        self._until = self._expected + ((left + 1) * self._step if header == 12 else 0)
        return True

    def count(self) -> None:
        """The other attributes tell of all packets now."""
        run = (self._expected - self._begun) // self._step
        if not run:
            return
        self._begun = self._expected
        last = self._expected - self._step
        self.sequence, self.timestamp = last >> 32 & 0xFFFF, last & _WORD
        self.own_sequence = self.own_sequence + run & 0xFFFF
        self.transit = self.time - self.timestamp * self.tick
        for _ in range(min(run, REORDERING)):
            sequence = last >> 32 & 0xFFFF
            self.recent[sequence % REORDERING] = sequence << 32 | last & _WORD
            last -= self._step
        octets, self._octets = self._octets, 0
        self.packets += run
        self.octets += octets
        self.payload += octets - run * self._header
        self.sent += run
        self.sent_octets += octets + run * (-self.tag if self.secure else self.tag)

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
                # As it was, or will be, counted.
                self.sent -= 1
                self.sent_octets -= len(packet)


def _headerLength(packet: bytes, first: int) -> int:
    """Octets before the payload; 0: they are not all there."""
    header = 12 + 4 * (first & 0x0F)
    if first & 0x10:
        if len(packet) < header + 4:
            return 0
        header += 4 + 4 * int(_SHORT.unpack_from(packet, header + 2)[0])
    return header


__all__ = ["PythonPath"]
