"""A stage for calls: a trunk between a PBX and a carrier, and what is asked of every call."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from tests.interop.rig import leftovers
from tests.interop.rig.audio import judge, readWAV
from tests.interop.rig.baresip import Baresip
from tests.interop.rig.capture import Capture, Datagram, media
from tests.interop.rig.case import InteropCase
from tests.interop.rig.certificates import Authority, Certificate
from tests.interop.rig.evidence import SecureLeg, firstHeard, judgePayloads, secureLeg
from tests.interop.rig.kamailio import Kamailio
from tests.interop.rig.ports import host, takePorts
from tests.interop.rig.processes import Peer
from tests.interop.rig.scenarios import Scenario
from tests.interop.rig.sip import AgreedKeys, Message, agreed, requests, responses
from tests.interop.rig.sipp import Sipp
from tests.interop.rig.trunk import PASSWORD, USER, Trunk

#: Numbers behind the carrier; bob has all of them.  The owners of two have one SRTP suite only.
NUMBER, ONLY_32, ONLY_80 = "+442079460000", "+442079460032", "+442079460080"

#: The number by which the PBX is called from the carrier.
PBX_NUMBER = "+442079461000"

#: What each side says, in Hz.
PBX_TONE, CARRIER_TONE = 450, 1000

#: From the answer to the first sound, in seconds.
FIRST_SOUND = 0.3


def _forms(number: str) -> list[str]:
    """A number as a carrier may get it: +CC, 00CC, CC."""
    digits = number.removeprefix("+")
    return [f"+{digits}", f"00{digits}", digits]


class CallCase(InteropCase):
    """
    A test with a trunk.  At its end nothing of a call may be left, and no secret in what it wrote.

    @ivar trunk: the trunk.
    @ivar carrier: Kamailio.
    @ivar bob: a phone behind it.
    @ivar pbx: the PBX, when it is a phone.
    @ivar certificate: the carrier's.
    """

    trunk: Trunk
    carrier: Kamailio
    bob: Baresip
    pbx: Baresip
    certificate: Certificate

    def stage(
        self,
        *,
        pbx: tuple[str, int] | None = None,
        pbxAnswers: bool = True,
        bob: Mapping[str, Any] | None = None,
        numbers: Mapping[str, str] | None = None,
        users: Mapping[str, str] | None = None,
        carrier: Mapping[str, Any] | None = None,
        configured: type[Trunk] = Trunk,
        secure: bool = False,
        trunkLines: Sequence[str] = (),
        pbxLines: Sequence[str] = (),
    ) -> None:
        """
        Start carrier, bob, PBX and trunk, and wait until everybody is registered.

        @param pbx: where the PBX is, when it is no phone.
        @param bob: further arguments of L{Baresip.atCarrier}; the key C{absent} leaves him out.
        @param numbers: further numbers of the carrier: whom they lead to.
        @param users: passwords of further users of the carrier.
        @param carrier: further arguments of L{Kamailio}.
        @param configured: how the trunk comes by its configuration.
        @param secure: the PBX's phone speaks TLS, and so does the trunk to it.
        @param trunkLines: further lines of the C{[[trunk]]} table.
        @param pbxLines: further lines of the C{[[pbx]]} table.
        """
        authority = Authority(self.scratch)
        self.certificate = certificate = authority.issue("server")
        known = {form: "bob" for one in (NUMBER, ONLY_32, ONLY_80) for form in _forms(one)}
        known |= dict.fromkeys(_forms(PBX_NUMBER), USER)
        known |= {form: uri for one, uri in (numbers or {}).items() for form in _forms(one)}
        suites = {form: suite for one, suite in ((ONLY_32, "32"), (ONLY_80, "80")) for form in _forms(one)}
        self.carrier = self.started(
            Kamailio(
                self.scratch,
                certificate,
                {USER: PASSWORD, "bob": "bobs-own", **(users or {})},
                known,
                suites=suites,
                **(carrier or {}),
            )
        )
        where = f"{self.carrier.address}:{self.carrier.phonePort}"
        way = self.wayToCarrier()
        if bob is None or "absent" not in bob:
            self.bob = self.started(
                Baresip.atCarrier(
                    self.scratch,
                    "bob",
                    "bobs-own",
                    CARRIER_TONE,
                    where,
                    certificate=certificate,
                    **(bob or {}),
                )
            )
        if pbx is None:
            shown = authority.issue("pbx", "127.0.0.1") if secure else None
            self.pbx = Baresip.atPBX(
                self.scratch, PBX_NUMBER, PBX_TONE, answers=pbxAnswers, certificate=shown
            )
            pbx = (self.pbx.address, self.pbx.port + 1 if secure else self.pbx.port)
            self.started(self.pbx)
        more: dict[str, Any] = {"trunkLines": trunkLines} if trunkLines else {}
        if pbxLines:
            more["pbxLines"] = pbxLines
        if secure:
            more["certificate"] = authority.issue("trunk", host(2))
        self.startTrunk(
            configured(self.scratch, pbx, caFile=authority.file, targets=[way], **more), self.carrier
        )
        self.carrier.waitRegistered(USER)
        self.trunk.waitRegistered()
        if hasattr(self, "bob"):
            self.carrier.waitRegistered("bob")

    def wayToCarrier(self) -> str:
        """The trunk's target; others may stand between it and the carrier, which runs by now."""
        return f"{self.carrier.address}:{self.carrier.port}"

    def startTrunk(self, trunk: Trunk, *registrars: Peer) -> None:
        """
        Start a trunk and have it judged at the end.

        @param registrars: what it needs until its last timer is over.
        """
        self.trunk = trunk
        for peer in registrars:
            self.keep(peer)
        self.keep(trunk)
        self.addCleanup(self._judge, registrars)
        trunk.start()

    def _judge(self, registrars: Sequence[Peer]) -> None:
        if self.failed:
            self.stopKept()
            return
        if not self.trunk.running():
            self.trunk.checkSecrets(self.secrets())
            self.stopKept()
            return
        try:
            self.trunk.checkIdle()
            self.trunk.checkSecrets(self.secrets())
            self.trunk.checkNoTraceback()
        except AssertionError:
            self.stopKept()
            raise
        leftovers.leave(self.id(), self.trunk, registrars, self.scratch, self.secrets())
        self.scratchLeft = True
        leftovers.judgeDue()

    def secrets(self) -> list[bytes]:
        """All SRTP keys of the calls so far, the trunk's and the far end's, from bob's trace."""
        messages = self.bob.messages() if hasattr(self, "bob") else []
        return [line.key for message in messages for line in message.crypto()]

    # What PBXes do

    def dial(self, number: str = NUMBER) -> None:
        """The PBX's phone calls a number."""
        self.pbx.dial(f"sip:{number}@{self.trunk.address}:{self.trunk.port}")

    def callBob(self, number: str = NUMBER) -> None:
        """The PBX's phone calls bob and both are connected."""
        self.dial(number)
        self.pbx.waitEvent("CALL_ESTABLISHED")
        self.bob.waitEvent("CALL_ESTABLISHED")

    def callPBX(self) -> None:
        """Bob calls the PBX and both are connected."""
        self.bob.dial(f"sip:{PBX_NUMBER}@sip.skype.com")
        self.bob.waitEvent("CALL_ESTABLISHED")
        self.pbx.waitEvent("CALL_ESTABLISHED")

    def bothClosed(self) -> None:
        """Both phones have seen the end of the call."""
        self.pbx.waitEvent("CALL_CLOSED")
        self.bob.waitEvent("CALL_CLOSED")

    def scriptedPBX(self) -> tuple[str, int]:
        """A place for a PBX that is a scenario; for L{stage} and then L{play}."""
        return host(41), takePorts(host(41))

    def play(
        self, place: tuple[str, int], scenario: Scenario, number: str = NUMBER, transport: str = "u1"
    ) -> Sipp:
        """Start a PBX's scenario that calls C{number}."""
        remote = (self.trunk.address, self.trunk.port)
        peer = Sipp(
            self.scratch,
            "pbx",
            scenario,
            address=place[0],
            port=place[1],
            remote=remote,
            service=number,
            transport=transport,
        )
        return self.started(peer)

    # What is asked of calls

    def keysOfCall(self, *, bobCalled: bool) -> AgreedKeys:
        """The keys of bob's last call, from his trace."""
        messages = self.bob.messages()
        offer = requests(messages, "INVITE", sent=bobCalled)
        answer = responses(messages, "INVITE", 200, sent=not bobCalled)
        return agreed(offer[0] if not bobCalled else offer[-1], answer[0])

    def secure(
        self, capture: Capture, *, bobCalled: bool = False, ffmpeg: bool = True, payloadType: int = 8
    ) -> SecureLeg:
        """
        Every packet of bob's leg was SRTP of the keys in its SDP, with one SSRC from the trunk.

        @param payloadType: 8 or 0, the codec of the call.
        """
        leg = secureLeg(
            self.scratch,
            capture,
            self.bob.mediaPorts,
            self.keysOfCall(bobCalled=bobCalled),
            phoneOffered=bobCalled,
            ffmpeg=ffmpeg,
            payloadType=payloadType,
        )
        self.assertEqual(len(leg.toPhone.ssrcs), 1, "one SSRC for each outbound key")
        return leg

    def noStrangers(self, capture: Capture, *ports: Sequence[int]) -> None:
        """The trunk sent media to nobody but these ports."""
        allowed = {port for some in ports for port in some}
        strangers = {
            one.destination
            for one in capture.sentFrom(self.trunk.mediaPorts)
            if one.destination[1] not in allowed
        }
        self.assertEqual(strangers, set())

    def heard(self, phone: Baresip, tone: int, atLeast: float) -> None:
        """A phone's recording holds the right tone, in 98 % of its frames, for C{atLeast} seconds."""
        verdict = judge(readWAV(phone.recordings()[-1]), tone)
        self.assertGreaterEqual(verdict.share, 0.98, f"{phone.name}: {verdict}")
        self.assertGreaterEqual(verdict.seconds, atLeast, f"{phone.name}: {verdict}")

    def steady(
        self, packets: Sequence[Datagram | tuple[float, int, bytes]], start: float, end: float
    ) -> None:
        """As many packets as there are 20 ms from C{start} to C{end}, within 2 %."""
        times = [one.time if isinstance(one, Datagram) else one[0] for one in packets]
        count = sum(1 for when in times if start <= when <= end)
        wanted = (end - start) / 0.02
        self.assertLessEqual(
            abs(count - wanted), max(2.0, wanted * 0.02), f"{count} packets, wanted {wanted:.0f}"
        )

    def goodAudio(self, capture: Capture, leg: SecureLeg, *, bobCalled: bool = False) -> None:
        """
        The right tone in all four places: each leg, each direction; at once after the answer, without a gap.
        """
        signalling = capture.sip(self.pbx.address, self.pbx.port)
        answer = responses(signalling, "INVITE", 200)[0].time
        end = requests(signalling, "BYE")[0].time
        toPBX = media(capture.to(self.pbx.mediaPorts))
        fromPBX = media(capture.sentFrom(self.pbx.mediaPorts))
        for found, tone in ((leg.toPhone, PBX_TONE), (leg.fromPhone, CARRIER_TONE)):
            verdict = judgePayloads(found, tone)
            self.assertGreaterEqual(verdict.share, 0.98, str(verdict))
        heard = {
            "bob": firstHeard([(when, packet) for when, _, packet in leg.toPhone.rtp], PBX_TONE),
            "pbx": firstHeard([(one.time, one.payload) for one in toPBX], CARRIER_TONE),
        }
        for name, first in heard.items():
            self.assertLessEqual(first - answer, FIRST_SOUND, f"first sound at {name}")
        span = (answer + FIRST_SOUND, end - 0.1)
        for packets in (toPBX, fromPBX, leg.toPhone.rtp, leg.fromPhone.rtp):
            self.steady(packets, *span)
        # G.711 goes through unchanged: what bob got, decrypted, is what the PBX said.
        said = b"".join(one.payload[12:] for one in fromPBX)
        self.assertIn(b"".join(leg.toPhone.payloads), said)
        self.heard(self.pbx, CARRIER_TONE, end - answer - 0.5)
        self.heard(self.bob, PBX_TONE, end - answer - 0.5)


def listen(seconds: float) -> None:
    """Let a call go on."""
    time.sleep(seconds)


def statuses(messages: Sequence[Message], method: str = "INVITE") -> list[int]:
    """The status codes of all responses to a method, in order."""
    return [message.status or 0 for message in responses(messages, method)]
