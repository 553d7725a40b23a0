"""C{skypetrunk lab-call}: let the running practice carrier call the trunk."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Any

from twisted.internet.task import deferLater
from twisted.python import usage

from skypetrunk.printable import printable
from skypetrunk.service.control import ControlRefused, ControlUnavailable, HangUp, PlaceCall, ask
from skypetrunk.service.options import CommandOptions
from skypetrunk.tools.one_run import OneRun
from skypetrunk.tools.terminal import Terminal

_LONGEST = 255
"""Characters of a number or name."""


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
        A length that is none; a number or name that nobody could be asked to call.

        @raise UsageError: it is.
        """
        for name in ("to", "from"):
            # What the terminal sent in another encoding has characters that cannot be printed.
            if len(self[name]) > _LONGEST or not self[name].isprintable():
                raise usage.UsageError(f"--{name}: wanted at most {_LONGEST} characters that can be printed")
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
            try:
                await deferLater(reactor, seconds)
            finally:
                # Ctrl-C ends the call too: there would be nobody left to end it.
                with suppress(ControlRefused):  # the other side has done so
                    await ask(reactor, socket, HangUp, call=placed["call"])
            return True, f"answered, and ended after {seconds:g} s ({placed['call']})"
    except (ControlUnavailable, ControlRefused) as error:
        return False, str(error)
    return True, f"answered; it goes on ({placed['call']})"


def main(options: Options) -> int:
    """
    Call, and tell.

    @return: 0 if the call was answered, 1 if not, 130 if it was interrupted.
    """
    from twisted.internet import reactor

    terminal = Terminal(sys.stdout, os.environ)
    outcome: list[tuple[bool, str]] = []

    async def calling() -> int:
        socket, called = Path(options["socket"]), options["to"]
        terminal.begin(f"Calling {called}")
        outcome.append(await placeCall(reactor, socket, called, options["from"], options["seconds"]))
        return 0 if outcome[0][0] else 1

    try:
        status = OneRun(reactor, calling).run()
    finally:
        terminal.clear()
    if outcome:
        answered, text = outcome[0]
        print(printable(f"{options['to']}: {text}"), file=sys.stdout if answered else sys.stderr)
    return status
