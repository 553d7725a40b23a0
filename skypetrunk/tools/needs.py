"""What a firewall must let through, by the configuration alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from skypetrunk.net.locate import DEFAULT_PORT
from skypetrunk.net.revocation import OFF
from skypetrunk.service.settings import Configuration, PBXConfiguration, TrunkConfiguration
from skypetrunk.wire.address import isLiteral

__all__ = ["Need", "isInner", "needs"]

_INNER = [
    ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
]
"""What nobody outside can send to (RFC 1918, 6598, 4193)."""


def isInner(host: str) -> bool:
    """Is this literal address one of a private network?"""
    address = ip_address(host)
    return any(address.version == each.version and address in each for each in _INNER)


@dataclass(frozen=True, slots=True)
class Need:
    """
    One kind of packets.

    @ivar purpose: C{"dns"}, C{"signalling"}, C{"ocsp"}, C{"inbound"}, C{"media"} or C{"pbx"}.
    @ivar inbound: it begins outside.
    @ivar protocol: C{"udp"} or C{"tcp"}.
    @ivar local: our literal address; empty for any, where C{localPorts} is empty too.
    @ivar localPorts: C{"5060"} or C{"20000-29999"}; empty for any.
    @ivar remote: addresses and networks; empty for any.
    @ivar remotePorts: as C{localPorts}.
    @ivar why: in words.
    """

    purpose: str
    inbound: bool
    protocol: str
    local: str = ""
    localPorts: str = ""
    remote: tuple[str, ...] = ()
    remotePorts: str = ""
    why: str = ""

    def __str__(self) -> str:
        way = "from" if self.inbound else "to"
        there = ", ".join(self.remote) or "anywhere"
        ports = f" port {self.remotePorts}" if self.remotePorts else ""
        end = "at" if self.inbound else "from"
        here = f" {end} {self.local} port {self.localPorts}" if self.localPorts else ""
        return f"{self.protocol.upper()} {way} {there}{ports}{here}"


def needs(configuration: Configuration, trunks: Sequence[TrunkConfiguration] | None = None) -> Sequence[Need]:
    """
    Everything, in the order in which it is needed.

    @param trunks: those only, and nothing of the PBXes.
    """
    return tuple(_all(configuration, configuration.trunks if trunks is None else trunks, trunks is None))


def _all(configuration: Configuration, trunks: Sequence[TrunkConfiguration], pbxes: bool) -> Iterator[Need]:
    if any(not isLiteral(host) for trunk in trunks for host, _ in trunk.targets or (("", 0),)):
        yield from _dns(configuration)
    for trunk in trunks:
        yield from _trunk(trunk)
    media = configuration.media
    ports = f"{media.ports[0]}-{media.ports[1]}"
    names = ", ".join(trunk.name for trunk in trunks)
    shared = dict.fromkeys(host.host for trunk in trunks for host in trunk.media.path.hosts)
    for inbound in (False, True):
        for host in shared:
            yield Need("media", inbound, "udp", host, ports, why=f"{names}: SRTP and SRTCP")
    if pbxes:
        for pbx in configuration.pbxes:
            if pbx.plugin is None:
                yield from _pbx(pbx, ports, shared)


def _dns(configuration: Configuration) -> Iterator[Need]:
    servers = configuration.dns.servers or (("", 53),)
    for port in sorted({port for _, port in servers}):
        hosts = tuple(host for host, each in servers if each == port and host)
        for protocol in ("udp", "tcp"):
            yield Need("dns", False, protocol, remote=hosts, remotePorts=str(port), why="DNS")


def _trunk(trunk: TrunkConfiguration) -> Iterator[Need]:
    why = f"{trunk.name}: SIP over TLS"
    if not trunk.targets:
        # Its addresses change, and the ports stand in its SRV records.
        yield Need("signalling", False, "tcp", remotePorts=str(DEFAULT_PORT), why=f"{why}, found by DNS")
    for port in sorted({port for _, port in trunk.targets}):
        hosts = [host for host, each in trunk.targets if each == port]
        literal = tuple(host for host in hosts if isLiteral(host))
        yield Need(
            "signalling",
            False,
            "tcp",
            remote=literal if len(literal) == len(hosts) else (),
            remotePorts=str(port),
            why=why,
        )
    if trunk.tls.revocation != OFF:
        yield Need("ocsp", False, "tcp", remotePorts="80", why=f"{trunk.name}: OCSP")
    if trunk.inbound is not None:
        allowed = tuple(str(each) for each in trunk.inbound.allow or ())
        for address in trunk.inbound.listen:
            called = f"{trunk.name}: the carrier calls in"
            yield Need("inbound", True, "tcp", address.host, str(address.port), allowed, why=called)


def _pbx(pbx: PBXConfiguration, ports: str, shared: Collection[str]) -> Iterator[Need]:
    """@param shared: media addresses that everything may leave from, as carriers have them, too."""
    allowed = tuple(str(each) for each in pbx.allow)
    for address in pbx.listen:
        yield Need(
            "pbx",
            True,
            "udp" if address.transport == "UDP" else "tcp",
            address.host,
            str(address.port),
            allowed,
            why=f"{pbx.name}: its calls",
        )
    for address in pbx.addresses:
        yield Need(
            "pbx",
            False,
            "udp" if address.transport == "UDP" else "tcp",
            remote=(address.host,),
            remotePorts=str(address.port),
            why=f"{pbx.name}: calls to it",
        )
    # RTP may come from further machines.
    path = pbx.mediaPath
    allowed = tuple(dict.fromkeys((*allowed, *(str(each) for each in path.allow))))
    for host in path.hosts:
        yield Need("pbx", True, "udp", host.host, ports, allowed, why=f"{pbx.name}: RTP")
        if host.host not in shared:
            yield Need("pbx", False, "udp", host.host, ports, allowed, why=f"{pbx.name}: RTP")
    if path.group is not None:
        why, every = f"{pbx.name}: RTP of its group", "1024-65535"  # the port is in its SDP
        yield Need("pbx", True, "udp", path.group, every, allowed, why=why)
        yield Need("pbx", False, "udp", remote=(path.group,), remotePorts=every, why=why)
