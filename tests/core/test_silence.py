"""Calls that nobody is in any more end, and the record says why."""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.silence import SilenceWatch
from skypetrunk.interfaces import ANY_PATH, DirectionStatistics, LegStatistics, MediaPath
from skypetrunk.wire.message import Request
from tests.core.callnet import PCMA, SAVP, CallNet, RecordingMediaLeg, sdp


class SpeakingLeg(RecordingMediaLeg):
    """A media leg that may hear something."""

    heard = DirectionStatistics()

    def statistics(self) -> LegStatistics:
        """With what it has heard."""
        return replace(super().statistics(), received=self.heard)


class SilenceTests(SynchronousTestCase):
    """A call through a manager with a limit of 100 s."""

    def setUp(self) -> None:
        """One call."""
        self.net = CallNet()
        self.clock: Clock = self.net.clock
        manager = self.net.manager
        manager._silence = SilenceWatch(self.clock, 100.0, lambda: manager._bridges, manager.sides.values)
        self.legs: list[SpeakingLeg] = []

        def allocate(name: str, secure: bool, path: MediaPath = ANY_PATH) -> SpeakingLeg:
            self.legs.append(SpeakingLeg(name, secure, 20000 + 2 * len(self.legs)))
            return self.legs[-1]

        events = EventLoggingObserver()
        globalLogPublisher.addObserver(events)
        self.addCleanup(globalLogPublisher.removeObserver, events)
        self.events = events
        self.net.plane.allocate = allocate  # type: ignore[method-assign]
        self.near, self.far = self.net.outboundCall()
        self.accepted = self.net.pbx.response(200)

    def passes(self, seconds: int) -> None:
        """Time, second by second."""
        self.clock.pump([1.0] * seconds)

    def test_ends(self) -> None:
        """After 100 s without a packet both sides get BYE; the cause is in the record."""
        self.passes(99)
        self.assertEqual(self.net.manager.callCount(), 1)
        self.net.pbx.answers(self.net.pbx.request("OPTIONS"), 200)
        self.passes(21)
        self.assertIn("BYE", self.net.pbx.got())
        self.assertIn("BYE", self.net.carrier.got())
        [ended] = self.net.observer.ended
        self.assertEqual((ended.by, ended.cause), ("trunk", "no packet from either side for 100 s"))

    def test_oneSideIsEnough(self) -> None:
        """Whatever is heard of one side shows that somebody is there: RTP, RTCP, and what is refused."""
        for counted in (
            DirectionStatistics(packets=1),
            DirectionStatistics(packets=1, rtcpPackets=1),
            DirectionStatistics(packets=1, rtcpPackets=1, refused=(("source", 1),)),
        ):
            self.passes(80)
            self.legs[0].heard = counted
        self.passes(80)
        self.assertEqual(self.net.manager.callCount(), 1)
        self.passes(40)
        self.assertEqual([each.by for each in self.net.observer.ended], ["trunk"])

    def logged(self) -> list[str]:
        """What was said of silence."""
        lines = [formatEvent(event) for event in self.events]
        return [line.partition(": ")[2] for line in lines if "nothing has come" in line or "again" in line]

    def speaks(self, place: int, seconds: int) -> None:
        """Time, in which one leg gets packets."""
        for _ in range(seconds):
            self.legs[place].heard = DirectionStatistics(packets=self.legs[place].heard.packets + 50)
            self.clock.advance(1)

    def test_oneSided(self) -> None:
        """Which side is silent stands in the log, once, in the status, and in the record at the end."""
        (call,) = self.net.manager.media()
        self.speaks(0, 30)
        self.assertEqual(self.net.manager.media()[call].silent, ())
        self.speaks(0, 200)
        self.assertEqual(self.net.manager.media()[call].silent, ("carrier",))
        self.assertEqual(self.logged(), ["nothing has come from carrier for 30 s"])
        self.speaks(1, 40)
        self.assertEqual(self.net.manager.media()[call].silent, ("office",))
        self.assertEqual(
            self.logged()[1:], ["carrier is heard again", "nothing has come from office for 30 s"]
        )
        self.net.pbx.within(self.near, self.accepted, "BYE", 2)
        [ended] = self.net.observer.ended
        self.assertEqual((ended.by, ended.silent), ("caller", ("office",)))

    def test_oneSideEnds(self) -> None:
        """Where that is wanted for a side, nothing from it ends a call, whatever the other side does."""
        self.net.manager.sides["carrier"].silence = 50.0
        self.speaks(1, 100)
        self.assertEqual(self.net.manager.callCount(), 1)
        self.speaks(0, 49)
        self.assertEqual(self.net.manager.callCount(), 1)
        self.speaks(0, 11)
        [ended] = self.net.observer.ended
        self.assertEqual(
            (ended.by, ended.cause, ended.silent), ("trunk", "no packet from carrier for 50 s", ("carrier",))
        )

    def test_fax(self) -> None:
        """Who gets a page by T.38 is silent meanwhile; a fax of which nothing comes from either side ends."""
        net = self.net
        net.manager.sides["carrier"].silence = 50.0
        net.carrier.side.fax = True
        near, far = net.outboundCall()
        accepted = net.pbx.response(200)
        self.net.pbx.within(self.near, self.accepted, "BYE", 2)
        fax = "m=image 4900 udptl t38\r\n"
        again = net.pbx.within(near, accepted, "INVITE", 2, sdp(fax, version=2))
        net.carrier.answers(net.carrier.request("INVITE"), 200, sdp(fax, "203.0.113.9", 2))
        net.pbx.ack(again, net.pbx.response(200))
        for _ in range(500):
            self.legs[2].heard = DirectionStatistics(fax=self.legs[2].heard.fax + 30)
            self.clock.advance(1)
        self.assertEqual((net.manager.callCount(), self.logged()), (1, []))
        self.passes(99)
        self.assertEqual(net.manager.callCount(), 1)
        self.passes(21)
        self.assertEqual(net.observer.ended[-1].cause, "no packet from either side for 100 s")

    def test_oneSideAlone(self) -> None:
        """The bound of a side holds without one for both, and has the time that it needs."""
        net = CallNet()
        net.manager.sides["office"].silence = 20.0
        net.outboundCall()
        net.clock.pump([1.0] * 19)
        self.assertEqual(net.manager.callCount(), 1)
        net.clock.pump([1.0] * 4)
        [ended] = net.observer.ended
        self.assertEqual(ended.cause, "no packet from office for 20 s")

    def asked(self) -> Request | None:
        """The OPTIONS that the PBX has got within the call, once."""
        requests = self.net.pbx.channel.requests
        self.net.pbx.channel.clear()
        found = {each.topVia.branch: each for each in requests if each.method == "OPTIONS"}
        self.assertLessEqual(len(found), 1)
        return next(iter(found.values()), None)

    def test_gone(self) -> None:
        """
        A PBX without power: the carrier's music goes on.  After a minute it is asked, and with no answer, or
        481 of one that has started anew, the call ends.
        """
        for status, seconds in ((0, 32), (481, 0), (408, 0)):
            self.setUp()
            self.speaks(1, 59)
            self.assertIsNone(self.asked())
            self.speaks(1, 21)
            options = self.asked()
            assert options is not None
            self.assertEqual(options.toAddress.tag, self.near.fromAddress.tag)
            self.assertEqual(self.net.manager.callCount(), 1)
            if status:
                self.net.pbx.answers(options, status)
            self.speaks(1, seconds)
            [ended] = self.net.observer.ended
            told = f"no packet from office, and OPTIONS within the call got {status or 408}"
            self.assertEqual((ended.by, ended.cause, ended.silent), ("trunk", told, ("office",)))
            self.assertIn("BYE", self.net.carrier.got())

    def test_silentAndThere(self) -> None:
        """A PBX that sends nothing while nobody speaks answers something, and is asked once in a minute."""
        for status in (200, 404, 405, 501, 603):
            self.speaks(1, 70)
            options = self.asked()
            assert options is not None
            self.net.pbx.answers(options, status)
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_heardMeanwhile(self) -> None:
        """A PBX that is heard is not asked; nor does it matter what is missing when it is heard again."""
        self.speaks(0, 50)
        self.legs[1].heard = DirectionStatistics(packets=1)
        self.speaks(0, 50)
        self.assertIsNone(self.asked())
        self.speaks(1, 75)
        self.assertIsNotNone(self.asked())
        self.speaks(0, 1)
        self.speaks(1, 40)
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_longBound(self) -> None:
        """Where calls may be silent for hours, a PBX is asked no later."""
        manager = self.net.manager
        manager._silence.end()
        manager._silence = SilenceWatch(self.clock, 36000.0, lambda: manager._bridges)
        manager._silence.begin()
        self.passes(100)
        self.assertIsNone(self.asked())
        self.passes(20)
        self.assertIsNotNone(self.asked())

    def test_carrierNotAsked(self) -> None:
        """A carrier is verified and watched in other ways."""
        self.speaks(0, 99)
        self.assertNotIn("OPTIONS", self.net.carrier.got())

    def test_holdOneSided(self) -> None:
        """Who is on hold, and hears music, has nothing to send; who plays it has."""
        self.net.manager.sides["carrier"].silence = 50.0
        hold = sdp(PCMA + "a=sendonly\r\n", version=2)
        self.net.pbx.within(self.near, self.accepted, "INVITE", 2, hold)
        again = self.net.carrier.request("INVITE")
        self.net.carrier.answers(again, 200, sdp(SAVP + "a=recvonly\r\n", "203.0.113.9", 2))
        self.net.pbx.ack(self.near.withHeader("CSeq", "2 INVITE"), self.net.pbx.response(200))
        self.speaks(0, 500)
        self.assertEqual((self.net.manager.callCount(), self.logged()), (1, []))
        self.passes(60)
        self.assertEqual(self.logged(), ["nothing has come from office for 30 s"])

    def test_hold(self) -> None:
        """On hold nobody has to send; the time begins when it ends."""
        hold = sdp(PCMA + "a=inactive\r\n", version=2)
        self.net.pbx.within(self.near, self.accepted, "INVITE", 2, hold)
        again = self.net.carrier.request("INVITE")
        answer = self.net.carrier.answers(again, 200, sdp(SAVP + "a=inactive\r\n", "203.0.113.9", 2))
        self.assertTrue(answer.body)
        self.net.pbx.ack(self.near.withHeader("CSeq", "2 INVITE"), self.net.pbx.response(200))
        self.passes(1000)
        self.assertEqual(self.net.manager.callCount(), 1)

    def test_off(self) -> None:
        """0: never, and no timer runs."""
        net = CallNet()
        net.outboundCall()
        before = len(net.clock.getDelayedCalls())
        net.clock.pump([1.0] * 40)
        self.assertLessEqual(len(net.clock.getDelayedCalls()), before)
        self.assertEqual(net.manager.callCount(), 1)

    def test_nothingLeft(self) -> None:
        """The last call takes the timer with it."""
        self.net.pbx.within(self.near, self.accepted, "BYE", 2)
        self.net.carrier.answers(self.net.carrier.request("BYE"), 200)
        self.net.settle()
        self.assertEqual(self.clock.getDelayedCalls(), [])
