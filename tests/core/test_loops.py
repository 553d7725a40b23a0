"""Requests that come twice, or come back (RFC 3261 sections 8.2.2.2 and 8.1.1.6)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.wire.message import Header, Request, Response
from tests.core.callnet import SAVP, CallNet, Neighbour, sdp

ACCOUNT = "sip:account@198.51.100.2:40000;transport=tls"
NUMBER = "sip:+4420@198.51.100.1"


def again(neighbour: Neighbour, request: Request, uri: str) -> None:
    """C{neighbour}, a proxy, sends C{request} to C{uri}: another Via on top, one hop less."""
    transport = neighbour.channel.peer.transport
    via = f"SIP/2.0/{transport} {neighbour.host}:5070;branch=z9hG4bKhop{request.maxForwards}"
    hops = Header("Max-Forwards", str((request.maxForwards or 0) - 1))
    rest = (header for header in request.headers if header.name != "Max-Forwards")
    neighbour.says(Request("INVITE", uri, (Header("Via", via), hops, *rest), request.body))


class MergedTests(SynchronousTestCase):
    """One INVITE over two ways, as forking proxies make it."""

    def test_8_2_2_2(self) -> None:
        """The second gets 482, and the call that the first has made goes on, whichever side it is."""
        net = CallNet()
        for caller, callee, uri, media in (
            (net.pbx, net.carrier, NUMBER, sdp()),
            (net.carrier, net.pbx, ACCOUNT, sdp(SAVP, "203.0.113.9")),
        ):
            first = caller.invite(uri, media)
            far = callee.request("INVITE")
            caller.got(), callee.got()
            again(caller, first, uri)
            self.assertEqual((caller.got(), callee.got()), ([482], []))
            callee.answers(far, 200, sdp(SAVP, "203.0.113.9") if callee is net.carrier else sdp())
            accepted = caller.response(200)
            caller.ack(first, accepted)
            caller.within(first, accepted, "BYE", 2)
            callee.answers(callee.request("BYE"), 200)
        self.assertEqual(net.manager.callCount(), 0)


class ReturnTests(SynchronousTestCase):
    """Calls that the carrier sends back to us."""

    def test_hairpin(self) -> None:
        """
        A call to a number of the PBX's own, which the carrier, a proxy, sends back as it is with our Via
        below its own: it is a call like any other, rings at the PBX, and is answered.
        """
        net = CallNet()
        near = net.pbx.invite(NUMBER, sdp())
        out = net.carrier.request("INVITE")
        net.pbx.got()
        again(net.carrier, out, ACCOUNT)
        back = net.pbx.request("INVITE")
        self.assertEqual((net.manager.callCount(), back.maxForwards), (2, 67))
        net.pbx.answers(back, 200, sdp())
        accepted = net.carrier.response(200)
        self.assertEqual(len(accepted.vias), 2)
        net.carrier.answers(out, 200, accepted.body, tag=accepted.toAddress.tag or "")
        net.pbx.ack(near, net.pbx.response(200))
        self.assertEqual(net.carrier.request("ACK").callID, out.callID)

    def test_loop(self) -> None:
        """
        The PBX sends calls to a number back to the trunk, and the carrier sends that number back too, both
        under Call-IDs of their own: only Max-Forwards survives, and ends it.  Every call gets its answer.
        """
        net = CallNet()
        net.pbx.invite(NUMBER, sdp(), callID="first")
        for _ in range(100):
            if "INVITE" in net.carrier.channel.summary():
                out = net.carrier.request("INVITE")
                net.carrier.channel.clear()
                again(net.carrier, out.withHeader("Call-ID", f"{out.callID}x"), ACCOUNT)
            elif "INVITE" in net.pbx.channel.summary():
                back = net.pbx.request("INVITE")
                net.pbx.channel.clear()
                again(net.pbx, back.withHeader("Call-ID", f"{back.callID}x"), NUMBER)
        refusals = [m for m in net.pbx.channel.summary() + net.carrier.channel.summary() if m == 483]
        self.assertEqual(len(refusals), 1)
        # 70 hops; every second one is ours, and each of ours is a call.
        self.assertEqual(net.manager.callCount(), 35)
        net.manager.drain(1)
        refused = [m for m in net.pbx.channel.messages if isinstance(m, Response) and m.status == 503]
        self.assertIn("first", [m.callID for m in refused])
