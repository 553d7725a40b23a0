"""Tests of L{skypetrunk.core.emergency}."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.emergency import (
    isEmergencyCall,
    isEmergencyNumber,
    isEmergencyURI,
    isServiceURN,
    refersToEmergency,
)
from skypetrunk.errors import MalformedMessage
from skypetrunk.pbx.numbers import NumberPlan
from skypetrunk.wire.message import responseTo
from skypetrunk.wire.uri import parseURI
from tests.core.messages import incoming

PLAN = NumberPlan("DE", "0")

EMERGENCIES = (
    "sip:112@pbx",
    "sips:112:secret@pbx;transport=tls",
    "sip:%31%31%32@pbx",
    "sip:1-1-2@pbx;user=phone",
    "sip:1%201.2@pbx",
    "sip:112;phone-context=+49@pbx;user=phone",
    "sip:2;phone-context=+11@pbx",
    "sip:+112@pbx",
    "sip:+49112@pbx",
    "sip:0049112@pbx",
    "sip:49112@pbx",
    "sip:00112@pbx",
    "sip:0112@pbx",
    "sip:0%2b49112@pbx",
    "sip:+490112@pbx",
    "sip:000%34%39112@pbx",
    "sip:112%23@pbx",
    "sip:%EF%BC%91%EF%BC%91%EF%BC%92@pbx",
    "sip:%E2%80%AA112%E2%80%AC@pbx",
    "sip:urn%3Aservice%3Asos@pbx",
    "tel:112",
    "tel:1-1.2;phone-context=+49",
    "tel:+49(110)",
    "urn:service:sos",
    "URN:service:SOS.fire",
    "urn:service:sos%2epolice",
)
"""Each of them is one in Germany behind a 0."""

OTHERS = (
    "sip:1125551234@pbx",
    "sip:+4911212345@pbx",
    "sip:030112112@pbx",
    "sip:11@pbx;user=112",
    "sip:pbx",
    "sip:112.example",
    "sip:sos@pbx",
    "sip:anonymous@anonymous.invalid",
    "tel:+49-30-112",
    "urn:service:sossage",
    "urn:service:counseling",
    "urn:x:urn:service:sos",
    "mailto:112@pbx",
)
"""None of them is."""


class EmergencyTests(SynchronousTestCase):
    """Where emergency numbers stand."""

    def test_uris(self) -> None:
        """Whatever the scheme, the escapes, the separators and what a PBX puts before the number."""
        for text in EMERGENCIES:
            self.assertTrue(isEmergencyURI(parseURI(text), PLAN), text)
        for text in OTHERS:
            self.assertFalse(isEmergencyURI(parseURI(text), PLAN), text)

    def test_services(self) -> None:
        """RFC 5031 section 4.1: C{sos} and what follows a dot; labels have no case."""
        self.assertTrue(isServiceURN(parseURI("urn:service:sos.ambulance")))
        self.assertFalse(isServiceURN(parseURI("urn:service:sosambulance")))
        self.assertFalse(isServiceURN(parseURI("sip:112@pbx")))

    def test_calls(self) -> None:
        """The Request-URI or To; nothing else of an INVITE says who is called."""
        plain = incoming(uri="sip:+493012345@198.51.100.1").withHeader("To", "<sip:+493012345@x>")
        self.assertFalse(isEmergencyCall(plain, PLAN))
        self.assertFalse(isEmergencyCall(plain.withHeader("From", "<sip:112@x>;tag=a"), PLAN))
        for text in EMERGENCIES:
            self.assertTrue(isEmergencyCall(plain.withHeader("To", f'"x" <{text}>'), PLAN), text)
            self.assertTrue(isEmergencyCall(incoming(uri=text), PLAN), text)

    def test_calledElsewhere(self) -> None:
        """What a PBX's side has found counts too; a plan is asked once for each number."""
        asked = []

        class Plan(NumberPlan):
            def isEmergency(self, called: str) -> bool:
                asked.append(called)
                return super().isEmergency(called)

        request = incoming(uri="sip:0301234@198.51.100.1").withHeader("To", "<sip:0301234@x>")
        self.assertFalse(isEmergencyCall(request, Plan("DE"), "0301234"))
        self.assertEqual(asked, ["0301234"])
        self.assertTrue(isEmergencyCall(request, PLAN, "112"))
        self.assertTrue(isEmergencyCall(request, PLAN, "urn:service:sos"))

    def test_references(self) -> None:
        """The Refer-To of a REFER, and each Contact of a redirection (RFC 3515, RFC 3261 section 8.1.3.4)."""
        refer = incoming("REFER")
        invite = incoming()
        self.assertFalse(refersToEmergency(refer, PLAN))
        for text in EMERGENCIES:
            to = f"<{text}?Replaces=a>" if text.startswith("sip:") else f"<{text}>"
            self.assertTrue(refersToEmergency(refer.withHeader("Refer-To", to), PLAN), text)
            moved = responseTo(invite, 302, headers=[("Contact", f"<sip:+49301@x>, <{text}>;q=0.1")])
            self.assertTrue(refersToEmergency(moved, PLAN), text)
        for text in OTHERS:
            self.assertFalse(refersToEmergency(refer.withHeader("Refer-To", f"<{text}>"), PLAN), text)
        self.assertRaises(MalformedMessage, refersToEmergency, refer.withHeader("Refer-To", "<<"), PLAN)

    def test_text(self) -> None:
        """What a program gives as the number to call: a number, or any URI."""
        for text in (*EMERGENCIES, "112", " 1 1 2 ", "+49 112", "0112", "%31%31%32"):
            self.assertTrue(isEmergencyNumber(text, PLAN), text)
        for text in (*OTHERS, "", " ", "030112", "alice"):
            self.assertFalse(isEmergencyNumber(text, PLAN), text)

    @settings(deadline=None)
    @given(st.text(max_size=30))
    def test_anything(self, text: str) -> None:
        """No text makes it raise."""
        self.assertIsInstance(isEmergencyNumber(text, PLAN), bool)
