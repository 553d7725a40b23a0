"""Transfers, message by message: REFER and its NOTIFYs (RFC 3515), Replaces (RFC 3891), on either side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import unquote

from tests.interop.rig.certificates import DOMAIN
from tests.interop.rig.party import CARRIER, KEPT, LATE, PBX, Party, late, lateAs, registrar
from tests.interop.rig.scenarios import Scenario
from tests.interop.rig.sip import Message, requests, responses
from tests.interop.rig.switchboard import Exchange, ScriptCase

#: Whom calls are transferred to.
TARGET = "+442079460111"

_FRAGMENT = "message/sipfrag"


def notified(party: Party, scenario: Scenario) -> Scenario:
    """It takes a NOTIFY."""
    return scenario.request("NOTIFY").send(party.answer("200 OK", tag=""), retransmit=False)


def together(party: Party, scenario: Scenario, *methods: str) -> Scenario:
    """
    It takes requests that follow each other at once.  sipp gives up where one comes over TCP before it has
    answered the one before, so it answers them all at the end.
    """
    for number, method in enumerate(methods):
        scenario.request(method, keep=lateAs(f"n{number}"))
    for number in range(len(methods)):
        scenario.send(late(party.answer("200 OK", tag=""), f"n{number}"), retransmit=False)
    return scenario


def asked(scenario: Scenario) -> Scenario:
    """The carrier is re-INVITEd, and agrees."""
    scenario.request("INVITE").send(CARRIER.answer("200 OK", CARRIER.sdp(2), tag=""))
    return scenario.request("ACK")


def target(refuses: str = "", *, again: bool = False) -> Scenario:
    """
    A carrier that is called twice, by the PBX and for the transfer.  The first call ends when nobody else
    ends it for a while.

    @param refuses: what the target answers, instead of talking.
    @param again: the first call gets a re-INVITE.
    """
    carrier = Scenario("carrier").request("INVITE", store=True, keep=KEPT, called=f"{TARGET[3:]}@", next=2)
    CARRIER.answers(carrier)
    if again:
        asked(carrier)
    _ends(carrier, called=True)
    carrier.label(2)
    if refuses:
        return carrier.send(CARRIER.answer(refuses)).request("ACK")
    return CARRIER.hungUp(CARRIER.answers(carrier))


def _ends(carrier: Scenario, *, called: bool, number: int = 1) -> Scenario:
    """It is hung up on, or hangs up after a while."""
    carrier.request("BYE", within=1500, otherwise=1)
    carrier.send(CARRIER.answer("200 OK", tag=""), retransmit=False).label(1)
    return CARRIER.hangsUp(carrier, number, called=called)


class TransferTests(ScriptCase):
    """The trunk carries a transfer out: the other side is not asked."""

    def refers(self, party: Party, number: int, *, called: bool, to: str = "") -> str:
        """A REFER to the target."""
        host = DOMAIN if party is CARRIER else "trunk.example"
        headers = [f"Refer-To: {to or f'<sip:{TARGET}@{host}>'}", f"Referred-By: {party.caller}"]
        return party.inside(called)("REFER", number, headers=headers)

    def outbound(self, transport: str) -> Exchange:
        """A PBX that called transfers."""
        pbx = PBX.connected(PBX.calls(Scenario("PBX"), PBX.invite(PBX.sdp()))).pause(200)
        pbx.send(self.refers(PBX, 2, called=False)).response(202)
        return Exchange(
            f"out-{transport}",
            PBX.hungUp(notified(PBX, notified(PBX, pbx))),
            target(),
            transport=transport,
            carrierCalls=2,
        )

    def inbound(self, transport: str) -> Exchange:
        """A PBX that was called transfers."""
        pbx = PBX.answers(PBX.isCalled(Scenario("PBX"))).pause(200)
        pbx.send(self.refers(PBX, 1, called=True)).response(202)
        carrier = Scenario("carrier").request("INVITE", store=True, keep=KEPT, optional=True, next=2)
        CARRIER.calls(registrar(carrier), CARRIER.invite(CARRIER.sdp()))
        _ends(CARRIER.connected(carrier), called=False, number=2).label(2)
        return Exchange(
            f"in-{transport}",
            # This one does not wait for the trunk's BYE (RFC 5589 section 6.1).
            PBX.hangsUp(notified(PBX, notified(PBX, pbx)), 2, called=True),
            CARRIER.hungUp(CARRIER.answers(carrier)),
            True,
            transport,
            carrierCalls=2,
        )

    def told(self, messages: Sequence[Message], final: int) -> None:
        """The NOTIFYs of one REFER, which end with this status (RFC 3515 section 2.4.5)."""
        notifies = requests(messages, "NOTIFY", sent=False)
        self.assertEqual([int(m.body.split()[1]) for m in notifies], [100, final])
        for message in notifies:
            self.assertEqual(message.header("Event").partition(";")[0], "refer")
            self.assertTrue(message.header("Content-Type").startswith(_FRAGMENT))
        states = [m.header("Subscription-State").partition(";")[0] for m in notifies]
        self.assertEqual(states, ["active", "terminated"])

    def test_blind(self) -> None:
        """
        A PBX's REFER, in a call that it made or got: 202, NOTIFY; the carrier gets a new INVITE, the PBX
        a BYE after the answer if it sends none, and the two parties at the carrier are one call.
        """
        played = self.playAll(
            *(make(way) for make in (self.outbound, self.inbound) for way in ("udp", "tcp"))
        )
        for one in played:
            self.told(one.pbxMessages, 200)
            new = [m for m in requests(one.carrierMessages, "INVITE", sent=False) if TARGET in m.header("To")]
            self.assertEqual(len({m.header("Call-ID") for m in new}), 1)
            self.assertEqual(len(new), 1)
            self.assertEqual(new[0].headers("Referred-By") + new[0].headers("Replaces"), [])
            self.assertEqual(requests(one.carrierMessages, "REFER"), [])
            self.assertEqual(len(requests(one.carrierMessages, "BYE")), 2)

    def test_busy(self) -> None:
        """A target that is busy: the NOTIFY says so, and the call goes on."""
        exchanges = []
        for transport in ("udp", "tcp"):
            pbx = PBX.connected(PBX.calls(Scenario("PBX"), PBX.invite(PBX.sdp()))).pause(200)
            pbx.send(self.refers(PBX, 2, called=False)).response(202)
            # The target refuses at once, and so the second one may come before the first is answered.
            PBX.hangsUp(together(PBX, pbx, "NOTIFY", "NOTIFY").pause(300), 3)
            exchanges.append(
                Exchange(f"busy-{transport}", pbx, target("486 Busy"), transport=transport, carrierCalls=2)
            )
        for one in self.playAll(*exchanges):
            self.told(one.pbxMessages, 486)
            self.assertEqual(requests(one.pbxMessages, "BYE", sent=False), [])

    def test_byCarrier(self) -> None:
        """The carrier transfers the PBX to another number of its own."""
        exchanges = []
        for transport in ("udp", "tcp"):
            carrier = Scenario("carrier").request(
                "INVITE", store=True, keep=KEPT, called=f"{TARGET[3:]}@", next=2
            )
            CARRIER.answers(carrier).pause(200).send(self.refers(CARRIER, 1, called=True)).response(202)
            CARRIER.hangsUp(notified(CARRIER, notified(CARRIER, carrier)), 2, called=True).label(2)
            CARRIER.hungUp(CARRIER.answers(carrier))
            pbx = PBX.connected(PBX.calls(Scenario("PBX"), PBX.invite(PBX.sdp()))).pause(1500)
            exchanges.append(
                Exchange(
                    f"carrier-{transport}",
                    PBX.hangsUp(pbx, 2),
                    carrier,
                    transport=transport,
                    carrierCalls=2,
                    trunkLines=['carrier_transfer = "take-over"'],
                )
            )
        for one in self.playAll(*exchanges):
            self.told(one.carrierMessages, 200)
            self.assertEqual(requests(one.pbxMessages, "BYE", sent=False), [])
            self.assertEqual(requests(one.pbxMessages, "REFER", sent=False), [])

    def refusals(self, transport: str) -> Exchange:
        """REFERs that nobody may carry out."""
        pbx = PBX.connected(PBX.calls(Scenario("PBX"), PBX.invite(PBX.sdp()))).pause(200)
        where = "[remote_ip]:[remote_port]"
        unknown = "Replaces=nobody%3Bto-tag%3D1%3Bfrom-tag%3D2"
        wanted = (
            (400, f"<sip:{TARGET}@{where}>, <sip:1@{where}>"),
            (603, f"<sip:{TARGET}@{where};method=BYE>"),
            (503, f"<sip:999@{where}>"),
            (503, "<tel:112>"),
            (481, f"<sip:{TARGET}@{where}?{unknown}>"),
        )
        for number, (status, to) in enumerate(wanted, 2):
            pbx.send(self.refers(PBX, number, called=False, to=to)).response(status)
        PBX.hangsUp(pbx, 2 + len(wanted))
        return Exchange(
            f"refused-{transport}",
            pbx,
            CARRIER.hungUp(CARRIER.answers(CARRIER.isCalled(Scenario("carrier")))),
            transport=transport,
        )

    def test_refused(self) -> None:
        """
        Two targets are 400, another method 603, a call that nobody knows 481; an emergency number is 503
        with cause 34, in a transfer too.  The call stands.
        """
        for one in self.playAll(self.refusals("udp"), self.refusals("tcp")):
            for refusal in responses(one.pbxMessages, "REFER", 503):
                self.assertRegex(refusal.header("Reason"), r"^Q\.850;cause=34")
            self.assertEqual(requests(one.pbxMessages, "NOTIFY"), [])


class TwoCallsCase(ScriptCase):
    """A PBX with two calls through the trunk."""

    #: The consultation: the PBX's second call.
    second = replace(
        PBX,
        uri=f"sip:{TARGET}@[remote_ip]:[remote_port]",
        called=f"<sip:{TARGET}@[remote_ip]:[remote_port]>",
        callID="b///[call_id]",
    )

    def twoCalls(self) -> Scenario:
        """The PBX has called twice."""
        pbx = PBX.calls(Scenario("PBX"), PBX.invite(PBX.sdp())).response(
            200, store=True, keep={"first": "To"}
        )
        pbx.send(PBX.again("ACK", 1), retransmit=False)
        self.second.calls(pbx, self.second.invite(PBX.sdp())).response(200, store=True, tag="tag")
        return pbx.send(self.second.again("ACK", 1), retransmit=False)

    def first(self, message: str) -> str:
        """A request of the first call, although the second one's answer came last."""
        return message.replace(f"{PBX.called}[peer_tag_param]", "[$first]").replace("[next_url]", PBX.uri)


class ReplacesTests(TwoCallsCase):
    """Calls through the trunk that take the place of others."""

    def test_attended(self) -> None:
        """
        A PBX's REFER in one call, with Replaces of its other one through the trunk: both calls of the PBX
        end, and the two parties at the carrier talk; no REFER and no new call reaches anybody.
        """
        exchanges = []
        for transport in ("udp", "tcp"):
            names = "b%2F%2F%2F[call_id]%3Bto-tag%3D[$tag]%3Bfrom-tag%3D[pid]a[call_number]"
            to = f"Refer-To: <sip:{TARGET}@[remote_ip]:[remote_port]?Replaces={names}>"
            pbx = self.twoCalls().send(self.first(PBX.again("REFER", 2, headers=[to]))).response(202)
            PBX.hungUp(together(PBX, pbx, "NOTIFY", "NOTIFY", "BYE"))
            exchanges.append(
                Exchange(
                    f"attended-{transport}", pbx, target(again=True), transport=transport, carrierCalls=2
                )
            )
        for one in self.playAll(*exchanges):
            self.assertEqual([m.body.split()[1] for m in requests(one.pbxMessages, "NOTIFY")], ["100", "200"])
            self.assertEqual(len(requests(one.pbxMessages, "BYE", sent=False)), 2)
            self.assertEqual(len({m.header("Call-ID") for m in requests(one.carrierMessages, "INVITE")}), 2)
            self.assertEqual(requests(one.carrierMessages, "REFER"), [])
            # One at the carrier hangs up, and the other is hung up on.
            self.assertEqual(sorted(m.sent for m in requests(one.carrierMessages, "BYE")), [False, True])

    def test_invite(self) -> None:
        """Another phone of the PBX takes a call over: INVITE with Replaces; the carrier's leg stays."""
        exchanges = []
        for transport in ("udp", "tcp"):
            names = "[call_id];to-tag=[$tag];from-tag=[pid]a[call_number]"
            pbx = PBX.calls(Scenario("PBX"), PBX.invite(PBX.sdp())).response(200, store=True, tag="tag")
            pbx.send(PBX.again("ACK", 1), retransmit=False).pause(200)
            takes = self.second.invite(PBX.sdp(), headers=[f"Replaces: {names}", "Require: replaces"])
            self.second.calls(pbx, takes).response(200, store=True, keep={"second": "To"})
            pbx.request("BYE", keep=LATE)
            ack, end = (
                write.replace(f"{self.second.called}[peer_tag_param]", "[$second]")
                for write in (self.second.again("ACK", 1), self.second.again("BYE", 2))
            )
            pbx.send(ack, retransmit=False)
            pbx.send(late(PBX.answer("200 OK", tag="")), retransmit=False).pause(200).send(end).response(200)
            carrier = asked(CARRIER.answers(CARRIER.isCalled(Scenario("carrier"))))
            exchanges.append(
                Exchange(f"taken-{transport}", pbx, CARRIER.hungUp(carrier), transport=transport)
            )
        for one in self.playAll(*exchanges):
            self.assertEqual(len({m.header("Call-ID") for m in requests(one.carrierMessages, "INVITE")}), 1)
            (left,) = requests(one.pbxMessages, "BYE", sent=False)
            first, second = requests(one.pbxMessages, "INVITE")
            self.assertEqual(left.header("Call-ID"), first.header("Call-ID"))

    def test_pickup(self) -> None:
        """One phone picks up a call that rings at another one: INVITE with Replaces, CANCEL there."""
        picks = replace(PBX, uri="[next_url]", called="<[next_url]>", callID="b///[call_id]")
        exchanges = []
        for transport in ("udp", "tcp"):
            pbx = Scenario("PBX").request("INVITE", store=True, keep=LATE, tag="tag")
            pbx.send(PBX.answer("180 Ringing"), retransmit=False).pause(300)
            names = "[call_id];from-tag=[pid]b[call_number];to-tag=[$tag];early-only"
            picks.calls(pbx, picks.invite(PBX.sdp(), headers=[f"Replaces: {names}", "Require: replaces"]))
            pbx.request("CANCEL", keep=lateAs("end")).response(200, store=True, keep={"second": "To"})
            pbx.send(late(PBX.answer("200 OK"), "end"), retransmit=False)
            pbx.send(late(PBX.answer("487 Terminated"))).request("ACK")
            ack = picks.again("ACK", 1).replace(f"{picks.called}[peer_tag_param]", "[$second]")
            PBX.hungUp(pbx.send(ack, retransmit=False))
            exchanges.append(Exchange(f"pickup-{transport}", pbx, self.caller(), True, transport))
        for one in self.playAll(*exchanges):
            (bye,) = requests(one.pbxMessages, "BYE")
            picked = requests(one.pbxMessages, "INVITE", sent=True)[0]
            self.assertEqual(bye.header("Call-ID"), picked.header("Call-ID"))

    def caller(self) -> Scenario:
        """A carrier that calls, and hangs up."""
        carrier = CARRIER.calls(registrar(Scenario("carrier")), CARRIER.invite(CARRIER.sdp()))
        return CARRIER.hangsUp(CARRIER.connected(carrier).pause(600), 2)


class PolicyTests(TwoCallsCase):
    """What C{trunk.transfer} says instead."""

    def tells(self, carrier: Scenario, first: int) -> Scenario:
        """The carrier's NOTIFYs, with these CSeqs."""
        for number, (status, state) in enumerate(
            (("180 Ringing", "active"), ("200 OK", "terminated")), first
        ):
            if number > first:
                # The second one crosses at once, and sipp takes nothing while it still answers the first.
                carrier.pause(200)
            headers = ["Event: refer", f"Subscription-State: {state}"]
            body = f"SIP/2.0 {status}\n"
            carrier.send(CARRIER.back("NOTIFY", number, body, headers=headers, kind=_FRAGMENT)).response(200)
        return carrier

    def test_passed(self) -> None:
        """
        The REFER crosses, with Replaces in the names that the carrier knows; its NOTIFYs come back, the PBX
        ends both calls.
        """
        exchanges = []
        for transport in ("udp", "tcp"):
            carrier = Scenario("carrier").request(
                "INVITE", store=True, keep=KEPT, called=f"{TARGET[3:]}@", next=2
            )
            CARRIER.answers(carrier).request("REFER")
            self.tells(carrier.send(CARRIER.answer("202 Accepted", tag=""), retransmit=False), 1)
            CARRIER.hungUp(CARRIER.answers(CARRIER.hungUp(carrier).label(2)))
            names = "b%2F%2F%2F[call_id]%3Bto-tag%3D[$tag]%3Bfrom-tag%3D[pid]a[call_number]"
            to = f"Refer-To: <sip:{TARGET}@trunk.example?Replaces={names}>"
            pbx = self.twoCalls().send(self.first(PBX.again("REFER", 2, headers=[to]))).response(202)
            notified(PBX, notified(PBX, pbx)).send(self.first(PBX.again("BYE", 3))).response(200)
            end = self.second.again("BYE", 2).replace("[peer_tag_param]", ";tag=[$tag]")
            exchanges.append(
                Exchange(
                    f"passed-{transport}",
                    pbx.send(end).response(200),
                    carrier,
                    transport=transport,
                    trunkLines=['transfer = "pass"'],
                    carrierCalls=2,
                )
            )
        for one in self.playAll(*exchanges):
            self.assertEqual([m.body.split()[1] for m in requests(one.pbxMessages, "NOTIFY")], ["180", "200"])
            (refer,) = requests(one.carrierMessages, "REFER")
            consultation = next(
                m for m in responses(one.carrierMessages, "INVITE", 200) if TARGET in m.header("To")
            )
            ours, theirs = (consultation.header(n).partition("tag=")[2] for n in ("From", "To"))
            replaced = unquote(refer.header("Refer-To").partition("?")[2].strip("<>"))
            wanted = f"Replaces={consultation.header('Call-ID')};to-tag={theirs};from-tag={ours}"
            self.assertTrue(replaced.startswith(wanted), replaced)

    def test_refused(self) -> None:
        """603, and an INVITE with Replaces of a call that nobody knows is 481 as ever."""
        exchanges = []
        for transport in ("udp", "tcp"):
            pbx = PBX.connected(PBX.calls(Scenario("PBX"), PBX.invite(PBX.sdp()))).pause(200)
            pbx.send(PBX.again("REFER", 2, headers=[f"Refer-To: <sip:{TARGET}@trunk.example>"])).response(603)
            PBX.hangsUp(pbx, 3)
            unknown = ["Replaces: nobody;to-tag=1;from-tag=2", "Require: replaces"]
            self.second.calls(pbx, self.second.invite(PBX.sdp(), headers=unknown)).response(481)
            pbx.send(self.second.refusalTaken(), retransmit=False).pause(200)
            carrier = CARRIER.hungUp(CARRIER.answers(CARRIER.isCalled(Scenario("carrier"))))
            exchanges.append(
                Exchange(
                    f"no-{transport}", pbx, carrier, transport=transport, trunkLines=['transfer = "refuse"']
                )
            )
        for one in self.playAll(*exchanges):
            self.assertEqual(len(requests(one.carrierMessages, "INVITE")), 1)
            self.assertEqual(requests(one.pbxMessages, "NOTIFY"), [])
