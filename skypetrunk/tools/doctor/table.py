"""The findings as a table for people, and the verdict."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from skypetrunk.tools.doctor.finding import Finding, Severity, worst
from skypetrunk.tools.terminal import Style

__all__ = ["sign", "table", "verdict"]

_WIDTH = 100
_INDENT = 22


def sign(severity: Severity, style: Style) -> str:
    """The sign of a severity, in its colour."""
    signs = {
        Severity.GREEN: style.good,
        Severity.AMBER: style.doubtful,
        Severity.RED: style.bad,
        Severity.SKIPPED: style.dim("-"),
    }
    return signs[severity]


def _painted(severity: Severity, style: Style, text: str) -> str:
    paints = {Severity.GREEN: style.green, Severity.AMBER: style.yellow, Severity.RED: style.red}
    return paints.get(severity, style.dim)(text)


def table(findings: Sequence[Finding], style: Style) -> Iterator[str]:
    """A line for each finding, and below it what was wanted and seen, and what to change."""
    for each in findings:
        word = _painted(each.severity, style, f"{each.severity.value:7}")
        lines = textwrap.wrap(each.sentence, _WIDTH - _INDENT, break_on_hyphens=False)
        head = f"{sign(each.severity, style)} {word} {each.examination:11}"
        for number, line in enumerate(lines):
            yield f"{head if number == 0 else ' ' * (_INDENT - 1)} {line}"
        if each.severity.status:
            yield from _more("wanted", each.wanted, style.dim)
            yield from _more("seen", each.seen, style.dim)
            yield from _more("change", each.setting, style.bold)


def _more(name: str, text: str, paint: object) -> Iterator[str]:
    assert callable(paint)
    width = _WIDTH - _INDENT - 7
    for number, line in enumerate(textwrap.wrap(text, width, break_on_hyphens=False)):
        yield f"{' ' * _INDENT}{paint(f'{name if number == 0 else str():6} {line}')}"


def verdict(findings: Sequence[Finding], style: Style) -> str:
    """The last line."""
    counts = [
        (sum(each.severity is severity for each in findings), severity)
        for severity in (Severity.RED, Severity.AMBER, Severity.GREEN)
    ]
    told = ", ".join(
        _painted(severity, style, f"{count} {severity.value}") for count, severity in counts if count
    )
    words = {
        Severity.RED: "calls do not work",
        Severity.AMBER: "calls work, with doubts",
        Severity.GREEN: "all is well",
        Severity.SKIPPED: "nothing was looked at",
    }
    return f"{told}: {style.bold(words[worst(findings)])}"
