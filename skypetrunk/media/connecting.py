"""
Sockets that are connected to their one peer.

From a connected UDP socket the kernel knows the way, it takes nobody else's packets there, and tells when the
peer's port is closed.  But a peer that goes on from another place would not be heard.  So a socket is
connected only to a peer that sends from where its SDP says it receives, and while that peer is heard.
"""

from __future__ import annotations

import ctypes
import os
import socket
from functools import lru_cache
from ipaddress import ip_address
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

LOOK = 0.1
"""Seconds between looks at who is silent: for so long at most a peer that has moved is unheard besides."""

_SLOTS = 8

_UNSPECIFIED = bytes(32)
"""An address of the family AF_UNSPEC (0)."""

_connect = ctypes.CDLL(None, use_errno=True).connect


class Connected(Protocol):
    """A port, as L{Connections} know it."""

    def quietIn(self, now: float) -> float:
        """Seconds until it has not heard its peer for too long; 0 or less: it has not."""

    def disconnect(self) -> None:
        """Hear everybody again."""


class Connections:
    """Ends those of ports that are silent: one timer for all of them, while there are any."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._slots: list[dict[Connected, None]] = [{} for _ in range(_SLOTS)]
        self._places: dict[Connected, int] = {}
        self._place = 0
        self._next: IDelayedCall | None = None

    def add(self, port: Connected, seconds: float) -> None:
        """It is connected; look at it after so many seconds."""
        self._places[port] = place = (self._place + min(int(seconds / LOOK) + 1, _SLOTS - 1)) % _SLOTS
        self._slots[place][port] = None
        if self._next is None:
            self._next = self._clock.callLater(LOOK, self._tick)

    def remove(self, port: Connected) -> None:
        """It is not any more."""
        place = self._places.pop(port, None)
        if place is not None:
            self._slots[place].pop(port, None)
        if not self._places and self._next is not None:
            self._next.cancel()
            self._next = None

    def _tick(self) -> None:
        self._next = self._clock.callLater(LOOK, self._tick)
        self._place = (self._place + 1) % _SLOTS
        due, self._slots[self._place] = self._slots[self._place], {}
        now = self._clock.seconds()
        for port in due:
            seconds = port.quietIn(now)
            if seconds > 0:
                self.add(port, seconds)
            else:
                port.disconnect()


def mayConnect(opened: socket.socket) -> bool:
    """
    Does a socket keep its own address when it is connected, and no more?  One that is bound to all addresses
    takes one of them, and the address of a link belongs to an interface, which is forgotten.
    """
    return _staysOwn(opened.getsockname()[0])


@lru_cache(maxsize=64)
def _staysOwn(host: str) -> bool:
    address = ip_address(host.partition("%")[0])
    return not address.is_unspecified and not address.is_link_local


def disconnect(opened: socket.socket) -> None:
    """
    Hear everybody, as before; one that is not connected stays as it is.  Its port must have been asked for
    when it was bound: another one the kernel would take back.

    @raise OSError: the system does not do it.
    """
    try:
        opened.getpeername()
    except OSError:
        return
    # Python's own connect does not know this family.
    if _connect(opened.fileno(), _UNSPECIFIED, len(_UNSPECIFIED)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    # That the peer did not listen would be told to who sends next, be it a fax, and to somebody else.
    opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


__all__ = ["LOOK", "Connected", "Connections", "disconnect", "mayConnect"]
