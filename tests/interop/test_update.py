"""UPDATE (RFC 3311), in a call and before it is answered, on each leg by itself."""

from __future__ import annotations

from tests.interop.rig.midcall import KINDS, MidCallCase
from tests.interop.rig.party import CARRIER, LATE, PBX, late, registrar
from tests.interop.rig.scenarios import Scenario
from tests.interop.rig.sip import requests, responses
from tests.interop.rig.switchboard import Exchange

_TAKES = "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE"
_NOT = "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS"


class UpdateTests(MidCallCase):
    """Offers in UPDATE."""

    def update(self, inbound: bool, actor: str, transport: str, taken: bool) -> Exchange:
        """An offer, then one without, which changes nothing."""
        allow = [_TAKES if taken else _NOT]
        self.call("update", inbound, actor, transport, caller=allow, callee=allow)
        first = self.first
        offer = self.actor.sdp(2, direction="sendonly")
        self.acting.pause(300).send(self.write("UPDATE", first, offer)).response(200, body="a=recvonly")
        self.acting.send(self.write("UPDATE", first + 1)).response(200)
        self.answering.request("UPDATE" if taken else "INVITE", body="a=sendonly")
        answer = self.partner.answer("200 OK", self.partner.sdp(2, direction="recvonly"), tag="")
        self.answering.send(answer, retransmit=not taken)
        if not taken:
            self.answering.request("ACK")
        return self.end(2)

    def test_crosses(self) -> None:
        """An offer crosses as UPDATE; one without is answered where it came (RFC 3311 section 5)."""
        for one, (inbound, actor, _) in zip(
            self.playAll(*(self.update(*kind, True) for kind in KINDS)), KINDS, strict=True
        ):
            acting, answering = self.sides(one, actor, inbound)
            self.assertEqual(len(requests(answering, "UPDATE")), 1)
            with_, without = responses(acting, "UPDATE", 200)
            self.assertEqual((len(with_.lines("m=audio")), without.body.strip()), (1, ""))

    def test_asReinvite(self) -> None:
        """The other side does not take UPDATE: it gets a re-INVITE."""
        for one, (inbound, actor, _) in zip(
            self.playAll(*(self.update(*kind, False) for kind in KINDS)), KINDS, strict=True
        ):
            _, answering = self.sides(one, actor, inbound)
            self.assertEqual(requests(answering, "UPDATE"), [])

    def early(self, inbound: bool, transport: str) -> Exchange:
        """The caller changes its media while the callee rings."""
        caller, callee = (CARRIER, PBX) if inbound else (PBX, CARRIER)
        called = Scenario("callee").request("INVITE", store=True, keep=LATE)
        progress = callee.answer("183 Session Progress", callee.sdp(), headers=["Require: 100rel", "RSeq: 1"])
        called.send(late(progress), retransmit=False)
        called.request("PRACK").send(callee.answer("200 OK", tag=""), retransmit=False).pause(700)
        called.send(late(callee.answer("200 OK"))).request("ACK")
        called.request("INVITE", body="a=sendonly")
        called.send(callee.answer("200 OK", callee.sdp(2, direction="recvonly"), tag="")).request("ACK")
        calling = registrar(Scenario("caller")) if inbound else Scenario("caller")
        caller.calls(calling, caller.invite(caller.sdp(), headers=["Require: 100rel", _TAKES]))
        calling.response(183, store=True, keep={"seq": "RSeq"})
        calling.send(caller.again("PRACK", 2, headers=["RAck:[$seq] 1 INVITE"])).response(200)
        calling.send(caller.again("UPDATE", 3, caller.sdp(2, direction="sendonly")))
        calling.response(200, body="a=recvonly")
        calling.response(200, store=True).send(caller.again("ACK", 1), retransmit=False)
        caller.hangsUp(calling.pause(700), 4)
        pbx, carrier = (callee.hungUp(called), calling) if inbound else (calling, callee.hungUp(called))
        return Exchange(f"early-{inbound}-{transport}", pbx, carrier, inbound, transport)

    def test_early(self) -> None:
        """
        An offer before the answer is answered on its own leg at once; the other side gets what changed
        after its answer.
        """
        kinds = [(False, "udp"), (False, "tcp"), (True, "udp"), (True, "tcp")]
        for one, (inbound, _) in zip(
            self.playAll(*(self.early(*kind) for kind in kinds)), kinds, strict=True
        ):
            caller, callee = one.pbxMessages, one.carrierMessages
            if inbound:
                caller, callee = callee, caller
            (update,) = responses(caller, "UPDATE", 200)
            answered = responses(callee, "INVITE", 200, sent=True)[0]
            self.assertLess(update.time, answered.time)
            self.assertEqual(requests(callee, "UPDATE"), [])

    def resources(self, inbound: bool, transport: str) -> Exchange:
        """
        A caller that has resources to reserve, and two branches: the first says something early, the second
        answers.  Then a hold and its end.
        """
        caller, callee = (CARRIER, PBX) if inbound else (PBX, CARRIER)
        called = Scenario("callee").request("INVITE", store=True, keep=LATE, body="a=inactive")
        for tag in ("one", "two"):
            early = callee.sdp(direction="inactive")
            headers = ["Require: 100rel", "RSeq: 1"]
            progress = callee.answer("183 Session Progress", early, tag=tag, headers=headers)
            called.send(late(progress), retransmit=False)
            called.request("PRACK").send(callee.answer("200 OK", tag=""), retransmit=False).pause(500)
        called.send(late(callee.answer("200 OK", tag="two"))).request("ACK")
        for version, direction in enumerate(("sendrecv", "sendonly", "sendrecv"), 2):
            called.request("INVITE", body=f"a={direction}")
            body = callee.sdp(version, direction=direction.replace("sendonly", "recvonly"))
            called.send(callee.answer("200 OK", body, tag="")).request("ACK")
        calling = registrar(Scenario("caller")) if inbound else Scenario("caller")
        invite = caller.invite(caller.sdp(direction="inactive"), headers=["Require: 100rel", _TAKES])
        caller.calls(calling, invite).response(183, store=True, keep={"seq": "RSeq"})
        calling.send(caller.again("PRACK", 2, headers=["RAck:[$seq] 1 INVITE"])).response(200)
        calling.send(caller.again("UPDATE", 3, caller.sdp(2))).response(200, body="a=inactive")
        calling.response(183, store=True, keep={"next": "RSeq"})
        calling.send(caller.again("PRACK", 4, headers=["RAck:[$next] 1 INVITE"])).response(200)
        calling.response(200, store=True).send(caller.again("ACK", 1), retransmit=False)
        calling.request("INVITE", body="a=sendrecv")
        calling.send(caller.answer("200 OK", caller.sdp(2), tag="")).request("ACK").pause(300)
        for number, direction in ((5, "sendonly"), (6, "sendrecv")):
            calling.send(caller.again("INVITE", number, caller.sdp(number, direction=direction)))
            calling.response(100, optional=True).response(200)
            calling.send(caller.again("ACK", number), retransmit=False).pause(300)
        caller.hangsUp(calling, 7)
        pbx, carrier = (callee.hungUp(called), calling) if inbound else (calling, callee.hungUp(called))
        return Exchange(f"resources-{inbound}-{transport}", pbx, carrier, inbound, transport)

    def test_resources(self) -> None:
        """
        Who begins inactive and changes that early hears the branch that answers, and is on hold and goes on
        as in any other call.
        """
        kinds = [(False, "udp"), (False, "tcp"), (True, "udp"), (True, "tcp")]
        self.playAll(*(self.resources(*kind) for kind in kinds))
