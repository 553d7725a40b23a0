"""The numbers of a campus: four digits are extensions, and one of them is the gate house."""

from __future__ import annotations

import re
from collections.abc import Mapping

from zope.interface import implementer

from skypetrunk.errors import ConfigurationError
from skypetrunk.interfaces import INumberPlan


def campusNumbers(settings: Mapping[str, object]) -> CampusNumbers:
    """
    The plan of C{settings}.

    @raise ConfigurationError: what is wrong with them.
    """
    problems = [
        f"settings.{name}: is not known" for name in sorted(settings) if name not in ("range", "gate")
    ]
    numbers, gate = settings.get("range"), settings.get("gate")
    if not isinstance(numbers, str) or not re.fullmatch(r"\+[1-9][0-9]{1,10}", numbers):
        problems.append('settings.range: would be right: "+44207946"')
    if not isinstance(gate, str) or not re.fullmatch(r"[0-9]{4}", gate):
        problems.append('settings.gate: would be right: "5555"')
    if problems:
        raise ConfigurationError(tuple(problems))
    return CampusNumbers(str(numbers), str(gate))


@implementer(INumberPlan)
class CampusNumbers:
    """What it returns unchanged the plan of the country reads."""

    def __init__(self, range: str, gate: str) -> None:
        """
        @param range: what stands before an extension, C{+44207946}.
        @param gate: the gate house's extension.
        """
        self._range = range
        self._gate = gate

    def isEmergency(self, called: str) -> bool:
        """The gate house, also by its long number."""
        return called in (self._gate, self._range + self._gate)

    def normalise(self, called: str) -> str:
        """Extensions become numbers of the world."""
        return self._range + called if re.fullmatch(r"[0-9]{4}", called) else called


__all__ = ["CampusNumbers", "campusNumbers"]
