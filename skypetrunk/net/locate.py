"""
Where a SIP domain's TLS servers are (RFC 3263 section 4.2, RFC 2782).

Answers of DNS are not signed: they say where to try, never who is there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, gatherResults, succeed
from twisted.internet.defer import TimeoutError as DeferTimeout
from twisted.internet.interfaces import IResolver
from twisted.names import client, dns, error, hosts, resolve
from zope.interface import implementer

from skypetrunk.errors import NoTarget
from skypetrunk.interfaces import ITargetLocator, Target
from skypetrunk.net.identity import asciiDomain
from skypetrunk.wire.address import isLiteral

#: SIP over TLS (RFC 3261 section 18.1).
DEFAULT_PORT = 5061

#: Seconds to wait for a name server, first time and second time.
_TIMEOUTS = (1, 3)

#: A domain with more servers than this is not a carrier; the rest is not tried.
_MOST_TARGETS = 32

#: Aliases that are followed; a resolver does it for us, an authoritative server does not.
_MOST_ALIASES = 8


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


def buildResolver(reactor: Any, servers: Sequence[str] = ()) -> IResolver:
    """
    The way to DNS.

    @param reactor: for UDP, TCP and time.
    @param servers: C{"192.0.2.53"} or C{"192.0.2.53:5353"}; with none, the system's hosts file and
        name servers.
    @raise ValueError: a server that is no literal address.
    """
    if servers:
        addresses = [_hostPort(each, dns.PORT) for each in servers]
        return client.Resolver(servers=addresses, timeout=_TIMEOUTS, reactor=reactor)
    system = client.Resolver(resolv="/etc/resolv.conf", timeout=_TIMEOUTS, reactor=reactor)
    return resolve.ResolverChain([hosts.Resolver(), system])


@implementer(ITargetLocator)
class Locator:
    """Asks DNS: SRV C{_sips._tcp}, then A and AAAA."""

    def __init__(self, resolver: IResolver, draw: Callable[[int], int]) -> None:
        """
        @param draw: a random number from 0 to its argument, both included.
        """
        self._resolver = resolver
        self._draw = draw

    def locate(self, domain: str, port: int | None = None) -> Deferred[Sequence[Target]]:
        """See L{ITargetLocator.locate}."""
        return Deferred.fromCoroutine(self._locate(domain, port))

    async def _locate(self, domain: str, port: int | None) -> Sequence[Target]:
        if isLiteral(domain):
            return [Target(domain, port or DEFAULT_PORT, domain)]
        try:
            name = asciiDomain(domain)
        except UnicodeError as problem:
            raise NoTarget(f"{domain!r} is no domain name: {problem}") from problem
        # RFC 3263 section 4.2: an explicit port means that SRV is not asked.
        records = await self._services(f"_sips._tcp.{name}") if port is None else ()
        if not records:
            records = (ServiceRecord(0, 0, port or DEFAULT_PORT, name),)
        tried: list[str] = []
        ordered = orderRecords(records, self._draw)[:_MOST_TARGETS]
        found = await gatherResults([self._addresses(each.target, tried) for each in ordered])
        targets = [
            Target(address, record.port, record.target)
            for record, addresses in zip(ordered, found, strict=True)
            for address in addresses
        ]
        if not targets:
            raise NoTarget(f"no address for {domain}: {'; '.join(tried)}")
        return targets[:_MOST_TARGETS]

    async def _services(self, name: str) -> tuple[ServiceRecord, ...]:
        """
        SRV records, none if there are none.

        @raise NoTarget: the service is not offered, or the name servers did not answer: then nobody
            knows whether there are records, and other servers must not be tried instead.
        """
        try:
            payloads = await self._lookup(self._resolver.lookupService, dns.SRV, name)
        except _Unanswered as problem:
            raise NoTarget(f"SRV {name}: {problem}") from problem
        records = [
            ServiceRecord(each.priority, each.weight, each.port, each.target.name.decode("ascii", "replace"))
            for each in payloads
        ]
        usable = tuple(each for each in records if each.target not in ("", "."))
        if records and not usable:
            raise NoTarget(f"SRV {name}: its target is '.', which means that SIP over TLS is not offered")
        return usable

    def _addresses(self, name: str, tried: list[str]) -> Deferred[Sequence[str]]:
        """Addresses of a host, IPv4 first; C{tried} gets a line for each look-up without result."""

        async def ask(kind: str, method: Callable[..., Any], number: int) -> list[str]:
            try:
                payloads = await self._lookup(method, number, name)
            except _Unanswered as problem:
                tried.append(f"{kind} {name}: {problem}")
                return []
            if not payloads:
                tried.append(f"{kind} {name}: no record")
            return [each.dottedQuad() if number == dns.A else _ipv6(each.address) for each in payloads]

        if isLiteral(name):
            return succeed([name])
        both = [
            Deferred.fromCoroutine(ask("A", self._resolver.lookupAddress, dns.A)),
            Deferred.fromCoroutine(ask("AAAA", self._resolver.lookupIPV6Address, dns.AAAA)),
        ]
        return gatherResults(both, consumeErrors=True).addCallback(lambda found: found[0] + found[1])

    async def _lookup(self, method: Callable[..., Any], number: int, name: str) -> list[Any]:
        """
        Payloads of one type, following aliases.

        @raise _Unanswered: it is not known whether there are any.
        """
        for _ in range(_MOST_ALIASES):
            try:
                answers, _authority, _additional = await method(name, timeout=_TIMEOUTS)
            except (error.DNSNameError, error.AuthoritativeDomainError):
                return []
            except CancelledError:
                raise
            except Exception as problem:
                raise _Unanswered(_reason(problem)) from problem
            payloads = [each.payload for each in answers if each.type == number]
            aliases = [each.payload for each in answers if each.type == dns.CNAME]
            if payloads or not aliases:
                return payloads
            name = aliases[-1].name.name.decode("ascii", "replace")
        raise _Unanswered(f"more than {_MOST_ALIASES} aliases")


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


class _Unanswered(Exception):
    """DNS did not say yes and did not say no."""


def _reason(problem: Exception) -> str:
    if isinstance(problem, DeferTimeout):
        return f"no answer within {sum(_TIMEOUTS)} s"
    kinds: dict[type[Exception], str] = {
        error.DNSServerError: "the name server failed (SERVFAIL)",
        error.DNSQueryRefusedError: "the name server refused",
    }
    return kinds.get(type(problem), f"{type(problem).__name__}: {problem}")


def _ipv6(address: bytes) -> str:
    return str(ip_address(address))


def _hostPort(text: str, default: int) -> tuple[str, int]:
    """A literal address, in brackets if it is IPv6 and a port follows."""
    if isLiteral(text):
        return text, default
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(default)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{text!r}: write [{host}]:{port}")
    if not isLiteral(host):
        raise ValueError(f"{text!r} must be a literal address, as 192.0.2.1:{default}")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"{text!r}: {port!r} is no port")
    return host, int(port)
