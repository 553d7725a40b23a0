"""What the trunk has to refuse: peers that prove nothing, media in clear, emergency calls."""

from __future__ import annotations

import re

from tests.interop.rig.calls import PBX_NUMBER, CallCase, statuses
from tests.interop.rig.capture import Capture
from tests.interop.rig.case import InteropCase
from tests.interop.rig.certificates import DOMAIN, Authority, Certificate
from tests.interop.rig.openssl import SServer
from tests.interop.rig.ports import host
from tests.interop.rig.processes import waitUntil
from tests.interop.rig.scenarios import Scenario, acknowledge, answer, invite, sdp
from tests.interop.rig.sip import requests, responses
from tests.interop.rig.sipp import Sipp
from tests.interop.rig.trunk import Trunk


class CertificateTests(InteropCase):
    """Servers whose certificate does not prove the trunk's domain: not one octet is sent above TLS."""

    def setUp(self) -> None:
        """Make the CA that the trunk trusts."""
        super().setUp()
        self.authority = Authority(self.scratch)

    def connect(self, certificate: Certificate) -> None:
        """Start the server and the trunk, and wait for a handshake."""
        self.server = self.started(SServer(self.scratch, certificate))
        target = f"{self.server.address}:{self.server.port}"
        self.trunk = self.started(
            Trunk(self.scratch, ("127.0.0.1", 5999), caFile=self.authority.file, targets=[target])
        )
        waitUntil(self.server.hellos, 10, "a handshake")

    def refused(self, certificate: Certificate, wanted: str, seen: str) -> None:
        """The trunk refuses, sends nothing, and says in one line what it wanted and what it saw."""
        self.connect(certificate)
        line = rf"(?im)^.*\bwanted\b.*{wanted}.*\bseen\b.*{seen}.*$"
        waitUntil(lambda: re.search(line, self.trunk.text()), 5, f"a log line like {line}")
        # It tries again, later and later; still nothing may be sent.
        waitUntil(lambda: self.server.hellos() >= 2, 20, "a second attempt")
        self.assertEqual(self.server.applicationOctets(), b"")
        self.assertNotEqual(self.trunk.status().trunks, {"skype": "registered"})
        self.trunk.terminate()
        self.assertEqual(self.server.applicationOctets(), b"")
        self.trunk.checkNoTraceback()
        self.trunk.checkSecrets()

    def test_otherAuthority(self) -> None:
        """A certificate for the right name, of a CA that is not the trunk's."""
        other = Authority(self.scratch, "another")
        self.refused(other.issue("server"), ".*", "another")

    def test_otherName(self) -> None:
        """A certificate of the right CA, for another name."""
        self.refused(self.authority.issue("server", "other.example"), re.escape(DOMAIN), "other\\.example")

    def test_expired(self) -> None:
        """A certificate that ended yesterday."""
        self.refused(self.authority.issue("server", expired=True), ".*", "expired")

    def test_right(self) -> None:
        """The same server with the right certificate gets the REGISTER: the three above prove something."""
        self.connect(self.authority.issue("server"))
        waitUntil(self.server.applicationOctets, 10, "application octets")
        self.assertTrue(self.server.applicationOctets().startswith(b"REGISTER sip:" + DOMAIN.encode()))
        self.trunk.terminate(bound=15)


class ClearMediaTests(CallCase):
    """Carriers that want media in clear, although the trunk requires SRTP."""

    def test_clearAnswer(self) -> None:
        """An answer with RTP/AVP to an offer of RTP/SAVP ends the call, at both sides, with a reason."""
        far = (
            Scenario("answers in clear")
            .request("INVITE", store=True)
            .send(answer("200 OK", sdp(port="[media_port]")))
            .request("ACK")
            .request("BYE")
            .send(answer("200 OK", tag=False), retransmit=False)
        )
        peer = Sipp(self.scratch, "far", far, address=host(42))
        self.stage(bob={"absent": True}, numbers={"+442079460099": f"sip:far@{peer.address}:{peer.port}"})
        self.started(peer)
        with Capture() as capture:
            self.dial("+442079460099")
            self.pbx.waitEvent("CALL_CLOSED")
            peer.finish(15)
        self.assertIn(statuses(capture.sip(self.pbx.address, self.pbx.port))[-1], (488, 502, 606))
        self.assertEqual(self.pbx.events("CALL_ESTABLISHED"), [])
        self.assertEqual(capture.to(peer.mediaPorts), [])
        self.assertRegex(self.trunk.text(), r"(?i)RTP/AVP|SRTP")

    def test_clearOffer(self) -> None:
        """An offer with RTP/AVP is refused with 488, and the PBX never rings."""
        self.stage(bob={"encryption": ""})
        with Capture() as capture:
            self.bob.dial(f"sip:{PBX_NUMBER}@{DOMAIN}")
            self.bob.waitEvent("CALL_CLOSED")
        final = responses(self.bob.messages(), "INVITE", 488, sent=False)
        self.assertEqual(len(final), 1)
        self.assertEqual(requests(capture.sip(self.pbx.address, self.pbx.port), "INVITE"), [])


class EmergencyTests(CallCase):
    """Emergency numbers never go to a trunk."""

    def test_emergency(self) -> None:
        """
        999 and 112, as dialled: 503 with Q.850 cause 34 and no Retry-After, so that the PBX takes
        its own line; the carrier hears nothing.
        """
        place = self.scriptedPBX()
        self.stage(pbx=place, bob={"absent": True})
        for number in ("999", "112"):
            call = (
                Scenario("emergency")
                .send(invite(sdp()))
                .response(100, optional=True)
                .response(503)
                .send(acknowledge(), retransmit=False)
            )
            messages = self.play(place, call, number).finish()
            refusal = responses(messages, "INVITE", 503)[0]
            self.assertRegex(refusal.header("Reason"), r"Q\.850\s*;\s*cause=34")
            self.assertEqual(refusal.header("Retry-After"), "")
        self.assertEqual(self.carrier.count(r"REQ INVITE"), 0)
        self.assertRegex(self.trunk.text(), r"(?i)emergency")
