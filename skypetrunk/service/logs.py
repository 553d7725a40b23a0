"""
What the log of a running trunk leaves out.

Twisted tells of every port that opens and closes: eight lines for each call.  They, and debug
events unless asked for, are kept from the observers that twistd has set up.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service
from twisted.logger import (
    FilteringLogObserver,
    ILogFilterPredicate,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogPublisher,
    PredicateResult,
)
from zope.interface import implementer

_PORT_LINES = (
    " starting on ",
    "Starting protocol ",
    "Stopping protocol ",
    "(UDP Port ",
    "(TCP Port ",
    # AMP: two lines for each question of a tool.
    "_Control connection ",
)


@implementer(ILogFilterPredicate)
class _Wanted:
    """Lets an event through or not."""

    def __init__(self, debug: bool) -> None:
        self._debug = debug

    def __call__(self, event: LogEvent) -> Any:
        """L{PredicateResult.no} for what is left out."""
        if not self._debug and event.get("log_level") is LogLevel.debug:
            return PredicateResult.no
        if event.get("log_namespace") == "log_legacy" and not event.get("isError"):
            text = str(event.get("log_text") or event.get("message") or "")
            if any(part in text for part in _PORT_LINES):
                return PredicateResult.no
        return PredicateResult.maybe


class LogFilter(Service):
    """Stands between a publisher and its observers while it runs."""

    def __init__(self, publisher: LogPublisher, debug: bool) -> None:
        """
        @param debug: let everything through but the lines on ports.
        """
        self._publisher = publisher
        self._wanted = _Wanted(debug)
        self._replaced: list[tuple[ILogObserver, ILogObserver]] = []

    def startService(self) -> None:
        """Put the filter in."""
        super().startService()
        # twistd does not say what it set up, and the publisher has no public list.
        for observer in tuple(getattr(self._publisher, "_observers", ())):
            filtered = FilteringLogObserver(observer, [self._wanted])
            self._publisher.removeObserver(observer)
            self._publisher.addObserver(filtered)
            self._replaced.append((observer, filtered))

    def stopService(self) -> None:
        """Take it out again."""
        super().stopService()
        replaced, self._replaced = self._replaced, []
        for observer, filtered in replaced:
            self._publisher.removeObserver(filtered)
            self._publisher.addObserver(observer)


__all__ = ["LogFilter"]
