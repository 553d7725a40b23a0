"""Requests and answers that need no call, or make one that is refused or routed in an odd way."""

from __future__ import annotations

from dataclasses import replace

from tests.interop.rig.certificates import DOMAIN
from tests.interop.rig.party import CARRIER, PBX, Party, established, registrar
from tests.interop.rig.scenarios import Scenario
from tests.interop.rig.sip import requests, responses
from tests.interop.rig.switchboard import Exchange, ScriptCase

#: Who calls, and how the PBX signals.
WAYS = [(False, "udp"), (False, "tcp"), (True, "udp"), (True, "tcp")]


def pair(name: str, inbound: bool, transport: str, caller: Scenario, callee: Scenario | None) -> Exchange:
    """An exchange of a caller and a callee."""
    pbx, carrier = (callee, caller) if inbound else (caller, callee)
    return Exchange(f"{name}-{inbound}-{transport}", pbx, carrier, inbound, transport)


class RefusalTests(ScriptCase):
    """What is refused before anything is done for it (RFC 3261 section 8.2)."""

    def refused(self, inbound: bool, transport: str) -> Exchange:
        """One request after the other."""
        party = CARRIER if inbound else PBX
        script = registrar(Scenario("asks")) if inbound else Scenario("asks")
        for number, (method, status) in enumerate(
            (("OPTIONS", 200), ("MESSAGE", 405), ("SUBSCRIBE", 405), ("WIBBLE", 501)), 1
        ):
            script.send(party.invite(method=method, number=number)).response(status)
        refusals = [
            (483, party.invite(party.sdp(), hops=0, number=5)),
            (420, party.invite(party.sdp(), headers=["Require: 100rel, path, nothing-known"], number=6)),
            (415, party.invite("hello", kind="text/plain", number=7)),
            (422, party.invite(party.sdp(), headers=["Session-Expires: 60", "Supported: timer"], number=8)),
            (416, party.invite(party.sdp(), number=9)),
            (488, party.invite(party.sdp().replace("m=audio", "m=video"), number=10)),
        ]
        for number, (status, message) in enumerate(refusals, 5):
            if status == 416:
                start, _, rest = message.partition("\n")
                message = f"INVITE mailto:somebody@{DOMAIN} SIP/2.0\n{rest}"
            script.send(message).response(100, optional=True).response(status)
            script.send(party.refusalTaken(number), retransmit=False)
        return pair("refused", inbound, transport, script.pause(200), None)

    def test_outside(self) -> None:
        """
        From PBX and carrier: OPTIONS is answered, MESSAGE and what is not known are refused, Max-Forwards 0
        is 483, an extension that is required and not known 420, a body of another kind 415, a short
        session 422, another scheme 416, no audio 488; the other side hears nothing of it.
        """
        for one, (inbound, _) in zip(self.playAll(*(self.refused(*way) for way in WAYS)), WAYS, strict=True):
            asker, other = one.pbxMessages, one.carrierMessages
            if inbound:
                asker, other = other, asker
            self.assertEqual(other, [])
            (options,) = responses(asker, "OPTIONS")
            for name, value in (("Allow", "INVITE"), ("Accept", "application/sdp"), ("Supported", "timer")):
                self.assertIn(value, options.header(name))
            for method in ("MESSAGE", "WIBBLE"):
                self.assertIn("INVITE", responses(asker, method)[0].header("Allow"))
            for status, name, value in (
                (420, "Unsupported", "path, nothing-known"),
                (415, "Accept", "application/sdp, multipart/mixed"),
                (422, "Min-SE", "90"),
            ):
                self.assertEqual(responses(asker, "INVITE", status)[0].header(name), value)
            warning = responses(asker, "INVITE", 488)[0].header("Warning")
            self.assertRegex(warning, r'^30[45] skypetrunk "')

    def merged(self, inbound: bool, transport: str) -> Exchange:
        """The caller's INVITE comes twice, over two ways."""
        caller, callee = (CARRIER, PBX) if inbound else (PBX, CARRIER)
        called = callee.isCalled(Scenario("callee")).pause(500)
        callee.hungUp(callee.answers(called))
        calling = registrar(Scenario("caller")) if inbound else Scenario("caller")
        calling.send(caller.invite(caller.sdp())).response(100)
        calling.send(caller.invite(caller.sdp()), retransmit=False).response(100, optional=True).response(482)
        calling.send(caller.refusalTaken(), retransmit=False)
        caller.hangsUp(caller.connected(calling), 2)
        return pair("merged", inbound, transport, calling, called)

    def test_merged(self) -> None:
        """The second copy of an INVITE that was forked before it came here is 482 (section 8.2.2.2)."""
        for one, (inbound, _) in zip(self.playAll(*(self.merged(*way) for way in WAYS)), WAYS, strict=True):
            callee = one.pbxMessages if inbound else one.carrierMessages
            # Over UDP the one that reached the callee is sent again, until it answers.
            self.assertEqual(len({m.header("Via") for m in requests(callee, "INVITE")}), 1)

    def answered(self, inbound: bool, transport: str, number: int) -> Exchange:
        """The callee refuses."""
        status, headers, wanted = self.answers[number]
        caller, callee = (CARRIER, PBX) if inbound else (PBX, CARRIER)
        called = callee.isCalled(Scenario("refuses")).send(callee.answer(status, headers=headers))
        called.request("ACK")
        calling = registrar(Scenario("caller")) if inbound else Scenario("caller")
        caller.calls(calling, caller.invite(caller.sdp())).response(wanted)
        calling.send(caller.refusalTaken(), retransmit=False).pause(200)
        return pair(f"answered{number}", inbound, transport, calling, called)

    #: What the callee answers, and the status that the caller gets.
    answers = (
        ("480 Away", ["Retry-After: 30 (MARK lunch);duration=60", "Reason: SIP;cause=486"], 480),
        ("486 Busy", ['Reason: Q.850;cause=17;text="MARK"', "Warning: 399 mark.example MARK"], 486),
        ("404 Nowhere", ["Reason: Q.850;cause=1", "Retry-After: 10"], 404),
        ("603 Declined", ["Reason: SIP;cause=200, Q.850;cause=21"], 603),
        ("488 Media", ['Warning: 304 mark.example "MARK", 399 mark.example "MARK"'], 488),
    )

    def test_answers(self) -> None:
        """Retry-After, the Q.850 cause and the Warning of a refusal cross, both ways, without their texts."""
        kinds = [(*way, number) for number in range(5) for way in (WAYS[number % 2], WAYS[2 + number % 2])]
        for one, (inbound, _, number) in zip(
            self.playAll(*(self.answered(*kind) for kind in kinds)), kinds, strict=True
        ):
            status, headers, wanted = self.answers[number]
            caller = one.carrierMessages if inbound else one.pbxMessages
            (refusal,) = responses(caller, "INVITE", wanted, sent=False)
            self.assertEqual(refusal.header("Retry-After"), ("30", "", "10", "", "")[number])
            cause = ("", "17", "1", "21", "")[number]
            self.assertRegex(refusal.header("Reason"), rf"^Q\.850;cause={cause}\b" if cause else "^$")
            self.assertRegex(refusal.header("Warning"), r'^304 skypetrunk "[^"]*"$' if number == 4 else "^$")
            self.assertNotRegex(refusal.text, "(?i)mark")


class OptionsTests(ScriptCase):
    """A carrier that wants no registration is asked for OPTIONS instead."""

    def test_asked(self) -> None:
        """The trunk is up once OPTIONS is answered, with 404 too, and then calls."""
        carrier = CARRIER.isCalled(Scenario("carrier").request("OPTIONS", optional=True, next=1))
        CARRIER.hungUp(CARRIER.answers(carrier)).label(1)
        carrier.send(CARRIER.answer("404 Who", tag="o"), retransmit=False)
        pbx = PBX.connected(PBX.calls(Scenario("PBX").pause(500), PBX.invite(PBX.sdp())))
        lines = ["options_interval = 60"]
        one = Exchange("options", PBX.hangsUp(pbx, 2), carrier, profileLines=lines, carrierCalls=2)
        (played,) = self.playAll(one)
        (asked,) = requests(played.carrierMessages, "OPTIONS")
        self.assertEqual(asked.requestURI, f"sip:{DOMAIN}")


class RouteTests(ScriptCase):
    """Proxies that stay in the dialog (RFC 3261 sections 12.2.1.1 and 16.12)."""

    def routed(self, inbound: bool, transport: str, strict: bool) -> Exchange:
        """The callee's side has two proxies, the caller's one or two of its own; the callee ends the call."""
        caller, callee = (CARRIER, PBX) if inbound else (PBX, CARRIER)
        lr = "" if strict else ";lr"
        records = {
            party: [f"Record-Route: <sip:{place};x=2{lr}>, <sip:{place};x=1{lr}>"]
            for party, place in ((PBX, "[local_ip]:[local_port];transport=[transport]"), (CARRIER, DOMAIN))
        }
        calling, called = established(
            "routed", inbound=inbound, headers=records[caller], callee=records[callee]
        )
        called.send(callee.back("BYE", 1)).response(200)
        caller.hungUp(calling)
        return pair(f"routed{strict}", inbound, transport, calling, called)

    def test_routes(self) -> None:
        """
        With loose routers the Request-URI is the Contact and Route has the routers; with strict ones
        the first router is the Request-URI and the Contact the last Route.  Towards the callee the order
        is turned round, towards the caller it is not.
        """
        kinds = [(*way, strict) for strict in (False, True) for way in WAYS]
        for one, (inbound, _, strict) in zip(
            self.playAll(*(self.routed(*kind) for kind in kinds)), kinds, strict=True
        ):
            caller, callee = one.pbxMessages, one.carrierMessages
            if inbound:
                caller, callee = callee, caller
            for messages, method, order in ((callee, "ACK", "12"), (caller, "BYE", "21")):
                (found,) = requests(messages, method, sent=False)
                routes = ", ".join(found.headers("Route")).split(", ")
                through = [found.requestURI, *routes] if strict else [*routes, found.requestURI]
                places = [uri.partition(";x=")[2][:1] for uri in through]
                self.assertEqual(places, [*order, ""], found.text)

    def test_maddr(self) -> None:
        """A PBX whose Contact names a host that nobody knows, and C{maddr}: BYE goes there."""
        exchanges = []
        for inbound, transport in WAYS:
            pbx = replace(
                PBX, contact="<sip:1001@pbx.invalid:[local_port];maddr=[local_ip];transport=[transport]>"
            )
            exchanges.append(self.ended(pbx, inbound, transport))
        for one in self.playAll(*exchanges):
            (bye,) = requests(one.pbxMessages, "BYE", sent=False)
            self.assertRegex(bye.requestURI, rf"^sip:1001@pbx\.invalid:\d+;maddr={one.pbx.address}\b")

    def ended(self, pbx: Party, inbound: bool, transport: str) -> Exchange:
        """A call that the carrier ends."""
        if inbound:
            called = pbx.hungUp(pbx.answers(pbx.isCalled(Scenario("PBX"))))
            calling = CARRIER.calls(registrar(Scenario("carrier")), CARRIER.invite(CARRIER.sdp()))
            CARRIER.hangsUp(CARRIER.connected(calling).pause(200), 2)
        else:
            called = CARRIER.answers(CARRIER.isCalled(Scenario("carrier"))).pause(200)
            CARRIER.hangsUp(called, 1, called=True)
            calling = pbx.hungUp(pbx.connected(pbx.calls(Scenario("PBX"), pbx.invite(pbx.sdp()))))
        return pair("maddr", inbound, transport, calling, called)


class BodyTests(ScriptCase):
    """What stands in an INVITE beside the description."""

    def parts(self, inbound: bool, transport: str) -> Exchange:
        """The caller's description is one of two parts."""
        caller = CARRIER if inbound else PBX
        body = (
            f"--sep\nContent-Type: text/plain\n\nMARK\n--sep\nContent-Type: application/sdp\n\n{caller.sdp()}"
        )
        message = caller.invite(f"{body}--sep--\n", kind="multipart/mixed;boundary=sep")
        calling, called = established("parts", inbound=inbound, invite=message)
        caller.hangsUp(calling, 2)
        (PBX if inbound else CARRIER).hungUp(called)
        return pair("parts", inbound, transport, calling, called)

    def test_multipart(self) -> None:
        """SDP in C{multipart/mixed} is found (RFC 5621), and goes on alone."""
        for one, (inbound, _) in zip(self.playAll(*(self.parts(*way) for way in WAYS)), WAYS, strict=True):
            callee = one.pbxMessages if inbound else one.carrierMessages
            (found,) = requests(callee, "INVITE")
            self.assertEqual(found.header("Content-Type"), "application/sdp")
            self.assertEqual(len(found.lines("m=audio")), 1)
            self.assertNotIn("MARK", found.text)

    def test_identity(self) -> None:
        """
        The carrier's Identity (RFC 8224), its Date and the verstat of the number reach the PBX as they came;
        a PBX's never leave.
        """
        token = (
            "eyJhbGciOiJFUzI1NiJ9.eyJvcmlnIjp7fX0.c2lnbmF0dXJl;info=<https://cert.example/a.pem>;alg=ES256"
        )
        date = "Thu, 26 Nov 2026 08:00:00 GMT"
        asserted = f"<sip:+4930123456;verstat=TN-Validation-Passed@{DOMAIN};user=phone>"
        headers = [f"Identity: {token}", f"Date: {date}", f"P-Asserted-Identity: {asserted}"]
        exchanges = []
        for inbound, transport in WAYS:
            calling, called = established("identity", inbound=inbound, headers=headers)
            caller, callee = (CARRIER, PBX) if inbound else (PBX, CARRIER)
            caller.hangsUp(calling, 2)
            exchanges.append(pair("identity", inbound, transport, calling, callee.hungUp(called)))
        for one, (inbound, _) in zip(self.playAll(*exchanges), WAYS, strict=True):
            if inbound:
                (found,) = requests(one.pbxMessages, "INVITE")
                self.assertEqual((found.header("Identity"), found.header("Date")), (token, date))
                self.assertRegex(
                    found.header("P-Asserted-Identity"), r"\+4930123456;verstat=TN-Validation-Passed@"
                )
            else:
                (found,) = requests(one.carrierMessages, "INVITE")
                for name in ("Identity", "Date", "P-Asserted-Identity"):
                    self.assertEqual(found.headers(name), [], name)
