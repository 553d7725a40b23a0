"""Calls by the route that the registrar has named (RFC 3608, RFC 3261 sections 8.1.1.1 and 8.1.2)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.trunk_side import TrunkSide
from skypetrunk.wire.headers import parseNameAddrs
from tests.core.callnet import SAVP, CallNet, sdp

NUMBER = "sip:+4420@198.51.100.1"
DOMAIN = "sip:+4420@carrier.example"


class ServiceRouteTests(SynchronousTestCase):
    """A call of the PBX."""

    def build(self, *routes: str) -> CallNet:
        """A net whose carrier has named C{routes}."""
        net = CallNet()
        side = net.carrier.side
        assert isinstance(side, TrunkSide)
        side.serviceRoute = parseNameAddrs(routes)
        return net

    def test_loose(self) -> None:
        """Route has all of them in their order, the Request-URI stays, the first is the next hop."""
        net = self.build("<sip:a.example:5062;lr>, <sip:b.example;lr;x=y>")
        near = net.pbx.invite(NUMBER, sdp())
        invite = net.carrier.request("INVITE")
        self.assertEqual(invite.uri, DOMAIN)
        self.assertEqual(invite.values("Route"), ("<sip:a.example:5062;lr>", "<sip:b.example;lr;x=y>"))
        self.assertEqual(net.carrier.finder.asked, ["sip:a.example:5062;lr"])
        self.assertEqual(str(invite.contacts[0].uri), "sip:account@198.51.100.2:40000;transport=tls")
        # The dialog has the route set that was recorded, not this one (section 12.1.2).
        recorded = [("Record-Route", "<sip:r.example;lr>")]
        net.carrier.answers(invite, 200, sdp(SAVP, "203.0.113.9"), headers=recorded)
        net.pbx.ack(near, net.pbx.response(200))
        self.assertEqual(net.carrier.request("ACK").values("Route"), ("<sip:r.example;lr>",))

    def test_strict(self) -> None:
        """A strict router is the Request-URI, and what is called goes last (section 12.2.1.1)."""
        net = self.build("<sip:a.example;method=INVITE?x=y>", "<sip:b.example;lr>")
        net.pbx.invite(NUMBER, sdp())
        invite = net.carrier.request("INVITE")
        self.assertEqual(invite.uri, "sip:a.example")
        self.assertEqual(invite.values("Route"), ("<sip:b.example;lr>", f"<{DOMAIN}>"))
        self.assertEqual(invite.header("To"), f"<{DOMAIN}>")
        self.assertTrue(net.carrier.finder.asked[-1].startswith("sip:a.example"))

    def test_again(self) -> None:
        """Challenge, ACK of a refusal, CANCEL and redirection keep the route."""
        routes = ("<sip:a.example;lr>", "<sip:b.example;lr>")
        net = self.build(*routes)
        net.carrier.side.redirect = "follow"
        near = net.pbx.invite(NUMBER, sdp())
        challenge = ("Proxy-Authenticate", 'Digest realm="carrier.example", nonce="n1"')
        net.carrier.answers(net.carrier.request("INVITE"), 407, headers=[challenge])
        self.assertEqual(net.carrier.request("ACK").values("Route"), routes)
        again = net.carrier.request("INVITE")
        self.assertEqual((again.cseq.number, again.values("Route")), (2, routes))
        net.carrier.answers(again, 302, headers=[("Contact", "<sip:+4930@carrier.example>")])
        moved = net.carrier.request("INVITE")
        self.assertEqual((moved.uri, moved.values("Route")), ("sip:+4930@carrier.example", routes))
        self.assertEqual(set(net.carrier.finder.asked), {"sip:a.example;lr"})
        net.carrier.answers(moved, 180)
        net.pbx.cancel(near)
        self.assertEqual(net.carrier.request("CANCEL").values("Route"), routes)

    def test_secure(self) -> None:
        """A SIPS URI as first route: a SIPS URI in Contact (section 8.1.1.8)."""
        net = self.build("<sips:a.example;lr>")
        net.pbx.invite(NUMBER, sdp())
        contact = net.carrier.request("INVITE").contacts[0]
        self.assertEqual(str(contact.uri), "sips:account@198.51.100.2:40000")

    def test_notToPBX(self) -> None:
        """Calls to the PBX know nothing of it."""
        net = self.build("<sip:a.example;lr>")
        net.inboundCall()
        self.assertEqual(net.pbx.request("INVITE").values("Route"), ())
