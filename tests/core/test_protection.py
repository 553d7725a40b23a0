"""Tests of L{skypetrunk.core.protection}, and of sessions and calls in its modes."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.crypto_attributes import CryptoAttributes
from skypetrunk.core.keys import SecurityDescriptions
from skypetrunk.core.leg import Leg
from skypetrunk.core.mikey import MIKEYPeer
from skypetrunk.core.mikey_keys import Bundle
from skypetrunk.core.mikey_messages import NoProtection
from skypetrunk.core.mikey_replay import ntpTime
from skypetrunk.core.protection import CLEAR, EITHER, OFF, OPPORTUNISTIC, REQUIRED, SECURE, Form
from skypetrunk.core.session import Session
from skypetrunk.errors import KeyAgreementFailed, MalformedSDP, RemoteError
from skypetrunk.interfaces import MediaPath
from skypetrunk.wire.message import Request
from skypetrunk.wire.mikey import INITIATE, CryptoSession, Message, sdpValue
from skypetrunk.wire.mikey_payloads import TGK, KeyData, Random
from skypetrunk.wire.mikey_policy import policyOf
from skypetrunk.wire.sdp import MediaDescription, parseSDP
from tests.core.callnet import KEY, OTHER_KEY, PCMA, SAVP, CallNet, RecordingMediaLeg, sdp
from tests.core.test_keys import LONG, SHORT, countingEntropy
from tests.core.test_session import STREAM

AVP = SAVP.replace("RTP/SAVP", "RTP/AVP")
UNUSABLE = (
    AVP.replace("_80", "_81"),
    AVP.replace(" inline", " other"),
    AVP.replace(KEY, f"{KEY}|2^15"),
    AVP.replace(KEY, f"{KEY} UNENCRYPTED_SRTP"),
)
"""Plain RTP with keys that are of no use."""


def audio(body: bytes) -> MediaDescription:
    """The one line of a description whose port is not 0."""
    (line,) = [each for each in parseSDP(body).media if each.port]
    return line


def suites(line: MediaDescription) -> list[str]:
    """Those that a line has keys for."""
    return [value.split()[1] for value in line.crypto]


class SessionTests(SynchronousTestCase):
    """An opportunistic session."""

    def make(self, form: Form | None = None) -> None:
        """A new one."""
        entropy = countingEntropy()
        self.media = RecordingMediaLeg("leg", True, 20000)
        keys = CryptoAttributes(SecurityDescriptions((LONG, SHORT), entropy))
        asked = (("3ge2ae", "requested"),)
        self.session = Session(self.media, keys, entropy, asked, optional=True, form=form)

    def setUp(self) -> None:
        """One that was offered nothing."""
        self.make()

    def offer(self, form: Form | None = None) -> MediaDescription:
        """What a new one offers."""
        self.make(form)
        return audio(self.session.makeOffer(STREAM))

    def answered(self, line: str) -> None:
        """The peer's final answer."""
        self.session.answerReceived(sdp(line))
        self.session.answered()

    def offered(self, lines: str, version: int = 1) -> MediaDescription:
        """What is answered to a peer's offer."""
        self.session.offerReceived(sdp(lines, version=version))
        answer = audio(self.session.makeAnswer(STREAM))
        self.session.answerSent()
        return answer

    def inClear(self) -> bool:
        """What the media leg was told last."""
        told = [event[0] for event in self.media.events if event[0] in ("clear", "local")]
        self.assertEqual(self.session.secure, told[-1] == "local")
        return told[-1] == "clear"

    def test_offers(self) -> None:
        """RFC 8643 section 3.1.1: RTP/AVP with keys.  The other two forms are those of the other modes."""
        for form, protocol, keyed in (
            (None, "RTP/AVP", True),
            (EITHER, "RTP/AVP", True),
            (SECURE, "RTP/SAVP", True),
            (CLEAR, "RTP/AVP", False),
        ):
            line = self.offer(form)
            self.assertEqual(line.protocol, protocol)
            self.assertEqual(suites(line), [LONG, SHORT] if keyed else [])
            self.assertEqual(line.has("3ge2ae"), keyed)

    def test_answeredWithKeys(self) -> None:
        """RFC 8643 section 3.1.3: an answer with a key is SRTP."""
        self.offer()
        self.answered(AVP)
        self.assertFalse(self.inClear())

    def test_answeredInClear(self) -> None:
        """One without is RTP in clear."""
        self.offer()
        self.answered(PCMA)
        self.assertTrue(self.inClear())
        self.assertIsNone(self.session.uses.ours)

    def test_badAnswers(self) -> None:
        """A peer that answers with a key believes in SRTP: what is wrong with it is never RTP in clear."""
        for line in (*UNUSABLE, AVP.replace("crypto:1", "crypto:7"), SAVP, SAVP.split("a=crypto")[0]):
            self.offer()
            self.assertRaises(RemoteError, self.session.answerReceived, sdp(line))
            self.assertEqual(self.media.events, [])

    def test_secureOffer(self) -> None:
        """C{RTP/SAVP} in an offer of ours wants no less in its answer."""
        for line in (PCMA, AVP):
            self.offer(SECURE)
            self.assertRaises(KeyAgreementFailed, self.session.answerReceived, sdp(line))
            self.assertEqual(self.media.events, [])

    def test_clearOffer(self) -> None:
        """Keys that nobody offered mean nothing."""
        self.offer(CLEAR)
        self.answered(AVP)
        self.assertTrue(self.inClear())

    def test_taken(self) -> None:
        """The answer has the protocol of the offer, and a key where the offer has one that can be used."""
        for line, secure in ((SAVP, True), (AVP, True), (PCMA, False), *((each, False) for each in UNUSABLE)):
            self.make()
            answer = self.offered(line)
            self.assertEqual(answer.protocol, parseSDP(sdp(line)).media[0].protocol)
            self.assertEqual(suites(answer), [LONG] if secure else [])
            self.assertEqual(self.inClear(), not secure)

    def test_refused(self) -> None:
        """C{RTP/SAVP} with keys that are of no use is refused, as ever, and so is what nobody knows."""
        for line in (*(each.replace("RTP/AVP", "RTP/SAVP") for each in UNUSABLE), AVP.replace("AVP", "AVPF")):
            self.make()
            failure = self.assertRaises(KeyAgreementFailed, self.session.offerReceived, sdp(line))
            self.assertEqual((failure.status, self.media.events), (488, []))

    def test_twoLines(self) -> None:
        """Of two audio lines the more secure one is taken, wherever it stands."""
        for lines, place in ((PCMA + SAVP, 1), (SAVP + PCMA, 0), (PCMA + AVP, 1), (UNUSABLE[0] + PCMA, 0)):
            self.make()
            self.session.offerReceived(sdp(lines))
            answer = parseSDP(self.session.makeAnswer(STREAM))
            self.assertEqual([bool(line.port) for line in answer.media], [place == 0, place == 1])

    def test_neverLowered(self) -> None:
        """What was agreed as SRTP stays SRTP: less is refused, offered or answered, and nothing changes."""
        for form, ours in ((EITHER, True), (SECURE, True), (EITHER, False), (SECURE, False)):
            self.make(form)
            agreed = AVP if form is EITHER else SAVP
            if ours:
                self.session.makeOffer(STREAM)
                self.answered(agreed)
            else:
                self.offered(agreed)
            before = list(self.media.events)
            for line in (PCMA, *UNUSABLE):
                self.assertRaises(KeyAgreementFailed, self.session.offerReceived, sdp(line, version=2))
                self.session.forget()
            again = audio(self.session.makeOffer(STREAM))
            self.assertEqual(suites(again), [LONG])
            plain = PCMA.replace("RTP/AVP", again.protocol)
            for line in (PCMA, plain):
                self.assertRaises(KeyAgreementFailed, self.session.answerReceived, sdp(line, version=2))
            self.session.forget()
            self.session.repeatOffer()
            self.assertRaises(KeyAgreementFailed, self.answered, plain)
            self.session.forget()
            self.assertEqual(self.media.events, before)
            self.assertTrue(self.session.secure)

    def test_sameForm(self) -> None:
        """A later offer of ours has the form that was agreed: some refuse the other ones."""
        for line, protocol in ((SAVP, "RTP/SAVP"), (AVP, "RTP/AVP"), (PCMA, "RTP/AVP")):
            self.make()
            self.offered(line)
            again = audio(self.session.makeOffer(STREAM))
            self.assertEqual((again.protocol, bool(again.crypto)), (protocol, line is not PCMA))

    def test_refreshed(self) -> None:
        """A session refresh repeats what stands, and changes nothing, SRTP or not."""
        for line in (AVP, PCMA):
            self.offer()
            self.answered(line)
            secure = self.session.secure
            self.session.repeatOffer()
            self.answered(line)
            self.assertEqual(self.session.secure, secure)
            self.assertTrue(self.session.repeats(sdp(line), refresh=False))

    def test_raised(self) -> None:
        """A peer may go from clear to SRTP, and then not back."""
        self.make()
        self.offered(PCMA)
        self.assertTrue(self.inClear())
        self.assertEqual(suites(self.offered(AVP, 2)), [LONG])
        self.assertFalse(self.inClear())
        self.assertRaises(KeyAgreementFailed, self.session.offerReceived, sdp(PCMA, version=3))

    def test_branches(self) -> None:
        """Branches of a call that is not answered yet may differ; the one that answers counts."""
        for first, last in ((PCMA, AVP), (AVP, PCMA)):
            self.offer()
            self.session.answerReceived(sdp(first, "192.0.2.11"))
            self.answered(last)
            self.assertEqual(self.inClear(), last is PCMA)


class MIKEYTests(SynchronousTestCase):
    """Keys of MIKEY instead, which RFC 8643 names too."""

    def setUp(self) -> None:
        """Two ends that may have SRTP, and offer it."""
        clock = Clock()
        clock.rightNow = 1_800_000_000.0
        self.time = ntpTime(clock.rightNow)
        self.left, self.right = (self.session(MIKEYPeer(None, clock.seconds), first) for first in (7, 9))
        self.offer = self.left.makeOffer(STREAM)
        self.assertEqual(parseSDP(self.offer).media[0].protocol, "RTP/AVP")

    def session(self, peer: MIKEYPeer, first: int) -> Session:
        """One end."""
        numbers = countingEntropy()
        keys = peer.agreement((LONG,), lambda octets: bytes([first]) + numbers(octets)[1:])
        return Session(RecordingMediaLeg("leg", True, 20000), keys, numbers, optional=True)

    def test_agreed(self) -> None:
        """Both have SRTP, wherever in the answer the message stands (RFC 4567 section 3.1)."""
        self.right.offerReceived(self.offer)
        answer = self.right.makeAnswer(STREAM).decode()
        (message,) = [line for line in answer.splitlines(True) if line.startswith("a=key-mgmt")]
        before = answer.replace(message, "").replace("m=audio", f"{message}m=audio")
        for body in (answer, before):
            self.left.answerReceived(body.encode())
            self.assertEqual((self.left.secure, self.right.secure), (True, True))

    def test_declined(self) -> None:
        """An answer without a message is RTP in clear."""
        self.left.answerReceived(sdp(PCMA))
        self.assertFalse(self.left.secure)

    def test_noResponse(self) -> None:
        """A message that wants no response would look declined, and so it is."""
        for answered in (False, True):
            payloads = (self.time, Random(bytes(16)), policyOf(LONG))
            sessions = (CryptoSession(0, 1), CryptoSession(0, 0))
            message = Message(INITIATE, answered, 0, 5, sessions, payloads)
            key = KeyData(TGK, bytes(range(16)))
            _, octets = NoProtection().seal(message, Bundle(5, bytes(16)), (key,))
            line = f"m=audio 6000 RTP/AVP 8\r\na=key-mgmt:{sdpValue(octets)}\r\n"
            self.right.offerReceived(sdp(line, version=2 if answered else 1))
            self.right.makeAnswer(STREAM)
            self.assertEqual(self.right.secure, answered)


class OffTests(SynchronousTestCase):
    """A session without SRTP."""

    def setUp(self) -> None:
        """One without keys."""
        self.media = RecordingMediaLeg("leg", False, 20000)
        self.session = Session(self.media, None, countingEntropy())

    def test_offer(self) -> None:
        """RTP/AVP without keys; C{RTP/SAVP} is no answer to it."""
        line = audio(self.session.makeOffer(STREAM))
        self.assertEqual((line.protocol, line.crypto), ("RTP/AVP", ()))
        self.assertRaises(MalformedSDP, self.session.answerReceived, sdp(SAVP))

    def test_declined(self) -> None:
        """Keys under RTP/AVP are declined."""
        self.session.offerReceived(sdp(AVP))
        self.assertEqual(audio(self.session.makeAnswer(STREAM)).crypto, ())
        self.assertFalse(self.session.secure)

    def test_refused(self) -> None:
        """C{RTP/SAVP} is refused, with a Warning that it is the protocol."""
        failure = self.assertRaises(MalformedSDP, self.session.offerReceived, sdp(SAVP))
        self.assertEqual((failure.status, failure.warning), (488, 302))


class CallTests(SynchronousTestCase):
    """Whole calls, both ways, with a carrier in each mode."""

    def setUp(self) -> None:
        """A log, and no call."""
        self.net = CallNet()
        self.events = EventLoggingObserver()
        globalLogPublisher.addObserver(self.events)
        self.addCleanup(globalLogPublisher.removeObserver, self.events)

    def mode(self, mode: str) -> None:
        """The carrier's side has it."""
        self.net = CallNet()
        self.net.carrier.side.mediaPath = MediaPath(srtp=mode)

    def warned(self) -> int:
        """How often the log has said that a call is in clear."""
        return sum("heard in clear" in (formatEvent(event) or "") for event in self.events)

    def test_outbound(self) -> None:
        """A call of the PBX is answered with and without keys."""
        for mode, answer, secure in (
            (OPPORTUNISTIC, AVP, True),
            (OPPORTUNISTIC, PCMA, False),
            (OFF, PCMA, False),
        ):
            self.mode(mode)
            before = self.warned()
            _, far = self.net.outboundCall(answer=sdp(answer, "203.0.113.9"))
            line = audio(far.body)
            self.assertEqual((line.protocol, bool(line.crypto)), ("RTP/AVP", mode == OPPORTUNISTIC))
            self.assertEqual([leg.session.secure for leg in self.legs()], [False, secure])
            self.assertEqual(self.warned() - before, not secure)

    def test_inbound(self) -> None:
        """A call of the carrier; what cannot be taken gets 488 and rings nowhere."""
        for mode, offer, secure in (
            (OPPORTUNISTIC, SAVP, True),
            (OPPORTUNISTIC, AVP, True),
            (OPPORTUNISTIC, PCMA, False),
            (OFF, PCMA, False),
            (OFF, AVP, False),
            (OFF, SAVP, None),
        ):
            self.mode(mode)
            body = sdp(offer, "203.0.113.9")
            near = self.net.carrier.invite("sip:account@198.51.100.2:40000;transport=tls", body)
            if secure is None:
                self.net.carrier.ackRefusal(488)
                self.assertEqual(self.net.pbx.got(), [])
                continue
            self.net.pbx.answers(self.net.pbx.request("INVITE"), 200, sdp())
            response = self.net.carrier.response(200)
            self.net.carrier.ack(near, response)
            self.assertEqual(suites(audio(response.body)), [LONG] if secure else [])
            self.assertEqual([leg.session.secure for leg in self.legs()], [secure, False])

    def test_required(self) -> None:
        """Where SRTP is required neither an offer in clear nor one that leaves the choice is taken."""
        for offer in (PCMA, AVP):
            self.net.carrier.invite("sip:account@198.51.100.2:40000;transport=tls", sdp(offer))
            self.net.carrier.ackRefusal(488)
            self.assertEqual(self.net.pbx.got(), [])

    def refusals(self, *answers: tuple[int, str]) -> list[str]:
        """
        What one call offers the carrier that answers so, with a Warning: C{RTP/SAVP}, with the number of
        its keys.
        """
        self.net.pbx.invite("sip:+4420@198.51.100.1", sdp())
        self.offers: list[Request] = []
        for status, warning in answers:
            self.offers.append(self.net.carrier.request("INVITE"))
            headers = [("Warning", f'{warning} carrier "none"')] if warning else []
            self.net.carrier.answers(self.offers[-1], status, headers=headers)
        self.assertEqual(self.net.carrier.got().count("INVITE"), len(answers))
        lines = [audio(each.body) for each in self.offers]
        return [f"{line.protocol} {len(line.crypto)}" for line in lines]

    def test_otherOffers(self) -> None:
        """
        An opportunistic offer that is refused is followed by one that wants SRTP, and then by one without:
        each is a call of its own, with keys and ports of its own.  At last the refusal crosses.
        """
        for status, crosses in ((415, 502), (488, 488), (606, 606)):
            self.mode(OPPORTUNISTIC)
            self.assertEqual(
                self.refusals((status, ""), (status, "304"), (status, "399")),
                ["RTP/AVP 2", "RTP/SAVP 2", "RTP/AVP 0"],
            )
            keys = [value.split()[2] for each in self.offers for value in audio(each.body).crypto]
            self.assertEqual(len(set(keys)), 4)
            self.assertEqual(len({each.callID for each in self.offers}), 3)
            self.assertEqual(len({audio(each.body).port for each in self.offers}), 3)
            self.net.pbx.ackRefusal(crosses)
            self.net.settle()
            self.assertEqual(sum(self.net.leftovers().values()), 0, self.net.leftovers())

    def test_taken(self) -> None:
        """The second or third offer is taken; nothing below what it offers is an answer to it."""
        for refused, answer, secure in (
            (1, SAVP, True),
            (2, PCMA, False),
            (1, PCMA, None),
        ):
            self.mode(OPPORTUNISTIC)
            before = self.warned()
            near = self.net.pbx.invite("sip:+4420@198.51.100.1", sdp())
            for _ in range(refused):
                self.net.carrier.answers(self.net.carrier.request("INVITE"), 488)
            self.net.carrier.answers(self.net.carrier.request("INVITE"), 200, sdp(answer, "203.0.113.9"))
            if secure is None:
                self.net.pbx.ackRefusal(488)
                self.assertEqual(self.net.carrier.got()[-2:], ["ACK", "BYE"])
                continue
            self.net.pbx.ack(near, self.net.pbx.response(200))
            self.assertEqual(self.legs()[1].session.secure, secure)
            self.assertEqual(self.warned() - before, not secure)

    def test_noOtherOffer(self) -> None:
        """
        None follows where SRTP is required, or is off; nor a refusal that speaks of the call, of codecs or
        addresses; nor an INVITE without an offer.
        """
        for mode, status, warning, offer in (
            (REQUIRED, 488, "", "RTP/SAVP 2"),
            (REQUIRED, 606, "302", "RTP/SAVP 2"),
            (OFF, 488, "302", "RTP/AVP 0"),
            (OPPORTUNISTIC, 488, "305", "RTP/AVP 2"),
            (OPPORTUNISTIC, 606, "301", "RTP/AVP 2"),
            (OPPORTUNISTIC, 486, "", "RTP/AVP 2"),
            (OPPORTUNISTIC, 503, "", "RTP/AVP 2"),
            (OPPORTUNISTIC, 603, "302", "RTP/AVP 2"),
        ):
            self.mode(mode)
            self.assertEqual(self.refusals((status, warning)), [offer])
        self.mode(OPPORTUNISTIC)
        self.net.pbx.invite("sip:+4420@198.51.100.1", b"")
        self.net.carrier.answers(self.net.carrier.request("INVITE"), 488)
        self.assertEqual(self.net.carrier.got(), ["INVITE", "ACK"])
        self.net.pbx.ackRefusal(488)

    def test_early(self) -> None:
        """
        A branch that had early media with SRTP is held to it, be it in another provisional answer or in the
        final one; another branch may have none.
        """
        for status, tag, secure in ((183, "far", True), (200, "far", None), (200, "other", False)):
            self.mode(OPPORTUNISTIC)
            near = self.net.pbx.invite("sip:+4420@198.51.100.1", sdp())
            far = self.net.carrier.request("INVITE")
            self.net.carrier.answers(far, 183, sdp(AVP, "203.0.113.9"))
            self.net.carrier.answers(far, status, sdp(PCMA, "203.0.113.9"), tag=tag)
            if secure is None:
                self.net.pbx.ackRefusal(488)
                self.assertEqual(self.net.carrier.got()[-2:], ["ACK", "BYE"])
                continue
            if status == 183:
                self.assertTrue(self.legs()[1].session.secure)
                self.net.carrier.answers(far, 200, sdp(AVP, "203.0.113.9"))
            self.net.pbx.ack(near, self.net.pbx.response(200))
            self.assertEqual(self.legs()[1].session.secure, secure)

    def test_refusedWithin(self) -> None:
        """A re-INVITE that is refused is not tried in another form: what stands stands."""
        self.mode(OPPORTUNISTIC)
        near = self.net.pbx.invite("sip:+4420@198.51.100.1", sdp())
        self.net.carrier.answers(self.net.carrier.request("INVITE"), 200, sdp(AVP, "203.0.113.9"))
        accepted = self.net.pbx.response(200)
        self.net.pbx.ack(near, accepted)
        self.net.pbx.within(near, accepted, "INVITE", 2, sdp(PCMA + "a=sendonly\r\n", version=2))
        hold = self.net.carrier.request("INVITE")
        self.net.carrier.got()
        self.net.carrier.answers(hold, 488)
        self.net.pbx.ackRefusal(488)
        self.assertEqual(self.net.carrier.got(), ["ACK"])
        self.assertTrue(self.legs()[1].session.secure)

    def test_reinvite(self) -> None:
        """A re-INVITE to RTP in clear is refused, and the call goes on as it was."""
        self.mode(OPPORTUNISTIC)
        _, far = self.net.outboundCall(answer=sdp(AVP, "203.0.113.9"))
        events = list(self.legs()[1].session.media.events)  # type: ignore[attr-defined]
        self.net.carrier.got()
        self.net.pbx.got()
        self.net.carrier.back(far, "INVITE", 1, body=sdp(PCMA, "203.0.113.9", 2))
        self.net.carrier.ackRefusal(488)
        self.assertEqual(self.net.pbx.got(), [])
        self.assertEqual(self.legs()[1].session.media.events, events)  # type: ignore[attr-defined]
        self.assertTrue(self.legs()[1].session.secure)

    def test_answeredInClearLater(self) -> None:
        """Hold by the PBX that the carrier answers in clear: the call ends."""
        self.mode(OPPORTUNISTIC)
        near = self.net.pbx.invite("sip:+4420@198.51.100.1", sdp())
        self.net.carrier.answers(self.net.carrier.request("INVITE"), 200, sdp(AVP, "203.0.113.9"))
        accepted = self.net.pbx.response(200)
        self.net.pbx.ack(near, accepted)
        self.net.carrier.got()
        self.net.pbx.within(near, accepted, "INVITE", 2, sdp(PCMA + "a=sendonly\r\n", version=2))
        hold = self.net.carrier.request("INVITE")
        self.assertEqual(suites(audio(hold.body)), [LONG])
        self.net.carrier.answers(hold, 200, sdp(PCMA + "a=recvonly\r\n", "203.0.113.9", 2))
        self.assertEqual(self.net.carrier.got()[-2:], ["ACK", "BYE"])

    def test_otherKey(self) -> None:
        """A peer may change its key under RTP/AVP as under RTP/SAVP."""
        self.mode(OPPORTUNISTIC)
        _, far = self.net.outboundCall(answer=sdp(AVP, "203.0.113.9"))
        body = sdp(AVP.replace(KEY, OTHER_KEY), "203.0.113.9", 2)
        self.net.carrier.back(far, "INVITE", 1, body=body)
        self.net.pbx.answers(self.net.pbx.request("INVITE"), 200, sdp(version=2))
        self.assertEqual(suites(audio(self.net.carrier.response(200).body)), [LONG])
        media = self.legs()[1].session.media
        self.assertEqual(sum(event[0] == "remote key" for event in media.events), 2)  # type: ignore[attr-defined]

    def legs(self) -> tuple[Leg, ...]:
        """Those of the one call."""
        (bridge,) = self.net.manager._bridges
        return bridge.legs
