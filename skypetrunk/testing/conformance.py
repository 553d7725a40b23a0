"""
Conformance tests for what vendors provide, as mix-ins: a plugin's own test case inherits one beside
C{twisted.trial.unittest.TestCase}, makes its object in one method, and gets the tests.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterator, Sequence
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
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
    IPBXDialect,
    LegStatistics,
)
from skypetrunk.pbx.dialect import violation
from skypetrunk.testing.conformance_messages import messages
from skypetrunk.wire.message import Request, Response, parseMessage

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

    def _awaited(self, test: Coroutine[Deferred[Any], Any, None]) -> Deferred[None] | None:
        """In a case without a reactor the test must be over at once, or it would pass without having run."""
        from twisted.trial.unittest import TestCase

        running = Deferred.fromCoroutine(test)
        if isinstance(self, TestCase):
            from twisted.internet import reactor

            return running.addTimeout(self.seconds, reactor)
        self.successResultOf(running)  # type: ignore[attr-defined]
        return None


class PolicyConformance(_Conformance):
    """For L{ICallPolicy}."""

    def makePolicy(self) -> ICallPolicy:
        """The policy to test, ready."""
        raise NotImplementedError("makePolicy makes the policy that is tested")

    async def _ask(self, policy: ICallPolicy, request: CallRequest) -> None:
        try:
            said: object = await maybeDeferred(policy.admit, request)
        except CallRefused as refusal:
            status = refusal.status
            assert status is None or 400 <= status <= 699, f"{request}: refused with {status}"
        else:
            assert said is None, f"{request}: answered with {said!r}, neither None nor CallRefused"

    def test_policyProvided(self) -> None:
        """The methods have the right names and arguments."""
        assert verifyObject(ICallPolicy, self.makePolicy())

    def test_policyAnswers(self) -> Deferred[None] | None:
        """Whatever is asked, the answer is yes, or a refusal with a status that refuses."""

        async def run() -> None:
            policy = self.makePolicy()
            for request in requests():
                await self._ask(policy, request)

        return self._awaited(run())

    def test_policyTogether(self) -> Deferred[None] | None:
        """Many calls that are asked about at once are answered, each for itself."""

        async def run() -> None:
            policy = self.makePolicy()
            asked = [self._ask(policy, request) for request in requests() * 3]
            await gatherResults([Deferred.fromCoroutine(each) for each in asked], consumeErrors=True)

        return self._awaited(run())


class RecordSinkConformance(_Conformance):
    """For L{ICallRecordSink}."""

    def makeSink(self) -> ICallRecordSink:
        """The sink to test, ready and empty."""
        raise NotImplementedError("makeSink makes the sink that is tested")

    async def kept(self, sink: ICallRecordSink) -> Sequence[str]:
        """The C{call} of each record that C{sink} has kept, in any order."""
        raise NotImplementedError("kept reads what the sink has kept")

    async def _keep(self, sink: ICallRecordSink, record: CallRecord) -> None:
        keep: Any = sink.record
        said = await maybeDeferred(keep, record)
        assert said is None, f"{record}: answered with {said!r}"

    def test_sinkProvided(self) -> None:
        """The methods have the right names and arguments."""
        assert verifyObject(ICallRecordSink, self.makeSink())

    def test_sinkKeeps(self) -> Deferred[None] | None:
        """Every record is kept, whatever stands in it."""

        async def run() -> None:
            sink = self.makeSink()
            for record in records():
                await self._keep(sink, record)
            found = sorted(await self.kept(sink))
            assert found == sorted(record.request.call for record in records()), found

        return self._awaited(run())

    def test_sinkTogether(self) -> Deferred[None] | None:
        """Records that come all at once are kept too."""

        async def run() -> None:
            sink = self.makeSink()
            keeping = [Deferred.fromCoroutine(self._keep(sink, record)) for record in records()]
            await gatherResults(keeping, consumeErrors=True)
            found = sorted(await self.kept(sink))
            assert found == sorted(record.request.call for record in records()), found

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
        for number in NUMBERS:
            for said, kind in ((plan.isEmergency(number), bool), (plan.normalise(number), str)):
                assert isinstance(said, kind), f"{number!r}: {said!r}"
            assert plan.isEmergency(number) is plan.isEmergency(number), number
            assert plan.normalise(number) == plan.normalise(number), number

    def test_planNormalisesOnce(self) -> None:
        """What a number was normalised to means itself: it may be asked about again."""
        plan = self.makePlan()
        for number in NUMBERS:
            normal = plan.normalise(number)
            assert plan.normalise(normal) == normal, f"{number!r}: {normal!r}"

    def test_planKnowsEmergencies(self) -> None:
        """Each of C{emergency}, and a number of the world is none."""
        plan = self.makePlan()
        for number in self.emergency:
            assert plan.isEmergency(number), number
        assert not plan.isEmergency("+442079460100")


class DialectConformance:
    """For L{IPBXDialect}."""

    def makeDialect(self) -> IPBXDialect:
        """The dialect to test."""
        raise NotImplementedError("makeDialect makes the dialect that is tested")

    def _translated(self) -> Iterator[tuple[str, Request | Response, Request | Response]]:
        """Both directions of everything in L{messages}: which method, before, and after."""
        dialect = self.makeDialect()
        for message in messages():
            yield "fromPBX", message, dialect.fromPBX(message)
            yield "toPBX", message, dialect.toPBX(message)

    def test_dialectProvided(self) -> None:
        """The methods have the right names and arguments."""
        assert verifyObject(IPBXDialect, self.makeDialect())

    def test_dialectKeepsTransactions(self) -> None:
        """Whatever is said, it stays a message of the same transaction and dialog."""
        for direction, before, after in self._translated():
            problem = violation(before, after)
            assert problem is None, f"{direction}: {before}: {problem}"

    def test_dialectCanBeRead(self) -> None:
        """What it makes of a message can be sent, and is read as it was meant."""
        for direction, before, after in self._translated():
            assert parseMessage(after.encode()).encode() == after.encode(), f"{direction}: {before}"

    def test_dialectAnswersTheSame(self) -> None:
        """For the same message always the same: a PBX that repeats itself is understood again."""
        first = [after for _, _, after in self._translated()]
        for (direction, before, after), again in zip(self._translated(), first, strict=True):
            assert after == again, f"{direction}: {before}"
            dialect = self.makeDialect()
            translate = dialect.fromPBX if direction == "fromPBX" else dialect.toPBX
            assert translate(before) == translate(before) == again, f"{direction}: {before}"


__all__ = [
    "NUMBERS",
    "DialectConformance",
    "NumberPlanConformance",
    "PolicyConformance",
    "RecordSinkConformance",
    "records",
    "requests",
]
