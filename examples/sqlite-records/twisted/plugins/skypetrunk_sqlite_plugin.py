"""What skypetrunk finds; the database is imported only when a configuration names it."""

from collections.abc import Mapping
from pathlib import Path

from twisted.plugin import IPlugin
from zope.interface import implementer

from skypetrunk.interfaces import ICheckedPlugin


@implementer(IPlugin, ICheckedPlugin)
class SQLitePlugin:
    """C{[[plugin]] name = "sqlite-records"}."""

    name: str = "sqlite-records"

    def create(self, reactor: object, settings: Mapping[str, object], directory: Path) -> object:
        """The database of C{settings}."""
        from skypetrunk_sqlite import SQLiteRecords, readSettings

        path, callsPerHour = readSettings(settings, directory)
        return SQLiteRecords(reactor, path, callsPerHour)

    def check(self, settings: Mapping[str, object], directory: Path) -> None:
        """For C{skypetrunk check}."""
        from skypetrunk_sqlite import readSettings

        readSettings(settings, directory)


plugin = SQLitePlugin()
