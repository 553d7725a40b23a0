"""
The lab's name server: the SRV and address records of one SIP domain, on loopback.

The datasheet has the customer's device ask for SRV records and take address B{and}
port from the answer.  Records can be changed while it runs, for tests of fail-over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort
from twisted.names import dns
from twisted.names.authority import FileAuthority
from twisted.names.server import DNSServerFactory

from skypetrunk.lab.ports import IReactor, closePorts, listenBoth, portNumber

__all__ = ["Node", "Zone", "NameServer"]

_TTL = 30


@dataclass(frozen=True, slots=True)
class Node:
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
    """The records of C{domain} and everything below it, authoritative."""

    soa: tuple[bytes, dns.Record_SOA]  # type: ignore[assignment]  # FileAuthority leaves both open
    records: dict[bytes, list[object]]  # type: ignore[assignment]

    def __init__(self, domain: str, nodes: Sequence[Node]) -> None:
        super().__init__("")
        self.domain = domain
        self.setNodes(nodes)

    def loadFile(self, filename: str) -> None:
        """Nothing is read: the records are made by L{setNodes}."""

    def setNodes(self, nodes: Sequence[Node]) -> None:
        """
        C{_sips._tcp} for each of C{nodes}, and their addresses.  The domain itself has no
        address, as with carriers of today: only who follows SRV finds the gateways.
        """
        origin = self.domain.encode("ascii").lower()
        soa = dns.Record_SOA(
            mname=b"ns." + origin,
            rname=b"hostmaster." + origin,
            serial=1,
            refresh=_TTL,
            retry=_TTL,
            expire=_TTL,
            minimum=_TTL,
            ttl=_TTL,
        )
        self.soa = (origin, soa)
        records: dict[bytes, list[object]] = {origin: [soa]}
        service = b"_sips._tcp." + origin
        for node in nodes:
            name = node.name.encode("ascii").lower()
            records.setdefault(service, []).append(
                dns.Record_SRV(node.priority, node.weight, node.port, name, ttl=_TTL)
            )
            records.setdefault(name, [])
            for text in node.addresses:
                record = dns.Record_A if ip_address(text).version == 4 else dns.Record_AAAA
                records[name].append(record(text, ttl=_TTL))
        self.records = records


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
        factory = DNSServerFactory(clients=[self.zone])
        factory.noisy = False
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
