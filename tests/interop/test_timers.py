"""
Session timers (RFC 4028): what takes no time.  L{tests.interop.rig.session_timers} has the rest, which
C{test_endurance} plays.
"""

from __future__ import annotations

from tests.interop.rig.midcall import MidCallCase
from tests.interop.rig.party import CARRIER, PBX, registrar
from tests.interop.rig.scenarios import Scenario
from tests.interop.rig.session_timers import LEAST, expires
from tests.interop.rig.sip import requests, responses
from tests.interop.rig.switchboard import Exchange


class TimerTests(MidCallCase):
    """Intervals, and refreshes of the peers' own."""

    def test_tooSmall(self) -> None:
        """A callee, carrier or PBX, that wants a longer interval: 422, and the INVITE comes again with it."""
        exchanges = []
        for inbound, transport in ((False, "udp"), (True, "udp"), (True, "tcp")):
            caller, callee = (CARRIER, PBX) if inbound else (PBX, CARRIER)
            called = Scenario("wants more").request("INVITE", store=True)
            called.send(callee.answer("422 Session Interval Too Small", headers=["Min-SE: 3600"]))
            called.request("ACK")
            callee.hungUp(callee.answers(callee.isCalled(called)))
            calling = registrar(Scenario("caller")) if inbound else Scenario("caller")
            caller.connected(caller.calls(calling, caller.invite(caller.sdp())))
            caller.hangsUp(calling, 2)
            pbx, carrier = (called, calling) if inbound else (calling, called)
            exchanges.append(Exchange(f"more-{inbound}-{transport}", pbx, carrier, inbound, transport))
        for one, exchange in zip(self.playAll(*exchanges), exchanges, strict=True):
            invites = requests(one.pbxMessages if exchange.inbound else one.carrierMessages, "INVITE")
            self.assertEqual([m.header("Session-Expires") for m in invites], ["1800", "3600"])
            self.assertEqual([m.header("Min-SE") for m in invites], ["90", "3600"])
            self.assertEqual(len({m.header("Call-ID") for m in invites}), 1)

    def test_refreshed(self) -> None:
        """A peer's own refresh, by re-INVITE or UPDATE, is answered where it came and never crosses."""
        exchanges, methods = [], []
        for inbound, method, transport in (
            (False, "INVITE", "udp"),
            (False, "UPDATE", "tcp"),
            (True, "INVITE", "udp"),
        ):
            self.call("refresh", inbound, "caller", transport, caller=expires("uac"))
            body = self.actor.sdp() if method == "INVITE" else ""
            refresh = self.write(method, 2, body, headers=expires("uac"))
            self.acting.pause(300).send(refresh).response(100, optional=True).response(200)
            if method == "INVITE":
                self.acting.send(self.write("ACK", 2), retransmit=False)
            exchanges.append(self.end(1))
            methods.append(method)
        for one, exchange, method in zip(self.playAll(*exchanges), exchanges, methods, strict=True):
            acting, answering = self.sides(one, "caller", exchange.inbound)
            answer = responses(acting, method, 200)[-1]
            self.assertRegex(answer.header("Session-Expires"), rf"^{LEAST};\s*refresher=uac$")
            self.assertEqual(len(requests(answering, "INVITE")), 1)
            self.assertEqual(requests(answering, "UPDATE"), [])
