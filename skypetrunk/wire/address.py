"""Where a message comes from or goes to: transport, host, port."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from skypetrunk.values import quick

_TRANSPORTS = ("UDP", "TCP", "TLS")


@quick
@dataclass(frozen=True, slots=True)
class TransportAddress:
    """
    One end of a signalling path.

    @ivar transport: C{"UDP"}, C{"TCP"} or C{"TLS"}.
    @ivar host: a literal address or a name; IPv6 without brackets.
    """

    transport: str
    host: str
    port: int

    @property
    def hostPort(self) -> str:
        """C{192.0.2.1:5060} or C{[2001:db8::1]:5060}, as written in SIP."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.transport.lower()}:{self.hostPort}"


@lru_cache(maxsize=1000)
def literal(host: str) -> IPv4Address | IPv6Address:
    """
    The address that C{host} is (without brackets).  A call asks a dozen times for the same few.

    @raise ValueError: it is none.
    """
    return ip_address(host)


def isLiteral(host: str) -> bool:
    """Is C{host} an IPv4 or IPv6 address (without brackets), which nobody has to be asked for?"""
    try:
        literal(host)
    except ValueError:
        return False
    return True


def foldedHost(host: str) -> str:
    """A host name or literal address (with or without brackets) in the form in which two are compared."""
    try:
        return str(literal(host.strip("[]")))
    except ValueError:
        return host.rstrip(".").lower()


def parseAddress(text: str) -> TransportAddress:
    """
    Read C{udp:127.0.0.1:5060} or C{tls:[::1]:5061}, as L{TransportAddress} writes them.

    @raise ValueError: says what would be right.
    """
    transport, _, rest = text.partition(":")
    host, colon, port = rest.rpartition(":")
    if transport.upper() not in _TRANSPORTS:
        raise ValueError(f"{text!r}: must begin with udp:, tcp: or tls:")
    if not (colon and port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise ValueError(f"{text!r}: must end with :PORT, a number up to 65535")
    if host.startswith("[") and host.endswith("]"):
        try:
            IPv6Address(host[1:-1])
        except ValueError:
            raise ValueError(f"{text!r}: {host[1:-1]!r} is no IPv6 address") from None
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{text!r}: an IPv6 address is written in brackets, {transport}:[{host}]:{port}")
    elif not host or any(c.isspace() or c in "[]/@" for c in host):
        raise ValueError(f"{text!r}: no host between transport and port")
    return TransportAddress(transport.upper(), host, int(port))


__all__ = ["TransportAddress", "foldedHost", "isLiteral", "literal", "parseAddress"]
