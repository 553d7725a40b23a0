"""Between the trunk and its vendors' plugins: order, names in the log, and what holds if one fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NoReturn

from attrs import define
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from skypetrunk.core.answers import isRefusal
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


@implementer(ICallPolicy)
class Policies:
    """Every policy is asked, in order; the first that does not say yes decides."""

    _log = Logger()

    def __init__(self, policies: Mapping[str, ICallPolicy]) -> None:
        self._policies = tuple(policies.items())

    def admit(self, request: CallRequest) -> Deferred[None] | None:
        """
        Ask them.

        @raise CallRefused: (errback) as a policy said; with 500 for one that raised anything else, or
            answered what is no answer.
        """
        return Deferred.fromCoroutine(self._admit(request)) if self._policies else None

    async def _admit(self, request: CallRequest) -> None:
        for name, policy in self._policies:
            try:
                said: object = await maybeDeferred(policy.admit, request)
                if said is not None:
                    # Who answers False may have meant no.
                    raise TypeError(f"a policy returns None or raises CallRefused, not {type(said).__name__}")
            except CallRefused as refusal:
                if isRefusal(refusal):
                    raise
                self._failed(name, request)
            except (Exception, SystemExit):
                self._failed(name, request)

    def _failed(self, name: str, request: CallRequest) -> NoReturn:
        self._log.failure("{call}: the plugin {plugin} failed as a policy", call=request.call, plugin=name)
        raise CallRefused("a policy failed", 500)


@define
class _Open:
    """A call that is not over."""

    request: CallRequest
    started: float
    answered: float | None = None


@implementer(IDialogObserver)
class Recorder:
    """Makes a record of each finished call, for every sink."""

    _log = Logger()

    def __init__(self, sinks: Mapping[str, ICallRecordSink], seconds: Callable[[], float]) -> None:
        """
        @param seconds: since the epoch.
        """
        self._sinks = dict(sinks)
        self._seconds = seconds
        self._open: dict[str, _Open] = {}
        self._writing: dict[Deferred[None], str] = {}

    def callStarted(self, request: CallRequest) -> None:
        """A record begins."""
        if self._sinks:
            self._open[request.call] = _Open(request, self._seconds())

    def callAnswered(self, call: str) -> None:
        """Both sides are connected."""
        if call in self._open:
            self._open[call].answered = self._seconds()

    def callEnded(self, ended: CallEnded, media: Sequence[LegStatistics]) -> None:
        """The sinks get it."""
        known = self._open.pop(ended.call, None)
        if known is None:
            return
        record = CallRecord(known.request, ended, known.started, known.answered, tuple(media))
        for name, sink in self._sinks.items():
            self._write(name, sink, record)

    def _write(self, name: str, sink: ICallRecordSink, record: CallRecord) -> None:
        def failed(failure: Failure) -> None:
            call = record.request.call
            self._log.failure("{call}: the plugin {plugin} kept no record", failure, call=call, plugin=name)

        def done(result: None) -> None:
            self._writing.pop(writing, None)

        keep: Callable[[CallRecord], Deferred[None]] = sink.record  # type: ignore[assignment]
        writing = maybeDeferred(keep, record)
        self._writing[writing] = name
        writing.addErrback(failed).addCallback(done)

    @property
    def pending(self) -> int:
        """Records that a sink has not kept yet."""
        return len(self._writing)

    def giveUp(self) -> None:
        """Nobody waits any more: a record that is not kept by now may be lost, and is told of."""
        for name, count in Counter(self._writing.values()).items():
            text = "the plugin {plugin} has not kept {count} call records in time; they may be lost"
            self._log.error(text, plugin=name, count=count)

    def written(self) -> Deferred[list[tuple[bool, None]]]:
        """Fires when no sink is writing any more."""
        return DeferredList([_beside(each) for each in self._writing], consumeErrors=True)


def _beside(deferred: Deferred[None]) -> Deferred[None]:
    """Fires when C{deferred} does, and may be cancelled alone."""
    other: Deferred[None] = Deferred()

    def fire(result: None) -> None:
        if not other.called:
            other.callback(None)

    deferred.addCallback(fire)
    return other


@implementer(IDialogObserver)
class NamedObserver:
    """An observer whose failures carry the name of its plugin."""

    _log = Logger()

    def __init__(self, name: str, observer: IDialogObserver) -> None:
        self._name = name
        self._observer = observer

    def _handled(self, call: str) -> AbstractContextManager[object]:
        format = "{call}: the plugin {plugin} failed as an observer"
        return self._log.failuresHandled(format, call=call, plugin=self._name)

    def callStarted(self, request: CallRequest) -> None:
        """See L{IDialogObserver}."""
        with self._handled(request.call):
            self._observer.callStarted(request)

    def callAnswered(self, call: str) -> None:
        """See L{IDialogObserver}."""
        with self._handled(call):
            self._observer.callAnswered(call)

    def callEnded(self, ended: CallEnded, media: Sequence[LegStatistics]) -> None:
        """See L{IDialogObserver}."""
        with self._handled(ended.call):
            self._observer.callEnded(ended, media)


@implementer(INumberPlan)
class VendorNumbers:
    """
    A vendor's number plan over the country's own.

    The vendor may add emergency numbers and can hide none: a number is one if either plan says so, or if
    what the vendor's plan makes of it is one.  If the vendor's plan cannot say, the number never leaves.
    """

    _log = Logger()

    def __init__(self, name: str, vendor: INumberPlan, own: INumberPlan) -> None:
        """
        @param own: of the country; it reads what the vendor's leaves alone.
        """
        self._name = name
        self._vendor = vendor
        self._own = own

    def isEmergency(self, called: str) -> bool:
        """See L{INumberPlan}."""
        if self._own.isEmergency(called):
            return True
        try:
            if self._vendor.isEmergency(called):
                return True
        except (Exception, SystemExit):
            self._log.failure("the plugin {plugin} failed: is it an emergency number?", plugin=self._name)
            return True
        return self._own.isEmergency(self._read(called))

    def normalise(self, called: str) -> str:
        """See L{INumberPlan}.  The country's own plan reads what the vendor's leaves alone, or fails with."""
        read = self._read(called)
        return self._own.normalise(called) if read == called else read

    def _read(self, called: str) -> str:
        try:
            read: object = self._vendor.normalise(called)
            if isinstance(read, str):
                return read
            raise TypeError(f"normalise returns a str, not {type(read).__name__}")
        except (Exception, SystemExit):
            self._log.failure("the plugin {plugin} failed: what does a number mean?", plugin=self._name)
            return called


__all__ = ["NamedObserver", "Policies", "Recorder", "VendorNumbers"]
