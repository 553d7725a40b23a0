"""C{skypetrunk status}: what a running trunk is doing."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from twisted.python import usage

from skypetrunk.core.protection import REQUIRED
from skypetrunk.printable import printable
from skypetrunk.service.config import loadConfiguration
from skypetrunk.service.control import ControlRefused, ControlUnavailable, askStatus
from skypetrunk.service.options import CommandOptions
from skypetrunk.service.records import legLine
from skypetrunk.service.tls_table import EXPIRY_DAYS


class Options(CommandOptions):
    """The command line."""

    synopsis = "[options]"
    longdesc = (
        "Asks the trunk that runs with this configuration, by its control socket, and prints trunks, PBXes"
        " and calls. Exits with 0 if every trunk is up, with 1 if one is not or nothing answers."
    )
    optParameters = [
        ["config", "c", "trunk.toml", "The configuration file of the running trunk."],
        ["socket", "s", None, "Its control socket, instead of the one in the configuration."],
    ]
    optFlags = [
        ["json", None, "Print everything, as JSON."],
        ["calls", None, "For each call that is up also what its media legs have seen so far."],
    ]


def main(options: Options) -> int:
    """
    Ask, and print.

    @raise ConfigurationError: with every problem of the configuration.
    @raise UsageError: the configuration has no control socket.
    """
    from twisted.internet.task import react

    path = options["socket"]
    if path is None:
        configuration, _ = loadConfiguration(Path(options["config"]), os.environ)
        path = configuration.control.socket
        if path is None:
            raise usage.UsageError(
                f"{options['config']}: control.socket: is missing, so that nobody can ask the trunk; would be"
                ' right: socket = "skypetrunk.sock", and then a new start'
            )
    state: dict[str, Any] = {}
    problem: list[str] = []

    async def fetch(reactor: Any) -> None:
        try:
            state.update(await askStatus(reactor, Path(path)))
        except (ControlUnavailable, ControlRefused) as error:
            problem.append(str(error))

    try:
        react(fetch)
    except SystemExit:
        pass
    if not problem and "trunks" not in state:
        problem.append(f"{path}: answers, but is no trunk: the practice carrier's, perhaps")
    if problem:
        print(f"skypetrunk: {problem[0]}", file=sys.stderr)
        return 1
    if options["json"]:
        print(json.dumps(state, indent=2))
    else:
        for line in summary(state, bool(options["calls"])):
            print(printable(line))
    return 0 if all(trunk["up"] for trunk in state.get("trunks", {}).values()) else 1


def summary(state: Mapping[str, Any], calls: bool = False) -> Iterator[str]:
    """
    The state in lines for people.

    @param calls: with the media of those that are up.
    """
    for name, trunk in state.get("trunks", {}).items():
        yield from _trunk(name, trunk)
    for name, pbx in state.get("pbxes", {}).items():
        yield from _pbx(name, pbx)
    yield f"calls: {state.get('calls', 0)} up, {state.get('started', 0)} since the start{_overload(state)}"
    if state.get("mediaPorts"):
        by = "the compiled helper" if state.get("mediaHelper") else "Python alone"
        yield f"media: {state['mediaPorts']} ports, relayed by {by}"
    for number, worker in enumerate(state.get("mediaWorkers", ()), 1):
        if worker["starts"]:
            yield f"media worker {number}: {_worker(worker)}"
    for call in state.get("up", ()):
        since = "answered" if call["answered"] else "ringing"
        yield f"  {call['call']}: {call['from']} to {call['called']}, {since}, {call['age']:.0f} s"
        if call.get("diagnosis"):
            yield f"    {call['diagnosis']}"
        for leg in call.get("media", ()) if calls else ():
            yield f"    {legLine(leg)}"


def _trunk(name: str, trunk: Mapping[str, Any]) -> Iterator[str]:
    """What the carrier proved, what is wrong, and what was seen of each of its servers."""
    tls = trunk["tls"] or {}
    where = f" at {trunk['peer']}" if trunk["peer"] else ""
    proof = f", {tls.get('version')} {tls.get('cipher')}, proved by {tls.get('proof')}" if trunk["up"] else ""
    if trunk["up"] and tls.get("expires"):
        end = datetime.fromisoformat(tls["expires"])
        days = (end - datetime.now(UTC)).days
        proof += f", certificate until {end:%Y-%m-%d}{f' ({days} days)' if days < EXPIRY_DAYS else ''}"
    if trunk["up"] and tls.get("revocation"):
        proof += f", {tls['revocation']}"
    problem = f": {trunk['problem']}" if trunk["problem"] else ""
    if trunk.get("retry") is not None:
        problem += f"; next attempt in {trunk['retry']} s"
    up = f"{trunk['calls']} calls{_refused(trunk)}"
    srtp = "" if trunk["srtp"] == REQUIRED else f", SRTP {trunk['srtp']}"
    yield f"trunk {name}: {trunk['state']}{where}{proof}{srtp}{problem}; {up}"
    for each in trunk.get("targets", ()):
        penalty = each["penalty"]
        left = f"passed over for {penalty:.0f} s" if penalty else "to be tried again"
        yield f"  {each['target']}: {left}: {each['reason']}"


def _pbx(name: str, pbx: Mapping[str, Any]) -> Iterator[str]:
    """Where it is heard, and what went wrong with what it sent."""
    if pbx.get("plugin"):
        yield f"pbx {name}: in this process, plugin {pbx['plugin']}; {pbx['calls']} calls{_refused(pbx)}"
        return
    last = ", ".join(pbx.get("strangerHosts", ()))
    hosts = f" (last {last})" if last else ""
    yield (
        f"pbx {name}: listens on {', '.join(pbx['listen'])}; {pbx['calls']} calls,"
        f" {pbx['strangers']} strangers dropped{hosts}, {pbx['malformed']} malformed messages{_refused(pbx)}"
    )
    registration = pbx.get("registration")
    if registration is not None:
        place = registration["contact"]
        yield f"  registered at {place} for {registration['expires']} s" if place else "  not registered"
    unproved = pbx.get("unproved", {}).get("password", 0)
    if unproved:
        yield f"  {unproved} requests with a wrong user name or password"
    if pbx.get("crowded"):
        yield f"  {pbx['crowded']} connections closed, as there were too many"
    if pbx.get("handshakes"):
        yield f"  {pbx['handshakes']} TLS connections that came to nothing"
    dialect = pbx.get("dialect")
    if dialect and dialect["failures"]:
        yield f"  {dialect['failures']} messages that the plugin {dialect['plugin']} failed to translate"
    for each in pbx.get("addresses", ()):
        if each["reason"]:
            yield f"  {each['address']}: passed over for {each['penalty']:.0f} s: {each['reason']}"


def _worker(worker: Mapping[str, Any]) -> str:
    """How one is, and how often it had to be started again."""
    again = f", started {worker['starts']} times" if worker["starts"] > 1 else ""
    if worker["process"] is None:
        return f"not running{again}"
    return f"process {worker['process']}, {worker['legs']} call legs{again}"


def _refused(neighbour: Mapping[str, Any]) -> str:
    """Calls that its limits kept out, if there are any."""
    refused = neighbour.get("limits", {}).get("refused", {})
    return "".join(f", {count} refused ({limit})" for limit, count in refused.items())


def _overload(state: Mapping[str, Any]) -> str:
    """Calls that were refused because there was too much to do, if there were any."""
    refused = state.get("overload", {}).get("refused", 0)
    return f", {refused} refused in overload" if refused else ""
