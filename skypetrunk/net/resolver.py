"""The way to DNS: the configured name servers, or the system's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.interfaces import IResolver
from twisted.names import client, dns, hosts, resolve

from skypetrunk.net.dns_records import TIMEOUTS
from skypetrunk.wire.address import isLiteral


def buildResolver(reactor: Any, servers: Sequence[str] = ()) -> IResolver:
    """
    The way to DNS.

    @param reactor: for UDP, TCP and time.
    @param servers: C{"192.0.2.53"} or C{"192.0.2.53:5353"}; with none, the system's hosts file and
        name servers.
    @raise ValueError: a server that is no literal address.
    """
    if servers:
        addresses = [_hostPort(each, dns.PORT) for each in servers]
        return client.Resolver(servers=addresses, timeout=TIMEOUTS, reactor=reactor)
    system = client.Resolver(resolv="/etc/resolv.conf", timeout=TIMEOUTS, reactor=reactor)
    return resolve.ResolverChain([hosts.Resolver(), system])


def _hostPort(text: str, default: int) -> tuple[str, int]:
    """A literal address, in brackets if it is IPv6 and a port follows."""
    if isLiteral(text):
        return text, default
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(default)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{text!r}: write [{host}]:{port}")
    if not isLiteral(host):
        raise ValueError(f"{text!r} must be a literal address, as 192.0.2.1:{default}")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"{text!r}: {port!r} is no port")
    return host, int(port)


__all__ = ["buildResolver"]
