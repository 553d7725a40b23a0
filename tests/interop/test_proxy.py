"""Kamailio between trunk and far end, with TLS on one side and UDP on the other: it records two routes."""

from __future__ import annotations

import re
from dataclasses import replace

from tests.interop.rig.calls import PBX_NUMBER, CallCase
from tests.interop.rig.certificates import DOMAIN
from tests.interop.rig.party import PBX, Party
from tests.interop.rig.ports import host
from tests.interop.rig.scenarios import Scenario
from tests.interop.rig.sip import requests
from tests.interop.rig.sipp import Sipp

#: The far end: a telephone network that speaks UDP, and signs its SDP as if it could do SRTP.
FAR = replace(PBX, secure=True)

_NUMBER = "+442079460043"


class DoubleRecordRouteTests(CallCase):
    """A proxy that changes the transport stands twice in the route set (RFC 5658)."""

    def changes(self, writer: Party, scenario: Scenario, number: int, way: str, *, called: bool) -> Scenario:
        """A re-INVITE, with this CSeq and direction."""
        write = writer.inside(called)
        scenario.pause(300).send(write("INVITE", number, writer.sdp(2, direction=way)))
        scenario.response(100, optional=True).response(200)
        return scenario.send(write("ACK", number), retransmit=False)

    def takes(self, writer: Party, scenario: Scenario, way: str) -> Scenario:
        """A re-INVITE of the other side."""
        # Kamailio challenges in the dialog without keeping a transaction, so it hands on the ACK too.
        scenario.request("ACK", optional=True).request("INVITE")
        return scenario.send(writer.answer("200 OK", writer.sdp(3, direction=way), tag="")).request("ACK")

    def call(self, caller: Party, callee: Party) -> tuple[Scenario, Scenario]:
        """The caller changes the call, then the callee does, and hangs up."""
        called = self.takes(callee, callee.answers(callee.isCalled(Scenario("callee"))), "recvonly")
        callee.hangsUp(self.changes(callee, called, 1, "inactive", called=True), 2, called=True)
        calling = caller.connected(caller.calls(Scenario("caller"), caller.invite(caller.sdp())))
        self.takes(caller, self.changes(caller, calling, 2, "sendonly", called=False), "inactive")
        calling.request("ACK", optional=True)
        return caller.hungUp(calling), called

    def judge(self, far: Sipp) -> None:
        """
        Every request of the trunk in the dialog names the TLS side first, then the UDP side, and the far
        end's Contact as Request-URI; what arrives there has no Route left.
        """
        messages = re.findall(r"sent to tls:\S+\n((?:\t.*\n)+)", self.trunk.text())
        inside = [
            message
            for message in messages
            # Not the ACK of the first INVITE's challenge, which belongs to no dialog.
            if re.match(rf"\t(ACK|BYE|INVITE) (?!\S*@{DOMAIN} )", message)
            and re.search(r"\tTo: .*;tag=", message)
        ]
        kinds = {message.split()[0] for message in inside}
        for message in inside:
            routes = ", ".join(re.findall(r"\tRoute: (.*)", message)).split(", ")
            self.assertEqual(len(routes), 2, message)
            self.assertRegex(
                routes[0], rf"^<sip:{self.carrier.address}:{self.carrier.port};transport=tls;.*r2=on"
            )
            self.assertRegex(routes[1], rf"^<sip:{self.carrier.address}:{self.carrier.udpPort};.*r2=on")
            self.assertRegex(message, rf"^\t\w+ sip:1001@{far.address}:{far.port};transport=UDP ")
        for method in kinds:
            for found in requests(far.messages(), method, sent=False):
                self.assertEqual(found.headers("Route"), [])
        self.kinds = kinds

    def test_callOut(self) -> None:
        """The PBX calls; both sides re-INVITE, the far end hangs up."""
        calling, called = self.call(PBX, FAR)
        far = Sipp(self.scratch, "far", called, address=host(42))
        place = self.scriptedPBX()
        self.stage(pbx=place, bob={"absent": True}, numbers={_NUMBER: f"sip:far@{far.address}:{far.port}"})
        self.started(far)
        self.play(place, calling, _NUMBER).finish()
        far.finish()
        self.judge(far)
        self.assertEqual(self.kinds, {"ACK", "INVITE"})

    def test_callIn(self) -> None:
        """The far end calls; both sides re-INVITE, the PBX hangs up."""
        calling, called = self.call(FAR, PBX)
        place = self.scriptedPBX()
        self.stage(pbx=place, bob={"absent": True})
        pbx = self.started(Sipp(self.scratch, "pbx", called, address=place[0], port=place[1]))
        far = Sipp(
            self.scratch,
            "far",
            calling,
            address=host(42),
            remote=(self.carrier.address, self.carrier.udpPort),
            service=PBX_NUMBER,
        )
        self.started(far).finish()
        pbx.finish()
        self.judge(far)
        self.assertEqual(self.kinds, {"ACK", "INVITE", "BYE"})
