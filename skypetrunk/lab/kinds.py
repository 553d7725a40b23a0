"""
Kinds of values that a switch of the lab may have: read from text and written as text.

The same text stands on the command line, in a TOML file, and in C{skypetrunk lab-set}.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Protocol

__all__ = [
    "FLAG",
    "Address",
    "Domain",
    "Kind",
    "Named",
    "Number",
    "Numbers",
    "Several",
    "Text",
    "addressOf",
    "choice",
]


class Kind(Protocol):
    """
    What values a switch takes.

    @ivar wanted: in words, for whoever gave another.
    """

    @property
    def wanted(self) -> str:
        """See the class."""

    def parse(self, text: str) -> object:
        """
        The value that C{text} stands for.

        @raise ValueError: for none.
        """

    def show(self, value: object) -> str:
        """The text for C{value}."""


class Named:
    """One of some values, each with a name."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self.values = dict(values)
        self.wanted = " or ".join(self.values)

    def parse(self, text: str) -> object:
        """See L{Kind}."""
        if text not in self.values:
            raise ValueError(self.wanted)
        return self.values[text]

    def show(self, value: object) -> str:
        """See L{Kind}."""
        return next(name for name, each in self.values.items() if each == value)


def choice(names: Iterable[str]) -> Named:
    """One of some texts."""
    return Named({name: name for name in names})


FLAG = Named({"on": True, "off": False})


class Several:
    """Some of those of a L{Named}, in order, with commas between them."""

    def __init__(self, values: Mapping[str, object], least: int = 1, most: int = 99) -> None:
        """
        @param least: so many must be given; none at all is written C{none}.
        """
        self._one = Named(values)
        self._least = least
        self._most = most
        self.wanted = f"{'one' if least else 'none'} or more of {', '.join(values)}, with commas between"

    def parse(self, text: str) -> object:
        """See L{Kind}."""
        names = [] if text == "none" else [each.strip() for each in text.split(",")]
        if not self._least <= len(names) <= self._most:
            raise ValueError(self.wanted)
        try:
            return tuple(self._one.parse(each) for each in names)
        except ValueError:
            raise ValueError(self.wanted) from None

    def show(self, value: object) -> str:
        """See L{Kind}."""
        assert isinstance(value, tuple)
        return ",".join(self._one.show(each) for each in value) or "none"


class Number:
    """A number, whole or not, perhaps with a word for "none given"."""

    def __init__(self, least: int, most: int, *, whole: bool = True, word: str | None = None) -> None:
        """
        @param word: what stands for C{None}.
        """
        self._least = least
        self._most = most
        self._whole = whole
        self._word = word
        kind = "a whole number" if whole else "a number"
        self.wanted = f"{kind} from {least} to {most}" + (f" or {word}" if word else "")

    def parse(self, text: str) -> object:
        """See L{Kind}."""
        if self._word is not None and text == self._word:
            return None
        try:
            value = int(text) if self._whole else float(text)
        except ValueError:
            raise ValueError(self.wanted) from None
        # Written so that "nan" is refused too
        if not self._least <= value <= self._most:
            raise ValueError(self.wanted)
        return value

    def show(self, value: object) -> str:
        """See L{Kind}."""
        if value is None:
            return self._word or ""
        assert isinstance(value, int | float)
        return f"{value:g}" if not self._whole else str(value)


class Numbers:
    """Whole numbers with commas between them."""

    def __init__(self, least: int, most: int) -> None:
        self._one = Number(least, most)
        self.wanted = f"one or more whole numbers from {least} to {most}, with commas between"

    def parse(self, text: str) -> object:
        """See L{Kind}."""
        return tuple(self._one.parse(each.strip()) for each in text.split(","))

    def show(self, value: object) -> str:
        """See L{Kind}."""
        assert isinstance(value, tuple)
        return ",".join(map(str, value))


class Text:
    """Any printable text; C{none} stands for C{None}."""

    def __init__(self, wanted: str) -> None:
        self.wanted = f"{wanted} or none"

    def parse(self, text: str) -> object:
        """See L{Kind}."""
        if not text or not text.isprintable():
            raise ValueError(self.wanted)
        return None if text == "none" else text

    def show(self, value: object) -> str:
        """See L{Kind}."""
        return "none" if value is None else str(value)


class Address(Text):
    """A literal address with a port, as text."""

    def __init__(self) -> None:
        super().__init__("ADDRESS:PORT")

    def parse(self, text: str) -> object:
        """See L{Kind}."""
        value = super().parse(text)
        if value is not None:
            host, port = addressOf(text)
            if not 0 < port < 65536:
                raise ValueError(self.wanted)
            ip_address(host)
        return value


def addressOf(text: str) -> tuple[str, int]:
    """
    Host and port of what an L{Address} took.

    @raise ValueError: it has no port.
    """
    host, _, port = text.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


class Domain(Text):
    """A domain name, lower case."""

    def __init__(self) -> None:
        super().__init__("a domain")

    def parse(self, text: str) -> object:
        """See L{Kind}."""
        value = super().parse(text.lower())
        if value is not None and not re.fullmatch(r"([a-z0-9_-]+\.)+[a-z0-9-]+", text.lower()):
            raise ValueError(self.wanted)
        return value
