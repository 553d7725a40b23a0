"""What is said of an address that cannot be listened at."""

from __future__ import annotations

import os

from twisted.internet.error import CannotListenError

from skypetrunk.wire.uri import writeHost


def placeOf(error: CannotListenError) -> str:
    """Host and port, or the path of a UNIX socket, which C{error} has as its port."""
    if isinstance(error.port, str | bytes):
        return os.fsdecode(error.port)
    return writeHost(error.interface, error.port) if error.interface else str(error.port)


__all__ = ["placeOf"]
