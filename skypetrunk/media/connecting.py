"""
Sockets that are connected to their one peer.

From a connected UDP socket the kernel knows the way, it takes nobody else's packets there, and tells when the
peer's port is closed.  But a peer that goes on from another place would not be heard.  So a socket is
connected only to a peer that sends from where its SDP says it receives, and while that peer is heard.
"""

from __future__ import annotations

import ctypes
import os
import select
import socket
from functools import lru_cache
from ipaddress import ip_address
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

LOOK = 0.05
"""
Seconds: for so long at most a peer that has moved is unheard besides.  Who may be silent for long enough
within the same part of time is looked at together, each port some three times a second.
"""

_EARLY = 1e-6
"""Seconds: sums of a clock are not exact."""

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
        # By the number of the part of time at whose beginning they are looked at.
        self._slots: dict[int, dict[Connected, None]] = {}
        self._places: dict[Connected, int] = {}
        self._next: IDelayedCall | None = None
        self._planned = 0

    def add(self, port: Connected, seconds: float) -> None:
        """It is connected; look at it after so many seconds."""
        now = self._clock.seconds()
        self._place(port, now + seconds)
        self._plan(now)

    def _place(self, port: Connected, time: float) -> None:
        self._places[port] = place = int(time / LOOK) + 1
        self._slots.setdefault(place, {})[port] = None

    def remove(self, port: Connected) -> None:
        """It is not any more."""
        place = self._places.pop(port, None)
        slot = None if place is None else self._slots.get(place)
        if slot is not None and place is not None:
            slot.pop(port, None)
            if not slot:
                del self._slots[place]
        if not self._places and self._next is not None:
            self._next.cancel()
            self._next = None

    def _plan(self, now: float) -> None:
        """Look when somebody is due first."""
        if not self._slots:
            return
        first = min(self._slots)
        if self._next is not None:
            if self._planned <= first:
                return
            self._next.cancel()
        self._planned = first
        self._next = self._clock.callLater(max(first * LOOK - now, 0.0), self._look)

    def _look(self) -> None:
        self._next = None
        now = self._clock.seconds()
        for place in [each for each in self._slots if each * LOOK <= now + _EARLY]:
            for port in self._slots.pop(place):
                seconds = port.quietIn(now)
                if seconds > 0:
                    self._place(port, now + seconds)
                else:
                    port.disconnect()
        self._plan(now)


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


def heardEverybodyElse(opened: socket.socket) -> bool:
    """A socket that is connected: is all read that others have sent it before?"""
    waiting = select.poll()
    waiting.register(opened, select.POLLIN)
    return not waiting.poll(0)


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


__all__ = ["LOOK", "Connected", "Connections", "disconnect", "heardEverybodyElse", "mayConnect"]
