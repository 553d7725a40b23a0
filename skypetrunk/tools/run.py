"""C{skypetrunk run}: what C{twistd -n skypetrunk} does."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from twisted.python import usage


class Options(usage.Options):
    """
    Hands everything to twistd, after a look at it: twistd's word for a mistake would be its own usage.

    @ivar arguments: the trunk's own command line.
    """

    arguments: list[str]

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """
        Keep the command line.

        @raise UsageError: the trunk has no such option.
        """
        from skypetrunk.service.tap import Options as TrunkOptions

        class CommandLine(TrunkOptions):
            """The trunk's options, without what it does with them."""

            synopsis = "Usage: skypetrunk run [options]"

            def postOptions(self) -> None:
                """The configuration is read when the trunk runs."""

        self.arguments = list(options or ())
        CommandLine().parseOptions(self.arguments)


def main(options: Options) -> int:
    """Run until a signal ends it."""
    from twisted.scripts import twistd

    # Without a pid file two trunks can run in one directory, each with its own configuration.
    sys.argv = ["twistd", "--nodaemon", "--pidfile=", "skypetrunk", *options.arguments]
    twistd.run()
    return 0
