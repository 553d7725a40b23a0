"""The conformance tests pass what is right, and find each thing that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from time import sleep
from typing import Any
from unittest import TestResult

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from skypetrunk.errors import CallRefused
from skypetrunk.interfaces import (
    CallRecord,
    CallRequest,
    ICallPolicy,
    ICallRecordSink,
    IDialogObserver,
    IMediaTap,
    IMediaTaps,
    INumberPlan,
    IPBXDialect,
)
from skypetrunk.pbx.numbers import NumberPlan
from skypetrunk.testing import (
    DialectConformance,
    NumberPlanConformance,
    ObserverConformance,
    PolicyConformance,
    RecordSinkConformance,
    TapsConformance,
)
from skypetrunk.wire.message import Request, Response
from tests.typing.vendor import CampusNumbers, Journal, Meters, OfficeHours, Terse


class OfficeHoursTests(PolicyConformance, SynchronousTestCase):
    """A vendor's policy."""

    def makePolicy(self) -> ICallPolicy:
        """Always open."""
        return OfficeHours(Clock(), 0)


class CampusTests(NumberPlanConformance, SynchronousTestCase):
    """A vendor's number plan."""

    emergency = ("5555",)

    def makePlan(self) -> INumberPlan:
        """Of a campus."""
        return CampusNumbers()


class TerseTests(DialectConformance, SynchronousTestCase):
    """A vendor's dialect."""

    def makeDialect(self) -> IPBXDialect:
        """Of few words."""
        return Terse()


class JournalTests(ObserverConformance, SynchronousTestCase):
    """A vendor's observer."""

    def makeObserver(self) -> IDialogObserver:
        """Writes a journal."""
        return Journal()


class MetersTests(TapsConformance, SynchronousTestCase):
    """A vendor's taps."""

    def makeTaps(self) -> IMediaTaps:
        """Of one PBX."""
        return Meters()


class CountryTests(NumberPlanConformance, SynchronousTestCase):
    """The number plan of a country."""

    emergency = ("999", "112", "9999", "+112")

    def makePlan(self) -> INumberPlan:
        """Of Great Britain."""
        return NumberPlan("GB", "9")


@implementer(ICallRecordSink)
class Memory:
    """Keeps the records themselves."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def record(self, record: CallRecord) -> Deferred[None] | None:
        """Keep it."""
        self.calls.append(record.request.call)
        return None


class MemoryTests(RecordSinkConformance, SynchronousTestCase):
    """A sink that is right."""

    def makeSink(self) -> ICallRecordSink:
        """An empty one."""
        return Memory()

    async def kept(self, sink: ICallRecordSink) -> Sequence[str]:
        """All of them."""
        assert isinstance(sink, Memory)
        return sink.calls


class Forgetful(Memory):
    """Loses calls without media."""

    def record(self, record: CallRecord) -> Deferred[None] | None:
        """Keep it, or not."""
        return super().record(record) if record.media else None


class Silent(Memory):
    """Never says that it is done."""

    def record(self, record: CallRecord) -> Deferred[None] | None:
        """Keep it."""
        super().record(record)
        return Deferred()


@implementer(ICallPolicy)
class Says:
    """A policy that is wrong."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def admit(self, request: CallRequest) -> Deferred[None] | None:
        """As told."""
        if isinstance(self._answer, Exception):
            raise self._answer
        answer: Deferred[None] | None = self._answer
        return answer


@implementer(INumberPlan)
class Adds:
    """A number plan that is wrong: each reading adds a digit."""

    def isEmergency(self, called: str) -> bool:
        """The text instead of a truth value, for a name."""
        return called == "999"

    def normalise(self, called: str) -> str:
        """Longer each time."""
        return called + "0"


@implementer(IPBXDialect)
class Translates:
    """A dialect that is wrong in one direction."""

    def __init__(self, translate: Callable[[Request | Response], Any]) -> None:
        self._translate = translate

    def fromPBX(self, message: Request | Response) -> Request | Response:
        """As it is."""
        return message

    def toPBX(self, message: Request | Response) -> Request | Response:
        """As told."""
        after: Request | Response = self._translate(message)
        return after


@implementer(IMediaTap)
class Tap:
    """One that is wrong."""

    def __init__(self, packetReceived: Callable[[Any], Any]) -> None:
        self._received = packetReceived

    def packetReceived(self, packet: Any) -> Any:
        """As told."""
        return self._received(packet)

    def ended(self) -> None:
        """Nothing."""


@implementer(IMediaTaps)
class Taps:
    """Those of calls, as told."""

    def __init__(self, tap: Callable[[CallRequest], Any]) -> None:
        self._tap = tap

    def tap(self, request: CallRequest) -> Any:
        """One."""
        return self._tap(request)


class WrongTests(SynchronousTestCase):
    """What must be found."""

    def failed(self, case: type[SynchronousTestCase], test: str, **methods: Any) -> str:
        """C{test} of C{case} does not pass with these methods: what it says."""
        result = TestResult()
        type("Case", (case,), methods)(test).run(result)
        found = result.failures + result.errors
        self.assertEqual((result.testsRun, len(found)), (1, 1), test)
        return found[0][1]

    def test_policies(self) -> None:
        """One that explodes, answers no answer, never answers, or refuses with a status of success."""
        answers: tuple[tuple[Any, str], ...] = (
            (ValueError("no database"), "ValueError: no database"),
            (fail(ValueError("no network")), "ValueError: no network"),
            (False, "answered with False"),
            (succeed(1), "answered with 1"),
            (succeed(CallRefused("?", 486)), "returned a CallRefused: raise it"),
            (Deferred(), "did not answer at once"),
            (CallRefused("?", 200), "refused with 200"),
        )
        for answer, said in answers:
            for test in ("test_policyAnswers", "test_policyTogether"):
                policy = Says(answer)
                found = self.failed(OfficeHoursTests, test, makePolicy=lambda case, policy=policy: policy)
                self.assertIn("admit(CallRequest(call='c0'", found)
                self.assertIn(said, found)
            # The Deferred that fails was looked at by the first question already.
            if isinstance(answer, Deferred) and answer.called:
                answer.addErrback(lambda failure: None)

    def test_sinks(self) -> None:
        """One that loses records, and one that never comes to an end."""
        for sink in (Forgetful, Silent):
            for test in ("test_sinkKeeps", "test_sinkTogether"):
                self.failed(MemoryTests, test, makeSink=lambda case, sink=sink: sink())

    def test_dialects(self) -> None:
        """One that explodes, answers nothing, changes what it may not, or never answers the same twice."""
        numbers = count()
        for test, translate in (
            ("test_dialectKeepsTransactions", lambda message: 1 // 0),
            ("test_dialectKeepsTransactions", lambda message: None),
            ("test_dialectKeepsTransactions", lambda message: message.withoutHeader("Call-ID")),
            ("test_dialectKeepsTransactions", lambda message: message.withHeader("RAck", "2 1 INVITE")),
            ("test_dialectAnswersTheSame", lambda message: message.addingHeader("X", str(next(numbers)))),
            ("test_dialectCanBeRead", lambda message: replace(message, body=b"x", version="SIP/3.0")),
        ):
            dialect = Translates(translate)
            self.failed(TerseTests, test, makeDialect=lambda case, dialect=dialect: dialect)

    def test_listeners(self) -> None:
        """An observer and taps that explode, and that answer with what nobody looks at."""
        ended: tuple[Callable[..., Any], ...] = (lambda *told: told[-1][0], lambda *told: succeed(None))
        for wrong in ended:
            observer = Journal()
            observer.callEnded = wrong  # type: ignore[method-assign]
            found = self.failed(JournalTests, "test_observerTold", makeObserver=lambda case, it=observer: it)
            self.assertIn("callEnded(CallEnded(call='c0'", found)
        for taps, said in (
            (Taps(lambda request: object()), "no IMediaTap"),
            (Taps(lambda request: Tap(lambda packet: packet.data[12] and None)), "IndexError"),
            (Taps(lambda request: Tap(lambda packet: True)), "returned True"),
        ):
            for test in ("test_tapsListen", "test_tapsTogether"):
                self.assertIn(said, self.failed(MetersTests, test, makeTaps=lambda case, taps=taps: taps))

    def test_waiting(self) -> None:
        """One that keeps everybody else waiting."""
        policy = Says(None)
        policy.admit = lambda request: sleep(0.03)  # type: ignore[method-assign]
        found = self.failed(OfficeHoursTests, "test_policyAnswers", makePolicy=lambda case: policy)
        self.assertIn("admit takes 30 ms each time", found)

    def test_plans(self) -> None:
        """One whose reading cannot be read again, and that lacks an emergency number."""
        for test in ("test_planNormalisesOnce", "test_planKnowsEmergencies"):
            self.failed(CampusTests, test, makePlan=lambda case: Adds())
