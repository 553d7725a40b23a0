"""
The contexts of what a peer sends: one for each of its keys, the one before the last for a while longer, and
none that forgets what it has let in while it is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from zope.interface import implementer

from skypetrunk.errors import PacketRefused
from skypetrunk.interfaces import IPacketGuard
from skypetrunk.media.own_srtp import OwnGuard
from skypetrunk.media.replay import WINDOW
from skypetrunk.media.roll_over import AHEAD, OLDEST, Life, Timeline, Tries
from skypetrunk.wire.rtp import RTPHeader, parseRTP

REMOTE_KEYS = 8
"""Inbound contexts kept, by key: a peer that returns to one finds its replay list; none can pile them up."""

FORMER_SECONDS = 2.0
"""
How long the key before the last is still taken.  Packets under it are on their way when the new one is
agreed, and the peer may send more of them until it has our answer or ACK, which is sent again after half a
second and another second where it is lost (RFC 3261 section 17).
"""

MOST_SOURCES = 256
"""
SSRCs of one key.  Each hold and each transfer may bring one; what was accepted of one is never forgotten
while its key stands, so there is an end.
"""

_UNKNOWN = ("authentication", "replay")
"""Whose tag is wrong; or was not looked at yet, as the number alone says that it is too old."""

Recovered = Callable[[int, int], object]
"""Told the roll-over counter that was expected, and the one that a packet has."""

Result: TypeAlias = "tuple[Context, bytes]"


class Context:
    """
    One key of the peer, or all that it has declared together.

    @ivar guard: takes its packets.
    @ivar line: of the source heard last; see L{Timeline}.
    @ivar suite: its name.
    """

    __slots__ = (
        "_lines",
        "_lives",
        "_made",
        "_makeOwn",
        "_masters",
        "_own",
        "_plain",
        "_reporters",
        "_tries",
        "guard",
        "line",
        "suite",
    )

    def __init__(
        self,
        guard: IPacketGuard,
        masters: frozenset[bytes],
        makeOwn: Callable[[], OwnGuard],
        now: float,
    ) -> None:
        """
        @param masters: what its master keys are known by.
        @param makeOwn: another guard with the same key, of the kind that can be told a roll-over counter.
        """
        self.guard = guard
        self.suite = guard.suite
        self.line = Timeline(None, 0, 0, now)
        self._plain = guard
        self._masters = masters
        self._makeOwn = makeOwn
        self._made = now
        self._own: OwnGuard | None = None
        self._lines: dict[int, Timeline] = {}
        self._lives: dict[int, Life] = {}
        self._reporters: set[int] = set()
        self._tries = Tries(), Tries()

    def begin(self) -> None:
        """It is in use from now on: nothing was heard since."""
        self.line = Timeline(None, 0, 0, 0.0)

    def took(self, header: RTPHeader, now: float) -> None:
        """An RTP packet was accepted that is not simply the next one of the source heard last."""
        line = self._lines.get(header.ssrc)
        if line is None:
            line = Timeline(header.ssrc, header.sequence, header.timestamp, now)
            self._lines[header.ssrc] = line
            self._arrange()
        else:
            line.advance(header, now)
        self.line = line

    def tookReport(self, ssrc: int) -> None:
        """An RTCP compound was accepted."""
        if ssrc not in self._reporters:
            self._reporters.add(ssrc)
            self._arrange()

    def adopt(self, before: Context) -> None:
        """
        Where C{before} has a master key of ours go on with its sources: a packet that it has let in may have
        a valid tag with another suite or MKI, too.
        """
        if not self._masters & before._masters:
            return
        self._made = min(self._made, before._made)
        for ssrc, line in before._lines.items():
            self._lines.setdefault(ssrc, line)
        for ssrc, life in before._lives.items():
            self._lives.setdefault(ssrc, life)
        self._reporters |= before._reporters
        ours, theirs = self._plain, before._plain
        if isinstance(ours, OwnGuard) and isinstance(theirs, OwnGuard):
            ours.adopt(theirs)
            if before._own is not None:
                self._resumed().adopt(before._own)
        else:
            for ssrc, line in self._lines.items():
                self._lives.setdefault(ssrc, Life())
                self._resumed().skip(ssrc, line.index)
        self._arrange()

    def resume(self, packet: bytes, now: float, recovered: Recovered) -> bytes | None:
        """
        A packet was not what we expected: has its sender another roll-over counter?

        @return: it, decrypted; C{None}: nothing has changed.
        """
        try:
            header = parseRTP(packet)
        except PacketRefused:
            return None
        ssrc = header.ssrc
        line, life = self._lines.get(ssrc), self._lives.get(ssrc)
        if line is None:
            # Nothing of it was accepted, so nothing can be accepted twice: we have come late.
            expected = 0
            counters = [] if self._isFull() else list(range(1, AHEAD + 1))
        else:
            expected = line.index >> 16
            counters = line.counters(header, now, now - self._made > OLDEST)
        if life is not None and not life.admits(header.timestamp):
            return None
        tries = self._tries[line is None]
        for counter in counters:
            if not tries.take(now):
                return None
            own = self._resumed()
            if own.opens(packet, header, counter):
                self._goOn(header, counter, now)
                recovered(expected, counter)
                return own.rtp(packet)
        return None

    def _resumed(self) -> OwnGuard:
        """The guard of the sources that have L{Life}s."""
        if self._own is None:
            self._own = self._makeOwn()
        return self._own

    def _goOn(self, header: RTPHeader, counter: int, now: float) -> None:
        ssrc, index = header.ssrc, counter << 16 | header.sequence
        line = self._lines.setdefault(ssrc, Timeline(ssrc, index, header.timestamp, now))
        life = self._lives.setdefault(ssrc, Life())
        if index < line.index:
            life.floor, life.beyond = line.newest, max(line.index, life.beyond)
        line.index = index
        self._resumed().resume(ssrc, counter)
        self._arrange()

    def _isFull(self) -> bool:
        return len(self._lines.keys() | self._reporters) >= MOST_SOURCES

    def _arrange(self) -> None:
        """What stands between a packet and its guard, as far as it is wanted."""
        guard = self._plain
        if self._own is not None and self._lives:
            guard = _Resumed(guard, self._own, self._lives)
        if self._isFull():
            guard = _Closed(guard, self._lines, self._reporters)
        self.guard = guard


@implementer(IPacketGuard)
class _Resumed:
    """
    A context some of whose sources go on with other numbers.  RTCP says its index, and knows nothing of this:
    that of a peer which has begun again is refused as a replay until it is beyond the last one.
    """

    def __init__(self, plain: IPacketGuard, own: OwnGuard, lives: dict[int, Life]) -> None:
        self.suite = plain.suite
        self._plain = plain
        self._own = own
        self._lives = lives

    def rtp(self, packet: bytes) -> bytes:
        """An RTP packet; see L{IPacketGuard}."""
        life = self._lives.get(int.from_bytes(packet[8:12], "big"))
        if life is None:
            return self._plain.rtp(packet)
        if life.beyond:
            header = parseRTP(packet)
            if not life.admits(header.timestamp):
                raise PacketRefused("replay")
            if self._own.highest(header.ssrc) > life.beyond + WINDOW:
                life.beyond = 0
        return self._own.rtp(packet)

    def rtcp(self, packet: bytes) -> bytes:
        """An RTCP compound packet; see L{IPacketGuard}."""
        return self._plain.rtcp(packet)


@implementer(IPacketGuard)
class _Closed:
    """A context that has enough sources."""

    def __init__(self, guard: IPacketGuard, lines: dict[int, Timeline], reporters: set[int]) -> None:
        self.suite = guard.suite
        self._guard = guard
        self._lines = lines
        self._reporters = reporters

    def rtp(self, packet: bytes) -> bytes:
        """An RTP packet; see L{IPacketGuard}."""
        self._check(packet[8:12])
        return self._guard.rtp(packet)

    def rtcp(self, packet: bytes) -> bytes:
        """An RTCP compound packet; see L{IPacketGuard}."""
        self._check(packet[4:8])
        return self._guard.rtcp(packet)

    def _check(self, octets: bytes) -> None:
        ssrc = int.from_bytes(octets, "big")
        if ssrc not in self._lines and ssrc not in self._reporters:
            raise PacketRefused("source")


class Inbound:
    """
    All contexts of one leg.

    @ivar current: of the key agreed last; C{None} before the first.
    """

    def __init__(self, seconds: Callable[[], float], recovered: Recovered) -> None:
        self.current: Context | None = None
        self._seconds = seconds
        self._recovered = recovered
        self._contexts: dict[bytes, Context] = {}
        self._former: Context | None = None
        self._until = 0.0

    def use(
        self,
        identity: bytes,
        masters: frozenset[bytes],
        make: Callable[[], IPacketGuard],
        makeOwn: Callable[[], OwnGuard],
    ) -> Context:
        """
        What the peer has declared is agreed: its context, which stays the same one when the same comes again.

        @param identity: what it is known by.
        @param make: its guard; for the others see L{Context}.
        """
        now, before = self._seconds(), self.current
        context = self._contexts.pop(identity, None)
        if context is None:
            context = Context(make(), masters, makeOwn, now)
        self._contexts[identity] = self.current = context
        if context is before:
            return context
        for other in self._contexts.values():
            if other is not context:
                context.adopt(other)
        context.begin()
        self._former, self._until = before, now + FORMER_SECONDS
        if len(self._contexts) > REMOTE_KEYS:
            del self._contexts[next(iter(self._contexts))]
        return context

    def otherwise(self, packet: bytes, reason: str, now: float) -> Result | None:
        """
        An RTP packet was refused by the current context.  Is it under the key before, or has its sender lost
        count?

        @param reason: of the refusal.
        @return: whose it is, and what it says; C{None}: neither.
        """
        current = self.current
        assert current is not None
        if reason not in _UNKNOWN:
            return None
        if self._former is not None and now < self._until:
            # When the peer's new source is heard its old one has ended: two at once would be noise.
            if current.line.ssrc in (None, int.from_bytes(packet[8:12], "big")):
                try:
                    return self._former, self._former.guard.rtp(packet)
                except PacketRefused:
                    pass
        plain = current.resume(packet, now, self._recovered)
        return None if plain is None else (current, plain)

    def reportOtherwise(self, packet: bytes, reason: str, now: float) -> Result | None:
        """The same of an RTCP compound, which says its index."""
        if reason in _UNKNOWN and self._former is not None and now < self._until:
            try:
                return self._former, self._former.guard.rtcp(packet)
            except PacketRefused:
                pass
        return None

    def end(self) -> None:
        """No key is kept, and nobody is told anything."""
        self._recovered = _untold
        self.current = self._former = None
        self._contexts.clear()


def _untold(expected: int, counter: int) -> None:
    """After the end."""


__all__ = ["FORMER_SECONDS", "MOST_SOURCES", "REMOTE_KEYS", "Context", "Inbound"]
