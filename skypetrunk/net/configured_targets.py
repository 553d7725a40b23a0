"""Where a trunk's domain is, if its configuration says something else than DNS, or other names there."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import implementer

from skypetrunk.errors import NoTarget
from skypetrunk.interfaces import ITargetLocator, Target
from skypetrunk.net.identity import asciiDomain
from skypetrunk.net.locate import Locator


@implementer(ITargetLocator)
class FixedTargets:
    """Targets from the configuration instead of SRV, for one domain; others are located as usual."""

    def __init__(self, domain: str, targets: Sequence[tuple[str, int]], others: ITargetLocator) -> None:
        """
        @param targets: host (a literal address, or a name that C{others} looks up) and port, in order.
        """
        self._domain = asciiDomain(domain)
        self._targets = tuple(targets)
        self._others = others

    def locate(self, domain: str, port: int | None = None) -> Deferred[Sequence[Target]]:
        """See L{ITargetLocator.locate}."""
        if domain.rstrip(".").lower() == self._domain:
            return Deferred.fromCoroutine(self._locate())
        return self._others.locate(domain, port)

    async def _locate(self) -> Sequence[Target]:
        found: list[Target] = []
        problems: list[str] = []
        for host, port in self._targets:
            try:
                found += await self._others.locate(host, port)
            except NoTarget as problem:
                problems.append(str(problem))
        if not found:
            raise NoTarget("; ".join(problems))
        return found


@implementer(ITargetLocator)
class NamedRecords:
    """Records of one domain that stand under another name; others are located as usual."""

    def __init__(
        self, domain: str, others: Locator, *, name: str | None = None, srv: str | None = None
    ) -> None:
        """
        @param name: the domain whose NAPTR, SRV and address records hold for C{domain}.
        @param srv: the owner of the SRV records; then nothing else is asked.
        """
        self._domain = asciiDomain(domain)
        self._others = others
        self._name = name
        self._srv = srv

    def locate(self, domain: str, port: int | None = None) -> Deferred[Sequence[Target]]:
        """See L{ITargetLocator.locate}."""
        if domain.rstrip(".").lower() != self._domain or port is not None:
            return self._others.locate(domain, port)
        if self._srv is not None:
            return self._others.locateService(self._srv)
        return self._others.locate(self._name or domain)


__all__ = ["FixedTargets", "NamedRecords"]
