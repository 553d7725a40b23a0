"""Tests of L{skypetrunk.net.resolver}: which name server is asked, and which is asked next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IResolver
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactor, MemoryReactorClock
from twisted.names import dns
from twisted.names.resolve import ResolverChain
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skypetrunk.net.dns_records import Records, Unanswered
from skypetrunk.net.resolver import NameServers, buildResolver

NAME = "a.carrier.example"
SERVERS = ("192.0.2.1", "192.0.2.2")


class _Port:
    """The socket of one question, as its protocol and its owner use it."""

    def __init__(self, network: Datagrams, protocol: Any) -> None:
        self.network = network
        self.protocol = protocol
        protocol.makeConnection(self)

    def write(self, data: bytes, address: tuple[str, int]) -> None:
        """A question leaves."""
        self.network.asked.append(address[0])
        message = dns.Message()
        message.fromStr(data)
        message.answer = 1
        how = self.network.servers[address[0]]
        if how is not None:
            how(message)
            # On the next turn, as from a network.
            self.network.callLater(0, self.protocol.datagramReceived, message.toStr(), address)

    def stopListening(self) -> None:
        """The question is over."""


class Datagrams(MemoryReactorClock):
    """
    A network of name servers, on a clock that is turned by hand.

    @ivar servers: what each makes of a question, C{None}: it is silent.
    @ivar asked: whom the questions went to.
    """

    def __init__(self, *servers: Callable[[dns.Message], object] | None) -> None:
        super().__init__()
        self.servers = dict(zip(SERVERS, servers, strict=True))
        self.asked: list[str] = []

    def listenUDP(self, port: int, protocol: Any, interface: str = "", maxPacketSize: int = 8192) -> Any:
        """A socket for one question."""
        return _Port(self, protocol)


def says(code: int) -> Callable[[dns.Message], object]:
    """An answer that is none."""
    return lambda message: setattr(message, "rCode", code)


def knows(message: dns.Message) -> None:
    """An address."""
    message.answers = [dns.RRHeader(NAME.encode(), payload=dns.Record_A("192.0.2.9"), ttl=60)]


def truncated(message: dns.Message) -> None:
    """The answer is too long for a datagram; nobody listens on TCP."""
    message.trunc = 1


class NameServersTests(SynchronousTestCase):
    """Two name servers."""

    def ask(self, network: Datagrams, seconds: float = 0) -> list[str] | str:
        """The addresses of NAME, or why nobody knows, and C{asked} says whom."""
        records = Records(buildResolver(network, SERVERS), network)
        asked = records.find(dns.A, NAME)
        network.pump([0] * 6 + [0.25] * int(seconds * 4) + [0] * 6)
        asked.addErrback(lambda reason: reason.trap(Unanswered) and str(reason.value))
        found = self.successResultOf(asked)
        return found if isinstance(found, str) else [each.dottedQuad() for each in found]

    def test_first(self) -> None:
        """The first one that answers is enough."""
        network = Datagrams(knows, knows)
        self.assertEqual(self.ask(network), ["192.0.2.9"])
        self.assertEqual(network.asked, ["192.0.2.1"])

    def test_failed(self) -> None:
        """Who fails, refuses or does not understand has said nothing: the next is asked, at once."""
        for code in (dns.ESERVER, dns.EREFUSED, dns.ENOTIMP, dns.EFORMAT):
            network = Datagrams(says(code), knows)
            self.assertEqual(self.ask(network), ["192.0.2.9"])
            self.assertEqual(network.asked, list(SERVERS))

    def test_none(self) -> None:
        """RFC 2308 section 2.1: that the name does not exist is an answer."""
        network = Datagrams(says(dns.ENAME), knows)
        self.assertEqual(self.ask(network), [])
        self.assertEqual(network.asked, ["192.0.2.1"])

    def test_silent(self) -> None:
        """The next is asked after a second."""
        network = Datagrams(None, knows)
        self.assertEqual(self.ask(network, 1), ["192.0.2.9"])

    def test_allFailed(self) -> None:
        """Each is asked once, and what was said is told."""
        network = Datagrams(says(dns.ESERVER), says(dns.EREFUSED))
        self.assertEqual(self.ask(network), "the name server refused")
        self.assertEqual(network.asked, list(SERVERS))

    def test_allSilent(self) -> None:
        """Each is asked twice, longer the second time."""
        network = Datagrams(None, None)
        self.assertEqual(self.ask(network, 8), "no answer within 4 s")
        self.assertEqual(network.asked, [*SERVERS, *SERVERS])

    def test_silentAndFailed(self) -> None:
        """Who was silent is asked again, who has failed is not, and is told of."""
        network = Datagrams(None, says(dns.ESERVER))
        self.assertEqual(self.ask(network, 4), "the name server failed (SERVFAIL)")
        self.assertEqual(network.asked, [*SERVERS, "192.0.2.1"])

    def test_truncated(self) -> None:
        """An answer that is only to be had by TCP, from a server that is silent there: the next is asked."""
        network = Datagrams(truncated, knows)
        self.assertEqual(self.ask(network, 3), ["192.0.2.9"])
        self.assertEqual([each[:2] for each in network.tcpClients], [("192.0.2.1", 53)])

    def test_allTruncated(self) -> None:
        """Each has three seconds, and is not asked again: nothing else can come of it."""
        network = Datagrams(truncated, truncated)
        reason = "ConnectionError: the answer is too long for UDP, and TCP is silent"
        self.assertEqual(self.ask(network, 6), reason)
        self.assertEqual(network.asked, list(SERVERS))


class BuildResolverTests(SynchronousTestCase):
    """What the configuration names."""

    def test_configured(self) -> None:
        """Configured servers are asked and no others."""
        configured = buildResolver(MemoryReactor(), ["127.0.0.1:5353", "192.0.2.53", "[::1]:54"])
        assert isinstance(configured, NameServers)
        self.assertEqual(
            list(configured.addresses()), [("127.0.0.1", 5353), ("192.0.2.53", 53), ("::1", 54)]
        )
        for literal in ("2001:db8::1", "[2001:db8::1]"):
            known = buildResolver(MemoryReactor(), [literal])
            assert isinstance(known, NameServers)
            self.assertEqual(list(known.addresses()), [("2001:db8::1", 53)])

    def test_bad(self) -> None:
        """What is no literal address is refused."""
        bad = ["", "ns.example", "ns.example:53", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "::1:x"]
        for each in (*bad, "[::1]53"):
            self.assertRaises(ValueError, buildResolver, MemoryReactor(), [each])

    def test_system(self) -> None:
        """Without any, the system's: its hosts file and its name servers."""
        system = buildResolver(Clock())
        assert isinstance(system, ResolverChain)
        self.assertTrue(verifyObject(IResolver, system))
        servers = system.resolvers[-1]
        assert isinstance(servers, NameServers)
        self.assertTrue(servers.addresses())
