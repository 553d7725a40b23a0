"""Methods that are known and not taken, or not known (RFC 3261 sections 8.2.1, 21.4.6 and 21.5.2)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.capabilities import ALLOW
from skypetrunk.wire.message import Header, Request
from tests.core.callnet import CallNet, Neighbour

METHODS = (("MESSAGE", 405), ("SUBSCRIBE", 405), ("PUBLISH", 405), ("WIBBLE", 501))


def outside(neighbour: Neighbour, method: str, number: int) -> None:
    """C{neighbour} sends a request of no dialog, with a body of a type that we do not read."""
    host = neighbour.host
    lines = [
        ("Via", f"SIP/2.0/{neighbour.channel.peer.transport} {host}:5070;branch=z9hG4bK{method}"),
        ("Max-Forwards", "70"),
        ("From", f"<sip:1001@{host}>;tag=a"),
        ("To", "<sip:+4420@198.51.100.1>"),
        ("Call-ID", f"outside-{method}@{host}"),
        ("CSeq", f"{number} {method}"),
        ("Content-Type", "text/plain"),
    ]
    headers = tuple(Header(*line) for line in lines)
    neighbour.says(Request(method, "sip:+4420@198.51.100.1", headers, b"hello"))


class NotTakenTests(SynchronousTestCase):
    """From both sides, outside dialogs and within."""

    def test_outside(self) -> None:
        """The status with Allow, whatever the body is; the other side hears nothing."""
        net = CallNet()
        for neighbour, other in ((net.pbx, net.carrier), (net.carrier, net.pbx)):
            for number, (method, status) in enumerate(METHODS, 1):
                outside(neighbour, method, number)
                response = neighbour.response(status)
                self.assertEqual((response.header("Allow"), response.cseq.method), (ALLOW.value, method))
                self.assertIsNotNone(response.toAddress.tag)
                self.assertIsNone(response.header("Accept"))
                neighbour.channel.clear()
            self.assertEqual(other.got(), [])
        net.settle()
        self.assertEqual(set(net.leftovers().values()), {0})

    def test_within(self) -> None:
        """The same in a call, on both of its legs; the call goes on, and its CSeq numbers count on."""
        net = CallNet()
        near, far = net.outboundCall()
        accepted = net.pbx.response(200)
        net.pbx.got(), net.carrier.got()
        kind = [("Content-Type", "text/plain")]
        for number, (method, status) in enumerate(METHODS, 2):
            for neighbour in (net.pbx, net.carrier):
                if neighbour is net.pbx:
                    net.pbx.within(near, accepted, method, number, headers=kind)
                else:
                    net.carrier.back(far, method, number, headers=kind)
                response = neighbour.response(status)
                self.assertEqual((response.header("Allow"), response.cseq.method), (ALLOW.value, method))
                neighbour.channel.clear()
        self.assertEqual((net.pbx.got(), net.carrier.got(), net.manager.callCount()), ([], [], 1))
        net.pbx.within(near, accepted, "MESSAGE", 2)
        self.assertEqual(net.pbx.got(), [500])
        net.pbx.within(near, accepted, "BYE", 10)
        net.carrier.answers(net.carrier.request("BYE"), 200)
        self.assertEqual(net.manager.callCount(), 0)
        self.assertNotIn("MESSAGE", ALLOW.value)
