"""How the servers of one trunk are found, as configured."""

from __future__ import annotations

from collections.abc import Callable

from skypetrunk.interfaces import ITargetLocator
from skypetrunk.net.configured_targets import FixedTargets, NamedRecords
from skypetrunk.net.dns_records import Records
from skypetrunk.net.locate import Locator
from skypetrunk.service.settings import TrunkConfiguration


def trunkLocator(
    trunk: TrunkConfiguration, records: Records, draw: Callable[[int], int]
) -> ITargetLocator:
    """
    The locator of C{trunk}.

    @param records: what all trunks ask of DNS.
    @param draw: a random number from 0 to its argument, both included.
    """
    names = trunk.dns
    locator = Locator(records, draw, families=names.families, naptr=names.naptr)
    if trunk.targets:
        return FixedTargets(trunk.domain, trunk.targets, locator)
    if names.domain is not None or names.srv is not None:
        return NamedRecords(trunk.domain, locator, name=names.domain, srv=names.srv)
    return locator


__all__ = ["trunkLocator"]
