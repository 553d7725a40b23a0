"""Addresses and ports for peers: below the kernel's ephemeral range, each tried before it is given away."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

#: Names the range of ports for a process that runs beside another one.
RANGE = "SKYPETRUNK_INTEROP_PORTS"

#: Below 32768, where the kernel takes ports for outgoing connections; above the well-known ones.
LOWEST, HIGHEST = map(int, os.environ.get(RANGE, "10000-32000").split("-"))

#: Ports that were given last, the newest last.  What took older ones ended tests ago.
_given: dict[int, None] = {}
_MOST_GIVEN = 8000

# Two runs on one machine, or a run beside other programs, share the loopback interface and its
# capture; so each run has its own street in 127.0.0.0/8.
_street = f"127.{random.randrange(1, 255)}.{random.randrange(256)}."


def host(number: int) -> str:
    """The loopback address of this run with this last octet."""
    return f"{_street}{number}"


def isOurs(address: str) -> bool:
    """Is C{address} one of this run's?"""
    return address.startswith(_street)


def _free(port: int) -> bool:
    # At all addresses: baresip and ffmpeg bind to none, so that whoever has it at any is in their way.
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as trial:
            if kind == socket.SOCK_STREAM:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("0.0.0.0", port))
            except OSError:
                return False
    return True


def takePorts(address: str, count: int = 1) -> int:
    """
    The first of C{count} consecutive ports that are free for UDP and TCP, at C{address} and all others.  It
    is even, and not among those that this process was given last.  After thousands no long row of others is
    left: then fewer of the last ones count.
    """
    for newest in (_MOST_GIVEN, _MOST_GIVEN // 4, _MOST_GIVEN // 16):
        given = set(list(_given)[-newest:])
        for _ in range(500):
            first = random.randrange(LOWEST, HIGHEST - count) & ~1
            wanted = range(first, first + count)
            if given.isdisjoint(wanted) and all(map(_free, wanted)):
                for port in wanted:
                    _given.pop(port, None)
                _given.update(dict.fromkeys(wanted))
                for port in list(_given)[:-_MOST_GIVEN]:
                    del _given[port]
                return first
    raise RuntimeError(f"no {count} free ports at {address}")


def listening(kind: str, address: str, port: int) -> bool:
    """
    Is a socket of C{kind} (C{"tcp"} or C{"udp"}) bound at C{address}?  Read from the kernel's
    table, because a trial connection would count as a call or a handshake at the peer.
    """
    return not _bound(kind).isdisjoint({(address, port), ("0.0.0.0", port)})


def boundPorts(kind: str, address: str, low: int, high: int) -> list[int]:
    """Ports from C{low} to C{high}, both included, that are bound at C{address}."""
    return sorted(port for host, port in _bound(kind) if host == address and low <= port <= high)


def _bound(kind: str) -> set[tuple[str, int]]:
    bound = set()
    for table in (kind, f"{kind}6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if kind == "tcp" and fields[3] != "0A":  # LISTEN
                continue
            host, port = fields[1].split(":")
            # IPv6 sockets matter only as wildcards, which take IPv4 as well.
            literal = "0.0.0.0" if len(host) > 8 else socket.inet_ntoa(bytes.fromhex(host)[::-1])
            bound.add((literal, int(port, 16)))
    return bound
