"""
Session timers (RFC 4028) in real time: who refreshes, how, and what becomes of a dead call.  It takes more
than a minute, nearly all of it waiting, so that C{tests.interop.test_endurance} has it run beside its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.interop.rig import leftovers
from tests.interop.rig.midcall import MidCallCase
from tests.interop.rig.party import CARRIER, PBX, established
from tests.interop.rig.scenarios import Scenario
from tests.interop.rig.sip import requests, responses
from tests.interop.rig.switchboard import Exchange

#: The least interval: half of it until a refresh, two thirds until the BYE.
LEAST, _REFRESH, _DEAD = 90, 45, 60

_UPDATE = "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE"


def expires(refresher: str) -> list[str]:
    """Headers that ask for the least interval; C{refresher} is C{uac} or C{uas}."""
    return ["Supported: timer", f"Session-Expires: {LEAST};refresher={refresher}"]


class SlowTimerTests(MidCallCase):
    """All of it at the same time."""

    bound = 120

    def lasting(
        self, name: str, inbound: bool, *, caller: Sequence[str] = (), callee: Sequence[str] = ()
    ) -> tuple[Scenario, Scenario]:
        """A call that somebody else ends."""
        self.begun = (name, inbound)
        return established(name, inbound=inbound, headers=caller, callee=callee)

    def pair(self, caller: Scenario, callee: Scenario, transport: str) -> Exchange:
        """The exchange of L{lasting}."""
        name, inbound = self.begun
        pbx, carrier = (callee, caller) if inbound else (caller, callee)
        return Exchange(name, pbx, carrier, inbound, transport)

    def weRefresh(self, name: str, inbound: bool, transport: str, ofCaller: bool, method: str) -> Exchange:
        """The trunk refreshes one leg, and nothing is heard of it on the other, which knows no timer."""
        allow = [_UPDATE] if method == "UPDATE" else []
        wanted = {"caller" if ofCaller else "callee": [*expires("uas" if ofCaller else "uac"), *allow]}
        calling, called = self.lasting(name, inbound, **wanted)
        refreshed, party = (calling, "caller") if ofCaller else (called, "callee")
        side = CARRIER if inbound == (party == "caller") else PBX
        refreshed.request(method)
        body = side.sdp() if method == "INVITE" else ""
        refreshed.send(side.answer("200 OK", body, tag="", headers=expires("uac")), retransmit=False)
        if method == "INVITE":
            refreshed.request("ACK")
        (side.hangsUp(refreshed, 2) if ofCaller else side.hangsUp(refreshed, 1, called=True))
        other, otherSide = (
            (called, PBX if inbound else CARRIER) if ofCaller else (calling, CARRIER if inbound else PBX)
        )
        otherSide.hungUp(other)
        return self.pair(calling, called, transport)

    def dead(self, name: str, inbound: bool, transport: str, ofCaller: bool) -> Exchange:
        """The peer that has to refresh is silent: both get BYE."""
        wanted = {"caller" if ofCaller else "callee": expires("uac" if ofCaller else "uas")}
        calling, called = self.lasting(name, inbound, **wanted)
        caller, callee = (CARRIER, PBX) if inbound else (PBX, CARRIER)
        caller.hungUp(calling)
        callee.hungUp(called)
        return self.pair(calling, called, transport)

    def lost(self, name: str, inbound: bool, transport: str) -> Exchange:
        """The callee knows nothing of the call any more when it is refreshed."""
        calling, called = self.lasting(name, inbound, callee=expires("uac"))
        caller, callee = (CARRIER, PBX) if inbound else (PBX, CARRIER)
        called.request("INVITE").send(callee.answer("481 Gone", tag="")).request("ACK")
        caller.hungUp(calling)
        return self.pair(calling, called, transport)

    def test_minute(self) -> None:
        """
        The trunk refreshes PBX and carrier, by re-INVITE with the description and key that stand, or by
        UPDATE; a call that is not refreshed, or unknown when it is, ends at both sides.
        """
        refreshed = [
            self.weRefresh("carrier-callee", False, "udp", False, "INVITE"),
            self.weRefresh("carrier-caller", True, "tcp", True, "UPDATE"),
            self.weRefresh("pbx-caller", False, "tcp", True, "INVITE"),
            self.weRefresh("pbx-callee", True, "udp", False, "UPDATE"),
        ]
        dead = [
            self.dead("dead-carrier", False, "udp", False),
            self.dead("dead-pbx", False, "tcp", True),
            self.dead("dead-pbx-in", True, "udp", False),
        ]
        gone = [self.lost("gone-carrier", False, "udp"), self.lost("gone-pbx", True, "tcp")]
        played = self.playAll(*refreshed, *dead, *gone, seconds=_DEAD + 15)
        for one, exchange in zip(played[:4], refreshed, strict=True):
            both = [one.pbxMessages, one.carrierMessages]
            which = int(exchange.name.startswith("carrier"))
            mine, other = both[which], both[1 - which]
            (refresh,) = [
                m
                for m in requests(mine, "INVITE", sent=False) + requests(mine, "UPDATE", sent=False)
                if m.header("To").count(";tag=")
            ]
            described = [m for m in mine if not m.sent and m.lines("m=audio")]
            since = refresh.time - described[0].time
            self.assertTrue(_REFRESH - 2 < since < _REFRESH + 5, since)
            self.assertRegex(refresh.header("Session-Expires"), rf"^{LEAST};\s*refresher=uac$")
            if refresh.method == "INVITE":
                self.assertEqual(described[-1].lines("o="), described[0].lines("o="))
                self.assertLessEqual(set(described[-1].crypto()), set(described[0].crypto()))
            sent = [m for m in other if not m.sent and not m.status]
            self.assertEqual(
                [m for m in sent if m.header("To").count(";tag=") and m.method in ("INVITE", "UPDATE")], []
            )
        for one in played[4:7]:
            for messages in (one.pbxMessages, one.carrierMessages):
                (bye,) = requests(messages, "BYE", sent=False)
                since = bye.time - responses(messages, "INVITE", 200)[0].time
                self.assertTrue(_DEAD - 2 < since < _DEAD + 5, since)

    def test_zeroLeft(self) -> None:
        """In the end nothing of it is left in the trunk."""
        self.assertEqual(leftovers.judgeAll(), 1)
