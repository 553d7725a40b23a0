"""Tests of L{skypetrunk.core.sides}."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skypetrunk.core.identity import Caller, numberOf
from skypetrunk.core.sides import PBXSide, Side
from skypetrunk.core.trunk_side import TrunkSide
from skypetrunk.errors import MalformedMessage
from skypetrunk.interfaces import ITransactionUser, MediaHost, MediaPath
from skypetrunk.testing import MemoryCredentials, RecordingChannel
from skypetrunk.wire.headers import parseNameAddr
from skypetrunk.wire.message import parseMessage
from skypetrunk.wire.uri import SIPURI, parseURI
from tests.core.callnet import Finder, Plan, Profile, sdp
from tests.core.messages import incoming

CHANNEL = RecordingChannel(Clock(), "tls:203.0.113.1:5061", "tls:[2001:db8::1]:40000")


def pbx() -> PBXSide:
    """A PBX on UDP."""
    address, local = parseURI("sip:192.0.2.10:5070"), parseURI("sip:198.51.100.1:5060")
    assert isinstance(address, SIPURI) and isinstance(local, SIPURI)
    return PBXSide("office", Finder(CHANNEL), address, local)


def trunk(limit: int | None = None, **profile: Any) -> TrunkSide:
    """A carrier with such a profile."""
    side = TrunkSide(
        "carrier",
        Finder(CHANNEL),
        "carrier.example",
        "my account",
        Profile(**profile),
        Plan(),
        MemoryCredentials({}),
        ("AES_CM_128_HMAC_SHA1_80",),
        limit,
    )
    side.up = True
    return side


class MediaPathTests(SynchronousTestCase):
    """Which of two IP versions media of a call has."""

    OLD, NEW = MediaHost("192.0.2.1"), MediaHost("2001:db8::1")

    def first(self, side: Side, offer: bytes = b"") -> MediaHost:
        """Where media would be received."""
        return side.mediaPathFor(offer).hosts[0]

    def test_offered(self) -> None:
        """That of the neighbour's offer; of the first audio that is offered at all."""
        side = pbx()
        side.mediaPath = MediaPath(hosts=(self.NEW, self.OLD), symmetric=False)
        offer = sdp()
        self.assertEqual(self.first(side, offer), self.OLD)
        self.assertFalse(side.mediaPathFor(offer).symmetric)
        new = offer.replace(b"IP4 192.0.2.10", b"IP6 2001:db8::7")
        self.assertEqual(self.first(side, new), self.NEW)
        for body in (
            b"",
            b"garbage",
            offer.replace(b"4000", b"0"),
            offer.replace(b"192.0.2.10", b"a.example"),
        ):
            self.assertEqual(self.first(side, body), self.NEW)
        refused = b"m=audio 0 RTP/AVP 8\r\nc=IN IP6 2001:db8::7\r\n"
        self.assertEqual(self.first(side, offer.replace(b"m=audio", refused + b"m=audio", 1)), self.OLD)

    def test_signalling(self) -> None:
        """Without an offer that of the connection to the carrier, as soon as there is one."""
        side = trunk()
        side.mediaPath = MediaPath(hosts=(self.OLD, self.NEW))
        self.assertEqual(self.first(side), self.OLD)
        side.address.use(CHANNEL)
        self.assertEqual(self.first(side), self.NEW)
        self.assertEqual(self.first(side, sdp()), self.OLD)

    def test_one(self) -> None:
        """Where there is one there is no choice, and nothing is looked at."""
        side = pbx()
        self.assertIs(side.mediaPathFor(b"garbage"), side.mediaPath)


class PBXTests(SynchronousTestCase):
    """Towards a PBX."""

    def test_interface(self) -> None:
        """A side takes requests, and drops them until it belongs to a manager."""
        side = pbx()
        self.assertTrue(verifyObject(ITransactionUser, side))
        side.ackReceived(incoming("ACK"), CHANNEL)
        self.assertEqual(CHANNEL.sent, [])

    def test_addresses(self) -> None:
        """number@pbx from the caller's number at our own address; the display name crosses."""
        addresses = pbx().addresses(Caller("+4420", "Ann"), "account")
        self.assertEqual(str(addresses.requestURI), "sip:account@192.0.2.10:5070")
        self.assertEqual(str(addresses.called), "<sip:account@192.0.2.10:5070>")
        self.assertEqual(str(addresses.caller), '"Ann" <sip:+4420@198.51.100.1:5060>')
        self.assertEqual(addresses.contactUser, "+4420")

    def test_kinds(self) -> None:
        """A PBX is plain and has no passwords; any number of calls may be up."""
        side = pbx()
        side.calls = 1000
        self.assertEqual((side.secure, side.suites, side.credentials, side.usable()), (False, (), None, True))

    def test_abstract(self) -> None:
        """A side of no kind addresses nobody."""
        self.assertRaises(AssertionError, Side("x", Finder(CHANNEL)).addresses, Caller("a", None), "b")


class TrunkTests(SynchronousTestCase):
    """Towards a carrier."""

    def test_addresses(self) -> None:
        """Request-URI and To are number@domain, From and Contact the account; no display name leaves."""
        addresses = trunk().addresses(Caller("1001", "Marker"), "+4420")
        self.assertEqual(str(addresses.requestURI), "sip:+4420@carrier.example")
        self.assertEqual(str(addresses.called), "<sip:+4420@carrier.example>")
        self.assertEqual(str(addresses.caller), "<sip:my%20account@carrier.example>")
        self.assertEqual(addresses.contactUser, "my%20account")

    def test_callerInFrom(self) -> None:
        """From is the caller where the profile says so; Contact stays the account."""
        addresses = trunk(fromUser="caller").addresses(Caller("1001", "Marker"), "+4420")
        self.assertEqual(str(addresses.caller), "<sip:1001@carrier.example>")
        self.assertEqual(addresses.contactUser, "my%20account")

    def test_numberForms(self) -> None:
        """The number in the form of the profile; what the number plan cannot place goes as dialled."""
        for form, wanted in (("as-dialled", "004420"), ("plus", "+4420"), ("00", "004420"), ("bare", "4420")):
            user = trunk(numberForm=form).addresses(Caller("1001", None), "004420").requestURI.user
            self.assertEqual(user, wanted)
            user = trunk(numberForm=form).addresses(Caller("1001", None), "77").requestURI.user
            self.assertEqual(user, "77")

    def test_calledFrom(self) -> None:
        """The called number from where the profile says, the Request-URI where that is missing."""
        request = incoming(uri="sip:account@198.51.100.1").withHeader("To", "<sip:4420@carrier.example>")
        called = request.withHeader("P-Called-Party-ID", '"B" <tel:+44-30>')
        for place, wanted in (("request-uri", "account"), ("to", "4420"), ("p-called-party-id", "+44-30")):
            self.assertEqual(trunk(calledFrom=place).calledOf(called), wanted)
        self.assertEqual(trunk(calledFrom="p-called-party-id").calledOf(request), "account")

    def test_unreadableCalled(self) -> None:
        """A P-Called-Party-ID that breaks its grammar is 400."""
        request = incoming().withHeader("P-Called-Party-ID", "<<<")
        side = trunk(calledFrom="p-called-party-id")
        self.assertEqual(self.assertRaises(MalformedMessage, side.calledOf, request).status, 400)

    def test_usable(self) -> None:
        """Usable while up and not full."""
        side = trunk(limit=1)
        self.assertTrue(side.usable())
        side.calls = 1
        self.assertFalse(side.usable())
        side.calls, side.up = 0, False
        self.assertFalse(side.usable())


class CommonTests(SynchronousTestCase):
    """What both kinds do alike."""

    def test_contact(self) -> None:
        """Our Contact: the channel's own address, with its transport unless that is UDP."""
        self.assertEqual(
            str(pbx().contactFor("a%20b", CHANNEL)), "<sip:a%20b@[2001:db8::1]:40000;transport=tls>"
        )
        channel = RecordingChannel(Clock())
        self.assertEqual(str(pbx().contactFor("a", channel)), "<sip:a@198.51.100.1:5060>")

    def test_caller(self) -> None:
        """Who calls: the user of From, or its number; nobody is anonymous."""
        for value, wanted in (
            ("Ann <sip:%2b4420@192.0.2.1>", Caller("+4420", "Ann")),
            ("<tel:+4420;x=y>", Caller("+4420", None)),
            ("<sip:192.0.2.1>", Caller("anonymous", None)),
            ("<urn:x:y>", Caller("anonymous", None)),
        ):
            request = incoming().withHeader("From", f"{value};tag=t")
            self.assertEqual(pbx().callerOf(request), wanted)

    def test_numberOf(self) -> None:
        """The number in a URI: unescaped, without parameters of its own; empty where there is none."""
        for uri, wanted in (
            ("sip:%31%32@a", "12"),
            ("sip:+4420;phone-context=x@a", "+4420"),
            ("tel:+44(20)7;ext=1", "+44(20)7"),
            ("sip:a", ""),
            ("mailto:a@b", ""),
        ):
            self.assertEqual(numberOf(parseURI(uri)), wanted)

    @given(st.text(), st.text(), st.one_of(st.none(), st.text()))
    def test_anything(self, called: str, user: str, display: str | None) -> None:
        """Whatever number and name a peer gives, the addresses made of it can be written and read."""
        try:
            read = parseMessage(
                f"INVITE sip:{called}@a SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nFrom: {display} <sip:{user}@b>\r\n"
                "To: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n".encode("utf-8", "surrogatepass")
            )
        except MalformedMessage:
            return
        for side in (pbx(), trunk(fromUser="caller")):
            number = side.calledOf(read)  # type: ignore[arg-type]
            if number:
                made = side.addresses(side.callerOf(read), number)  # type: ignore[arg-type]
                self.assertEqual(parseURI(str(made.requestURI)), made.requestURI)
                self.assertEqual(numberOf(made.requestURI), number)
                self.assertEqual(parseNameAddr(str(made.caller)).uri, made.caller.uri)
