"""Addresses, names and numbers as they are written in a configuration."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from skypetrunk.interfaces import MediaHost
from skypetrunk.profiles.tables import Table
from skypetrunk.wire.address import TransportAddress, isLiteral, parseAddress

__all__ = [
    "isHostName",
    "isLiteral",
    "readHosts",
    "readName",
    "readNetwork",
    "readPorts",
    "readSIPAddress",
    "splitHostPort",
]

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")


def isHostName(host: str) -> bool:
    """Is C{host} a domain name, in ASCII?  C{1.2.3} or C{192.0.2.300} is none."""
    return bool(_NAME.fullmatch(host)) and len(host) <= 253 and not host.rstrip(".").split(".")[-1].isdigit()


def splitHostPort(text: str, default: int) -> tuple[str, int] | None:
    """
    C{host}, C{host:port}, C{[v6]} or C{[v6]:port}.

    @return: host without brackets and port, or C{None} when C{text} is neither.
    """
    if isLiteral(text):
        return text, default
    match = re.fullmatch(r"(?:\[([^\]]+)\]|([^:\[\]]+))(?::([0-9]{1,5}))?", text)
    if match is None:
        return None
    bracketed, plain, digits = match.groups()
    port = int(digits) if digits else default
    if not 0 < port < 65536:
        return None
    if bracketed is not None:
        return (bracketed, port) if isLiteral(bracketed) and ":" in bracketed else None
    return (plain, port) if isLiteral(plain) or isHostName(plain) else None


def readName(table: Table, example: str) -> str:
    """The name of a trunk or PBX; empty when it is missing."""
    right = f'name = "{example}"'
    name = table.text("name", right, required=True)
    if name is None:
        return ""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        table.wrong("name", f'is "{name}"', f'{right}, with letters, digits, ".", "_" and "-"')
    return name


def readHosts(
    table: Table, name: str, advertise: str | None = None, *, required: bool = False
) -> tuple[MediaHost, ...]:
    """
    Addresses of this machine for media, one of each IP version at most.

    @param advertise: the key with what they are shown as beyond NAT.
    """
    own = _readLiterals(table, name, "192.0.2.1", required=required)
    shown = {} if advertise is None else _readLiterals(table, advertise, "203.0.113.7")
    for version, text in shown.items():
        if version not in own and (own or not required):
            table.wrong(advertise or "", f'"{text}" is IPv{version}', f"{name} of IPv{version} beside it")
    return tuple(MediaHost(host, shown.get(version)) for version, host in own.items())


def _readLiterals(table: Table, name: str, example: str, *, required: bool = False) -> dict[int, str]:
    """By their IP version, literal addresses that can be told to others."""
    found: dict[int, str] = {}
    for text in table.textOrTexts(name, f'{name} = "{example}"', required=required) or ():
        if not isLiteral(text):
            table.wrong(name, f'"{text}" is no literal address', f'{name} = "{example}"')
        elif _canBeTold(table, name, text):
            version = ip_address(text).version
            if version in found:
                table.wrong(name, f'"{text}" is IPv{version}, as "{found[version]}" is', "one of each")
            found.setdefault(version, text)
    return found


def _canBeTold(table: Table, name: str, host: str) -> bool:
    if ip_address(host).is_unspecified:
        table.wrong(name, f'"{host}" stands for every address', "one of them, which others can be told")
        return False
    return True


def readSIPAddress(table: Table, name: str, text: str) -> TransportAddress | None:
    """C{udp:address:port}, C{tcp:address:port} or C{tls:address:port}, literal."""
    example = '"udp:192.0.2.1:5060", with a literal address'
    try:
        address = parseAddress(text)
    except ValueError:
        table.wrong(name, f'"{text}" is no address', example)
        return None
    if not isLiteral(address.host) or not 0 < address.port < 65536:
        table.wrong(name, f'"{text}" is no literal address with a port', example)
        return None
    return address if _canBeTold(table, name, address.host) else None


def readNetwork(table: Table, name: str, text: str) -> IPv4Network | IPv6Network | None:
    """C{192.0.2.0/24}, or a single address."""
    try:
        return ip_network(text)
    except ValueError:
        pass
    try:
        right = f'did you mean "{ip_network(text, strict=False)}"?'
    except ValueError:
        right = '"192.0.2.0/24" or "192.0.2.5"'
    table.wrong(name, f'"{text}" is no network', right)
    return None


def readPorts(table: Table, name: str, default: tuple[int, int]) -> tuple[int, int]:
    """C{"20000-29999"}: pairs of ports, RTP even and RTCP odd (RFC 3550 section 11)."""
    example = f'{name} = "{default[0]}-{default[1]}"'
    text = table.text(name, example)
    if text is None:
        return default
    match = re.fullmatch(r"\s*([0-9]{1,5})\s*-\s*([0-9]{1,5})\s*", text)
    if match is None:
        table.wrong(name, f'"{text}" is no range', example)
        return default
    low, high = int(match[1]), int(match[2])
    if not 1024 <= low < high <= 65535:
        table.wrong(name, f'"{text}" does not go up between 1024 and 65535', example)
        return default
    if low % 2 or not high % 2:
        table.wrong(
            name,
            f'"{text}" does not hold whole pairs, an even port and the odd one after it',
            f'did you mean "{low - low % 2}-{high - (high + 1) % 2}"?',
        )
        return default
    if high - low < 3:
        table.wrong(name, f'"{text}" has less than the two pairs of one call', example)
        return default
    return low, high
