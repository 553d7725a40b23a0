"""What real PBXes do, replayed: each scenario is the traffic of one, with its media."""

from __future__ import annotations

from tests.interop.rig.audio import sineALaw
from tests.interop.rig.calls import PBX_TONE, CallCase, statuses
from tests.interop.rig.capture import Capture, media
from tests.interop.rig.evidence import SecureLeg
from tests.interop.rig.processes import waitUntil
from tests.interop.rig.rtp import Voice
from tests.interop.rig.scenarios import FIXED_KEY, Scenario, again, invite, sdp
from tests.interop.rig.sip import Message, requests, responses


def _opening(body: str) -> Scenario:
    """A call is made, answered and confirmed."""
    return (
        Scenario("PBX")
        .send(invite(body))
        .response(100, optional=True)
        .response(180, optional=True)
        .response(183, optional=True)
        .response(200, store=True)
        .send(again("ACK", 1), retransmit=False)
    )


def _again(scenario: Scenario, number: int, body: str) -> Scenario:
    """A second INVITE with an offer, its answer and ACK."""
    return (
        scenario.send(again("INVITE", number, body))
        .response(100, optional=True)
        .response(200, store=True)
        .send(again("ACK", number), retransmit=False)
    )


def _closing(scenario: Scenario, number: int) -> Scenario:
    return scenario.send(again("BYE", number)).response(200)


class ReplayTests(CallCase):
    """Calls out by PBXes with habits."""

    #: What no message to the carrier may hold, in an offer with everything.
    markers = (
        "MARK",
        "192.0.2.77",
        "m=video",
        "a=candidate",
        "a=ice",
        "a=fingerprint",
        "a=setup",
    )

    def replay(
        self,
        scenario: Scenario,
        place: tuple[str, int],
        voice: Voice | None = None,
        transport: str = "u1",
    ) -> tuple[list[Message], SecureLeg, Capture]:
        """
        Play a scenario against bob.

        @param voice: begins to speak when the call is answered.
        @return: its messages, bob's leg, decrypted, and the capture.
        """
        (self.scratch / "tone.pcma").write_bytes(sineALaw(PBX_TONE, 4))
        with Capture() as capture:
            peer = self.play(place, scenario, transport=transport)
            if voice is not None:
                waitUntil(lambda: responses(peer.messages(), "INVITE", 200), 10, "an answer")
                (line,) = responses(peer.messages(), "INVITE", 200)[0].lines("m=audio ")[1:]
                voice.start((self.trunk.address, int(line.split()[0])))
            messages = peer.finish(40)
            self.bob.waitEvent("CALL_CLOSED")
        self.pbxMedia = media(capture.to(peer.mediaPorts))
        return messages, self.secure(capture), capture

    def offers(self) -> list[Message]:
        """INVITEs that bob got, with credentials or before; each Call-ID once or more."""
        return requests(self.bob.messages(), "INVITE", sent=False)

    def sameDialog(self, second: Message) -> None:
        """A later offer repeats the key and goes on with the version (RFC 3264 section 8)."""
        first = self.offers()[0]
        self.assertEqual(
            {line.key for line in second.crypto()} - {line.key for line in first.crypto()}, set()
        )
        origins = [one.lines("o=")[0].split() for one in (first, second)]
        self.assertEqual(origins[0][1], origins[1][1])
        self.assertIn(int(origins[1][2]) - int(origins[0][2]), (0, 1, 2))

    def test_overTCP(self) -> None:
        """A PBX that signals over TCP."""
        place = self.scriptedPBX()
        self.stage(pbx=place)
        scenario = _closing(_opening(sdp()).play("tone.pcma").pause(1500), 2)
        messages, leg, _ = self.replay(scenario, place, transport="t1")
        self.assertEqual(statuses(messages)[-1], 200)
        self.heard(self.bob, PBX_TONE, 1.0)

    def test_asterisk(self) -> None:
        """Asterisk: a re-INVITE right after the ACK, to move its media to another address."""
        place = self.scriptedPBX()
        self.stage(pbx=place)
        scenario = _again(_opening(sdp(version=1)), 2, sdp(version=2)).play("tone.pcma").pause(2000)
        messages, leg, _ = self.replay(_closing(scenario, 3), place)
        self.assertEqual(statuses(messages)[-1], 200)
        self.assertEqual(len(responses(messages, "INVITE", 200)), 2)
        self.heard(self.bob, PBX_TONE, 1.5)
        for offer in self.offers()[1:]:
            self.sameDialog(offer)
        self.assertGreater(len(self.pbxMedia), 80)

    def test_freeswitchOfferless(self) -> None:
        """FreeSWITCH: a re-INVITE without an offer; the 200 has it, the ACK the answer."""
        place = self.scriptedPBX()
        self.stage(pbx=place)
        scenario = (
            _opening(sdp())
            .play("tone.pcma")
            .pause(1000)
            .send(again("INVITE", 2))
            .response(100, optional=True)
            .response(200, store=True, body="m=audio [0-9]+ RTP/AVP")
            .send(again("ACK", 2, sdp(version=2)), retransmit=False)
            .pause(1500)
        )
        messages, leg, _ = self.replay(_closing(scenario, 3), place)
        offer = responses(messages, "INVITE", 200)[1]
        self.assertEqual(offer.crypto(), [])
        self.assertEqual(offer.mediaAddress()[0], self.trunk.address)
        self.heard(self.bob, PBX_TONE, 2.0)

    def test_freeswitchDoubledMedia(self) -> None:
        """
        FreeSWITCH with optional SRTP: the audio twice, as RTP/SAVP and as RTP/AVP.  The trunk takes
        the plain one, answers the other with port 0 in its place, and offers one on.
        """
        place = self.scriptedPBX()
        self.stage(pbx=place)
        # sipp's own media gives up at an answer whose first stream has port 0.
        voice = Voice(place[0], sineALaw(PBX_TONE, 4))
        self.addCleanup(voice.stop)
        plain = [f"m=audio {voice.port} RTP/AVP 8 101", "a=rtpmap:8 PCMA/8000"]
        secure = [f"1 AES_CM_128_HMAC_SHA1_80 inline:{FIXED_KEY}"]
        body = sdp(port=str(voice.port), secure=secure, more=plain)
        scenario = _closing(_opening(body).pause(2000), 2)
        messages, leg, _ = self.replay(scenario, place, voice)
        lines = responses(messages, "INVITE", 200)[0].lines("m=")
        self.assertEqual(len(lines), 2)
        self.assertRegex(lines[0], r"^audio 0 RTP/SAVP ")
        self.assertRegex(lines[1], r"^audio [1-9]\d* RTP/AVP ")
        self.assertEqual([len(offer.lines("m=")) for offer in self.offers()], [1] * len(self.offers()))
        self.heard(self.bob, PBX_TONE, 1.0)

    def test_3cxHold(self) -> None:
        """
        3CX: hold by C{c=0.0.0.0}, then resume.  The carrier is put on hold and off again with the same
        key, no index is used twice, nothing is sent to the PBX meanwhile, and the sound comes back.
        """
        place = self.scriptedPBX()
        self.stage(pbx=place)
        hold = sdp(version=2, connection="0.0.0.0", attributes=())
        scenario = _opening(sdp()).play("tone.pcma").pause(1500)
        scenario = _again(scenario, 2, hold).pause(1500)
        scenario = _again(scenario, 3, sdp(version=3)).pause(1500)
        messages, leg, capture = self.replay(_closing(scenario, 4), place)
        offers = [offer for offer in self.offers() if offer.body]
        directions = [self.direction(offer) for offer in offers]
        self.assertEqual(directions[0], "sendrecv")
        self.assertIn(directions[1], ("sendonly", "inactive"))
        self.assertEqual(directions[-1], "sendrecv")
        for offer in offers[1:]:
            self.sameDialog(offer)
            self.assertNotEqual(offer.mediaAddress()[0], "0.0.0.0")
        answers = responses(capture.sip(*place), "INVITE", 200)
        held, resumed = answers[1].time + 0.2, requests(capture.sip(*place), "INVITE")[2].time
        during = [one for one in self.pbxMedia if held < one.time < resumed]
        self.assertEqual(during, [], "media to a PBX that is on hold")
        after = [one for one in self.pbxMedia if one.time > answers[2].time + 0.1]
        self.assertGreater(len(after), 60)
        indices = [index for _, index, _ in leg.toPhone.rtp]
        self.assertEqual(indices, sorted(set(indices)))

    def direction(self, message: Message) -> str:
        """The direction of the audio stream."""
        found = [
            one for one in message.lines("a=") if one in ("sendrecv", "sendonly", "recvonly", "inactive")
        ]
        return found[0] if found else "sendrecv"

    def test_videoAndICE(self) -> None:
        """
        An offer with video, ICE, DTLS and BUNDLE: one audio stream goes on, the rest is answered with
        port 0, and none of it, nor any name or address of the PBX, is ever told to the carrier.
        """
        place = self.scriptedPBX()
        self.stage(pbx=place)
        candidate = "candidate:1 1 UDP 2130706431 192.0.2.77 40000 typ host"
        audio = [
            "sendrecv", "mid:0", "ice-ufrag:MARKu", "ice-pwd:MARKpasswordOfTwentyTwo", candidate,
            "rtcp-mux", "ssrc:4711 cname:MARK", "setup:actpass",
            "fingerprint:sha-256 " + ":".join(["4D"] * 32),
        ]  # fmt: skip
        video = [
            "m=video 40002 RTP/AVP 96",
            "a=rtpmap:96 H264/90000",
            "a=mid:1",
            f"a={candidate}",
            "a=rtcp-mux",
        ]
        body = sdp(
            attributes=audio,
            more=video,
            session=["group:BUNDLE 0 1", "ice-options:trickle"],
            name="MARKsession",
        )
        scenario = _closing(_opening(body).play("tone.pcma").pause(1500), 2)
        messages, leg, _ = self.replay(scenario, place)
        lines = responses(messages, "INVITE", 200)[0].lines("m=")
        self.assertEqual([line.split()[0] for line in lines], ["audio", "video"])
        self.assertEqual([line.split()[1] == "0" for line in lines], [False, True])
        self.heard(self.bob, PBX_TONE, 1.0)
        received = [message.text for message in self.bob.messages() if not message.sent]
        for marker in (*self.markers, place[0], "BUNDLE", "rtcp-mux", "a=ssrc", "sipp", f":{place[1]}"):
            self.assertEqual([text for text in received if marker in text], [], marker)
        told = [message.text for message in messages if not message.sent]
        for marker in (self.bob.address, self.carrier.address, "baresip", "bob", "crypto", "SAVP"):
            self.assertEqual([text for text in told if marker in text], [], marker)
