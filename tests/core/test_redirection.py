"""Redirections of carrier and PBX: refused, followed and passed (RFC 3261 sections 8.1.3.4 and 21.3)."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.identity import diversionReason
from skypetrunk.core.sides import FOLLOW, PASS
from skypetrunk.errors import CallRefused, MalformedMessage
from skypetrunk.interfaces import CallRequest, INumberPlan
from skypetrunk.pbx.numbers import NumberPlan
from skypetrunk.wire.headers import parseNameAddrs
from skypetrunk.wire.message import Request, Response, responseTo
from tests.core.callnet import PCMA, SAVP, CallNet, Neighbour, Profile, sdp
from tests.core.messages import incoming
from tests.core.test_emergency import EMERGENCIES

NUMBER = "sip:+4420@198.51.100.1"
ACCOUNT = "sip:account@198.51.100.2:40000;transport=tls"


class RedirectCase(SynchronousTestCase):
    """A call of the PBX, and one of the carrier, that are redirected."""

    def build(
        self,
        policy: str = FOLLOW,
        allow: Sequence[str] = ("other.example",),
        second: bool = False,
        profile: Profile | None = None,
    ) -> CallNet:
        """A net in which both sides' redirections are treated alike."""
        self.net = net = CallNet(second=second)
        for neighbour in (net.pbx, net.carrier, net.second):
            if neighbour is not None:
                neighbour.side.redirect = policy
                neighbour.side.redirectAllow = frozenset(allow)
        if profile is not None:
            net.carrier.side._profile = profile  # type: ignore[attr-defined]
        return net

    def redirect(
        self, neighbour: Neighbour, *contacts: str, status: int = 302, more: Sequence[tuple[str, str]] = ()
    ) -> Request:
        """C{neighbour} redirects the INVITE that it got last, and acknowledges nothing."""
        invite = neighbour.request("INVITE")
        neighbour.channel.clear()
        headers = [("Contact", contact) for contact in contacts]
        neighbour.answers(invite, status, headers=[*headers, *more], tag=f"refusal{invite.cseq.number}")
        return invite

    def outbound(self, *contacts: str, status: int = 302) -> Request:
        """The PBX calls, and the carrier redirects; the carrier's first INVITE."""
        self.near = self.net.pbx.invite(NUMBER, sdp())
        return self.redirect(self.net.carrier, *contacts, status=status)

    def inbound(self, *contacts: str, status: int = 302) -> Request:
        """The carrier calls, and the PBX redirects; the PBX's first INVITE."""
        self.near = self.net.carrier.invite(ACCOUNT, sdp(SAVP, "203.0.113.9"))
        return self.redirect(self.net.pbx, *contacts, status=status)

    def nothingLeft(self) -> None:
        """When all timers have run out nothing is left of any call."""
        self.net.settle()
        self.assertEqual({k: v for k, v in self.net.leftovers().items() if v}, {})

    def refused(self, neighbour: Neighbour, status: int) -> Response:
        """C{neighbour}, which asked, got C{status} in the end; nothing is left."""
        refusal = neighbour.response(status)
        neighbour.ackRefusal(status)
        self.nothingLeft()
        return refusal


class RefuseTests(RedirectCase):
    """The default."""

    def test_refused(self) -> None:
        """Towards each side 480, whatever stands in Contact; another trunk is not asked."""
        net = self.build("refuse", second=True)
        assert net.second is not None
        self.outbound("<sip:+4930@carrier.example>")
        self.refused(net.pbx, 480)
        self.assertEqual(net.second.got(), [])
        net = self.build("refuse")
        self.inbound("<sip:1002@192.0.2.10>", status=301)
        self.refused(net.carrier, 480)

    def test_notByThem(self) -> None:
        """305 and 380 name no number: refused whatever the policy (RFC 3261 sections 21.3.4, 21.3.5)."""
        for policy in (FOLLOW, PASS):
            for status in (305, 380):
                net = self.build(policy)
                self.outbound("<sip:+4930@carrier.example>", status=status)
                self.assertEqual(net.carrier.got(), ["ACK"])
                self.refused(net.pbx, 480)

    def test_reinvite(self) -> None:
        """A 3xx to a re-INVITE changes nothing and is not followed."""
        for policy in (FOLLOW, PASS):
            net = self.build(policy)
            near, _ = net.outboundCall()
            accepted = net.pbx.response(200)
            net.pbx.within(near, accepted, "INVITE", 2, sdp(f"{PCMA}a=sendonly\r\n", version=2))
            self.redirect(net.carrier, "<sip:+4930@carrier.example>")
            self.assertEqual(net.carrier.got(), ["ACK"])
            self.assertEqual(net.pbx.response(480).cseq.number, 2)
            net.pbx.ackRefusal(480)
            self.assertEqual(net.manager.callCount(), 1)
            net.pbx.within(near, accepted, "BYE", 3)
            net.carrier.answers(net.carrier.request("BYE"), 200)
            self.nothingLeft()


class FollowTrunkTests(RedirectCase):
    """The carrier's redirections, followed."""

    def test_8_1_3_4_again(self) -> None:
        """
        The INVITE goes out again by the same trunk: Call-ID, From and To stay, CSeq goes up, the Request-URI
        is the Contact's without headers and password, the next hop stays the trunk's domain.
        """
        net = self.build()
        first = self.outbound("<sip:+4930:secret@other.example:5070;user=phone?Route=%3Csip:evil%3E>;q=0.5")
        again = net.carrier.request("INVITE")
        self.assertEqual(again.uri, "sip:+4930@other.example:5070;user=phone")
        for header in ("Call-ID", "From", "To"):
            self.assertEqual(again.header(header), first.header(header))
        self.assertIsNone(again.toAddress.tag)
        self.assertEqual((first.cseq.number, again.cseq.number), (1, 2))
        self.assertEqual((first.maxForwards, again.maxForwards), (69, 68))
        self.assertEqual(again.routes, ())
        self.assertNotEqual(again.topVia.branch, first.topVia.branch)
        self.assertEqual(net.carrier.finder.asked[-1], "sip:+4930@carrier.example")
        self.assertNotIn(first.body.split(b"inline:")[1][:40], again.body)
        net.carrier.answers(again, 200, sdp(SAVP, "203.0.113.9"))
        net.pbx.ack(self.near, net.pbx.response(200))
        self.assertEqual(net.carrier.request("ACK").cseq.number, 2)
        bye = net.pbx.within(self.near, net.pbx.response(200), "BYE", 2)
        self.assertEqual(net.carrier.request("BYE").cseq.number, 3)
        net.carrier.answers(net.carrier.request("BYE"), 200)
        self.assertEqual(net.pbx.response(200).cseq, bye.cseq)
        self.assertEqual(net.observer.ended[0].redirectedTo, "+4930")
        self.nothingLeft()

    def test_8_1_1_8_secure(self) -> None:
        """A SIPS URI in the Request-URI, a SIPS URI in our Contact."""
        net = self.build()
        self.outbound("<sips:+4930@carrier.example>")
        again = net.carrier.request("INVITE")
        self.assertEqual(again.uri, "sips:+4930@carrier.example")
        self.assertEqual(str(again.contacts[0]), "<sips:account@198.51.100.2:40000>")

    def test_telephone(self) -> None:
        """A tel URI, and our own address, are called at the carrier's domain."""
        for contact in ("<tel:+49-30>", "<sip:+4930@198.51.100.2:40000>", "<sip:+4930@198.51.100.2>"):
            net = self.build()
            self.outbound(contact)
            self.assertEqual(net.carrier.request("INVITE").uri, "sip:+4930@carrier.example", contact)

    def test_challenged(self) -> None:
        """The redirected INVITE is challenged like any other; CSeq goes on."""
        net = self.build()
        self.outbound("<sip:+4930@carrier.example>")
        challenge = 'Digest realm="carrier.example", nonce="n1"'
        net.carrier.answers(
            net.carrier.request("INVITE"), 407, headers=[("Proxy-Authenticate", challenge)]
        )
        again = net.carrier.request("INVITE")
        self.assertEqual((again.uri, again.cseq.number), ("sip:+4930@carrier.example", 3))
        self.assertIsNotNone(again.header("Proxy-Authorization"))

    def test_order(self) -> None:
        """Contacts are tried in the order of q, until one accepts or says 6xx."""
        net = self.build()
        self.outbound(
            "<sip:3@carrier.example>;q=0.1, <sip:1@carrier.example>", "<sip:2@carrier.example>;q=0.7"
        )
        for number, status in (("1", 486), ("2", 404), ("3", 480)):
            invite = net.carrier.request("INVITE")
            self.assertEqual(invite.uri, f"sip:{number}@carrier.example")
            net.carrier.channel.clear()
            net.carrier.answers(invite, status)
        self.refused(net.pbx, 480)
        net = self.build()
        self.outbound("<sip:1@carrier.example>", "<sip:2@carrier.example>")
        net.carrier.answers(net.carrier.request("INVITE"), 603)
        self.assertEqual(net.carrier.request("INVITE").uri, "sip:1@carrier.example")
        self.refused(net.pbx, 603)

    def test_notAllowed(self) -> None:
        """A Contact at another host, or with a maddr of one, is not followed; others are."""
        elsewhere = ("<sip:+4930@evil.example>", "<sip:+4930@carrier.example;maddr=192.0.2.99>", "<sip:x>")
        for contact in elsewhere:
            net = self.build()
            self.outbound(contact)
            self.assertEqual(net.carrier.got(), ["ACK"], contact)
            self.refused(net.pbx, 480)
        net = self.build(allow=("192.0.2.99", "2001:db8::1"))
        self.outbound("<sip:1@evil.example>", "<sip:2@[2001:DB8:0::1];maddr=192.0.2.99>;q=0.2")
        self.assertEqual(net.carrier.request("INVITE").uri, "sip:2@[2001:DB8:0::1];maddr=192.0.2.99")

    def test_unreadable(self) -> None:
        """No Contact, C{*}, or none with a number: as if not followed."""
        for contacts in ((), ("*",), ("<mailto:a@b>",), ("<sip:carrier.example>",)):
            net = self.build()
            self.outbound(*contacts)
            self.refused(net.pbx, 480)

    def test_loop(self) -> None:
        """No place is called twice: then it is a 482 of the other side, 502 for the PBX."""
        net = self.build()
        self.outbound("<sip:+4930@carrier.example>")
        self.redirect(net.carrier, "<sip:+4920@carrier.example>")
        self.redirect(net.carrier, "<sip:%2B4930@CARRIER.example>")
        self.assertEqual(net.carrier.got(), ["ACK"])
        self.assertEqual(self.refused(net.pbx, 502).header("Reason"), "Q.850;cause=38")
        net = self.build()
        self.outbound("<sip:+4420@carrier.example>")
        self.refused(net.pbx, 502)

    def test_tooMany(self) -> None:
        """At most five redirected INVITEs."""
        net = self.build()
        self.outbound("<sip:0@carrier.example>")
        sent = 0
        while "INVITE" in net.carrier.channel.summary():
            sent += 1
            self.redirect(net.carrier, f"<sip:{sent}@carrier.example>")
        self.assertEqual(sent, 5)
        self.refused(net.pbx, 502)

    def test_loopThenOtherTrunk(self) -> None:
        """A carrier that loops is a way that cannot be used: the next trunk is asked for the first number."""
        net = self.build(second=True)
        assert net.second is not None
        self.outbound("<sip:+4420@carrier.example>")
        self.assertEqual(net.second.request("INVITE").uri, "sip:+4420@carrier.example")

    def test_refusedThenNotOtherTrunk(self) -> None:
        """A Contact that is busy is busy: no other trunk is asked."""
        net = self.build(second=True)
        assert net.second is not None
        self.outbound("<sip:+4930@carrier.example>")
        net.carrier.answers(net.carrier.request("INVITE"), 486)
        self.assertEqual(net.second.got(), [])
        self.refused(net.pbx, 486)

    def test_policy(self) -> None:
        """The policy is asked again, with the new number; its refusal is the answer, its silence waits."""
        net = self.build()
        asked: list[CallRequest] = []
        waiting: Deferred[None] = Deferred()

        def admit(request: CallRequest) -> Deferred[None] | None:
            asked.append(request)
            return waiting if request.called == "+4930" else None

        net.policy.result = admit
        self.outbound("<sip:+4930@carrier.example>", "<sip:+4940@carrier.example>;q=0.1")
        self.assertEqual(net.carrier.got(), ["ACK"])
        waiting.errback(CallRefused("not that one", 403, 21))
        self.assertEqual(net.carrier.request("INVITE").uri, "sip:+4940@carrier.example")
        self.assertEqual([each.called for each in asked], ["+4420", "+4930", "+4940"])
        self.assertEqual({each.source for each in asked}, {"office"})
        self.assertEqual(asked[1].destinations, ("carrier",))
        net = self.build()
        waiting = Deferred()
        net.policy.result = admit
        self.outbound("<sip:+4930@carrier.example>")
        waiting.errback(CallRefused("no", 403, 21))
        self.assertIn("cause=21", self.refused(net.pbx, 403).header("Reason") or "")

    def test_policyFails(self) -> None:
        """A policy that breaks has said no."""
        net = self.build()

        def admit(request: CallRequest) -> None:
            if request.called == "+4930":
                raise ValueError("broken")

        net.policy.result = admit
        self.outbound("<sip:+4930@carrier.example>")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.refused(net.pbx, 500)

    def test_cancelledWhileAsked(self) -> None:
        """The PBX hangs up while the policy thinks: nothing is sent when it has thought."""
        net = self.build()
        waiting: Deferred[None] = Deferred()
        net.policy.result = lambda request: waiting if request.called == "+4930" else None
        self.outbound("<sip:+4930@carrier.example>")
        net.carrier.channel.clear()
        net.pbx.cancel(self.near)
        waiting.callback(None)
        self.assertEqual(net.carrier.got(), [])
        self.refused(net.pbx, 487)

    def test_cancelledAfterwards(self) -> None:
        """CANCEL reaches the redirected INVITE."""
        net = self.build()
        self.outbound("<sip:+4930@carrier.example>")
        again = net.carrier.request("INVITE")
        net.carrier.answers(again, 180)
        net.pbx.cancel(self.near)
        cancel = net.carrier.request("CANCEL")
        self.assertEqual((cancel.uri, cancel.cseq.number), (again.uri, 2))
        net.carrier.answers(cancel, 200)
        net.carrier.answers(again, 487)
        self.refused(net.pbx, 487)

    def test_lastPlace(self) -> None:
        """With a limit of one call the call itself does not stand in its own way."""
        net = self.build()
        net.carrier.side.limit = net.pbx.side.limit = 1
        self.outbound("<sip:+4930@carrier.example>")
        self.assertEqual(net.carrier.request("INVITE").uri, "sip:+4930@carrier.example")
        self.assertEqual((net.carrier.side.calls, net.pbx.side.calls), (1, 1))

    def test_lateOffer(self) -> None:
        """An INVITE without offer stays one."""
        net = self.build()
        self.near = net.pbx.invite(NUMBER)
        self.redirect(net.carrier, "<sip:+4930@carrier.example>")
        again = net.carrier.request("INVITE")
        self.assertEqual(again.body, b"")
        net.carrier.answers(again, 200, sdp(SAVP, "203.0.113.9"))
        net.pbx.ack(self.near, net.pbx.response(200), sdp())
        self.assertIn(b"RTP/SAVP", net.carrier.request("ACK").body)


class FollowPBXTests(RedirectCase):
    """The PBX forwards a call."""

    def test_outside(self) -> None:
        """
        To a number outside: by the PBX's routes, as a new call, with a Diversion where the profile has one.
        """
        net = self.build(profile=Profile(diversion="diversion"))
        asked: list[CallRequest] = []
        net.policy.result = asked.append
        first = self.inbound("<sip:+4930@198.51.100.1:5060>")
        self.assertEqual(net.pbx.got(), ["ACK"])
        again = net.carrier.request("INVITE")
        self.assertEqual(again.uri, "sip:+4930@carrier.example")
        self.assertNotEqual(again.callID, first.callID)
        self.assertEqual(again.cseq.number, 1)
        self.assertEqual(again.header("Diversion"), "<sip:account@carrier.example>;reason=unconditional")
        self.assertEqual(again.maxForwards, 68)
        self.assertEqual((asked[-1].source, asked[-1].called), ("office", "+4930"))
        self.assertEqual(asked[-1].destinations, ("carrier",))
        self.assertEqual((net.pbx.side.calls, net.carrier.side.calls), (1, 2))
        net.carrier.answers(again, 200, sdp(SAVP, "203.0.113.8"))
        net.carrier.ack(self.near, net.carrier.response(200))
        net.carrier.within(self.near, net.carrier.response(200), "BYE", 2)
        net.carrier.answers(net.carrier.request("BYE"), 200)
        self.assertEqual(net.observer.ended[0].redirectedTo, "+4930")
        self.nothingLeft()

    def test_telephone(self) -> None:
        """A tel URI, and an allowed host, name a number outside."""
        for contact in ("<tel:+49-30>", "<sip:+4930@Other.Example.>"):
            net = self.build()
            self.inbound(contact)
            self.assertEqual(net.carrier.request("INVITE").uri, "sip:+4930@carrier.example")

    def test_inside(self) -> None:
        """A Contact at the PBX's own address goes back to it, under the same Call-ID."""
        net = self.build()
        first = self.inbound("<sip:1002@192.0.2.10>")
        again = net.pbx.request("INVITE")
        self.assertEqual(again.uri, "sip:1002@192.0.2.10:5070")
        for header in ("Call-ID", "From", "To"):
            self.assertEqual(again.header(header), first.header(header))
        self.assertEqual(again.cseq.number, 2)
        self.assertEqual(again.header("Diversion"), "<sip:account@198.51.100.1:5060>;reason=unconditional")
        net.pbx.answers(again, 200, sdp())
        net.carrier.ack(self.near, net.carrier.response(200))
        self.assertEqual(net.manager.callCount(), 1)

    def test_sameMachine(self) -> None:
        """A PBX on our own machine: the port says which of the two is meant."""
        net = self.build()
        net.pbx.side.hosts = lambda: ["198.51.100.1"]  # type: ignore[attr-defined]
        self.inbound("<sip:1002@198.51.100.1:5070>")
        self.assertEqual(net.pbx.request("INVITE").uri, "sip:1002@192.0.2.10:5070")
        net = self.build()
        net.pbx.side.hosts = lambda: ["198.51.100.1"]  # type: ignore[attr-defined]
        self.inbound("<sip:+4930@198.51.100.1>")
        self.assertEqual(net.carrier.request("INVITE").uri, "sip:+4930@carrier.example")

    def test_notAllowed(self) -> None:
        """Other hosts, and numbers without a route."""
        for contact in ("<sip:+4930@evil.example>", "<sip:404@198.51.100.1>"):
            net = self.build()
            self.inbound(contact)
            self.assertEqual(net.pbx.got(), ["ACK"])
            self.refused(net.carrier, 480)

    def test_reason(self) -> None:
        """The PBX may say why, in a Diversion of its own; its number is not believed."""
        net = self.build(profile=Profile(diversion="diversion"))
        self.near = net.carrier.invite(ACCOUNT, sdp(SAVP, "203.0.113.9"))
        why = ("Diversion", "<sip:+99@pbx>;reason=user-busy")
        self.redirect(net.pbx, "<sip:+4930@198.51.100.1>", more=[why])
        header = net.carrier.request("INVITE").header("Diversion")
        self.assertEqual(header, "<sip:account@carrier.example>;reason=user-busy")
        bare = responseTo(incoming(), 302, headers=[("Diversion", "<<")])
        self.assertEqual(diversionReason(bare), "unconditional")

    def test_carrierRedirectsAgain(self) -> None:
        """The forwarded call is redirected by the carrier: the PBX still answers for it."""
        net = self.build()
        asked: list[CallRequest] = []
        net.policy.result = asked.append
        self.inbound("<sip:+4930@198.51.100.1>")
        self.redirect(net.carrier, "<sip:+4940@carrier.example>")
        self.assertEqual(net.carrier.request("INVITE").uri, "sip:+4940@carrier.example")
        self.assertEqual([each.source for each in asked], ["carrier", "office", "office"])
        self.assertEqual((net.pbx.side.calls, net.carrier.side.calls), (1, 2))
        net.carrier.answers(net.carrier.request("INVITE"), 486)
        self.refused(net.carrier, 486)

    def test_full(self) -> None:
        """No room for the second leg: what there is no way for is 503 with cause 34."""
        net = self.build()
        net.carrier.side.limit = 1
        self.inbound("<sip:+4930@198.51.100.1>")
        self.assertIn("cause=34", self.refused(net.carrier, 503).header("Reason") or "")

    def test_noPorts(self) -> None:
        """No media ports for it."""
        net = self.build()
        self.near = net.carrier.invite(ACCOUNT, sdp(SAVP, "203.0.113.9"))
        net.plane.left = 0
        self.redirect(net.pbx, "<sip:+4930@198.51.100.1>")
        self.refused(net.carrier, 503)


class PassTests(RedirectCase):
    """Redirections that cross."""

    def test_toPBX(self) -> None:
        """The status, and numbers at our own address with q and expires: nothing of the carrier."""
        for status in (300, 301, 302, 399):
            net = self.build(PASS)
            self.outbound(
                '"Bob" <sip:+4930;ext=1@evil.example:99;maddr=x>;q=0.25;expires=60;x=y, <tel:+49-40>;q=0.1',
                "<mailto:a@b>",
                status=status,
            )
            crossed = self.refused(net.pbx, status)
            self.assertEqual(
                crossed.values("Contact"),
                ("<sip:+4930@198.51.100.1:5060>;q=0.25;expires=60", "<sip:+4940@198.51.100.1:5060>;q=0.1"),
            )
            self.assertNotIn(b"evil", crossed.encode())
            self.assertEqual(net.observer.ended[0].status, status)

    def test_toCarrier(self) -> None:
        """Numbers at the carrier's domain, as it wants numbers."""
        net = self.build(PASS, profile=Profile(numberForm="bare"))
        self.inbound('<sip:004930@192.0.2.10>;q="1"', "<sip:1002@192.0.2.10>;q=1.000;expires=x")
        self.assertEqual(
            self.refused(net.carrier, 302).values("Contact"),
            ("<sip:1002@carrier.example>;q=1.000", "<sip:4930@carrier.example>"),
        )

    def test_numberForm(self) -> None:
        """A carrier's bare number is one with a plus for the PBX."""
        net = self.build(PASS, profile=Profile(numberForm="bare"))
        self.outbound("<sip:493012345@carrier.example>")
        self.assertEqual(
            self.refused(net.pbx, 302).header("Contact"), "<sip:+493012345@198.51.100.1:5060>"
        )

    def test_nothingToPass(self) -> None:
        """Without a number it is refused."""
        net = self.build(PASS)
        self.outbound("<mailto:a@b>")
        self.refused(net.pbx, 480)


class AnythingTests(RedirectCase):
    """Contacts that nobody would write."""

    @settings(deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
    @given(
        st.sampled_from((FOLLOW, PASS)),
        st.booleans(),
        st.lists(
            st.builds(
                "<{}{}{}{}>{}".format,
                st.sampled_from(("sip:", "SIPS:", "tel:", "urn:")),
                st.text("%012@+;=:-*#./\u00e4", max_size=8),
                st.sampled_from(("", "@carrier.example", "@198.51.100.1", "@[::1]:0", "@192.0.2.10")),
                st.sampled_from(("", ";maddr=[::1]", ";lr;method=BYE", "?To=x")),
                st.sampled_from(("", ";q=0.5", ";q=2", ";q", ";expires=-1", ';q="\\""')),
            ),
            max_size=3,
        ),
    )
    def test_anything(self, policy: str, inbound: bool, contacts: Sequence[str]) -> None:
        """Whatever a Contact is: one INVITE more or a final answer, and no traceback."""
        try:
            parseNameAddrs(contacts)
        except MalformedMessage:
            assume(False)
        net = self.build(policy)
        (self.inbound if inbound else self.outbound)(*contacts)
        asking = net.carrier if inbound else net.pbx
        summary = asking.channel.summary()
        again = sum("INVITE" in one.channel.summary() for one in (net.pbx, net.carrier))
        self.assertEqual(sum(isinstance(each, int) and each >= 300 for each in summary) + again, 1)
        self.assertEqual(self.flushLoggedErrors(), [])


class EmergencyTests(RedirectCase):
    """No redirection leads to an emergency number."""

    def plan(self, net: CallNet, plan: INumberPlan) -> None:
        """The country's own numbers."""
        net.manager._redirector._numbers = plan

    def test_everyForm(self) -> None:
        """
        In any Contact, in whatever form: nothing is followed or passed, also not the Contacts before it;
        the PBX gets 503 with cause 34, the carrier 480; both are counted.
        """
        for policy in (FOLLOW, PASS):
            for uri in EMERGENCIES:
                net = self.build(policy, allow=("pbx",))
                self.plan(net, NumberPlan("DE", "0"))
                self.outbound("<sip:+493012345@carrier.example>;q=1", f"<{uri}>;q=0.1")
                self.assertEqual(net.carrier.got(), ["ACK"], uri)
                refusal = self.refused(net.pbx, 503)
                self.assertIn("Q.850;cause=34", refusal.header("Reason") or "")
                self.assertEqual(refusal.contacts, ())
                self.inbound("<sip:+493012345@198.51.100.1>", f"<{uri}>")
                self.assertNotIn("INVITE", net.carrier.channel.summary() + net.pbx.channel.summary(), uri)
                self.refused(net.carrier, 480)
                self.assertEqual(net.manager.emergencies, 2)

    def test_status(self) -> None:
        """The status that makes this PBX use its own line."""
        net = self.build()
        net.pbx.side.emergencyStatus = 404  # type: ignore[attr-defined]
        self.outbound("<tel:112>")
        self.refused(net.pbx, 404)

    def test_noOtherTrunk(self) -> None:
        """Not even another trunk is asked for the first number."""
        net = self.build(second=True)
        assert net.second is not None
        self.outbound("<sip:112@carrier.example>")
        self.assertEqual(net.second.got(), [])
        self.refused(net.pbx, 503)

    def test_asRead(self) -> None:
        """A number that is one only as the carrier writes numbers."""
        net = self.build(profile=Profile(numberForm="00"))

        class Plan(NumberPlan):
            def isEmergency(self, called: str) -> bool:
                return called == "+4911200000"

        self.plan(net, Plan("DE"))
        self.outbound("<sip:004911200000@carrier.example>")
        self.refused(net.pbx, 503)

    def test_refusedAnyway(self) -> None:
        """Where nothing is followed nothing is read."""
        net = self.build("refuse")
        self.outbound("<sip:112@carrier.example>")
        self.refused(net.pbx, 480)
        self.assertEqual(net.manager.emergencies, 0)
