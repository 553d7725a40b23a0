"""Tests of L{skypetrunk.net.responder}: real HTTP in memory, bounded in time and size."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import ILogObserver, LogEvent, eventAsText, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from skypetrunk.errors import ChannelFailed
from skypetrunk.net.dns_records import Records
from skypetrunk.net.locate import Locator
from skypetrunk.net.responder import FETCH_SECONDS, MOST_OCTETS, askResponder
from tests.net.zone import ZoneResolver
from tests.service.carriernet import NetworkReactor

PLACE = ("192.0.2.80", 80)
URL = "http://ocsp.example/ca"


class _Page(Resource):
    """
    Answers every request.

    @ivar seen: path, type and body of each.
    """

    isLeaf = True
    status = 200
    body: bytes | None = b"answer"

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[bytes, bytes | None, bytes]] = []

    def render_POST(self, request: Any) -> bytes | int:
        """Answer, or never."""
        self.seen.append((request.uri, request.getHeader(b"content-type"), request.content.read()))
        request.setResponseCode(self.status)
        request.setHeader(b"location", b"http://elsewhere.example/")
        return NOT_DONE_YET if self.body is None else self.body


class ResponderTests(SynchronousTestCase):
    """A responder at 192.0.2.80, whose other addresses are dead."""

    def setUp(self) -> None:
        """It listens."""
        self.reactor = NetworkReactor()
        self.page = _Page()
        self.reactor.network.listen(*PLACE, Site(self.page, reactor=self.reactor))
        zone = {"ocsp.example": [("A", "192.0.2.79"), ("A", PLACE[0])]}
        self.locator = Locator(Records(ZoneResolver(zone), self.reactor), lambda highest: 0)

    def ask(self, url: str = URL) -> Deferred[bytes]:
        """Ask, and let everything happen that happens at once."""
        asking = askResponder(self.reactor, self.locator, url, b"question")
        self.reactor.network.flush()
        return asking

    def assertNone(self, words: str, url: str = URL) -> None:
        """There is no answer, for this reason; nothing is left."""
        self.assertIn(words, str(self.failureResultOf(self.ask(url), ChannelFailed).value))
        self.assertOver()

    def assertOver(self) -> None:
        """No connection stands."""
        network = self.reactor.network
        network.flush()
        self.assertTrue(all(network.closed(index) for index in range(len(network.pumps))))

    def test_answer(self) -> None:
        """One POST of the right type; the answer as it came; the name looked up, each address tried."""
        self.assertEqual(self.successResultOf(self.ask()), b"answer")
        self.assertEqual(self.page.seen, [(b"/ca", b"application/ocsp-request", b"question")])
        self.assertEqual(self.reactor.network.attempts, [("192.0.2.79", 80), PLACE])
        self.assertOver()

    def test_quiet(self) -> None:
        """Twisted's client has nothing to say about it in the log."""
        events: list[str] = []

        def keep(event: LogEvent) -> None:
            events.append(f"{event.get('log_namespace')}: {eventAsText(event)}")

        observer = cast(ILogObserver, keep)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.successResultOf(self.ask())
        self.assertEqual([each for each in events if each.startswith("twisted.web.client")], [])

    def test_literal(self) -> None:
        """An address needs no look-up."""
        self.assertEqual(self.successResultOf(self.ask("http://192.0.2.80/")), b"answer")

    def test_status(self) -> None:
        """Anything but 200 is none; a redirection is not followed."""
        for status in (301, 302, 404, 500):
            self.page.status = status
            self.assertNone(f"HTTP status {status}")
        self.assertEqual({host for host, _ in self.reactor.network.attempts}, {"192.0.2.79", PLACE[0]})

    def test_endless(self) -> None:
        """An answer that is too long is not kept."""
        self.page.body = b"x" * (MOST_OCTETS + 1)
        self.assertNone(f"more than {MOST_OCTETS} octets")

    def test_silent(self) -> None:
        """Whoever does not answer, or takes no connection, is not waited for."""
        self.page.body = None
        asking = self.ask()
        self.reactor.network.advance(FETCH_SECONDS)
        self.assertIn("nothing within 2 s", str(self.failureResultOf(asking, ChannelFailed).value))
        self.reactor.network.blackhole("192.0.2.79", 80)
        asking = self.ask()
        self.reactor.network.advance(FETCH_SECONDS)
        self.failureResultOf(asking, ChannelFailed)
        self.assertOver()

    def test_cancel(self) -> None:
        """Nobody waits any more."""
        self.page.body = None
        asking = self.ask()
        asking.cancel()
        self.failureResultOf(asking, ChannelFailed, CancelledError)
        self.assertOver()

    def test_unreachable(self) -> None:
        """No address, nobody there, no URL."""
        self.assertNone("no address for nowhere.example", "http://nowhere.example/")
        self.assertNone("refused", "http://192.0.2.79/")
        self.assertNone("", "http://oc sp.example/\r\nX: y")
        self.assertNone("", "http://öcsp.example/")

    def test_noHTTP(self) -> None:
        """A peer that speaks something else, or breaks off."""

        class Babbler(Protocol):
            def dataReceived(self, data: bytes) -> None:
                """Talk, and go."""
                transport: Any = self.transport
                transport.write(octets)
                transport.loseConnection()

        self.reactor.network.listen(*PLACE, Factory.forProtocol(Babbler))
        short = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"
        for octets in (b"220 mail.example ESMTP\r\n", b"", short):  # noqa: B007 (the babbler says it)
            self.assertNone("")
