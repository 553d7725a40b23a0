"""A text that must not be seen: passwords on their way from the configuration to the digest."""

from __future__ import annotations

import hmac
from typing import NoReturn


class Secret:
    """
    Holds a text that no log, error, repr or pickle shows.  L{reveal} is the one way to it,
    so that a search for that word finds each place that uses secrets.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself."""
        return self._value

    def __repr__(self) -> str:
        return "<hidden>"

    def __format__(self, specification: str) -> str:
        return "<hidden>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(
            self._value.encode("utf-8", "surrogateescape"), other._value.encode("utf-8", "surrogateescape")
        )

    # A hash would be a function of the text, stored in whatever set or dict holds it.
    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled or copied")


__all__ = ["Secret"]
