"""
Conformance tests for what vendors provide, as mix-ins: a plugin's own test case inherits one beside
C{twisted.trial.unittest.TestCase}, makes its object in one method, and gets the tests.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from skypetrunk.errors import CallRefused
from skypetrunk.interfaces import (
    CallEnded,
    CallRecord,
    CallRequest,
    DirectionStatistics,
    ICallPolicy,
    ICallRecordSink,
    INumberPlan,
    LegStatistics,
)
from skypetrunk.testing.asking import WAITS, Asking, together

NUMBERS = (
    "",
    "+",
    "+442079460100",
    "00442079460100",
    "02079460100",
    "0",
    "112",
    "anonymous",
    "*97#",
    "alice.smith",
    "1;ext=5",
    "%2B44",
    "\uff11\uff11\uff12",
    "\u0661\u0661\u0662",
    "x" * 300,
    "'; DROP TABLE calls; --",
    "\udcff",
)
"""What may stand where a number is expected: all of it has been seen, or will be."""


def requests() -> list[CallRequest]:
    """A call to and from each of L{NUMBERS}."""
    return [
        CallRequest(f"c{place}", NUMBERS[-place - 1], number, "office", ("carrier", "second")[: place % 3])
        for place, number in enumerate(NUMBERS)
    ]


def records() -> list[CallRecord]:
    """A record for each of L{requests}: refused, answered, and ended in between."""
    counters = DirectionStatistics(50, 8600, authenticated=50, refused=(("replay", 2),))
    media = (
        LegStatistics("a/office", False, None, counters, DirectionStatistics()),
        LegStatistics("a/carrier", True, "AES_CM_128_HMAC_SHA1_80", counters, DirectionStatistics()),
    )
    found = []
    for place, request in enumerate(requests()):
        started = 1_700_000_000.25 + place
        if place % 3 == 0:
            ended = CallEnded(request.call, "busy", 486, "callee", 0.0)
            found.append(CallRecord(request, ended, started, None, ()))
        else:
            ended = CallEnded(request.call, "ended by \u00fc", None, "caller", 12.5)
            found.append(CallRecord(request, ended, started, started + 1.5, media))
    return found


class _Conformance:
    """What the mix-ins share."""

    seconds = 10.0
    """How long one answer may take."""

    def _asking(self) -> Asking:
        from twisted.trial.unittest import TestCase

        return Asking(self.seconds if isinstance(self, TestCase) else None)

    def _awaited(self, test: Coroutine[Deferred[Any], Any, None]) -> Deferred[None] | None:
        """In a case without a reactor the test must be over at once, or it would pass without having run."""
        from twisted.trial.unittest import TestCase

        running = Deferred.fromCoroutine(test)
        if isinstance(self, TestCase):
            return running
        ended: list[object] = []
        running.addBoth(ended.append)
        if not ended:
            raise AssertionError(f"it did not end at once: {WAITS}")
        if isinstance(ended[0], Failure):
            ended[0].raiseException()
        return None


class PolicyConformance(_Conformance):
    """For L{ICallPolicy}."""

    def makePolicy(self) -> ICallPolicy:
        """The policy to test, ready."""
        raise NotImplementedError("makePolicy makes the policy that is tested")

    async def _admit(self, asking: Asking, policy: ICallPolicy, request: CallRequest) -> None:
        try:
            said = await asking.answer(policy, "admit", request)
        except CallRefused as refusal:
            status = refusal.status
            assert status is None or 400 <= status <= 699, (
                f"admit({request}) refused with {status}, not 400 to 699"
            )
        else:
            assert not isinstance(said, CallRefused), f"admit({request}) returned a CallRefused: raise it"
            assert said is None, f"admit({request}) answered with {said!r}, not None"

    def test_policyProvided(self) -> None:
        """The methods have the right names and arguments."""
        assert verifyObject(ICallPolicy, self.makePolicy())

    def test_policyAnswers(self) -> Deferred[None] | None:
        """Whatever is asked, the answer is yes, or a refusal with a status that refuses."""

        async def run() -> None:
            policy = self.makePolicy()
            with self._asking() as asking:
                for request in requests():
                    await self._admit(asking, policy, request)

        return self._awaited(run())

    def test_policyTogether(self) -> Deferred[None] | None:
        """Many calls that are asked about at once are answered, each for itself."""

        async def run() -> None:
            policy = self.makePolicy()
            with self._asking() as asking:
                await together([self._admit(asking, policy, request) for request in requests() * 3])

        return self._awaited(run())


class RecordSinkConformance(_Conformance):
    """For L{ICallRecordSink}."""

    def makeSink(self) -> ICallRecordSink:
        """The sink to test, ready and empty."""
        raise NotImplementedError("makeSink makes the sink that is tested")

    async def kept(self, sink: ICallRecordSink) -> Sequence[str]:
        """The C{call} of each record that C{sink} has kept, in any order."""
        raise NotImplementedError("kept reads what the sink has kept")

    async def _keep(self, asking: Asking, sink: ICallRecordSink, record: CallRecord) -> None:
        said = await asking.answer(sink, "record", record)
        assert said is None, f"record({record}) answered with {said!r}, not None"

    async def _assertKept(self, sink: ICallRecordSink) -> None:
        found = sorted(await self.kept(sink))
        wanted = sorted(record.request.call for record in records())
        lost = ", ".join(sorted(set(wanted) - set(found))) or "none"
        assert found == wanted, f"kept: {len(found)} of {len(wanted)} records; lost: {lost}"

    def test_sinkProvided(self) -> None:
        """The methods have the right names and arguments."""
        assert verifyObject(ICallRecordSink, self.makeSink())

    def test_sinkKeeps(self) -> Deferred[None] | None:
        """Every record is kept, whatever stands in it."""

        async def run() -> None:
            sink = self.makeSink()
            with self._asking() as asking:
                for record in records():
                    await self._keep(asking, sink, record)
            await self._assertKept(sink)

        return self._awaited(run())

    def test_sinkTogether(self) -> Deferred[None] | None:
        """Records that come all at once are kept too."""

        async def run() -> None:
            sink = self.makeSink()
            with self._asking() as asking:
                await together([self._keep(asking, sink, record) for record in records()])
            await self._assertKept(sink)

        return self._awaited(run())


class NumberPlanConformance:
    """
    For L{INumberPlan}.

    @cvar emergency: numbers, as dialled, that the plan must know for emergencies.
    """

    emergency: Sequence[str] = ()

    def makePlan(self) -> INumberPlan:
        """The plan to test."""
        raise NotImplementedError("makePlan makes the number plan that is tested")

    def test_planProvided(self) -> None:
        """The methods have the right names and arguments."""
        assert verifyObject(INumberPlan, self.makePlan())

    def test_planAnswers(self) -> None:
        """Whatever is asked, the answers are a truth value and a text, and the same when asked again."""
        plan = self.makePlan()
        with Asking() as asking:
            for number in NUMBERS:
                for name, kind in (("isEmergency", bool), ("normalise", str)):
                    said = asking.ask(plan, name, number)
                    assert isinstance(said, kind), (
                        f"{name}({number!r}) returned {said!r}, not a {kind.__name__}"
                    )
                    again = asking.ask(plan, name, number)
                    assert again == said, f"{name}({number!r}) returned {said!r}, and then {again!r}"

    def test_planNormalisesOnce(self) -> None:
        """What a number was normalised to means itself: it may be asked about again."""
        plan = self.makePlan()
        with Asking() as asking:
            for number in NUMBERS:
                once = asking.ask(plan, "normalise", number)
                twice = asking.ask(plan, "normalise", once)
                assert twice == once, (
                    f"normalise({number!r}) returned {once!r}, and of that it makes {twice!r}"
                )

    def test_planKnowsEmergencies(self) -> None:
        """Each of C{emergency}, and a number of the world is none."""
        plan = self.makePlan()
        for number in self.emergency:
            assert plan.isEmergency(number), f"isEmergency({number!r}) is false"
        ordinary = "+442079460100"
        assert not plan.isEmergency(ordinary), f"isEmergency({ordinary!r}) is true: it would go to no trunk"


__all__ = [
    "NUMBERS",
    "NumberPlanConformance",
    "PolicyConformance",
    "RecordSinkConformance",
    "records",
    "requests",
]
