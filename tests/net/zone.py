"""
A resolver that answers from a table, as a recursive name server would.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.defer import TimeoutError as DeferTimeout
from twisted.names import common, dns, error

_TYPES = {dns.A: "A", dns.AAAA: "AAAA", dns.SRV: "SRV", dns.NAPTR: "NAPTR"}

Zone = Mapping[str, Sequence[Sequence[Any]]]


def _payload(record: Sequence[Any]) -> Any:
    kind, *fields = record
    if kind == "A":
        return dns.Record_A(*fields)
    if kind == "AAAA":
        return dns.Record_AAAA(*fields)
    if kind == "CNAME":
        return dns.Record_CNAME(*fields)
    if kind == "SRV":
        # A target of "." arrives from the wire as the empty name.
        *numbers, target = fields
        target = "" if target == "." else target
        return dns.Record_SRV(*numbers, target)  # type: ignore[call-arg]
    if kind == "NAPTR":
        order, preference, *texts = fields
        return dns.Record_NAPTR(order, preference, *(text.encode() for text in texts))
    raise AssertionError(kind)


class ZoneResolver(common.ResolverBase):
    """
    Answers from a zone: name to list of records, as in C{tests/vectors/dns}.

    @ivar queries: what was asked, under the name that aliases lead to.
    @ivar errors: exceptions by query, instead of an answer.
    @ivar follow: follow aliases, as a recursive server does.
    @ivar ttl: of all records, in seconds.
    """

    def __init__(self, zone: Zone, follow: bool = True) -> None:
        super().__init__()
        self.zone = {name.lower(): records for name, records in zone.items()}
        self.queries: list[str] = []
        self.errors: dict[str, Exception] = {}
        self.follow = follow
        self.ttl = 0

    def _lookup(self, name: bytes, cls: int, type: int, timeout: object) -> Deferred[Any]:
        kind = _TYPES[type]
        at = name.decode().lower()
        answers = []
        while self.follow and (alias := self.records(at, "CNAME")):
            answers.append(alias[0])
            at = alias[0][1].lower()
        self.queries.append(f"{kind} {at}")
        if f"{kind} {at}" in self.errors:
            return fail(self.errors[f"{kind} {at}"])
        if at not in self.zone:
            return fail(error.DNSNameError(dns.Message()))
        answers += self.records(at, kind) or self.records(at, "CNAME")
        payloads = map(_payload, answers)
        headers = [dns.RRHeader(name, payload.TYPE, cls, self.ttl, payload) for payload in payloads]
        # No such record at an existing name: an empty answer with the zone's SOA.
        return succeed((headers, [] if headers else [dns.RRHeader(name, dns.SOA)], []))

    def records(self, name: str, kind: str) -> list[Sequence[Any]]:
        """Records of one kind."""
        return [record for record in self.zone.get(name, ()) if record[0] == kind]


def silence() -> Exception:
    """What a name server that does not answer ends in."""
    return DeferTimeout("query")
