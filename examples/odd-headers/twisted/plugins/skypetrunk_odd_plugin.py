"""What skypetrunk finds."""

from collections.abc import Mapping
from pathlib import Path

from twisted.plugin import IPlugin
from zope.interface import implementer

from skypetrunk.interfaces import ICheckedPlugin


@implementer(IPlugin, ICheckedPlugin)
class OddHeadersPlugin:
    """C{[[plugin]] name = "odd-headers"}."""

    name: str = "odd-headers"

    def create(self, reactor: object, settings: Mapping[str, object], directory: Path) -> object:
        """The dialect of C{settings}."""
        from skypetrunk_odd import oddHeaders

        return oddHeaders(settings)

    def check(self, settings: Mapping[str, object], directory: Path) -> None:
        """For C{skypetrunk check}."""
        from skypetrunk_odd import oddHeaders

        oddHeaders(settings)


plugin = OddHeadersPlugin()
