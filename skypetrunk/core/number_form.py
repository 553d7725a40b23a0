"""How numbers are written: each carrier has its own form, and so may a PBX."""

from __future__ import annotations

import re

from skypetrunk.interfaces import INumberPlan

AS_GIVEN = "as-dialled"

FORMS = (AS_GIVEN, "plus", "00", "bare")
"""C{+44...}, C{0044...} and C{44...}."""

# ITU-T E.164: at most 15 digits with the country code; what has less than 7 is somebody's extension.
_BARE = re.compile(r"[1-9][0-9]{6,14}").fullmatch


def writeNumber(number: str, form: str, numbers: INumberPlan) -> str:
    """C{number} in the form that the receiver wants; unchanged where it cannot be understood."""
    if form == AS_GIVEN:
        return number
    known = numbers.normalise(number)
    if not known.startswith("+"):
        return number
    return {"plus": known, "00": "00" + known[1:], "bare": known[1:]}[form]


def readNumber(number: str, form: str) -> str:
    """C{number}, which its sender writes in C{form}, with a plus; unchanged where it has another form."""
    if form == "00" and number.startswith("00") and _BARE(number[2:]):
        return "+" + number[2:]
    if form == "bare" and _BARE(number):
        return "+" + number
    return number


__all__ = ["AS_GIVEN", "FORMS", "readNumber", "writeNumber"]
