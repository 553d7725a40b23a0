"""The log filter of a running trunk."""

from __future__ import annotations

import io
from typing import Any

from twisted.logger import (
    ILogObserver,
    LogEvent,
    Logger,
    LogLevel,
    LogPublisher,
    formatEventAsClassicLogText,
    textFileLogObserver,
)
from twisted.protocols import amp
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from skypetrunk.service.logs import LineFormat, LogFilter
from skypetrunk.wire.grammar import unescape


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
        Logger(namespace=amp.__name__, observer=publisher).emit(LogLevel.info, "Control connection lost")
        service.stopService()
        legacy.emit(LogLevel.info, "after", log_text="MediaPort starting on 20000")
        return texts

    def test_default(self) -> None:
        """Neither debug nor ports."""
        self.assertEqual(self.seen(False), ["news", "other", "after"])

    def test_debug(self) -> None:
        """Debug, without ports."""
        self.assertEqual(self.seen(True), ["details", "news", "other", "after"])

    def test_same_lines(self) -> None:
        """What twistd's observer writes is the same with the filter and without it."""
        files = (io.StringIO(), io.StringIO())
        publishers = [LogPublisher(textFileLogObserver(file)) for file in files]
        service = LogFilter(publishers[1], False)
        service.startService()
        for publisher in publishers:
            publisher({"log_format": "{a} of {b!r}", "a": 1, "b": "c", **EVENT})
        service.stopService()
        publishers[1]({"log_format": "after", **EVENT})
        first, second = (file.getvalue() for file in files)
        self.assertIn("[skypetrunk.x#info] 1 of 'c'\n", first)
        self.assertEqual(second.splitlines()[0] + "\n", first)
        self.assertIn("after", second)


EVENT: dict[str, Any] = {
    "log_namespace": "skypetrunk.x",
    "log_level": LogLevel.info,
    "log_time": 1700000000.5,
}


class LineFormatTests(SynchronousTestCase):
    """L{LineFormat} writes what Twisted does."""

    def same(self, **event: Any) -> None:
        """One event, by both."""
        event = EVENT | event
        self.assertEqual(LineFormat()(event), formatEventAsClassicLogText(event))

    def test_plain(self) -> None:
        """With fields, conversions, several lines, and parentheses that are none of Twisted's."""
        self.same(log_format="{x:.1f} s, {y!r} (timer {z})", x=1.25, y="b", z="H")
        self.same(log_format="{x}", x="one\ntwo")
        self.same(log_format="{x.real}", x=5)

    def test_special(self) -> None:
        """Calls, failures, systems, and events without text or time are left to Twisted."""
        self.same(log_format="{x()}", x=lambda: "called")
        self.same(log_format="failed", log_failure=Failure(ZeroDivisionError()))
        self.same(log_format="x", log_system="other")
        self.same(log_format="x", log_time=None)
        self.same(log_format="")
        self.same()

    def test_octets(self) -> None:
        """What a peer wrote in octets that are no UTF-8 can be written; what is text stays text."""
        event = EVENT | {"log_format": "{called} of {name}", "called": unescape("%F0"), "name": "J\u00f6rg"}
        line = LineFormat()(event) or ""
        self.assertIn("\\xf0 of J\u00f6rg\n", line)
        line.encode()
        failure = Failure(ValueError(unescape("%F0")))
        (LineFormat()(EVENT | {"log_format": "x", "log_failure": failure}) or "").encode()

    def test_orders(self) -> None:
        """A terminal that shows the log obeys no peer, whoever made the line; line ends and tabs stay."""
        reason = "Bu\x1b[2J\rsy\x9bK\x7f"
        line = LineFormat()(EVENT | {"log_format": "{x}\tfrom\n{x}", "x": reason}) or ""
        written = "Bu\\x1b[2J\\rsy\\x9bK\\x7f"
        self.assertTrue(line.endswith(f"] {written}\tfrom\n\t{written}\n"), line)
        self.same(log_format="{x}", x="a message\r\nin lines\r\n")
        failed = LineFormat()(EVENT | {"log_format": "x", "log_failure": Failure(ValueError(reason))}) or ""
        self.assertIn(written, failed)

    def test_broken(self) -> None:
        """An event whose fields are missing says so, as Twisted's."""
        self.same(log_format="{missing}")

    def test_time(self) -> None:
        """Each line has the time of its own event."""
        lines = LineFormat()
        for time in (1700000000.1, 1700000000.9, 1700000001.0, 1699999999.0):
            event = EVENT | {"log_time": time, "log_format": "x"}
            self.assertEqual(lines(event), formatEventAsClassicLogText(event))
