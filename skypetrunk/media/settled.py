"""
A direction of a call while it is lent: what is usual about a relayed packet, done by a shorter way.

Most packets of a call are like the one before: from the same place, the next one of the same stream, to
the same destination with the same key.  When some in a row were, their direction is lent, with the numbers
that are needed, to the compiled helper, F<native/settled.c>, or to a few lines of Python that do the same,
L{skypetrunk.media.python_path}; L{skypetrunk.media.settling} chooses.  A packet that is anything else ends
that, and so does everything that signalling changes: what was counted is added to what the legs have, and
the packet goes the way it would have
gone.  The legs know all that there is to know; whom they lend to can do nothing that they cannot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skypetrunk.media.plain import PlainLeg
from skypetrunk.media.port import CLOSED
from skypetrunk.media.relay import UNSENT, MediaLeg
from skypetrunk.media.secure import SecureLeg
from skypetrunk.media.srtp import InPlaceGuard
from skypetrunk.media.statistics import Usual

if TYPE_CHECKING:
    from collections.abc import Callable

    from skypetrunk.media.roll_over import Timeline
    from skypetrunk.media.settling import SettlingPoller
    from skypetrunk.media.stream import OutboundStream


class Settled:
    """
    One direction of a call, while it is lent.

    @ivar path: what the helper knows.
    """

    __slots__ = ("_destination", "_guard", "_leg", "_poller", "_sending", "path")

    def __init__(
        self,
        poller: SettlingPoller,
        path: Any,
        leg: MediaLeg,
        sending: MediaLeg,
        guard: InPlaceGuard,
        usual: Usual,
    ) -> None:
        """
        @param leg: whose peer's packets come in.
        @param sending: whose peer they are sent to.
        @param guard: protects or unprotects them, and must live as long as the helper knows its context.
        """
        self.path = path
        self._poller = poller
        self._leg = leg
        self._sending = sending
        self._destination = sending.wayOut
        self._guard = guard
        poller.transform(path, guard)
        path.ssrc, path.sequence, path.payload_type = usual.ssrc, usual.sequence, usual.payloadType
        path.tick, path.transit, path.jitter, path.worst = usual[3:]
        path.connected = sending.rtpPort.peer == self._destination

    def look(self) -> None:
        """See L{skypetrunk.media.lent.Lent}."""
        if self._sending.wayOut != self._destination:
            self.takeBack()
        else:
            self.path.connected = self._sending.rtpPort.peer == self._destination

    def sync(self) -> None:
        """See L{skypetrunk.media.lent.Lent}."""
        path = self.path
        self._poller.count(path)
        packets = path.packets
        if not packets:
            return
        received, sent = self._leg.received, self._sending.sent
        received.packets += packets
        received.octets += path.octets
        received.reception.went(packets, path.sequence, path.transit, path.jitter, path.worst)
        sent.packets += path.sent
        sent.octets += path.sent_octets
        if path.unsent:
            sent.refuse(UNSENT, path.unsent)
        if path.closed:
            sent.refuse(CLOSED, path.closed)
        self._went(path)
        path.packets = path.octets = path.payload = 0
        path.sent = path.sent_octets = path.unsent = path.closed = 0

    def show(self) -> None:
        """See L{skypetrunk.media.lent.Lent}."""
        self.path.show = 1

    def shown(self, packet: bytes, now: float) -> None:
        """Here it is, in clear; it came at C{now} (seconds)."""
        number: int = self.path.payload_type
        # As it came: with the number of the other side, and the marker, it may be RTCP (RFC 5761 section 4).
        self._leg.looked(b"%c%c%b" % (packet[0], number, packet[2:]), number, now)

    def pause(self) -> None:
        """See L{skypetrunk.media.lent.Lent}."""
        descriptor: int = self.path.arrival
        self.takeBack()
        self._poller.lendSoon(descriptor)

    def takeBack(self) -> None:
        """See L{skypetrunk.media.lent.Lent}."""
        self.sync()
        self._ended(self.path)
        self._poller.takeBack(self)
        self._leg.heardBy = self._sending.sentBy = None
        if self.path.show:
            self._leg.glance()

    def _went(self, path: Any) -> None:
        """What only one kind of leg has."""
        raise NotImplementedError

    def _ended(self, path: Any) -> None:
        """What nobody needs to know before."""


class Protected(Settled):
    """RTP of a plain leg, which leaves as SRTP."""

    __slots__ = ("_heard", "_spoke", "_stream")

    @classmethod
    def lend(
        cls, poller: SettlingPoller, path: Any, leg: PlainLeg, sending: SecureLeg, usual: Usual
    ) -> Settled | None:
        """C{None}: something is not as usual."""
        stream = sending.stream
        following = None if stream is None else stream.usual(usual.ssrc, usual.sequence)
        if stream is None or following is None:
            return None
        guard = following.guard
        if not isinstance(guard, InPlaceGuard):
            return None
        if not poller.address(path, leg.usualSource, sending.wayOut):
            return None
        path.own_ssrc, path.own_sequence, path.offset = stream.ssrc, following.sequence, following.offset
        path.timestamp = following.timestamp
        path.recent = following.recent
        settled = cls(poller, path, leg, sending, guard, usual)
        settled._heard, settled._spoke, settled._stream = leg.heard, sending.spoke, stream
        return settled

    _heard: Callable[[float], None]
    _spoke: Callable[[float], None]
    _stream: OutboundStream

    def _went(self, path: Any) -> None:
        now: float = path.time
        self._sending.sent.authenticated += path.sent
        self._heard(now)
        self._spoke(now)
        self._stream.went(path.packets, path.payload, path.timestamp, now)

    def _ended(self, path: Any) -> None:
        self._stream.ended(self._poller.recent(path))


class Unprotected(Settled):
    """SRTP of a secure leg, which leaves as RTP."""

    __slots__ = ("_heard", "_line")

    @classmethod
    def lend(
        cls, poller: SettlingPoller, path: Any, leg: SecureLeg, sending: PlainLeg, usual: Usual
    ) -> Settled | None:
        """C{None}: something is not as usual."""
        context = leg.usualContext(usual.ssrc, usual.sequence)
        guard = None if context is None else context.guardOf(usual.ssrc)
        if context is None or not isinstance(guard, InPlaceGuard):
            return None
        if not poller.address(path, leg.usualSource, sending.wayOut):
            return None
        path.secure = 1
        path.timestamp = context.line.newest
        settled = cls(poller, path, leg, sending, guard, usual)
        settled._heard, settled._line = leg.heard, context.line
        return settled

    _heard: Callable[[float], None]
    _line: Timeline

    def _went(self, path: Any) -> None:
        self._leg.received.authenticated += path.packets
        self._heard(path.time)
        line = self._line
        line.index += path.packets
        line.newest, line.time = path.timestamp, path.time


__all__ = ["Protected", "Settled", "Unprotected"]
