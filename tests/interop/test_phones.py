"""What people do with phones while they talk, with everything that can be heard."""

from __future__ import annotations

import time

from tests.interop.rig.calls import CARRIER_TONE, NUMBER, PBX_NUMBER, PBX_TONE, CallCase, listen
from tests.interop.rig.capture import Capture, media
from tests.interop.rig.evidence import SecureLeg, judgeRTP
from tests.interop.rig.linphone import Linphone
from tests.interop.rig.sip import requests


class HoldTests(CallCase):
    """A phone that puts the other one on hold, and comes back."""

    def hold(self, *, byBob: bool) -> None:
        """Talk, hold, talk."""
        self.stage()
        holder, held = (self.bob, self.pbx) if byBob else (self.pbx, self.bob)
        spans = []
        with Capture() as capture:
            self.callBob()
            for command in ("hold", "resume", "hangup"):
                start = time.time() + 0.4
                listen(1.6)
                spans.append((start, time.time()))
                holder.command(command)
            self.bothClosed()
        leg = self.secure(capture)
        self.judge(capture, leg, spans, byBob)
        offers = requests(held.messages(), "INVITE", sent=False)[-2:]
        directions = [
            next(one for one in offer.lines("a=") if "send" in one or one == "inactive") for offer in offers
        ]
        self.assertEqual(directions, ["sendonly", "sendrecv"])

    def judge(self, capture: Capture, leg: SecureLeg, spans: list[tuple[float, float]], byBob: bool) -> None:
        """Both hear each other before and after; who holds hears nothing in between."""
        heard = {
            "bob": ([(when, packet) for when, _, packet in leg.toPhone.rtp], PBX_TONE),
            "pbx": (
                [(one.time, one.payload) for one in media(capture.to(self.pbx.mediaPorts))],
                CARRIER_TONE,
            ),
        }
        holder = "bob" if byBob else "pbx"
        for name, (packets, tone) in heard.items():
            for number, (start, end) in enumerate(spans):
                found = [packet for when, packet in packets if start <= when <= end]
                if number == 1 and name == holder:
                    self.assertEqual(len(found), 0, f"{name} holds and hears")
                elif number != 1:
                    verdict = judgeRTP(found, tone)
                    self.assertGreaterEqual(verdict.share, 0.98, f"{name}, {number}: {verdict}")
                    self.assertGreater(verdict.seconds, 1.0, f"{name}, {number}: {verdict}")
        indices = [index for _, index, _ in leg.toPhone.rtp]
        self.assertEqual(indices, sorted(set(indices)))

    def test_byPBX(self) -> None:
        """The PBX's phone holds and resumes: same key, no index twice, the sound comes back both ways."""
        self.hold(byBob=False)

    def test_byCarrier(self) -> None:
        """The carrier's phone holds and resumes."""
        self.hold(byBob=True)


class LinphoneTests(CallCase):
    """linphone as the PBX: an implementation with habits of its own, that offers every codec it has."""

    def prepared(self) -> None:
        """Linphone instead of the PBX's usual phone."""
        self.linphone = self.started(Linphone(self.scratch, PBX_NUMBER, PBX_TONE))
        self.stage(pbx=(self.linphone.address, self.linphone.port))

    def talked(self, capture: Capture, *, bobCalled: bool, codec: int) -> None:
        """Both heard each other, in the codec that linphone or bob likes best."""
        leg = self.secure(capture, bobCalled=bobCalled, payloadType=codec)
        heard = media(capture.to(self.linphone.mediaPorts))
        for verdict in (
            judgeRTP([one.payload for one in heard], CARRIER_TONE, codec),
            judgeRTP([packet for _, _, packet in leg.toPhone.rtp], PBX_TONE, codec),
        ):
            self.assertGreater(verdict.right, 75, str(verdict))
        self.noStrangers(capture, self.bob.mediaPorts, self.linphone.mediaPorts)

    def test_callOut(self) -> None:
        """Linphone calls, and hangs up."""
        self.prepared()
        with Capture() as capture:
            self.linphone.dial(f"sip:{NUMBER}@{self.trunk.address}:{self.trunk.port}")
            self.linphone.waitTalking()
            listen(2.5)
            self.linphone.hangUp()
            self.linphone.waitEndOfCall()
            self.bob.waitEvent("CALL_CLOSED")
        self.talked(capture, bobCalled=False, codec=0)

    def test_callIn(self) -> None:
        """Linphone is called; the carrier's side hangs up."""
        self.prepared()
        with Capture() as capture:
            self.bob.dial(f"sip:{PBX_NUMBER}@sip.skype.com")
            self.linphone.waitTalking()
            listen(2.5)
            self.bob.hangUp()
            self.linphone.waitEndOfCall()
        self.talked(capture, bobCalled=True, codec=8)
