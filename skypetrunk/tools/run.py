"""C{skypetrunk run}: what C{twistd -n skypetrunk} does."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from twisted.python import usage


class Options(usage.Options):
    """
    Hands everything to twistd, which knows the trunk's options.

    @ivar arguments: the trunk's own command line.
    """

    arguments: list[str]

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Keep the command line, unless it asks for help."""
        self.arguments = list(options or ())
        if "--help" in self.arguments:
            from skypetrunk.service.tap import Options as TrunkOptions

            trunk = TrunkOptions()
            trunk.synopsis = "Usage: skypetrunk run [options]"
            print(trunk)
            raise SystemExit(0)


def main(options: Options) -> int:
    """Run until a signal ends it."""
    from twisted.scripts import twistd

    # Without a pid file two trunks can run in one directory, each with its own configuration.
    sys.argv = ["twistd", "--nodaemon", "--pidfile=", "skypetrunk", *options.arguments]
    twistd.run()
    return 0
