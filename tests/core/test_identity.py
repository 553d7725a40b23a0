"""Tests of L{skypetrunk.core.identity}, alone and in calls."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.identity import (
    LONGEST_SIGNATURE,
    MOST_DIVERSIONS,
    Caller,
    Diversion,
    assertedCallerOf,
    callerOf,
    isPrivate,
)
from skypetrunk.core.sides import PBXSide
from skypetrunk.core.trunk_side import TrunkSide
from skypetrunk.errors import MalformedMessage
from skypetrunk.pbx.numbers import NumberPlan
from skypetrunk.wire.message import Header, Request, parseMessage
from tests.core.callnet import SAVP, CallNet, sdp
from tests.core.messages import incoming

IDENTITY = "eyJhbGciOiJFUzI1NiJ9.e30.c2ln;info=<https://cert.example/a.pem>;alg=ES256;ppt=shaken"
DATE = "Fri, 25 Sep 2015 19:12:25 GMT"
NAMES = (
    "Privacy",
    "P-Asserted-Identity",
    "P-Preferred-Identity",
    "Remote-Party-ID",
    "Diversion",
    "History-Info",
)

SECRET = [
    ("P-Asserted-Identity", '"Marker" <sip:+442079460018@pbx>'),
    ("P-Preferred-Identity", "<sip:+442079460018@pbx>"),
    ("Remote-Party-ID", "<sip:+442079460018@pbx>"),
    ("Diversion", "<sip:+442079460018@pbx>;reason=user-busy"),
    ("History-Info", "<sip:+442079460018@pbx>;index=1, <sip:1@pbx;cause=302>;index=1.1"),
    ("Identity", IDENTITY),
    ("Date", DATE),
    ("Organization", "Marker Ltd +442079460018"),
]
"""All the places where a caller may stand."""


def sent(*headers: tuple[str, str], caller: str = "<sip:1001@pbx>") -> Request:
    """An INVITE with these headers."""
    request = incoming().withHeader("From", f"{caller};tag=near")
    for name, value in headers:
        request = request.addingHeader(name, value)
    return request


def shown(request: Request) -> dict[str, str]:
    """What an INVITE that we sent says of the caller."""
    names = (*NAMES, "Identity", "Date")
    return {name: value for name in names if (value := request.header(name)) is not None}


class ReadTests(SynchronousTestCase):
    """Who calls."""

    def test_places(self) -> None:
        """The configured header and no other; From where it is missing, names nobody or is broken."""
        request = sent(
            ("P-Asserted-Identity", "<sip:pbx>, <tel:+44-20-1>"),
            ("P-Preferred-Identity", '"Ann" <sip:%2b442@pbx;user=phone>'),
            ("Remote-Party-ID", "<sip:+443@pbx>;party=calling"),
            caller='"Bob" <sip:1001;x=y@pbx>',
        )
        for place, wanted in (
            ("from", Caller("1001", "Bob")),
            ("p-asserted-identity", Caller("+44-20-1", None)),
            ("p-preferred-identity", Caller("+442", "Ann")),
            ("remote-party-id", Caller("+443", None)),
        ):
            self.assertEqual(callerOf(request, place), wanted)
        for value in ("<<<", "", "<sip:pbx>", '"open <sip:1@b>'):
            broken = sent(("P-Asserted-Identity", value))
            self.assertEqual(callerOf(broken, "p-asserted-identity"), Caller("1001", None))

    def test_private(self) -> None:
        """RFC 3323 section 4.2 and 4.1.1.3; a wish counts whoever has it, and "none" undoes only Privacy."""
        for headers, caller, wanted in (
            ([("Privacy", "id")], "<sip:1001@pbx>", True),
            ([("Privacy", "User; critical")], "<sip:1001@pbx>", True),
            ([("Privacy", "header")], "<sip:1001@pbx>", True),
            ([("Privacy", "none")], "<sip:1001@pbx>", False),
            ([("Privacy", "session")], "<sip:1001@pbx>", False),
            ([], "<sip:1001@pbx>", False),
            ([], "<sip:anonymous@anonymous.invalid>", True),
            ([], "<sip:1001@Anonymous.Invalid>", True),
            ([], "Anonymous <sip:Anonymous@pbx>", True),
            ([("Privacy", "none")], "<sip:anonymous@pbx>", True),
            ([("Remote-Party-ID", "<sip:1001@pbx>;privacy=full")], "<sip:1001@pbx>", True),
            ([("Remote-Party-ID", "<sip:1001@pbx>;privacy=off")], "<sip:1001@pbx>", False),
        ):
            self.assertEqual(isPrivate(sent(*headers, caller=caller)), wanted, (headers, caller))

    def test_vouched(self) -> None:
        """A carrier vouches for a number, its verstat and signatures; a PBX for none of them."""
        pai = ("P-Asserted-Identity", "<sip:+4420;verstat=TN-Validation-Passed@carrier;user=phone>")
        request = sent(pai, ("Identity", IDENTITY), ("Date", DATE))
        signatures = (Header("Identity", IDENTITY), Header("Date", DATE))
        caller = Caller("1001", None, False, "+4420", "TN-Validation-Passed", signatures)
        self.assertEqual(assertedCallerOf(request), caller)
        self.assertEqual(callerOf(request), Caller("1001", None))

    def test_verstat(self) -> None:
        """In the user part, as URI parameter, in a tel URI; of From where nothing is asserted."""
        for value, wanted in (
            ("<sip:+4420;verstat=No-TN-Validation@a>", "No-TN-Validation"),
            ("<sip:+4420@a;verstat=TN-Validation-Failed>", "TN-Validation-Failed"),
            ("<tel:+4420;verstat=TN-Validation-Passed-A>", "TN-Validation-Passed-A"),
            ("<sip:+4420;verstat=a%20b@a>", None),
            ("<sip:+4420;verstat@a>", None),
            ("<sip:+4420@a>", None),
        ):
            self.assertEqual(assertedCallerOf(sent(("P-Asserted-Identity", value))).verstat, wanted)
            self.assertEqual(assertedCallerOf(sent(caller=value)).verstat, wanted)

    def test_signatures(self) -> None:
        """Each whole line, also under its compact name; none that is too long, and no Date alone."""
        request = sent(("y", IDENTITY), ("Identity", "b"), ("Identity", "x" * (LONGEST_SIGNATURE + 1)))
        self.assertEqual([each.value for each in assertedCallerOf(request).signatures], [IDENTITY, "b"])
        self.assertEqual(assertedCallerOf(sent(("Date", DATE))).signatures, ())

    def test_diversions(self) -> None:
        """Both headers, the first diversion first; no private entries, no plain hops of History-Info."""
        diverted = sent(
            ("Diversion", "<sip:b@pbx>;reason=no-answer, <sip:a@pbx>;reason=Unconditional;counter=2"),
            ("Diversion", '<sip:c@pbx>;reason="user-busy", <sip:d@pbx>;privacy=full'),
            ("History-Info", "<sip:z@pbx>;index=1, <sip:y@pbx;cause=302>;index=1.1"),
        )
        wanted = [("c", "user-busy"), ("a", "unconditional"), ("b", "no-answer")]
        self.assertEqual([(each.number, each.reason) for each in callerOf(diverted).diversions], wanted)
        history = sent(
            ("History-Info", "<sip:a@pbx>;index=1, <sip:b@pbx;cause=408>;index=1.1, <sip:c@pbx>;index=1.1.1"),
            ("History-Info", "<sip:c2@pbx?Privacy=history>;index=2,<sip:d@pbx;cause=302>;index=2.1"),
        )
        self.assertEqual(callerOf(history).diversions, (Diversion("a", "no-answer"),))
        many = sent(("Diversion", ", ".join(f"<sip:{n}@pbx>" for n in range(20))))
        self.assertEqual(len(callerOf(many).diversions), MOST_DIVERSIONS)
        self.assertEqual(callerOf(many).diversions[-1], Diversion("0", "unknown"))

    @settings(deadline=None)
    @given(st.sampled_from([*NAMES, "From", "Identity"]), st.text(max_size=60))
    def test_anything(self, name: str, value: str) -> None:
        """Whatever a header holds, somebody calls, and what is told of it can be written."""
        try:
            request = parseMessage(sent().withHeader(name, value).encode())
            assert isinstance(request, Request)
            self.assertIsNotNone(request.fromAddress)
        except (MalformedMessage, ValueError):
            return
        net = CallNet()
        for place in ("from", "p-asserted-identity", "remote-party-id"):
            for caller in (callerOf(request, place), assertedCallerOf(request, place)):
                pbx = net.pbx.side.addresses(caller, "1001")
                parseMessage(incoming().withHeader("From", str(pbx.caller)).encode())
                for header in pbx.headers:
                    parseMessage(incoming().addingHeader(header.name, header.value).encode())


class CallTests(SynchronousTestCase):
    """What leaves in an INVITE."""

    def toCarrier(self, headers: list[tuple[str, str]], caller: str = "1001", **profile: Any) -> Request:
        """The INVITE that the carrier gets of one of the PBX."""
        net = CallNet()
        side = net.carrier.side
        assert isinstance(side, TrunkSide)
        side._profile = evolve(net.profile, **profile)
        side._numbers = NumberPlan("GB", "9")
        if "@" in caller:
            net.pbx.twist = lambda message: message.withHeader("From", f"<{caller}>;tag=n").encode()
        net.pbx.invite("sip:+4430@198.51.100.1", sdp(), headers)
        return net.carrier.request("INVITE")

    def toPBX(
        self, headers: list[tuple[str, str]], caller: str = "sip:+4420@carrier", **profile: Any
    ) -> Request:
        """The INVITE that the PBX gets of one of the carrier."""
        net = CallNet()
        side = net.carrier.side
        assert isinstance(side, TrunkSide)
        side._profile = evolve(net.profile, **profile)
        net.carrier.twist = lambda message: message.withHeader("From", f'"Ann" <{caller}>;tag=n').encode()
        net.carrier.invite("sip:account@198.51.100.2:40000", sdp(SAVP, "203.0.113.9"), headers)
        return net.pbx.request("INVITE")

    def test_nothingCrosses(self) -> None:
        """Nothing of what a PBX says of identities reaches a carrier whose profile asks for none."""
        request = self.toCarrier(SECRET)
        self.assertEqual(shown(request), {})
        self.assertNotIn(b"2079460018", request.encode())
        self.assertNotIn(b"Marker", request.encode())
        self.assertEqual(str(request.fromAddress.uri), "sip:account@carrier.example")

    def test_callerHeader(self) -> None:
        """The caller in the header of the profile, in its form; From stays the account."""
        for kind, name, rest in (
            ("p-asserted-identity", "P-Asserted-Identity", ""),
            ("p-preferred-identity", "P-Preferred-Identity", ""),
            ("remote-party-id", "Remote-Party-ID", ";party=calling;screen=no"),
        ):
            request = self.toCarrier(
                SECRET, "sip:02079460018@pbx", callerHeader=kind, callerForm="plus", fromUser="account"
            )
            self.assertEqual(shown(request), {name: f"<sip:+442079460018@carrier.example>{rest}"})
            self.assertEqual(str(request.fromAddress.uri), "sip:account@carrier.example")
        request = self.toCarrier([], "sip:02079460018@pbx", fromUser="caller", callerForm="00")
        self.assertEqual(str(request.fromAddress.uri), "sip:00442079460018@carrier.example")

    def test_pbxTrust(self) -> None:
        """P-Asserted-Identity of a PBX counts where its configuration says so."""
        net = CallNet()
        side = net.pbx.side
        assert isinstance(side, PBXSide)
        for place, wanted in (("from", "1001"), ("p-asserted-identity", "+442079460018")):
            side.callerFrom = place
            self.assertEqual(side.callerOf(sent(*SECRET)).user, wanted)

    def test_anonymous(self) -> None:
        """RFC 3323 section 4.1: no header shows who calls, and neither do From and Contact."""
        for headers, caller in (
            ([*SECRET, ("Privacy", "id")], "sip:+442079460018@pbx"),
            (SECRET, "sip:anonymous@anonymous.invalid"),
        ):
            for kind in ("none", "p-asserted-identity", "remote-party-id"):
                request = self.toCarrier(
                    headers, caller, fromUser="caller", callerHeader=kind, diversion="diversion"
                )
                self.assertEqual(
                    str(request.fromAddress.replace(params=request.toAddress.params)),
                    '"Anonymous" <sip:anonymous@anonymous.invalid>',
                )
                self.assertEqual(shown(request), {"Privacy": "id"})
                self.assertEqual(str(request.contacts[0].uri.user), "anonymous")  # type: ignore[union-attr]
                for word in (b"2079460018", b"Marker", b"account"):
                    self.assertNotIn(word, request.encode())

    def test_anonymousWithin(self) -> None:
        """Later requests of the dialog show as little."""
        net = CallNet()
        near = net.pbx.invite("sip:+4420@198.51.100.1", sdp(), [("Privacy", "id")])
        net.carrier.answers(net.carrier.request("INVITE"), 200, sdp(SAVP, "203.0.113.9"))
        net.pbx.ack(near, net.pbx.response(200))
        net.pbx.within(near, net.pbx.response(200), "BYE", 2)
        for method in ("ACK", "BYE"):
            request = net.carrier.request(method)
            self.assertEqual(str(request.fromAddress.uri), "sip:anonymous@anonymous.invalid")
            self.assertNotIn(b"1001", request.encode())

    def test_anonymousAsserted(self) -> None:
        """RFC 3325: a carrier of the trust domain knows the number, and hides it."""
        wish = [("Privacy", "id")]
        for kind, name, rest in (
            ("p-asserted-identity", "P-Asserted-Identity", ""),
            ("remote-party-id", "Remote-Party-ID", ";party=calling;screen=no;privacy=full"),
        ):
            request = self.toCarrier(wish, "sip:+4420@pbx", callerHeader=kind, anonymous="asserted")
            self.assertEqual(shown(request), {"Privacy": "id", name: f"<sip:+4420@carrier.example>{rest}"})
            self.assertEqual(str(request.fromAddress.uri), "sip:anonymous@anonymous.invalid")
        # Nobody knows who calls.
        nobody = "sip:anonymous@a.b"
        request = self.toCarrier([], nobody, callerHeader="remote-party-id", anonymous="asserted")
        self.assertEqual(shown(request), {"Privacy": "id"})

    def test_anonymousAccount(self) -> None:
        """A carrier that takes no other From is asked to hide it."""
        request = self.toCarrier([("Privacy", "id")], "sip:+4420@pbx", anonymous="account")
        self.assertEqual(str(request.fromAddress.uri), "sip:account@carrier.example")
        self.assertEqual(shown(request), {"Privacy": "id"})

    def test_diversionToCarrier(self) -> None:
        """In the header that the profile names, numbers in its form, and what a PBX says in either header."""
        value = '"Marker" <sip:02079460018@pbx>;reason=user-busy, <sip:201@pbx>;reason=follow-me'
        headers = [("Diversion", value)]
        request = self.toCarrier(headers, diversion="diversion", callerForm="plus")
        self.assertEqual(
            request.values("Diversion"),
            (
                "<sip:+442079460018@carrier.example>;reason=user-busy",
                "<sip:201@carrier.example>;reason=follow-me",
            ),
        )
        request = self.toCarrier(headers, diversion="history-info", callerForm="plus")
        self.assertEqual(
            request.values("History-Info"),
            (
                "<sip:201@carrier.example>;index=1",
                "<sip:+442079460018@carrier.example;cause=404>;index=1.1",
                "<sip:+4430@carrier.example;cause=486>;index=1.1.1",
            ),
        )

    def test_toPBX(self) -> None:
        """What the carrier vouches for, at our own address; signatures as they came."""
        pai = '"Marker" <sip:4420794600;verstat=TN-Validation-Passed@carrier>, <tel:+99>'
        headers = [
            ("P-Asserted-Identity", pai),
            ("Identity", IDENTITY),
            ("Date", DATE),
            ("Remote-Party-ID", "<sip:+99@carrier>"),
            ("History-Info", "<sip:4430123456@carrier>;index=1, <sip:x@carrier;cause=302>;index=1.1"),
        ]
        request = self.toPBX(headers, "sip:4420794601@carrier", inboundForm="bare")
        self.assertEqual(str(request.fromAddress.uri), "sip:+4420794601@198.51.100.1:5060")
        self.assertEqual(
            shown(request),
            {
                "P-Asserted-Identity": "<sip:+4420794600;verstat=TN-Validation-Passed@198.51.100.1:5060>",
                "Identity": IDENTITY,
                "Date": DATE,
                "Diversion": "<sip:+4430123456@198.51.100.1:5060>;reason=unconditional",
            },
        )
        request = self.toPBX(headers, callerFrom="p-asserted-identity", inboundForm="bare")
        self.assertEqual(request.fromAddress.uri.user, "+4420794600")  # type: ignore[union-attr]

    def test_verstatOfFrom(self) -> None:
        """Beside the user part of From, where no PBX takes it for a number; From is not made an assertion."""
        request = self.toPBX([], "sip:+4420;verstat=TN-Validation-Failed@carrier")
        self.assertEqual(
            str(request.fromAddress.uri), "sip:+4420@198.51.100.1:5060;verstat=TN-Validation-Failed"
        )
        self.assertEqual(shown(request), {})

    def test_anonymousToPBX(self) -> None:
        """Neither number nor signature of a private call reaches the PBX: the PASSporT holds the number."""
        request = self.toPBX([*SECRET, ("Privacy", "id")], "sip:+442079460018@carrier")
        self.assertEqual(shown(request), {"Privacy": "id"})
        self.assertEqual(str(request.fromAddress.uri), "sip:anonymous@anonymous.invalid")
        self.assertNotIn(b"2079460018", request.encode())

    def test_numbersOfPBX(self) -> None:
        """Called and calling number in the form that the PBX wants."""
        net = CallNet()
        side = net.pbx.side
        assert isinstance(side, PBXSide)
        side._numberForm, side._numbers = "00", NumberPlan("GB")
        addresses = side.addresses(Caller("+493012345678", None, asserted="+493012345679"), "02079460018")
        self.assertEqual(addresses.requestURI.user, "00442079460018")
        self.assertEqual(str(addresses.caller.uri), "sip:00493012345678@198.51.100.1:5060")
        self.assertEqual(addresses.headers[0].value, "<sip:00493012345679@198.51.100.1:5060>")
