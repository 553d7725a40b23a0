"""
The keys of a peer that a leg has agreed to lately, for who takes it over: packets under the one before are
still on their way.
"""

from __future__ import annotations

from typing import TypeAlias

from skypetrunk.media.heard import REMOTE_KEYS
from skypetrunk.media.inbound import FORMER_SECONDS

Given: TypeAlias = tuple[object, ...]
"""As L{skypetrunk.interfaces.IMediaLeg.setRemoteKey} takes it."""


class RemoteKeys:
    """Those that are taken, the one in use last."""

    __slots__ = ("_told",)

    def __init__(self) -> None:
        # With the time (seconds) when each was told.
        self._told: list[tuple[float, Given]] = []

    def add(self, given: Given, now: float) -> None:
        """It is agreed from C{now} on (seconds)."""
        if not self._told or self._told[-1][1] != given:
            self._told = [*self._told[1 - REMOTE_KEYS :], (now, given)]

    def taken(self, now: float) -> list[Given]:
        """Those under which packets may still come at C{now} (seconds)."""
        # Each for a while after the next one was told.
        ends = [time + FORMER_SECONDS for time, _ in self._told[1:]] + [now]
        return [given for end, (_, given) in zip(ends, self._told, strict=False) if end >= now]

    def clear(self) -> None:
        """There is no key any more."""
        self._told.clear()


__all__ = ["Given", "RemoteKeys"]
