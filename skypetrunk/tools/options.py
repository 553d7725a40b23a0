"""What the command lines of all subcommands share."""

from __future__ import annotations

from twisted.python import usage

from skypetrunk import __version__


class CommandOptions(usage.Options):
    """A command line that knows our version, not Twisted's."""

    def opt_version(self) -> None:
        """Print the version and exit."""
        print(f"skypetrunk {__version__}")
        raise SystemExit(0)
