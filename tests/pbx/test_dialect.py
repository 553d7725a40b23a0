"""A vendor's dialect is kept within its bounds, whatever it does."""

from __future__ import annotations

import gc
from collections.abc import Callable
from itertools import count
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import LogEvent, LogLevel, eventAsText, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from skypetrunk.interfaces import IPBXDialect
from skypetrunk.pbx.dialect import QUIET_SECONDS, BoundedDialect, violation
from skypetrunk.pbx.doorkeeper import Doorkeeper
from skypetrunk.pbx.numbers import NumberPlan
from skypetrunk.testing import countingToken
from skypetrunk.testing.conformance_messages import messages
from skypetrunk.wire.digest import parseChallenge, respond
from skypetrunk.wire.message import Header, Request, Response, parseMessage, responseTo
from skypetrunk.wire.secret import Secret

Translation = Callable[[Any], Any]


def request(method: str = "INVITE", *lines: str, uri: str = "sip:100@192.0.2.1", to: str = "") -> Request:
    """A request of the PBX or to it."""
    head = [
        f"{method} {uri} SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bK1",
        "From: <sip:1001@192.0.2.5>;tag=1",
        f"To: {to or f'<{uri}>'}",
        "Call-ID: 1",
        f"CSeq: 1 {method}",
    ]
    message = parseMessage("\r\n".join([*head, *lines, "", ""]).encode())
    assert isinstance(message, Request)
    return message


@implementer(IPBXDialect)
class Vendor:
    """
    A dialect that does in both directions what it is told.

    @ivar asked: what it was asked to translate.
    """

    def __init__(self, translate: Translation) -> None:
        self.translate = translate
        self.asked: list[Request | Response] = []

    def fromPBX(self, message: Request | Response) -> Request | Response:
        """As told."""
        self.asked.append(message)
        after: Request | Response = self.translate(message)
        return after

    toPBX = fromPBX


class DialectCase(SynchronousTestCase):
    """Has a clock, and hears the log."""

    def setUp(self) -> None:
        """Listen to the log."""
        self.clock = Clock()
        self.events: list[LogEvent] = []
        observer: Any = self.events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def build(self, translate: Translation) -> tuple[BoundedDialect, Vendor]:
        """A dialect within its bounds, and the vendor's."""
        vendor = Vendor(translate)
        return BoundedDialect("odd", "office", vendor, NumberPlan("GB"), self.clock.seconds), vendor

    def lines(self) -> list[str]:
        """What was logged as an error of the plugin."""
        return [
            eventAsText(event, includeTraceback=False, includeTimestamp=False, includeSystem=False)
            for event in self.events
            if event.get("log_level", LogLevel.info) >= LogLevel.error and "plugin" in event
        ]


class BoundsTests(DialectCase):
    """What a dialect may do, and what it may not."""

    def test_provides(self) -> None:
        """It is one itself."""
        self.assertTrue(verifyObject(IPBXDialect, self.build(lambda message: message)[0]))

    def test_allowed(self) -> None:
        """Headers, spellings, the reason phrase, Request-URI, addresses and body are its own affair."""
        before = request("INVITE", "X-A: 1", "Contact: <sip:a@b>")
        for translate in (
            lambda message: message.withHeader("X-A", "2"),
            lambda message: message.withoutHeader("Contact"),
            lambda message: message.withURI("tel:+442079460100"),
            lambda message: message.withHeader("From", '"x" <sip:+44@b>;tag=1').withHeader("t", "<sip:q@b>"),
            lambda message: message.withBody(b"v=0\r\n", "application/sdp"),
            lambda message: message.withHeader("Content-Length", "99").withBody(b"1234", "text/plain"),
            lambda message: Request(
                message.method, message.uri, tuple(Header(n.lower(), v) for n, v in message.headers)
            ),
        ):
            dialect, _ = self.build(translate)
            for turn in (dialect.fromPBX, dialect.toPBX):
                self.assertEqual(turn(before), translate(before))
                # Content-Length is that of the body, whatever was said.
                self.assertEqual(parseMessage(turn(before).encode()).body, translate(before).body)
        response = responseTo(before, 180, toTag="2")
        dialect, _ = self.build(lambda message: Response(180, "Pling", message.headers))
        self.assertEqual(dialect.toPBX(response), Response(180, "Pling", response.headers))
        self.assertEqual((dialect.failures, self.lines()), (0, []))

    def test_forbidden(self) -> None:
        """What makes another message of it is dropped, and named; the message goes as it was."""
        requests: tuple[tuple[Translation, str], ...] = (
            (lambda message: None, "it became a NoneType"),
            (lambda message: message.encode(), "it became a bytes"),
            (lambda message: responseTo(message, 200), "it became a Response"),
            (lambda message: request("PRACK", "RAck: 1 1 INVITE"), "its method was changed"),
            (lambda message: message.withTopVia(message.topVia.replace(host="192.0.2.9")), "Via was changed"),
            (lambda message: message.prependingHeader("Via", message.header("Via")), "Via was changed"),
            (lambda message: message.withHeader("From", "<sip:1@b>"), "the tag of From was changed"),
            (lambda message: message.withHeader("To", "<sip:a@b>;tag=9"), "the tag of To was changed"),
            (lambda message: message.withHeader("Call-ID", "2"), "Call-ID was changed"),
            (lambda message: message.withHeader("CSeq", "2 INVITE"), "CSeq was changed"),
            (lambda message: message.withHeader("RAck", "1 1 INVITE"), "RAck was changed"),
            (lambda message: message.withHeader("RSeq", "1"), "RSeq was changed"),
            (lambda message: message.withoutHeader("Via"), "it became invalid: message: no via header"),
            (lambda message: message.withHeader("Contact", "<"), "it became invalid: contact: "),
            (lambda message: message.addingHeader("To", "<sip:a@b>"), "more than one to header"),
        )
        before = request()
        for translate, problem in requests:
            dialect, _ = self.build(translate)
            for turn in (dialect.fromPBX, dialect.toPBX):
                self.assertIs(turn(before), before, problem)
            self.assertEqual(dialect.failures, 2)
            self.assertIn(problem, self.lines()[-1])
            self.assertIn("office: the plugin odd went too far as a dialect (1 so far)", self.lines()[-1])
            self.assertIn("<Request INVITE <SIPURI sip:100@192.0.2.1>> stays as it was", self.lines()[-1])
        answer = responseTo(before, 180, toTag="2")
        dialect, _ = self.build(lambda message: Response(181, "x", message.headers))
        self.assertIs(dialect.toPBX(answer), answer)
        self.assertIn("its status was changed", self.lines()[-1])

    def test_everything(self) -> None:
        """No change of any header of any message makes an exception."""
        for before in messages():
            for name in {header.name for header in before.headers}:
                for after in (before.withoutHeader(name), before.withHeader(name, "\udcff<;,\"")):
                    violation(before, after)

    def test_raises(self) -> None:
        """The message goes as it was, both ways; the log names the plugin, with the traceback."""

        def leaving(message: Request | Response) -> Any:
            raise SystemExit

        dialect, _ = self.build(leaving)
        self.assertIs(dialect.fromPBX(before := request()), before)
        self.assertEqual(len(self.flushLoggedErrors(SystemExit)), 1)
        self.assertEqual(len(self.lines()), 1)
        self.events.clear()
        dialect, _ = self.build(lambda message: 1 // 0)
        before = request()
        self.assertIs(dialect.fromPBX(before), before)
        self.assertIs(dialect.toPBX(before), before)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        (line,) = self.lines()
        self.assertIn("office: the plugin odd failed as a dialect (1 so far): <Request INVITE", line)

    def test_quiet(self) -> None:
        """Of many failures one line a minute, with their number."""
        dialect, _ = self.build(lambda message: 1 // 0)
        for number in range(100):
            dialect.fromPBX(request("OPTIONS", f"X: {number}"))
        self.clock.advance(QUIET_SECONDS)
        dialect.fromPBX(request("OPTIONS"))
        self.assertEqual(dialect.failures, 101)
        self.assertEqual([line.partition(" so")[0].partition("(")[2] for line in self.lines()], ["1", "101"])
        self.flushLoggedErrors(ZeroDivisionError)

    def test_emergencies(self) -> None:
        """It never sees what calls an emergency number, and cannot hide one."""
        dialect, vendor = self.build(
            lambda message: message.withURI("sip:1@b").withHeader("Refer-To", "<sip:1@b>")
        )
        moved = responseTo(request(), 302, headers=[("Contact", "<sip:999@b>")], toTag="1")
        for message in (
            request(uri="sip:999@192.0.2.1"),
            request(to="<tel:112>"),
            request(uri="urn:service:sos.fire"),
            request("REFER", "Refer-To: <sip:999@192.0.2.1>"),
            moved,
        ):
            self.assertIs(dialect.fromPBX(message), message)
        self.assertEqual(vendor.asked, [])
        # What is none, or cannot be read, passes.
        broken = request("REFER", "Refer-To: <")
        self.assertEqual(dialect.fromPBX(broken).header("Refer-To"), "<sip:1@b>")


class RepetitionTests(DialectCase):
    """What is sent again, and what belongs to an INVITE."""

    def test_same(self) -> None:
        """What is sent again has the octets of the first time, also where the dialect failed at first."""
        numbers = count()
        dialect, vendor = self.build(lambda message: message.addingHeader("X", str(next(numbers))))
        before = request()
        first = dialect.toPBX(before).encode()
        self.assertEqual([dialect.toPBX(before).encode() for _ in range(3)], [first] * 3)
        # A transaction may build the same message again.
        self.assertEqual(dialect.toPBX(request()).encode(), first)
        self.assertEqual(len(vendor.asked), 1)
        vendor.translate = lambda message: 1 // 0
        other = responseTo(before, 200, toTag="1")
        dialect.toPBX(other)
        vendor.translate = lambda message: message.addingHeader("X", "1")
        self.assertIs(dialect.toPBX(other), other)
        self.flushLoggedErrors(ZeroDivisionError)

    def test_forgotten(self) -> None:
        """Nothing is kept of a message that nobody has any more."""
        dialect, vendor = self.build(lambda message: message.addingHeader("X", "1"))
        kept = request()
        dialect.toPBX(kept)
        for number in range(10):
            dialect.toPBX(request("OPTIONS", f"X: {number}"))
            vendor.translate = lambda message: message
            dialect.toPBX(request("OPTIONS", f"Y: {number}"))
        vendor.asked.clear()
        gc.collect()
        self.assertEqual(len(dialect._sent), 1)

    def test_invite(self) -> None:
        """CANCEL and the ACK of a refusal have the URI that their INVITE went with (9.1, 17.1.1.3)."""
        dialect, vendor = self.build(
            lambda message: message.withURI("sip:trunk@b") if message.method == "INVITE" else message
        )
        self.assertEqual(dialect.toPBX(request()).uri, "sip:trunk@b")  # type: ignore[union-attr]
        for method in ("CANCEL", "ACK"):
            vendor.translate = lambda message: message.addingHeader("X", "1")
            wanted = request(method).withURI("sip:trunk@b")
            self.assertEqual(dialect.toPBX(request(method)), wanted.addingHeader("X", "1"))
            # Whatever the dialect says.
            vendor.translate = lambda message: message.withURI("sip:other@b")
            self.assertEqual(dialect.toPBX(request(method, "Y: 1")), wanted.addingHeader("Y", "1"))
        self.assertEqual(dialect.failures, 2)
        self.assertIn("the Request-URI of CANCEL was changed", self.lines()[0])

    def test_brokenAnswers(self) -> None:
        """The answer to what was no valid request is no plugin's fault, and goes as it is."""
        broken = responseTo(request().withoutHeader("Call-ID"), 400)
        for translate in (
            lambda message: message,
            lambda message: message.addingHeader("X", "1"),
            lambda message: message.withHeader("Call-ID", message.callID),
            lambda message: 1 // 0,
        ):
            dialect, _ = self.build(translate)
            self.assertIs(dialect.toPBX(broken), broken)
            self.assertEqual((self.lines(), dialect.failures), ([], 0))


class CredentialTests(DialectCase):
    """A PBX with a dialect and a password."""

    def test_digest(self) -> None:
        """Credentials are for the Request-URI that the PBX wrote (RFC 7616 section 3.4.6)."""
        password = Secret("marker")
        doorkeeper = Doorkeeper("office", password, lambda: 1_800_000_000.0, countingToken(), bytes)
        response = doorkeeper.check(request())
        assert response is not None
        challenge = parseChallenge(response.header("WWW-Authenticate") or "")
        assert challenge is not None
        dialect, _ = self.build(lambda message: message.withURI("sip:+442079460100@192.0.2.1"))
        for uri, answer in (("sip:100@192.0.2.1", None), ("sip:+442079460100@192.0.2.1", 400)):
            value = respond(challenge, "office", password, "INVITE", uri, nonceCount=1, cnonce="c")
            heard = dialect.fromPBX(request("INVITE", f"Authorization: {value}"))
            assert isinstance(heard, Request)
            self.assertEqual(heard.uri, "sip:+442079460100@192.0.2.1")
            # What the transaction layer makes of it keeps it.
            found = doorkeeper.check(heard.withTopVia(heard.topVia).addingHeader("X", "1"))
            self.assertEqual(None if found is None else found.status, answer)
