"""Fax by T.38 that is refused while the call goes on, and sides that have other payload types."""

from __future__ import annotations

from tests.interop.rig.midcall import KINDS, MidCallCase
from tests.interop.rig.sip import requests, responses
from tests.interop.rig.switchboard import Exchange

IMAGE = (
    "m=image [media_port] udptl t38\na=T38FaxVersion:0\na=T38MaxBitRate:14400\n"
    "a=T38FaxRateManagement:transferredTCF\n"
    "a=T38FaxMaxBuffer:200\na=T38FaxMaxDatagram:72\na=T38FaxUdpEC:t38UDPRedundancy\n"
)


class FaxTests(MidCallCase):
    """A fax machine changes over to T.38 in the call, as its gateway has it (ITU-T T.38 annex D)."""

    def fax(self, inbound: bool, actor: str, transport: str) -> Exchange:
        """T.38 alone, which is refused; then beside audio, of which audio is taken."""
        self.call("fax", inbound, actor, transport)
        first = self.first
        head, _, _ = self.actor.sdp(2).partition("m=audio")
        self.acting.pause(300).send(self.write("INVITE", first, head + IMAGE))
        self.acting.response(100, optional=True).response(488)
        self.acting.send(self.actor.refusalTaken(first, inside=True), retransmit=False)
        self.acting.send(self.write("INVITE", first + 1, self.actor.sdp(3, direction="sendonly") + IMAGE))
        self.acting.response(100, optional=True).response(200, body="m=image 0 udptl t38")
        self.acting.send(self.write("ACK", first + 1), retransmit=False)
        self.answering.request("INVITE", body="a=sendonly")
        answer = self.partner.answer("200 OK", self.partner.sdp(2, direction="recvonly"), tag="")
        self.answering.send(answer).request("ACK")
        return self.end(2)

    def test_bothWays(self) -> None:
        """488 with 304 to who asks, nothing to the other side, and never an image line there."""
        for one, (inbound, actor, _) in zip(
            self.playAll(*(self.fax(*kind) for kind in KINDS)), KINDS, strict=True
        ):
            acting, answering = self.sides(one, actor, inbound)
            self.assertRegex(responses(acting, "INVITE", 488)[0].header("Warning"), r'^304 skypetrunk "')
            for message in answering:
                self.assertNotIn("m=image", message.text)


class NumberTests(MidCallCase):
    """Events get another number in the call, against RFC 3264 section 8.3.2, as some PBXes do."""

    def renumbered(self, inbound: bool, actor: str, transport: str) -> Exchange:
        """The actor has events as 100 from now on, its partner keeps 101 and answers with 96."""
        self.call("numbers", inbound, actor, transport)
        offer = self.actor.sdp(2).replace("101", "100")
        self.acting.pause(300).send(self.write("INVITE", self.first, offer))
        self.acting.response(100, optional=True).response(200, body="a=rtpmap:100 telephone-event/8000")
        self.acting.send(self.write("ACK", self.first), retransmit=False)
        self.answering.request("INVITE", body="a=rtpmap:101 telephone-event/8000")
        answer = self.partner.answer("200 OK", self.partner.sdp(2).replace("101", "96"), tag="")
        self.answering.send(answer).request("ACK")
        return self.end(1)

    def test_bothWays(self) -> None:
        """Each side reads its own numbers, and none of the other's."""
        for one, (inbound, actor, _) in zip(
            self.playAll(*(self.renumbered(*kind) for kind in KINDS)), KINDS, strict=True
        ):
            acting, answering = self.sides(one, actor, inbound)
            for messages, foreign in ((acting, "96"), (answering, "100")):
                for message in messages:
                    if not message.sent:
                        self.assertNotIn(f"a=rtpmap:{foreign} ", message.text)
            [offered] = requests(answering, "INVITE", sent=False)[-1:]
            self.assertIn("a=fmtp:101 0-15", offered.text)
