"""What happens in a call that is up, message by message: hold, glare, keys, causes; each leg by itself."""

from __future__ import annotations

from tests.interop.rig.midcall import KINDS, MidCallCase
from tests.interop.rig.party import late, lateAs
from tests.interop.rig.sip import requests, responses
from tests.interop.rig.switchboard import Exchange


class HoldTests(MidCallCase):
    """Hold and resume by re-INVITE (RFC 3264 section 8.4)."""

    def hold(self, inbound: bool, actor: str, transport: str) -> Exchange:
        """One side holds and resumes."""
        self.call("hold", inbound, actor, transport)
        for number, (offered, answered) in enumerate((("sendonly", "recvonly"), ("sendrecv", "sendrecv"))):
            cseq, version = self.first + number, 2 + number
            self.acting.pause(300)
            self.acting.send(self.write("INVITE", cseq, self.actor.sdp(version, direction=offered)))
            self.acting.response(100, optional=True).response(200, body=f"a={answered}")
            self.acting.send(self.write("ACK", cseq), retransmit=False)
            body = self.partner.sdp(version, direction=answered)
            self.answering.request("INVITE", body=f"a={offered}")
            self.answering.send(self.partner.answer("200 OK", body, tag="")).request("ACK")
        return self.end(2)

    def test_bothWays(self) -> None:
        """
        PBX and carrier, whoever called, hold and resume: the directions cross, the trunk's descriptions
        count on, and its key towards the carrier never changes.
        """
        played = self.playAll(*(self.hold(*kind) for kind in KINDS))
        for one in played:
            for messages, secure in ((one.pbxMessages, False), (one.carrierMessages, True)):
                bodies = [m for m in messages if not m.sent and m.lines("m=audio")]
                self.assertEqual(len(bodies), 3)
                versions = [int(m.lines("o=")[0].split()[2]) for m in bodies]
                self.assertEqual(versions, [versions[0], versions[0] + 1, versions[0] + 2])
                self.assertEqual(len({m.mediaAddress() for m in bodies}), 1)
                keys = {line.key for m in bodies[1:] for line in m.crypto()}
                self.assertEqual(len(keys), int(secure))
                self.assertLessEqual(keys, {line.key for line in bodies[0].crypto()})


class GlareTests(MidCallCase):
    """Both sides change the call at the same time (RFC 3261 section 14)."""

    def crossing(self, inbound: bool, actor: str, transport: str) -> Exchange:
        """The partner's own re-INVITE crosses the actor's, and is refused; the actor's is then answered."""
        self.call("cross", inbound, actor, transport)
        first, second = self.first, self.replyFirst
        self.acting.pause(300).send(self.write("INVITE", first, self.actor.sdp(2)))
        self.acting.response(100, optional=True).response(200)
        self.acting.send(self.write("ACK", first), retransmit=False)
        # The partner's From and To of the first INVITE are needed for its own request.
        self.answering.request("INVITE", keep=lateAs("re"))
        self.answering.send(self.reply("INVITE", second, self.partner.sdp(2)))
        self.answering.response(100, optional=True).response(491)
        self.answering.send(self.partner.refusalTaken(second, inside=True), retransmit=False)
        answer = late(self.partner.answer("200 OK", self.partner.sdp(2), tag=""), "re")
        self.answering.send(answer).request("ACK")
        return self.end(1)

    def test_crossing(self) -> None:
        """A re-INVITE that meets another one gets 491; the other one goes on, and crosses once."""
        played = self.playAll(*(self.crossing(*kind) for kind in KINDS))
        for one, (inbound, actor, _) in zip(played, KINDS, strict=True):
            acting, answering = self.sides(one, actor, inbound)
            self.assertEqual(len(requests(acting, "INVITE", sent=False)), int(actor == "callee"))
            self.assertEqual(responses(acting, "INVITE", 491), [])
            self.assertEqual(len(responses(answering, "INVITE", 491, sent=False)), 1)

    def refused(self, inbound: bool, actor: str, transport: str) -> Exchange:
        """The partner answers 491 once; the actor asks again."""
        self.call("refused", inbound, actor, transport)
        first = self.first
        self.acting.pause(300).send(self.write("INVITE", first, self.actor.sdp(2, direction="sendonly")))
        self.acting.response(100, optional=True).response(491)
        self.acting.send(self.actor.refusalTaken(first, inside=True), retransmit=False).pause(300)
        self.acting.send(self.write("INVITE", first + 1, self.actor.sdp(3)))
        self.acting.response(100, optional=True).response(200, body="a=sendrecv")
        self.acting.send(self.write("ACK", first + 1), retransmit=False)
        self.answering.request("INVITE").send(self.partner.answer("491 Request Pending", tag=""))
        self.answering.request("ACK").request("INVITE")
        self.answering.send(self.partner.answer("200 OK", self.partner.sdp(2), tag="")).request("ACK")
        return self.end(2)

    def test_refused(self) -> None:
        """The 491 of one side reaches the other, which tries again: the call was not hurt."""
        self.playAll(*(self.refused(*kind) for kind in KINDS))


class InDialogTests(MidCallCase):
    """INFO, OPTIONS and BYE."""

    relay = "Signal=16\nDuration=160\n"

    def info(self, inbound: bool, actor: str, transport: str) -> Exchange:
        """A flash, which no event says, something else than a key, OPTIONS, and what nobody knows."""
        self.call("info", inbound, actor, transport)
        first = self.first
        kind = "application/dtmf-relay"
        self.acting.pause(300).send(self.write("INFO", first, self.relay, kind=kind)).response(200)
        self.answering.request("INFO", body="Signal=16").send(
            self.partner.answer("200 OK", tag=""), retransmit=False
        )
        self.acting.send(self.write("INFO", first + 1, "x", kind="text/plain")).response(415)
        self.acting.send(self.write("OPTIONS", first + 2)).response(200)
        self.acting.send(self.write("MESSAGE", first + 3, "x", kind="text/plain")).response(405)
        self.acting.send(self.write("INFO", first + 4, headers=["Require: nothing-known"])).response(420)
        return self.end(5)

    def test_info(self) -> None:
        """Keys in INFO cross, written anew; other INFO, OPTIONS and MESSAGE are answered where they came."""
        for one, (inbound, actor, _) in zip(
            self.playAll(*(self.info(*kind) for kind in KINDS)), KINDS, strict=True
        ):
            acting, answering = self.sides(one, actor, inbound)
            (key,) = requests(answering, "INFO")
            self.assertEqual(key.header("Content-Type"), "application/dtmf-relay")
            (sent, *_) = requests(acting, "INFO")
            self.assertNotEqual(key.header("Call-ID"), sent.header("Call-ID"))
            for method in ("OPTIONS", "MESSAGE"):
                self.assertEqual(requests(answering, method), [])
            (options,) = responses(acting, "OPTIONS")
            self.assertIn("INVITE", options.header("Allow"))
            self.assertIn("application/sdp", options.header("Accept"))
            (message,) = responses(acting, "MESSAGE")
            self.assertNotIn("MESSAGE", message.header("Allow"))
            refused = responses(acting, "INFO", 420)[0]
            self.assertEqual(refused.header("Unsupported"), "nothing-known")

    def test_causes(self) -> None:
        """The Q.850 cause in a BYE crosses, both ways, without its text (RFC 3326)."""
        exchanges = []
        for inbound, transport in ((False, "udp"), (False, "tcp"), (True, "udp"), (True, "tcp")):
            self.call("cause", inbound, "caller", transport)
            self.caller.hangsUp(
                self.calling.pause(200), 2, headers=['Reason: Q.850;cause=31;text="MARK machine"']
            )
            self.callee.hungUp(self.called)
            pbx, carrier = (self.called, self.calling) if inbound else (self.calling, self.called)
            exchanges.append(Exchange(self.kind[0], pbx, carrier, inbound, transport))
        for one in self.playAll(*exchanges):
            for messages in (one.pbxMessages, one.carrierMessages):
                (bye,) = requests(messages, "BYE")
                self.assertRegex(bye.header("Reason"), r"(?i)^Q\.850 *; *cause=31")
                if not bye.sent:
                    self.assertNotIn("MARK", bye.text)
