"""C{redirect} and C{redirect_allow} of a trunk or PBX."""

from __future__ import annotations

from skypetrunk.core.sides import FOLLOW, REDIRECTIONS, REFUSE
from skypetrunk.profiles.tables import Table
from skypetrunk.service.addresses import isHostName, isLiteral
from skypetrunk.wire.address import foldedHost


def readRedirection(table: Table) -> tuple[str, frozenset[str]]:
    """What becomes of redirections, and which hosts they may name; what is wrong is noted."""
    what = table.choice("redirect", REDIRECTIONS, REFUSE)
    hosts = table.texts("redirect_allow", 'redirect_allow = ["gw.carrier.example"]') or ()
    for host in hosts:
        if not (isLiteral(host) or isHostName(host)):
            table.wrong("redirect_allow", f'"{host}" is no host', '"gw.carrier.example" or "192.0.2.10"')
    if hosts and what != FOLLOW:
        table.problems.warn(table.key("redirect_allow"), f'is not used: redirect is not "{FOLLOW}"')
    return what, frozenset(map(foldedHost, hosts))
