"""
Numbers as the carrier takes them, and what it plays at each.

The test numbers lie in +44 20 7946 0000 to 0999, which is set aside for fiction: should
one ever leave by another trunk, nobody is called.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from skypetrunk.errors import CallRefused

__all__ = ["EMERGENCY", "FORMS", "Behaviour", "TEST_NUMBERS", "behaviourOf", "digitsOf", "outcomeOf"]


class Behaviour(Enum):
    """What a called number does; the value is its description."""

    ECHO = "answers and sends back what it hears"
    TONE = "answers and plays a tone"
    BUSY = "is busy (486)"
    NO_ANSWER = "rings for ever"
    HANG_UP = "rings, answers, and hangs up after three seconds"
    REFUSES_SRTP = "answers RTP/AVP to RTP/SAVP, which a secure trunk must refuse"
    EARLY = "plays a tone before it answers (183), once it has received a packet"
    DECLINE = "rings, then declines (603)"
    UNKNOWN = "is not in use (404)"


@dataclass(frozen=True, slots=True)
class _Form:
    prefix: str
    pattern: re.Pattern[str]


_DIGITS = "[1-9][0-9]{0,14}"
# "+CC", "00CC" and "CC"; national forms begin with a single 0 and match none (Skype Connect facts 6.1.2)
FORMS = {
    "plus": _Form("+", re.compile(rf"\+({_DIGITS})")),
    "00": _Form("00", re.compile(rf"00({_DIGITS})")),
    "bare": _Form("", re.compile(rf"({_DIGITS})")),
}
"""Forms of a number with its country code, by option value."""

_SHORTEST = 7

EMERGENCY = frozenset(["000", "110", "112", "118", "119", "911", "999"])
"""Numbers this carrier must never carry (datasheet, last page)."""

_FICTION = "442079460"

TEST_NUMBERS = {
    _FICTION + "001": Behaviour.ECHO,
    _FICTION + "002": Behaviour.TONE,
    _FICTION + "003": Behaviour.BUSY,
    _FICTION + "004": Behaviour.NO_ANSWER,
    _FICTION + "005": Behaviour.HANG_UP,
    _FICTION + "006": Behaviour.REFUSES_SRTP,
    _FICTION + "007": Behaviour.EARLY,
    _FICTION + "008": Behaviour.DECLINE,
    _FICTION + "009": Behaviour.UNKNOWN,
}
"""What each test number does, by its digits with country code."""


def digitsOf(called: str, forms: Collection[str] = tuple(FORMS)) -> str:
    """
    The digits, with country code, of a called number.

    @param called: the user part of a Request-URI, unescaped.
    @param forms: keys of L{FORMS} that are taken.
    @raise CallRefused: 403 for an emergency number, 484 for one too short, 404 for any other form.
    """
    if called.removeprefix("+") in EMERGENCY:
        raise CallRefused("Emergency calls are not carried; use a line of the local exchange", 403)
    for name in forms:
        match = FORMS[name].pattern.fullmatch(called)
        if match is not None:
            digits = match[1]
            if len(digits) < _SHORTEST:
                raise CallRefused("Address Incomplete", 484)
            return digits
    raise CallRefused("Number is in none of the forms taken here", 404)


_OUTCOMES = {
    Behaviour.BUSY: 486,
    Behaviour.NO_ANSWER: 480,
    Behaviour.DECLINE: 603,
    Behaviour.UNKNOWN: 404,
}


def outcomeOf(called: str) -> int:
    """The final status of a call to the user part C{called}, unescaped."""
    try:
        return _OUTCOMES.get(behaviourOf(digitsOf(called)), 200)
    except CallRefused as refused:
        return refused.status or 403


def behaviourOf(digits: str) -> Behaviour:
    """What a number does; one that is no test number is answered with a tone, like somebody's telephone."""
    return TEST_NUMBERS.get(digits, Behaviour.TONE)
