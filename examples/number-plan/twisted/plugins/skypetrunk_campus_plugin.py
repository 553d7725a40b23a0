"""What skypetrunk finds."""

from collections.abc import Mapping
from pathlib import Path

from twisted.plugin import IPlugin
from zope.interface import implementer

from skypetrunk.interfaces import ICheckedPlugin


@implementer(IPlugin, ICheckedPlugin)
class CampusPlugin:
    """C{[[plugin]] name = "campus"}."""

    name: str = "campus"

    def create(self, reactor: object, settings: Mapping[str, object], directory: Path) -> object:
        """The plan of C{settings}."""
        from skypetrunk_campus import campusNumbers

        return campusNumbers(settings)

    def check(self, settings: Mapping[str, object], directory: Path) -> None:
        """For C{skypetrunk check}."""
        from skypetrunk_campus import campusNumbers

        campusNumbers(settings)


plugin = CampusPlugin()
