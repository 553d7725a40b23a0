"""
The patterns and rules of C{tests/vectors/sdp/exchanges.json}: which messages carry offer and answer (RFC
6337), and what is done where they meet, come late or are refused.  Each is a test, named after it.
"""

from __future__ import annotations

from typing import Any

from skypetrunk.interfaces import MediaAddress
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.sdes import parseCrypto
from skypetrunk.wire.sdp import parseSDP
from tests.core.callnet import KEY, OTHER_KEY, RecordingMediaLeg, sdp
from tests.core.races import Race
from tests.core.test_session_timer import ackOf
from tests.wire.vectors import readJSON

REQUIRED = ("Require", "100rel")
ALLOW = ("Allow", "INVITE, ACK, CANCEL, BYE, PRACK, UPDATE")


class OfferAnswer(Race):
    """The PBX calls a carrier; what the carrier offers and answers is what the rules are about."""

    def test_all(self) -> None:
        """Every pattern and every rule of the vectors has its test here."""
        vectors = readJSON("sdp/exchanges.json")
        wanted = {f"test_pattern_{pattern['n']}" for pattern in vectors["patterns"]["list"]}
        wanted |= {f"test_rule_{rule['id'].replace('-', '_')}" for rule in vectors["signalling"]}
        found = {name for name in dir(self) if name.startswith(("test_pattern_", "test_rule_"))}
        self.assertEqual(found, wanted)

    @property
    def media(self) -> RecordingMediaLeg:
        """The media leg of the carrier."""
        return self.net.plane.legs[1]

    def carrierSDP(self, version: int = 1, port: int = 6000, key: str = KEY) -> bytes:
        """A description of the carrier."""
        body = self.description(self.callee, version).decode()
        return body.replace("m=audio 6000", f"m=audio {port}").replace(KEY, key).encode()

    def assertCrypto(self, body: bytes) -> None:
        """It is one stream of SRTP, at the port that we have, with the key that we send with."""
        (line,) = parseSDP(body).media
        self.assertEqual((line.protocol, line.port), ("RTP/SAVP", self.media.address.port))
        keys = [parseCrypto(each).keys[0].master for each in line.crypto]
        self.assertIn(self.localKey(), keys)

    def localKey(self) -> object:
        """The key that we send with."""
        return [event[2] for event in self.media.events if event[0] == "local"][-1]

    def context(self) -> set[tuple[object, ...]]:
        """Addresses and keys of both sides, each that ever was."""
        return {event for event in self.media.events if event[0] in ("remote", "local", "remote key")}

    def remoteKeys(self) -> list[object]:
        """The carrier's keys, as the media leg was told of them."""
        return [event[2] for event in self.media.events if event[0] == "remote key"]

    def standing(self, *headers: tuple[str, str]) -> tuple[Request, Response, Request]:
        """An answered call."""
        near, far = self.call()
        self.callee.answers(far, 200, self.carrierSDP(), headers=headers)
        accepted = self.caller.response(200)
        self.caller.ack(near, accepted)
        self.caller.got()
        self.callee.got()
        return near, accepted, far

    # RFC 6337, table 1

    def test_pattern_1(self) -> None:
        """Offer in INVITE, answer in its 2xx."""
        _, accepted, far = self.standing()
        self.assertCrypto(far.body)
        self.assertEqual(parseSDP(accepted.body).media[0].protocol, "RTP/AVP")

    def test_pattern_2(self) -> None:
        """Offer in the 2xx, answer in the ACK."""
        near, far = self.call(b"")
        self.assertEqual(far.body, b"")
        self.callee.answers(far, 200, self.carrierSDP())
        offered = self.caller.response(200)
        self.assertTrue(offered.body)
        self.caller.ack(near, offered, self.description(self.caller))
        self.assertCrypto(self.callee.request("ACK").body)

    def test_pattern_3(self) -> None:
        """Offer in INVITE, answer in a reliable 1xx: the 2xx needs none."""
        near, far = self.call()
        self.callee.answers(far, 183, self.carrierSDP(), headers=[REQUIRED, ("RSeq", "1")])
        self.callee.answers(self.callee.request("PRACK"), 200)
        self.callee.answers(far, 200)
        accepted = self.caller.response(200)
        self.assertEqual(accepted.body, self.caller.response(183).body)
        self.caller.ack(near, accepted)
        self.assertEqual(self.callee.request("ACK").body, b"")

    def test_pattern_4(self) -> None:
        """Offer in a reliable 1xx, answer in PRACK: avoided, as it would have to wait for the PBX."""
        _, far = self.call(b"")
        self.assertNotIn("100rel", far.values("Supported"))
        self.callee.answers(far, 486)
        self.caller.ackRefusal(486)
        self.caller.invite("sip:+4420@198.51.100.1", b"", [REQUIRED])
        self.callee.answers(self.callee.request("INVITE"), 183, self.carrierSDP())
        self.assertEqual(self.caller.got()[-1], 100)

    def test_pattern_5(self) -> None:
        """Offer in PRACK, answer in its 2xx."""
        near = self.caller.invite("sip:+4420@198.51.100.1", sdp(), [REQUIRED])
        far = self.callee.request("INVITE")
        self.callee.answers(far, 183, self.carrierSDP())
        early = self.caller.response(183)
        rack = [("RAck", f"{early.header('RSeq')} 1 INVITE")]
        self.caller.within(near, early, "PRACK", 2, self.description(self.caller, 2), rack)
        answer = self.caller.response(200)
        self.assertEqual((answer.cseq.method, len(parseSDP(answer.body).media)), ("PRACK", 1))
        self.callee.answers(far, 200, self.carrierSDP())
        self.caller.ack(near, [each for each in self.caller.channel.responses if each.status == 200][-1])

    def test_pattern_6(self) -> None:
        """Offer in UPDATE, answer in its 2xx: across the call."""
        near, accepted, _ = self.standing(ALLOW)
        self.caller.within(near, accepted, "UPDATE", 2, self.description(self.caller, 2, "a=sendonly\r\n"))
        offered = self.callee.request("UPDATE")
        self.assertCrypto(offered.body)
        self.callee.answers(offered, 200, self.carrierSDP(2).replace(b"a=crypto", b"a=recvonly\r\na=crypto"))
        self.assertEqual(parseSDP(self.caller.response(200).body).media[0].direction, "recvonly")

    # The rules

    def test_rule_unreliable_18x(self) -> None:
        """A preview: its keys and address serve early media; the 2xx that says the same changes nothing."""
        near, far = self.call()
        self.callee.answers(far, 183, self.carrierSDP())
        self.assertEqual(self.media.last("remote"), MediaAddress("203.0.113.9", 6000, 6001))
        self.assertEqual(len(set(self.remoteKeys())), 1)
        before = self.context()
        self.callee.answers(far, 200, self.carrierSDP())
        self.assertEqual(self.context(), before)
        self.assertEqual(self.caller.response(200).body, self.caller.response(183).body)
        self.caller.ack(near, self.caller.response(200))

    def test_rule_200_differs_from_183(self) -> None:
        """A gateway whose 200 says something else: the call stands, and the PBX has one description."""
        near, far = self.call()
        self.callee.answers(far, 183, self.carrierSDP())
        self.callee.answers(far, 200, self.carrierSDP(2, 7000, OTHER_KEY))
        self.assertEqual(self.callee.got()[-1], "ACK")
        self.assertEqual(self.caller.response(200).body, self.caller.response(183).body)
        self.caller.ack(near, self.caller.response(200))
        self.assertEqual(self.net.manager.callCount(), 1)
        self.assertEqual(self.callee.got(), [])

    def test_rule_forked_183(self) -> None:
        """Each branch has an answer and a key of its own; that of the branch that answers is kept."""
        near, far = self.call()
        self.callee.answers(far, 183, self.carrierSDP(), "one")
        self.callee.answers(far, 183, self.carrierSDP(1, 7000, OTHER_KEY), "two")
        self.callee.answers(far, 200, self.carrierSDP(), "one")
        self.assertEqual(self.media.last("remote"), MediaAddress("203.0.113.9", 6000, 6001))
        one, two = dict.fromkeys(self.remoteKeys())
        self.assertEqual(self.remoteKeys()[-1], one)
        self.assertNotEqual(one, two)
        self.caller.ack(near, self.caller.response(200))

    def test_rule_offer_while_offer_outstanding_same_side(self) -> None:
        """A second INVITE before the first was answered: 500 with Retry-After from 0 to 10 seconds."""
        _, _, far = self.standing()
        self.callee.back(far, "INVITE", 1, body=self.carrierSDP(2))
        self.callee.back(far, "INVITE", 2, body=self.carrierSDP(3))
        again = self.callee.response(500)
        self.assertEqual(again.cseq.number, 2)
        self.assertIn(int(again.header("Retry-After") or -1), range(11))

    def test_rule_glare_reinvite(self) -> None:
        """Theirs while ours is pending: 491.  491 to ours: again after 2.1 to 4 s, as the Call-ID is ours."""
        near, accepted, far = self.standing(("Session-Expires", "1800;refresher=uac"))
        self.net.clock.advance(900)
        ours = self.callee.request("INVITE")
        self.callee.back(far, "INVITE", 1, body=self.carrierSDP(2))
        self.callee.ackRefusal(491)
        self.callee.answers(ours, 491)
        self.callee.got()
        self.net.clock.advance(2.09)
        self.assertEqual(self.callee.got(), [])
        self.net.clock.advance(1.92)
        self.assertEqual(self.callee.got(), ["INVITE"])

    def test_rule_glare_update(self) -> None:
        """UPDATE with an offer while ours is out: 491; while we owe an answer: 500 with Retry-After."""
        near, accepted, far = self.standing(ALLOW)
        self.caller.within(near, accepted, "INVITE", 2, self.description(self.caller, 2))
        self.callee.back(far, "UPDATE", 1, body=self.carrierSDP(2))
        self.assertEqual(self.callee.response(491).cseq.method, "UPDATE")
        self.callee.answers(self.callee.request("INVITE"), 488)
        self.caller.ackRefusal(488)
        self.callee.back(far, "UPDATE", 2, body=self.carrierSDP(3))
        self.callee.back(far, "UPDATE", 3, body=self.carrierSDP(4))
        again = self.callee.response(500)
        self.assertEqual(again.cseq.number, 3)
        self.assertIn(int(again.header("Retry-After") or -1), range(11))

    def test_rule_reinvite_488(self) -> None:
        """A refused re-INVITE leaves everything as it was, keys included: in both directions."""
        near, accepted, far = self.standing()
        before = list(self.media.events)
        self.caller.within(near, accepted, "INVITE", 2, self.description(self.caller, 2, "a=sendonly\r\n"))
        self.callee.answers(self.callee.request("INVITE"), 488)
        self.caller.ackRefusal(488)
        self.callee.back(far, "INVITE", 1, body=self.carrierSDP(2, 7000, OTHER_KEY))
        self.caller.answers(self.caller.request("INVITE"), 488)
        self.callee.ackRefusal(488)
        self.assertEqual(self.media.last("remote"), MediaAddress("203.0.113.9", 6000, 6001))
        self.assertEqual(set(self.media.events), set(before))

    def test_rule_reinvite_481_408(self) -> None:
        """481 or 408 to a re-INVITE ends the call."""
        for status in (481, 408):
            near, accepted, _ = self.standing()
            self.caller.within(near, accepted, "INVITE", 2, self.description(self.caller, 2))
            self.callee.answers(self.callee.request("INVITE"), status)
            self.assertEqual(self.callee.got()[-1], "BYE", status)
            self.assertIn("BYE", self.caller.got())
            self.net.settle()

    def test_rule_reinvite_no_sdp(self) -> None:
        """The 2xx carries an offer with the same line and our key, the ACK the answer."""
        _, _, far = self.standing()
        asked = self.callee.back(far, "INVITE", 1)
        self.caller.answers(self.caller.request("INVITE"), 200, self.description(self.caller, 2))
        offered = self.callee.response(200)
        self.assertCrypto(offered.body)
        self.assertEqual(len(parseSDP(offered.body).media), len(parseSDP(far.body).media))
        body = self.carrierSDP(2)
        self.callee.says(ackOf(asked).withBody(body, "application/sdp"))
        self.assertEqual(len(parseSDP(self.caller.request("ACK").body).media), 1)

    def test_rule_ack_without_answer(self) -> None:
        """The 2xx held an offer and the ACK nothing: the call has no session, BYE."""
        near, far = self.call(b"")
        self.callee.answers(far, 200, self.carrierSDP())
        self.caller.ack(near, self.caller.response(200))
        self.assertEqual(self.caller.got()[-1], "BYE")
        self.assertEqual(self.callee.got()[-1], "BYE")

    def test_rule_same_sdp_session_refresh(self) -> None:
        """The same version: nothing of the session changes, no context is made anew, nothing crosses."""
        _, _, far = self.standing(("Session-Expires", "1800;refresher=uas"))
        before = self.context()
        headers = [("Session-Expires", "1800;refresher=uac"), ("Supported", "timer")]
        bodies = []
        for number in (1, 2):
            asked = self.callee.back(far, "INVITE", number, body=self.carrierSDP(), headers=headers)
            bodies.append(self.callee.response(200).body)
            self.callee.says(ackOf(asked))
            self.assertCrypto(bodies[0])
        self.assertEqual(bodies[0], bodies[1])
        self.assertEqual(self.context(), before)
        self.assertEqual(self.caller.got(), [])

    def reinvited(self, body: bytes) -> Response:  # type: ignore[override]
        """A re-INVITE of the carrier that the PBX accepts: our answer."""
        _, _, far = self.standing()
        asked = self.callee.back(far, "INVITE", 1, body=body)
        self.caller.answers(self.caller.request("INVITE"), 200, self.description(self.caller, 2))
        answer = self.callee.response(200)
        self.callee.says(ackOf(asked))
        return answer

    def test_rule_new_key_same_port(self) -> None:
        """A new key of the carrier's: the media leg is told of it, and of nothing else; ours stays."""
        answer = self.reinvited(self.carrierSDP(2, key=OTHER_KEY))
        first, second = dict.fromkeys(self.remoteKeys())
        self.assertNotEqual(first, second)
        self.assertEqual(self.media.last("remote"), MediaAddress("203.0.113.9", 6000, 6001))
        self.assertCrypto(answer.body)
        self.assertEqual(len({event[2] for event in self.media.events if event[0] == "local"}), 1)

    def test_rule_new_port_needs_new_key(self) -> None:
        """A carrier that moves and keeps its key: its context stays.  Our own port never moves."""
        answer = self.reinvited(self.carrierSDP(2, port=7000))
        self.assertEqual(self.media.last("remote"), MediaAddress("203.0.113.9", 7000, 7001))
        self.assertEqual(len(set(self.remoteKeys())), 1)
        self.assertCrypto(answer.body)

    def test_rule_key_per_direction(self) -> None:
        """We send with the key in our description and receive with the one in theirs."""
        _, _, far = self.standing()
        theirs: Any = parseCrypto(f"1 AES_CM_128_HMAC_SHA1_80 {KEY}")
        self.assertEqual(self.remoteKeys()[-1], theirs.keys[0].master)
        self.assertCrypto(far.body)
        self.assertNotEqual(self.localKey(), theirs.keys[0].master)
