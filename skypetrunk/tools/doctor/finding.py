"""What an examination has found: values that the table, the JSON and the exit status are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

__all__ = ["Finding", "Severity", "worst"]


class Severity(Enum):
    """How bad it is; the value is the word that is shown."""

    SKIPPED = "skipped"
    """It could not be looked at, since something before it is red; or nobody has asked for it."""
    GREEN = "green"
    AMBER = "amber"
    """Calls work, but not as well, or not for long."""
    RED = "red"
    """Calls do not work."""

    @property
    def status(self) -> int:
        """The exit status: 0, 1 or 2."""
        return {Severity.AMBER: 1, Severity.RED: 2}.get(self, 0)


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing that was looked at.

    @ivar examination: which one found it, as C{"dns"}.
    @ivar subject: what was looked at, in a few words.
    @ivar sentence: what it means, for people.
    @ivar wanted: what would be right; empty where that says nothing more.
    @ivar seen: what was there.
    @ivar setting: the one thing to change: a key of the configuration, or something outside; empty if it is
        good as it is.
    """

    examination: str
    severity: Severity
    subject: str
    sentence: str
    wanted: str = ""
    seen: str = ""
    setting: str = ""


def worst(findings: Sequence[Finding]) -> Severity:
    """The worst of them; skipped if nothing could be looked at."""
    return max((each.severity for each in findings), key=list(Severity).index, default=Severity.SKIPPED)
