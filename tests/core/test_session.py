"""Tests of L{skypetrunk.core.session}."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.crypto_attributes import CryptoAttributes
from skypetrunk.core.keys import SecurityDescriptions
from skypetrunk.core.session import AudioStream, Session
from skypetrunk.errors import KeyAgreementFailed, MalformedSDP, RemoteError
from skypetrunk.interfaces import MediaAddress
from skypetrunk.wire.offer_answer import brokenRules
from skypetrunk.wire.sdes import SUITES, parseCrypto
from skypetrunk.wire.sdp import MediaDescription, SessionDescription, parseSDP
from tests.core.callnet import KEY, OTHER_KEY, PCMA, SAVP, CallNet, RecordingMediaLeg, sdp
from tests.core.test_keys import LONG, SHORT, countingEntropy
from tests.wire.vectors import checkAgainst, readJSON, readLines

MAPS = (("rtpmap", "8 PCMA/8000"), ("rtpmap", "101 telephone-event/8000"))
STREAM = AudioStream(("8", "101"), MAPS, "sendrecv")


def session(secure: bool, suites: Sequence[str] = (LONG, SHORT)) -> tuple[Session, RecordingMediaLeg]:
    """A session, and the media leg that it settles."""
    entropy = countingEntropy()
    media = RecordingMediaLeg("leg", secure, 20000)
    keys = CryptoAttributes(SecurityDescriptions(suites, entropy)) if secure else None
    return Session(media, keys, entropy), media


def audio(body: bytes) -> MediaDescription:
    """The one line of a description whose port is not 0."""
    (line,) = [each for each in parseSDP(body).media if each.port]
    return line


class VectorTests(SynchronousTestCase):
    """The answers, malformed offers and exchanges of C{tests/vectors/sdp}."""

    exceptions: dict[str, str] = readJSON("sdp/exceptions.json")["offer_answer"]

    def test_answers(self) -> None:
        """Each offer gets the answer that is given, or the status."""

        def results() -> Iterator[tuple[str, str | None]]:
            for vector in readLines("sdp/offer_answer.jsonl"):
                if vector["kind"] == "answer":
                    yield vector["id"], self.problem(vector)

        checkAgainst(self, self.exceptions, results())

    def problem(self, vector: dict[str, Any]) -> str | None:
        """What is wrong with our answer to C{vector}, or C{None}."""
        static = {"PCMU/8000": " 0", "PCMA/8000": " 8"}
        lines = [line for line in vector["offer"].splitlines() if line.startswith(("m=", "a=rtpmap:"))]
        codecs = vector["answerer"]["codecs"]
        if not any(
            each in line for line in lines for codec in codecs for each in (codec, static.get(codec, codec))
        ):
            return self.problemAcross(vector)
        ours, _ = session(True, vector["answerer"]["suites"])
        accepted = any(line["accepted"] for line in vector["answer_must"])
        try:
            stream = ours.offerReceived(vector["offer"].encode())
            answer = parseSDP(ours.makeAnswer(replace(stream, direction="sendrecv")))
        except RemoteError as error:
            wanted = vector.get("sip_status", error.status)
            return None if not accepted and error.status == wanted else f"{error.status} {error}"
        broken = brokenRules(parseSDP(vector["offer"].encode()), answer)
        if broken or len(answer.media) != len(vector["answer_must"]):
            return f"breaks {broken}"
        for line, must in zip(answer.media, vector["answer_must"], strict=True):
            trouble = self.lineProblem(line, must)
            if trouble:
                return trouble
        return None

    def problemAcross(self, vector: dict[str, Any]) -> str | None:
        """The same where the codecs decide, which are those of the PBX: on a whole call."""
        net = CallNet()
        net.carrier.invite("sip:account@198.51.100.2:40000;transport=tls", vector["offer"].encode())
        offered = parseSDP(net.pbx.request("INVITE").body).media
        if [line.formats for line in offered] != [parseSDP(vector["offer"].encode()).media[0].formats]:
            return f"the PBX is offered {offered}"
        net.pbx.answers(net.pbx.request("INVITE"), 488)
        seen = net.carrier.got()[-1]
        return None if seen == vector["sip_status"] and not net.plane.open else f"{seen} instead"

    def lineProblem(self, line: MediaDescription, must: dict[str, Any]) -> str:
        """What is wrong with one line of an answer."""
        if bool(line.port) != must["accepted"]:
            return f"{line} instead of accepted={must['accepted']}"
        if not must["accepted"]:
            return ""
        crypto = parseCrypto(line.crypto[0])
        seen = {
            "proto": line.protocol,
            "crypto": {"tag": crypto.tag, "suite": crypto.suite},
            "formats": list(line.formats),
        }
        for name, value in seen.items():
            if must.get(name, value) != value:
                return f"{name} {value} instead of {must[name]}"
        if line.direction not in must.get("direction_in", [line.direction]):
            return f"direction {line.direction}"
        return ""

    def test_malformed(self) -> None:
        """What is no session description gets one of the statuses given, on both kinds of legs."""
        for vector in readLines("sdp/offer_answer.jsonl"):
            if vector["kind"] == "malformed":
                for secure in (True, False):
                    ours, media = session(secure)
                    failure = self.assertRaises(RemoteError, ours.offerReceived, vector["offer"].encode())
                    self.assertIn(failure.status, vector["sip_status_in"])
                    self.assertEqual(media.events, [])

    def test_exchanges(self) -> None:
        """
        Alice's offers of RFC 3264 and RFC 4317 are answered as these allow, with a line for each line;
        our own offers in between have all lines that were ever there.
        """
        for group in readJSON("sdp/exchanges.json")["exchanges"]:
            ours, _ = session(False)
            for exchange in group["exchanges"]:
                if exchange["offer_by"] != "alice":
                    continue
                offer = named(exchange["offer"])
                stream = ours.offerReceived(offer)
                answer = parseSDP(ours.makeAnswer(stream))
                ours.answerSent()
                self.assertEqual(brokenRules(parseSDP(offer), answer), (), group["id"])
                self.assertEqual(len([line for line in answer.media if line.port]), 1, group["id"])
                again = parseSDP(ours.makeOffer(stream))
                self.assertEqual([line.kind for line in again.media], [line.kind for line in answer.media])
                ours.forget()


def named(offer: str) -> bytes:
    """An offer of an RFC with a literal address, where it has a name."""
    for name in ("host.anywhere.com", "host.atlanta.example.com", "host.biloxi.example.com"):
        offer = offer.replace(name, "192.0.2.1")
    return offer.encode()


class OfferTests(SynchronousTestCase):
    """We offer."""

    def test_offer(self) -> None:
        """One audio line with our address and, on a secure leg, our keys."""
        for secure in (True, False):
            ours, _ = session(secure)
            offer = parseSDP(ours.makeOffer(STREAM))
            (line,) = offer.media
            self.assertEqual(line.protocol, "RTP/SAVP" if secure else "RTP/AVP")
            self.assertEqual(len(line.crypto), 2 if secure else 0)
            self.assertEqual((line.port, line.address, line.formats), (20000, "198.51.100.1", ("8", "101")))
            self.assertEqual(line.rtpmaps["101"], "telephone-event/8000")
            self.assertEqual((offer.origin.version, offer.origin.address), ("1", "198.51.100.1"))

    def test_rtcpElsewhere(self) -> None:
        """An RTCP port that is not the next one is said (RFC 3605)."""
        ours, media = session(False)
        media.address = MediaAddress("198.51.100.1", 20000, 30000)
        self.assertEqual(audio(ours.makeOffer(STREAM)).rtcpPort, 30000)

    def test_theirRTCPElsewhere(self) -> None:
        """The peer's RTCP may be at another port and host; a host that cannot be reached is passed over."""
        for said, remote in (
            ("7 IN IP4 192.0.2.99", MediaAddress("192.0.2.10", 4000, 7, "192.0.2.99")),
            ("7 IN IP4 192.0.2.10", MediaAddress("192.0.2.10", 4000, 7)),
            ("7", MediaAddress("192.0.2.10", 4000, 7)),
            ("7 IN IP6 2001:db8::1", MediaAddress("192.0.2.10", 4000, 7)),
            ("7 IN IP4 rtcp.example", MediaAddress("192.0.2.10", 4000, 7)),
        ):
            ours, media = session(False)
            ours.offerReceived(sdp(f"{PCMA}a=rtcp:{said}\r\n"))
            ours.makeAnswer(STREAM)
            self.assertEqual(media.last("remote"), remote)

    def test_onePort(self) -> None:
        """
        RTP and RTCP over one port where the peer offers it (RFC 5761 section 5.1.1): our later offers say so,
        until it no longer does.
        """
        for secure in (True, False):
            ours, media = session(secure)
            line, host, port = (SAVP, "203.0.113.9", 6000) if secure else (PCMA, "192.0.2.10", 4000)
            together, apart = MediaAddress(host, port, port), MediaAddress(host, port, port + 1)
            both = f"{line}a=rtcp-mux\r\na=rtcp:7 IN IP4 192.0.2.99\r\n"
            self.assertFalse(audio(ours.makeOffer(STREAM)).has("rtcp-mux"))
            # Nobody offered it.
            ours.answerReceived(sdp(f"{line}a=rtcp-mux\r\n", host))
            ours.answered()
            self.assertEqual(media.last("remote"), apart)
            ours.offerReceived(sdp(both, host))
            self.assertTrue(audio(ours.makeAnswer(STREAM)).has("rtcp-mux"))
            ours.answerSent()
            self.assertEqual(media.last("remote"), together)
            for again in (ours.repeatOffer, lambda ours=ours: ours.makeOffer(STREAM)):
                self.assertTrue(audio(again()).has("rtcp-mux"))
                ours.answerReceived(sdp(both, host))
                ours.answered()
                self.assertEqual(media.last("remote"), together)
            ours.makeOffer(STREAM)
            ours.answerReceived(sdp(line, host))
            ours.answered()
            self.assertEqual(media.last("remote"), apart)
            self.assertFalse(audio(ours.makeOffer(STREAM)).has("rtcp-mux"))
            ours.forget()
            ours.offerReceived(sdp(both, host))
            ours.makeAnswer(STREAM)
            ours.answerSent()
            ours.offerReceived(sdp(line, host))
            self.assertFalse(audio(ours.makeAnswer(STREAM)).has("rtcp-mux"))
            self.assertEqual(media.last("remote"), apart)

    def test_settled(self) -> None:
        """The answer says where the peer receives and which keys are used."""
        ours, media = session(True)
        line = parseCrypto(audio(ours.makeOffer(STREAM)).crypto[0])
        ours.answerReceived(sdp(SAVP, "203.0.113.9"))
        self.assertEqual(media.last("remote"), MediaAddress("203.0.113.9", 6000, 6001))
        self.assertEqual([event[2] for event in media.events if event[0] == "local"], [line.keys[0].master])

    def test_refusedAnswers(self) -> None:
        """What breaks the offer, or is in clear, is refused, and changes nothing."""
        short = SAVP.replace("_80", "_32")
        for body, error in (
            (sdp(PCMA), KeyAgreementFailed),
            (sdp(SAVP.replace("SAVP", "AVP")), KeyAgreementFailed),
            (sdp(SAVP.split("a=crypto")[0]), KeyAgreementFailed),
            (sdp(short), KeyAgreementFailed),
            (sdp(SAVP + f"a=crypto:2 {SHORT} {OTHER_KEY}\r\n"), KeyAgreementFailed),
            (sdp(SAVP.replace(" 6000 ", " 0 ")), MalformedSDP),
            (sdp(SAVP + "m=video 0 RTP/AVP 31\r\n"), MalformedSDP),
            (sdp(""), MalformedSDP),
            (sdp(SAVP.replace("audio", "image")), MalformedSDP),
            (sdp(SAVP, "media.example"), MalformedSDP),
            (b"", MalformedSDP),
        ):
            ours, media = session(True)
            ours.makeOffer(STREAM)
            failure = self.assertRaises(error, ours.answerReceived, body)
            self.assertEqual((failure.status, media.events), (488, []))
            # The right answer still counts.
            ours.answerReceived(sdp(SAVP))
            self.assertEqual(media.last("remote"), MediaAddress("192.0.2.10", 6000, 6001))

    def test_unasked(self) -> None:
        """An answer without an offer, or to one that is over or forgotten, is refused."""
        ours, _ = session(True)
        self.assertRaises(MalformedSDP, ours.answerReceived, sdp(SAVP))
        ours.makeOffer(STREAM)
        ours.answerReceived(sdp(SAVP))
        ours.answered()
        self.assertRaises(MalformedSDP, ours.answerReceived, sdp(SAVP))
        ours.makeOffer(STREAM)
        ours.forget()
        self.assertRaises(MalformedSDP, ours.answerReceived, sdp(SAVP))
        self.assertRaises(MalformedSDP, ours.makeAnswer, STREAM)

    def test_secondAnswer(self) -> None:
        """The 200 may say something else than the 183 did: the later one counts."""
        ours, media = session(True)
        ours.makeOffer(STREAM)
        ours.answerReceived(sdp(SAVP, "203.0.113.9"))
        ours.answerReceived(sdp(SAVP.replace(KEY, OTHER_KEY), "203.0.113.10"))
        self.assertEqual(media.last("remote"), MediaAddress("203.0.113.10", 6000, 6001))
        self.assertEqual(len({event[2] for event in media.events if event[0] == "remote key"}), 2)

    def test_directions(self) -> None:
        """An answer's direction is limited to what was offered (RFC 3264 section 6.1)."""
        for offered, given, taken, sending in (
            ("sendrecv", "sendrecv", "sendrecv", True),
            ("sendrecv", "sendonly", "sendonly", False),
            ("sendonly", "sendrecv", "recvonly", True),
            ("sendonly", "sendonly", "inactive", False),
            ("recvonly", "sendrecv", "sendonly", False),
            ("inactive", "sendrecv", "inactive", False),
        ):
            ours, media = session(False)
            ours.makeOffer(replace(STREAM, direction=offered))
            stream = ours.answerReceived(sdp(f"{PCMA}a={given}\r\n"))
            self.assertEqual((stream.direction, media.last("sending")), (taken, sending))

    def test_version(self) -> None:
        """The version goes up by one with each change, and only then (RFC 3264 section 8)."""
        ours, _ = session(False)
        streams = [STREAM, STREAM, replace(STREAM, direction="sendonly"), STREAM, STREAM]
        origins = [parseSDP(ours.makeOffer(stream)).origin for stream in streams]
        self.assertEqual([origin.version for origin in origins], ["1", "1", "2", "3", "3"])
        self.assertEqual(len({origin.sessionID for origin in origins}), 1)


class AnswerTests(SynchronousTestCase):
    """The peer offers."""

    def answer(self, secure: bool, media: str) -> SessionDescription:
        """Our answer to these lines."""
        ours, _ = session(secure)
        return parseSDP(ours.makeAnswer(ours.offerReceived(sdp(media))))

    def test_doubledLine(self) -> None:
        """A stream offered twice, secure and clear, in any order: each leg takes its own kind."""
        for lines in ((SAVP, PCMA), (PCMA, SAVP)):
            for secure, wanted in ((True, "RTP/SAVP"), (False, "RTP/AVP")):
                answer = self.answer(secure, "".join(lines))
                self.assertEqual([line.protocol for line in answer.media if line.port], [wanted])
                self.assertEqual(
                    [line.protocol for line in answer.media],
                    ["RTP/SAVP" if line == SAVP else "RTP/AVP" for line in lines],
                )

    def test_othersRefused(self) -> None:
        """Video, a second audio, fax and what nobody knows: port 0, each in its place."""
        video, second = "m=video 4002 RTP/AVP 31\r\n", "m=audio 4004 RTP/AVP 0\r\n"
        fax, odd = "m=image 4006 udptl t38\r\n", "m=x 9 TCP/y z\r\n"
        answer = self.answer(False, video + PCMA + second + fax + odd)
        self.assertEqual([bool(line.port) for line in answer.media], [False, True, False, False, False])
        kinds = ["video", "audio", "audio", "image", "x"]
        self.assertEqual([line.kind for line in answer.media], kinds)
        self.assertEqual(answer.media[3].formats, ("t38",))

    def test_slotsStay(self) -> None:
        """Our later offers keep every line that was there, with port 0, in its place (RFC 3264 section 8)."""
        ours, _ = session(False)
        stream = ours.offerReceived(sdp("m=video 4002 RTP/AVP 31\r\n" + PCMA))
        ours.makeAnswer(stream)
        ours.answerSent()
        offer = parseSDP(ours.makeOffer(stream))
        lines = [(line.kind, bool(line.port)) for line in offer.media]
        self.assertEqual(lines, [("video", False), ("audio", True)])
        ours.answerReceived(sdp("m=video 0 RTP/AVP 31\r\n" + PCMA))

    def test_lineInUse(self) -> None:
        """A later offer in which another line could be taken too stays with the line in use."""
        ours, _ = session(False)
        off = PCMA.replace("4000", "0")
        ours.makeAnswer(ours.offerReceived(sdp(off + PCMA)))
        ours.answerSent()
        answer = parseSDP(ours.makeAnswer(ours.offerReceived(sdp(PCMA + PCMA))))
        self.assertEqual([bool(line.port) for line in answer.media], [False, True])

    def test_forgotten(self) -> None:
        """An offer that comes to nothing leaves address, keys, suite and lines (RFC 3261 section 14.1)."""
        ours, media = session(True)
        stream = ours.offerReceived(sdp(SAVP))
        before = ours.makeAnswer(stream)
        ours.answerSent()
        events = list(media.events)
        ours.offerReceived(sdp("m=video 1 RTP/AVP 31\r\n" + SAVP.replace("_80", "_32"), "203.0.113.77"))
        ours.forget()
        self.assertEqual(media.events, events)
        offer = parseSDP(ours.makeOffer(stream))
        (line,) = offer.media
        self.assertEqual(line.crypto, audio(before).crypto)

    def test_refusedOffers(self) -> None:
        """No audio, all off, clear to a secure leg or the reverse, a host name, keys that cannot be read."""
        for secure, media, host in (
            (False, "m=video 4002 RTP/AVP 31\r\n", "192.0.2.1"),
            (False, PCMA.replace("4000", "0"), "192.0.2.1"),
            (False, "", "192.0.2.1"),
            (False, SAVP, "192.0.2.1"),
            (False, PCMA, "media.example"),
            (False, PCMA, "2001:db8::1"),
            (True, PCMA, "192.0.2.1"),
            (True, SAVP, "media.example"),
            (True, SAVP.replace("inline:", "outline:"), "192.0.2.1"),
            (True, SAVP.replace(KEY, "inline:short"), "192.0.2.1"),
            (True, "m=audio 9 UDP/TLS/RTP/SAVPF 8\r\na=fingerprint:sha-256 AA\r\n", "192.0.2.1"),
        ):
            ours, leg = session(secure)
            failure = self.assertRaises(RemoteError, ours.offerReceived, sdp(media, host))
            self.assertEqual((failure.status, leg.events), (488, []))
            self.assertNotIn("WVNf", str(failure))

    def test_hold(self) -> None:
        """0.0.0.0 is hold (RFC 3264 section 8.4): nothing is sent, the other side hears of a direction."""
        for given, wanted in (("sendrecv", "sendonly"), ("recvonly", "inactive"), ("inactive", "inactive")):
            ours, media = session(False)
            stream = ours.offerReceived(sdp(f"{PCMA}a={given}\r\n", "0.0.0.0"))
            self.assertEqual(stream.direction, wanted)
            ours.makeAnswer(replace(stream, direction="sendrecv"))
            self.assertIsNone(media.last("remote"))

    def test_answeredDirections(self) -> None:
        """Our answer's direction is limited by the offer, and says whether we send."""
        for offered, other, written, sending in (
            ("sendrecv", "sendrecv", "sendrecv", True),
            ("sendrecv", "recvonly", "recvonly", False),
            ("sendonly", "sendrecv", "recvonly", False),
            ("recvonly", "sendrecv", "sendonly", True),
            ("inactive", "sendonly", "inactive", False),
        ):
            ours, media = session(False)
            stream = ours.offerReceived(sdp(f"{PCMA}a={offered}\r\n"))
            line = audio(ours.makeAnswer(replace(stream, direction=other)))
            self.assertEqual((line.direction, media.last("sending")), (written, sending))

    def test_allowList(self) -> None:
        """Of the peer's lines nothing crosses but codecs, packet time and direction."""
        ours, _ = session(True)
        more = (
            "a=ptime:20\r\na=maxptime:40\r\na=fmtp:101 0-16\r\na=fmtp:96 x\r\na=rtpmap:96 X/8000\r\n"
            "a=rtcp-mux\r\na=ssrc:1 cname:x\r\na=candidate:1\r\na=rtcp:7 IN IP4 192.0.2.99\r\na=label:1\r\n"
        )
        stream = ours.offerReceived(sdp(SAVP + more))
        wanted = {("rtpmap", "8 PCMA/8000"), ("ptime", "20"), ("maxptime", "40"), ("fmtp", "101 0-16")}
        self.assertEqual(set(stream.attributes), wanted)
        self.assertNotIn("inline", repr(stream))

    def test_answeredAgain(self) -> None:
        """The answer of a 183 and that of its 200 have the same key and line; the key is told once."""
        ours, media = session(True)
        stream = ours.offerReceived(sdp(SAVP))
        one, other = audio(ours.makeAnswer(stream)), audio(ours.makeAnswer(stream))
        self.assertEqual(one.crypto, other.crypto)
        self.assertEqual(len({event[2] for event in media.events if event[0] == "local"}), 1)

    def test_everySuiteIsMade(self) -> None:
        """Our line of each suite has a key of its length."""
        for suite in SUITES:
            ours, _ = session(True, [suite])
            self.assertEqual(parseCrypto(audio(ours.makeOffer(STREAM)).crypto[0]).suite, suite)
