"""A vendor's exception breaks no call that needs no answer from it, and its plugin is named in the log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import LogLevel, globalLogPublisher
from twisted.logger import eventAsText as formatted
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from skypetrunk.errors import CallRefused
from skypetrunk.interfaces import (
    CallEnded,
    CallRecord,
    CallRequest,
    ICallPolicy,
    ICallRecordSink,
    IDialogObserver,
    INumberPlan,
    LegStatistics,
)
from skypetrunk.pbx.numbers import NumberPlan
from skypetrunk.service.vendors import NamedObserver, Policies, Recorder, VendorNumbers

_REQUEST = CallRequest("c1", "201", "02079460018", "office", ("carrier",))
_ENDED = CallEnded("c1", "normal", None, "caller", 3.0)


class Boom(Exception):
    """A mistake of a vendor."""


class VendorCase(SynchronousTestCase):
    """Keeps what is logged as a failure."""

    def setUp(self) -> None:
        """Listen to the log."""
        self.events: list[dict[str, Any]] = []
        observer: Any = self.events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def failures(self) -> list[str]:
        """What was logged as critical, since the last time; trial is content with it."""
        self.flushLoggedErrors(Boom, TypeError, CallRefused, SystemExit)
        found = [
            formatted(event, includeTraceback=False, includeTimestamp=False, includeSystem=False)
            for event in self.events
            if event.get("log_level") is LogLevel.critical
        ]
        del self.events[:]
        return found


@implementer(ICallPolicy)
class Says:
    """Answers what it was told to, and remembers that it was asked."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked = 0

    def admit(self, request: CallRequest) -> Deferred[None] | None:
        """The answer, returned or raised."""
        self.asked += 1
        if isinstance(self.answer, BaseException):
            raise self.answer
        answer: Deferred[None] | None = self.answer
        return answer


class PoliciesTests(VendorCase):
    """L{Policies}."""

    def refusal(self, *answers: Any) -> CallRefused:
        """How a call is refused by policies C{a}, C{b} ... that answer so."""
        policies = Policies({name: Says(answer) for name, answer in zip("abc", answers, strict=False)})
        answer = policies.admit(_REQUEST)
        assert answer is not None
        failure: CallRefused = self.failureResultOf(answer, CallRefused).value
        return failure

    def test_none(self) -> None:
        """Without a policy every call is admitted at once."""
        policies = Policies({})
        self.assertTrue(verifyObject(ICallPolicy, policies))
        self.assertIsNone(policies.admit(_REQUEST))

    def test_all(self) -> None:
        """All must say yes, at once or later, one after the other."""
        later: Deferred[None] = Deferred()
        last = Says(None)
        answer = Policies({"a": Says(None), "b": Says(later), "c": last}).admit(_REQUEST)
        assert answer is not None
        self.assertNoResult(answer)
        self.assertEqual(last.asked, 0)
        later.callback(None)
        self.assertIsNone(self.successResultOf(answer))
        self.assertEqual(last.asked, 1)

    def test_refused(self) -> None:
        """The first that refuses decides, raised or by errback; nobody else is asked."""
        wanted = CallRefused("closed", 480, 21)
        last = Says(None)
        for answer in (wanted, fail(wanted)):
            given = Policies({"a": Says(answer), "b": last}).admit(_REQUEST)
            assert given is not None
            self.assertIs(self.failureResultOf(given, CallRefused).value, wanted)
        self.assertEqual((last.asked, self.failures()), (0, []))

    def test_failsClosed(self) -> None:
        """One that explodes, now or later, or gives no answer, denies with 500; the log names the plugin."""
        text: Any = "480"
        wrong = (
            CallRefused("?", 200),
            CallRefused("?", text),
            CallRefused("?", 480, text),
            CallRefused("?", 480, 21, text),
        )
        refusals: tuple[Any, ...] = (Boom(), fail(Boom()), SystemExit(), False, True, succeed([]), *wrong)
        for answer in refusals:
            refusal = self.refusal(None, answer)
            self.assertEqual((refusal.status, refusal.cause), (500, None), answer)
            self.assertEqual(self.failures(), ["c1: the plugin b failed as a policy"])


@implementer(ICallRecordSink)
class Sink:
    """Keeps records, or fails to order."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer
        self.records: list[CallRecord] = []

    def record(self, record: CallRecord) -> Deferred[None] | None:
        """Keep it."""
        self.records.append(record)
        if isinstance(self.answer, Exception):
            raise self.answer
        answer: Deferred[None] | None = self.answer
        return answer


class RecorderTests(VendorCase):
    """L{Recorder}."""

    def play(self, recorder: Recorder, clock: Clock) -> None:
        """One call, asked for at 10, answered at 12, over at 15."""
        clock.advance(10)
        recorder.callStarted(_REQUEST)
        clock.advance(2)
        recorder.callAnswered("c1")
        clock.advance(3)
        recorder.callEnded(_ENDED, [])

    def test_record(self) -> None:
        """One record for each sink; a call that nobody saw begin has none."""
        clock, one, two = Clock(), Sink(), Sink()
        recorder = Recorder({"one": one, "two": two}, clock.seconds)
        self.assertTrue(verifyObject(IDialogObserver, recorder))
        self.play(recorder, clock)
        recorder.callAnswered("c2")
        recorder.callEnded(CallEnded("c2", "x", 486, "callee", 0.0), [])
        self.assertEqual(one.records, [CallRecord(_REQUEST, _ENDED, 10.0, 12.0, ())])
        self.assertEqual(two.records, one.records)
        self.assertEqual(recorder.pending, 0)

    def test_fails(self) -> None:
        """A sink that fails, now or later, is named; the others get their record."""
        clock, good = Clock(), Sink()
        later: Deferred[None] = Deferred()
        recorder = Recorder({"a": Sink(Boom()), "b": Sink(later), "c": good}, clock.seconds)
        self.play(recorder, clock)
        self.assertEqual(len(good.records), 1)
        self.assertEqual(self.failures(), ["c1: the plugin a kept no record"])
        later.errback(Boom())
        self.assertEqual(self.failures(), ["c1: the plugin b kept no record"])

    def test_written(self) -> None:
        """The end waits for records that are being written, and giving up waiting loses none."""
        clock = Clock()
        later: Deferred[None] = Deferred()
        recorder = Recorder({"a": Sink(later)}, clock.seconds)
        self.successResultOf(recorder.written())
        self.play(recorder, clock)
        first, second = recorder.written(), recorder.written()
        first.cancel()
        self.successResultOf(first)
        self.assertNoResult(second)
        self.assertEqual(recorder.pending, 1)
        later.callback(None)
        self.successResultOf(second)
        self.assertEqual((recorder.pending, self.failures()), (0, []))

    def test_givenUp(self) -> None:
        """What is not kept when nobody waits any more is told of, by plugin; what is kept is not."""
        clock = Clock()
        later: Deferred[None] = Deferred()
        recorder = Recorder({"a": Sink(Deferred()), "b": Sink(), "c": Sink(later)}, clock.seconds)
        self.play(recorder, clock)
        later.callback(None)
        recorder.giveUp()
        [event] = self.events
        self.assertEqual((event["plugin"], event["count"]), ("a", 1))
        self.assertEqual(event["log_level"], LogLevel.error)
        recorder = Recorder({"b": Sink()}, clock.seconds)
        self.play(recorder, clock)
        recorder.giveUp()
        self.assertEqual(self.events, [event])


@implementer(IDialogObserver)
class Explodes:
    """An observer that always fails."""

    def callStarted(self, request: CallRequest) -> None:
        """Fail."""
        raise Boom

    def callAnswered(self, call: str) -> None:
        """Fail."""
        raise Boom

    def callEnded(self, ended: CallEnded, media: Sequence[LegStatistics]) -> None:
        """Fail."""
        raise Boom


class ObserverTests(VendorCase):
    """L{NamedObserver}."""

    def test_fails(self) -> None:
        """Each failure is logged with the call and the plugin."""
        observer = NamedObserver("status-board", Explodes())
        self.assertTrue(verifyObject(IDialogObserver, observer))
        observer.callStarted(_REQUEST)
        observer.callAnswered("c1")
        observer.callEnded(_ENDED, [])
        self.assertEqual(self.failures(), ["c1: the plugin status-board failed as an observer"] * 3)


@implementer(INumberPlan)
class Campus:
    """C{5555} is the gate house; four digits are extensions; C{8} is a trap, others fail."""

    def isEmergency(self, called: str) -> bool:
        """The gate house."""
        if called == "7":
            raise Boom
        if called == "3":
            raise SystemExit
        return called == "5555"

    def normalise(self, called: str) -> str:
        """Extensions."""
        if called == "6":
            raise Boom
        if called == "2":
            raise SystemExit
        if called == "4":
            return None  # type: ignore[return-value]
        return "999" if called == "8" else f"+4420794601{called[-2:]}" if len(called) == 4 else called


class NumbersTests(VendorCase):
    """L{VendorNumbers}."""

    def setUp(self) -> None:
        """The campus in Great Britain."""
        super().setUp()
        self.plan = VendorNumbers("campus", Campus(), NumberPlan("GB", "9"))

    def test_both(self) -> None:
        """The vendor's plan first; what it leaves alone, the country's own reads."""
        self.assertTrue(verifyObject(INumberPlan, self.plan))
        self.assertEqual(self.plan.normalise("1234"), "+442079460134")
        self.assertEqual(self.plan.normalise("902079460018"), "+442079460018")

    def test_emergencyIsAdded(self) -> None:
        """The vendor's own, and the country's in every form; none can be hidden, or reached by rewriting."""
        for number in ("5555", "999", "9999", "112", "8"):
            self.assertTrue(self.plan.isEmergency(number), number)
        self.assertFalse(self.plan.isEmergency("1234"))

    def test_failsClosed(self) -> None:
        """A plan that explodes keeps the number here; what it cannot read is read as the country does."""
        for number in ("7", "3"):
            self.assertTrue(self.plan.isEmergency(number))
            self.assertEqual(self.failures(), ["the plugin campus failed: is it an emergency number?"])
        for number in ("6", "4", "2"):
            self.assertEqual(self.plan.normalise(number), number)
            self.assertEqual(self.failures(), ["the plugin campus failed: what does a number mean?"])
