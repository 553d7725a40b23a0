"""Limits: what they let through, with what they refuse the rest, and that nothing is taken for it."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skypetrunk.core.dialogs import DialogManager
from skypetrunk.errors import CallRefused
from skypetrunk.interfaces import CallEnded, CallRequest, ICallPolicy, IDialogObserver
from skypetrunk.pbx.numbers import NumberPlan
from skypetrunk.service.limits import CallLimits, DayMeter, TokenBucket
from skypetrunk.service.settings import Limits
from skypetrunk.wire.message import Request, Response
from tests.core.callnet import SAVP, CallNet, Neighbour, Plan, sdp
from tests.pbx.linenet import LineNet
from tests.service.configurations import COMPLETE, SHORT, ConfigurationTestCase


class TokenBucketTests(SynchronousTestCase):
    """L{TokenBucket}."""

    def test_rate(self) -> None:
        """A second's worth at once, then as fast as time goes."""
        clock = Clock()
        bucket = TokenBucket(2, clock.seconds)
        taken = []
        for passed in (0, 0, 0, 0.4, 0.1, 0, 10, 0, 0):
            clock.advance(passed)
            taken.append(bucket.ready())
            if taken[-1]:
                bucket.take()
        self.assertEqual(taken, [True, True, False, False, True, False, True, True, False])

    def test_clockSetBack(self) -> None:
        """A clock that jumps back gives no tokens, and takes none."""
        now = [100.0]
        bucket = TokenBucket(1, lambda: now[0])
        bucket.take()
        now[0] = 0.0
        self.assertFalse(bucket.ready())
        now[0] = 1.0
        self.assertTrue(bucket.ready())


class DayMeterTests(SynchronousTestCase):
    """L{DayMeter}."""

    def test_minutes(self) -> None:
        """Calls that are up count, each for itself; at midnight it begins anew."""
        clock = Clock()
        clock.advance(86400 * 3 - 120)
        meter = DayMeter(clock.seconds)
        meter.answered("one")
        clock.advance(60)
        meter.answered("two")
        clock.advance(30)
        self.assertEqual(meter.minutes, 2.0)
        meter.ended("one")
        self.assertEqual(meter.minutes, 2.0)
        clock.advance(60)
        self.assertEqual(meter.minutes, 0.5)
        meter.ended("two")
        meter.ended("never answered")
        self.assertEqual(meter.minutes, 0.5)


class CallLimitsTests(SynchronousTestCase):
    """L{CallLimits} with the dialog manager that asks them."""

    def build(self, second: bool = False, **limits: Limits) -> CallNet:
        """Neighbours of which these have limits."""
        net = CallNet(second=second)
        self.limits = CallLimits(Plan(), net.clock.seconds)
        net.manager = DialogManager(
            net.clock,
            net.manager._workshop.timers,
            net.manager._token,
            net._random,
            net.plane,
            Plan(),
            net.policy,
            net,
            [net.observer, self.limits],
            gate=self.limits,
        )
        for neighbour in (net.pbx, net.carrier, net.second):
            if neighbour is not None:
                net.manager.addSide(neighbour.side)
                self.limits.add(neighbour.side, limits.get(neighbour.side.name, Limits()))
        return net

    def refused(self, net: CallNet, number: str = "+4420") -> tuple[int, str]:
        """The status and Reason that a call gets; nothing was taken for it."""
        legs = len(net.plane.legs)
        started = len(net.observer.events)
        neighbour = net.pbx
        neighbour.got()
        neighbour.invite(f"sip:{number}@198.51.100.1", sdp())
        final = neighbour.channel.sent[-1].message
        assert isinstance(final, Response)
        neighbour.ackRefusal(final.status)
        self.assertEqual((len(net.plane.legs), len(net.observer.events)), (legs, started))
        return final.status, final.header("Reason") or ""

    def british(self, limits: Limits) -> CallLimits:
        """Those of a carrier, and none of the PBX."""
        plan = NumberPlan("GB", "9")
        made = CallLimits(plan, Clock().seconds, readings=plan.readings)
        net = CallNet()
        made.add(net.pbx.side, Limits())
        made.add(net.carrier.side, limits)
        return made

    def goes(self, limits: CallLimits, called: str) -> bool:
        """May that number be called?"""
        return limits.refusal("carrier", CallRequest("c", "201", called, "office", ("carrier",))) is None

    def test_digitsBehind(self) -> None:
        """
        A number that may not be called cannot be called with more digits behind it, which networks pass over,
        or with marks in it.
        """
        limits = self.british(Limits(allow=("+44", "0", "1"), deny=("+44909", "+881")))
        for called, goes in (
            ("09098790000", False),
            ("0909879000012345", False),
            ("(0909) 8790000 12345", False),
            ("+44(0)9098790000", False),
            ("0088163110000012345", False),
            ("02079460018", True),
            ("020794600181234", True),
            ("1471", True),
        ):
            self.assertEqual(self.goes(limits, called), goes, called)

    def test_behindCode(self) -> None:
        """Nor behind a code of the exchange; the codes themselves are no numbers."""
        limits = self.british(Limits(deny=("+44909", "+881", "2", "3")))
        for called, goes in (
            ("*31#09098790000", False),
            ("*6709098790000", False),
            ("#31#+881631100000", False),
            ("9*21*09098790000#", False),
            ("*61*00449098790000*11*20#", False),
            ("*61*02079460018*11*20#", True),
            ("*6702079460018", True),
            ("*#21#", True),
            ("*31#", True),
        ):
            self.assertEqual(self.goes(limits, called), goes, called)

    def test_interfaces(self) -> None:
        """It is what it says."""
        limits = CallLimits(Plan(), Clock().seconds)
        self.assertTrue(verifyObject(ICallPolicy, limits))
        self.assertTrue(verifyObject(IDialogObserver, limits))

    def test_unlimited(self) -> None:
        """Without limits every call goes on; a neighbour nobody knows has none."""
        net = self.build()
        for _ in range(20):
            net.outboundCall()
        self.assertEqual(self.limits.status("office"), {"refused": {}, "minutes": 0.0})
        self.assertIsNone(self.limits.admit(CallRequest("c", "1", "2", "nobody", ("nothing",))))  # type: ignore[func-returns-value]

    def test_calls(self) -> None:
        """One call more than the PBX may have is 503, cause 34; when one ends there is room again."""
        net = self.build(office=Limits(calls=1))
        near, _ = net.outboundCall()
        answer = net.pbx.response(200)
        status, reason = self.refused(net)
        self.assertEqual(status, 503)
        self.assertIn("Q.850;cause=34", reason)
        self.assertEqual(self.limits.status("office")["refused"], {"calls": 1})
        net.pbx.within(near, answer, "BYE", 2)
        net.carrier.answers(net.carrier.request("BYE"), 200)
        net.outboundCall()

    def test_incomingBurst(self) -> None:
        """The carrier may make more calls than are made to it."""
        net = self.build(carrier=Limits(calls=2, incomingBurst=50))
        net.outboundCall()
        net.outboundCall()
        self.assertEqual(self.refused(net)[0], 503)
        net.inboundCall()
        net.carrier.invite("sip:account@198.51.100.2:40000", sdp(SAVP, "203.0.113.9"))
        self.assertIn("cause=34", net.carrier.response(503).header("Reason") or "")

    def test_rate(self) -> None:
        """Too many in a second are 503, cause 42, without Retry-After: the next may be in time."""
        net = self.build(carrier=Limits(callsPerSecond=2))
        net.outboundCall()
        net.outboundCall()
        status, reason = self.refused(net)
        self.assertEqual(status, 503)
        self.assertIn("Q.850;cause=42", reason)
        net.clock.advance(0.5)
        net.outboundCall()
        self.assertEqual(self.limits.status("carrier")["refused"], {"rate": 1})

    def test_rateOfSource(self) -> None:
        """The PBX's own rate; what is refused takes nothing of it."""
        net = self.build(office=Limits(callsPerSecond=1))
        net.outboundCall()
        for _ in range(3):
            self.assertEqual(self.refused(net)[0], 503)
        net.clock.advance(1)
        net.outboundCall()

    def test_minutes(self) -> None:
        """When the day's minutes are used up calls are 403, cause 21, until midnight UTC."""
        net = self.build(office=Limits(minutesPerDay=10))
        near, _ = net.outboundCall()
        net.clock.advance(599)
        net.outboundCall()
        net.clock.advance(1)
        status, reason = self.refused(net)
        self.assertEqual(status, 403)
        self.assertIn("Q.850;cause=21", reason)
        self.assertEqual(self.limits.status("office"), {"refused": {"minutes": 1}, "minutes": 10.0})
        # Calls from the carrier cost nothing.
        net.inboundCall()
        net.clock.advance(86400 - 600)
        net.outboundCall()

    def test_minutesOfTheTrunkThatTookIt(self) -> None:
        """A call that went on to the second trunk is paid there."""
        net = self.build(second=True)
        assert net.second is not None
        near = net.pbx.invite("sip:+4420@198.51.100.1", sdp())
        net.carrier.answers(net.carrier.request("INVITE"), 503)
        net.second.answers(net.second.request("INVITE"), 200, sdp(SAVP, "203.0.113.9"))
        net.pbx.ack(near, net.pbx.response(200))
        net.clock.advance(30)
        for name, minutes in (("office", 0.5), ("carrier", 0.0), ("second", 0.5)):
            self.assertEqual(self.limits.status(name)["minutes"], minutes, name)
        net.pbx.within(near, net.pbx.response(200), "BYE", 2)
        net.clock.advance(60)
        self.assertEqual(self.limits.status("second")["minutes"], 0.5)

    def test_prefixes(self) -> None:
        """The longest prefix decides; with a list of what is allowed the rest is not."""
        cases: list[tuple[Limits, dict[str, bool]]] = [
            (
                Limits(allow=("+44", "+4990012"), deny=("+449", "+49")),
                {
                    "+4420": True,
                    "004420": True,
                    "+44909": False,
                    "+4930": False,
                    "+49900123": True,
                    "+1": False,
                },
            ),
            (Limits(deny=("+882", "0900")), {"+4420": True, "+88216": False, "0900123": False}),
            (Limits(allow=("+",), deny=("+881",)), {"+1": True, "+8816": False, "100": False}),
        ]
        for limits, numbers in cases:
            for neighbour in ("office", "carrier"):
                for number, allowed in numbers.items():
                    net = self.build(office=limits) if neighbour == "office" else self.build(carrier=limits)
                    if allowed:
                        net.pbx.invite(f"sip:{number}@198.51.100.1", sdp())
                        self.assertEqual(net.carrier.got(), ["INVITE"], number)
                    else:
                        status, reason = self.refused(net, number)
                        self.assertEqual(status, 403, number)
                        self.assertIn("Q.850;cause=21", reason)

    def test_nextDestination(self) -> None:
        """A trunk that may not be used for a number is passed over; none left is a refusal."""
        net = self.build(second=True, carrier=Limits(deny=("+44",)))
        assert net.second is not None
        net.pbx.invite("sip:+4420@198.51.100.1", sdp())
        self.assertEqual((net.carrier.got(), net.second.got()), ([], ["INVITE"]))
        net = self.build(second=True, carrier=Limits(deny=("+44",)))
        assert net.second is not None
        self.limits.add(net.second.side, Limits(deny=("+4420",)))
        self.assertEqual(self.refused(net)[0], 403)

    def test_redirected(self) -> None:
        """A call that the carrier redirects must keep within the limits with its new number too."""
        net = self.build(office=Limits(calls=1, deny=("+882",)))
        net.carrier.side.redirect = "follow"
        for number, status in (("+88216", 403), ("+4930", 486)):
            net.pbx.invite("sip:+4420@198.51.100.1", sdp())
            moved = [("Contact", f"<sip:{number}@carrier.example>")]
            net.carrier.answers(net.carrier.request("INVITE"), 302, headers=moved)
            if status == 486:
                net.carrier.answers(net.carrier.request("INVITE"), 486)
            self.assertEqual(net.pbx.response(status).status, status)
            net.pbx.ackRefusal(status)
        self.assertEqual(self.limits.status("office")["refused"], {"destination": 1})

    def test_replaced(self) -> None:
        """
        A call whose place another takes (RFC 3891) is asked like a new one, but has its place among the calls
        already; what is refused leaves it as it was.
        """
        full = Limits(calls=1)
        for limits, status in (
            (full, 200),
            (Limits(calls=1, callsPerSecond=1), 503),
            (Limits(minutesPerDay=1), 403),
        ):
            for name in ("office", "carrier"):
                net = self.build(office=limits) if name == "office" else self.build(carrier=limits)
                near, far = net.outboundCall()
                accepted = net.pbx.response(200)
                net.clock.advance(0.5)
                if status == 403:
                    net.clock.advance(60)
                tags = f"to-tag={accepted.toAddress.tag};from-tag={near.fromAddress.tag}"
                net.pbx.got()
                net.pbx.invite("sip:+4420@198.51.100.1", sdp(), [("Replaces", f"{near.callID};{tags}")])
                if status == 200:
                    again = net.carrier.request("INVITE")
                    self.assertEqual(again.callID, far.callID)
                    net.carrier.answers(again, 200, sdp(SAVP, "203.0.113.9", 2))
                refused = net.pbx.response(status)
                if status != 200:
                    self.assertIn("Q.850;cause=", refused.header("Reason") or "", name)
                self.assertEqual(net.manager.callCount(), 1)
                self.assertEqual(self.limits.status("office")["minutes"], 1.0 if status == 403 else 0.0)

    def test_transferredMinutes(self) -> None:
        """A carrier counts each of its legs, in whatever call it is: so do we, until that leg ends."""
        net = self.build()
        near, far = net.outboundCall()
        accepted = net.pbx.response(200)
        net.clock.advance(60)
        net.carrier.channel.clear()
        target = [("Refer-To", "<sip:+4430@198.51.100.1>")]
        net.pbx.within(near, accepted, "REFER", 2, b"", target)
        last = net.carrier.request("INVITE")
        net.carrier.answers(last, 200, sdp(SAVP, "203.0.113.9"), tag="target")
        net.pbx.within(near, accepted, "BYE", 3)
        self.assertEqual([each.cause for each in net.observer.ended], ["transferred"])
        net.clock.advance(60)
        for name in ("office", "carrier"):
            self.assertEqual(self.limits.status(name)["minutes"], 3.0, name)
        net.carrier.back(last, "BYE", 5, tag="target")
        net.carrier.answers(net.carrier.request("BYE"), 200)
        net.settle()
        self.assertEqual(net.manager.callCount(), 0)
        net.clock.advance(600)
        self.assertEqual(self.limits.status("office")["minutes"], 3.0)
        self.assertEqual((self.limits._calls, self.limits._goingOn), ({}, {}))

    def test_mergedMinutes(self) -> None:
        """A paid leg that goes on in a call of the carrier, which costs nothing, costs what it did before."""
        net = self.build()
        near, far = net.outboundCall()
        accepted = net.pbx.response(200)
        second, ringing = net.inboundCall()
        net.clock.advance(60)
        names = f"{ringing.callID}%3Bto-tag%3D{ringing.fromAddress.tag}%3Bfrom-tag%3Dfar"
        target = [("Refer-To", f"<sip:+4430@198.51.100.1?Replaces={names}>")]
        net.pbx.within(near, accepted, "REFER", 2, b"", target)
        net.pbx.within(near, accepted, "BYE", 3)
        self.assertEqual([each.cause for each in net.observer.ended], ["transferred"])
        net.clock.advance(60)
        self.assertEqual(self.limits.status("carrier")["minutes"], 2.0)
        net.manager.drain(1)
        net.settle()
        net.clock.advance(600)
        self.assertEqual(self.limits.status("carrier")["minutes"], 2.0)
        self.assertEqual((self.limits._calls, self.limits._goingOn), ({}, {}))

    def test_replacedByCarrier(self) -> None:
        """A paid leg is replaced, by a PBX's or by one that the carrier has made: it is paid until then."""
        for merged in (True, False):
            net = self.build()
            net.carrier.side.ownTransfer = "take-over"
            _, far = net.outboundCall()
            net.clock.advance(60)
            names = f"{far.callID};to-tag={far.fromAddress.tag};from-tag=far"
            if merged:
                near, _ = net.inboundCall()
                accepted = net.carrier.response(200)
                escaped = names.replace(";", "%3B").replace("=", "%3D")
                target = [("Refer-To", f"<sip:+4430@198.51.100.2:40000?Replaces={escaped}>")]
                net.carrier.within(near, accepted, "REFER", 2, b"", target)
                net.carrier.within(near, accepted, "BYE", 3)
                self.assertEqual([each.cause for each in net.observer.ended], ["transferred"])
            else:
                media = sdp(SAVP, "203.0.113.9")
                net.carrier.invite("sip:account@198.51.100.2:40000", media, [("Replaces", names)])
                net.pbx.answers(net.pbx.request("INVITE"), 200, sdp(version=2))
                self.assertEqual(net.carrier.response(200).status, 200)
            net.carrier.answers(net.carrier.request("BYE"), 200)
            net.clock.advance(600)
            self.assertEqual(net.manager.callCount(), 1)
            for name in ("office", "carrier"):
                self.assertEqual(self.limits.status(name)["minutes"], 1.0, (name, merged))
            net.manager.drain(1)
            net.settle()
            self.assertEqual(self.limits.status("office")["minutes"], 1.0)
            self.assertEqual((self.limits._calls, self.limits._goingOn), ({}, {}))

    def test_pickedUpByCarrier(self) -> None:
        """A call that rings at the carrier is taken by one that the carrier makes: it costs nothing."""
        net = self.build()
        near = net.pbx.invite("sip:+4420@198.51.100.1", sdp())
        far = net.carrier.request("INVITE")
        net.carrier.answers(far, 180)
        names = f"{far.callID};to-tag={far.fromAddress.tag};from-tag=far"
        media = sdp(SAVP, "203.0.113.9")
        invite = net.carrier.invite("sip:account@198.51.100.2:40000", media, [("Replaces", names)])
        net.carrier.ack(invite, net.carrier.response(200))
        net.pbx.ack(near, net.pbx.response(200))
        net.carrier.answers(net.carrier.request("CANCEL"), 200)
        net.carrier.answers(far, 487)
        net.clock.advance(60)
        self.assertEqual((net.manager.callCount(), self.limits.status("carrier")["minutes"]), (1, 0.0))
        net.manager.drain(1)
        net.settle()
        self.assertEqual((self.limits.status("office")["minutes"], self.limits._calls), (0.0, {}))

    def test_callerReplaced(self) -> None:
        """Another one takes the caller's place: the paid leg is there, and is paid."""
        net = self.build()
        near, far = net.outboundCall()
        accepted = net.pbx.response(200)
        net.clock.advance(60)
        tags = f"to-tag={accepted.toAddress.tag};from-tag={near.fromAddress.tag}"
        net.pbx.invite("sip:+4420@198.51.100.1", sdp(), [("Replaces", f"{near.callID};{tags}")])
        net.carrier.answers(net.carrier.request("INVITE"), 200, sdp(SAVP, "203.0.113.9", 2))
        self.assertEqual(net.carrier.request("INVITE").callID, far.callID)
        net.clock.advance(60)
        self.assertEqual(self.limits.status("carrier")["minutes"], 2.0)

    def test_unpaidGoesOn(self) -> None:
        """Of a call that costs something the caller goes on, whom the carrier had called in: that is free."""
        net = self.build()
        net.carrier.side.ownTransfer = "take-over"
        _, ringing = net.inboundCall()
        net.pbx.back(ringing, "REFER", 2, headers=[("Refer-To", "<sip:+4430@198.51.100.1>")])
        paid = net.carrier.request("INVITE")
        net.carrier.answers(paid, 200, sdp(SAVP, "203.0.113.9"), tag="target")
        net.pbx.back(ringing, "BYE", 3)
        net.clock.advance(60)
        target = [("Refer-To", "<sip:account@198.51.100.2:40000>")]
        net.carrier.back(paid, "REFER", 5, tag="target", headers=target)
        last = net.pbx.request("INVITE")
        net.pbx.answers(last, 200, sdp(), tag="phone")
        net.carrier.back(paid, "BYE", 6, tag="target")
        self.assertEqual([each.cause for each in net.observer.ended], ["transferred", "transferred"])
        net.clock.advance(60)
        self.assertEqual((net.manager.callCount(), self.limits.status("carrier")["minutes"]), (1, 1.0))

    def test_redirectedTransfer(self) -> None:
        """The call of a REFER is none of the referrer's when it is redirected: nothing makes room for it."""
        for others, status in ((0, 486), (1, 503)):
            net = self.build(office=Limits(calls=2))
            net.carrier.side.redirect = "follow"
            near, _ = net.outboundCall()
            accepted = net.pbx.response(200)
            target = [("Refer-To", "<sip:+4430@198.51.100.1>")]
            net.pbx.within(near, accepted, "REFER", 2, b"", target)
            invite = net.carrier.request("INVITE")
            for _ in range(others):
                net.inboundCall()
            net.pbx.got()
            moved = [("Contact", "<sip:+4940@carrier.example>")]
            net.carrier.answers(invite, 302, headers=moved)
            if not others:
                net.carrier.answers(net.carrier.request("INVITE"), 486)
            last = [each for each in net.pbx.channel.requests if each.method == "NOTIFY"][-1]
            self.assertIn(b" %d " % status, last.body)

    def test_circle(self) -> None:
        """
        A carrier that begins Max-Forwards anew leads each call of the PBX back, which forwards it: the limit
        ends the circle, and then everybody refuses what he was asked.
        """
        net = self.build(carrier=Limits(calls=6))
        asked: list[tuple[Neighbour, Request]] = []
        net.pbx.invite("sip:+4420@198.51.100.1", sdp())
        for _ in range(5):
            for callee, uri, media in (
                (net.carrier, "sip:account@198.51.100.2:40000", sdp(SAVP, "203.0.113.9")),
                (net.pbx, "sip:+4420@198.51.100.1", sdp()),
            ):
                if "INVITE" in callee.channel.summary():
                    asked.append((callee, callee.request("INVITE")))
                    callee.got()
                    callee.invite(uri, media)
        self.assertEqual(len(asked), 6)
        self.assertEqual(self.limits.status("carrier")["refused"], {"calls": 1})
        for callee, invite in reversed(asked):
            caller = net.pbx if callee is net.carrier else net.carrier
            callee.answers(invite, 503)
            self.assertIn(503, caller.got())
        self.assertEqual(net.manager.callCount(), 0)

    def test_forwarded(self) -> None:
        """
        A call that the PBX sends on is the PBX's: its numbers, its minutes and those of the trunk, and one
        of its calls as long as it is up.
        """
        net = self.build(office=Limits(calls=1, deny=("+882",)))
        net.pbx.side.redirect = "follow"
        for number in ("+88216", "+4930"):
            near = net.carrier.invite("sip:account@198.51.100.2:40000", sdp(SAVP, "203.0.113.9"))
            net.carrier.channel.clear()
            moved = [("Contact", f"<sip:{number}@198.51.100.1>")]
            net.pbx.answers(net.pbx.request("INVITE"), 302, headers=moved)
            if number == "+88216":
                self.assertEqual(net.carrier.response(403).status, 403)
                net.carrier.ackRefusal(403)
        net.carrier.answers(net.carrier.request("INVITE"), 200, sdp(SAVP, "203.0.113.8"))
        net.carrier.ack(near, net.carrier.response(200))
        net.clock.advance(120)
        self.assertEqual(self.refused(net)[0], 503)
        net.carrier.within(near, net.carrier.response(200), "BYE", 2)
        net.carrier.answers(net.carrier.request("BYE"), 200)
        for name in ("office", "carrier"):
            self.assertEqual(self.limits.status(name)["minutes"], 2.0, name)
        net.settle()
        self.assertEqual(set(net.leftovers().values()), {0})

    def test_redirectedRate(self) -> None:
        """A redirected INVITE counts as a new call."""
        net = self.build(office=Limits(callsPerSecond=1))
        net.carrier.side.redirect = "follow"
        net.pbx.invite("sip:+4420@198.51.100.1", sdp())
        moved = [("Contact", "<sip:+4930@carrier.example>")]
        net.carrier.answers(net.carrier.request("INVITE"), 302, headers=moved)
        self.assertIn("cause=42", net.pbx.response(503).header("Reason") or "")

    def test_betweenPBXes(self) -> None:
        """A call from PBX to PBX costs nothing: minutes and prefixes are of trunks, calls at a time not."""
        net = LineNet()
        limits = CallLimits(Plan(), net.clock.seconds)
        for side in (net.pbx.side, net.side):
            limits.add(side, Limits(calls=1, minutesPerDay=1, deny=("1",)))
        limits.add(net.carrier.side, Limits())
        inside = CallRequest("c1", "1000", "1001", "attendant", ("office",))
        limits.admit(inside)
        limits.callStarted(inside)
        limits.taken("office", inside)
        limits.callAnswered("c1")
        net.clock.advance(120)
        limits.callEnded(CallEnded("c1", "over", None, "caller", 120.0), ())
        self.assertEqual([limits.status(name)["minutes"] for name in ("office", "attendant")], [0.0, 0.0])
        limits.admit(inside)
        for ways in (("carrier",), ("office", "carrier")):
            out = CallRequest("c2", "1000", "1001", "attendant", ways)
            with self.assertRaises(CallRefused) as caught:
                limits.admit(out)
            self.assertEqual(caught.exception.status, 403)
        net.pbx.side.calls = 1
        with self.assertRaises(CallRefused) as caught:
            limits.admit(inside)
        self.assertEqual(caught.exception.status, 503)

    def test_incomingIsNoDestination(self) -> None:
        """What may be called says nothing about calls from the carrier."""
        net = self.build(carrier=Limits(allow=("+1",)), office=Limits(allow=("+1",)))
        net.inboundCall()

    def test_refusalsKeepNothing(self) -> None:
        """A thousand refused calls leave nothing behind."""
        net = self.build(office=Limits(deny=("+",)))
        for _ in range(1000):
            self.refused(net)
        net.settle()
        self.assertEqual(set(net.leftovers().values()), {0})

    def test_retryAfter(self) -> None:
        """A refusal that says when to come again says so in Retry-After (RFC 3261 section 20.33)."""

        def admit(request: CallRequest) -> None:
            raise CallRefused("later", 503, 42, retryAfter=7)

        net = self.build()
        gate: Any = self.limits
        gate.admit = admit
        net.pbx.invite("sip:+4420@198.51.100.1", sdp())
        self.assertEqual(net.pbx.response(503).header("Retry-After"), "7")

    def test_unknownCall(self) -> None:
        """The end of a call that was never seen to begin changes nothing."""
        net = self.build()
        self.limits.callAnswered("x")
        self.limits.callEnded(CallEnded("x", "", None, "trunk", 0.0), ())
        self.assertEqual(self.limits.status(net.pbx.side.name)["minutes"], 0.0)


class TableTests(ConfigurationTestCase):
    """C{[trunk.limits]} and C{[pbx.limits]}."""

    def test_all(self) -> None:
        """Every key."""
        lines = 'calls_per_second = 5\nminutes_per_day = 600\nallow = ["+"]\ndeny = ["+882", "0900"]\n'
        limits = Limits(30, 0, 5, 600, ("+",), ("+882", "0900"))
        configuration, _ = self.load(
            COMPLETE.replace("calls = 30\n", f"calls = 30\nincoming_burst = 20\n{lines}")
        )
        trunk = configuration.trunks[0].limits
        self.assertEqual((trunk.incomingBurst, trunk.burst, trunk.deny), (20, 6, ("+882", "0900")))
        text = COMPLETE.replace("[[route]]", f"[pbx.limits]\ncalls = 30\n{lines}\n[[route]]", 1)
        self.assertEqual(self.load(text)[0].pbxes[0].limits, limits)

    def test_national(self) -> None:
        """A prefix that bites in one form only is warned of: who dials the other one is not denied."""
        text = COMPLETE.replace("calls = 30\n", 'calls = 30\ndeny = ["0900", "+49900", "*31#", "118"]\n')
        _, warnings = self.load(text)
        said = '"0900" counts where it is dialled so; as "+44..." it counts however it is written'
        self.assertEqual(
            [each for each in warnings if "deny" in each],
            [f"{self.directory / 'trunk.toml'}: trunk.skype.limits.deny: {said}"],
        )

    def test_stars(self) -> None:
        """A star that stands for anything would deny nothing."""
        for prefix in ("+44909*", "0900*", "+*", "+44 909"):
            self.assertProblem(
                "calls = 30",
                f'calls = 30\ndeny = ["{prefix}"]',
                f'trunk.skype.limits.deny: "{prefix}" is no prefix of a number; '
                'would be right: "+44", or digits',
            )

    def test_wrong(self) -> None:
        """What is said about mistakes."""
        self.assertProblem(
            "calls = 30",
            'calls = 30\nallow = ["+44"]\ndeny = ["+44", "x"]',
            'trunk.skype.limits.deny: "x" is no prefix of a number; would be right: "+44", or digits',
            'trunk.skype.limits.deny: "+44" stands in allow too; would be right: in one of them',
        )
        self.assertProblem(
            "[media]",
            "[trunk.limits]\nincoming_burst = 20\n[media]",
            "trunk.carrier.limits.incoming_burst: stands without calls; would be right: calls = 30 beside it",
            base=_shortWithTrunkLast(),
        )
        self.assertProblem(
            "[[route]]",
            "[pbx.limits]\nincoming_burst = 20\n[[route]]",
            "pbx.office.limits.incoming_burst: is not known; would be right: calls or allow or deny or "
            "calls_per_second or minutes_per_day",
        )


def _shortWithTrunkLast() -> str:
    trunk, rest = SHORT.split("[[pbx]]")
    pbx, media = rest.split("[media]")
    return f"[[pbx]]{pbx}{trunk}[media]{media}"
