"""Calls of the practice carrier, from and to a scripted PBX."""

from __future__ import annotations

from skypetrunk.interfaces import MediaAddress
from skypetrunk.lab.calls import Phase
from skypetrunk.lab.session import SRTPPolicy
from skypetrunk.service.control import ControlRefused, IControlled
from skypetrunk.wire.message import Request, Response, responseTo
from skypetrunk.wire.sdp import SessionDescription, parseSDP
from tests.lab.peer import ACCOUNT, KEY, Peer, offer
from tests.lab.test_registrar import CarrierCase

ECHO, TONE, BUSY, NO_ANSWER, HANG_UP, CLEAR, EARLY, DECLINE, UNKNOWN = (
    f"+44207946000{n}" for n in range(1, 10)
)
# Of the scripted PBX: nobody reads there
MEDIA = ("127.0.0.9", 30000)


class CallCase(CarrierCase):
    """Calls of the PBX."""

    def answered(self, number: str = TONE, body: bytes = b"") -> tuple[Request, Response]:
        """A call that was answered, its ACK not yet sent."""
        invite = self.peer.call(number, body or offer())
        self.network.run(0.6)
        for message in list(self.peer.sent):
            self.peer.sent.remove(message)
            if isinstance(message, Response) and message.status == 200:
                return invite, message
        raise AssertionError("not answered")

    def refused(self, number: str, body: bytes = b"") -> Response:
        """The final answer to a call that is not taken."""
        invite = self.peer.call(number, body or offer())
        self.network.run(0.6)
        final = self.peer.sent[-1]
        assert isinstance(final, Response) and final.status >= 300, final
        self.peer.give(self.peer.ack(invite, final))
        self.peer.sent.clear()
        return final

    def assertOver(self) -> None:
        """No call, no port, no timer and no transaction is left."""
        self.network.run(0.01)
        self.network.advance(64)
        self.assertEqual(self.carrier.agent.calls, ())
        self.assertEqual(self.carrier.agent.transactions.pending, 0)
        self.assertEqual(self.network.ports, {})
        self.assertEqual(self.network.getDelayedCalls(), [])


class AdmissionTests(CallCase):
    """Who may call whom."""

    def test_from(self) -> None:
        """Facts 6.1.1: From must be the SIP user, else 403; unless lax."""
        request = self.peer.request("INVITE", f"sip:{BUSY}@sip.skype.com", user="1001", body=offer())
        self.peer.asked(request)
        self.assertEqual(self.peer.statuses(), [100, 403])
        self.start(strictFrom=False)
        self.peer.asked(request)
        self.assertEqual(self.peer.statuses(), [100, 486])

    def test_numbers(self) -> None:
        """Facts 6.1.2: three forms; 404 for others and other domains, 484, and 403 for emergency numbers."""
        for number, status in [
            ("442079460003", 486),
            ("00442079460003", 486),
            ("%2B442079460003", 486),
            ("02079460003", 404),
            ("4420", 484),
            ("112", 403),
            ("911", 403),
        ]:
            self.assertEqual(self.refused(number).status, status, number)
        self.assertIn("Emergency", self.refused("112").reason)
        self.peer.asked(self.peer.request("INVITE", f"sip:{BUSY}@other.example", body=offer()))
        self.assertEqual(self.peer.statuses(), [100, 404])
        self.start(forms=("plus",))
        self.assertEqual(self.refused("442079460003").status, 404)

    def test_channels(self) -> None:
        """Facts 7.7, 7.8: 503 when all channels are in use; one fifth more for calls to the PBX."""
        self.start(channels=5)
        self.peer.register()
        for number in range(5):
            request = self.peer.request("INVITE", f"sip:{NO_ANSWER}@sip.skype.com", callID=f"{number}")
            self.peer.asked(request.withBody(offer(), "application/sdp"))
            self.assertEqual(self.peer.statuses(), [100, 180])
        self.assertEqual(self.refused(TONE).status, 503)
        self.carrier.dial("+442079460100", "1")
        self.assertRaises(ControlRefused, self.carrier.dial, "+442079460100", "1")

    def test_methods(self) -> None:
        """Facts 6.3.2: REFER and others get 405 with Allow, in and outside dialogs; OPTIONS gets 200."""
        for method, status in [("REFER", 405), ("SUBSCRIBE", 405), ("OPTIONS", 200)]:
            self.peer.asked(self.peer.request(method))
            answer = self.peer.takeResponse()
            self.assertEqual(answer.status, status)
            self.assertEqual(answer.values("Allow"), ("INVITE", "ACK", "CANCEL", "OPTIONS", "BYE"))
        invite, ok = self.answered()
        self.peer.give(self.peer.ack(invite, ok))
        for method, status in [
            ("REFER", 405),
            ("UPDATE", 405),
            ("INFO", 405),
            ("OPTIONS", 200),
            ("BYE", 200),
        ]:
            self.peer.asked(self.peer.within(method, ok))
            self.assertEqual(self.peer.takeResponse().status, status)
        self.peer.asked(self.peer.within("BYE", ok))
        self.assertEqual(self.peer.takeResponse().status, 481)
        self.assertOver()


class SRTPTests(CallCase):
    """Facts 5.1 to 5.4."""

    def answerTo(self, body: bytes) -> SessionDescription:
        """The answer to an offer."""
        invite, ok = self.answered(TONE, body)
        self.peer.give(self.peer.ack(invite, ok))
        self.peer.asked(self.peer.within("BYE", ok))
        self.peer.sent.clear()
        return parseSDP(ok.body)

    def test_mandatory(self) -> None:
        """488 without SRTP, without a known suite, and without audio."""
        self.assertEqual(self.refused(TONE, offer("RTP/AVP", ())).status, 488)
        self.assertEqual(self.refused(TONE, offer("RTP/AVP")).status, 488)
        self.assertEqual(self.refused(TONE, offer(suites=())).status, 488)
        self.assertEqual(self.refused(TONE, b"nonsense").status, 488)
        self.assertEqual(self.refused(TONE, offer().replace(b"m=audio", b"m=video")).status, 488)
        self.assertEqual(self.refused(TONE, offer().replace(b" 8 0 101", b" 9 101")).status, 488)

    def test_preference(self) -> None:
        """Either suite may be preferred, or be the only one; the tag stays (RFC 4568 section 5.1.2)."""
        suite = "AES_CM_128_HMAC_SHA1_"
        for suites, offered, chosen in [
            (("80", "32"), ("80", "32"), "1 80"),
            (("32", "80"), ("80", "32"), "2 32"),
            (("80",), ("32", "80"), "2 80"),
            (("32",), ("80", "32"), "2 32"),
        ]:
            self.start(srtp=SRTPPolicy("required", tuple(suite + each for each in suites)))
            audio = self.answerTo(offer(suites=offered)).media[0]
            self.assertEqual(audio.protocol, "RTP/SAVP")
            [line] = audio.crypto
            self.assertTrue(line.startswith(chosen.replace(" ", " " + suite) + " inline:"), line)
            self.assertNotIn(KEY, line)
        self.assertEqual(self.refused(TONE, offer(suites=("80",))).status, 488)

    def test_modes(self) -> None:
        """Optional: as the offer is.  Off: RTP/SAVP is refused."""
        self.start(srtp=SRTPPolicy("optional"))
        for protocol in ("RTP/AVP", "RTP/SAVP"):
            self.assertEqual(self.answerTo(offer(protocol)).media[0].protocol, protocol)
        self.start(srtp=SRTPPolicy("off"))
        self.assertEqual(self.refused(TONE, offer()).status, 488)
        for suites in ((), ("80",)):
            self.assertEqual(self.answerTo(offer("RTP/AVP", suites)).media[0].crypto, ())

    def test_opportunistic(self) -> None:
        """RFC 8643: an answer to RTP/AVP with keys has one of them; other offers are taken as they are."""
        self.start(srtp=SRTPPolicy("opportunistic"))
        for protocol, suites, keys in (
            ("RTP/AVP", ("80", "32"), 1),
            ("RTP/SAVP", ("80", "32"), 1),
            ("RTP/AVP", (), 0),
        ):
            audio = self.answerTo(offer(protocol, suites)).media[0]
            self.assertEqual((audio.protocol, len(audio.crypto)), (protocol, keys))
        self.assertEqual(self.refused(TONE, offer(suites=())).status, 488)

    def test_never(self) -> None:
        """Any key gets 488."""
        self.start(srtp=SRTPPolicy("never"))
        for body in (offer(), offer("RTP/AVP"), offer(suites=())):
            self.assertEqual(self.refused(TONE, body).status, 488)
        self.assertEqual(self.answerTo(offer("RTP/AVP", ())).media[0].crypto, ())

    def test_refusesSRTP(self) -> None:
        """One test number answers RTP/AVP to RTP/SAVP."""
        _, ok = self.answered(CLEAR)
        audio = parseSDP(ok.body).media[0]
        self.assertEqual((audio.protocol, audio.crypto), ("RTP/AVP", ()))

    def test_description(self) -> None:
        """Facts 6.2 and 7.3: s=Skype call, no ptime; streams that are not wanted keep their place."""
        video = "m=video 30002 RTP/SAVP 96\r\na=rtpmap:96 H264/90000\r\n"
        answer = self.answerTo(offer(extra=video))
        self.assertEqual(answer.sessionName, "Skype call")
        self.assertIsNone(answer.media[0].ptime)
        self.assertEqual([(m.kind, m.port > 0) for m in answer.media], [("audio", True), ("video", False)])
        self.assertEqual(answer.media[0].formats, ("8", "0", "101"))


class BehaviourTests(CallCase):
    """The test numbers."""

    def test_answers(self) -> None:
        """180, then 200; every 0.5 to 4 s again until ACK, also over TLS (RFC 3261 section 13.3.1.4)."""
        invite = self.peer.call(TONE, offer())
        self.assertEqual(self.peer.statuses(), [100, 180])
        self.network.run(0.501)
        ok = self.peer.takeResponse()
        self.assertEqual((ok.status, ok.cseq), (200, invite.cseq))
        self.network.advance(0.5)
        self.network.advance(1.0)
        self.assertEqual(self.peer.statuses(), [200, 200])
        self.peer.give(self.peer.ack(invite, ok))
        self.network.advance(4)
        self.assertEqual(self.peer.statuses(), [])
        self.peer.asked(self.peer.within("BYE", ok))
        self.assertOver()

    def test_noAck(self) -> None:
        """Without an ACK a BYE follows after 64*T1."""
        self.answered()
        self.network.pump([0.5] * 64)
        statuses = self.peer.statuses()
        self.assertEqual((set(statuses), statuses[-1]), ({200, "BYE"}, "BYE"))
        self.assertOver()

    def test_echoAndTone(self) -> None:
        """Both send SRTP to where the offer says; the echo only what it hears."""
        for number, packets in [(TONE, 25), (ECHO, 0)]:
            invite, ok = self.answered(number)
            self.peer.give(self.peer.ack(invite, ok))
            self.network.sent.clear()
            self.network.run(0.51)
            rtp = [data for _, to, data in self.network.sent if to == MEDIA]
            self.assertEqual((len(rtp), {len(data) for data in rtp} - {182}), (packets, set()))
            self.peer.asked(self.peer.within("BYE", ok))
            self.peer.sent.clear()
        self.assertOver()

    def test_refusals(self) -> None:
        """Busy, declined, not in use."""
        self.assertEqual([self.refused(n).status for n in (BUSY, DECLINE, UNKNOWN)], [486, 603, 404])
        self.assertOver()

    def test_noAnswer(self) -> None:
        """Rings until it is cancelled, or nobody is patient any more."""
        invite = self.peer.call(NO_ANSWER, offer())
        self.network.advance(59)
        self.assertEqual(self.peer.statuses(), [100, 180])
        cancel = Request("CANCEL", invite.uri, invite.headers).withHeader(
            "CSeq", f"{invite.cseq.number} CANCEL"
        )
        self.peer.give(cancel.withoutHeader("Content-Type").withoutHeader("Proxy-Authorization"))
        self.assertEqual(sorted(map(int, self.peer.statuses())), [200, 487])
        self.assertOver()
        self.peer.call(NO_ANSWER, offer())
        self.network.advance(60)
        self.assertEqual(self.peer.statuses(), [100, 180, 480])
        self.assertOver()

    def test_hangsUp(self) -> None:
        """Answers and hangs up; a BYE waits for the ACK (RFC 3261 section 15)."""
        invite, ok = self.answered(HANG_UP)
        self.network.advance(3)
        self.assertEqual(set(self.peer.statuses()), {200})
        self.peer.give(self.peer.ack(invite, ok))
        bye = self.peer.takeRequest()
        self.assertEqual((bye.method, bye.uri), ("BYE", f"sip:{ACCOUNT}@192.0.2.7:5070;transport=tls"))
        self.peer.give(responseTo(bye, 200))
        self.assertOver()

    def test_early(self) -> None:
        """183 with a description, the same in the 200; silent until it has heard something real."""
        invite = self.peer.call(EARLY, offer())
        self.assertEqual(self.peer.takeResponse().status, 100)
        progress = self.peer.takeResponse()
        self.assertEqual(progress.status, 183)
        self.network.run(0.5)
        self.assertEqual([to for _, to, _ in self.network.sent if to == MEDIA], [])
        self.network.run(1.6)
        ok = self.peer.takeResponse()
        self.assertEqual((ok.status, ok.body), (200, progress.body))
        self.peer.give(self.peer.ack(invite, ok))
        self.peer.asked(self.peer.within("BYE", ok))
        self.assertOver()

    def test_contact(self) -> None:
        """Facts 6.1.4: the domain with the node in maddr, or plainly the node."""
        _, ok = self.answered()
        self.assertEqual(
            str(ok.contacts[0].uri), f"sip:{TONE}@sip.skype.com:5061;maddr=127.0.0.1;transport=tls"
        )
        self.start(maddr=False)
        _, ok = self.answered()
        self.assertEqual(str(ok.contacts[0].uri), f"sip:{TONE}@127.0.0.1:5061;transport=tls")


class RenegotiationTests(CallCase):
    """Re-INVITEs of the PBX."""

    def test_hold(self) -> None:
        """Hold stops our media and keeps the key; its end starts it again; o= goes up by one each time."""
        invite, ok = self.answered()
        self.peer.give(self.peer.ack(invite, ok))
        versions, keys = [], set()
        for direction, packets in [("sendonly", 0), ("sendrecv", 10), ("inactive", 0)]:
            again = self.peer.asked(self.peer.within("INVITE", ok, offer(extra=f"a={direction}\r\n")))
            statuses = [self.peer.takeResponse(), self.peer.takeResponse()]
            self.assertEqual([each.status for each in statuses], [100, 200])
            self.peer.give(self.peer.ack(again, statuses[1]))
            answer = parseSDP(statuses[1].body)
            versions.append(int(answer.origin.version))
            keys |= set(answer.media[0].crypto)
            self.network.sent.clear()
            self.network.run(0.2)
            self.assertEqual(len([to for _, to, _ in self.network.sent if to == MEDIA]), packets)
        self.assertEqual((versions, len(keys)), ([2, 3, 4], 1))
        self.peer.asked(self.peer.within("BYE", ok))
        self.assertOver()

    def test_offerless(self) -> None:
        """Without an offer the 200 has one, and the ACK the answer, first and later."""
        invite = self.peer.asked(self.peer.request("INVITE", f"sip:{TONE}@sip.skype.com"))
        self.network.run(0.6)
        ok = self.peer.sent[-1]
        assert isinstance(ok, Response)
        self.assertEqual(parseSDP(ok.body).media[0].formats, ("8", "0", "18", "101"))
        self.assertEqual(len(parseSDP(ok.body).media[0].crypto), 2)
        self.peer.give(self.peer.ack(invite, ok, offer(suites=("80",))))
        self.network.run(0.1)
        self.assertTrue([to for _, to, _ in self.network.sent if to == MEDIA])
        [call] = self.carrier.agent.calls
        self.assertEqual(call.session.statistics().suite, "AES_CM_128_HMAC_SHA1_80")  # type: ignore[union-attr]

    def test_unusableAnswer(self) -> None:
        """An answer that is not secure ends the call."""
        invite = self.peer.asked(self.peer.request("INVITE", f"sip:{TONE}@sip.skype.com"))
        self.network.run(0.6)
        ok = self.peer.sent[-1]
        assert isinstance(ok, Response)
        self.peer.sent.clear()
        self.peer.give(self.peer.ack(invite, ok, offer("RTP/AVP", ())))
        self.assertEqual(self.peer.statuses(), ["BYE"])
        self.assertOver()

    def test_outOfOrder(self) -> None:
        """An old CSeq gets 500 (RFC 3261 section 12.2.2), another tag 481."""
        invite, ok = self.answered()
        self.peer.give(self.peer.ack(invite, ok))
        early, stray = self.peer.within("OPTIONS", ok), self.peer.within("BYE", ok)
        self.peer.asked(self.peer.within("OPTIONS", ok))
        self.assertEqual(self.peer.statuses(), [200])
        self.peer.give(early)
        old = self.peer.authorised(early, self.peer.takeResponse())
        old = old.withHeader("CSeq", f"{early.cseq.number} OPTIONS")
        self.peer.give(old)
        self.assertEqual(self.peer.statuses(), [500])
        self.peer.asked(stray.withHeader("From", "<sip:x@sip.skype.com>;tag=other"))
        self.assertEqual(self.peer.statuses(), [481])


class IncomingCallTests(CallCase):
    """Calls to the PBX (facts 6.1.6, 6.1.7, 6.2)."""

    def setUp(self) -> None:
        """A PBX that is registered."""
        super().setUp()
        self.peer.register()

    def test_invite(self) -> None:
        """Request-URI is the registered Contact, To has the number, From our domain; an SRTP offer."""
        for caller, wanted in [
            ("+493012345678", "<sip:+493012345678@sip.skype.com>"),
            ("anonymous", "anonymous <sip:anonymous@sip.skype.com>"),
            ("echo.test123", "echo.test123 <sip:echo.test123@sip.skype.com>"),
        ]:
            self.carrier.dial("+442079460100", caller)
            invite = self.peer.takeRequest()
            self.assertEqual(invite.uri, f"sip:{ACCOUNT}@192.0.2.7:5070;transport=tls")
            self.assertEqual(str(invite.toAddress), "<sip:+442079460100@sip.skype.com>")
            self.assertEqual(str(invite.fromAddress).replace('"', "").partition(";")[0], wanted)
            offered = parseSDP(invite.body)
            self.assertEqual((offered.sessionName, offered.media[0].protocol), ("Skype call", "RTP/SAVP"))
            self.assertEqual(offered.media[0].formats, ("8", "0", "18", "101"))
            self.assertIn("annexb=no", offered.media[0].fmtps["18"])

    def answer(self, invite: Request, tag: str = "pbx", body: bytes = b"") -> Response:
        """A 200 of the PBX."""
        contact = ("Contact", f"<sip:{tag}@192.0.2.7:5070;transport=tls>")
        made = responseTo(invite, 200, headers=[contact], toTag=tag)
        return made.withBody(body or offer(suites=("80",)), "application/sdp")

    def test_answered(self) -> None:
        """The answer is acknowledged, each repetition with the same ACK; the audio flows; BYE ends it."""
        placed = self.carrier.placeCall("+442079460100", "1234567")
        invite = self.peer.takeRequest()
        self.peer.give(responseTo(invite, 180, toTag="pbx"))
        self.assertEqual(self.carrier.agent.calls[0].phase, Phase.RINGING)
        for _ in range(2):
            self.peer.give(self.answer(invite))
        first, second = self.peer.takeRequest(), self.peer.takeRequest()
        self.assertEqual(first.encode(), second.encode())
        self.assertEqual((first.method, first.uri), ("ACK", "sip:pbx@192.0.2.7:5070;transport=tls"))
        outcome = self.successResultOf(placed)
        self.assertEqual((outcome.status, outcome.reason), (200, "OK"))
        self.network.run(0.2)
        self.assertEqual(len([to for _, to, _ in self.network.sent if to == MEDIA]), 11)
        self.carrier.hangUp(outcome.call)
        bye = self.peer.takeRequest()
        self.assertEqual((bye.method, bye.cseq.number), ("BYE", 2))
        self.peer.give(responseTo(bye, 200))
        self.assertOver()

    def test_refused(self) -> None:
        """What the PBX says is told, and acknowledged."""
        placed = self.carrier.placeCall("+442079460100", "1234567")
        self.peer.give(responseTo(self.peer.takeRequest(), 486, toTag="pbx"))
        self.assertEqual(self.peer.statuses(), ["ACK"])
        outcome = self.successResultOf(placed)
        self.assertEqual((outcome.status, outcome.reason), (486, "486 Busy Here"))
        self.assertOver()

    def test_cancelled(self) -> None:
        """A CANCEL, and a 200 that crosses it: ACK, then BYE."""
        call = self.carrier.dial("+442079460100", "1234567")
        invite = self.peer.takeRequest()
        self.peer.give(responseTo(invite, 180, toTag="pbx"))
        call.hangUp()
        self.assertEqual(self.peer.statuses(), ["CANCEL"])
        self.peer.give(self.answer(invite))
        self.assertEqual(self.peer.statuses(), ["ACK", "BYE"])
        self.assertOver()

    def test_forked(self) -> None:
        """A second 200 with another tag: ACK, then BYE; the first call goes on."""
        call = self.carrier.dial("+442079460100", "1234567")
        invite = self.peer.takeRequest()
        self.peer.give(self.answer(invite))
        self.peer.give(self.answer(invite, "fork"))
        messages = [self.peer.takeRequest() for _ in range(3)]
        self.assertEqual([m.method for m in messages], ["ACK", "ACK", "BYE"])
        self.assertEqual([m.toAddress.tag for m in messages], ["pbx", "fork", "fork"])
        self.assertEqual(call.phase, Phase.ANSWERED)

    def test_notSecure(self) -> None:
        """RTP/AVP, an unknown tag or two lines in the answer end the call."""
        for body in (
            offer("RTP/AVP", ()),
            offer(suites=("80", "32")),
            offer(suites=("80",)).replace(b"crypto:1", b"crypto:7"),
        ):
            self.carrier.dial("+442079460100", "1234567")
            self.peer.give(self.answer(self.peer.takeRequest(), body=body))
            self.assertEqual(self.peer.statuses(), ["ACK", "BYE"])
        self.assertOver()

    def test_nobodyAnswers(self) -> None:
        """Given up after a while, and where there is nobody to call refused at once."""
        placed = self.carrier.placeCall("+442079460100", "1234567")
        invite = self.peer.takeRequest()
        self.peer.give(responseTo(invite, 180, toTag="pbx"))
        self.network.advance(60)
        self.assertEqual(self.peer.statuses(), ["CANCEL"])
        self.peer.give(responseTo(invite, 487, toTag="pbx"))
        self.assertEqual(self.successResultOf(placed).status, 487)
        self.assertRaises(ControlRefused, self.carrier.dial, "1", "2")

    def test_unregistered(self) -> None:
        """Without a registration no call can be placed; in IP mode the last connection is used."""
        self.start()
        self.assertRaises(ControlRefused, self.carrier.placeCall, "+442079460100", "1")
        self.start(authentication="ip")
        self.peer.give(self.peer.request("OPTIONS"))
        self.peer.take()
        self.carrier.dial("+442079460100", "1")
        self.assertEqual(self.peer.takeRequest().uri, f"sip:{ACCOUNT}@127.0.0.9:40000;transport=tls")

    def test_renegotiated(self) -> None:
        """Our own re-INVITE: a hold in either manner, with the same key."""
        call = self.carrier.dial("+442079460100", "1234567")
        invite = self.peer.takeRequest()
        self.peer.give(self.answer(invite))
        self.peer.take()
        for direction, hold, address in [("sendonly", False, "127.0.0.1"), ("sendrecv", True, "0.0.0.0")]:
            call.renegotiate(direction, hold)
            again = self.peer.takeRequest()
            offered = parseSDP(again.body).media[0]
            self.assertEqual((offered.direction, offered.address), (direction, address))
            self.assertEqual(offered.crypto, parseSDP(invite.body).media[0].crypto)
            self.peer.give(self.answer(again))
            self.assertEqual(self.peer.takeRequest().cseq.number, again.cseq.number)


class StatusTests(CallCase):
    """What the control socket shows."""

    def test_interface(self) -> None:
        """The carrier is what a control server wants."""
        self.assertTrue(IControlled.providedBy(self.carrier))

    def test_shown(self) -> None:
        """Registrations, calls and finished calls with their counters; no password, no key."""
        self.peer.register()
        invite, ok = self.answered()
        self.peer.give(self.peer.ack(invite, ok))
        self.network.run(0.5)
        status = self.carrier.status()
        self.assertIn("'phase': 'answered'", str(status["calls"]))
        self.assertIn(ACCOUNT, str(status["registrations"]))
        self.peer.asked(self.peer.within("BYE", ok))
        text = str(self.carrier.status())
        self.assertIn("the other end hung up", text)
        self.assertIn("'suite': 'AES_CM_128_HMAC_SHA1_80'", text)
        for secret in ("marker-Passw0rd", KEY, parseSDP(ok.body).media[0].crypto[0].partition("inline:")[2]):
            self.assertNotIn(secret, text + repr(self.carrier.settings))
        self.assertRaises(ControlRefused, self.carrier.hangUp, "nonsense")

    def test_connectionLost(self) -> None:
        """A call goes on over the PBX's next connection, and ends when none comes."""
        for comesBack in (True, False):
            invite, ok = self.answered()
            self.peer.give(self.peer.ack(invite, ok))
            self.carrier.agent.transactions.channelLost(self.peer.channel, OSError("gone"))
            self.carrier.channelLost(self.peer.channel)
            self.peer = Peer(self.carrier, "127.0.0.9")
            if comesBack:
                self.peer._count = iter(range(50, 100))  # type: ignore[assignment]
                self.peer.asked(self.peer.within("OPTIONS", ok))
                self.assertEqual(self.peer.statuses(), [200])
            self.network.advance(32)
            self.assertEqual(len(self.carrier.agent.calls), int(comesBack))
            if comesBack:
                self.peer.asked(self.peer.within("BYE", ok))
                self.peer.sent.clear()

    def test_address(self) -> None:
        """Media is received at the node's address."""
        _, ok = self.answered()
        audio = parseSDP(ok.body).media[0]
        self.assertIn((audio.address, audio.port), self.network.ports)
        self.assertEqual(
            MediaAddress("127.0.0.1", audio.port, audio.port + 1),
            self.carrier.agent.calls[0].session.media.address,  # type: ignore[union-attr]
        )
