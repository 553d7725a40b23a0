"""Overload: when it is one, and what a call gets then."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, eventAsText
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.dialogs import DialogManager
from skypetrunk.errors import CallRefused
from skypetrunk.service.limits import CallLimits
from skypetrunk.service.overload import CALM, LASTING, LATE, TICK, TOO_LATE, WAITED, LoadMeter
from tests.core.callnet import CallNet, Plan, sdp


class LoadMeterTests(SynchronousTestCase):
    """L{LoadMeter}."""

    def setUp(self) -> None:
        """It looks."""
        self.clock = Clock()
        self.meter = LoadMeter(self.clock, lambda: 0.5)
        self.meter.start()

    def turn(self, late: float = 0.0) -> bool:
        """One turn of a reactor that is late by so many seconds; is it overloaded then?"""
        self.clock.advance(TICK + late)
        return self.meter.overloaded

    def test_onTime(self) -> None:
        """A reactor that is on time, or a little late, is not overloaded."""
        self.assertEqual([self.turn(late) for late in (0, 0.05, LATE - 0.01, LATE - 0.01, 0)], [False] * 5)
        self.meter.admit()
        self.assertEqual(self.meter.refused, 0)

    def test_late(self) -> None:
        """One late turn is not enough; two are, until one is on time."""
        late = LATE + 0.01
        self.assertEqual(
            [self.turn(x) for x in (late, 0, late, late, late, 0)], [False] * 3 + [True] * 2 + [False]
        )
        self.assertEqual(round(self.meter.lateness, 3), 0.0)

    def test_withinOneTurn(self) -> None:
        """A turn that lasts too long is overload before it is over."""
        # What a turn does is done between the timers.
        self.clock.rightNow += TICK + TOO_LATE - 0.01
        self.assertFalse(self.meter.overloaded)
        self.clock.rightNow += 0.02
        self.assertTrue(self.meter.overloaded)
        self.clock.advance(0)
        self.assertFalse(self.meter.overloaded)

    def wait(self, seconds: float, times: int) -> bool:
        """What is read has waited so long, for as many ticks; is it overloaded after the last?"""
        for _ in range(times):
            self.turn()
            self.meter.waited(seconds)
        return self.meter.overloaded

    def test_waited(self) -> None:
        """What waits too long until it is read is overload if it lasts, until something is read in time."""
        ticks, long = int(LASTING / TICK + 0.5), WAITED + 0.01
        self.assertFalse(self.wait(long, ticks))
        self.assertTrue(self.wait(long, 2))
        self.assertFalse(self.wait(WAITED, 1))
        self.assertFalse(self.wait(long, 1))

    def test_waitedAgain(self) -> None:
        """Shortly after a refusal it need not last."""
        ticks, long = int(LASTING / TICK + 0.5), WAITED + 0.01
        self.wait(long, ticks + 2)
        self.assertRaises(CallRefused, self.meter.admit)
        self.assertFalse(self.wait(0.0, 3))
        self.assertTrue(self.wait(long, 1))
        self.assertFalse(self.wait(0.0, int(CALM / TICK) + 1))
        self.assertFalse(self.wait(long, 1))

    def test_waitedNowAndThen(self) -> None:
        """One that waited, and another some time later, are no overload."""
        for _ in range(5):
            self.meter.waited(WAITED + 0.01)
            self.assertFalse(self.meter.overloaded)
            self.assertEqual([self.turn() for _ in range(int(LASTING / TICK) + 2)], [False] * 4)

    def test_waitedBefore(self) -> None:
        """What was read some time ago says nothing of what comes now, by another way."""
        self.assertTrue(self.wait(WAITED + 0.01, 10))
        self.turn(0.01)
        self.assertFalse(self.meter.overloaded)

    def test_refusal(self) -> None:
        """503, cause 42, and a time to come again by chance; begin and end are in the log."""
        with capturedLogs() as events:
            self.turn(1)
            self.turn(1)
            for _ in range(3):
                with self.assertRaises(CallRefused) as caught:
                    self.meter.admit()
            self.turn(0)
            self.meter.admit()
            self.turn(CALM)
            self.turn(0)
        error = caught.exception
        self.assertEqual((error.status, error.cause, error.retryAfter), (503, 42, 5))
        self.assertEqual(
            [
                (event["log_level"], eventAsText(event, includeTimestamp=False, includeSystem=False))
                for event in events
            ],
            [
                (LogLevel.warn, "overload: 1.00 s late, new calls are refused"),
                (LogLevel.info, "on time again; 3 calls were refused since the start"),
            ],
        )

    def test_stop(self) -> None:
        """One that does not look leaves nothing behind, and refuses nothing."""
        self.turn(1)
        self.turn(1)
        self.meter.stop()
        self.clock.rightNow += 10
        self.assertFalse(self.meter.overloaded)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.meter.start()
        self.assertFalse(self.meter.overloaded)
        self.meter.stop()
        self.meter.stop()


class CallTests(SynchronousTestCase):
    """What a call gets while there is too much to do."""

    def test_call(self) -> None:
        """503 with Retry-After, and nothing was taken; emergency calls and calls that are up go on."""
        net = CallNet()
        meter = LoadMeter(net.clock, lambda: 0.0)
        net.manager = DialogManager(
            net.clock,
            net.manager._workshop.timers,
            net.manager._token,
            net._random,
            net.plane,
            Plan(),
            net.policy,
            net,
            [net.observer],
            gate=CallLimits(Plan(), net.clock.seconds, meter),
        )
        for neighbour in (net.pbx, net.carrier):
            net.manager.addSide(neighbour.side)
        meter.start()
        near, _ = net.outboundCall()
        answer = net.pbx.response(200)
        legs = len(net.plane.legs)
        net.clock.rightNow += 1
        net.pbx.invite("sip:+4420@198.51.100.1", sdp())
        refusal = net.pbx.response(503)
        self.assertEqual(refusal.header("Retry-After"), "2")
        self.assertIn("Q.850;cause=42", refusal.header("Reason") or "")
        self.assertEqual((len(net.plane.legs), meter.refused), (legs, 1))
        net.pbx.got()
        net.pbx.invite("sip:112@198.51.100.1", sdp())
        emergency = net.pbx.response(503)
        self.assertIsNone(emergency.header("Retry-After"))
        self.assertIn("cause=34", emergency.header("Reason") or "")
        net.pbx.within(near, answer, "BYE", 2)
        self.assertEqual(net.pbx.got()[-1], 200)
        net.clock.advance(0)
        net.outboundCall()
        meter.stop()
