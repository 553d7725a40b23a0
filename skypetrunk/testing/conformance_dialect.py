"""Conformance tests for dialects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zope.interface.verify import verifyObject

from skypetrunk.interfaces import IPBXDialect
from skypetrunk.pbx.dialect import violation
from skypetrunk.testing.asking import Asking
from skypetrunk.testing.conformance_messages import messages
from skypetrunk.wire.message import Request, Response, parseMessage


class DialectConformance:
    """For L{IPBXDialect}."""

    def makeDialect(self) -> IPBXDialect:
        """The dialect to test."""
        raise NotImplementedError("makeDialect makes the dialect that is tested")

    def _translated(self) -> Iterator[tuple[str, Request | Response, Any]]:
        """Both directions of everything in L{messages}: which method, before, and after."""
        dialect = self.makeDialect()
        with Asking() as asking:
            for message in messages():
                for direction in ("fromPBX", "toPBX"):
                    yield direction, message, asking.ask(dialect, direction, message)

    def test_dialectProvided(self) -> None:
        """The methods have the right names and arguments."""
        assert verifyObject(IPBXDialect, self.makeDialect())

    def test_dialectKeepsTransactions(self) -> None:
        """Whatever is said, it stays a message of the same transaction and dialog."""
        for direction, before, after in self._translated():
            problem = violation(before, after)
            assert problem is None, f"{direction}({before}): {problem}"

    def test_dialectCanBeRead(self) -> None:
        """What it makes of a message can be sent, and is read as it was meant."""
        for direction, before, after in self._translated():
            assert isinstance(after, type(before)), (
                f"{direction}({before}) returned {after!r}, no {type(before).__name__}"
            )
            written = after.encode()
            assert parseMessage(written).encode() == written, (
                f"{direction}({before}) is read as another message"
            )

    def test_dialectAnswersTheSame(self) -> None:
        """For the same message always the same: a PBX that repeats itself is understood again."""
        first = [after for _, _, after in self._translated()]
        for (direction, before, after), again in zip(self._translated(), first, strict=True):
            dialect = self.makeDialect()
            translate = dialect.fromPBX if direction == "fromPBX" else dialect.toPBX
            same = after == again and translate(before) == translate(before) == again
            assert same, f"{direction}({before}) returned something else when it was asked again"


__all__ = ["DialectConformance"]
