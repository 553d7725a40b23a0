"""What a call consists of shows neither keys nor passwords."""

from __future__ import annotations

from base64 import b64encode
from gc import get_referents
from types import FunctionType, ModuleType

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.wire.sdes import MasterKey
from tests.core.callnet import KEY, SAVP, CallNet, sdp

KINDS = ("Bridge", "Leg", "Session", "Dialog", "SecurityDescriptions", "InviteClient", "MasterKey", "Request")


def reachable(start: object) -> list[object]:
    """Every object that C{start} leads to, without modules, classes and the globals of functions."""
    seen: dict[int, object] = {}
    waiting = [start]
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, (ModuleType, type)):
            continue
        seen[id(each)] = each
        if isinstance(each, FunctionType):
            waiting += [cell.cell_contents for cell in each.__closure__ or ()]
        else:
            waiting += get_referents(each)
    return list(seen.values())


class ReprTests(SynchronousTestCase):
    """Objects of ours, as an error report would show them."""

    def test_repr(self) -> None:
        """No key and no password is in the repr of anything, while a call is set up and while it stands."""
        net = CallNet()
        for status in (183, 200):
            near = net.pbx.invite("sip:+4420@198.51.100.1", sdp())
            challenge = ("Proxy-Authenticate", 'Digest realm="carrier.example", nonce="n", qop="auth"')
            net.carrier.answers(net.carrier.request("INVITE"), 407, headers=[challenge])
            net.carrier.answers(net.carrier.request("INVITE"), status, sdp(SAVP, "203.0.113.9"))
        net.pbx.ack(near, net.pbx.response(200))
        events = [event for leg in net.plane.legs for event in leg.events]
        keys = {event[2] for event in events if event[0] in ("local", "remote key")}
        self.assertEqual(len(keys), 3)
        secrets = {"s3cret", KEY[7:], KEY[7:40]}
        for key in keys:
            assert isinstance(key, MasterKey)
            octets = key.key + key.salt
            secrets |= {b64encode(octets).decode(), octets.hex(), repr(key.key)[2:-1], repr(key.salt)[2:-1]}
        ours = [each for each in reachable(net.manager) if type(each).__module__.startswith("skypetrunk")]
        shown = [repr(each) for each in ours]
        for kind in KINDS:
            self.assertTrue(any(kind in text for text in shown), kind)
        for text in shown:
            for secret in secrets:
                self.assertNotIn(secret, text)
