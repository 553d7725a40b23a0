"""
The lab's name server: the NAPTR, SRV and address records of one SIP domain, on loopback.

The datasheet has the customer's device ask for SRV records and take address B{and}
port from the answer.  Records can be changed while it runs, and it can answer wrongly or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IListeningPort
from twisted.names import dns
from twisted.names.authority import FileAuthority
from twisted.names.server import DNSServerFactory

from skypetrunk.lab.ports import IReactor, closePorts, listenBoth, portNumber

__all__ = ["NAMES", "NameServer", "Target", "Zone"]

NAMES = {
    "good": "SRV records lead to the nodes; the domain itself has no address",
    "no-srv": "there is no SRV record, but the domain has the address of the first node",
    "not-offered": "the SRV target is a dot: no such service (RFC 2782)",
    "unresolved": "SRV records, whose targets have no address",
    "nothing": "the name exists and has no record at all",
    "nxdomain": "the name does not exist",
    "servfail": "the server fails",
    "refused": "the server refuses to answer",
    "silent": "no answer",
}
"""What the name server does, by name."""

_TTL = 30
_CODES = {"nxdomain": dns.ENAME, "servfail": dns.ESERVER, "refused": dns.EREFUSED}


@dataclass(frozen=True, slots=True)
class Target:
    """
    One gateway of the carrier, as DNS shows it (RFC 2782).

    @ivar name: its host name, the SRV target.
    @ivar addresses: literal addresses.
    @ivar port: TCP port that speaks TLS.
    """

    name: str
    addresses: tuple[str, ...]
    port: int
    priority: int = 10
    weight: int = 50


class Zone(FileAuthority):
    """
    The records of C{domain} and everything below it, authoritative.

    @ivar answer: a key of L{NAMES}.
    """

    soa: tuple[bytes, dns.Record_SOA]  # type: ignore[assignment]  # FileAuthority leaves both open
    records: dict[bytes, list[object]]  # type: ignore[assignment]

    def __init__(self, domain: str, targets: Sequence[Target]) -> None:
        super().__init__("")
        self.domain = domain
        self.answer = "good"
        self.setTargets(targets)

    def loadFile(self, filename: str) -> None:
        """Nothing is read: the records are made by L{setTargets}."""

    def setTargets(
        self,
        targets: Sequence[Target],
        ttl: int = _TTL,
        naptr: bool = False,
        answer: str = "good",
        customer: tuple[str, Target] | None = None,
    ) -> None:
        """
        C{_sips._tcp} for each of C{targets}, and their addresses.  The domain itself has no
        address, as with carriers of today: only who follows SRV finds the gateways.

        @param ttl: of all records, seconds.
        @param naptr: one more record, which says that SIPS over TCP is all there is.
        @param answer: a key of L{NAMES}.
        @param customer: a domain of somebody else, and where it is.
        """
        self.answer = answer
        origin = self.domain.encode("ascii").lower()
        soa = dns.Record_SOA(
            mname=b"ns." + origin,
            rname=b"hostmaster." + origin,
            serial=1,
            refresh=ttl,
            retry=ttl,
            expire=ttl,
            minimum=ttl,
            ttl=ttl,
        )
        self.soa = (origin, soa)
        self.records = {origin: [soa]}
        service = b"_sips._tcp." + origin
        if answer == "not-offered":
            self._add(service, dns.Record_SRV(0, 0, 0, b"", ttl=ttl))
        elif answer == "no-srv":
            for text in targets[0].addresses if targets else ():
                self._add(origin, _address(text, ttl))
        elif answer == "nothing":
            self._add(service, self._other(ttl))
        elif answer in ("good", "unresolved"):
            if naptr:
                self._add(origin, dns.Record_NAPTR(10, 50, b"s", b"SIPS+D2T", b"", service, ttl=ttl))
            for each in targets:
                self._publish(service, each, ttl, answer == "good")
        if customer is not None:
            domain, target = customer
            self._publish(f"_sips._tcp.{domain}".encode("ascii"), target, ttl, True)

    def _publish(self, service: bytes, target: Target, ttl: int, resolved: bool) -> None:
        name = target.name.encode("ascii").lower()
        self._add(service, dns.Record_SRV(target.priority, target.weight, target.port, name, ttl=ttl))
        if not resolved:
            self._add(name, self._other(ttl))
            return
        for text in target.addresses:
            self._add(name, _address(text, ttl))

    @staticmethod
    def _other(ttl: int) -> object:
        """A record of a kind that nobody asks for: a name without any would not exist."""
        return dns.Record_TXT(b"skypetrunk lab", ttl=ttl)

    def _add(self, name: bytes, record: object) -> None:
        self.records.setdefault(name, []).append(record)


def _address(text: str, ttl: int) -> object:
    record = dns.Record_A if ip_address(text).version == 4 else dns.Record_AAAA
    return record(text, ttl=ttl)


class _Answers(DNSServerFactory):
    """Answers for a L{Zone}, where it answers at all."""

    noisy = False

    def __init__(self, zone: Zone) -> None:
        super().__init__(clients=[zone])
        self._zone = zone

    def handleQuery(self, message: dns.Message, protocol: Any, address: Any) -> Any:
        """Twisted's own errors cannot be had by failing: its chain of resolvers makes NXDOMAIN of all."""
        answer = self._zone.answer
        if answer == "silent":
            return succeed(None)
        if answer not in _CODES:
            return super().handleQuery(message, protocol, address)
        self.sendReply(protocol, self._responseFromMessage(message=message, rCode=_CODES[answer]), address)
        return succeed(None)


class NameServer(Service):
    """
    Serves a L{Zone} over UDP and TCP on the same port.

    @ivar port: the port in use, once listening; 0 lets the system choose.
    """

    def __init__(self, reactor: IReactor, zone: Zone, address: str, port: int) -> None:
        self._reactor = reactor
        self.zone = zone
        self.address = address
        self.port = port
        self._ports: tuple[IListeningPort, ...] = ()

    def listen(self) -> None:
        """
        Bind now, so that the caller can report what fails.

        @raise CannotListenError: the port is in use.
        """
        factory = _Answers(self.zone)
        datagrams = dns.DNSDatagramProtocol(factory, reactor=self._reactor)
        datagrams.noisy = False
        self._ports = listenBoth(self._reactor, self.address, self.port, datagrams, factory)
        self.port = portNumber(self._ports[0])

    def startService(self) -> None:
        """Bind, unless L{listen} was called before."""
        super().startService()
        if not self._ports:
            self.listen()

    def stopService(self) -> Deferred[None]:
        """Close both ports."""
        super().stopService()
        ports, self._ports = self._ports, ()
        return closePorts(ports)
