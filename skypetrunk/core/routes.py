"""Where calls go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from skypetrunk.core.sides import Side


class Routes(Protocol):
    """Where calls go."""

    def destinations(self, source: str, called: str) -> Sequence[Side]:
        """
        The sides that a call from C{source} may go to, in order; empty if there is no route.

        @param called: the number as received.
        """
