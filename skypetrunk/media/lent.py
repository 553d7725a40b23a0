"""What the legs of a call know of the helper (L{skypetrunk.media.settled}) while it does their work."""

from __future__ import annotations

from typing import Any, Protocol


class Lent(Protocol):
    """
    One direction of a call.

    @ivar path: what the helper knows; its C{time} is when it relayed the last packet (seconds), 0 before.
    """

    path: Any

    def sync(self) -> None:
        """The legs' counters and numbers are true until the next packet."""

    def look(self) -> None:
        """Where its packets go may have changed."""

    def takeBack(self) -> None:
        """The legs do it themselves again, and their counters and numbers are true."""

    def show(self) -> None:
        """The next packet of the peer is shown to its leg (C{looked}), however it goes."""

    def pause(self) -> None:
        """The same for one packet."""


__all__ = ["Lent"]
