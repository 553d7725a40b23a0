"""How calls are set up, message by message: branches, reliable provisional answers, late offers."""

from __future__ import annotations

from tests.interop.rig.audio import sineALaw
from tests.interop.rig.calls import PBX_TONE
from tests.interop.rig.capture import Capture, media
from tests.interop.rig.party import CARRIER, LATE, PBX, late, registrar
from tests.interop.rig.scenarios import Scenario
from tests.interop.rig.sip import Message, requests, responses
from tests.interop.rig.switchboard import Exchange, ScriptCase


def tagOf(message: Message) -> str:
    """The tag in To."""
    return message.header("To").partition(";tag=")[2]


class ForkTests(ScriptCase):
    """A carrier whose proxy forks the call (RFC 3261 section 12.1, RFC 3960)."""

    def forked(self, transport: str) -> Exchange:
        """Two branches with early media of their own; the second answers, then the first does too."""
        early = "183 Session Progress"
        ports = ("[media_port]", "[media_port+2]")
        carrier = CARRIER.isCalled(Scenario("forks"))
        for branch, port in zip("xy", ports, strict=True):
            carrier.send(CARRIER.answer(early, CARRIER.sdp(port=port), tag=branch), retransmit=False)
            carrier.pause(700)
        carrier.send(CARRIER.answer("200 OK", CARRIER.sdp(port=ports[1]), tag="y")).request("ACK")
        # More than one branch knew our key.
        carrier.request("INVITE").send(CARRIER.answer("200 OK", CARRIER.sdp(2, port=ports[1]), tag=""))
        CARRIER.hungUp(carrier.request("ACK"))
        pbx = PBX.calls(Scenario("PBX"), PBX.invite(PBX.sdp(port="[rtpstream_audio_port]")))
        pbx.response(183).play("tone.pcma").response(183, optional=True)
        pbx.response(200, store=True).send(PBX.again("ACK", 1), retransmit=False).pause(500)
        return Exchange(f"fork-{transport}", PBX.hangsUp(pbx, 2), carrier, transport=transport)

    def test_branches(self) -> None:
        """
        The PBX sees one dialog and one description; media goes to the branch that spoke last, and
        after the answer to nobody but the branch that answers, which gets a key that no other has.
        """
        (self.scratch / "tone.pcma").write_bytes(sineALaw(PBX_TONE, 4))
        with Capture() as capture:
            played = self.playAll(self.forked("udp"), self.forked("tcp"))
        for one in played:
            told = [m for m in responses(one.pbxMessages, "INVITE") if m.status != 100]
            self.assertEqual({m.status for m in told}, {183, 200})
            self.assertEqual(len({tagOf(m) for m in told}), 1)
            self.assertEqual(len({tuple(m.lines("m=")) for m in told if m.body.strip()}), 1)
            answered = responses(one.carrierMessages, "INVITE", 200, sent=True)[0]
            for found in (*requests(one.carrierMessages, "ACK"), *requests(one.carrierMessages, "BYE")):
                self.assertEqual(tagOf(found), tagOf(answered))
            offers = requests(one.carrierMessages, "INVITE")
            keys = [{line.key for line in offer.crypto()} for offer in offers]
            self.assertEqual((len(keys), keys[0] & keys[1]), (2, set()))
            first, second = (answered.time - 0.7, answered.time)
            ports = one.carrier.mediaPorts
            toFirst = [p.time for p in media(capture.to(ports[:2]))]
            toSecond = [p.time for p in media(capture.to(ports[2:4]))]
            self.assertGreater(len([time for time in toFirst if time < first]), 10)
            self.assertEqual([time for time in toFirst if time > second + 0.1], [])
            self.assertGreater(len([time for time in toSecond if time > second]), 15)

    def otherCodec(self, transport: str) -> Exchange:
        """The branch with early media speaks A-law, the one that answers mu-law."""
        carrier = CARRIER.isCalled(Scenario("codecs"))
        carrier.send(CARRIER.answer("183 Session Progress", CARRIER.sdp(), tag="x"), retransmit=False)
        carrier.pause(300).send(CARRIER.answer("200 OK", CARRIER.sdp(codec=0), tag="y")).request("ACK")
        carrier.request("INVITE").send(CARRIER.answer("200 OK", CARRIER.sdp(2, codec=0), tag=""))
        offer = PBX.sdp().replace("AVP 8 101", "AVP 8 0 101")
        pbx = PBX.calls(Scenario("PBX"), PBX.invite(offer)).response(183, body="AVP 8")
        pbx.response(200, store=True).send(PBX.again("ACK", 1), retransmit=False)
        pbx.request("INVITE", body="AVP 0").send(PBX.answer("200 OK", PBX.sdp(2, codec=0), tag=""))
        pbx.request("ACK").pause(300)
        CARRIER.hungUp(carrier.request("ACK"))
        return Exchange(f"codec-{transport}", PBX.hangsUp(pbx, 2), carrier, transport=transport)

    def test_otherCodec(self) -> None:
        """The PBX is re-INVITEd with the codec of the branch that answers, in the one dialog it knows."""
        for one in self.playAll(self.otherCodec("udp"), self.otherCodec("tcp")):
            (asked,) = requests(one.pbxMessages, "INVITE", sent=False)
            first = requests(one.pbxMessages, "INVITE", sent=True)[0]
            self.assertEqual(asked.header("Call-ID"), first.header("Call-ID"))


class ReliableTests(ScriptCase):
    """Reliable provisional responses (RFC 3262), on each leg by itself."""

    def test_theirs(self) -> None:
        """
        A carrier that sends 180 and 183 reliably, over TLS: each gets its PRACK, in the order of RSeq.
        The PBX, which has no C{100rel}, gets them as they are without; its 200 holds the answer.
        """
        exchanges = []
        for transport in ("udp", "tcp"):
            carrier = Scenario("reliable").request("INVITE", store=True, keep=LATE)
            for number, status, body in ((4711, "180 Ringing", ""), (4712, "183 Session Progress", "sdp")):
                headers = ["Require: 100rel", f"RSeq: {number}"]
                progress = CARRIER.answer(status, CARRIER.sdp() if body else "", headers=headers)
                carrier.send(late(progress), retransmit=False)
                carrier.request("PRACK").send(CARRIER.answer("200 OK", tag=""), retransmit=False)
            carrier.pause(200).send(late(CARRIER.answer("200 OK"))).request("ACK")
            pbx = PBX.calls(Scenario("PBX"), PBX.invite(PBX.sdp()))
            pbx.response(180).response(183).response(200, store=True, body="m=audio [1-9]")
            pbx.send(PBX.again("ACK", 1), retransmit=False)
            exchange = Exchange(
                f"prack-{transport}",
                PBX.hangsUp(pbx, 2),
                CARRIER.hungUp(carrier),
                transport=transport,
            )
            exchanges.append(exchange)
        for one in self.playAll(*exchanges):
            pracks = requests(one.carrierMessages, "PRACK")
            self.assertEqual([m.header("RAck") for m in pracks], ["4711 1 INVITE", "4712 1 INVITE"])
            for message in responses(one.pbxMessages, "INVITE"):
                self.assertEqual((message.header("RSeq"), message.header("Require")), ("", ""))

    def wanted(self, inbound: bool, transport: str) -> Exchange:
        """A caller that requires reliable provisional responses; the callee knows nothing of them."""
        caller, callee = (CARRIER, PBX) if inbound else (PBX, CARRIER)
        called = callee.isCalled(Scenario("callee"))
        called.send(callee.answer("180 Ringing"), retransmit=False).pause(300)
        called.send(callee.answer("183 Session Progress", callee.sdp()), retransmit=False).pause(300)
        callee.hungUp(callee.answers(called))
        calling = registrar(Scenario("caller")) if inbound else Scenario("caller")
        caller.calls(calling, caller.invite(caller.sdp(), headers=["Require: 100rel", "Supported: 100rel"]))
        for number, status in ((2, 180), (3, 183)):
            calling.response(status, store=True, keep={f"seq{number}": "RSeq"})
            rack = f"RAck:[$seq{number}] 1 INVITE"
            calling.send(caller.again("PRACK", number, headers=[rack])).response(200)
        calling.response(200, store=True).send(caller.again("ACK", 1), retransmit=False)
        caller.hangsUp(calling, 4)
        pbx, carrier = (called, calling) if inbound else (calling, called)
        return Exchange(f"wanted-{inbound}-{transport}", pbx, carrier, inbound, transport)

    def test_ours(self) -> None:
        """
        A PBX, and a carrier, that requires C{100rel} gets 180 and 183 with RSeq that counts on, each after
        the PRACK of the one before, and the 200 without a second answer (RFC 3262 section 5).
        """
        exchanges = [self.wanted(False, "udp"), self.wanted(False, "tcp"), self.wanted(True, "udp")]
        for one, exchange in zip(self.playAll(*exchanges), exchanges, strict=True):
            messages = one.carrierMessages if exchange.inbound else one.pbxMessages
            told = [m for m in responses(messages, "INVITE", sent=False) if m.status != 100]
            self.assertEqual([m.status for m in told], [180, 183, 200])
            self.assertEqual([m.header("Require").lower() for m in told[:2]], ["100rel"] * 2)
            numbers = [int(m.header("RSeq")) for m in told[:2]]
            self.assertEqual(numbers[1], numbers[0] + 1)
            self.assertEqual([bool(m.lines("m=audio")) for m in told[:2]], [False, True])


class LateOfferTests(ScriptCase):
    """An INVITE without an offer: the 200 has it, the ACK the answer (RFC 3261 section 13.2.1)."""

    def withoutOffer(self, inbound: bool, transport: str) -> Exchange:
        """The caller makes no offer."""
        caller, callee = (CARRIER, PBX) if inbound else (PBX, CARRIER)
        called = callee.isCalled(Scenario("callee"))
        called.send(callee.answer("180 Ringing"), retransmit=False).pause(200)
        called.send(callee.answer("200 OK", callee.sdp())).request("ACK", body="m=audio [1-9]")
        calling = registrar(Scenario("caller")) if inbound else Scenario("caller")
        caller.calls(calling, caller.invite()).response(180, optional=True)
        calling.response(200, store=True, body="m=audio [1-9]")
        calling.send(caller.again("ACK", 1, caller.sdp()), retransmit=False).pause(300)
        caller.hangsUp(calling, 2)
        pbx, carrier = (callee.hungUp(called), calling) if inbound else (calling, callee.hungUp(called))
        return Exchange(f"late-{inbound}-{transport}", pbx, carrier, inbound, transport)

    def test_bothWays(self) -> None:
        """
        The callee is asked for its offer, and each side is told the trunk's own description: keys are in
        the carrier's and in no other.
        """
        kinds = [(False, "udp"), (False, "tcp"), (True, "udp"), (True, "tcp")]
        for one, (inbound, _) in zip(
            self.playAll(*(self.withoutOffer(*kind) for kind in kinds)), kinds, strict=True
        ):
            callee = one.pbxMessages if inbound else one.carrierMessages
            (offered,) = requests(callee, "INVITE")
            self.assertEqual(offered.body.strip(), "")
            self.assertNotIn("100rel", offered.header("Supported"))
            for messages, secure in ((one.pbxMessages, False), (one.carrierMessages, True)):
                (body,) = [m for m in messages if not m.sent and m.lines("m=audio")]
                self.assertEqual(bool(body.crypto()), secure)
                self.assertEqual(body.mediaAddress()[0], self.trunk.address)
