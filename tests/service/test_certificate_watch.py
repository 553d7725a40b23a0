"""Certificates that change while a trunk runs: checked first, used by new handshakes, nothing left behind."""

from __future__ import annotations

import gc
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, ip_address
from pathlib import Path
from shutil import rmtree
from typing import Any

from cryptography import x509
from OpenSSL import SSL
from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.logger import LogEvent, eventAsText, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.timers import Timers
from skypetrunk.net.certificates import loadOwnCertificate, loadTrustRoots
from skypetrunk.net.client_tls import ClientTLS
from skypetrunk.net.identity import IdentityPolicy
from skypetrunk.net.tls import TLSClientEndpoint
from skypetrunk.net.tls_server import tlsServerOptions
from skypetrunk.service.certificate_watch import WATCH_SECONDS, CertificateWatch, inWords
from skypetrunk.service.neighbour import PBX
from skypetrunk.service.settings import PBXConfiguration, PBXTLSConfiguration, TLSConfiguration
from skypetrunk.service.tls_files import Ending
from skypetrunk.testing import countingToken
from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.uri import SIPURI
from tests.core.callnet import Plan
from tests.net.certificates import Issued, authority, dns, intermediate, leaf
from tests.net.network import Listeners
from tests.net.revoking import crl
from tests.service.carriernet import ADDRESS, DOMAIN, CarrierCase, NetworkReactor
from tests.service.test_inbound import NAME, PLACE, InboundCase

FIRST, NEXT = (leaf(dns("trunk.example"), keyName=name) for name in ("ours", "our next"))


def directoryOf(case: SynchronousTestCase) -> Path:
    """A directory for one test."""
    directory = Path(tempfile.mkdtemp(prefix="skypetrunk-"))
    case.addCleanup(rmtree, directory)
    return directory


def looks(case: CarrierCase) -> None:
    """The files are looked at twice: a change is in use."""
    case.network.advance(WATCH_SECONDS)
    case.network.advance(WATCH_SECONDS)


def logOf(case: SynchronousTestCase) -> list[LogEvent]:
    """Everything that is logged from now on."""
    events: list[LogEvent] = []
    observer: Any = events.append
    globalLogPublisher.addObserver(observer)
    case.addCleanup(globalLogPublisher.removeObserver, observer)
    return events


class WatchCase(CarrierCase):
    """A trunk that is not asked to register, whose carrier wants to see a certificate."""

    profile = "register = false\noptions_interval = 0"

    def setUp(self) -> None:
        """Connected, with a certificate of ours."""
        self.files = directoryOf(self)
        self.put("ca.pem", authority().pem)
        self.put("carrier.crl", crl())
        self.own(FIRST)
        self.tls = {
            "caFile": self.files / "ca.pem",
            "certificate": self.files / "own.pem",
            "key": self.files / "own.key",
            "crlFile": self.files / "carrier.crl",
        }
        super().setUp()
        self.events = logOf(self)
        self.start()
        self.assertEqual(self.shown(), FIRST.certificate)

    def serve(
        self,
        address: tuple[str, int] = ADDRESS,
        factory: IProtocolFactory | None = None,
        issued: Issued | None = None,
    ) -> None:
        """The carrier asks for a certificate of the root."""
        issued = issued or leaf(dns(DOMAIN))
        own = loadOwnCertificate(issued.pem, issued.keyPEM)
        options = tlsServerOptions(own, clientRoots=authority().pem)
        self.network.listenTLS(*address, options, factory or self.factory)

    def put(self, name: str, content: bytes) -> None:
        """Replace a file, as careful programs do."""
        new = self.files / "new"
        new.write_bytes(content)
        new.rename(self.files / name)

    def own(self, issued: Issued) -> None:
        """Our certificate and key."""
        self.put("own.pem", issued.pem)
        self.put("own.key", issued.keyPEM)

    def shown(self) -> x509.Certificate:
        """What the carrier saw of us last."""
        certificate = self.network.pumps[-1].server.getPeerCertificate()
        assert certificate is not None
        found: x509.Certificate = certificate.to_cryptography()
        return found

    def again(self) -> None:
        """The carrier ends the connection, and the trunk comes back."""
        for channel in tuple(self.connections):
            channel.close()
        self.network.flush()
        self.network.advance(3)

    def lines(self, words: str) -> list[str]:
        """Of the log."""
        texts = [eventAsText(event, includeTimestamp=False, includeSystem=False) for event in self.events]
        return [text for text in texts if words in text]

    def assertKept(self, words: str) -> None:
        """The change is not used, and one line says why."""
        before = len(self.lines("cannot be used"))
        looks(self)
        for _ in range(3):
            self.network.advance(WATCH_SECONDS)
        (line,) = self.lines("cannot be used")[before:]
        self.assertIn(words, line)
        self.assertTrue(line.startswith("carrier: certificate files have changed and cannot be used"), line)


class SwapTests(WatchCase):
    """The carrier's side."""

    def test_swap(self) -> None:
        """The connection that stands stays; the next one shows the new certificate."""
        self.own(NEXT)
        looks(self)
        self.assertEqual((len(self.network.pumps), self.trunk.side.up), (1, True))
        self.assertEqual(len(self.lines("new handshakes use them")), 1)
        self.again()
        self.assertEqual((self.shown(), self.trunk.side.up), (NEXT.certificate, True))

    def test_oneAfterTheOther(self) -> None:
        """Between certificate and key nothing is taken, and nothing is said."""
        self.put("own.pem", NEXT.pem)
        self.network.advance(WATCH_SECONDS)
        self.put("own.key", NEXT.keyPEM)
        self.network.advance(WATCH_SECONDS)
        self.assertEqual(self.lines("certificate files"), [])
        self.network.advance(WATCH_SECONDS)
        self.again()
        self.assertEqual(self.shown(), NEXT.certificate)

    def test_kept(self) -> None:
        """What cannot be used is not, whatever is wrong with it; what is right later is."""
        below = leaf(dns("trunk.example"), intermediate())
        for issued, words in (
            (leaf((), expired=True), "CN=Test Leaf ended on "),
            (leaf((), notYet=True), "CN=Test Leaf is not valid before "),
            (Issued(FIRST.certificate, NEXT.key), "the key is not that of CN=Test Leaf"),
            (
                Issued(below.certificate, below.key, (authority("Stranger").certificate,)),
                "CN=Test Leaf was not issued by CN=Stranger, which follows it",
            ),
        ):
            self.own(issued)
            self.assertKept(words)
        self.own(FIRST)
        looks(self)
        for name, content, words in (
            ("own.pem", b"nothing", "own.pem: no usable certificate and key"),
            ("own.key", b"", "own.pem: no usable certificate and key"),
            ("ca.pem", b"", "ca.pem: no usable CA certificates"),
            ("ca.pem", intermediate().pem, "ca.pem: no root, only what others issued"),
            ("carrier.crl", b"nothing", "carrier.crl: no usable CRL"),
        ):
            before = (self.files / name).read_bytes()
            self.put(name, content)
            self.assertKept(words)
            self.put(name, before)
            looks(self)
        (self.files / "own.key").unlink()
        self.assertKept("own.pem: no usable certificate and key: [Errno 2]")
        self.again()
        self.assertEqual((self.shown(), self.trunk.side.up), (FIRST.certificate, True))
        self.own(NEXT)
        looks(self)
        self.again()
        self.assertEqual(self.shown(), NEXT.certificate)

    def test_roots(self) -> None:
        """Another CA: who was right before is refused from the next handshake on."""
        self.put("ca.pem", authority("Next Root").pem)
        looks(self)
        self.assertTrue(self.trunk.side.up)
        self.again()
        self.assertFalse(self.trunk.side.up)
        self.assertIn("issued under CN=Next Root", str(self.trunk.status()["problem"]))
        self.serve(issued=leaf(dns(DOMAIN), authority("Next Root")))
        self.network.advance(60)
        self.assertTrue(self.trunk.side.up)

    def test_revoked(self) -> None:
        """A new CRL names the carrier's certificate."""
        issued = leaf(dns(DOMAIN))
        self.serve(issued=issued)
        self.again()
        self.assertTrue(self.trunk.side.up)
        self.put("carrier.crl", crl(issued))
        looks(self)
        self.again()
        self.assertFalse(self.trunk.side.up)
        self.assertIn("revoked on ", str(self.trunk.status()["problem"]))

    def test_stop(self) -> None:
        """A trunk that has stopped looks at nothing."""
        stopping = Deferred.fromCoroutine(self.trunk.stop())
        self.network.flush()
        self.network.advance(5)
        self.successResultOf(stopping)
        self.own(NEXT)
        self.network.advance(60)
        self.assertEqual(self.lines("certificate files"), [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_thousand(self) -> None:
        """1,000 changes leave as many contexts, connections and certificates as ten do."""

        def census() -> Counter[type]:
            gc.collect()
            kinds = (SSL.Context, SSL.Connection, ssl.CertificateOptions, ClientTLS, x509.Certificate)
            return Counter(type(each) for each in gc.get_objects() if isinstance(each, kinds))

        def swap(number: int) -> None:
            self.own((FIRST, NEXT)[number % 2])
            looks(self)
            if number % 50 == 0:
                self.again()
                self.assertTrue(self.trunk.side.up)
                del self.network.pumps[:-1]

        for number in range(10):
            swap(number)
        before = census()
        for number in range(10, 1010):
            swap(number)
        self.assertEqual(len(self.lines("new handshakes use them")), 1010)
        self.events.clear()
        after = census()
        for kind in {*before, *after}:
            self.assertLess(after[kind] - before[kind], 5, kind)


class InboundSwapTests(InboundCase):
    """A carrier that calls in."""

    def inbound(self, directory: Path) -> Any:
        """Remember where the files are."""
        self.files = directory
        return super().inbound(directory)

    def test_swap(self) -> None:
        """The next connection is shown the new certificate; the one that stands stays."""
        (before,) = self.calls(leaf(dns(DOMAIN)))
        own = leaf(dns(NAME), keyName="another")
        (self.files / "own.pem").write_bytes(own.pem)
        (self.files / "own.key").write_bytes(own.keyPEM)
        looks(self)
        (after,) = self.calls(leaf(dns(DOMAIN)))
        shown = after.transport.getPeerCertificate().to_cryptography()
        self.assertEqual(shown, own.certificate)
        self.assertNotEqual(before.transport.getPeerCertificate().to_cryptography(), own.certificate)
        assert self.trunk.inbound is not None
        self.assertEqual(self.trunk.inbound.status()["connections"], 2)
        self.assertIn(PLACE, self.network.attempts)


class PBXSwapTests(SynchronousTestCase):
    """A PBX on TLS."""

    def test_swap(self) -> None:
        """Whoever connects next is shown the new certificate; when the trunk connects, it shows that too."""
        directory = directoryOf(self)
        place, far = ("192.0.2.99", 5061), ("192.0.2.5", 5061)
        here, there = ([x509.IPAddress(ip_address(host))] for host, _ in (place, far))

        def own(keyName: str) -> x509.Certificate:
            issued = leaf(here, keyName=keyName)
            (directory / "own.pem").write_bytes(issued.pem)
            (directory / "own.key").write_bytes(issued.keyPEM)
            return issued.certificate

        def shown() -> tuple[x509.Certificate, x509.Certificate]:
            tls = ClientTLS(place[0], loadTrustRoots(authority().pem), IdentityPolicy(), certificate=pbx)
            endpoint = TLSClientEndpoint(reactor.network.endpoint(*place), tls, reactor, "PBX")
            endpoint.connect(Factory.forProtocol(Protocol))
            reactor.network.flush()
            client: Any = reactor.network.pumps[-1].client
            office.transports.find(SIPURI("sip", None, None, *far)).addErrback(lambda failure: None)
            reactor.network.flush()
            server = reactor.network.pumps[-1].server
            seen = [each.getPeerCertificate().to_cryptography() for each in (client, server)]
            return seen[0], seen[1]

        # In memory everybody connects from where the trunk is.
        issued = leaf([*there, *here], keyName="PBX")
        pbx = loadOwnCertificate(issued.pem, issued.keyPEM)
        (directory / "ca.pem").write_bytes(authority().pem)
        first = own("first")
        files = TLSConfiguration(directory / "ca.pem", (), directory / "own.pem", directory / "own.key", None)
        configuration = PBXConfiguration(
            name="office",
            listen=(TransportAddress("TLS", *place),),
            address=TransportAddress("TLS", *far),
            allow=(IPv4Network("192.0.2.0/24"),),
            tls=PBXTLSConfiguration(files, None),
        )
        reactor = NetworkReactor()
        options = tlsServerOptions(pbx, clientRoots=authority().pem)
        reactor.network.listenTLS(*far, options, Listeners())
        office = PBX(configuration, reactor, Plan(), countingToken(), Timers(), None)
        office.listen()
        office.start()
        self.assertEqual(shown()[0], first)
        second = own("second")
        for _ in range(2):
            reactor.network.advance(WATCH_SECONDS)
        for pump in reactor.network.pumps:
            pump.clientIO.abortConnection()
        reactor.network.flush()
        self.assertEqual(shown(), (second, second))
        stopping = Deferred.fromCoroutine(office.stop())
        reactor.network.advance(5)
        self.successResultOf(stopping)


class ReminderTests(SynchronousTestCase):
    """What ends soon is said, once a day."""

    def lines(self, issued: Issued, days: int) -> list[str]:
        """What is logged in so many days."""
        directory = directoryOf(self)
        (directory / "own.pem").write_bytes(issued.pem)
        (directory / "own.key").write_bytes(issued.keyPEM)
        (directory / "ca.pem").write_bytes(authority().pem)
        files = TLSConfiguration(
            directory / "ca.pem", (), directory / "own.pem", directory / "own.key", None
        )
        clock = Clock()

        def more() -> Iterator[Ending]:
            now = datetime.now(UTC)
            yield Ending("the carrier's certificate", None, now + timedelta(days=3, hours=1))
            # One of a CA whose certificates live for a week: that is no reason to worry yet.
            yield Ending("another", now - timedelta(days=1), now + timedelta(days=6))

        watch = CertificateWatch("office", clock, files, lambda: None, lambda made: None, more)
        events = logOf(self)
        watch.start()
        for _ in range(days * 24):
            clock.advance(3600)
        watch.stop()
        self.assertEqual(clock.getDelayedCalls(), [])
        return [eventAsText(event, includeTimestamp=False, includeSystem=False) for event in events]

    def test_daily(self) -> None:
        """Our certificate, and the other side's; not what lasts for weeks."""
        lines = self.lines(leaf((), intermediate()), 3)
        self.assertEqual(len(lines), 6)
        day = f"{datetime.now(UTC) + timedelta(hours=24):%Y-%m}"
        self.assertIn(f"our certificate CN=Test Intermediate ends on {day}", lines[0])
        self.assertRegex(lines[1], r"^office: the carrier's certificate ends on \S+, in 3 days$")

    def test_ended(self) -> None:
        """What has ended is told likewise."""
        now = datetime.now(UTC)
        self.assertEqual(inWords(Ending("it", None, now - timedelta(days=1)), now)[:9], "it ended ")
        lines = self.lines(leaf((), expired=True), 1)
        self.assertIn("our certificate CN=Test Leaf ended on ", lines[0])

    def test_gone(self) -> None:
        """Files that are gone change nothing, and stop nothing."""
        directory = directoryOf(self)
        files = TLSConfiguration(directory / "ca.pem", (), None, None, None)
        clock = Clock()
        watch = CertificateWatch("office", clock, files, lambda: None, self.fail)
        watch.start()
        clock.advance(WATCH_SECONDS)
        (directory / "ca.pem").write_bytes(b"nothing")
        os.utime(directory / "ca.pem")
        for _ in range(4):
            clock.advance(WATCH_SECONDS)
        watch.stop()
