"""C{[[route]]}: who may call whom."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from skypetrunk.profiles.tables import Table, didYouMean
from skypetrunk.service.limit_table import readPrefixes
from skypetrunk.service.settings import Route


def readRoutes(
    tables: Sequence[Table], trunks: Sequence[str], pbxes: Sequence[str], within: Collection[str] = ()
) -> tuple[Route, ...]:
    """
    The routes as written; what is wrong is noted in their problems.

    @param trunks: names of the trunks.
    @param pbxes: names of the PBXes.
    @param within: those that live in this process.
    """
    routes = tuple(_readRoute(table, trunks, pbxes, within) for table in tables)
    finished: dict[str, Table] = {}
    for table, route in zip(tables, routes, strict=True):
        if route.source in finished:
            text = f"is never used: {finished[route.source].where} takes all calls before it"
            table.problems.warn(table.where, text)
        elif route.source and not route.called:
            finished[route.source] = table
    return routes


def _readRoute(
    table: Table, trunks: Sequence[str], pbxes: Sequence[str], within: Collection[str]
) -> Route:
    names = (*trunks, *pbxes)
    example = names[0] if names else "office"
    source = table.text("from", f'from = "{example}"', required=True)
    if source is not None and source not in names:
        table.wrong("from", f'there is no trunk or pbx "{source}"', didYouMean(source, names))
        source = None
    # A call crosses from one side to the other, or has one end in this process.
    near = tuple(each for each in pbxes if each != source and (source in within or each in within))
    others = (*trunks, *near) if source in pbxes else pbxes if source in trunks else names
    to = table.texts("to", f'to = ["{others[0] if others else example}"]', required=True) or ()
    for name in to:
        if name in names and name not in others:
            kind = "trunk" if name in trunks else "pbx"
            wrong = f'"{name}" is a {kind} as "{source}" is, and calls go from one kind to the other'
            table.wrong("to", wrong, " or ".join(others))
        elif name not in names:
            table.wrong("to", f'there is no trunk or pbx "{name}"', didYouMean(name, others))
    if len(set(to)) < len(to):
        table.wrong("to", "names one twice", "each once")
    return Route(source or "", to, readPrefixes(table, "called"))


def impliedRoutes(top: Table, trunks: Sequence[str], pbxes: Sequence[str]) -> tuple[Route, ...]:
    """Both ways between the only trunk and the only PBX."""
    if len(trunks) == len(pbxes) == 1:
        return (Route(pbxes[0], (trunks[0],)), Route(trunks[0], (pbxes[0],)))
    if trunks and pbxes:
        right = "[[route]] with from and to for each, as there are several trunks or PBXes"
        top.wrong("route", "is missing", right)
    return ()


def warnUnrouted(tables: Sequence[Table], names: Sequence[str], routes: Sequence[Route]) -> None:
    """Say which of the trunks and PBXes C{names} no route leads from, or to."""
    sources = {route.source for route in routes}
    targets = {name for route in routes for name in route.to}
    for table, name in zip(tables, names, strict=True):
        if name not in sources:
            table.problems.warn(table.where, "no route leads from here: its calls are refused")
        if name not in targets:
            table.problems.warn(table.where, "no route leads here: it gets no calls")
