"""
The contexts of what a peer sends: one for each of its keys, the one before the last for a while longer, and
none that forgets what it has let in while it is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from skypetrunk.errors import PacketRefused
from skypetrunk.interfaces import IPacketGuard
from skypetrunk.media.context import Context, Recovered, unite
from skypetrunk.media.heard import REMOTE_KEYS, Heard, remember
from skypetrunk.media.known import Known
from skypetrunk.media.own_srtp import OwnGuard

FORMER_SECONDS = 2.0
"""
How long the key before the last is still taken.  Packets under it are on their way when the new one is
agreed, and the peer may send more of them until it has our answer or ACK, which is sent again after half a
second and another second where it is lost (RFC 3261 section 17).
"""

_UNKNOWN = ("authentication", "replay")
"""Whose tag is wrong; or was not looked at yet, as the number alone says that it is too old."""

Result: TypeAlias = tuple[Context, bytes]


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
        self._told: dict[tuple[bytes, ...], Heard] = {}
        self._former: Context | None = None
        self._until = 0.0

    def use(
        self,
        identity: bytes,
        masters: frozenset[bytes],
        make: Callable[[Mapping[int, int]], IPacketGuard],
        makeOwn: Callable[[], OwnGuard],
    ) -> Context:
        """
        What the peer has declared is agreed: its context, which stays the same one when the same comes again.

        @param identity: what it is known by.
        @param make: see L{Context}, as for the others.
        """
        now, before = self._seconds(), self.current
        context = self._contexts.pop(identity, None)
        if context is None:
            # Of what is used here, too, with another suite or MKI, more is known by now.
            new = masters.difference(*[each.masters for each in self._contexts.values()])
            told = [each for each in self._told.values() if not new.isdisjoint(each.masters)]
            context = Context(make, masters, makeOwn, now, told)
        self._contexts[identity] = self.current = context
        if context is before:
            return context
        near = {id(each.known) for each in self._contexts.values() if not masters.isdisjoint(each.masters)}
        unite([each for each in self._contexts.values() if id(each.known) in near])
        context.begin()
        self._former, self._until = before, now + FORMER_SECONDS
        if len(self._contexts) > REMOTE_KEYS:
            given = self._contexts.pop(next(iter(self._contexts)))
            if given.known.lines or given.known.reporters:
                self.tell(given.known.heard(tuple(sorted(given.masters))))
        return context

    @property
    def heard(self) -> tuple[Heard, ...]:
        """
        What was accepted, under each key, or keys that have to do with each other, here or before; the latest
        last.
        """
        found: dict[Known, frozenset[bytes]] = {}
        for context in self._contexts.values():
            found[context.known] = context.masters | found.pop(context.known, frozenset())
        current = {tuple(sorted(masters)): known for known, masters in found.items()}
        before = [each for masters, each in self._told.items() if masters not in current]
        return (*before, *[known.heard(masters) for masters, known in current.items()])

    def tell(self, heard: Heard) -> None:
        """What was accepted elsewhere, or earlier, under a key that may come to be used here."""
        remember(self._told, heard)

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
        elsewhere = self._highest(int.from_bytes(packet[8:12], "big"))
        plain = current.resume(packet, now, self._recovered, elsewhere)
        return None if plain is None else (current, plain)

    def _highest(self, ssrc: int) -> int:
        """The highest index that was accepted of a source, whatever the key."""
        lines = [each.known.lines.get(ssrc) for each in self._contexts.values()]
        return max((line.index for line in lines if line is not None), default=0)

    def reportOtherwise(self, packet: bytes, reason: str, now: float) -> Result | None:
        """The same of an RTCP compound, which says its index: it has lost none, but may have begun again."""
        current = self.current
        assert current is not None
        if reason in _UNKNOWN and self._former is not None and now < self._until:
            try:
                return self._former, self._former.report(packet)
            except PacketRefused:
                pass
        plain = current.resumeReport(packet, now, self._recovered) if reason == "replay" else None
        return None if plain is None else (current, plain)

    def end(self) -> None:
        """No key is kept, and nobody is told anything."""
        self._recovered = _untold
        self.current = self._former = None
        self._contexts.clear()
        self._told.clear()


def _untold(what: str, expected: int, counter: int) -> None:
    """After the end."""


__all__ = ["FORMER_SECONDS", "Inbound"]
