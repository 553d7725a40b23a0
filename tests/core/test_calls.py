"""Calls across the bridge: set up, answered, refused, changed and ended from either side."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skypetrunk.errors import CallRefused
from skypetrunk.interfaces import (
    DeclaredKeys,
    IDialogManager,
    IDialogObserver,
    IMediaLeg,
    IMediaPlane,
    MediaAddress,
)
from skypetrunk.wire.sdes import parseCrypto
from skypetrunk.wire.sdp import parseSDP
from tests.core.callnet import KEY, OTHER_KEY, PCMA, SAVP, CallNet, Observer, RecordingMediaPlane, sdp


class DoublesTests(SynchronousTestCase):
    """The doubles are what they stand for."""

    def test_interfaces(self) -> None:
        """Each provides its interface."""
        plane = RecordingMediaPlane()
        verifyObject(IMediaPlane, plane)
        verifyObject(IMediaLeg, plane.allocate("leg", True))
        verifyObject(IDialogObserver, Observer())
        verifyObject(IDialogManager, CallNet().manager)


class CallTests(SynchronousTestCase):
    """The usual life of a call, in both directions, over UDP and TCP on the PBX side."""

    def assertNothingLeft(self, net: CallNet) -> None:
        """After all timers ran out, nothing of any call exists."""
        net.settle()
        self.assertEqual(set(net.leftovers().values()), {0}, net.leftovers())

    def test_outbound(self) -> None:
        """INVITE, 180, 200, ACK and BYE of the PBX cross to the carrier, each leg with its own dialog."""
        for transport in ("udp", "tcp"):
            net = CallNet(transport)
            near = net.pbx.invite("sip:+4420@198.51.100.1", sdp())
            self.assertEqual(net.pbx.got(), [100])
            far = net.carrier.request("INVITE")
            self.assertEqual(far.uri, "sip:+4420@carrier.example")
            self.assertEqual(str(far.toAddress.uri), "sip:+4420@carrier.example")
            self.assertEqual(str(far.fromAddress.uri), "sip:account@carrier.example")
            self.assertEqual(far.contacts[0].uri.user, "account")  # type: ignore[union-attr]
            self.assertEqual(str(far.contacts[0].uri.params), ";transport=tls")  # type: ignore[union-attr]
            self.assertEqual(far.maxForwards, 69)
            net.carrier.answers(far, 100)
            net.carrier.answers(far, 180)
            self.assertEqual(net.pbx.got(), [180])
            net.carrier.answers(far, 200, sdp(SAVP, "203.0.113.9"))
            self.assertEqual(net.carrier.request("ACK").cseq.number, far.cseq.number)
            accepted = net.pbx.response(200)
            net.pbx.ack(near, accepted)
            self.assertEqual(net.manager.callCount(), 1)
            net.carrier.got()
            net.pbx.within(near, accepted, "BYE", 2)
            self.assertEqual(net.pbx.got()[-1], 200)
            net.carrier.answers(net.carrier.request("BYE"), 200)
            self.assertEqual([name for name, _ in net.observer.events], ["started", "answered", "ended"])
            self.assertEqual(net.observer.ended[0].by, "caller")
            self.assertNothingLeft(net)

    def test_inbound(self) -> None:
        """The carrier's call reaches the PBX as number@pbx; the PBX hangs up."""
        net = CallNet()
        near, far = net.inboundCall()
        self.assertEqual(far.uri, "sip:account@192.0.2.10:5070")
        self.assertEqual(str(far.fromAddress.uri), "sip:1001@198.51.100.1:5060")
        net.carrier.got()
        net.pbx.back(far, "BYE", 1)
        self.assertEqual(net.pbx.response(200).cseq.method, "BYE")
        net.carrier.answers(net.carrier.request("BYE"), 200)
        self.assertEqual(net.observer.ended[0].by, "callee")
        self.assertNothingLeft(net)

    def test_clockSetBack(self) -> None:
        """A call in which the clock is set back has no time, rather than less than none."""
        for rightNow, wanted in ((103.0, 3.0), (40.0, 0.0)):
            net = CallNet()
            net.clock.rightNow = 100.0
            near, far = net.inboundCall()
            net.carrier.got()
            net.clock.rightNow = rightNow
            net.pbx.back(far, "BYE", 1)
            net.carrier.answers(net.carrier.request("BYE"), 200)
            self.assertEqual(net.observer.ended[0].duration, wanted)

    def test_calledNumberFromWhereTheProfileSays(self) -> None:
        """Request-URI, To or P-Called-Party-ID."""
        for place, wanted in (("request-uri", "account"), ("to", "4420"), ("p-called-party-id", "4430")):
            net = CallNet()
            object.__setattr__(net.profile, "calledFrom", place)
            uri = "sip:account@198.51.100.2:40000;transport=tls"
            body = sdp(SAVP, "203.0.113.9")
            headers = [("P-Called-Party-ID", "<sip:4430@carrier.example>")]
            invite = net.carrier.invite(uri, body, headers)
            if place == "to":
                net = CallNet()
                object.__setattr__(net.profile, "calledFrom", place)
                invite = invite.withHeader("To", "<sip:4420@carrier.example>")
                net.carrier.says(invite)
            self.assertEqual(net.pbx.request("INVITE").requestURI.user, wanted)  # type: ignore[union-attr]

    def test_media(self) -> None:
        """Each leg's SDP is its own: address, keys, origin; the answer settles both media legs."""
        net = CallNet()
        net.outboundCall()
        offer = parseSDP(net.carrier.request("INVITE").body)
        self.assertEqual(offer.media[0].protocol, "RTP/SAVP")
        self.assertEqual(len(offer.media[0].crypto), 2)
        self.assertEqual(offer.media[0].formats, ("8", "0", "101"))
        answer = parseSDP(net.pbx.response(200).body)
        self.assertEqual(answer.media[0].protocol, "RTP/AVP")
        self.assertEqual(answer.media[0].crypto, ())
        self.assertEqual(answer.media[0].formats, ("8", "101"))
        near, far = net.plane.legs
        self.assertIs(near.joined, far)
        self.assertEqual(near.last("remote"), MediaAddress("192.0.2.10", 4000, 4001))
        self.assertEqual(far.last("remote"), MediaAddress("203.0.113.9", 6000, 6001))
        self.assertEqual(far.last("remote key"), "AES_CM_128_HMAC_SHA1_80")
        self.assertEqual(offer.media[0].port, far.address.port)

    def test_payloadTypes(self) -> None:
        """Both legs know the payload types of their offer, so that keep-alives never take one of them."""
        net = CallNet()
        net.outboundCall()
        self.assertEqual([leg.last("payload types") for leg in net.plane.legs], [frozenset({0, 8, 101})] * 2)

    def test_nothingCrosses(self) -> None:
        """
        A border element: nothing that names the PBX is in what the carrier gets, and the reverse,
        nor do video, ICE, DTLS, BUNDLE, ssrc and rtcp-mux lines.
        """
        net = CallNet()
        private = (
            "m=audio 4000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
            "a=candidate:1 1 UDP 1 192.0.2.10 4000 typ host\r\na=ice-ufrag:marker\r\n"
            "a=fingerprint:sha-256 AA:BB\r\na=setup:actpass\r\na=mid:marker\r\na=ssrc:1 cname:m\r\n"
            "a=rtcp-mux\r\na=marker:1\r\nb=AS:64\r\ni=marker\r\n"
            "m=video 4002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"
        )
        headers = [("X-Marker", "marker"), ("User-Agent", "marker")]
        near = net.pbx.invite("sip:+4420@198.51.100.1", sdp(private), headers)
        far = net.carrier.request("INVITE")
        self.assertEqual(len(parseSDP(far.body).media), 1)
        headers = [("Server", "tellmark"), ("X-Tell", "tellmark")]
        net.carrier.answers(far, 180, headers=headers)
        net.carrier.answers(far, 200, sdp(SAVP + "a=tellmark\r\n", "203.0.113.9"), headers=headers)
        net.pbx.ack(near, net.pbx.response(200))
        answer = parseSDP(net.pbx.response(200).body)
        self.assertEqual([m.port for m in answer.media], [net.plane.legs[0].address.port, 0])
        net.pbx.within(near, net.pbx.response(200), "BYE", 2)
        toCarrier = b"".join(m.encode() for m in net.carrier.channel.messages)
        toPBX = b"".join(m.encode() for m in net.pbx.channel.messages)
        ofPBX = b"192.0.2.10 198.51.100.1:5060 arker 1001 candidate ice- fingerprint rtcp-mux ssrc video b=AS"
        for secret in ofPBX.split():
            self.assertNotIn(secret, toCarrier)
        # What the PBX itself wrote in From, To, Call-ID and Via comes back to it; the carrier's does not.
        ofCarrier = b"203.0.113 carrier.example tellmark crypto account 198.51.100.2:40000"
        for secret in ofCarrier.split():
            self.assertNotIn(secret, toPBX)

    def test_earlyMedia(self) -> None:
        """183 with an answer crosses with ours; a 200 without SDP repeats it (RFC 3261 section 13.2.1)."""
        net = CallNet()
        near = net.pbx.invite("sip:+4420@198.51.100.1", sdp())
        far = net.carrier.request("INVITE")
        net.carrier.answers(far, 183, sdp(SAVP, "203.0.113.9"))
        early = net.pbx.response(183)
        self.assertEqual(parseSDP(early.body).media[0].port, net.plane.legs[0].address.port)
        net.carrier.answers(far, 200)
        self.assertEqual(net.pbx.response(200).body, early.body)
        net.pbx.ack(near, net.pbx.response(200))

    def test_refusals(self) -> None:
        """Busy stays busy; what speaks of us does not reach the PBX as its own fault."""
        same = [(status, status) for status in (486, 404, 603, 480, 403)]
        for given, wanted in (*same, (302, 480), (420, 502)):
            net = CallNet()
            net.pbx.invite("sip:+4420@198.51.100.1", sdp())
            net.carrier.answers(net.carrier.request("INVITE"), given)
            self.assertEqual(net.pbx.channel.summary(), [100, wanted])
            self.assertEqual(net.plane.open, 0)
            self.assertEqual(net.observer.ended[0].status, wanted)
            net.pbx.ackRefusal(wanted)
            self.assertNothingLeft(net)

    def test_challenged(self) -> None:
        """407 is answered with a new CSeq and branch; the ACK of the 2xx repeats the credentials."""
        for status, header, ours in (
            (407, "Proxy-Authenticate", "Proxy-Authorization"),
            (401, "WWW-Authenticate", "Authorization"),
        ):
            net = CallNet()
            near = net.pbx.invite("sip:+4420@198.51.100.1", sdp())
            first = net.carrier.request("INVITE")
            net.carrier.answers(
                first, status, headers=[(header, 'Digest realm="carrier.example", nonce="n1", qop="auth"')]
            )
            second = net.carrier.request("INVITE")
            self.assertEqual(second.callID, first.callID)
            self.assertEqual(second.fromAddress.tag, first.fromAddress.tag)
            self.assertEqual(second.cseq.number, first.cseq.number + 1)
            self.assertNotEqual(second.topVia.branch, first.topVia.branch)
            self.assertIn('username="account"', second.header(ours) or "")
            self.assertEqual(second.body, first.body)
            net.carrier.answers(second, 200, sdp(SAVP, "203.0.113.9"))
            ack = net.carrier.request("ACK")
            self.assertEqual(ack.cseq.number, second.cseq.number)
            self.assertIn('username="account"', ack.header(ours) or "")
            net.pbx.ack(near, net.pbx.response(200))
            # BYE answers its own challenge.
            net.pbx.within(near, net.pbx.response(200), "BYE", 2)
            bye = net.carrier.request("BYE")
            self.assertGreater(bye.cseq.number, second.cseq.number)
            net.carrier.answers(bye, status, headers=[(header, 'Digest realm="carrier.example", nonce="n2"')])
            again = net.carrier.request("BYE")
            self.assertEqual(again.cseq.number, bye.cseq.number + 1)
            net.carrier.answers(again, 200)
            self.assertNothingLeft(net)

    def test_challengedTwice(self) -> None:
        """Wrong credentials end the call with 503: the PBX is not to blame, and may take another way."""
        net = CallNet()
        net.pbx.invite("sip:+4420@198.51.100.1", sdp())
        for nonce in ("n1", "n2"):
            net.carrier.answers(
                net.carrier.request("INVITE"),
                407,
                headers=[("Proxy-Authenticate", f'Digest realm="carrier.example", nonce="{nonce}"')],
            )
        self.assertEqual(net.pbx.got(), [100, 503])

    def test_unknownRealm(self) -> None:
        """A challenge of a realm that we have no password for stays unanswered."""
        net = CallNet()
        net.pbx.invite("sip:+4420@198.51.100.1", sdp())
        invite = net.carrier.request("INVITE")
        net.carrier.answers(
            invite, 407, headers=[("Proxy-Authenticate", 'Digest realm="elsewhere.example", nonce="n"')]
        )
        self.assertEqual(net.pbx.got(), [100, 503])

    def test_clearAnswerRefused(self) -> None:
        """RTP/AVP in answer to RTP/SAVP: ACK, BYE, and 488 for the PBX; no remote address was taken."""
        net = CallNet()
        net.pbx.invite("sip:+4420@198.51.100.1", sdp())
        far = net.carrier.request("INVITE")
        net.carrier.answers(far, 200, sdp(PCMA, "203.0.113.9"))
        self.assertEqual(net.carrier.got()[-2:], ["ACK", "BYE"])
        self.assertEqual(net.pbx.got(), [100, 488])
        self.assertNotIn("remote", [event[0] for event in net.plane.legs[1].events])

    def test_clearOfferRefused(self) -> None:
        """A carrier that offers RTP/AVP gets 488, and the PBX hears nothing."""
        net = CallNet()
        net.carrier.invite("sip:account@198.51.100.2:40000", sdp(PCMA, "203.0.113.9"))
        self.assertEqual(net.carrier.got(), [100, 488])
        self.assertEqual(net.pbx.got(), [])
        self.assertEqual(net.plane.open, 0)

    def test_severalKeys(self) -> None:
        """A carrier's keys with MKIs reach its media leg, all of them; what we answer has one key without."""
        net = CallNet()
        keys = f"{KEY}|2^20|1:2;{OTHER_KEY}|2^20|2:2"
        near = net.carrier.invite(
            "sip:account@198.51.100.2:40000", sdp(SAVP.replace(KEY, keys), "203.0.113.9")
        )
        net.pbx.answers(net.pbx.request("INVITE"), 200, sdp())
        accepted = net.carrier.response(200)
        net.carrier.ack(near, accepted)
        line = parseCrypto(parseSDP(accepted.body).media[0].crypto[0])
        self.assertEqual([(key.lifetime, key.mki) for key in line.keys], [(None, None)])
        [settled] = [event for event in net.plane.legs[0].events if event[0] == "remote key"]
        offered = parseCrypto(f"1 AES_CM_128_HMAC_SHA1_80 {keys}").keys
        self.assertEqual(settled[2:], (offered[0].master, DeclaredKeys(offered)))

    def test_weakeningRefused(self) -> None:
        """
        What makes SRTP less than it is (RFC 4568 section 6.3) is refused: 488, and Warning and log name it;
        so is a key of a few minutes, and a parameter that we do not know.
        """
        for more, told in (
            (" UNENCRYPTED_SRTP", "asks for UNENCRYPTED_SRTP"),
            (" WSH=64 unauthenticated_srtp", "asks for UNAUTHENTICATED_SRTP"),
            ("|2^10", "lifetime of 1024 packets"),
            (" BETTER_SRTP", "unknown session parameter"),
        ):
            net = CallNet()
            with capturedLogs() as events:
                offer = sdp(SAVP.replace(KEY, KEY + more), "203.0.113.9")
                net.carrier.invite("sip:account@198.51.100.2:40000", offer)
            refused = net.carrier.response(488)
            self.assertIn(told, refused.header("Warning") or "")
            self.assertIn("306 skypetrunk", refused.header("Warning") or "")
            text = "".join(formatEvent(event) for event in events)
            self.assertIn(told, text)
            self.assertNotIn(KEY.partition(":")[2], text + refused.encode().decode())
            self.assertEqual((net.pbx.got(), net.plane.open), ([], 0))

    def test_weakeningAnswerRefused(self) -> None:
        """In an answer it ends the call that was placed: ACK and BYE, 488 for the PBX; no key was taken."""
        for more, told in (
            (" UNENCRYPTED_SRTCP", "asks for UNENCRYPTED_SRTCP"),
            ("|2^10", "lifetime of 1024 packets"),
            (" BETTER_SRTP", "unknown session parameter"),
        ):
            net = CallNet()
            net.pbx.invite("sip:+4420@198.51.100.1", sdp())
            far = net.carrier.request("INVITE")
            with capturedLogs() as events:
                net.carrier.answers(far, 200, sdp(SAVP.replace(KEY, KEY + more), "203.0.113.9"))
            self.assertEqual(net.carrier.got()[-2:], ["ACK", "BYE"])
            self.assertEqual(net.pbx.got(), [100, 488])
            text = "".join(formatEvent(event) for event in events)
            self.assertIn(told, text)
            self.assertNotIn(KEY.partition(":")[2], text)
            self.assertNotIn("remote key", [event[0] for event in net.plane.legs[1].events])

    def test_malformedSDP(self) -> None:
        """A body that is no SDP is 488 and leaves nothing behind."""
        net = CallNet()
        net.pbx.invite("sip:+4420@198.51.100.1", b"v=0\r\nnonsense\r\n")
        self.assertEqual(net.pbx.channel.summary(), [100, 488])
        self.assertEqual(net.plane.open, 0)
        net.pbx.ackRefusal(488)
        self.assertNothingLeft(net)

    def test_lateOffer(self) -> None:
        """An INVITE without SDP: the offer comes in the 2xx, the answer in the ACK, on both legs."""
        net = CallNet()
        near = net.pbx.invite("sip:+4420@198.51.100.1")
        far = net.carrier.request("INVITE")
        self.assertEqual(far.body, b"")
        net.carrier.answers(far, 200, sdp(SAVP, "203.0.113.9"))
        self.assertNotIn("ACK", net.carrier.channel.summary())
        offered = net.pbx.response(200)
        self.assertEqual(parseSDP(offered.body).media[0].protocol, "RTP/AVP")
        net.pbx.ack(near, offered, sdp("m=audio 4000 RTP/AVP 8\r\n"))
        ack = net.carrier.request("ACK")
        self.assertEqual(len(parseSDP(ack.body).media[0].crypto), 1)
        self.assertEqual(net.plane.legs[1].last("remote"), MediaAddress("203.0.113.9", 6000, 6001))

    def test_lateOfferWithoutAnswer(self) -> None:
        """An ACK without the answer that is due ends the call on both legs."""
        net = CallNet()
        near = net.pbx.invite("sip:+4420@198.51.100.1")
        net.carrier.answers(net.carrier.request("INVITE"), 200, sdp(SAVP, "203.0.113.9"))
        net.pbx.ack(near, net.pbx.response(200))
        self.assertEqual(net.carrier.got()[-2:], ["ACK", "BYE"])
        self.assertEqual(net.pbx.got()[-1], "BYE")

    def test_failover(self) -> None:
        """503 of one trunk: the next one is tried with a new Call-ID and new keys."""
        net = CallNet(second=True)
        assert net.second is not None
        net.pbx.invite("sip:+4420@198.51.100.1", sdp())
        first = net.carrier.request("INVITE")
        net.carrier.answers(first, 503)
        second = net.second.request("INVITE")
        self.assertNotEqual(second.callID, first.callID)
        keys = [set(parseSDP(invite.body).media[0].crypto) for invite in (first, second)]
        self.assertFalse(keys[0] & keys[1])
        self.assertEqual(net.pbx.got(), [100])
        self.assertTrue(net.plane.legs[1].released)
        net.second.answers(second, 486)
        self.assertEqual(net.pbx.got(), [486])

    def test_failoverAfterEarlyMedia(self) -> None:
        """What the first trunk answered early is no answer of the second: a 200 without one is 502."""
        net = CallNet(second=True)
        assert net.second is not None
        net.pbx.invite("sip:+4420@198.51.100.1", sdp())
        first = net.carrier.request("INVITE")
        net.carrier.answers(first, 183, sdp(SAVP, "203.0.113.9"))
        net.carrier.answers(first, 503)
        net.second.answers(net.second.request("INVITE"), 200)
        self.assertEqual(net.second.got(), ["INVITE", "ACK", "BYE"])
        self.assertEqual(net.pbx.got(), [100, 183, 502])

    def test_freshAfterEarlyMedia(self) -> None:
        """
        After early media a second attempt has a media leg and keys of its own, and is heard; the PBX's side
        stays as it was.
        """
        net = CallNet(second=True)
        assert net.second is not None
        net.pbx.invite("sip:+4420@198.51.100.1", sdp())
        first = net.carrier.request("INVITE")
        net.carrier.answers(first, 183, sdp(SAVP, "203.0.113.9"))
        early = net.pbx.response(183)
        net.carrier.answers(first, 503)
        second = net.second.request("INVITE")
        net.second.answers(second, 200, sdp(SAVP, "203.0.113.10"))
        self.assertEqual(net.pbx.response(200).body, early.body)
        lines = [parseSDP(invite.body).media[0] for invite in (first, second)]
        self.assertFalse(set(lines[0].crypto) & set(lines[1].crypto))
        self.assertNotEqual(lines[0].port, lines[1].port)
        self.assertEqual([leg.released for leg in net.plane.legs], [False, True, False])
        keys = [[event[2] for event in leg.events if event[0] == "local"] for leg in net.plane.legs[1:]]
        self.assertTrue(keys[0] and keys[1])
        self.assertNotIn(keys[1][0], keys[0])
        self.assertEqual(net.plane.legs[2].last("remote").host, "203.0.113.10")  # type: ignore[attr-defined]

    def test_trunkDown(self) -> None:
        """Down, or out of reach: the next; none left: 503 with a cause that makes the PBX go elsewhere."""
        net = CallNet(second=True)
        assert net.second is not None
        net.carrier.side.up = False  # type: ignore[attr-defined]
        net.second.finder.down = True
        net.pbx.invite("sip:+4420@198.51.100.1", sdp())
        self.assertEqual(net.carrier.got(), [])
        refusal = net.pbx.response(503)
        self.assertIn("Q.850;cause=34", refusal.header("Reason") or "")

    def test_limit(self) -> None:
        """No more calls than allowed, either way."""
        net = CallNet(limit=1)
        net.outboundCall()
        net.pbx.got()
        net.pbx.invite("sip:+4421@198.51.100.1", sdp())
        self.assertEqual(net.pbx.got(), [100, 503])
        net.carrier.invite("sip:account@198.51.100.2:40000", sdp(SAVP))
        self.assertEqual(net.carrier.response(503).cseq.method, "INVITE")

    def test_noRoute(self) -> None:
        """No route is 404."""
        net = CallNet()
        net.pbx.invite("sip:404@198.51.100.1", sdp())
        self.assertEqual(net.pbx.got(), [100, 404])

    def test_noPorts(self) -> None:
        """Without media ports a call is 503, before anything is promised, on either leg."""
        for left in (0, 1):
            net = CallNet()
            net.plane.left = left
            net.pbx.invite("sip:+4420@198.51.100.1", sdp())
            self.assertEqual(net.pbx.got(), [100, 503])
            self.assertEqual(net.carrier.got(), [])
            self.assertEqual(net.plane.open, 0)

    def test_emergency(self) -> None:
        """Dialled as such or behind the outside line, in Request-URI or To: 503, cause 34, no Retry-After."""
        for number in ("112", "9112", "%31%31%32"):
            net = CallNet()
            net.pbx.invite(f"sip:{number}@198.51.100.1", sdp())
            refusal = net.pbx.response(503)
            self.assertIn("Q.850;cause=34", refusal.header("Reason") or "")
            self.assertIsNone(refusal.header("Retry-After"))
            self.assertEqual(net.carrier.got(), [])
            self.assertEqual(net.manager.emergencies, 1)
            self.assertEqual(net.plane.legs, [])
        net = CallNet()
        invite = net.pbx.invite("sip:404@198.51.100.1", sdp())
        net.pbx.got()
        for called in ("<sip:112@198.51.100.1>", "<tel:112>"):
            via = str(invite.topVia).replace("branch=", f"branch=z9hG4bK{len(called)}")
            net.pbx.says(invite.withHeader("To", called).withHeader("Via", via).withHeader("Call-ID", called))
            self.assertIn("Q.850;cause=34", net.pbx.response(503).header("Reason") or "")
            net.pbx.got()
        self.assertEqual(net.manager.emergencies, 2)

    def test_policy(self) -> None:
        """A policy refuses at once or later, with its status and cause; a failing policy denies."""
        refusal = CallRefused("not today", 403, 21, retryAfter=9)
        waiting: Deferred[None] = Deferred()

        def refuse(request: object) -> None:
            raise refusal

        net = CallNet()
        net.policy.result = refuse
        net.pbx.invite("sip:+4420@198.51.100.1", sdp())
        self.assertIn("cause=21", net.pbx.response(403).header("Reason") or "")
        self.assertEqual(net.pbx.response(403).header("Retry-After"), "9")
        net = CallNet()
        net.policy.result = lambda request: waiting
        net.pbx.invite("sip:+4420@198.51.100.1", sdp())
        self.assertEqual((net.pbx.got(), net.carrier.got()), ([100], []))
        waiting.errback(Failure(ZeroDivisionError()))
        self.assertEqual((net.pbx.got(), net.carrier.got()), ([500], []))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_policyAdmitsLater(self) -> None:
        """The call goes on when the policy says so, unless it was cancelled meanwhile."""
        waiting: Deferred[None] = Deferred()
        net = CallNet()
        net.policy.result = lambda request: waiting
        net.pbx.invite("sip:+4420@198.51.100.1", sdp())
        waiting.callback(None)
        self.assertEqual(net.carrier.got(), ["INVITE"])

    def test_options(self) -> None:
        """OPTIONS of the PBX is 200 while a trunk is usable, else 503; the carrier always gets 200."""
        net = CallNet()
        for up, wanted in ((True, 200), (False, 503)):
            net.carrier.side.up = up  # type: ignore[attr-defined]
            for neighbour, status in ((net.pbx, wanted), (net.carrier, 200)):
                request = net.pbx.invite("sip:404@198.51.100.1").withHeader("CSeq", "1 OPTIONS")
                object.__setattr__(request, "method", "OPTIONS")
                via = str(request.topVia).replace("branch=", f"branch=z9hG4bKopt{up}{status}")
                neighbour.got()
                neighbour.says(request.withHeader("Via", via))
                self.assertEqual(neighbour.got(), [status])

    def test_unacceptableRequests(self) -> None:
        """420 and 415, each before anything is taken for a call."""
        cases = (
            ([("Require", "marker")], 420),
            ([("Content-Encoding", "gzip")], 415),
        )
        for headers, status in cases:
            net = CallNet()
            net.pbx.invite("sip:+4420@198.51.100.1", sdp(), headers)
            self.assertEqual(net.pbx.got(), [100, status])
            self.assertEqual(net.plane.legs, [])

    def test_patience(self) -> None:
        """
        A destination that says nothing is given up for the next one before 64*T1, if there is one; what it
        says later is taken back.  One that has said 100 is not.
        """
        for second, taken in ((True, False), (True, True), (False, False)):
            net = CallNet(second=second)
            net.carrier.side.patience = 6.4
            net.pbx.invite("sip:+4420@198.51.100.1", sdp())
            far = net.carrier.request("INVITE")
            if taken:
                net.carrier.answers(far, 100)
            net.clock.pump([0.5] * 12)
            self.assertEqual([] if net.second is None else net.second.got(), [])
            net.clock.advance(0.5)
            if net.second is None or taken:
                self.assertEqual(net.pbx.got(), [100])
                continue
            self.assertEqual(net.second.got(), ["INVITE"])
            net.carrier.got()
            net.carrier.answers(far, 180)
            self.assertEqual(net.carrier.got(), ["CANCEL"])

    def test_drain(self) -> None:
        """Stopping: an answered call gets BYE on both legs, a ringing one 503 and CANCEL, a new one 503."""
        net = CallNet()
        near, far = net.outboundCall()
        ringing = net.pbx.invite("sip:+4421@198.51.100.1", sdp())
        net.carrier.answers(net.carrier.request("INVITE"), 180)
        net.pbx.got()
        net.carrier.got()
        done = net.manager.drain(5.0)
        self.assertEqual(sorted(map(str, net.pbx.channel.summary())), ["503", "BYE"])
        self.assertEqual(sorted(map(str, net.carrier.channel.summary())), ["BYE", "CANCEL"])
        net.pbx.ackRefusal(503)
        net.pbx.invite("sip:+4422@198.51.100.1", sdp())
        self.assertEqual(net.pbx.response(503).cseq.method, "INVITE")
        # What sends an emergency call to its own line does so until the end.
        net.pbx.side.emergencyStatus = 404  # type: ignore[attr-defined]
        net.pbx.invite("sip:112@198.51.100.1", sdp())
        self.assertIn("cause=34", net.pbx.response(404).header("Reason") or "")
        self.assertNoResult(done)
        net.clock.advance(5.0)
        self.assertIsNone(self.successResultOf(done))
        self.assertNotEqual(ringing.callID, near.callID)


class ReinviteTests(SynchronousTestCase):
    """Sessions that change: re-INVITEs in either direction (RFC 3261 section 14)."""

    def test_holdAndResume(self) -> None:
        """Hold by sendonly and by 0.0.0.0 (RFC 2543) crosses; our version goes up by one with each change."""
        net = CallNet()
        near, _ = net.outboundCall()
        accepted = net.pbx.response(200)
        first = parseSDP(net.carrier.request("INVITE").body)
        cases = (
            (sdp(PCMA + "a=sendonly\r\n", version=2), "sendonly", "recvonly"),
            (sdp(PCMA, "0.0.0.0", version=3), "sendonly", "recvonly"),
            (sdp(PCMA, version=4), "sendrecv", "sendrecv"),
        )
        versions = [first.origin.version]
        for number, (body, offered, answered) in enumerate(cases, 2):
            again = net.pbx.within(near, accepted, "INVITE", number, body)
            far = net.carrier.request("INVITE")
            offer = parseSDP(far.body)
            self.assertEqual(offer.media[0].direction, offered)
            self.assertEqual(offer.origin.sessionID, first.origin.sessionID)
            versions.append(offer.origin.version)
            net.carrier.answers(far, 200, sdp(f"{SAVP}a={answered}\r\n", "203.0.113.9", number))
            self.assertEqual(parseSDP(net.pbx.response(200).body).media[0].direction, answered)
            net.pbx.ack(again, net.pbx.response(200))
        # One suite was agreed: the second offer repeats it alone, the third is the same again.
        self.assertEqual(versions, ["1", "2", "2", "3"])
        crypto = {
            line
            for sent in net.carrier.channel.requests
            if sent.method == "INVITE"
            for line in parseSDP(sent.body).media[0].crypto
            if "SHA1_80" in line
        }
        self.assertEqual(len(crypto), 1)
        self.assertEqual(net.plane.legs[0].last("sending"), True)

    def test_doubledLine(self) -> None:
        """
        FreeSWITCH offers its stream twice, secure and clear, in either order: each leg takes its own kind,
        refuses the other in its place, and the other side never hears of it.
        """
        for media in (PCMA + SAVP, SAVP + PCMA):
            for outbound in (True, False):
                net = CallNet()
                near, _ = net.outboundCall() if outbound else net.inboundCall()
                one, other = (net.pbx, net.carrier) if outbound else (net.carrier, net.pbx)
                kinds = [line.protocol for line in parseSDP(sdp(media)).media]
                for number in (2, 3):
                    again = one.within(near, one.response(200), "INVITE", number, sdp(media, version=number))
                    offer = parseSDP(other.request("INVITE").body)
                    self.assertEqual(len(offer.media), 1)
                    given = sdp(SAVP if outbound else PCMA, version=number)
                    other.answers(other.request("INVITE"), 200, given)
                    answer = parseSDP(one.response(200).body)
                    self.assertEqual([line.protocol for line in answer.media], kinds)
                    taken = [line.protocol for line in answer.media if line.port]
                    self.assertEqual(taken, ["RTP/AVP" if outbound else "RTP/SAVP"])
                    one.ack(again, one.response(200))

    def test_bothSidesChange(self) -> None:
        """Lines that one side once had stay in our offers to it, and to it alone (RFC 3264 section 8)."""
        net = CallNet()
        near, far = net.outboundCall(sdp(PCMA + "m=video 4002 RTP/AVP 31\r\n"))
        net.carrier.back(far, "INVITE", 1, body=sdp(SAVP, "203.0.113.9", 2))
        offer = parseSDP(net.pbx.request("INVITE").body)
        lines = [(line.kind, bool(line.port)) for line in offer.media]
        self.assertEqual(lines, [("audio", True), ("video", False)])
        net.pbx.answers(net.pbx.request("INVITE"), 200, sdp(PCMA + "m=video 0 RTP/AVP 31\r\n"))
        self.assertEqual(len(parseSDP(net.carrier.response(200).body).media), 1)

    def test_fromTheCarrier(self) -> None:
        """The carrier's re-INVITE crosses to the PBX, with the PBX leg's own dialog."""
        net = CallNet()
        _, far = net.outboundCall()
        net.pbx.got()
        again = net.carrier.back(far, "INVITE", 1, body=sdp(SAVP, "203.0.113.20"))
        near = net.pbx.request("INVITE")
        self.assertEqual(near.toAddress.uri.user, "1001")  # type: ignore[union-attr]
        net.pbx.answers(near, 200, sdp())
        self.assertEqual(net.pbx.got(), ["INVITE", "ACK"])
        self.assertEqual(net.carrier.response(200).cseq.number, again.cseq.number)
        self.assertEqual(net.plane.legs[1].last("remote"), MediaAddress("203.0.113.20", 6000, 6001))

    def test_refused(self) -> None:
        """A refused re-INVITE changes nothing: the same media, the next one works (section 14.1)."""
        net = CallNet()
        near, _ = net.outboundCall()
        accepted = net.pbx.response(200)
        before = [list(leg.events) for leg in net.plane.legs]
        net.pbx.within(near, accepted, "INVITE", 2, sdp(PCMA + "m=video 1 RTP/AVP 96\r\n", version=2))
        net.carrier.answers(net.carrier.request("INVITE"), 488)
        self.assertEqual(net.pbx.response(488).cseq.number, 2)
        self.assertEqual([list(leg.events) for leg in net.plane.legs], before)
        net.pbx.within(near, accepted, "INVITE", 3, sdp(version=3))
        net.carrier.answers(net.carrier.request("INVITE"), 200, sdp(SAVP, "203.0.113.9"))
        self.assertEqual(net.pbx.response(200).cseq.number, 3)

    def test_offerless(self) -> None:
        """A re-INVITE without SDP: the offer comes back in 200, the answer goes on in the ACK."""
        net = CallNet()
        near, _ = net.outboundCall()
        accepted = net.pbx.response(200)
        net.carrier.got()
        invite = net.pbx.within(near, accepted, "INVITE", 2)
        far = net.carrier.request("INVITE")
        self.assertEqual(far.body, b"")
        net.carrier.answers(far, 200, sdp(SAVP, "203.0.113.9"))
        self.assertNotIn("ACK", net.carrier.channel.summary())
        net.pbx.ack(invite, net.pbx.response(200), sdp("m=audio 4100 RTP/AVP 8\r\n"))
        self.assertEqual(len(parseSDP(net.carrier.request("ACK").body).media[0].crypto), 1)
        self.assertEqual(net.plane.legs[0].last("remote"), MediaAddress("192.0.2.10", 4100, 4101))

    def test_gone(self) -> None:
        """481 to a re-INVITE: the dialog is gone, and with it the call (section 12.2.1.2)."""
        net = CallNet()
        near, _ = net.outboundCall()
        net.pbx.within(near, net.pbx.response(200), "INVITE", 2, sdp(version=2))
        net.carrier.answers(net.carrier.request("INVITE"), 481)
        self.assertEqual(net.pbx.got()[-2:], [480, "BYE"])

    def test_changedKey(self) -> None:
        """A new remote key is taken over; ours stays."""
        net = CallNet()
        _, far = net.outboundCall()
        net.carrier.back(far, "INVITE", 1, body=sdp(SAVP.replace(KEY, OTHER_KEY), "203.0.113.9"))
        net.pbx.answers(net.pbx.request("INVITE"), 200, sdp())
        leg = net.plane.legs[1]
        remote = [event[2] for event in leg.events if event[0] == "remote key"]
        local = [event[2] for event in leg.events if event[0] == "local"]
        self.assertNotEqual(remote[0], remote[-1])
        self.assertEqual(local[0], local[-1])
