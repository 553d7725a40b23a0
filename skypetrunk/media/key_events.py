"""
Keys pressed between signalling and RTP (RFC 4733): events made for a peer that is told of keys in INFO, and
events heard for one that wants them there.

Each stands before a leg only where it is needed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from struct import Struct
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from skypetrunk.wire.codec import clockRate
from skypetrunk.wire.rtp import RTPHeader, rewriteHeader
from skypetrunk.wire.telephone_event import BOTH, KEYS, KeyReader

if TYPE_CHECKING:
    from skypetrunk.media.feedback import Feedback
    from skypetrunk.media.onward import Onward
    from skypetrunk.media.relay import MediaLeg

INTERVAL = 0.02
"""Seconds between the packets of an event (RFC 4733 section 2.5.1.2: as those of the audio, or 50 ms)."""

PATIENCE = 0.05
"""
Seconds that the first key waits for a packet of the source, whose stream it is to go on with, and each key of
a source that may send it as an event, too, for that.
"""

GAP = 0.06
"""Seconds of audio between two keys: some receivers need a pause to tell them apart."""

SHORTEST, LONGEST = 80, 1000
"""Milliseconds.  Shorter ones are not heard as keys everywhere; the field has 16 bits, 1.3 s at 48 kHz."""

MOST_KEYS = 32
"""Waiting: more than a card number, and no flood."""

REPEATS = 3
"""How often the end of an event is sent (section 2.5.1.4)."""

MAX_MISORDER = 100
"""Packets: one this far behind is of a source that has begun again."""

_EVENT = Struct("!BBH")
_END, _VOLUME = 0x80, 10
_HEADER = Struct("!BBHII")


class KeySender:
    """
    Puts events into the stream that a leg sends, in place of the audio that comes meanwhile: one stream whose
    numbers have no gaps (section 2.6.1).  From the first key on it stands before the leg, as the source's
    numbers are not those of the stream any more.
    """

    def __init__(
        self,
        onward: Onward,
        clock: IReactorTime,
        entropy: Callable[[int], bytes],
        types: Callable[[int], tuple[int, int] | None],
    ) -> None:
        """
        @param onward: the leg.
        @param types: by the payload type of the audio sent last, -1 for none: number and clock rate of the
            events that go with it; C{None}: there is none, or none is wanted.
        """
        self._onward = onward
        self._clock = clock
        self._types = types
        # Of a stream of our own, as long as there is no source.
        self._ssrc = int.from_bytes(entropy(4), "big")
        self._in = self._out = int.from_bytes(entropy(2), "big") & 0x7FFF
        self._timestamp = int.from_bytes(entropy(4), "big")
        self._time = clock.seconds()
        self._payloadType = -1
        # Before it the numbers were shifted otherwise.
        self._since = 0
        self._followed = self._both = False
        self._waiting: deque[tuple[int, float]] = deque()
        self._call: IDelayedCall | None = None
        # Of the key that is being sent.
        self._pressed: tuple[int, float] | None = None
        self._event = (-1, 8000, 0)
        self._began = 0.0
        self._ends = 0
        # Code of the last one, while the source may send it, too; and the time stamp of that event.
        self._last = -1
        self._again = -1

    def press(self, key: str, milliseconds: int, both: bool = False) -> None:
        """
        Send C{key}, one of L{KEYS}, after those that wait; more than L{MOST_KEYS} are left out.

        @param both: the source may send it, too.
        """
        if len(self._waiting) < MOST_KEYS:
            length = min(max(milliseconds, SHORTEST), LONGEST) / 1000
            self._waiting.append((KEYS.index(key), length))
            self._both = both
            if self._call is None:
                wait = 0.0 if self._followed and not both else PATIENCE
                self._call = self._clock.callLater(wait, self._begin)

    def stop(self) -> None:
        """The leg is over."""
        self._waiting.clear()
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def sendRTP(self, packet: bytes, header: RTPHeader, now: float) -> None:
        """Audio: with the number that comes next, or not at all while a key is sent."""
        ahead = (header.sequence - self._in) & 0xFFFF
        new = not self._followed or header.ssrc != self._ssrc
        left = self._isAgain(packet, header, now) or self._pressed is not None
        if new:
            if left:
                return
            self._follow(header.ssrc, header.sequence, header.sequence)
        elif ahead >= 0x8000 or not ahead:
            if left:
                return
            if -ahead & 0xFFFF > MAX_MISORDER:
                self._follow(header.ssrc, header.sequence, self._out + 1)
            elif (header.sequence - self._since) & 0xFFFF >= 0x8000:
                return  # its place is taken
        else:
            self._in = header.sequence
            if left:
                self._since = (header.sequence + 1) & 0xFFFF
            else:
                self._out = (self._out + ahead) & 0xFFFF
        if new or ahead < 0x8000:
            self._timestamp, self._time, self._payloadType = header.timestamp, now, header.payloadType
        if left:
            return
        sequence = (header.sequence - self._in + self._out) & 0xFFFF
        if sequence != header.sequence:
            packet = rewriteHeader(
                packet,
                marker=header.marker,
                sequence=sequence,
                timestamp=header.timestamp,
                ssrc=header.ssrc,
            )
            header = header._replace(sequence=sequence)
        self._onward.sendRTP(packet, header, now)
        if new and self._call is not None and not self._both:
            self._call.reset(0.0)

    def _isAgain(self, packet: bytes, header: RTPHeader, now: float) -> bool:
        """Is it of an event that says the last key again?"""
        if header.payloadType != self._event[0] or len(packet) <= header.headerLength:
            return False
        if packet[header.headerLength] == self._last and now - self._began < BOTH:
            self._last, self._again = -1, header.timestamp
        return header.timestamp == self._again

    def sendRTCP(self, compound: bytes) -> None:
        """As it is: a few packets more or less are no matter of its reports."""
        self._onward.sendRTCP(compound)

    def _follow(self, ssrc: int, sequence: int, out: int) -> None:
        self._ssrc, self._in, self._out, self._since = ssrc, sequence, out & 0xFFFF, sequence
        self._followed = True

    def _begin(self) -> None:
        """The next key, if there is one."""
        self._call = None
        types = self._types(self._payloadType)
        if types is None:
            self._waiting.clear()
        if not self._waiting:
            return
        assert types is not None
        number, rate = types
        now = self._clock.seconds()
        passed = max(now - self._time, INTERVAL)
        self._event = number, rate, (self._timestamp + round(passed * rate)) & 0xFFFFFFFF
        self._pressed, self._began, self._ends = self._waiting.popleft(), now, 0
        self._last = self._pressed[0]
        self._send(marker=True)

    def _send(self, marker: bool = False) -> None:
        """One packet of the key: all have the time stamp of its beginning (section 2.5.1.2)."""
        assert self._pressed is not None
        code, length = self._pressed
        number, rate, timestamp = self._event
        now = self._clock.seconds()
        lasted = min(now - self._began + INTERVAL, length)
        if lasted > length - 0.001:  # a clock's sums are not exact
            lasted, self._ends = length, self._ends + 1
        self._out = (self._out + 1) & 0xFFFF
        header = RTPHeader(2, False, marker, number, self._out, timestamp, self._ssrc, 12)
        flags = _VOLUME | (_END if self._ends else 0)
        packet = _HEADER.pack(0x80, number | marker << 7, self._out, timestamp, self._ssrc)
        packet += _EVENT.pack(code, flags, round(lasted * rate))
        last = self._ends >= REPEATS
        if last:
            self._pressed = None
            self._since = (self._in + 1) & 0xFFFF
        self._call = self._clock.callLater(GAP if last else INTERVAL, self._begin if last else self._send)
        self._onward.sendRTP(packet, header, now)


class KeysHeard:
    """Stands before a leg whose peer has no events: those that come are told, and go no further."""

    __slots__ = ("_feedback", "_heard", "_numbers", "_onward", "_reader")

    def __init__(
        self,
        onward: Onward,
        numbers: Collection[int],
        reader: KeyReader,
        heard: Callable[[str], None],
        feedback: Feedback,
    ) -> None:
        """
        @param numbers: the payload types of events.
        @param reader: of the leg where they come in.
        @param heard: told of each key.
        @param feedback: of the leg's peer, who misses the packets of the events.
        """
        self._feedback = feedback
        self._onward = onward
        self._numbers = frozenset(numbers)
        self._reader = reader
        self._heard = heard

    def sendRTP(self, packet: bytes, header: RTPHeader, now: float) -> None:
        """A key is told when it ends; all else goes on."""
        if header.payloadType not in self._numbers:
            self._onward.sendRTP(packet, header, now)
            return
        self._feedback.explained += 1
        for key in self._reader.received(header.ssrc, header.timestamp, packet[header.headerLength :]):
            self._heard(key)

    def sendRTCP(self, compound: bytes) -> None:
        """It goes on."""
        self._onward.sendRTCP(compound)


def typesOf(leg: MediaLeg, payloadType: int) -> tuple[int, int] | None:
    """
    Number and clock rate of the events that a leg may make, C{None} where there are none, it may not send, or
    the other side's peer has just sent one itself: then that is the key, and INFO says it again.

    @param payloadType: of the audio that they go with; of several they are those with its clock rate.
    """
    other, types = leg._other, leg._numbers.agreedEvents
    if not leg._sending or not types:
        return None
    if other is not None and other.received.reception.lately(other._numbers.events, leg._seconds() - BOTH):
        return None
    rate = clockRate(leg._numbers.theirs.get(payloadType, ""))
    found = [(number, each) for number, each in types.items() if each == rate] or [*types.items()]
    return found[0]


__all__ = ["GAP", "INTERVAL", "LONGEST", "MOST_KEYS", "SHORTEST", "KeySender", "KeysHeard", "typesOf"]
