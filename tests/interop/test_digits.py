"""Keys between a side with INFO and one with events in RTP (RFC 4733), which a phone sends and hears."""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence

from tests.interop.rig.audio import sineALaw
from tests.interop.rig.baresip import Baresip
from tests.interop.rig.calls import CARRIER_TONE, NUMBER, PBX_NUMBER, PBX_TONE, CallCase
from tests.interop.rig.capture import Capture, media
from tests.interop.rig.certificates import DOMAIN, Authority
from tests.interop.rig.evidence import judgeRTP
from tests.interop.rig.party import CARRIER, PBX, Party
from tests.interop.rig.ports import host
from tests.interop.rig.processes import waitUntil
from tests.interop.rig.rtp import packetOf
from tests.interop.rig.scenarios import FIXED_KEY, Scenario
from tests.interop.rig.sip import requests
from tests.interop.rig.sipp import Sipp
from tests.interop.rig.srtp import decryptAll
from tests.interop.rig.srtp_filters import ear, gstreamerProtects
from tests.interop.rig.stunnel import Stunnel
from tests.interop.rig.switchboard import Exchange, Switchboard

#: Keys sent in INFO, one by its number, and as they are to be heard; and those pressed at the phone.
WRITTEN, HEARD, PRESSED = ("5", "10", "#", "D"), ["5", "*", "#", "D"], ("7", "*", "0")

_AUDIO = 8
_SUITE = "AES_CM_128_HMAC_SHA1_80"
_END = 0x80


def _withoutEvents(body: str) -> str:
    """A description of a side that has keys in INFO only."""
    lines = [line for line in body.replace("AVP 8 101", "AVP 8").split("\n") if ":101 " not in line]
    return "\n".join(lines)


def _keys(party: Party, scenario: Scenario, called: bool, first: int) -> Scenario:
    """C{party} presses keys, C{first} is the CSeq, takes those that the other side presses, and hangs up."""
    for number, key in enumerate(WRITTEN, first):
        body = f"Signal={key}\nDuration=160\n"
        scenario.send(party.inside(called)("INFO", number, body, kind="application/dtmf-relay")).response(200)
    for key in PRESSED:
        scenario.request("INFO", body=f"Signal=[{key}]")
        scenario.send(party.answer("200 OK", tag=""), retransmit=False)
    return party.hangsUp(scenario, first + len(WRITTEN), called=called)


class DigitTests(CallCase):
    """Four keys one way and three the other, in a call in which both speak."""

    def presses(self, phone: Baresip, seconds: float = 8) -> None:
        """The phone has heard all keys, and presses its own."""
        phone.waitEvent("CALL_DTMF_END", seconds, count=len(HEARD))
        for key in PRESSED:
            phone.command("sndcode", key)
            time.sleep(0.3)

    def heardKeys(self, phone: Baresip) -> None:
        """The keys, each once, in order."""
        self.assertEqual([event.parameter for event in phone.events("CALL_DTMF_START")], HEARD)

    def oneStream(self, packets: Sequence[bytes], tone: int) -> None:
        """
        Sound and events have one SSRC and one row of sequence numbers (RFC 4733 section 2.6.1), whatever the
        sender's were; each event has one time stamp, begins with the marker, and ends three times.
        """
        self.assertEqual(len({packet[8:12] for packet in packets}), 1)
        numbers = [int.from_bytes(packet[2:4], "big") for packet in packets]
        first = numbers[0]
        self.assertEqual([(number - first) & 0xFFFF for number in numbers], list(range(len(numbers))))
        sound = [packet for packet in packets if packet[1] & 0x7F == _AUDIO]
        verdict = judgeRTP(sound, tone)
        self.assertGreaterEqual(verdict.share, 0.9, str(verdict))
        self.assertGreater(verdict.seconds, 1.0, str(verdict))
        events = [packet for packet in packets if packet[1] & 0x7F != _AUDIO and len(packet) == 16]
        times = list(dict.fromkeys(packet[4:8] for packet in events))
        self.assertEqual(len(times), len(HEARD))
        for each in times:
            parts = [packet for packet in events if packet[4:8] == each]
            self.assertEqual([part[1] >> 7 for part in parts], [1] + [0] * (len(parts) - 1))
            self.assertEqual([part[13] & _END for part in parts[-4:]], [0, _END, _END, _END])
            self.assertEqual(len({part[12] for part in parts}), 1)
            self.assertEqual(int.from_bytes(parts[-1][14:16], "big"), 160 * 8)

    def test_ofPBX(self) -> None:
        """A PBX with INFO: the carrier's phone decrypts and tells its keys, and what it presses is INFO."""
        place = self.scriptedPBX()
        self.stage(pbx=place, pbxLines=['dtmf = "info"'])
        (self.scratch / "tone.pcma").write_bytes(sineALaw(PBX_TONE, 4))
        body = _withoutEvents(PBX.sdp(port="[rtpstream_audio_port]"))
        scenario = PBX.connected(PBX.calls(Scenario("PBX"), PBX.invite(body))).play("tone.pcma").pause(500)
        with Capture() as capture:
            peer = self.play(place, _keys(PBX, scenario, False, 2))
            self.bob.waitEvent("CALL_ESTABLISHED")
            self.presses(self.bob)
            messages = peer.finish(20)
            self.bob.waitEvent("CALL_CLOSED")
        self.heardKeys(self.bob)
        leg = self.secure(capture, ffmpeg=False)
        self.oneStream([packet for _, _, packet in leg.toPhone.rtp], PBX_TONE)
        self.noEvents([one.payload for one in media(capture.to(peer.mediaPorts))])
        for one in requests(messages, "INFO", sent=False):
            self.assertEqual(one.header("Content-Type"), "application/dtmf-relay")

    def noEvents(self, packets: Sequence[bytes]) -> None:
        """Who has INFO hears sound only."""
        self.assertGreater(len(packets), 100)
        self.assertEqual({packet[1] & 0x7F for packet in packets}, {_AUDIO})

    def test_ofCarrier(self) -> None:
        """A carrier with INFO, sound by GStreamer's SRTP: the PBX's phone hears events, and presses keys."""
        authority = Authority(self.scratch)
        certificate = authority.issue("server")
        sound = [packetOf(sineALaw(CARRIER_TONE, 1), number, 0x43415252) for number in range(200)]
        voice = gstreamerProtects(self.scratch, sound, {_SUITE: base64.b64decode(FIXED_KEY)})[_SUITE]
        scenario = CARRIER.answers(CARRIER.isCalled(Scenario("carrier")), _withoutEvents(CARRIER.sdp()))
        peer = self.started(
            Sipp(
                self.scratch,
                "carrier",
                _keys(CARRIER, scenario.pause(500), True, 1),
                address=host(42),
                transport="t1",
            )
        )
        self.peer = peer
        mouth = ear(host(42))
        self.addCleanup(mouth.close)
        stunnel = self.started(Stunnel(self.scratch, certificate, (peer.address, peer.port)))
        self.pbx = self.started(Baresip.atPBX(self.scratch, PBX_NUMBER, PBX_TONE))
        exchange = Exchange("digits", None, None, trunkLines=['dtmf = "info"'])
        board = Switchboard(
            self.scratch,
            [exchange],
            [(self.pbx.address, self.pbx.port)],
            [f"{stunnel.address}:{stunnel.port}"],
            authority.file,
        )
        self.startTrunk(board)
        waitUntil(lambda: f"{DOMAIN}: connected to" in board.text(), 15, "the trunk is up", pause=0.1)
        with Capture() as capture:
            self.dial(NUMBER)
            self.pbx.waitEvent("CALL_ESTABLISHED")
            place = requests(peer.messages(), "INVITE")[0].mediaAddress()
            left = list(PRESSED)
            for number, packet in enumerate(voice):
                mouth.sendto(packet, place)
                time.sleep(0.02)
                if left and number % 10 == 0 and len(self.pbx.events("CALL_DTMF_END")) >= len(HEARD):
                    self.pbx.command("sndcode", left.pop(0))
            messages = peer.finish(20)
            self.pbx.waitEvent("CALL_CLOSED")
        self.heardKeys(self.pbx)
        self.oneStream([one.payload for one in media(capture.to(self.pbx.mediaPorts))], CARRIER_TONE)
        (key,) = (line.key for line in requests(messages, "INVITE")[0].crypto() if line.suite == _SUITE)
        toCarrier = decryptAll(capture.to([mouth.getsockname()[1]]), _SUITE, key)
        self.noEvents([packet for _, _, packet in toCarrier.rtp if len(packet) > 12])
        for one in requests(messages, "INFO", sent=False):
            self.assertEqual(one.header("Content-Type"), "application/dtmf-relay")

    def secrets(self) -> list[bytes]:
        """Of the phone's call, or of the scripted carrier's."""
        messages = self.peer.messages() if hasattr(self, "peer") else self.bob.messages()
        return [line.key for message in messages for line in message.crypto()]
