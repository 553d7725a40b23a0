"""One C{[[pbx]]}, and what several of them and the media ports may not share."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path

from skypetrunk.core.identity import CALLER_PLACES, FROM
from skypetrunk.core.keys_pressed import AUTO, KEY_FORMS
from skypetrunk.core.number_form import AS_GIVEN, FORMS
from skypetrunk.interfaces import MediaPath
from skypetrunk.profiles.tables import Table, didYouMean
from skypetrunk.service.addresses import isLiteral, readHosts, readName, readNetwork, readSIPAddress
from skypetrunk.service.limit_table import readLimits
from skypetrunk.service.redirection_table import readRedirection
from skypetrunk.service.secrets import readSecretFile
from skypetrunk.service.settings import PBXConfiguration
from skypetrunk.service.tls_table import readPBXTLS
from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.secret import Secret

_Networks = tuple[IPv4Network | IPv6Network, ...]

# Stands in for an address that was wrong, which was noted: it is never handed out.
_NOWHERE = TransportAddress("UDP", "127.0.0.1", 9)

_SIP_KEYS = (
    "listen",
    "address",
    "allow",
    "register",
    "username",
    "password_file",
    "options_interval",
    "options_unusable",
    "emergency_status",
    "caller_from",
    "tls",
    "dialect",
    "redirect",
    "redirect_allow",
    "media_address",
    "media_allow",
    "multicast",
    "symmetric_rtp",
    "dtmf",
    "media_silence",
)

OPTIONS_SECONDS = 30
"""Default of C{pbx.options_interval} where there is more than one address."""


def readPBX(table: Table, directory: Path) -> PBXConfiguration:
    """
    The PBX in C{table}; what is wrong is noted in its problems.

    @param directory: where relative paths start.
    """
    name = readName(table, "office")
    if "plugin" in table:
        return _readInProcess(table, name)
    table.passOver("plugin")
    listen = []
    for text in table.texts("listen", 'listen = ["udp:192.0.2.1:5060"]', required=True) or ():
        own = readSIPAddress(table, "listen", text)
        if own is not None:
            listen.append(own)
    registers = table.boolean("register", False)
    addresses = _readAddresses(table, listen, required=not registers)
    if registers:
        _checkRegisters(table)
    allow = _readAllow(table, addresses)
    username, password = _readAccount(table, directory)
    redirect, redirectAllow = readRedirection(table)
    group = _readGroup(table)
    mediaAllow = _readNetworks(table, "media_allow")
    return PBXConfiguration(
        name=name,
        listen=tuple(listen),
        address=None if registers else (addresses or [_NOWHERE])[0],
        allow=allow,
        optionsUnusable=table.integer("options_unusable", 400, 699, 503),
        emergencyStatus=table.integer("emergency_status", 400, 699, 503),
        callerFrom=table.choice("caller_from", CALLER_PLACES, FROM),
        numberForm=table.choice("number_form", FORMS, AS_GIVEN),
        limits=readLimits(table.table("limits")),
        username=username,
        password=password,
        redirect=redirect,
        redirectAllow=redirectAllow,
        mediaSilence=table.integer("media_silence", 0, 86400, 0),
        dtmf=table.choice("dtmf", KEY_FORMS, AUTO),
        mediaPath=MediaPath(
            hosts=readHosts(table, "media_address"),
            # A group has no host that SDP could name.
            allow=mediaAllow or (allow if group else ()),
            group=group,
            symmetric=table.boolean("symmetric_rtp", True),
        ),
        others=tuple(addresses[1:]),
        optionsInterval=table.integer("options_interval", 0, 3600, OPTIONS_SECONDS if addresses[1:] else 0),
        tls=readPBXTLS(
            table.table("tls"),
            directory,
            listens=any(own.transport == "TLS" for own in listen),
            calls=any(address.transport == "TLS" for address in addresses),
        ),
        dialect=table.text("dialect", 'dialect = "odd-headers", the name of a [[plugin]]'),
    )


def _readAllow(table: Table, addresses: Sequence[TransportAddress]) -> _Networks:
    """@param addresses: of the PBX, which may call where nothing else is said."""
    hosts = dict.fromkeys(ip_address(address.host) for address in addresses)
    allow = _readNetworks(table, "allow")
    if "allow" not in table:
        return tuple(ip_network(host) for host in hosts)
    if not allow:
        table.wrong("allow", "lets nobody call", f'allow = ["{(addresses or [_NOWHERE])[0].host}"]')
        return ()
    for host in hosts:
        if not any(host in network for network in allow):
            text = f"{host} is not among them: calls go there, none may come from there"
            table.problems.warn(table.key("allow"), text)
    return allow


def _readNetworks(table: Table, name: str) -> _Networks:
    texts = table.texts(name, f'{name} = ["192.0.2.0/24"]') or ()
    read = [readNetwork(table, name, text) for text in texts]
    return tuple(network for network in read if network is not None)


def _readGroup(table: Table) -> str | None:
    """The multicast group that its SDP may name."""
    text = table.text("multicast", 'multicast = "239.1.2.3"')
    if text is None:
        return None
    if not isLiteral(text) or "%" in text or not ip_address(text).is_multicast:
        table.wrong("multicast", f'"{text}" is no multicast group', 'multicast = "239.1.2.3"')
        return None
    return str(ip_address(text))


def _readInProcess(table: Table, name: str) -> PBXConfiguration:
    """A PBX of a vendor that lives in this process: it has no addresses, and nothing to prove."""
    for key in _SIP_KEYS:
        if key in table:
            table.passOver(key)
            table.wrong(key, "stands beside plugin", "one of them: a PBX in this process has no SIP")
    return PBXConfiguration(
        name=name,
        listen=(),
        address=None,
        allow=(),
        numberForm=table.choice("number_form", FORMS, AS_GIVEN),
        limits=readLimits(table.table("limits")),
        plugin=table.text("plugin", 'plugin = "attendant", the name of a [[plugin]]'),
    )


def _readAccount(table: Table, directory: Path) -> tuple[str, Secret | None]:
    """What the PBX proves itself with, if it must."""
    username = table.text("username", 'username = "office"') or ""
    path = table.text("password_file", 'password_file = "office.secret"')
    for name, other in (("username", "password_file"), ("password_file", "username")):
        if name in table and other not in table:
            table.wrong(other, f"is missing beside {name}", "both, or none where the address is proof enough")
    password = None if path is None else readSecretFile(table, "password_file", directory / path)
    return username, password


def _checkRegisters(table: Table) -> None:
    """Where it is, only the PBX knows; that it is the PBX, it must prove."""
    for name in ("address", "options_interval"):
        if name in table:
            table.wrong("register", f"stands beside {name}", "one of them: calls go where it registered")
    for name, right in (("username", 'username = "office"'), ("allow", 'allow = ["192.0.2.0/24"]')):
        if name not in table:
            table.wrong(name, "is missing beside register", right)


def _readAddresses(
    table: Table, listen: Sequence[TransportAddress], *, required: bool
) -> list[TransportAddress]:
    """Where calls go, each once."""
    addresses: list[TransportAddress] = []
    for text in table.textOrTexts("address", 'address = "udp:192.0.2.5:5060"', required=required) or ():
        address = readSIPAddress(table, "address", text)
        if address is None:
            continue
        if address in addresses:
            table.wrong("address", f'"{address}" stands there twice', "each once")
        elif listen:
            _checkCanCall(table, address, listen)
        addresses.append(address)
    return addresses


def _checkCanCall(table: Table, address: TransportAddress, listen: Sequence[TransportAddress]) -> None:
    """A call to the PBX leaves from one of our own sockets, or at least names one in Via and Contact."""
    version = ip_address(address.host).version
    for own in listen:
        if own.transport == address.transport and ip_address(own.host).version == version:
            if own == address:
                table.wrong("address", f'"{address}" is our own', "where the PBX listens")
            return
    kind = f"{address.transport.lower()} address with IPv{version}"
    table.wrong("address", f'"{address}" cannot be reached: listen has no {kind}', "one in listen too")


def checkPlugins(
    tables: Sequence[Table], pbxes: Sequence[PBXConfiguration], plugins: Sequence[str]
) -> None:
    """What a PBX names is one of the C{plugins}; what that provides is asked when it is made."""
    seen: dict[str, str] = {}
    for table, pbx in zip(tables, pbxes, strict=True):
        for key, plugin in (("dialect", pbx.dialect), ("plugin", pbx.plugin)):
            if plugin is not None and plugin not in plugins:
                right = didYouMean(plugin, plugins) if plugins else f'[[plugin]] with name = "{plugin}" too'
                table.wrong(key, f'there is no plugin "{plugin}"', right)
        if pbx.plugin is not None:
            if pbx.plugin in seen:
                table.wrong("plugin", f'"{pbx.plugin}" is {seen[pbx.plugin]} already', "one pbx for each")
            seen[pbx.plugin] = table.where


def checkListeners(
    tables: Sequence[Table],
    listeners: Sequence[Sequence[TransportAddress]],
    ports: tuple[int, int],
    hosts: Collection[str],
) -> None:
    """
    No two sockets want the same address, and none a media port.

    @param tables: whose C{listen} it is.
    @param listeners: what stands in each.
    @param ports: of media, the first and the last.
    @param hosts: that they are bound on.
    """
    low, high = ports
    seen: dict[TransportAddress, str] = {}
    for table, listen in zip(tables, listeners, strict=True):
        for own in listen:
            if own in seen:
                table.wrong("listen", f'"{own}" stands in {seen[own]} already', "another port")
            seen[own] = table.key("listen")
            if own.transport == "UDP" and own.host in hosts and low <= own.port <= high:
                table.wrong("listen", f'"{own}" lies among the media ports', f"outside {low}-{high}")
