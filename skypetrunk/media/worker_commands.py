"""What the trunk and a media worker say to each other: AMP over the pair of sockets that only they have."""

from __future__ import annotations

from typing import ClassVar, TypeAlias

from twisted.protocols.amp import Argument, Command, Descriptor, Integer, String

Arguments: TypeAlias = list[tuple[bytes, Argument]]


class _Told(Command):
    """It is carried out in its turn, and never answered."""

    requiresAnswer = False


class Open(_Told):
    """Trunk: a new leg, its L{skypetrunk.media.keeping.Opening} and sockets."""

    arguments: ClassVar[Arguments] = [
        (b"number", Integer()),
        (b"opening", String()),
        (b"rtp", Descriptor()),
        (b"rtcp", Descriptor()),
    ]


class Order(_Told):
    """Trunk: one of L{skypetrunk.media.keeping.ORDERS}, and its arguments."""

    arguments: ClassVar[Arguments] = [(b"number", Integer()), (b"name", String()), (b"given", String())]


class Join(_Told):
    """Trunk: relay between two legs."""

    arguments: ClassVar[Arguments] = [(b"caller", Integer()), (b"called", Integer())]


class Release(Command):
    """Trunk: close a leg; answered with its final counters."""

    arguments: ClassVar[Arguments] = [(b"number", Integer())]
    response: ClassVar[Arguments] = [(b"counted", String())]


class Ask(Command):
    """Trunk: is it there?  It answers in its turn."""

    arguments: ClassVar[Arguments] = []
    response: ClassVar[Arguments] = []


class Ready(_Told):
    """Worker: it has begun."""

    arguments: ClassVar[Arguments] = []


class Counted(_Told):
    """Worker: the counters of some legs by now, by their numbers, and which of these are unheard."""

    arguments: ClassVar[Arguments] = [(b"counted", String()), (b"unheard", String())]


class Went(_Told):
    """Worker: what it has accepted of a leg's peer by now, a L{skypetrunk.media.heard.Heard}."""

    arguments: ClassVar[Arguments] = [(b"number", Integer()), (b"heard", String())]


__all__ = ["Ask", "Counted", "Join", "Open", "Order", "Ready", "Release", "Went"]
