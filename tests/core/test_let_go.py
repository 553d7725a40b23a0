"""A call that is over leaves nothing for the garbage collector, which looks seldom."""

from __future__ import annotations

import gc
import weakref
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.core.callnet import CallNet


class LetGoTests(SynchronousTestCase):
    """Bridge and legs go by themselves; what a branch that answers late would need stays for 64*T1."""

    def parts(self, net: CallNet) -> list[weakref.ref[Any]]:
        """What the call of C{net} is; from here on nothing is collected."""
        (bridge,) = net.manager._bridges
        parts = [weakref.ref(each) for each in (bridge, *bridge._legs)]
        self.assertEqual(len(parts), 3)
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        return parts

    def left(self, net: CallNet, parts: list[weakref.ref[Any]]) -> list[Any]:
        """What of it is there when time has passed."""
        net.settle()
        return [each() for each in parts if each() is not None]

    def test_outbound(self) -> None:
        """A call of the PBX, which hangs up."""
        net = CallNet()
        near, _ = net.outboundCall()
        parts = self.parts(net)
        net.pbx.within(near, net.pbx.response(200), "BYE", 2)
        net.carrier.answers(net.carrier.request("BYE"), 200)
        self.assertEqual(self.left(net, parts), [])

    def test_inbound(self) -> None:
        """A call of the carrier, which hangs up."""
        net = CallNet()
        near, _ = net.inboundCall()
        parts = self.parts(net)
        net.carrier.within(near, net.carrier.response(200), "BYE", 2)
        net.pbx.answers(net.pbx.request("BYE"), 200)
        self.assertEqual(self.left(net, parts), [])

    def test_refused(self) -> None:
        """A call that the carrier refuses."""
        net = CallNet()
        net.pbx.invite("sip:+4420@198.51.100.1")
        parts = self.parts(net)
        net.carrier.answers(net.carrier.request("INVITE"), 486)
        net.pbx.ackRefusal(486)
        self.assertEqual(self.left(net, parts), [])
