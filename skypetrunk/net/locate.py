"""
Where a SIP domain's servers are (RFC 3263 section 4, RFC 2782).

Answers of DNS are not signed: they say where to try, never who is there.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.names import dns
from zope.interface import implementer

from skypetrunk.errors import NoTarget
from skypetrunk.interfaces import ITargetLocator, Target
from skypetrunk.net.dns_records import Records, Unanswered
from skypetrunk.net.identity import asciiDomain
from skypetrunk.wire.address import isLiteral
from skypetrunk.wire.uri import SIPURI

#: SIP over TLS (RFC 3261 section 18.1).
DEFAULT_PORT = 5061

#: By transport: where its SRV records are (RFC 3263 section 4.1), the service of its NAPTR records, its port.
_TRANSPORTS = {
    "TLS": ("_sips._tcp", "sips+d2t", DEFAULT_PORT),
    "TCP": ("_sip._tcp", "sip+d2t", 5060),
    "UDP": ("_sip._udp", "sip+d2u", 5060),
}

_FAMILIES = {"ipv4": ("A", dns.A), "ipv6": ("AAAA", dns.AAAA)}

FAMILIES = tuple(_FAMILIES)
"""Families of addresses."""

#: A domain with more servers than this is not a carrier; the rest is not tried.
_MOST_TARGETS = 32

#: NAPTR records that are followed, one after the other: each may lead to name servers that are silent.
_MOST_POINTERS = 8


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """One SRV record.  C{target} is empty where the service is not offered."""

    priority: int
    weight: int
    port: int
    target: str


def orderRecords(records: Sequence[ServiceRecord], draw: Callable[[int], int]) -> tuple[ServiceRecord, ...]:
    """
    Records in the order to try (RFC 2782, "Usage rules").

    @param draw: a random number from 0 to its argument, both included.
    """
    ordered: list[ServiceRecord] = []
    for priority in sorted({record.priority for record in records}):
        # "Arrange all SRV RRs (that have not been ordered yet) in any order, except that all those
        # with weight 0 are placed at the beginning of the list."
        left = sorted(
            [each for each in records if each.priority == priority], key=lambda each: each.weight > 0
        )
        while left:
            drawn = draw(sum(each.weight for each in left))
            running = 0
            for record in left:
                running += record.weight
                if running >= drawn:
                    break
            left.remove(record)
            ordered.append(record)
    return tuple(ordered)


@implementer(ITargetLocator)
class Locator:
    """Asks DNS: NAPTR, SRV, then A and AAAA."""

    def __init__(
        self,
        records: Records,
        draw: Callable[[int], int],
        *,
        transports: Sequence[str] = ("TLS",),
        families: Sequence[str] = FAMILIES,
        naptr: bool = True,
    ) -> None:
        """
        @param draw: a random number from 0 to its argument, both included.
        @param transports: what we speak, the best first.
        @param families: of the addresses to try, the better one first.
        @param naptr: NAPTR records are asked for.
        """
        self._records = records
        self._draw = draw
        self._transports = tuple(transports)
        self._families = tuple(families)
        self._naptr = naptr

    def locate(self, domain: str, port: int | None = None) -> Deferred[Sequence[Target]]:
        """See L{ITargetLocator.locate}: for SIP over TLS."""
        return self.locateURI(SIPURI("sips", None, None, domain, port))

    def locateURI(self, uri: SIPURI) -> Deferred[Sequence[Target]]:
        """
        Targets of a URI (RFC 3263 section 4), in the order to try.

        @raise NoTarget: (errback) there is none that we can speak to.
        """
        return Deferred.fromCoroutine(self._locate(uri))

    def locateService(self, owner: str) -> Deferred[Sequence[Target]]:
        """
        Targets of the SRV records of C{owner}, in the order to try, for the best of our transports.

        @raise NoTarget: (errback) there is none.
        """
        return Deferred.fromCoroutine(self._locateService(owner))

    async def _locateService(self, owner: str) -> Sequence[Target]:
        records = await self._services(owner)
        if not records:
            raise NoTarget(f"SRV {owner}: no record")
        tried: list[str] = []
        return _some(await self._targets(records, self._transports[0], tried), owner, tried)

    async def _locate(self, uri: SIPURI) -> Sequence[Target]:
        host = uri.maddr or uri.host
        transport = self._transportOf(uri, host)
        if isLiteral(host):
            return [Target(host, uri.port or _port(transport), host, transport)]
        try:
            name = asciiDomain(host)
        except UnicodeError as problem:
            raise NoTarget(f"{host!r} is no domain name: {problem}") from problem
        tried: list[str] = []
        if uri.port is not None:
            # Section 4.2: an explicit port means that SRV is not asked.
            here = (ServiceRecord(0, 0, uri.port, name),)
            return _some(await self._targets(here, transport, tried), host, tried)
        if uri.transport is not None:
            wanted: Sequence[str] = (transport,)
        else:
            wanted = [each for each in self._transports if each == "TLS" or uri.scheme != "sips"]
            found = await self._pointed(name, wanted, tried) if self._naptr else []
            if found:
                return found[:_MOST_TARGETS]
        denied = ""
        for each in wanted:
            # Section 4.1: without NAPTR, "the first [SRV query] that is successful".
            service = f"{_TRANSPORTS[each][0]}.{name}"
            try:
                records = await self._services(service)
            except _NotOffered as problem:
                denied = str(problem)
                continue
            if records:
                return _some(await self._targets(records, each, tried), host, tried)
        if denied:
            raise NoTarget(denied)
        here = (ServiceRecord(0, 0, _port(transport), name),)
        return _some(await self._targets(here, transport, tried), host, tried)

    def _transportOf(self, uri: SIPURI, host: str) -> str:
        """
        What C{uri} asks for, or is served with where DNS says nothing (sections 4.1 and 4.2).

        @raise NoTarget: we do not speak it.
        """
        named = None if uri.transport is None else uri.transport.upper()
        if uri.scheme == "sips":
            # RFC 3261 section 26.2.2: transport=tcp in a SIPS URI is TLS over TCP.
            transport = "TLS" if named in (None, "TCP", "TLS") else named
        elif named is None and uri.port is None and not isLiteral(host):
            transport = next(each for each in ("UDP", "TCP", "TLS") if each in self._transports)
        else:
            transport = named or "UDP"
        if transport not in self._transports or (uri.scheme == "sips" and transport != "TLS"):
            raise NoTarget(f"{host}: {transport} is not spoken here")
        return transport

    async def _pointed(self, name: str, wanted: Sequence[str], tried: list[str]) -> list[Target]:
        """
        Targets that the NAPTR records of C{name} lead to (section 4.1); none if there are no such records, or
        nobody knows: what SRV and the certificate say then is as good.
        """
        try:
            pointers = await self._records.find(dns.NAPTR, name)
        except Unanswered as problem:
            tried.append(f"NAPTR {name}: {problem}")
            return []
        services = {_TRANSPORTS[each][1].encode(): each for each in wanted}
        targets: list[Target] = []
        usable = [
            each
            for each in sorted(pointers, key=lambda each: (each.order, each.preference))
            if each.flags.string.lower() == b"s" and each.service.string.lower() in services
        ]
        for each in usable[:_MOST_POINTERS]:
            transport = services[each.service.string.lower()]
            owner = each.replacement.name.decode("ascii", "replace")
            try:
                records = await self._services(owner)
            except NoTarget as problem:
                tried.append(str(problem))
                continue
            targets += await self._targets(records, transport, tried)
        return targets

    async def _services(self, name: str) -> tuple[ServiceRecord, ...]:
        """
        SRV records, none if there are none.

        @raise NoTarget: the service is not offered, or the name servers did not answer: then nobody
            knows whether there are records, and other servers must not be tried instead.
        """
        try:
            payloads = await self._records.find(dns.SRV, name)
        except Unanswered as problem:
            raise NoTarget(f"SRV {name}: {problem}") from problem
        records = [
            ServiceRecord(each.priority, each.weight, each.port, each.target.name.decode("ascii", "replace"))
            for each in payloads
        ]
        usable = tuple(each for each in records if each.target not in ("", "."))
        if records and not usable:
            raise _NotOffered(f"SRV {name}: its target is '.', which means that the service is not offered")
        return usable

    async def _targets(
        self, records: Sequence[ServiceRecord], transport: str, tried: list[str]
    ) -> list[Target]:
        """The addresses of C{records}, in order; C{tried} gets a line for each look-up without result."""
        ordered = orderRecords(records, self._draw)[:_MOST_TARGETS]
        found = await _all([self._addresses(each.target, tried) for each in ordered])
        return [
            Target(address, record.port, record.target, transport)
            for record, addresses in zip(ordered, found, strict=True)
            for address in addresses
        ]

    async def _addresses(self, name: str, tried: list[str]) -> Sequence[str]:
        """Addresses of a host, one family after the other."""

        async def ask(family: str) -> Sequence[str]:
            kind, number = _FAMILIES[family]
            try:
                payloads = await self._records.find(number, name)
            except Unanswered as problem:
                tried.append(f"{kind} {name}: {problem}")
                return []
            if not payloads:
                tried.append(f"{kind} {name}: no record")
            return [each.dottedQuad() if number == dns.A else _ipv6(each.address) for each in payloads]

        if isLiteral(name):
            return [name]
        found = await _all([ask(family) for family in self._families])
        return [each for addresses in found for each in addresses]


class _NotOffered(NoTarget):
    """The only SRV target is C{.}."""


async def _all(asked: Sequence[Coroutine[Deferred[Any], Any, Sequence[str]]]) -> list[Sequence[str]]:
    """All answers; where one raises, as it does when nobody waits any more, just that."""
    try:
        return await gatherResults([Deferred.fromCoroutine(each) for each in asked], consumeErrors=True)
    except FirstError as problem:
        problem.subFailure.raiseException()
        raise


def _some(targets: list[Target], host: str, tried: Sequence[str]) -> Sequence[Target]:
    if not targets:
        raise NoTarget(f"no address for {host}: {'; '.join(tried)}")
    return targets[:_MOST_TARGETS]


def _port(transport: str) -> int:
    return _TRANSPORTS[transport][2]


def _ipv6(address: bytes) -> str:
    return str(ip_address(address))


__all__ = ["DEFAULT_PORT", "FAMILIES", "Locator", "ServiceRecord", "orderRecords"]
