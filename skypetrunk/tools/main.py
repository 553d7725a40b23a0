"""
The C{skypetrunk} command.

Each subcommand is a module beside this one with C{Options} and C{main(options)}, which returns
the exit status.  They are imported when they are asked for: a help text should not wait for OpenSSL.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from io import TextIOWrapper
from typing import Any

from twisted.python import usage

from skypetrunk.errors import ConfigurationError
from skypetrunk.service.options import CommandOptions, discardOutput

_COMMANDS = (
    ("run", "Run the trunk in the foreground; the same as twistd -n skypetrunk."),
    ("demo", "Show a call out and a call in over TLS and SRTP on this machine, with evidence."),
    ("init", "Write a configuration from a carrier profile."),
    ("check", "Check a configuration and say what it does."),
    ("doctor", "Examine the trunks, from DNS to a call, and say what to change."),
    ("firewall", "Print the firewall rules that a configuration needs."),
    ("bindings", "List who is registered at the carrier with the account of a trunk."),
    ("status", "Ask a running trunk what it is doing."),
    ("inspect", "Say what the trunk makes of captured SIP messages."),
    ("lab-call", "Let the practice carrier call the trunk."),
    ("lab-set", "Switch faults of the practice carrier on and off, or list them."),
)

_TWISTEDS = ("option ", "Unknown command: ", "Wrong number of arguments")


def _module(command: str) -> Any:
    return import_module(f"skypetrunk.tools.{command.replace('-', '_')}")


def _options(command: str) -> usage.Options:
    """The options of a subcommand."""
    options: usage.Options = _module(command).Options()
    return options


class Options(CommandOptions):
    """The command line before the subcommand."""

    synopsis = "Usage: skypetrunk <command> [options]"
    longdesc = "skypetrunk <command> --help says more about each command."
    subCommands: Any = [[name, None, partial(_options, name), text] for name, text in _COMMANDS]

    def getSynopsis(self) -> str:
        """One line; a subcommand puts its own options behind it."""
        return "Usage: skypetrunk" if getattr(self, "subCommand", None) else self.synopsis

    def postOptions(self) -> None:
        """Without a command there is nothing to do."""
        if not self.subCommand:
            names = ", ".join(name for name, _ in _COMMANDS)
            raise usage.UsageError(f"which command? One of {names}; skypetrunk --help says more")


def run(arguments: Sequence[str]) -> int:
    """
    Run the command C{arguments}.

    @return: the exit status: 2 for a mistake in command line or configuration, told in one line each.
    """
    options = Options()
    try:
        options.parseOptions(list(arguments))
        status: int = _module(str(options.subCommand)).main(options.subOptions)
        return status
    except usage.UsageError as error:
        # Twisted says what it does not know, and no more.
        more = "; --help lists what there is" if str(error).startswith(_TWISTEDS) else ""
        print(f"skypetrunk: {error}{more}", file=sys.stderr)
    except ConfigurationError as error:
        print(error, file=sys.stderr)
    return 2


def main() -> None:
    """The console script."""
    if isinstance(sys.stdout, TextIOWrapper):
        # A name that the terminal's encoding lacks is shown in another way, and ends nothing.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            raise SystemExit(run(sys.argv[1:]))
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        # The reader (head, less) has gone; so has whoever would see an error.
        sys.stderr.close()
        discardOutput()
        raise SystemExit(141) from None
    except OSError as error:
        # A disk that is full, mostly that of the output: nothing that is ours to mend.
        place = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
        print(f"skypetrunk: {place}{error.strerror or error}", file=sys.stderr)
        discardOutput()
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
