"""The log filter of a running trunk."""

from __future__ import annotations

from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, LogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from skypetrunk.service.logs import LogFilter


class LogFilterTests(SynchronousTestCase):
    """Ports and debug stay out, everything else comes through, and it leaves no trace."""

    def seen(self, debug: bool) -> list[str]:
        """What an observer gets of four events."""
        publisher = LogPublisher()
        texts: list[str] = []

        @implementer(ILogObserver)
        def observe(event: LogEvent) -> None:
            texts.append(str(event["log_format"]))

        publisher.addObserver(observe)
        service = LogFilter(publisher, debug)
        service.startService()
        ours = Logger(namespace="skypetrunk.x", observer=publisher)
        legacy = Logger(namespace="log_legacy", observer=publisher)
        ours.emit(LogLevel.debug, "details")
        ours.emit(LogLevel.info, "news")
        legacy.emit(LogLevel.info, "port", log_text="MediaPort starting on 20000")
        legacy.emit(LogLevel.info, "other", log_text="something else")
        service.stopService()
        legacy.emit(LogLevel.info, "after", log_text="MediaPort starting on 20000")
        return texts

    def test_default(self) -> None:
        """Neither debug nor ports."""
        self.assertEqual(self.seen(False), ["news", "other", "after"])

    def test_debug(self) -> None:
        """Debug, without ports."""
        self.assertEqual(self.seen(True), ["details", "news", "other", "after"])
