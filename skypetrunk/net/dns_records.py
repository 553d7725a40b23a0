"""
Questions to DNS with a memory: answers are kept as long as their TTL says (RFC 1035 section 3.2.1), what does
not exist as long as RFC 2308 says, and older answers serve while the name servers are silent (RFC 8767).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferTimeout
from twisted.internet.interfaces import IReactorTime, IResolver
from twisted.logger import Logger
from twisted.names import dns, error
from twisted.python.failure import Failure

#: Seconds to wait for a name server, first time and second time.
TIMEOUTS = (1, 3)

#: The same where an old answer stands ready; RFC 8767 section 5 proposes 1.8 s.
_IMPATIENT = (1,)

#: Seconds that an answer counts at the most; RFC 8767 section 4 wants a bound of days.
_LONGEST = 86400.0

#: The same for "there is none": RFC 2308 section 5 proposes hours, but a new record must not wait so long.
_LONGEST_NONE = 300.0

#: Seconds after its end that an answer may still serve; RFC 8767 section 5 proposes 1 to 3 days.
_STALE = 3 * 86400.0

#: Seconds until silent name servers are asked again for what an old answer serves for (RFC 8767 section 5).
_RECHECK = 30.0

#: Answers kept; a trunk needs about ten.
_MOST_ANSWERS = 1000

#: Aliases that are followed; a resolver does it for us, an authoritative server does not.
_MOST_ALIASES = 8

_METHODS = {
    dns.A: ("A", "lookupAddress"),
    dns.AAAA: ("AAAA", "lookupIPV6Address"),
    dns.SRV: ("SRV", "lookupService"),
    dns.NAPTR: ("NAPTR", "lookupNamingAuthorityPointer"),
}


class Unanswered(Exception):
    """DNS did not say yes and did not say no; the text says why."""


@dataclass(slots=True)
class _Answer:
    """
    @ivar fresh: when its TTL ends.
    @ivar recheck: when it is worth asking again, while no server answers.
    """

    payloads: Sequence[Any]
    fresh: float
    recheck: float = 0.0


class Records:
    """All that was asked, by everybody who shares it."""

    _log = Logger()

    def __init__(self, resolver: IResolver, clock: IReactorTime) -> None:
        self._resolver = resolver
        self._clock = clock
        self._answers: dict[tuple[int, str], _Answer] = {}
        self._asking: dict[tuple[int, str], Deferred[None]] = {}
        self._waiting: dict[tuple[int, str], list[Deferred[Sequence[Any]]]] = {}

    def find(self, kind: int, name: str) -> Deferred[Sequence[Any]]:
        """
        Payloads of one type, following aliases; none if there are none.

        @param kind: C{dns.A}, C{AAAA}, C{SRV} or C{NAPTR}.
        @raise Unanswered: (errback) it is not known whether there are any.
        """
        key = (kind, name.rstrip(".").lower())
        result: Deferred[Sequence[Any]] = Deferred(lambda given: self._givenUp(key, given))
        waiting = self._waiting.get(key)
        if waiting is not None:
            # Who asks the same at the same time waits for the same answer.
            waiting.append(result)
            return result
        self._waiting[key] = [result]
        asking = Deferred.fromCoroutine(self._find(*key)).addBoth(self._found, key)
        if not asking.called:
            self._asking[key] = asking
        return result

    def _found(self, found: Sequence[Any] | Failure, key: tuple[int, str]) -> None:
        self._asking.pop(key, None)
        for each in self._waiting.pop(key):
            each.callback(found)

    def _givenUp(self, key: tuple[int, str], given: Deferred[Sequence[Any]]) -> None:
        """Who loses interest leaves the question to the others, if there are any."""
        self._waiting[key].remove(given)
        if not self._waiting[key]:
            self._asking[key].cancel()

    async def _find(self, kind: int, name: str) -> Sequence[Any]:
        known = self._answers.get((kind, name))
        now = self._clock.seconds()
        if known is not None and now < max(known.fresh, known.recheck):
            return known.payloads
        if known is not None and now >= known.fresh + _STALE:
            known = None
        try:
            payloads, seconds = await self._ask(kind, name, TIMEOUTS if known is None else _IMPATIENT)
        except Unanswered as problem:
            if known is None:
                raise
            known.recheck = self._clock.seconds() + _RECHECK
            self._log.warn(
                "{kind} {name}: {problem}: an answer of before serves, which ended {seconds} s ago",
                kind=_METHODS[kind][0],
                name=name,
                problem=str(problem),
                seconds=round(now - known.fresh),
            )
            return known.payloads
        # At the end again: the one that nobody asked for the longest makes room.
        self._answers.pop((kind, name), None)
        if len(self._answers) >= _MOST_ANSWERS:
            del self._answers[next(iter(self._answers))]
        self._answers[kind, name] = _Answer(payloads, self._clock.seconds() + seconds)
        return payloads

    async def _ask(self, kind: int, name: str, timeouts: Sequence[int]) -> tuple[Sequence[Any], float]:
        """What the servers say, and for how many seconds."""
        method: Callable[..., Any] = getattr(self._resolver, _METHODS[kind][1])
        left = _LONGEST
        for _ in range(_MOST_ALIASES):
            try:
                answers, authority, _additional = await method(name, timeout=timeouts)
            except (error.DNSNameError, error.AuthoritativeDomainError) as problem:
                message = problem.args[0] if problem.args else None
                return (), min(left, _negative(getattr(message, "authority", ())))
            except CancelledError:
                raise
            except Exception as problem:
                raise Unanswered(_reason(problem, timeouts)) from problem
            left = min([left, *(float(each.ttl) for each in answers)])
            payloads = tuple(each.payload for each in answers if each.type == kind)
            aliases = [each.payload for each in answers if each.type == dns.CNAME]
            if payloads:
                return payloads, left
            if not aliases:
                return (), min(left, _negative(authority))
            name = aliases[-1].name.name.decode("ascii", "replace")
        raise Unanswered(f"more than {_MOST_ALIASES} aliases")


def _negative(authority: Sequence[Any]) -> float:
    """Seconds that "there is none" counts: the lesser of the SOA's TTL and MINIMUM (RFC 2308 section 5)."""
    for each in authority:
        if each.type == dns.SOA and each.payload is not None:
            return float(min(each.ttl, each.payload.minimum, _LONGEST_NONE))
    return 0.0


def _reason(problem: Exception, timeouts: Sequence[int]) -> str:
    if isinstance(problem, DeferTimeout):
        return f"no answer within {sum(timeouts)} s"
    kinds: dict[type[Exception], str] = {
        error.DNSServerError: "the name server failed (SERVFAIL)",
        error.DNSQueryRefusedError: "the name server refused",
    }
    return kinds.get(type(problem), f"{type(problem).__name__}: {problem}")


__all__ = ["TIMEOUTS", "Records", "Unanswered"]
