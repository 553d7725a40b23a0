"""Redirections (RFC 3261 sections 8.1.3.4 and 21.3) of scripted carriers and PBXes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tests.interop.rig.certificates import DOMAIN
from tests.interop.rig.party import CARRIER, PBX, Party, registrar
from tests.interop.rig.scenarios import Scenario
from tests.interop.rig.sip import requests, responses
from tests.interop.rig.switchboard import Exchange, ScriptCase

_ELSEWHERE = "+493012345678"

_TRANSPORTS = ("udp", "tcp")


def _moved(party: Party, *contacts: str) -> str:
    """A 302 of C{party}."""
    answer = party.answer("302 Moved Temporarily", tag="m")
    return answer.replace(f"Contact: {party.contact}", f"Contact: {', '.join(contacts)}")


def _redirects(party: Party, *contacts: str) -> Scenario:
    """C{party} is called, and redirects."""
    return party.isCalled(Scenario("redirects")).send(_moved(party, *contacts)).request("ACK")


class RedirectionTests(ScriptCase):
    """Each way, the PBX over UDP and over TCP."""

    def exchange(
        self,
        name: str,
        policy: str,
        caller: Scenario,
        callee: Scenario,
        *,
        inbound: bool,
        transport: str,
        carrierCalls: int = 1,
    ) -> Exchange:
        """A call that one side redirects, under C{policy} of both."""
        lines = [f'redirect = "{policy}"'] if policy else []
        if policy == "follow":
            lines.append('redirect_allow = ["gw.carrier.example"]')
        pbx, carrier = (callee, caller) if inbound else (caller, callee)
        return Exchange(
            f"{name}-{transport}",
            pbx,
            carrier,
            inbound,
            transport,
            pbxLines=lines,
            trunkLines=lines,
            profileLines=['diversion = "diversion"'],
            carrierCalls=carrierCalls,
        )

    def calling(self, party: Party, status: int = 0) -> Scenario:
        """C{party} calls, and hangs up, or is refused with C{status}."""
        script = registrar(Scenario("caller")) if party is CARRIER else Scenario("caller")
        party.calls(script, party.invite(party.sdp()))
        if status:
            script.response(status).send(party.refusalTaken(), retransmit=False)
            return script.pause(200)
        return party.hangsUp(party.connected(script).pause(100), 2)

    def test_carrierFollowed(self) -> None:
        """
        A carrier's 302: the INVITE comes again over the same connection, under its Call-ID, From and To,
        with the Contact as Request-URI, and the call stands.
        """
        contacts = (f"<sip:1@{DOMAIN}>;q=0.1", f"<sip:{_ELSEWHERE}@gw.carrier.example>;q=0.7")
        exchanges = []
        for transport in _TRANSPORTS:
            carrier = CARRIER.isCalled(_redirects(CARRIER, *contacts))
            CARRIER.hungUp(CARRIER.answers(carrier))
            exchanges.append(
                self.exchange(
                    "again", "follow", self.calling(PBX), carrier, inbound=False, transport=transport
                )
            )
        for one in self.playAll(*exchanges):
            first, again = requests(one.carrierMessages, "INVITE", sent=False)
            self.assertEqual(again.requestURI, f"sip:{_ELSEWHERE}@gw.carrier.example")
            for name in ("Call-ID", "From", "To"):
                self.assertEqual(again.header(name), first.header(name))
            numbers = [int(each.header("CSeq").split()[0]) for each in (first, again)]
            self.assertEqual(numbers[1], numbers[0] + 1)

    def test_PBXFollowed(self) -> None:
        """A PBX's 302 to a phone of its own comes back to it; a carrier hears nothing of it."""
        exchanges = []
        for transport in _TRANSPORTS:
            contact = "<sip:1002@[local_ip]:[local_port]>"
            pbx = PBX.hungUp(PBX.answers(PBX.isCalled(_redirects(PBX, contact))))
            exchanges.append(
                self.exchange(
                    "inside", "follow", self.calling(CARRIER), pbx, inbound=True, transport=transport
                )
            )
        for one in self.playAll(*exchanges):
            first, again = requests(one.pbxMessages, "INVITE", sent=False)
            self.assertRegex(again.requestURI, rf"^sip:1002@{re.escape(one.pbx.address)}:{one.pbx.port}")
            self.assertEqual(again.header("Call-ID"), first.header("Call-ID"))
            self.assertEqual(requests(one.carrierMessages, "INVITE", sent=False), [])
            self.assertEqual(responses(one.carrierMessages, "INVITE", 302, sent=False), [])

    def test_forwarded(self) -> None:
        """A PBX's 302 to a number outside: a new call of the PBX's to the carrier, with a Diversion."""
        exchanges = []
        for transport in _TRANSPORTS:
            # One scenario for two Call-IDs: that of its own call, and that of the call that comes back.
            carrier = Scenario("carrier").request("INVITE", store=True, optional=True, next=1)
            CARRIER.calls(registrar(carrier), CARRIER.invite(CARRIER.sdp()))
            CARRIER.hangsUp(CARRIER.connected(carrier).pause(100), 2).label(1)
            CARRIER.hungUp(CARRIER.answers(carrier))
            number = f"tel:{_ELSEWHERE}" if transport == "udp" else f"sip:{_ELSEWHERE}@gw.carrier.example"
            pbx = _redirects(PBX, f"<{number}>").pause(200)
            exchanges.append(
                self.exchange(
                    "outside", "follow", carrier, pbx, inbound=True, transport=transport, carrierCalls=2
                )
            )
        for one in self.playAll(*exchanges):
            (forwarded,) = requests(one.carrierMessages, "INVITE", sent=False)
            self.assertEqual(forwarded.requestURI, f"sip:{_ELSEWHERE}@{DOMAIN}")
            self.assertRegex(forwarded.header("Diversion"), r"^<sip:\+442079461000@.*;reason=unconditional$")
            (own,) = requests(one.carrierMessages, "INVITE", sent=True)
            self.assertNotEqual(forwarded.header("Call-ID"), own.header("Call-ID"))

    def refused(self, name: str, policy: str, status: int, contacts: Sequence[str], inbound: bool) -> None:
        """The callee redirects, and the caller gets C{status}."""
        caller, callee = (CARRIER, PBX) if inbound else (PBX, CARRIER)
        self.exchanges += [
            self.exchange(
                f"{name}-{inbound}",
                policy,
                self.calling(caller, status),
                _redirects(callee, *contacts),
                inbound=inbound,
                transport=transport,
            )
            for transport in _TRANSPORTS
        ]

    def test_notFollowed(self) -> None:
        """
        Passed: 302 with the number at our own address, or at the carrier's domain, and nothing of the other
        side.  Refused, as it is by default: 480.  An emergency number in the second Contact: 503 with cause
        34 for the PBX, 480 for the carrier, and neither Contact is called.
        """
        self.exchanges: list[Exchange] = []
        moved = [f"<sip:{_ELSEWHERE}@mark.example:5070;user=phone>;q=0.5;expires=60", "<mailto:mark@x>"]
        emergency = [f"<sip:{_ELSEWHERE}@{DOMAIN}>", "<tel:9-9-9>;q=0.1"]
        for inbound in (False, True):
            self.refused("passed", "pass", 302, moved, inbound)
            self.refused("default", "", 480, moved, inbound)
            self.refused("emergency", "follow", 480 if inbound else 503, emergency, inbound)
        played = self.playAll(*self.exchanges)
        for exchange, one in zip(self.exchanges, played, strict=True):
            inbound = exchange.inbound
            asked, caller = one.pbxMessages, one.carrierMessages
            if not inbound:
                asked, caller = caller, asked
            self.assertEqual(len(requests(asked, "INVITE", sent=False)), 1, exchange.name)
            (final,) = [each for each in responses(caller, "INVITE", sent=False) if (each.status or 0) > 199]
            self.assertNotRegex(final.text, "(?i)mark")
            if final.status == 302:
                host = re.escape(DOMAIN) if inbound else rf"{re.escape(self.trunk.address)}:\d+"
                wanted = rf"^<sip:\{_ELSEWHERE}@{host}>;q=0\.5;expires=60$"
                self.assertRegex(final.header("Contact"), wanted)
            elif final.status == 503:
                self.assertRegex(final.header("Reason"), r"Q\.850;cause=34")
            else:
                self.assertEqual(final.header("Contact"), "")
