"""What the tests of races share: one call in each direction, over each transport of the PBX's side."""

from __future__ import annotations

from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.interfaces import DirectionStatistics
from skypetrunk.wire.message import Request, Response
from tests.core.callnet import PCMA, SAVP, CallNet, Neighbour, sdp

BOUND = 32.0
"""64*T1 in seconds."""


class Race(SynchronousTestCase):
    """
    One race.  Whatever happens in it, nothing of any call is left when its timers have run out.

    @cvar transport: of the PBX's side; the carrier's is TLS.
    @cvar outbound: the PBX calls, else the carrier does.
    """

    transport: ClassVar[str] = "udp"
    outbound: ClassVar[bool] = True

    def setUp(self) -> None:
        """Two neighbours in their places."""
        self.net = CallNet(self.transport)
        pbx, carrier = self.net.pbx, self.net.carrier
        self.caller, self.callee = (pbx, carrier) if self.outbound else (carrier, pbx)

    def tearDown(self) -> None:
        """Nothing is left."""
        for neighbour in (self.caller, self.callee):
            neighbour.finder.waiting = None
        self.net.manager.drain(5.0)
        self.net.settle()
        self.assertEqual(set(self.net.leftovers().values()), {0}, self.net.leftovers())

    def description(self, neighbour: Neighbour, version: int = 1, attributes: str = "") -> bytes:
        """What a neighbour offers and answers."""
        if neighbour is self.net.pbx:
            return sdp(PCMA + attributes, version=version)
        return sdp(SAVP + attributes, "203.0.113.9", version)

    def call(self, body: bytes | None = None) -> tuple[Request, Request]:
        """
        The caller calls.

        @param body: C{b""} leaves the offer to the callee.
        @return: its INVITE, and the one that reached the callee.
        """
        near = self.invite(body)
        return near, self.callee.request("INVITE")

    def invite(self, body: bytes | None = None) -> Request:
        """The caller's INVITE, whether it goes on or not."""
        uri = "sip:+4420@198.51.100.1" if self.outbound else "sip:account@198.51.100.2:40000;transport=tls"
        return self.caller.invite(uri, self.description(self.caller) if body is None else body)

    def answer(self, far: Request) -> Response:
        """The callee answers."""
        return self.callee.answers(far, 200, self.description(self.callee))

    def established(self) -> tuple[Request, Response, Request]:
        """
        A call that stands.

        @return: the caller's INVITE, our 200 to it, and the INVITE that reached the callee.
        """
        near, far = self.call()
        self.answer(far)
        accepted = self.caller.response(200)
        self.caller.ack(near, accepted)
        self.caller.got()
        self.callee.got()
        return near, accepted, far

    def diagnosis(self) -> str | None:
        """What is wrong with the call that stands, of whose sides sound has come, as its record says."""
        for leg in self.net.plane.legs:
            leg.heard = DirectionStatistics(packets=900, codec="PCMA")
        self.net.clock.advance(5.0)
        [found] = [each.diagnosis for each in self.net.manager.media().values()]
        self.net.manager.drain(5.0)
        self.assertEqual([each.diagnosis for each in self.net.observer.ended], [found])
        return found

    def reinvited(self) -> tuple[Request, Request, Response, Request]:
        """
        A call that stands, and a re-INVITE of the caller that reached the callee.

        @return: the re-INVITE, what the callee got of it, our 200 to the first INVITE, and the first
            INVITE as the callee got it.
        """
        near, accepted, far = self.established()
        again = self.caller.within(near, accepted, "INVITE", 2, self.description(self.caller, 2))
        return again, self.callee.request("INVITE"), accepted, far
