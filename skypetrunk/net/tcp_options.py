"""
What the kernel is asked to find out about the peer of a TCP connection.

A machine that lost its power, or a router that forgot the connection, says nothing.  The kernel would try for
a quarter of an hour; a peer that lives may leave pings (RFC 5626) unanswered, but not their octets.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.interfaces import ISystemHandle, ITCPTransport

KEEP_ALIVE = (60, 10, 3)
"""Seconds without octets until the first probe, between two, and how many may go unanswered."""

UNRECEIPTED = 30.0
"""Seconds after which octets without a receipt end the connection: about as long as SIP waits (timer F)."""


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


__all__ = ["KEEP_ALIVE", "UNRECEIPTED", "watchPeer"]
