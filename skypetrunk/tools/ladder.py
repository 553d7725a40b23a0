"""
The SIP ladder of a trunk: what went between it and its neighbours, both legs side by side.

Bodies are reduced to the kind of media and the number of keys; nothing secret is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from skypetrunk.errors import MalformedMessage, MalformedSDP
from skypetrunk.interfaces import IMessageChannel
from skypetrunk.printable import printable
from skypetrunk.tools.terminal import Style
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.sdp import parseSDP

__all__ = ["Ladder", "Rung", "Section"]

_LEFT, _RIGHT = 38, 50
"""Columns between the neighbours; with the times a line has 100."""

_CREDENTIALS = ("Authorization", "Proxy-Authorization")


@dataclass(frozen=True, slots=True)
class Rung:
    """
    One message.

    @ivar seconds: on the ladder's clock.
    @ivar secure: it went over TLS: the carrier's leg.
    @ivar outward: it went towards the carrier, on either leg.
    """

    seconds: float
    secure: bool
    outward: bool
    label: str


@dataclass(slots=True)
class Section:
    """What belongs together: a registration, a call."""

    title: str
    rungs: list[Rung] = field(default_factory=list)


class Ladder:
    """
    Collects messages.

    @ivar sections: in order; the last one takes what comes.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        """
        @param seconds: a clock.
        """
        self._seconds = seconds
        self.sections: list[Section] = []

    def begin(self, title: str) -> None:
        """What comes now belongs together."""
        self.sections.append(Section(title))

    def observe(self, sent: bool, message: Request | Response, channel: IMessageChannel) -> None:
        """A message was sent or received by the trunk."""
        if self.sections:
            rung = Rung(self._seconds(), channel.secure, sent == channel.secure, labelOf(message))
            self.sections[-1].rungs.append(rung)


def labelOf(message: Request | Response) -> str:
    """A message in a few words, nothing secret."""
    if isinstance(message, Request):
        text = message.method
        if any(message.header(name) is not None for name in _CREDENTIALS):
            text += " + credentials"
    else:
        text = f"{message.status} {message.reason}"
        try:
            text += f" ({message.cseq.method})"
        except MalformedMessage:
            pass
    # A peer's own words: they must not move the cursor
    return printable(text) + _mediaOf(message)


def _mediaOf(message: Request | Response) -> str:
    if not message.body:
        return ""
    try:
        media = parseSDP(message.body).media
    except MalformedSDP:
        return ""
    keys = sum(len(each.crypto) + len(each.all("key-mgmt")) for each in media)
    protocols = ", ".join(dict.fromkeys(each.protocol for each in media))
    return f", {protocols}{f' {keys} keys' if keys > 1 else ' 1 key' if keys else ''}"


def render(section: Section, style: Style) -> Iterator[str]:
    """The lines of a section; times are since its first message."""
    yield style.bold(section.title)
    heads = "PBX, UDP".ljust(_LEFT - 2) + "skypetrunk".ljust(_RIGHT - 7) + "carrier, TLS"
    yield style.dim(" " * 8 + heads)
    for rung in section.rungs:
        seconds = f"{rung.seconds - section.rungs[0].seconds:7.3f}"
        left = " " * _LEFT if rung.secure else _arrow(rung, _LEFT, style)
        right = _arrow(rung, _RIGHT, style) if rung.secure else " " * _RIGHT
        yield f"{seconds}  {style.bar}{left}{style.bar}{right}{style.bar}"


def _arrow(rung: Rung, width: int, style: Style) -> str:
    """The label on an arrow that is C{width} columns long."""
    most = width - 6
    label = rung.label if len(rung.label) <= most else rung.label[: most - 2] + ".."
    body = f"{style.line * 2} {label} ".ljust(width - 1, style.line)
    return body + style.right if rung.outward else style.left + body
