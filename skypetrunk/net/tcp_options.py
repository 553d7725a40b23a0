"""
How a TCP connection is used for SIP: what the kernel finds out about the peer, and when it sends.

A machine that lost its power, or a router that forgot the connection, says nothing.  The kernel would try for
a quarter of an hour; a peer that lives may leave pings (RFC 5626) unanswered, but not their octets.
"""

from __future__ import annotations

import socket
from functools import partial
from typing import Any
from weakref import ref

from twisted.internet.interfaces import ISystemHandle, ITCPTransport
from twisted.internet.tcp import Connection
from twisted.logger import Logger

KEEP_ALIVE = (60, 10, 3)
"""
Seconds without octets until the first probe, between two, and how many may go unanswered.  On Linux none may,
since L{UNRECEIPTED} stands there instead of that number: a dead peer is found in 70 s.
"""

UNRECEIPTED = 9.0
"""
Seconds after which octets without a receipt end the connection.  A caller waits for that where there is no
other server, so it is well below timer B.  Receipts are the kernel's: a slow peer's come all the same, until
it has no room for more, and reads nothing for that long.
"""

MOST_WAITING = 1 << 24
"""
Octets that may wait for a peer that does not read: some seconds of all that the busiest trunk has to say.
Who asks and asks, and reads no answer, would else fill the memory.
"""

_log = Logger()


def watchPeer(transport: object) -> None:
    """
    Set the options of C{transport}, a TCP connection or TLS over one; another is left as it is.
    """
    if not ITCPTransport.providedBy(transport):
        return
    tcp: Any = transport
    # Messages are small and wait for each other.
    tcp.setTcpNoDelay(True)
    tcp.setTcpKeepAlive(True)
    # TLS gives OpenSSL's connection as its handle.
    below: Any = getattr(tcp, "transport", tcp)
    handle = below.getHandle() if ISystemHandle.providedBy(below) else None
    if isinstance(handle, socket.socket):
        first, between, count = KEEP_ALIVE
        for name, value in (
            ("TCP_KEEPIDLE", first),
            ("TCP_KEEPINTVL", between),
            ("TCP_KEEPCNT", count),
            ("TCP_USER_TIMEOUT", int(1000 * UNRECEIPTED)),
        ):
            option = getattr(socket, name, None)  # not every system has them
            if option is not None:
                handle.setsockopt(socket.IPPROTO_TCP, option, value)


def sendAtOnce(transport: object) -> None:
    """
    Have C{transport}, a TCP connection or TLS over one, send what is written in the same turn of the reactor.

    Twisted's way is to ask epoll whether there is room, and to send in the turn after that: three system
    calls and a turn for each message, while there is room unless something waits already.
    """
    tcp: Any = getattr(transport, "transport", transport)
    if isinstance(tcp, Connection):
        # Not by itself: connections that come and go would stay until all objects are looked through.
        tcp.write = partial(_write, ref(tcp))  # type: ignore[method-assign]


def _write(connection: ref[Any], data: bytes) -> None:
    """What finds no room takes Twisted's way, which finds out about a connection that is lost, too."""
    tcp = connection()
    if tcp is None:
        return
    ending = tcp.disconnecting or getattr(tcp, "_aborting", True)
    if tcp.connected and not (ending or tcp.dataBuffer or getattr(tcp, "_tempDataLen", 1)):
        sent = tcp.writeSomeData(data)
        if isinstance(sent, int):
            data = data[sent:]
    if data:
        type(tcp).write(tcp, data)
        if len(tcp.dataBuffer) + getattr(tcp, "_tempDataLen", 0) > MOST_WAITING and not ending:
            peer = tcp.getPeer()
            text = "{host} port {port} does not read what it is sent: connection given up"
            _log.warn(text, host=peer.host, port=peer.port)
            tcp.abortConnection()


__all__ = ["KEEP_ALIVE", "UNRECEIPTED", "sendAtOnce", "watchPeer"]
