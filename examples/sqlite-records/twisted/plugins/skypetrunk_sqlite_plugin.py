"""What skypetrunk finds; the database is imported only when a configuration names it."""

from collections.abc import Mapping
from pathlib import Path

from twisted.plugin import IPlugin
from zope.interface import implementer

from skypetrunk.interfaces import IVendorPlugin


@implementer(IPlugin, IVendorPlugin)
class SQLitePlugin:
    """C{[[plugin]] name = "sqlite-records"}."""

    name: str = "sqlite-records"

    def create(self, reactor: object, settings: Mapping[str, object], directory: Path) -> object:
        """The database of C{settings}."""
        from skypetrunk_sqlite import SQLiteRecords, readSettings

        path, callsPerHour = readSettings(settings, directory)
        return SQLiteRecords(reactor, path, callsPerHour)


plugin = SQLitePlugin()
