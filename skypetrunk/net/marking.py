"""
The mark by which routers know what may not wait (DSCP, RFC 2474).
"""

from __future__ import annotations

import socket
from typing import Any

from zope.interface import directlyProvides, providedBy


def mark(opened: object, dscp: int) -> None:
    """
    Whatever leaves C{opened}, a port or a connection, carries C{dscp}, and so do the connections that a
    listening port accepts.  A system that does not let us sends as ever.

    @param dscp: 0 to 63.
    """
    # Four ports of each call come here: no interface is looked up.
    getHandle: Any = getattr(opened, "getHandle", None)
    handle = getattr(opened, "socket", None) if getHandle is None else getHandle()
    if not isinstance(handle, socket.socket):
        return
    old = handle.family == socket.AF_INET
    level, option = (socket.IPPROTO_IP, socket.IP_TOS) if old else (socket.IPPROTO_IPV6, socket.IPV6_TCLASS)
    try:
        # The two lower bits are those of congestion control (RFC 3168).
        handle.setsockopt(level, option, dscp << 2)
    except OSError:
        pass  # it is sent as ever


class MarkingReactor:
    """A reactor whose ports and connections are marked, from the first packet on."""

    def __init__(self, reactor: Any, dscp: int) -> None:
        """
        @param reactor: provides all else.
        """
        self._reactor = reactor
        self._dscp = dscp
        directlyProvides(self, *providedBy(reactor))

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._reactor, name)
        if callable(found):
            setattr(self, name, found)  # the time is asked for with each message
        return found

    def connectTCP(self, *arguments: Any, **named: Any) -> Any:
        """As the reactor's.  The connection begins in the next turn, so that the mark comes first."""
        connector = self._reactor.connectTCP(*arguments, **named)
        mark(getattr(connector, "transport", None), self._dscp)
        return connector

    def listenTCP(self, *arguments: Any, **named: Any) -> Any:
        """As the reactor's."""
        return self.marked(self._reactor.listenTCP(*arguments, **named))

    def listenUDP(self, *arguments: Any, **named: Any) -> Any:
        """As the reactor's."""
        return self.marked(self._reactor.listenUDP(*arguments, **named))

    def marked(self, port: Any) -> Any:
        """C{port}, which was opened past the reactor."""
        mark(port, self._dscp)
        return port


__all__ = ["MarkingReactor", "mark"]
