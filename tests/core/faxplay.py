"""A call over a trunk that lets T.38 pass, for the tests of it."""

from __future__ import annotations

from skypetrunk.core.leg import Leg
from skypetrunk.interfaces import MediaAddress
from skypetrunk.wire.message import Request
from skypetrunk.wire.sdp import SessionDescription, parseSDP
from tests.core.callnet import Neighbour, RecordingMediaLeg, sdp
from tests.core.races import Race

ASKED = (
    "a=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\na=T38FaxFillBitRemoval\r\n"
    "a=T38FaxRateManagement:transferredTCF\r\n"
    "a=T38FaxMaxBuffer:200\r\na=T38FaxMaxDatagram:72\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n"
)
TOLD = "a=T38FaxVersion:0\r\na=t38MaxBitrate:9600\r\na=T38FaxUdpEC:t38UDPFEC\r\na=T38VendorInfo:0 0 37\r\n"
OFF = "m=audio 0 RTP/AVP 8\r\n"


def image(attributes: str, port: int = 4900, host: str = "192.0.2.10", version: int = 2) -> bytes:
    """A description with T.38 alone."""
    return sdp(f"m=image {port} udptl t38\r\n{attributes}", host, version)


class PassedCase(Race):
    """A call that stands, over a trunk with C{t38 = "pass"}."""

    def setUp(self) -> None:
        """It is established."""
        super().setUp()
        self.net.carrier.side.fax = True
        self.near, self.accepted, self.far = self.established()
        self.before = [list(leg.events) for leg in self.net.plane.legs]

    def leg(self, neighbour: Neighbour) -> RecordingMediaLeg:
        """Towards it."""
        caller, callee = self.net.plane.legs
        return caller if neighbour is self.caller else callee

    def asks(self, body: bytes, number: int = 2, method: str = "INVITE") -> Request:
        """The caller's offer."""
        return self.caller.within(self.near, self.accepted, method, number, body)

    def answers(self, body: bytes, method: str = "INVITE") -> Request:
        """The callee's 200; its request."""
        offered = self.callee.request(method)
        self.callee.answers(offered, 200, body)
        return offered

    def taken(self, asked: Request) -> SessionDescription:
        """The caller's 200, acknowledged."""
        accepted = self.caller.response(200)
        if asked.method == "INVITE":
            self.caller.ack(asked, accepted)
        self.callee.got()
        self.caller.got()
        return parseSDP(accepted.body)

    def assertFax(self) -> None:
        """On both legs, to where their peers said."""
        for leg, port in ((self.leg(self.caller), 4900), (self.leg(self.callee), 4950)):
            self.assertEqual(leg.events[-1][0], "fax", leg.events[-3:])
            address = leg.events[-1][1]
            assert isinstance(address, MediaAddress)
            self.assertEqual((address.port, address.rtcpPort), (port, 0))
        self.assertEqual([leg.session.fax for leg in self.legs()], [True, True])

    def assertSound(self) -> None:
        """On both legs, with the keys and places of the beginning."""
        for leg, before in zip(self.net.plane.legs, self.before, strict=True):
            told = len(leg.events) - 1 - [each[0] for each in reversed(leg.events)].index("remote")
            again = {each[0]: each[1:] for each in leg.events[told:]}
            self.assertNotIn("fax", again)
            for name, value in {each[0]: each[1:] for each in before}.items():
                if name in ("remote", "sending", "local", "remote key"):
                    self.assertEqual(again[name], value)
        self.assertEqual([leg.session.fax for leg in self.legs()], [False, False])

    def legs(self) -> tuple[Leg, ...]:
        """Of the call."""
        [call] = self.net.manager._bridges
        return call.legs

    def assertUntouched(self) -> None:
        """Media is as it was, and the call stands."""
        self.assertEqual([leg.events for leg in self.net.plane.legs], self.before)
        self.assertEqual(self.net.manager.callCount(), 1)

    def faxed(self) -> None:
        """It is a fax."""
        asked = self.asks(image(ASKED))
        self.answers(image(TOLD, 4950))
        self.taken(asked)
