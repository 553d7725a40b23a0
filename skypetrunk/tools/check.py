"""C{skypetrunk check}: is this configuration right, and what does it do?"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from twisted.python import usage

from skypetrunk.core.fax_stream import PASS
from skypetrunk.core.mikey import SDES_KEYS
from skypetrunk.core.protection import OFF
from skypetrunk.errors import ConfigurationError
from skypetrunk.interfaces import MediaPath
from skypetrunk.pbx.numbers import NumberPlan
from skypetrunk.profiles.tables import problem
from skypetrunk.service.config import (
    Configuration,
    Limits,
    Numbers,
    PBXConfiguration,
    PBXTLSConfiguration,
    TrunkConfiguration,
    loadConfiguration,
)
from skypetrunk.service.emergency_check import prove
from skypetrunk.service.options import CommandOptions
from skypetrunk.service.plugins import checkSettings
from skypetrunk.service.settings import InboundConfiguration, TrunkDNS, TrunkMedia


class Options(CommandOptions):
    """The command line."""

    synopsis = "[options] [FILE]"
    longdesc = (
        "Reads the configuration FILE and everything it names, and connects to nothing. Prints what it "
        "means, and exits with 0; or prints each problem on a line of its own (file, key, what is wrong, "
        "what would be right), and exits with 2. Warnings change nothing."
    )
    optParameters = [["config", "c", "trunk.toml", "The configuration file; the same as FILE."]]

    def parseArgs(self, *words: str) -> None:
        """
        The file may be named without an option.

        @raise UsageError: there are two.
        """
        if len(words) > 1:
            raise usage.UsageError("one file at a time")
        for word in words:
            self["config"] = word


def main(options: Options) -> int:
    """
    Check, and print.

    @raise ConfigurationError: with every problem.
    """
    configuration, warnings = loadConfiguration(Path(options["config"]), os.environ)
    checked = checkSettings(configuration.plugins, configuration.path.absolute().parent)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for line in summary(configuration, checked):
        print(line)
    return 0


def summary(configuration: Configuration, checked: Collection[str] = ()) -> Iterator[str]:
    """
    What C{configuration} does, in lines for people.

    @param checked: the plugins that have looked at their settings.
    """
    for trunk in configuration.trunks:
        yield f"trunk {trunk.name}: {_trunk(trunk)}"
        if trunk.profile.notice:
            yield f"profile {trunk.profile.name}: {trunk.profile.notice}"
    for pbx in configuration.pbxes:
        yield f"pbx {pbx.name}: {_pbx(pbx)}"
    for route in configuration.routes:
        called = f", called {', '.join(route.called)}" if route.called else ""
        yield f"route: from {route.source} to {', then '.join(route.to)}{called}"
    media = configuration.media
    hosts = dict.fromkeys(host for path in _paths(configuration) for host in path.hosts)
    places = " and ".join(
        f"{host.host} (shown to carriers as {host.advertised})" if host.advertised else host.host
        for host in hosts
    )
    yield f"media: {places}, ports {media.ports[0]}-{media.ports[1]}"
    servers = ", ".join(f"{host} port {port}" for host, port in configuration.dns.servers)
    yield "dns: " + (servers or "the servers of the system")
    numbers = configuration.numbers
    line = f", outside line {numbers.outsideLine}" if numbers.outsideLine else ""
    more = f", and {', '.join(numbers.emergency)}" if numbers.emergency else ""
    yield f"numbers: {numbers.country}{line}; its emergency numbers{more} never go to a trunk"
    yield _emergency(numbers)
    if configuration.control.socket is not None:
        yield f"control: {configuration.control.socket}"
    for plugin in configuration.plugins:
        known = plugin.name in checked
        yield f"plugin {plugin.name}: installed{', and takes its settings' if known else ''}"
    yield f"{configuration.path}: good"


def _paths(configuration: Configuration) -> Iterator[MediaPath]:
    yield from (trunk.media.path for trunk in configuration.trunks)
    yield from (pbx.mediaPath for pbx in configuration.pbxes)


def _emergency(numbers: Numbers) -> str:
    """
    The proof that emergency numbers are recognised, whatever the rules for other numbers are.

    @raise ConfigurationError: one is not: with that form.
    """
    plan = NumberPlan(numbers.country, numbers.outsideLine, numbers.emergency)
    asked, missed = prove(plan, plan, numbers.outsideLine)
    if missed:
        right = "other numbers.outside_line or numbers.emergency"
        raise ConfigurationError(
            tuple(problem("numbers", f"{form} could reach a trunk", right) for form in missed)
        )
    known = ", ".join(plan.emergencyNumbers())
    return f"emergency: {known}; all {asked} written forms are kept from the trunks"


def _records(dns: TrunkDNS) -> str:
    """Whose, where they are not the domain's own."""
    other = dns.srv or dns.domain
    return f" ({other})" if other else ""


def _trunk(trunk: TrunkConfiguration) -> str:
    """Who is called, how it must prove itself, and how media is kept secret."""
    tls = trunk.tls
    parts = [
        f"{trunk.username} at {trunk.domain}, profile {trunk.profile.name}",
        "registers" if trunk.profile.register else "does not register",
        "at " + ", ".join(f"{host} port {port}" for host, port in trunk.targets)
        if trunk.targets
        else f"found by DNS{_records(trunk.dns)}",
        f"roots in {tls.caFile}" if tls.caFile else "the system's roots",
    ]
    if tls.pins:
        parts.append(f"{len(tls.pins)} pinned keys{', only reported' if tls.pinsReported else ''}")
    lists = f", CRLs in {tls.crlFile}" if tls.crlFile else ""
    parts.append(f"revocation {tls.revocation}{lists}")
    if tls.certificate:
        parts.append(f"own certificate {tls.certificate}")
    if trunk.inbound is not None:
        parts.append(_inbound(trunk.inbound))
    suites = f" ({', '.join(trunk.media.suites)}){_keys(trunk.media)}"
    parts.append(f"SRTP {trunk.media.path.srtp}{suites if trunk.media.path.srtp != OFF else ''}")
    if trunk.media.t38 == PASS:
        parts.append("T.38 in clear")
    parts.extend(_limits(trunk.limits))
    return "; ".join(parts)


def _keys(media: TrunkMedia) -> str:
    """How its keys are agreed, where that is not the usual way."""
    if media.keys == SDES_KEYS:
        return ""
    return f", keys by MIKEY {'in clear' if media.mikeyKey is None else 'with a pre-shared key'}"


def _inbound(inbound: InboundConfiguration) -> str:
    """Where the carrier calls in, and what tells that it is the carrier."""
    listen = ", ".join(map(str, inbound.listen))
    proofs = [f"a certificate under {inbound.files.caFile}"] if inbound.files.caFile is not None else []
    if inbound.allow is not None:
        proofs.append(f"an address in {', '.join(map(str, inbound.allow))}")
    return f"is called at {listen}, by who has {' and '.join(proofs)}"


def _pbx(pbx: PBXConfiguration) -> str:
    """Where we listen, where calls go, who may call; or who it is, if it is in this process."""
    if pbx.plugin:
        return "; ".join([f"lives in this process, as the plugin {pbx.plugin}", *_limits(pbx.limits)])
    listen = ", ".join(map(str, pbx.listen))
    allow = ", ".join(map(str, pbx.allow))
    addresses = ", then ".join(map(str, pbx.addresses)) or f"where {pbx.username} has registered"
    if pbx.optionsInterval:
        addresses += f", asked by OPTIONS every {pbx.optionsInterval} s"
    parts = [f"listens on {listen}", f"calls go to {addresses}", f"calls may come from {allow}"]
    if pbx.username:
        parts.append(f"its calls must prove to come from {pbx.username}")
    if pbx.tls is not None:
        parts.append(_pbxTLS(pbx.tls))
    if pbx.dialect:
        parts.append(f"its dialect is the plugin {pbx.dialect}")
    return "; ".join([*parts, *_limits(pbx.limits)])


def _pbxTLS(tls: PBXTLSConfiguration) -> str:
    """What each side has to show."""
    parts = [f"TLS with {tls.files.certificate}"]
    if tls.files.caFile is not None:
        whose = tls.name or "its address"
        parts.append(f"the PBX has to show a certificate of {whose} under {tls.files.caFile}")
    if tls.files.pins:
        parts.append(f"{len(tls.files.pins)} pinned keys")
    return ", ".join(parts)


def _limits(limits: Limits) -> Iterator[str]:
    """What is not without bound."""
    if limits.calls is not None:
        burst = f", {limits.burst} more of the carrier's" if limits.burst else ""
        yield f"at most {limits.calls} calls{burst}"
    if limits.callsPerSecond is not None:
        yield f"at most {limits.callsPerSecond} new calls in a second"
    if limits.minutesPerDay is not None:
        yield f"at most {limits.minutesPerDay} minutes a day"
    if limits.allow:
        yield f"only to {', '.join(limits.allow)}"
    if limits.deny:
        yield f"not to {', '.join(limits.deny)}"
