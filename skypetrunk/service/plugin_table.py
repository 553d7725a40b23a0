"""One C{[[plugin]]}: the name of a vendor's plugin, and what is said to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from skypetrunk.profiles.tables import Table
from skypetrunk.service.addresses import readName


@frozen
class PluginConfiguration:
    """
    One C{[[plugin]]}.

    @ivar settings: for the plugin alone; shown to nobody, since there may be a password in it.
    """

    name: str
    settings: Mapping[str, object] = field(factory=dict, repr=False)


def readPlugins(tables: Sequence[Table]) -> tuple[PluginConfiguration, ...]:
    """All plugins; what is wrong is noted.  Whether they are installed is asked when the trunk is made."""
    found: dict[str, PluginConfiguration] = {}
    for table in tables:
        name = readName(table, "records")
        settings: dict[str, Any] = table.freeTable("settings")
        if name in found:
            table.wrong("name", f'"{name}" stands there twice', "each plugin once")
        found[name] = PluginConfiguration(name, settings)
    return tuple(found.values())


__all__ = ["PluginConfiguration", "readPlugins"]
