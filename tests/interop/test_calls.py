"""Calls between a PBX (UDP, RTP) and a carrier (TLS, SRTP mandatory): made, heard, ended, refused."""

from __future__ import annotations

from tests.interop.rig.calls import (
    CARRIER_TONE,
    NUMBER,
    ONLY_32,
    ONLY_80,
    PBX_NUMBER,
    PBX_TONE,
    CallCase,
    listen,
    statuses,
)
from tests.interop.rig.capture import Capture
from tests.interop.rig.certificates import DOMAIN
from tests.interop.rig.sip import requests, responses
from tests.interop.rig.srtp import TAGS
from tests.interop.rig.trunk import USER


class AudioTests(CallCase):
    """Calls with everything that can be heard and captured."""

    def test_callOut(self) -> None:
        """
        A call out: the right tone in all four places, every packet on the carrier's side authentic
        SRTP or SRTCP, at once after the answer; the PBX hangs up.
        """
        self.stage()
        with Capture() as capture:
            self.callBob()
            listen(5.6)  # long enough for RTCP, which comes every five seconds
            self.pbx.hangUp()
            self.bothClosed()
        leg = self.secure(capture)
        self.goodAudio(capture, leg)
        self.noStrangers(capture, self.bob.mediaPorts, self.pbx.mediaPorts)
        self.assertGreaterEqual(len(leg.toPhone.rtcp), 1, "the PBX's reports arrive as SRTCP")
        self.assertGreaterEqual(len(leg.fromPhone.rtcp), 1)
        offer = requests(self.bob.messages(), "INVITE", sent=False)[0]
        self.assertEqual([line.suite for line in offer.crypto()], list(TAGS), "80 is offered first")
        self.assertIn("RTP/SAVP ", offer.body)
        self.assertRegex(offer.header("From"), rf"<sip:{USER}@{DOMAIN}>;tag=")
        self.assertRegex(offer.header("To"), rf"<sip:\S*{NUMBER[1:]}@{DOMAIN}(;user=phone)?>")

    def test_callIn(self) -> None:
        """A call in, as good as a call out; the carrier's side, which called, hangs up."""
        self.stage()
        with Capture() as capture:
            self.callPBX()
            listen(5.6)
            self.bob.hangUp()
            self.bothClosed()
        leg = self.secure(capture, bobCalled=True)
        self.goodAudio(capture, leg, bobCalled=True)
        self.noStrangers(capture, self.bob.mediaPorts, self.pbx.mediaPorts)
        self.assertGreaterEqual(len(leg.toPhone.rtcp), 1)
        called = requests(capture.sip(self.pbx.address, self.pbx.port), "INVITE", sent=False)[0]
        where = f"{self.pbx.address}:{self.pbx.port}"
        self.assertRegex(called.requestURI, rf"^sip:\+?{PBX_NUMBER[1:]}@{where}")

    def oneSuite(self, number: str, suite: str) -> None:
        """A call to a number whose owner has one suite only."""
        self.stage()
        with Capture() as capture:
            self.callBob(number)
            listen(2.5)
            self.pbx.hangUp()
            self.bothClosed()
        leg = self.secure(capture)
        self.assertEqual(leg.toPhone.suite, suite)
        self.goodAudio(capture, leg)

    def test_only32(self) -> None:
        """A carrier that has only the suite with the short tag."""
        self.oneSuite(ONLY_32, "AES_CM_128_HMAC_SHA1_32")

    def test_only80(self) -> None:
        """A carrier that has only the suite with the long tag."""
        self.oneSuite(ONLY_80, "AES_CM_128_HMAC_SHA1_80")

    def otherSuite(self, suite: str) -> None:
        """A trunk that allows this suite alone, and calls: each side hears the other."""
        self.stage(trunkLines=[f'media = {{ suites = ["{suite}"] }}'])
        self.callBob()
        listen(2.5)
        self.pbx.hangUp()
        self.bothClosed()
        self.assertEqual(self.keysOfCall(bobCalled=False).suite, suite)
        self.heard(self.pbx, CARRIER_TONE, 2)
        self.heard(self.bob, PBX_TONE, 2)

    def test_gcm128(self) -> None:
        """AES-GCM with 128 bits."""
        self.otherSuite("AEAD_AES_128_GCM")

    def test_gcm256(self) -> None:
        """AES-GCM with 256 bits."""
        self.otherSuite("AEAD_AES_256_GCM")


class EndTests(CallCase):
    """Calls that end in other ways."""

    def test_carrierHangsUp(self) -> None:
        """A call out that the called side ends."""
        self.stage()
        with Capture() as capture:
            self.callBob()
            listen(1)
            self.bob.hangUp()
            self.bothClosed()
        ends = requests(capture.sip(self.pbx.address, self.pbx.port), "BYE")
        self.assertEqual([one.sent for one in ends], [False])

    def test_pbxHangsUpInbound(self) -> None:
        """A call in that the PBX ends: the trunk's BYE answers a challenge of its own."""
        self.stage()
        self.callPBX()
        listen(1)
        self.pbx.hangUp()
        self.bothClosed()
        self.assertEqual(self.carrier.count(rf"AUTHENTICATED BYE au={USER}"), 1)

    def test_ringing(self) -> None:
        """100 at once, then 180, then 200 when it is answered, in this order."""
        self.stage(bob={"answers": False})
        with Capture() as capture:
            self.dial()
            self.bob.waitEvent("CALL_INCOMING")
            self.pbx.waitEvent("CALL_RINGING")
            self.bob.accept()
            self.pbx.waitEvent("CALL_ESTABLISHED")
            self.pbx.hangUp()
            self.bothClosed()
        messages = capture.sip(self.pbx.address, self.pbx.port)
        self.assertEqual(statuses(messages), [100, 180, 200])
        invite, trying = requests(messages, "INVITE")[0], responses(messages, "INVITE", 100)[0]
        self.assertLess(trying.time - invite.time, 0.2)
        self.assertEqual(responses(messages, "INVITE", 180)[0].body.strip(), "")

    def test_cancel(self) -> None:
        """A PBX that gives up while the far end rings: CANCEL there, 487 here."""
        self.stage(bob={"answers": False})
        with Capture() as capture:
            self.dial()
            self.bob.waitEvent("CALL_INCOMING")
            self.pbx.waitEvent("CALL_RINGING")
            self.pbx.hangUp()
            self.bob.waitEvent("CALL_CLOSED")
            self.trunk.checkIdle()
        messages = capture.sip(self.pbx.address, self.pbx.port)
        self.assertEqual(statuses(messages, "CANCEL"), [200])
        self.assertEqual(statuses(messages)[-1], 487)
        self.assertEqual(len(requests(self.bob.messages(), "CANCEL", sent=False)), 1)
        self.assertEqual(self.carrier.count(r"CHALLENGE CANCEL"), 0)

    def test_cancelInbound(self) -> None:
        """A caller at the carrier that gives up while the PBX rings."""
        self.stage(pbxAnswers=False)
        with Capture() as capture:
            self.bob.dial(f"sip:{PBX_NUMBER}@{DOMAIN}")
            self.pbx.waitEvent("CALL_INCOMING")
            self.bob.waitEvent("CALL_RINGING")
            self.bob.hangUp()
            self.pbx.waitEvent("CALL_CLOSED")
            self.trunk.checkIdle()
        messages = capture.sip(self.pbx.address, self.pbx.port)
        self.assertEqual(len(requests(messages, "CANCEL", sent=False)), 1)
        self.assertEqual(statuses(self.bob.messages())[-1], 487)

    def test_busy(self) -> None:
        """The called side is busy: 486 at the PBX."""
        self.stage(bob={"answers": False})
        with Capture() as capture:
            self.dial()
            self.bob.waitEvent("CALL_INCOMING")
            self.bob.hangUp()
            self.pbx.waitEvent("CALL_CLOSED")
        self.assertEqual(statuses(capture.sip(self.pbx.address, self.pbx.port))[-1], 486)

    def test_busyInbound(self) -> None:
        """The PBX is busy: 486 at the carrier."""
        self.stage(pbxAnswers=False)
        self.bob.dial(f"sip:{PBX_NUMBER}@{DOMAIN}")
        self.pbx.waitEvent("CALL_INCOMING")
        self.pbx.hangUp()
        self.bob.waitEvent("CALL_CLOSED")
        self.assertEqual(statuses(self.bob.messages())[-1], 486)

    def test_unknownNumber(self) -> None:
        """The carrier's 404 reaches the PBX."""
        self.stage()
        with Capture() as capture:
            self.dial("+442079469999")
            self.pbx.waitEvent("CALL_CLOSED")
        self.assertEqual(statuses(capture.sip(self.pbx.address, self.pbx.port))[-1], 404)

    def test_twoCalls(self) -> None:
        """One call out and one in at the same time, each with its own keys and ports."""
        self.stage()
        self.callBob()
        self.bob.dial(f"sip:{PBX_NUMBER}@{DOMAIN}")
        self.pbx.waitEvent("CALL_ESTABLISHED", count=2)
        self.assertEqual(self.trunk.status().calls, 2)
        listen(1)
        keys = {key for key in self.secrets()}
        self.assertGreaterEqual(len(keys), 5)
        for _ in range(2):
            self.pbx.hangUp()
        self.pbx.waitEvent("CALL_CLOSED", count=2)
        self.bob.waitEvent("CALL_CLOSED", count=2)
        for phone, tone in ((self.pbx, CARRIER_TONE), (self.bob, PBX_TONE)):
            self.heard(phone, tone, 0.5)
