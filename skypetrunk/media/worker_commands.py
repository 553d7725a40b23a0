"""What the trunk and a media worker say to each other: AMP over the pair of sockets that only they have."""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias

from twisted.protocols.amp import MAX_VALUE_LENGTH, Argument, Boolean, Command, Descriptor, Integer, String

Arguments: TypeAlias = list[tuple[bytes, Argument]]


class Octets(Argument):
    """
    As many as there are: what is longer than a value of AMP goes in several.  How long names of codecs are
    and how many keys there are is for peers to say.
    """

    def toBox(self, name: bytes, strings: dict[bytes, bytes], objects: dict[str, Any], proto: object) -> None:
        """Put them in."""
        octets: bytes = objects[name.decode("ascii")]
        for number, start in enumerate(range(0, len(octets) or 1, MAX_VALUE_LENGTH)):
            strings[b"%b %d" % (name, number)] = octets[start : start + MAX_VALUE_LENGTH]

    def fromBox(
        self, name: bytes, strings: dict[bytes, bytes], objects: dict[str, Any], proto: object
    ) -> None:
        """Take them out."""
        parts: list[bytes] = []
        while (part := strings.get(b"%b %d" % (name, len(parts)))) is not None:
            parts.append(part)
        objects[name.decode("ascii")] = b"".join(parts)


class _Told(Command):
    """It is carried out in its turn, and never answered."""

    requiresAnswer = False


class Open(Command):
    """Trunk: a new leg, its L{skypetrunk.media.keeping.Opening} and sockets; answered when it has them."""

    arguments: ClassVar[Arguments] = [
        (b"number", Integer()),
        (b"opening", Octets()),
        (b"rtp", Descriptor()),
        (b"rtcp", Descriptor()),
    ]


class Order(_Told):
    """Trunk: one of L{skypetrunk.media.keeping.ORDERS}, and its arguments."""

    arguments: ClassVar[Arguments] = [(b"number", Integer()), (b"name", String()), (b"given", Octets())]


class Join(_Told):
    """Trunk: relay between two legs."""

    arguments: ClassVar[Arguments] = [(b"caller", Integer()), (b"called", Integer())]


class Release(Command):
    """
    Trunk: close a leg; answered with its final counters and, if it C{moves} to another keeper, with what it
    has accepted of its peer, each a L{skypetrunk.media.heard.Heard}.
    """

    arguments: ClassVar[Arguments] = [(b"number", Integer()), (b"moves", Boolean())]
    response: ClassVar[Arguments] = [(b"counted", Octets()), (b"heard", Octets())]


class Ask(Command):
    """Trunk: is it there?  It answers in its turn."""

    arguments: ClassVar[Arguments] = []
    response: ClassVar[Arguments] = []


class Ready(_Told):
    """Worker: it has begun."""

    arguments: ClassVar[Arguments] = []


class Counted(_Told):
    """Worker: the counters of some legs by now, by their numbers, and which of these are unheard."""

    arguments: ClassVar[Arguments] = [(b"counted", Octets()), (b"unheard", Octets())]


class Went(_Told):
    """Worker: what it has accepted of a leg's peer by now, a L{skypetrunk.media.heard.Heard}."""

    arguments: ClassVar[Arguments] = [(b"number", Integer()), (b"heard", Octets())]


__all__ = ["Ask", "Counted", "Join", "Octets", "Open", "Order", "Ready", "Release", "Went"]
