"""The o= line of what one leg writes: its version counts what changed (RFC 3264 section 8)."""

from __future__ import annotations

from dataclasses import replace

from skypetrunk.wire.sdp import MediaDescription, Origin, SessionDescription


class SessionVersion:
    """
    Of the descriptions that one leg has written.

    @ivar number: the version of the last one.
    @ivar last: that description, with which the next is compared; C{None} before the first.
    """

    __slots__ = ("number", "last", "_sessionID")

    def __init__(self, sessionID: int) -> None:
        self.number = 1
        self.last: SessionDescription | None = None
        self._sessionID = str(sessionID)

    def described(self, host: str, media: tuple[MediaDescription, ...]) -> SessionDescription:
        """A description of C{media} under the version that there is."""
        origin = Origin("-", self._sessionID, str(self.number), host)
        return SessionDescription(origin, "-", connection=host, media=media)

    def written(self, description: SessionDescription) -> SessionDescription:
        """C{description} as it is to be sent: with the next version if anything changed, and only then."""
        if self.last is not None and description != self.last:
            self.number += 1
            description = replace(description, origin=replace(description.origin, version=str(self.number)))
        self.last = description
        return description

    def close(self) -> None:
        """Let go of the last description.  Another one may follow, in a refusal: it is a new version."""
        self.number += 1
        self.last = None


__all__ = ["SessionVersion"]
