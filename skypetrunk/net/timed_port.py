"""
A UDP port that knows how long each datagram waited for it.

What a busy process has not read yet waits in the socket's buffer, where no timer of the reactor sees it.
The kernel notes when each datagram came (Linux: SO_TIMESTAMPNS), so that overload shows with the first one
that is read late.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorFDSet
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.udp import Port
from twisted.logger import Logger

from skypetrunk.net.marking import MarkingReactor

BATCH = 8
"""Datagrams of one turn of the reactor: other connections have their answers to read, too."""

BUFFER = 1 << 20
"""Octets that may wait.  The kernel gives what it allows (net.core.rmem_max)."""

_SO_TIMESTAMPNS = 35  # asm-generic/socket.h; Python has no name for it
_TIME = struct.Struct("@qq")


class TimedPort(Port):
    """As Twisted's, with C{waited} told of each datagram before the protocol gets it."""

    _log = Logger()

    def __init__(self, waited: Callable[[float], None], *arguments: Any) -> None:
        """
        @param waited: takes seconds.
        @param arguments: of Twisted's port.
        """
        super().__init__(*arguments)
        self._waited = waited

    def _bindSocket(self) -> None:
        super()._bindSocket()
        # Without one or the other it works as well as any port.
        for option, value in ((_SO_TIMESTAMPNS, 1), (socket.SO_RCVBUF, BUFFER)):
            with contextlib.suppress(OSError):
                self.socket.setsockopt(socket.SOL_SOCKET, option, value)

    def doRead(self) -> None:
        """Some datagrams."""
        for _ in range(BATCH):
            if not self.connected:
                return  # closed by what came before
            try:
                datagram, ancillary, _, address = self.socket.recvmsg(self.maxPacketSize, 64)
            except OSError:
                return  # none is left, or an error of an earlier one: there will be others
            for level, kind, data in ancillary:
                if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(data) == _TIME.size:
                    seconds, nanoseconds = _TIME.unpack(data)
                    self._waited(time.time() - seconds - nanoseconds / 1e9)
            try:
                self.protocol.datagramReceived(datagram, address[:2])
            except Exception:
                self._log.failure("a datagram failed")


def listenUDP(
    reactor: Any,
    port: int,
    protocol: DatagramProtocol,
    interface: str,
    maxPacketSize: int,
    waited: Callable[[float], None] | None,
) -> Any:
    """
    As the reactor's own.

    @param waited: told how long each datagram waited, where system and reactor can tell.
    @raise CannotListenError: the port cannot be bound.
    """
    if waited is None or not IReactorFDSet.providedBy(reactor) or not hasattr(socket.socket, "recvmsg"):
        return reactor.listenUDP(port, protocol, interface=interface, maxPacketSize=maxPacketSize)
    timed = TimedPort(waited, port, protocol, interface, maxPacketSize, reactor)
    timed.startListening()
    return reactor.marked(timed) if isinstance(reactor, MarkingReactor) else timed
