"""The questions to DNS and their answers, written down on their way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferTimeout
from twisted.internet.interfaces import IResolver
from twisted.names import dns, error
from twisted.names.common import ResolverBase
from twisted.python.failure import Failure

__all__ = ["SILENT", "Answer", "Question", "WatchedResolver"]


SILENT = "no answer"
"""The problem of a question that nobody has reacted to."""


@dataclass(frozen=True, slots=True)
class Answer:
    """
    One record.

    @ivar ttl: seconds.
    @ivar text: what it says, as in a zone file.
    """

    kind: str
    name: str
    ttl: int
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """
    One question.

    @ivar kind: C{"SRV"} and so on.
    @ivar seconds: until the answer.
    @ivar answers: its records; none if there are none, or nobody knows.
    @ivar problem: why nobody knows, or C{None}.
    """

    kind: str
    name: str
    seconds: float
    answers: tuple[Answer, ...]
    problem: str | None


class WatchedResolver(ResolverBase):
    """Asks another resolver, and tells of each question when it is answered."""

    def __init__(
        self, inner: IResolver, monotonic: Callable[[], float], told: Callable[[Question], None]
    ) -> None:
        super().__init__()
        self._inner = inner
        self._monotonic = monotonic
        self._told = told

    def _lookup(self, name: bytes, cls: int, type: int, timeout: Sequence[int]) -> Deferred[Any]:
        began = self._monotonic()
        asked: Deferred[Any] = self._inner.query(dns.Query(name, type, cls), timeout)
        return asked.addBoth(self._answered, dns.QUERY_TYPES.get(type, str(type)), name, began)

    def _answered(self, result: Any, kind: str, name: bytes | str, began: float) -> Any:
        answers: tuple[Answer, ...] = ()
        problem = None
        if isinstance(result, Failure):
            problem = _problem(result)
        else:
            answers = tuple(_answer(each) for each in result[0])
        text = name.decode("ascii", "replace") if isinstance(name, bytes) else name
        self._told(Question(kind, text, self._monotonic() - began, answers, problem))
        return result


def _problem(failure: Failure) -> str | None:
    """Why there is no answer; C{None}: the answer is that there is nothing."""
    if failure.check(error.DNSNameError, error.AuthoritativeDomainError):
        return None
    if failure.check(DeferTimeout, error.DNSQueryTimeoutError):
        return SILENT
    kinds: dict[type, str] = {
        error.DNSServerError: "the name server failed (SERVFAIL)",
        error.DNSQueryRefusedError: "the name server refused",
    }
    return kinds.get(type(failure.value), f"{type(failure.value).__name__}: {failure.value}")


def _answer(record: Any) -> Answer:
    kind = dns.QUERY_TYPES.get(record.type, str(record.type))
    return Answer(kind, _name(record.name), int(record.ttl), _written(record.type, record.payload))


def _name(name: Any) -> str:
    return str(name.name.decode("ascii", "replace")) or "."


def _written(kind: int, payload: Any) -> str:
    if kind == dns.A:
        return str(payload.dottedQuad())
    if kind == dns.AAAA:
        return str(ip_address(payload.address))
    if kind == dns.SRV:
        return f"{payload.priority} {payload.weight} {payload.port} {_name(payload.target)}"
    if kind == dns.NAPTR:
        texts = (payload.flags, payload.service, payload.regexp)
        words = " ".join(f'"{each.string.decode("ascii", "replace")}"' for each in texts)
        return f"{payload.order} {payload.preference} {words} {_name(payload.replacement)}"
    if kind == dns.CNAME:
        return _name(payload.name)
    return type(payload).__name__
