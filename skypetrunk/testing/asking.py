"""How the conformance tests ask: what fails is told with who was asked what, and who waits is found."""

from __future__ import annotations

from collections.abc import Coroutine
from statistics import median
from time import monotonic
from traceback import format_exc
from types import TracebackType
from typing import Any, NoReturn

from twisted.internet.defer import Deferred, DeferredList
from twisted.python.failure import Failure

from skypetrunk.errors import CallRefused

LONGEST = 0.02
"""
Seconds.  Audio is sent once in so many; who usually takes longer waits for something.  Usually, as a busy
machine may take its time for a single answer.
"""


LONGEST_SHOWN = 300
"""Characters of what was told: a record has more than anybody reads."""

WAITS = "a twisted.trial.unittest.TestCase would wait for it"
"""What to do where there is no reactor."""


class _Late(AssertionError):
    """No answer in time."""


class Asking:
    """
    The questions of one test, as a context: at its end nobody may have waited, and nothing that was told may
    have failed later.
    """

    def __init__(self, seconds: float | None = None) -> None:
        """
        @param seconds: how long an answer may take; C{None}: there is no reactor, and it must come at once.
        """
        self._seconds = seconds
        self._took: dict[str, list[float]] = {}
        self._failed: list[str] = []

    def __enter__(self) -> Asking:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if problem is not None:
            return
        assert not self._failed, "\n".join(self._failed)
        for name, seconds in self._took.items():
            usual = median(seconds)
            assert usual < LONGEST, (
                f"{name} takes {usual * 1000:.0f} ms each time, and meanwhile no call has sound:"
                " what waits for a disk or a network is done in another thread"
            )

    def ask(self, asked: object, name: str, *told: object) -> Any:
        """
        What the method C{name} of C{asked} returns; a coroutine is started, and its Deferred returned.

        @raise CallRefused: as the method.
        @raise AssertionError: it raised anything else.
        """
        began = monotonic()
        try:
            said = getattr(asked, name)(*told)
            return Deferred.fromCoroutine(said) if isinstance(said, Coroutine) else said
        except CallRefused:
            raise
        except (Exception, SystemExit):
            _raised(name, told)
        finally:
            self._took.setdefault(name, []).append(monotonic() - began)

    async def answer(self, asked: object, name: str, *told: object) -> object:
        """
        The same, where the answer may come later.

        @raise AssertionError: it did not come.
        """
        said = self.ask(asked, name, *told)
        if not isinstance(said, Deferred):
            return said
        if self._seconds is not None:
            from twisted.internet import reactor

            said.addTimeout(self._seconds, reactor, lambda value, seconds: _late(name, told, seconds))
        elif not said.called:
            raise _Late(f"{_shown(name, told)} did not answer at once: {WAITS}")
        try:
            return await said
        except (CallRefused, _Late):
            raise
        except (Exception, SystemExit):
            _raised(name, told)

    def tell(self, told: object, name: str, *what: object) -> None:
        """
        Call a method that returns nothing.

        @raise AssertionError: it returned something, at which nobody looks; a coroutine would never be run.
        """
        said = self._tell(told, name, what)
        assert said is None, f"{_shown(name, what)} returned {said!r}, not None"

    def tellUser(self, told: object, name: str, *what: object) -> None:
        """
        Call a method that may be a coroutine, or return a Deferred, for which nobody waits.

        @raise AssertionError: it returned something else; what fails later is told at the end.
        """
        said = self._tell(told, name, what)
        assert said is None or isinstance(said, Deferred), f"{_shown(name, what)} returned {said!r}, not None"
        if said is not None:
            said.addErrback(self._failedLater, name, what)

    def _tell(self, told: object, name: str, what: tuple[object, ...]) -> Any:
        try:
            return self.ask(told, name, *what)
        except CallRefused:
            _raised(name, what)

    def _failedLater(self, failure: Failure, name: str, what: tuple[object, ...]) -> None:
        self._failed.append(f"{_shown(name, what)} failed with\n{failure.getTraceback()}")


async def together(asked: list[Coroutine[Deferred[Any], Any, None]]) -> None:
    """
    Wait for all of C{asked}, begun at the same time.

    @raise AssertionError: the first that failed.
    """
    running: list[Deferred[None]] = [Deferred.fromCoroutine(each) for each in asked]
    for _, said in await DeferredList(running, consumeErrors=True):
        if isinstance(said, Failure):
            said.raiseException()


def _shown(name: str, told: tuple[object, ...]) -> str:
    text = ", ".join(map(repr, told))
    return f"{name}({text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + ' ...'})"


def _late(name: str, told: tuple[object, ...], seconds: float) -> NoReturn:
    raise _Late(f"{_shown(name, told)} did not answer within {seconds:g} s: its Deferred does not fire")


def _raised(name: str, told: tuple[object, ...]) -> NoReturn:
    """Within C{except}: the traceback stands in the text, as trial shows no cause."""
    raise AssertionError(f"{_shown(name, told)} raised\n{format_exc()}") from None


__all__ = ["LONGEST", "WAITS", "Asking", "together"]
