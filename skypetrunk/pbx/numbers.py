"""What dialled numbers mean in one country, behind one outside-line prefix."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import phonenumbers
from zope.interface import implementer

from skypetrunk.interfaces import INumberPlan

# RFC 3966 section 5.1.1, and the blank that people write.
_VISUAL = re.compile(r"[\s.()/-]")

# ITU-T E.164: at most 15 digits with the country code; none that can be called has less than 5.
_E164 = re.compile(r"\+[1-9][0-9]{4,14}")

# Emergency services that phonenumbers counts among other short numbers: rescue at sea, medical help,
# police, traffic police, and the lines for the deaf, the homeless and children in France.
_ALSO = {
    "CN": {"122"},
    "ES": {"061", "062", "091"},
    "FR": {"114", "115", "119"},
    "JP": {"118"},
}


@implementer(INumberPlan)
class NumberPlan:
    """
    The numbers of a country.

    Emergency numbers are matched whole: C{1125551234} is a number like any other where it exists.
    """

    def __init__(self, country: str, outsideLine: str = "", emergency: Iterable[str] = ()) -> None:
        """
        @param country: two letters, ISO 3166.
        @param outsideLine: what is dialled before an outside number, or empty.
        @param emergency: numbers in addition to the country's own.
        """
        self._country = country
        self._outsideLine = outsideLine
        self._emergency = frozenset(emergency) | _ALSO.get(country, set())
        self._countryCode = str(phonenumbers.country_code_for_region(country))

    def isEmergency(self, called: str) -> bool:
        """
        Is C{called} an emergency number, as dialled or behind the outside-line prefix?

        A PBX that writes all numbers with a plus or the country code makes C{+112} or C{+49112} of
        C{112}; neither can be another number, so they count too.
        """
        return any(self._isListed(form) for form in self._forms(_VISUAL.sub("", called)))

    def _forms(self, digits: str) -> Iterator[str]:
        yield digits
        if self._outsideLine and digits.startswith(self._outsideLine):
            yield digits.removeprefix(self._outsideLine)
        if digits.startswith("+"):
            yield digits[1:]
            yield digits[1:].removeprefix(self._countryCode)

    def _isListed(self, digits: str) -> bool:
        return digits in self._emergency or phonenumbers.is_emergency_number(digits, self._country)

    def normalise(self, called: str) -> str:
        """
        C{called} as C{+E.164}, or unchanged.

        What is a valid number as it stands is read so: most PBXes remove the outside-line prefix
        themselves, and behind the German C{0} a C{0044} would else become a national C{044}.
        """
        digits = _VISUAL.sub("", called)
        if _E164.fullmatch(digits):
            return digits
        if not re.fullmatch(r"[0-9]+", digits):
            return called
        candidates = [digits]
        if self._outsideLine and digits.startswith(self._outsideLine):
            candidates.append(digits.removeprefix(self._outsideLine))
        for candidate in candidates:
            try:
                number = phonenumbers.parse(candidate, self._country)
            except phonenumbers.NumberParseException:
                continue
            if phonenumbers.is_valid_number(number):
                return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        return called


__all__ = ["NumberPlan"]
