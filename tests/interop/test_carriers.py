"""Carriers with habits: routing by our Contact, C{maddr}, media that waits for our first packet."""

from __future__ import annotations

import base64
import re

from tests.interop.rig.audio import decodeG711, judge, sineALaw
from tests.interop.rig.baresip import Baresip
from tests.interop.rig.calls import CARRIER_TONE, PBX_NUMBER, PBX_TONE, CallCase, listen, statuses
from tests.interop.rig.capture import Capture, media
from tests.interop.rig.certificates import DOMAIN, Authority
from tests.interop.rig.latch import LatchingEdge
from tests.interop.rig.ports import host, takePorts
from tests.interop.rig.processes import waitUntil
from tests.interop.rig.scenarios import FIXED_KEY, Scenario, again, answer, invite, sdp
from tests.interop.rig.sip import requests, responses
from tests.interop.rig.sipp import Sipp
from tests.interop.rig.srtp import decryptAll
from tests.interop.rig.stunnel import Stunnel
from tests.interop.rig.trunk import USER, Trunk

_80, _32 = "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"
_SECURE = [f"1 {_80} inline:{FIXED_KEY}"]


def _carrier(contact: str, secure: list[str]) -> Scenario:
    """
    A carrier as one scenario: challenges and grants the registration, then calls the registered
    Contact over the same connection, and waits to be hung up on.

    @param contact: its own Contact.
    @param secure: the C{a=crypto} values it offers.
    """
    challenge = (
        f'WWW-Authenticate: Digest realm="{DOMAIN}", nonce="4711[call_number]", algorithm=MD5, qop="auth"'
    )
    # sipp matches by what stands behind the slashes, so one scenario can hold two Call-IDs.
    dialog = [
        "From: <sip:+4930123456@sip.skype.com>;tag=[pid]c[call_number]",
        "Call-ID: inbound///[call_id]",
        "Max-Forwards: 70",
    ]
    via = "Via: SIP/2.0/TLS sip.skype.com;branch=[branch]"
    call = [
        "INVITE [next_url] SIP/2.0",
        via,
        *dialog,
        f"To: <sip:{PBX_NUMBER}@{DOMAIN}>",
        "CSeq: 1 INVITE",
        f"Contact: {contact}",
        "Content-Type: application/sdp",
        "Content-Length: [len]",
        "",
        sdp(port="[media_port]", secure=secure, name="Skype call"),
    ]
    ack = [
        "ACK [next_url] SIP/2.0",
        via,
        *dialog,
        f"To: <sip:{PBX_NUMBER}@{DOMAIN}>[peer_tag_param]",
        "CSeq: 1 ACK",
        "Content-Length: 0",
        "",
        "",
    ]
    return (
        Scenario("carrier")
        .request("REGISTER")
        .send(answer("401 Unauthorized", headers=[challenge]), retransmit=False)
        .request("REGISTER", store=True)
        .send(_granted(), retransmit=False)
        .pause(300)
        .send("\n".join(call), retransmit=False)
        .response(100, optional=True)
        .response(180, optional=True)
        .response(200, store=True)
        .send("\n".join(ack), retransmit=False)
        .request("BYE")
        .send(answer("200 OK", tag=False, contact=contact), retransmit=False)
        .pause(300)
    )


def _granted() -> str:
    granted = answer("200 OK", headers=["Expires: 3600"])
    return re.sub(r"Contact: .*", "[last_Contact:]", granted)


class ContactTests(CallCase):
    """Inbound calls from a carrier that sends them to our Contact, with C{;transport=tls}."""

    def inbound(self, form: str, tag: int, suite: str, declared: str = "") -> None:
        """
        Be called by a carrier that has one suite, and hang up.

        @param form: the carrier's Contact, with C{ADDRESS} and C{PORT} to be filled in.
        @param declared: lifetime and MKI of its key.
        """
        authority = Authority(self.scratch)
        address, port = host(42), takePorts(host(42))
        stunnel = Stunnel(self.scratch, authority.issue("server"), (address, port))
        contact = form.replace("ADDRESS", stunnel.address).replace("PORT", str(stunnel.port))
        script = _carrier(contact, [f"{tag} {suite} inline:{FIXED_KEY}{declared}"])
        carrier = Sipp(self.scratch, "carrier", script, address=address, port=port, transport="t1")
        self.started(carrier)
        self.started(stunnel)
        self.pbx = self.started(Baresip.atPBX(self.scratch, PBX_NUMBER, PBX_TONE))
        target = f"{stunnel.address}:{stunnel.port}"
        pbx = (self.pbx.address, self.pbx.port)
        with Capture() as capture:
            self.startTrunk(Trunk(self.scratch, pbx, caFile=authority.file, targets=[target]), stunnel)
            self.pbx.waitEvent("CALL_ESTABLISHED")
            listen(1.5)
            self.pbx.hangUp()
            messages = carrier.finish(15)
            self.pbx.waitEvent("CALL_CLOSED")
        registered = requests(messages, "REGISTER", sent=False)[-1]
        self.assertRegex(registered.header("Contact"), rf"<sips?:{USER}@[^>]*;transport=tls")
        end = requests(messages, "BYE", sent=False)[0]
        self.assertEqual(f"<{end.requestURI}>", contact)
        # The carrier's media edge only listens: what reached it was SRTP of the trunk's answer.
        accepted = responses(messages, "INVITE", 200, sent=False)[0]
        agreed = accepted.crypto()
        self.assertEqual([(line.tag, line.suite) for line in agreed], [(tag, suite)])
        self.assertNotIn("|", "".join(accepted.lines("a=crypto:")))
        found = decryptAll(capture.to(carrier.mediaPorts), agreed[0].suite, agreed[0].key)
        verdict = judge(decodeG711(b"".join(found.payloads)), PBX_TONE)
        self.assertGreaterEqual(verdict.share, 0.98, str(verdict))
        self.assertGreater(verdict.seconds, 1.0)
        self.trunk.checkSecrets([agreed[0].key, base64.b64decode(FIXED_KEY)])

    def test_contact(self) -> None:
        """The carrier's Contact is a literal address with C{;transport=tls}: BYE goes there, over TLS."""
        self.inbound("<sip:carrier@ADDRESS:PORT;transport=tls>", 1, _80)

    def test_maddr(self) -> None:
        """
        The carrier's Contact names the domain and pins the node with C{maddr} (RFC 3261 section 8.1.2);
        it has the suite with the short tag only, under another number, with a lifetime and an MKI of its
        own: the answer has a plain key.
        """
        self.inbound(f"<sip:+4930123456@{DOMAIN}:PORT;maddr=ADDRESS;transport=tls>", 7, _32, "|2^20|1:4")


class EarlyMediaTests(CallCase):
    """183 with early media, from a carrier that sends none before it has heard us."""

    def test_latchingCarrier(self) -> None:
        """
        The PBX is silent, and the media edge waits for our first packet: keep-alives (RFC 6263) open the
        path, and the PBX hears the announcement before the answer.
        """
        address = host(43)
        edge = LatchingEdge(address, takePorts(address, 2), sineALaw(CARRIER_TONE, 2))
        self.addCleanup(edge.stop)
        early = sdp(connection=address, port=str(edge.port), secure=_SECURE)
        far = (
            Scenario("early media")
            .request("INVITE", store=True)
            .send(answer("183 Session Progress", early), retransmit=False)
            .pause(2500)
            .send(answer("200 OK", early))
            .request("ACK")
            .request("BYE")
            .send(answer("200 OK", tag=False), retransmit=False)
        )
        peer = Sipp(self.scratch, "far", far, address=host(42))
        number = "+442079460043"
        place = self.scriptedPBX()
        self.stage(pbx=place, bob={"absent": True}, numbers={number: f"sip:far@{peer.address}:{peer.port}"})
        self.started(peer)
        call = (
            Scenario("silent PBX")
            .send(invite(sdp(port="[media_port]")))
            .response(100, optional=True)
            .response(183)
            .response(200, store=True)
            .send(again("ACK", 1), retransmit=False)
            .pause(500)
            .send(again("BYE", 2))
            .response(200)
        )
        with Capture() as capture:
            pbx = self.play(place, call, number)
            waitUntil(lambda: requests(peer.messages(), "INVITE"), 10, "the INVITE arrives")
            offer = requests(peer.messages(), "INVITE")[0].crypto()[0]
            self.assertEqual((offer.tag, offer.suite), (1, _80))
            edge.start(offer.suite, offer.key, base64.b64decode(FIXED_KEY))
            messages = pbx.finish(20)
            peer.finish(10)
        self.assertEqual([one for one in statuses(messages) if one != 100], [183, 200])
        progress = responses(messages, "INVITE", 183)[0]
        self.assertIn("m=audio", progress.body)
        assert edge.latched is not None, "the edge never heard us"
        self.assertEqual(edge.strangers, 0)
        self.assertLess(edge.latched[0] - progress.time, 0.5)
        # Nothing but empty packets can have come from a trunk whose PBX is silent.
        sent = decryptAll(capture.to([edge.port, edge.port + 1]), offer.suite, offer.key)
        self.assertGreaterEqual(len(sent.rtp), 3)
        answered = responses(messages, "INVITE", 200)[0].time
        heard = [one for one in media(capture.to(pbx.mediaPorts)) if one.time < answered]
        verdict = judge(decodeG711(b"".join(one.payload[12:] for one in heard)), CARRIER_TONE)
        self.assertGreaterEqual(verdict.share, 0.98, str(verdict))
        self.assertGreater(verdict.seconds, 1.5)
        self.trunk.checkSecrets([offer.key, base64.b64decode(FIXED_KEY)])
