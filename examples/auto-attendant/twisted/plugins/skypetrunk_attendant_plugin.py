"""What skypetrunk finds; the attendant is imported only when a configuration names it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.plugin import IPlugin
from zope.interface import implementer

from skypetrunk.interfaces import ICheckedPlugin


@implementer(IPlugin, ICheckedPlugin)
class AttendantPlugin:
    """C{[[plugin]] name = "auto-attendant"}."""

    name: str = "auto-attendant"

    def create(self, reactor: Any, settings: Mapping[str, object], directory: Path) -> object:
        """The attendant of C{settings}."""
        from skypetrunk_attendant import Attendant, readSettings

        return Attendant(reactor, readSettings(settings, directory))

    def check(self, settings: Mapping[str, object], directory: Path) -> None:
        """For C{skypetrunk check}."""
        from skypetrunk_attendant import readSettings

        readSettings(settings, directory)


plugin = AttendantPlugin()
