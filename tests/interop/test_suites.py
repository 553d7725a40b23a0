"""
Each SRTP suite with each program that has it: calls through a trunk, whose carrier leaves SRTP to it.

A call goes over the end of the sequence numbers in both directions, is held and resumed, and goes on: not a
packet may be missing.  RTCP is not judged: ffmpeg shortens its tags, against RFC 4568 section 6.2.2.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from skypetrunk.wire.sdes import SUITES
from tests.interop.rig.agent import CarrierAgent, PBXAgent, accept, answered, invite
from tests.interop.rig.audio import decodeG711, judge, sineALaw
from tests.interop.rig.calls import CARRIER_TONE, NUMBER, PBX_NUMBER, PBX_TONE, CallCase
from tests.interop.rig.certificates import DOMAIN, Authority
from tests.interop.rig.rtpengine import RTPEngine
from tests.interop.rig.sip import CryptoLine, Message
from tests.interop.rig.srtp import ffmpegPayload, headerLength
from tests.interop.rig.srtp_filters import (
    GSTREAMER,
    ear,
    ffmpegProtects,
    gstreamerProtects,
    gstreamerUnprotects,
)
from tests.interop.rig.suites import (
    AFTER,
    BEFORE,
    NEAR,
    Call,
    EngineFar,
    Far,
    FilterFar,
    PBXEnd,
    clearVoice,
    description,
    newKey,
    talk,
    wind,
)
from tests.interop.rig.trunk import Trunk

#: Seconds of sound that ffmpeg sends: it cuts them into 75 packets a second.
FFMPEG = 1.7


def _crypto(far: Far, tag: int) -> str:
    return f"{tag} {far.suite} inline:{far.inline}"


def _line(message: Message, suite: str) -> CryptoLine:
    """The line of that suite in a description of the trunk's."""
    return next(line for line in message.crypto() if line.suite == suite)


class SuiteTests(CallCase):
    """One trunk that allows all suites, and a call of each at the same time."""

    def staged(self) -> None:
        """Both ends are agents of this process: what the carrier answers depends on what it is offered."""
        authority = Authority(self.scratch)
        self.pbxAgent, self.carrierAgent = PBXAgent(), CarrierAgent(authority.issue("server"))
        for agent in (self.pbxAgent, self.carrierAgent):
            agent.start()
            self.addCleanup(agent.stop)
        trunk = Trunk(
            self.scratch,
            (self.pbxAgent.address, self.pbxAgent.port),
            caFile=authority.file,
            targets=[f"{self.carrierAgent.address}:{self.carrierAgent.port}"],
            trunkLines=[f"media = {{ suites = {json.dumps(list(SUITES))} }}"],
        )
        self.pbxAgent.meet((trunk.address, trunk.port))
        self.startTrunk(trunk)
        trunk.waitRegistered()

    def secrets(self) -> list[bytes]:
        """The keys of all calls."""
        return [line.key for message in self.carrierAgent.messages() for line in message.crypto()]

    def callOut(self, far: Far) -> Call:
        """The PBX calls; the carrier answers with one of the suites that it is offered."""
        own = ear(self.pbxAgent.address)
        self.addCleanup(own.close)
        uri = f"sip:{NUMBER}@{self.trunk.address}:{self.trunk.port}"
        begun = invite(self.pbxAgent, uri, uri, description(own.getsockname()))
        request = self.carrierAgent.wait("INVITE ")
        self.assertEqual([line.suite for line in request.crypto()], list(SUITES))
        offered = _line(request, far.suite)
        far.connect(request.mediaAddress(), offered.key)
        chosen = description(far.place, crypto=_crypto(far, offered.tag))
        carrier = accept(self.carrierAgent, request, chosen)
        pbx, answer = answered(self.pbxAgent, *begun)
        return Call(far, PBXEnd(own, pbx, answer.mediaAddress()), carrier, offered.key)

    def callIn(self, far: Far) -> Call:
        """The carrier calls, with one suite."""
        own = ear(self.pbxAgent.address)
        self.addCleanup(own.close)
        uri = self.carrierAgent.contact.partition("<")[2].partition(">")[0]
        far.offer()
        offer = description(far.place, crypto=_crypto(far, far.tag))
        begun = invite(self.carrierAgent, uri, f"sip:{PBX_NUMBER}@{DOMAIN}", offer)
        request = self.pbxAgent.wait("INVITE ")
        pbx = accept(self.pbxAgent, request, description(own.getsockname()))
        carrier, answer = answered(self.carrierAgent, *begun)
        line = _line(answer, far.suite)
        far.connect(answer.mediaAddress(), line.key)
        return Call(far, PBXEnd(own, pbx, request.mediaAddress()), carrier, line.key)

    def changed(self, call: Call, byPBX: bool, version: int, offered: str, agreed: str) -> None:
        """One side asks for another direction; each key stays what it is."""
        plain = description(
            call.pbx.ear.getsockname(), direction=offered if byPBX else agreed, version=version
        )
        secure = description(
            call.far.place,
            crypto=_crypto(call.far, 1),
            direction=agreed if byPBX else offered,
            version=version,
        )
        if byPBX:
            call.pbx.dialog.change(plain)
            request = call.carrier.wait("INVITE ")
            line = _line(request, call.far.suite)
            secure = secure.replace("a=crypto:1 ", f"a=crypto:{line.tag} ")
            call.carrier.agent.answer(request, "200 OK", secure)
            call.carrier.wait("ACK ")
            call.pbx.dialog.changed()
        else:
            call.carrier.change(secure)
            request = call.pbx.dialog.wait("INVITE ")
            call.pbx.dialog.agent.answer(request, "200 OK", plain)
            call.pbx.dialog.wait("ACK ")
            line = _line(call.carrier.changed(), call.far.suite)
        self.assertEqual(line.key, call.key)
        self.assertIn(f"a={offered}", request.body)

    def played(self, calls: Sequence[Call]) -> None:
        """All calls go over the end of the numbers, are held, by the one side or the other, and go on."""
        wind(calls)
        for call in calls:
            self.assertIn(call.far.hear(), range(NEAR, 0x10000))
            call.far.ready()
        talk(calls, 0, BEFORE)
        for number, call in enumerate(calls):
            self.changed(call, number % 2 == 0, 2, "sendonly", "recvonly")
        for number, call in enumerate(calls):
            self.changed(call, number % 2 == 0, 3, "sendrecv", "sendrecv")
        talk(calls, BEFORE, AFTER)
        for call in calls:
            self.assertLess(call.far.hear(), NEAR, "the trunk's numbers have begun anew")
            call.pbx.dialog.request("BYE")
            call.carrier.agent.answer(call.carrier.wait("BYE "), "200 OK")
            call.pbx.dialog.wait("SIP/2.0 200")

    def judged(self, calls: Sequence[Call]) -> None:
        """Everything that was said was heard, octet by octet, and is the right tone."""
        for call in calls:
            for name, said, heard, tone in (
                ("carrier", call.pbx.said(), call.far.heard(), PBX_TONE),
                ("PBX", call.far.said(), call.pbx.heard(), CARRIER_TONE),
            ):
                where = f"{name}, {call.far.suite}"
                self.assertEqual(len(heard), len(said), where)
                self.assertEqual(heard, said, where)
                verdict = judge(decodeG711(heard), tone)
                self.assertGreaterEqual(verdict.share, 0.98, f"{where}: {verdict}")
                self.assertGreater(verdict.seconds, 1.5, f"{where}: {verdict}")

    def closing(self, *fars: Far) -> None:
        """Their sockets are closed at the end."""
        for far in fars:
            self.addCleanup(far.own.close)

    def test_rtpengine(self) -> None:
        """
        All eight: rtpengine decrypts and encrypts with code of its own, as the other end of each call; with
        two of them it is the one who calls.
        """
        engine = self.started(RTPEngine(self.scratch))
        calling = ("AES_192_CM_HMAC_SHA1_32", "AEAD_AES_256_GCM")
        fars = [EngineFar(engine, suite) for suite in (*SUITES, *calling)]
        self.closing(*fars)
        self.staged()
        calls = [self.callOut(far) for far in fars[: len(SUITES)]]
        calls += [self.callIn(far) for far in fars[len(SUITES) :]]
        self.played(calls)
        self.judged(calls)

    def test_gstreamer(self) -> None:
        """All but AES-192: what srtpenc has made goes in, and srtpdec reads what comes out."""
        keys = {suite: newKey(suite) for suite in GSTREAMER}
        clear = clearVoice()
        sound = b"".join(packet[headerLength(packet) :] for packet in clear)
        made = gstreamerProtects(self.scratch, clear, keys)
        fars = [FilterFar(suite, key, made[suite], sound) for suite, key in keys.items()]
        self.closing(*fars)
        self.staged()
        calls = [self.callIn(far) for far in fars]
        self.played(calls)
        read = gstreamerUnprotects(
            self.scratch,
            {far.suite: far.received for far in fars},
            {far.suite: far.trunkKey for far in fars},
        )
        for far in fars:
            far.isRead(read[far.suite])
        self.judged(calls)

    def test_ffmpeg(self) -> None:
        """The two that it has, of 128 bits: it makes what goes in, and reads what comes out."""
        fars = []
        for suite in ("AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"):
            key, sound = newKey(suite), sineALaw(CARRIER_TONE, FFMPEG)
            fars.append(FilterFar(suite, key, ffmpegProtects(self.scratch, suite, key, sound, NEAR), sound))
        self.closing(*fars)
        self.staged()
        calls = [self.callIn(fars[0]), self.callOut(fars[1])]
        self.played(calls)
        for far in fars:
            # It joins shortly before the end of the numbers, still in their first round.
            payload = ffmpegPayload(self.scratch, far.received[far.wound :], far.suite, far.trunkKey)
            far.isRead([bytes(12) + payload])
        self.judged(calls)
