"""What all command lines share: those of twistd, and of the subcommands of C{skypetrunk}."""

from __future__ import annotations

from twisted.python import usage

from skypetrunk import __version__


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

    def opt_version(self) -> None:
        """Print the version and exit."""
        print(f"skypetrunk {__version__}")
        raise SystemExit(0)
