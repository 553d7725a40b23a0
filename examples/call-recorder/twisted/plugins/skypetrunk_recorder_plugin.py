"""What skypetrunk finds; the recorder is imported only when a configuration names it."""

from collections.abc import Mapping
from pathlib import Path

from twisted.plugin import IPlugin
from zope.interface import implementer

from skypetrunk.interfaces import ICheckedPlugin


@implementer(IPlugin, ICheckedPlugin)
class RecorderPlugin:
    """C{[[plugin]] name = "call-recorder"}."""

    name: str = "call-recorder"

    def create(self, reactor: object, settings: Mapping[str, object], directory: Path) -> object:
        """The recorder of C{settings}."""
        from skypetrunk_recorder import CallRecorder, readSettings

        return CallRecorder(reactor, *readSettings(settings, directory))

    def check(self, settings: Mapping[str, object], directory: Path) -> None:
        """For C{skypetrunk check}."""
        from skypetrunk_recorder import readSettings

        readSettings(settings, directory)


plugin = RecorderPlugin()
