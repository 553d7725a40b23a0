"""A PBX that speaks TLS: calls both ways over connections that each side verified."""

from __future__ import annotations

import json
import re

from tests.interop.rig.calls import CARRIER_TONE, NUMBER, PBX_NUMBER, PBX_TONE, CallCase, listen
from tests.interop.rig.capture import Capture
from tests.interop.rig.certificates import DOMAIN
from tests.interop.rig.sip import Message, requests, responses


class TLSCallTests(CallCase):
    """baresip as the PBX."""

    def dial(self, number: str = NUMBER) -> None:
        """The PBX's phone calls a number over TLS."""
        self.pbx.dial(f"sip:{number}@{self.trunk.address}:{self.trunk.port + 1};transport=tls")

    def judge(self, capture: Capture, *, bobCalled: bool) -> None:
        """Both heard each other, SRTP with bob and plain RTP with the PBX; no octet of SIP was in clear."""
        self.secure(capture, bobCalled=bobCalled)
        self.noStrangers(capture, self.bob.mediaPorts, self.pbx.mediaPorts)
        self.heard(self.pbx, CARRIER_TONE, 1.0)
        self.heard(self.bob, PBX_TONE, 1.0)
        self.assertEqual(capture.sip(self.pbx.address, self.pbx.port), [])
        status = json.loads(self.trunk.tool("status", "--json").stdout)["pbxes"]["office"]
        self.assertEqual((status["handshakes"], status["strangers"], status["malformed"]), (0, 0, 0))

    def fromTrunk(self, message: Message) -> None:
        """Via and Contact of the trunk's own say TLS, Contact where it listens for it."""
        where = f"{self.trunk.address}:{self.trunk.port + 1}"
        self.assertRegex(message.header("Contact"), rf"@{where};transport=tls>")

    def test_out(self) -> None:
        """The PBX connects and calls; a call to it takes the connection that stands since then."""
        self.stage(secure=True)
        with Capture() as capture:
            self.callBob()
            listen(2)
            self.pbx.hangUp()
            self.bothClosed()
        self.judge(capture, bobCalled=False)
        self.fromTrunk(responses(self.pbx.messages(), "INVITE", 200, sent=False)[0])
        self.assertEqual(self.connections(), ["proved by IP 127.0.0.1"])
        self.bob.dial(f"sip:{PBX_NUMBER}@{DOMAIN}")
        self.bob.waitEvent("CALL_ESTABLISHED", count=2)
        self.bob.hangUp()
        self.pbx.waitEvent("CALL_CLOSED", count=2)
        self.assertEqual(self.invited().header("Via").split()[0], "SIP/2.0/TLS")
        self.assertEqual(len(self.connections()), 1)

    def test_in(self) -> None:
        """The trunk connects and calls."""
        self.stage(secure=True)
        with Capture() as capture:
            self.callPBX()
            listen(2)
            self.bob.hangUp()
            self.bothClosed()
        self.judge(capture, bobCalled=True)
        self.fromTrunk(self.invited())
        self.assertEqual(self.connections(), [])

    def invited(self) -> Message:
        """The INVITE that the PBX got."""
        return requests(self.pbx.messages(), "INVITE", sent=False)[0]

    def connections(self) -> list[str]:
        """What the PBX proved when it connected."""
        return re.findall(r": TLS connection, TLSv1\.[23] [\w-]+, (.+)", self.trunk.text())
