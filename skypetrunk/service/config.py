"""
The configuration file: TOML in, frozen values out, every mistake at once.

L{loadConfiguration} is the way in.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path

from attrs import evolve
from phonenumbers.shortnumberinfo import SUPPORTED_SHORT_REGIONS

from skypetrunk.interfaces import MediaHost, MediaPath
from skypetrunk.pbx.numbers import NumberPlan
from skypetrunk.profiles.tables import Problems, Table, readTOML
from skypetrunk.service.addresses import isLiteral, readHosts, readPorts, splitHostPort
from skypetrunk.service.emergency_check import warnShadows
from skypetrunk.service.pbx_table import checkListeners, checkPlugins, readPBX
from skypetrunk.service.plugin_table import readPlugins
from skypetrunk.service.route_table import impliedRoutes, readRoutes, warnUnrouted
from skypetrunk.service.settings import (
    DNS,
    DSCP,
    MOST_WORKERS,
    Configuration,
    Control,
    Limits,
    MediaConfiguration,
    Numbers,
    PBXConfiguration,
    PBXTLSConfiguration,
    Route,
    TLSConfiguration,
    TrunkConfiguration,
    TrunkMedia,
)
from skypetrunk.service.trunk_table import readTrunk

PORTS = (20000, 29999)
"""Default of C{media.ports}."""

# sun_path holds 108 octets with the final zero (unix(7)).
LONGEST_SOCKET = 107
"""Octets of the path of a control socket."""

# RTP and RTCP, on the PBX's side and on the carrier's; two more of a PBX in this process.
_PORTS_OF_A_CALL = 4
_PORTS_IN_PROCESS = 2

_NO_FILE = "; skypetrunk init writes one, --config names another"


def loadConfiguration(path: Path, environ: Mapping[str, str]) -> tuple[Configuration, tuple[str, ...]]:
    """
    Read and check the file C{path}; what it names is looked for beside it.

    @param environ: the process's environment, for C{password_env} and C{password_credential}.
    @return: the configuration, and warnings, one line each.
    @raise ConfigurationError: with every problem, one line each.
    """
    problems = Problems(str(path))
    top = Table(problems, "", readTOML(path, problems.file, _NO_FILE))
    # All paths are absolute from here on: a daemon may change its directory.
    directory = path.absolute().parent
    fileIsPublic = bool(path.stat().st_mode & stat.S_IROTH)

    trunkTables = top.tables("trunk", required=True)
    pbxTables = top.tables("pbx", required=True)
    trunks = tuple(readTrunk(table, directory, environ, fileIsPublic) for table in trunkTables)
    pbxes = tuple(readPBX(table, directory) for table in pbxTables)
    sides = (*trunkTables, *pbxTables)
    trunkNames = tuple(trunk.name for trunk in trunks)
    pbxNames = tuple(pbx.name for pbx in pbxes)
    _checkNames(sides, (*trunkNames, *pbxNames))
    _warnAccounts(trunkTables, trunks)

    routeTables = top.tables("route")
    if routeTables:
        routes = readRoutes(routeTables, trunkNames, pbxNames, {pbx.name for pbx in pbxes if pbx.plugin})
        warnUnrouted(sides, (*trunkNames, *pbxNames), routes)
    else:
        routes = impliedRoutes(top, trunkNames, pbxNames)

    dns = _readDNS(top.table("dns"))
    mediaTable = top.table("media")
    media = _readMedia(mediaTable)
    trunks = tuple(
        evolve(each, media=evolve(each.media, path=media.path(each.media.path))) for each in trunks
    )
    pbxes = tuple(evolve(each, mediaPath=_pbxPath(each, media)) for each in pbxes)
    inbound = [
        (Table(problems, table.key("inbound"), {}), trunk.inbound.listen)
        for table, trunk in zip(trunkTables, trunks, strict=True)
        if trunk.inbound is not None
    ]
    listening = [*zip(pbxTables, [pbx.listen for pbx in pbxes], strict=True), *inbound]
    paths = [*(trunk.media.path for trunk in trunks), *(pbx.mediaPath for pbx in pbxes)]
    hosts = {host.host for path in paths for host in path.hosts}
    checkListeners([table for table, _ in listening], [listen for _, listen in listening], media.ports, hosts)
    _warnMedia(mediaTable, media, dns, trunks, pbxes)
    numbers = _readNumbers(top.table("numbers"))
    if numbers.country in SUPPORTED_SHORT_REGIONS:
        plan = NumberPlan(numbers.country, numbers.outsideLine, numbers.emergency)
        warnShadows(problems, numbers, routes, plan)
    pluginTables = top.tables("plugin")
    plugins = readPlugins(pluginTables)
    checkPlugins(pbxTables, pbxes, [plugin.name for plugin in plugins])
    configuration = Configuration(
        trunks=trunks,
        pbxes=pbxes,
        routes=routes,
        media=media,
        dns=dns,
        numbers=numbers,
        control=_readControl(top.table("control"), directory),
        path=path,
        plugins=plugins,
        dscp=_readDSCP(top.table("dscp")),
    )
    for table in (top, *sides, *routeTables, *pluginTables):
        table.finish()
    problems.raiseAny()
    return configuration, tuple(problems.warnings)


def _warnAccounts(tables: Sequence[Table], trunks: Sequence[TrunkConfiguration]) -> None:
    """Most registrars keep one registration of an account."""
    seen: dict[tuple[str, str], str] = {}
    for table, trunk in zip(tables, trunks, strict=True):
        other = seen.setdefault((trunk.domain.lower(), trunk.username), trunk.name)
        if other != trunk.name and trunk.profile.register and trunk.username:
            text = f"is that of trunk.{other} too: one may take the other's registration"
            table.problems.warn(table.key("username"), text)


def _checkNames(tables: Sequence[Table], names: Sequence[str]) -> None:
    """Trunks and PBXes share one set of names: a route names either."""
    seen: dict[str, str] = {}
    for table, name in zip(tables, names, strict=True):
        if name in seen:
            table.wrong("name", f'"{name}" is taken by {seen[name]}', "another name")
        elif name:
            seen[name] = table.where


def _readWorkers(table: Table) -> int | None:
    workers = table.integer("workers", 0, MOST_WORKERS, -1)
    return None if workers < 0 else workers


def _readMedia(table: Table) -> MediaConfiguration:
    return MediaConfiguration(
        # What was wrong was noted.
        hosts=readHosts(table, "address", "advertise", required=True) or (MediaHost(""),),
        ports=readPorts(table, "ports", PORTS),
        silence=table.integer("silence", 0, 86400, 600),
        helper=table.boolean("helper", True),
        workers=_readWorkers(table),
    )


def _pbxPath(pbx: PBXConfiguration, media: MediaConfiguration) -> MediaPath:
    """Where it does not say, media has the IP version of its signalling."""
    path = media.path(pbx.mediaPath)
    if pbx.mediaPath.hosts or not pbx.listen:
        return path
    host = (pbx.address or pbx.listen[0]).host
    return path.preferring(6 if ":" in host else 4)


def _warnMedia(
    table: Table,
    media: MediaConfiguration,
    dns: DNS,
    trunks: Sequence[TrunkConfiguration],
    pbxes: Sequence[PBXConfiguration],
) -> None:
    low, high = media.ports
    calls = sum(trunk.limits.calls or 0 for trunk in trunks)
    each = _PORTS_OF_A_CALL + (_PORTS_IN_PROCESS if any(pbx.plugin for pbx in pbxes) else 0)
    room = (high - low + 1) // each
    if room < calls:
        text = f"{low}-{high} is enough for {room} calls, the trunks' limits allow {calls}"
        table.problems.warn(table.key("ports"), text)
    # A carrier that is on this machine is a laboratory's: found by a local server, or named.
    places = [host for trunk in trunks for host, _ in trunk.targets] + [host for host, _ in dns.servers]
    hosts = {host for trunk in trunks for host in trunk.media.path.hosts} or set(media.hosts)
    for shown in sorted(host.advertised or host.host for host in hosts):
        if _isLoopback(shown) and not any(map(_isLoopback, places)):
            text = f"{shown} is this machine's own: a carrier elsewhere cannot send audio there"
            table.problems.warn(table.key("address"), text)


def _isLoopback(host: str) -> bool:
    return isLiteral(host) and ip_address(host).is_loopback


def _readDSCP(table: Table) -> DSCP:
    marks = DSCP()
    return DSCP(
        table.integer("media", 0, 63, marks.media), table.integer("signalling", 0, 63, marks.signalling)
    )


def _readDNS(table: Table) -> DNS:
    servers = []
    for text in table.texts("servers", 'servers = ["192.0.2.53"]') or ():
        server = splitHostPort(text, 53)
        # A name server known by name would need a name server.
        if server is None or not isLiteral(server[0]):
            right = '"192.0.2.53" or "192.0.2.53:5353"'
            table.wrong("servers", f'"{text}" is no literal address', right)
        else:
            servers.append(server)
    return DNS(tuple(servers))


def _readNumbers(table: Table) -> Numbers:
    # Required: it says which numbers are for emergencies, and those never leave by a trunk.
    right = 'country = "GB", the two letters of where the PBX stands (they decide its emergency numbers)'
    country = table.text("country", right, required=True) or ""
    if country and country not in SUPPORTED_SHORT_REGIONS:
        right = f'did you mean "{country.upper()}"?' if country.upper() in SUPPORTED_SHORT_REGIONS else right
        table.wrong("country", f'"{country}" is no country', right)
    outsideLine = table.text("outside_line", 'outside_line = "9"') or ""
    if not re.fullmatch(r"[0-9*#]*", outsideLine):
        table.wrong("outside_line", f'is "{outsideLine}"', 'digits, as in outside_line = "9"')
    emergency = table.texts("emergency", 'emergency = ["117"]') or ()
    for number in emergency:
        if not re.fullmatch(r"[0-9*#]+", number):
            table.wrong("emergency", f'"{number}" is no number', 'digits as dialled, "117"')
    return Numbers(country, outsideLine, emergency)


def _readControl(table: Table, directory: Path) -> Control:
    text = table.text("socket", 'socket = "skypetrunk.sock"')
    if text is None:
        return Control()
    path = directory / text
    if len(os.fsencode(path)) > LONGEST_SOCKET:
        table.wrong("socket", f"{path} is too long", f"at most {LONGEST_SOCKET} octets")
    elif not path.parent.is_dir():
        table.wrong("socket", f"there is no directory {path.parent}", "a path in one that exists")
    return Control(path)


__all__ = [
    "DNS",
    "DSCP",
    "LONGEST_SOCKET",
    "Configuration",
    "Control",
    "Limits",
    "MediaConfiguration",
    "Numbers",
    "PBXConfiguration",
    "PBXTLSConfiguration",
    "Route",
    "TLSConfiguration",
    "TrunkConfiguration",
    "TrunkMedia",
    "loadConfiguration",
]
