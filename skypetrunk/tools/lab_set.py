"""C{skypetrunk lab-set}: the switches of the running practice carrier."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python import usage

from skypetrunk.lab.control import SetSwitches
from skypetrunk.lab.switches import listed, split
from skypetrunk.service.control import ControlRefused, ControlUnavailable, ask
from skypetrunk.service.options import CommandOptions


class Options(CommandOptions):
    """The command line."""

    synopsis = "[options] [SWITCH=VALUE ...]"
    longdesc = (
        "Sets switches of the practice carrier (twistd skypetrunk-lab) that runs. Without any it lists all,"
        " with their values and what they do; a star marks what is not as it is by default."
    )
    optParameters: Any = [
        ["socket", "s", "skypetrunk-lab/control.sock", "The lab's control socket."],
    ]
    optFlags: Any = [
        ["defaults", "d", "First set all switches to their defaults."],
        ["json", None, "List as JSON: name, value, default and words of each switch."],
    ]

    def parseArgs(self, *words: str) -> None:
        """Switches."""
        try:
            self["changes"] = split(words)
        except ValueError as error:
            raise usage.UsageError(str(error)) from error


async def setSwitches(
    reactor: Any, socket: Path, changes: Mapping[str, str], defaults: bool = False
) -> list[dict[str, str]]:
    """
    Set switches.

    @param defaults: set all others to their defaults.
    @return: name, value, default and words of each there is.
    @raise ControlUnavailable: no lab runs there.
    @raise ControlRefused: a switch or value that is none; nothing is changed.
    """
    if defaults:
        others = await setSwitches(reactor, socket, {})
        back = {each["name"]: each["default"] for each in others if each["value"] != each["default"]}
        changes = back | dict(changes)
    answer = await ask(reactor, socket, SetSwitches, changes=json.dumps(dict(changes)))
    switches: list[dict[str, str]] = json.loads(answer["switches"])
    return switches


def main(options: Options) -> int:
    """Set them, and tell."""
    from twisted.internet.task import react

    changes: dict[str, str] = options["changes"]
    found: list[list[dict[str, str]]] = []
    problems: list[str] = []

    async def asking(reactor: Any) -> None:
        try:
            found.append(
                await setSwitches(reactor, Path(options["socket"]), changes, bool(options["defaults"]))
            )
        except (ControlUnavailable, ControlRefused) as error:
            problems.extend(str(error).splitlines())

    try:
        react(lambda reactor: Deferred.fromCoroutine(asking(reactor)))
    except SystemExit:
        pass
    for problem in problems:
        print(f"lab-set: {problem}", file=sys.stderr)
    if not found:
        return 1
    switches = [each for each in found[0] if not changes or each["name"] in changes]
    if options["json"]:
        print(json.dumps(switches, indent=2))
    else:
        print("\n".join(listed(switches, explained=not changes)))
    return 0
