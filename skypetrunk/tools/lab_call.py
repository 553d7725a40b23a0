"""C{skypetrunk lab-call}: let the running practice carrier call the trunk."""

from __future__ import annotations

import sys
from math import inf
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.python import usage

from skypetrunk.service.control import ControlRefused, ControlUnavailable, HangUp, PlaceCall, ask
from skypetrunk.tools.options import CommandOptions


class Options(CommandOptions):
    """The command line."""

    synopsis = "[options]"
    longdesc = (
        "Asks the practice carrier (twistd skypetrunk-lab) to call the trunk that is registered at it, tells"
        " how the call was answered, and ends it after a while. Exits with 0 if it was answered."
    )
    optParameters: Any = [
        ["socket", "s", "skypetrunk-lab/control.sock", "The lab's control socket."],
        ["to", "t", "+442079460100", "The called number, which the PBX gets."],
        ["from", "f", "+442079460200", "The calling number, a Skype name, or anonymous."],
        ["seconds", None, "5", "How long the call lasts; 0: until somebody hangs up."],
    ]

    def postOptions(self) -> None:
        """
        A length that is none.

        @raise UsageError: it is.
        """
        try:
            self["seconds"] = float(self["seconds"])
        except ValueError:
            raise usage.UsageError(f"--seconds: {self['seconds']} is no number") from None
        if not 0 <= self["seconds"] < inf:
            raise usage.UsageError("--seconds: wanted 0 or more")


async def placeCall(reactor: Any, socket: Path, called: str, caller: str, seconds: float) -> tuple[bool, str]:
    """
    Place a call, and end it.

    @return: whether it was answered, and what there is to say.
    """
    try:
        placed = await ask(reactor, socket, PlaceCall, number=called, caller=caller)
        if placed["status"] != 200:
            return False, f"not answered: {placed['reason']}"
        if seconds:
            await deferLater(reactor, seconds)
            await ask(reactor, socket, HangUp, call=placed["call"])
            return True, f"answered, and ended after {seconds:g} s ({placed['call']})"
    except (ControlUnavailable, ControlRefused) as error:
        return False, str(error)
    return True, f"answered; it goes on ({placed['call']})"


def main(options: Options) -> int:
    """Call, and tell."""
    from twisted.internet.task import react

    outcome: list[tuple[bool, str]] = []

    def run(reactor: Any) -> Deferred[None]:
        calling = placeCall(
            reactor, Path(options["socket"]), options["to"], options["from"], options["seconds"]
        )
        return Deferred.fromCoroutine(calling).addCallback(outcome.append)

    try:
        react(run)
    except SystemExit:
        pass
    if not outcome:
        return 1
    answered, text = outcome[0]
    print(f"{options['to']}: {text}", file=sys.stdout if answered else sys.stderr)
    return 0 if answered else 1
