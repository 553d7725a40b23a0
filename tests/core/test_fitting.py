"""Requests that are too large for a datagram, in calls (RFC 3261 section 18.1.1)."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from skypetrunk.core.sides import PBXSide
from skypetrunk.interfaces import IMessageChannel, ISizedChannel
from skypetrunk.testing import RecordingChannel
from skypetrunk.wire.message import Request
from tests.core.callnet import PCMA, SAVP, CallNet, sdp


@implementer(ISizedChannel)
class Datagrams(RecordingChannel):
    """
    UDP with a connection beside it for what is large.

    @ivar sizes: that were asked for.
    """

    def __init__(self, net: CallNet) -> None:
        super().__init__(net.clock, "udp:192.0.2.10:5070", "udp:198.51.100.1:5060")
        self.stream = RecordingChannel(net.clock, "tcp:192.0.2.10:5070", "tcp:198.51.100.1:40001")
        self.sizes: list[int] = []

    def fitting(self, octets: int) -> Deferred[IMessageChannel]:
        """By size."""
        self.sizes.append(octets)
        return succeed(self.stream if octets > 1300 else self)


class FittingTests(SynchronousTestCase):
    """INVITE, ACK and BYE to a PBX."""

    def call(self, called: str) -> tuple[Datagrams, Request]:
        """A call of the carrier to a PBX on UDP: its channels, and the INVITE that it gets."""
        net = CallNet()
        channel = Datagrams(net)
        self.assertTrue(verifyObject(ISizedChannel, channel))
        assert isinstance(net.pbx.side, PBXSide)
        net.pbx.side.streamPorts = {"TCP": 5060}
        net.pbx.finder.channel = net.pbx.channel = channel
        net.carrier.invite(f"sip:{called}@198.51.100.2:40000", sdp(SAVP, "203.0.113.9"))
        request = (channel.requests + channel.stream.requests)[0]
        if channel.stream.requests:
            net.pbx.channel = channel.stream
        net.pbx.answers(request, 200, sdp(PCMA))
        return channel, request

    def test_small(self) -> None:
        """A usual INVITE goes by UDP, and was measured with the Via that it gets."""
        channel, request = self.call("account")
        self.assertEqual(request.topVia.transport, "UDP")
        self.assertLess(len(request.encode()), channel.sizes[0])
        self.assertLess(channel.sizes[0], len(request.encode()) + 60)

    def test_18_1_1_large(self) -> None:
        """A large one goes by TCP; Via says so, and Contact names the port where we listen."""
        channel, request = self.call("4" * 500)
        # The ACK is small again.
        self.assertEqual([each.method for each in channel.requests], ["ACK"])
        self.assertEqual((request.topVia.transport, request.topVia.port), ("TCP", 40001))
        self.assertEqual(str(request.contacts[0].uri).partition("@")[2], "198.51.100.1:5060;transport=tcp")
