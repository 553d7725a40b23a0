"""What all command lines share: those of twistd, and of the subcommands of C{skypetrunk}."""

from __future__ import annotations

import os
import sys

from twisted.python import usage

from skypetrunk import __version__

_COLUMNS = 80
"""Where nobody says how wide the terminal is."""

_NARROWEST = 40
"""Columns below which there is no room for words beside the options."""


class CommandOptions(usage.Options):
    """A command line that knows our version, not Twisted's."""

    def parseArgs(self, *words: str) -> None:
        """
        A word alone means the configuration to C{skypetrunk check}, and so to who has typed it there.

        @raise UsageError: there is one, where none may be.
        """
        if words:
            right = f"--config {words[0]}" if "config" in self else "options only; --help lists them"
            raise usage.UsageError(f"{words[0]}: would be right: {right}")

    def getUsage(self, width: int | None = None) -> str:
        """The options in lines.  C{COLUMNS} may be anything, as 0 where a container has no terminal."""
        if width is None:
            columns = os.environ.get("COLUMNS", "")
            width = int(columns) if columns.isascii() and columns.isdigit() and int(columns) else _COLUMNS
        text: str = super().getUsage(max(width, _NARROWEST))
        return text

    def opt_help(self) -> None:
        """Display this help and exit."""
        super().opt_help()

    opt_h = opt_help

    def opt_version(self) -> None:
        """Print the version and exit."""
        print(f"skypetrunk {__version__}")
        raise SystemExit(0)


def discardOutput() -> None:
    """What is still buffered would fail once more when the interpreter ends, with a status of its own."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
