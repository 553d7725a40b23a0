"""What people do with phones while they talk, with everything that can be heard."""

from __future__ import annotations

import time

from tests.interop.rig.audio import judge, readWAV
from tests.interop.rig.baresip import Baresip
from tests.interop.rig.calls import CARRIER_TONE, NUMBER, PBX_NUMBER, PBX_TONE, CallCase, listen
from tests.interop.rig.capture import Capture, media
from tests.interop.rig.certificates import DOMAIN
from tests.interop.rig.evidence import SecureLeg, judgeRTP, secureLeg
from tests.interop.rig.linphone import CarrierAccount, Linphone
from tests.interop.rig.ports import host
from tests.interop.rig.sip import agreed, requests, responses


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


class TransferTests(CallCase):
    """A phone that sends the other one on to a third."""

    number = "+442079460077"
    tone = 600

    def staged(self) -> None:
        """Carol is behind the carrier too."""
        self.stage(
            numbers={self.number: "carol"},
            users={"carol": "carols-own"},
            trunkLines=['carrier_transfer = "take-over"'],
        )
        self.carol = Baresip.atCarrier(
            self.scratch,
            "carol",
            "carols-own",
            self.tone,
            f"{self.carrier.address}:{self.carrier.port}",
            certificate=self.certificate,
            address=host(23),
        )
        self.started(self.carol)
        self.carrier.waitRegistered("carol")

    def secrets(self) -> list[bytes]:
        """Carol's keys too."""
        return [line.key for phone in (self.bob, self.carol) for m in phone.messages() for line in m.crypto()]

    def test_byPBX(self) -> None:
        """
        The PBX's phone sends bob to carol with C{REFER}: its call ends, bob and carol hear each other, and
        bob's stream is the same as before: one SSRC, one key, no index twice.
        """
        self.staged()
        with Capture() as capture:
            self.callBob()
            listen(1.6)
            moment = time.time()
            self.pbx.command("transfer", f"sip:{self.number}@{self.trunk.address}:{self.trunk.port}")
            self.pbx.waitEvent("CALL_CLOSED")
            self.carol.waitEvent("CALL_ESTABLISHED")
            together = time.time() + 0.4
            listen(2)
            self.bob.hangUp()
            self.carol.waitEvent("CALL_CLOSED")
        leg = self.secure(capture)
        toBob = [(when, packet) for when, _, packet in leg.toPhone.rtp]
        self.tones(toBob, [(moment - 1.2, moment, PBX_TONE), (together, together + 1.4, self.tone)])
        indices = [index for _, index, _ in leg.toPhone.rtp]
        self.assertEqual(indices, sorted(set(indices)))
        self.heardInTheEnd(self.carol, CARRIER_TONE)

    def test_byCarrier(self) -> None:
        """Bob sends the PBX to carol; the PBX's phone learns nothing but the other voice."""
        self.staged()
        with Capture() as capture:
            self.callBob()
            listen(1.6)
            moment = time.time()
            self.bob.command("transfer", f"sip:{self.number}@{DOMAIN}")
            self.bob.waitEvent("CALL_CLOSED")
            self.carol.waitEvent("CALL_ESTABLISHED")
            together = time.time() + 0.4
            listen(2)
            self.pbx.hangUp()
            self.carol.waitEvent("CALL_CLOSED")
        toPBX = [(one.time, one.payload) for one in media(capture.to(self.pbx.mediaPorts))]
        self.tones(toPBX, [(moment - 1.2, moment, CARRIER_TONE), (together, together + 1.4, self.tone)])
        self.heardInTheEnd(self.carol, PBX_TONE)
        self.assertEqual(len(self.pbx.events("CALL_CLOSED")), 1)

    def tones(self, packets: list[tuple[float, bytes]], spans: list[tuple[float, float, int]]) -> None:
        """In each span, from C{start} to C{end}, the right tone is heard."""
        for start, end, tone in spans:
            verdict = judgeRTP([packet for when, packet in packets if start <= when <= end], tone)
            self.assertGreaterEqual(verdict.share, 0.98, f"{tone} Hz: {verdict}")
            self.assertGreater(verdict.seconds, 1.0, f"{tone} Hz: {verdict}")

    def heardInTheEnd(self, phone: Baresip, tone: int) -> None:
        """The last second of the phone's recording."""
        verdict = judge(readWAV(phone.recordings()[-1])[-9600:-1600], tone)
        self.assertGreaterEqual(verdict.share, 0.98, f"{phone.name}: {verdict}")


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


class CarrierLinphoneTests(CallCase):
    """linphone behind the carrier: TLS, SRTP with its own offers and answers."""

    number = "+442079460034"

    def staged(self) -> None:
        """Dave has it."""
        self.stage(numbers={self.number: "dave"}, users={"dave": "daves-own"}, bob={"absent": True})
        where = f"{self.carrier.address}:{self.carrier.port}"
        account = CarrierAccount("daves-own", where, self.scratch / "ca.crt")
        self.linphone = self.started(Linphone(self.scratch, "dave", CARRIER_TONE, account))
        self.carrier.waitRegistered("dave")

    def secrets(self) -> list[bytes]:
        """Its keys and the trunk's."""
        return [line.key for message in self.linphone.messages() for line in message.crypto()]

    def talked(self, capture: Capture, *, called: bool) -> None:
        """Both heard each other, and all that linphone was sent was SRTP of the agreed keys."""
        messages = self.linphone.messages()
        offer = requests(messages, "INVITE", sent=not called)[-1]
        answer = responses(messages, "INVITE", 200, sent=called)[0]
        codec = int(answer.lines("m=audio ")[0].split()[2])
        leg = secureLeg(
            self.scratch,
            capture,
            self.linphone.mediaPorts,
            agreed(offer, answer),
            phoneOffered=not called,
            payloadType=codec,
        )
        self.assertEqual(len(leg.toPhone.ssrcs), 1)
        toPBX = [one.payload for one in media(capture.to(self.pbx.mediaPorts))]
        for verdict in (
            judgeRTP([packet for _, _, packet in leg.toPhone.rtp], PBX_TONE, codec),
            judgeRTP(toPBX, CARRIER_TONE, codec),
        ):
            self.assertGreater(verdict.right, 75, str(verdict))
        self.noStrangers(capture, self.linphone.mediaPorts, self.pbx.mediaPorts)

    def test_called(self) -> None:
        """It is called, and the PBX hangs up."""
        self.staged()
        with Capture() as capture:
            self.dial(self.number)
            self.linphone.waitTalking()
            listen(2.5)
            self.pbx.hangUp()
            self.linphone.waitEndOfCall()
        self.talked(capture, called=True)

    def test_calling(self) -> None:
        """It calls, with suites that nobody else has, and hangs up."""
        self.staged()
        with Capture() as capture:
            self.linphone.dial(f"sip:{PBX_NUMBER}@{DOMAIN}")
            self.linphone.waitTalking()
            listen(2.5)
            self.linphone.hangUp()
            self.linphone.waitEndOfCall()
            self.pbx.waitEvent("CALL_CLOSED")
        self.assertGreater(len(requests(self.linphone.messages(), "INVITE")[0].crypto()), 2)
        self.talked(capture, called=False)
