"""
What the log of a running trunk leaves out, and how its lines are made.

Twisted tells of every port that opens and closes: eight lines for each call.  They, and debug
events unless asked for, are kept from the observers that twistd has set up.  The lines that remain
read as Twisted's do, and cost a third.
"""

from __future__ import annotations

from twisted.application.service import Service
from twisted.logger import (
    FileLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogPublisher,
    formatEventAsClassicLogText,
    formatTime,
)
from zope.interface import implementer

from skypetrunk.printable import printableLines

_PORT_LINES = (
    " starting on ",
    "Starting protocol ",
    "Stopping protocol ",
    "(UDP Port ",
    "(TCP Port ",
)


_AMP = "twisted.protocols.amp"
"""Who has two lines for each question of a tool, one for its connection and one for its end."""

_SPECIAL = ("log_failure", "log_flattened", "log_system")
"""Keys of events that Twisted writes in another way."""


class LineFormat:
    """
    Events as the lines of Twisted's C{textFileLogObserver}.  A call logs five lines, and Twisted's way to
    each of them, with a time zone looked up and a formatter written in Python, took 4 % of its CPU.
    """

    def __init__(self) -> None:
        self._second = -1
        self._time = ""

    def __call__(self, event: LogEvent) -> str | None:
        """A line with its end, C{None} for an event without text."""
        line = self._line(event)
        # Names and reasons are a peer's: a terminal may show them, and a file has to take them.
        return None if line is None else printableLines(line)

    def _line(self, event: LogEvent) -> str | None:
        format, time = event.get("log_format"), event.get("log_time")
        # Parentheses are calls in Twisted's formats; a failure has a traceback.
        if type(format) is not str or time is None or "()" in format or not event.keys().isdisjoint(_SPECIAL):
            return formatEventAsClassicLogText(event)
        try:
            text = format.format_map(event)
            source = f"{event['log_namespace']}#{event['log_level'].name}"
        except Exception:
            return formatEventAsClassicLogText(event)  # which says what is wrong with it
        if not text:
            return None
        second = int(time)
        if second != self._second:
            self._time, self._second = formatTime(time), second
        if "\n" in text:
            text = text.replace("\n", "\n\t")
        return f"{self._time} [{source}] {text}\n"


@implementer(ILogObserver)
class _Filtered:
    """Hands on what is wanted."""

    def __init__(self, observer: ILogObserver, debug: bool) -> None:
        self.observer = observer
        self._debug = debug

    def __call__(self, event: LogEvent) -> None:
        """See L{ILogObserver}."""
        if not self._debug and event.get("log_level") is LogLevel.debug:
            return
        if event.get("log_namespace") == _AMP and event.get("log_level") is LogLevel.info:
            return
        if event.get("log_namespace") == "log_legacy" and not event.get("isError"):
            text = str(event.get("log_text") or event.get("message") or "")
            if any(part in text for part in _PORT_LINES):
                return
        self.observer(event)


def _quick(observer: ILogObserver) -> ILogObserver:
    """The same with L{LineFormat}, where it writes Twisted's usual lines."""
    if type(observer) is FileLogObserver:
        name = getattr(observer.formatEvent, "__qualname__", "")
        file = getattr(observer, "_outFile", None)
        if name == "textFileLogObserver.<locals>.formatEvent" and file is not None:
            return FileLogObserver(file, LineFormat())
    return observer


class LogFilter(Service):
    """Stands between a publisher and its observers while it runs."""

    def __init__(self, publisher: LogPublisher, debug: bool) -> None:
        """
        @param debug: let everything through but the lines on ports.
        """
        self._publisher = publisher
        self._debug = debug
        self._replaced: list[tuple[ILogObserver, ILogObserver]] = []

    def startService(self) -> None:
        """Put the filter in."""
        super().startService()
        # twistd does not say what it set up, and the publisher has no public list.
        for observer in tuple(getattr(self._publisher, "_observers", ())):
            filtered = _Filtered(_quick(observer), self._debug)
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


__all__ = ["LineFormat", "LogFilter"]
