"""C{skypetrunk firewall}: the rules that a configuration needs, for nftables, and its DNS records."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from skypetrunk.service.config import Configuration, loadConfiguration
from skypetrunk.service.options import CommandOptions
from skypetrunk.service.settings import InboundConfiguration, TrunkConfiguration
from skypetrunk.tools.needs import Need, isInner, needs


class Options(CommandOptions):
    """The command line."""

    synopsis = "[options]"
    longdesc = (
        "Prints what a firewall must let through for this configuration, as rules for nftables that accept"
        " it; they go into the chains input and output of the table inet filter. Where carriers call in, the"
        " DNS records that they look for stand behind them, as comments. Connects to nothing."
    )
    optParameters = [["config", "c", "trunk.toml", "The configuration file."]]


#: RFC 4861 and 3810; nothing goes by IPv6 without them.
_NEIGHBOURS = (
    "nd-neighbor-solicit",
    "nd-neighbor-advert",
    "nd-router-solicit",
    "nd-router-advert",
    "mld-listener-query",
    "mld-listener-report",
    "mld2-listener-report",
)


def main(options: Options) -> int:
    """
    Print.

    @raise ConfigurationError: with every problem of the configuration.
    """
    configuration, warnings = loadConfiguration(Path(options["config"]), os.environ)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for line in rules(configuration):
        print(line)
    return 0


def rules(configuration: Configuration) -> Iterator[str]:
    """A file for C{nft -f}."""
    found = needs(configuration)
    yield f"# What skypetrunk needs with {configuration.path}."
    yield "# nft -f adds these rules to the chains that exist; what drops the rest must stand behind them."
    yield "table inet filter {"
    for chain, inbound in (("output", False), ("input", True)):
        yield f"    chain {chain} {{"
        yield "        ct state established,related accept"
        # What ARP is for IPv4 is seen by these chains.
        yield "        # IPv6: finding neighbours"
        yield f"        icmpv6 type {{ {', '.join(_NEIGHBOURS)} }} accept"
        for need in found:
            if need.inbound is inbound:
                yield from _rule(need)
        yield "    }"
    yield "}"
    for trunk in configuration.trunks:
        if trunk.inbound is not None:
            yield from _records(trunk, trunk.inbound, configuration.media.advertise)


def _records(
    trunk: TrunkConfiguration, inbound: InboundConfiguration, advertise: str | None
) -> Iterator[str]:
    """What a carrier that calls in looks for (RFC 3263 section 4.2), as lines of a zone file."""
    yield ""
    if inbound.name is None:
        yield f"# {trunk.name} calls in by address: trunk.inbound.name would be the name to publish."
        return
    yield f"# DNS records to publish, so that the carrier of {trunk.name} finds us:"
    for record in inboundRecords(inbound, advertise):
        yield f"#   {record}"


def inboundRecords(inbound: InboundConfiguration, advertise: str | None) -> Iterator[str]:
    """
    Lines of a zone file.

    @param advertise: the public address, where NAT stands between.
    """
    name = f"{inbound.name}."
    addresses: list[str] = []
    for listen in inbound.listen:
        yield f"_sips._tcp.{name} 3600 IN SRV 10 10 {listen.port} {name}"
        address = listen.host
        if advertise is not None and isInner(address):
            address = advertise
        if address not in addresses:
            addresses.append(address)
    for address in addresses:
        yield f"{name} 3600 IN {'AAAA' if ':' in address else 'A'} {address}"


def _rule(need: Need) -> Iterator[str]:
    yield f"        # {need.why}"
    # Where both ends have literal addresses, each family has a rule of its own.
    families = {("ip6" if ":" in each else "ip") for each in (need.local, *need.remote) if each}
    for family in sorted(families) or [""]:
        remote = [each for each in need.remote if (":" in each) == (family == "ip6")]
        if (need.remote and not remote) or (need.local and (":" in need.local) != (family == "ip6")):
            continue
        yield f"        {' '.join(_words(need, family, remote))}"


def _words(need: Need, family: str, remote: Sequence[str]) -> Iterator[str]:
    here, there = ("daddr", "saddr") if need.inbound else ("saddr", "daddr")
    ourPort, theirPort = ("dport", "sport") if need.inbound else ("sport", "dport")
    if need.local:
        yield f"{family} {here} {need.local}"
    if remote and not any(each in ("0.0.0.0/0", "::/0") for each in remote):
        yield f"{family} {there} {remote[0] if len(remote) == 1 else '{ ' + ', '.join(remote) + ' }'}"
    if need.localPorts:
        yield f"{need.protocol} {ourPort} {need.localPorts}"
    if need.remotePorts:
        yield f"{need.protocol} {theirPort} {need.remotePorts}"
    yield "accept"
