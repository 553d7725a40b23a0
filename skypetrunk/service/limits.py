"""
The limits of trunks and PBXes: calls at the same time, calls per second, minutes per day, and where
calls may go.  They are asked before anything is taken for a call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

from attrs import define
from zope.interface import implementer

from skypetrunk.core.answers import CONGESTION, NO_CIRCUIT
from skypetrunk.core.sides import PBXSide, Side
from skypetrunk.errors import CallRefused
from skypetrunk.interfaces import (
    CallEnded,
    CallRequest,
    ICallPolicy,
    IDialogObserver,
    INumberPlan,
    LegStatistics,
)
from skypetrunk.service.overload import LoadMeter
from skypetrunk.service.settings import Limits

REJECTED = 21
"""Q.850 cause: call rejected."""

_DAY = 86400

Readings = Callable[[str], Collection[str]]
"""What a network might make of a number that is none as it stands, as C{+E.164} or as digits."""


class TokenBucket:
    """So many events in a second, and as many at once after a second of silence."""

    def __init__(self, rate: float, seconds: Callable[[], float]) -> None:
        self._rate = rate
        self._seconds = seconds
        self._tokens = rate
        self._since = seconds()

    def ready(self) -> bool:
        """May one more happen now?"""
        now = self._seconds()
        # A clock that was set back gives nothing.
        passed = max(now - self._since, 0.0)
        self._tokens = min(self._rate, self._tokens + passed * self._rate)
        self._since = now
        return self._tokens >= 1

    def take(self) -> None:
        """One more happened."""
        self.ready()
        self._tokens -= 1


class DayMeter:
    """Seconds of talk since midnight, UTC, with the calls that are up."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        """
        @param seconds: since the epoch.
        """
        self._seconds = seconds
        self._day = 0
        self._used = 0.0
        self._up: dict[str, float] = {}

    def _now(self) -> float:
        now = self._seconds()
        day = int(now // _DAY)
        if day != self._day:
            self._day, self._used = day, 0.0
            self._up = {call: max(since, float(day * _DAY)) for call, since in self._up.items()}
        return now

    def answered(self, call: str) -> None:
        """C{call} begins to count."""
        self._up[call] = self._now()

    def ended(self, call: str) -> None:
        """C{call} counts no longer; one that never did changes nothing."""
        now = self._now()
        since = self._up.pop(call, now)
        self._used += max(now - since, 0.0)

    @property
    def minutes(self) -> float:
        """What was used today."""
        now = self._now()
        return (self._used + sum(max(now - since, 0.0) for since in self._up.values())) / 60


class Allowance:
    """
    What one neighbour may be asked to carry.

    @ivar refused: calls refused because of it, by limit: C{"calls"}, C{"rate"}, C{"minutes"},
        C{"destination"}.
    @ivar meter: of the calls to the trunk, or of the PBX's calls to trunks.
    """

    def __init__(
        self,
        side: Side,
        limits: Limits,
        numbers: INumberPlan,
        seconds: Callable[[], float],
        readings: Readings,
    ) -> None:
        self.refused: Counter[str] = Counter()
        self.meter = DayMeter(seconds)
        self._side = side
        self._limits = limits
        self._numbers = numbers
        self._readings = readings
        rate = limits.callsPerSecond
        self._bucket = None if rate is None else TokenBucket(rate, seconds)

    def refusal(self, called: str, outbound: bool) -> CallRefused | None:
        """
        Why a call may not be taken now.

        @param outbound: it goes to a trunk, so that it costs something.
        """
        name, limits = self._side.name, self._limits
        if outbound and not self._mayBeCalled(called):
            return self._refuse("destination", f"{name} may not call this number", 403, REJECTED)
        if limits.minutesPerDay is not None and outbound and self.meter.minutes >= limits.minutesPerDay:
            return self._refuse("minutes", f"the minutes of {name} for today are used up", 403, REJECTED)
        if limits.calls is not None:
            if self._side.calls >= limits.calls + (0 if outbound else limits.burst):
                return self._refuse("calls", f"as many calls as {name} may have are up", 503, NO_CIRCUIT)
        if self._bucket is not None and not self._bucket.ready():
            return self._refuse("rate", f"too many calls of {name} in one second", 503, CONGESTION)
        return None

    def taken(self) -> None:
        """A call goes on."""
        if self._bucket is not None:
            self._bucket.take()

    def _refuse(self, limit: str, text: str, status: int, cause: int) -> CallRefused:
        self.refused[limit] += 1
        return CallRefused(text, status, cause)

    def _mayBeCalled(self, called: str) -> bool:
        """The longest prefix that fits decides; without one, whether there is a list of what is allowed."""
        allow, deny = self._limits.allow, self._limits.deny
        if not allow and not deny:
            return True
        normal = self._numbers.normalise(called)
        forms = [normal, called]
        allowed = _longest(allow, forms)
        if deny:
            # Where it is no number as it stands the worst that it may mean counts.
            forms.extend(self._readings(normal))
        denied = _longest(deny, forms)
        return not allow if allowed == denied == 0 else allowed > denied


def _longest(prefixes: Sequence[str], forms: Sequence[str]) -> int:
    fitting = (len(prefix) for prefix in prefixes if any(form.startswith(prefix) for form in forms))
    return max(fitting, default=0)


@define
class _Call:
    """One call that was admitted: who pays for it."""

    request: CallRequest
    outbound: bool
    way: str | None = None


@implementer(ICallPolicy, IDialogObserver)
class CallLimits:
    """All allowances together."""

    def __init__(
        self,
        numbers: INumberPlan,
        seconds: Callable[[], float],
        load: LoadMeter | None = None,
        readings: Readings = lambda called: (),
    ) -> None:
        """
        @param seconds: since the epoch.
        @param load: refuses calls when there is too much to do.
        @param readings: what a network might make of what is no number as it stands.
        """
        self._readings = readings
        self._load = load
        self._numbers = numbers
        self._seconds = seconds
        self._pbxes: set[str] = set()
        self._all: dict[str, Allowance] = {}
        self._calls: dict[str, _Call] = {}
        # Of calls that have ended, by name: those whose leg to a trunk goes on in another call.
        self._goingOn: dict[str, Sequence[Allowance]] = {}

    def add(self, side: Side, limits: Limits) -> None:
        """Keep C{limits} of C{side} from now on."""
        self._all[side.name] = Allowance(side, limits, self._numbers, self._seconds, self._readings)
        side.guard = self
        if isinstance(side, PBXSide):
            self._pbxes.add(side.name)

    # ICallPolicy

    def admit(self, request: CallRequest) -> None:
        """
        Let C{request} go on if its source may call, and one of its destinations may be called.

        @raise CallRefused: with the source's reason, or the first destination's.
        """
        if self._load is not None:
            self._load.admit()
        refusal = self.refusal(request.source, request)
        if refusal is not None:
            raise refusal
        first: CallRefused | None = None
        for name in request.destinations:
            refusal = self.refusal(name, request)
            if refusal is None:
                return
            first = first or refusal
        if first is not None:
            raise first

    # core.sides.Guard

    def refusal(self, name: str, request: CallRequest) -> CallRefused | None:
        """Why the neighbour C{name} may not take its part in C{request} now."""
        allowance = self._all.get(name)
        return None if allowance is None else allowance.refusal(request.called, self._costs(name, request))

    def _costs(self, name: str, request: CallRequest) -> bool:
        """Is it a call of a PBX to a trunk, as far as C{name} takes part in it?"""
        if request.source not in self._pbxes:
            return False
        ways = request.destinations if name == request.source else (name,)
        return not self._pbxes.issuperset(ways)

    def taken(self, name: str, request: CallRequest) -> None:
        """
        C{request} goes to the neighbour C{name} now; it may go to another later, or be redirected: then
        whoever sends it on has one call more, and pays for it.
        """
        if name in self._all:
            self._all[name].taken()
        call = self._calls.get(request.call)
        if call is None:
            return
        if call.request != request:
            if request.source in self._all:
                self._all[request.source].taken()
            call.request, call.outbound = request, request.source in self._pbxes
        call.way = name

    def goesOn(self, call: str, name: str) -> bool:
        """
        C{call} ends, and its leg with the neighbour C{name} goes on in another call.

        @return: it costs something, until L{legEnded}.
        """
        found = self._calls.get(call)
        paying = () if found is None or found.way != name else self._paying(found)
        if paying:
            self._goingOn[call] = paying
        return bool(paying)

    def legEnded(self, call: str) -> None:
        """The leg of C{call} that L{went on<goesOn>} has ended."""
        for allowance in self._goingOn.pop(call):
            allowance.meter.ended(call)

    def legReplaced(self, call: str) -> None:
        """C{call} goes on without the leg that was placed for it: it costs nothing any more."""
        found = self._calls.get(call)
        if found is not None:
            for allowance in self._paying(found):
                allowance.meter.ended(call)
            found.outbound = False

    # IDialogObserver

    def callStarted(self, request: CallRequest) -> None:
        """The source has one call more."""
        self._calls[request.call] = _Call(request, request.source in self._pbxes)
        if request.source in self._all:
            self._all[request.source].taken()

    def callAnswered(self, call: str) -> None:
        """It begins to cost."""
        for allowance in self._paying(self._calls.get(call)):
            allowance.meter.answered(call)

    def callEnded(self, ended: CallEnded, media: Sequence[LegStatistics]) -> None:
        """It no longer does."""
        call = self._calls.pop(ended.call, None)
        if ended.call not in self._goingOn:
            for allowance in self._paying(call):
                allowance.meter.ended(ended.call)

    def _paying(self, call: _Call | None) -> Sequence[Allowance]:
        if call is None or not call.outbound or call.way in self._pbxes:
            return ()
        return [self._all[name] for name in (call.request.source, call.way) if name in self._all]

    def status(self, name: str) -> Mapping[str, object]:
        """The counters of one neighbour, ready for JSON."""
        allowance = self._all[name]
        return {"refused": dict(allowance.refused), "minutes": round(allowance.meter.minutes, 1)}
