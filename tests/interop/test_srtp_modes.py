"""baresip behind the carrier: it may have SRTP, want it or have none, and the trunk leaves the choice."""

from __future__ import annotations

from tests.interop.rig.calls import CARRIER_TONE, PBX_TONE, CallCase, listen
from tests.interop.rig.capture import Capture, media
from tests.interop.rig.evidence import judgeRTP
from tests.interop.rig.party import CARRIER, PBX, registrar
from tests.interop.rig.scenarios import Scenario
from tests.interop.rig.sip import AgreedKeys, agreed, requests, responses
from tests.interop.rig.switchboard import Exchange, ScriptCase

CLEAR, SECURE = "m=audio # RTP/AVP", "m=audio # RTP/SAVP"


class ModeTests(CallCase):
    """Calls in both directions, in each way that the two can agree."""

    def prepared(self, mode: str, encryption: str) -> None:
        """
        Bob's phone has this C{mediaenc}, and the trunk this mode.  The RTP of a baresip comes from 127.0.0.1,
        whatever its SDP says, and in clear only the host in the SDP is heard.
        """
        where = {} if encryption else {"address": "127.0.0.1"}
        self.stage(
            bob={"encryption": encryption, **where}, trunkLines=["[trunk.media]", f'srtp = "{mode}"']
        )

    def call(self, *, bobCalls: bool) -> Capture:
        """One call."""
        with Capture() as capture:
            if bobCalls:
                self.callPBX()
            else:
                self.callBob()
            listen(1.6)
            (self.bob if bobCalls else self.pbx).hangUp()
            self.pbx.waitEvent("CALL_CLOSED", count=2 if bobCalls else 1)
            self.bob.waitEvent("CALL_CLOSED", count=2 if bobCalls else 1)
        return capture

    def offers(self) -> list[str]:
        """The audio lines of INVITEs that bob got, without ports, and how many keys each has."""
        found = []
        for invite in requests(self.bob.messages(), "INVITE", sent=False):
            words = invite.lines("m=audio ")[0].split()
            found.append(f"m=audio # {words[1]} {len(invite.crypto())}")
        return found

    def keysOfCall(self, *, bobCalled: bool) -> AgreedKeys:
        """Those of the last offer: another one may have been refused."""
        messages = self.bob.messages()
        offers = requests(messages, "INVITE", sent=bobCalled)
        return agreed(offers[-1], responses(messages, "INVITE", 200, sent=not bobCalled)[0])

    def heardBoth(self, capture: Capture, toBob: list[bytes]) -> None:
        """Each got the other's tone, nobody else got anything."""
        toPBX = [one.payload for one in media(capture.to(self.pbx.mediaPorts))]
        for verdict in (judgeRTP(toPBX, CARRIER_TONE), judgeRTP(toBob, PBX_TONE)):
            self.assertGreater(verdict.seconds, 1.2, str(verdict))
            self.assertGreaterEqual(verdict.share, 0.95, str(verdict))
        self.noStrangers(capture, self.bob.mediaPorts, self.pbx.mediaPorts)

    def secureBoth(self) -> None:
        """A call each way; every packet of bob's was SRTP of the keys in its SDP."""
        for bobCalls in (False, True):
            capture = self.call(bobCalls=bobCalls)
            leg = self.secure(capture, bobCalled=bobCalls)
            self.heardBoth(capture, [packet for _, _, packet in leg.toPhone.rtp])

    def clearBoth(self) -> None:
        """A call each way; bob's packets are in clear."""
        for bobCalls in (False, True):
            capture = self.call(bobCalls=bobCalls)
            self.heardBoth(capture, [one.payload for one in media(capture.to(self.bob.mediaPorts))])

    def test_optional(self) -> None:
        """Bob can do it: SRTP under RTP/AVP, offered by either."""
        self.prepared("opportunistic", "srtp")
        self.secureBoth()
        self.assertEqual(self.offers(), [f"{CLEAR} 2"])

    def test_mandatory(self) -> None:
        """Bob wants it: he refuses an offer that leaves the choice, and takes the second one."""
        self.prepared("opportunistic", "srtp-mand")
        self.secureBoth()
        self.assertEqual(self.offers(), [f"{CLEAR} 2", f"{SECURE} 2"])

    def test_without(self) -> None:
        """Bob has none: plain RTP."""
        self.prepared("opportunistic", "")
        self.clearBoth()
        self.assertEqual(self.offers()[0], f"{CLEAR} 2")

    def test_off(self) -> None:
        """Neither has any."""
        self.prepared("off", "")
        self.clearBoth()
        self.assertEqual(self.offers(), [f"{CLEAR} 0"])


class LoweringTests(ScriptCase):
    """A carrier that has agreed on SRTP and thinks better of it."""

    opportunistic = ("[trunk.media]", 'srtp = "opportunistic"')

    def lowering(self, *, inbound: bool, changed: str) -> Exchange:
        """
        The call is answered with SRTP under C{RTP/AVP}.  Then the carrier sends a re-INVITE that is refused.

        @param changed: the description in it.
        """
        secure = CARRIER.sdp().replace("RTP/SAVP", "RTP/AVP")
        pbx, carrier = Scenario("lower pbx"), Scenario("lower carrier")
        if inbound:
            CARRIER.connected(CARRIER.calls(registrar(carrier), CARRIER.invite(secure)))
            PBX.answers(PBX.isCalled(pbx))
        else:
            PBX.connected(PBX.calls(pbx, PBX.invite(PBX.sdp())))
            CARRIER.answers(CARRIER.isCalled(carrier), secure)
        number = 2 if inbound else 1
        carrier.pause(200).send(CARRIER.inside(not inbound)("INVITE", number, changed))
        carrier.response(100, optional=True).response(488)
        carrier.send(CARRIER.refusalTaken(number, inside=True), retransmit=False)
        CARRIER.hangsUp(carrier.pause(200), number + 1, called=not inbound)
        PBX.hungUp(pbx)
        name = f"lower-{'in' if inbound else 'out'}-{'bad' if 'crypto' in changed else 'clear'}"
        return Exchange(name, pbx, carrier, inbound, trunkLines=self.opportunistic)

    def test_lowered(self) -> None:
        """
        A re-INVITE without keys, or with none that can be used, is refused with 488, whoever called; the PBX
        hears nothing of it, and the call goes on.
        """
        clear = PBX.sdp(2)
        bad = CARRIER.sdp(2).replace("RTP/SAVP", "RTP/AVP").replace("inline:", "other:")
        played = self.playAll(
            *(self.lowering(inbound=each, changed=body) for each in (False, True) for body in (clear, bad))
        )
        for one in played:
            self.assertEqual(len(requests(one.pbxMessages, "INVITE")), 1)
            (refused,) = responses(one.carrierMessages, "INVITE", 488, sent=False)
            self.assertIn("Warning", refused.text)
