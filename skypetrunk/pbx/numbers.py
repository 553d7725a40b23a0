"""What dialled numbers mean in one country, behind one outside-line prefix."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

import phonenumbers
from phonenumbers.phonemetadata import PhoneMetadata
from zope.interface import implementer

from skypetrunk.interfaces import INumberPlan

# RFC 3966 section 5.1.1, and the slash that people write; dashes and blanks are found by category.
_VISUAL = frozenset(".()/\N{KATAKANA MIDDLE DOT}")

_plain = re.compile(r"[0-9A-Za-z+*#]*").fullmatch

# ITU-T E.164: at most 15 digits with the country code; none that can be called has less than 5.
_E164 = re.compile(r"\+[1-9][0-9]{4,14}")

_TOO_FEW = (
    phonenumbers.ValidationResult.TOO_SHORT,
    phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY,
)

_LONGEST_READ = 17
"""Digits that are looked at; phonenumbers reads no more, and no prefix of a number is as long."""

_code = re.compile(r"[*#][^0-9+]*([0-9]*)(.*)", re.DOTALL).match
"""What tells an exchange something; a number may follow."""

_CODE_DIGITS = 2, 3
"""How many a code has, where no mark says where it ends."""

_LONGEST_CODE = 64
"""Characters that are looked at of a code and what is behind it."""

_SHORTEST_BEHIND_CODE = 5
"""Digits of a number there; less are others that belong to the code, as seconds."""

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

    @ivar countryCode: without a plus: C{"44"}.
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
        self.countryCode = str(phonenumbers.country_code_for_region(country))
        national = phonenumbers.ndd_prefix_for_region(country, True) or ""
        # In North America the 1 may be left out.
        self._nationalPrefix = "" if national == self.countryCode else national
        metadata = PhoneMetadata.metadata_for_region(country)
        prefix = (metadata.international_prefix if metadata is not None else None) or "00"
        # 00 is no prefix of some countries, but PBXes made elsewhere write it.
        self._internationalPrefixes = (re.compile(rf"\+|{prefix}"), re.compile("00"))
        # Most numbers are told apart by their length; twice the longest leaves room for marks between digits.
        self._room = 2 * max([3, *_emergencyPattern(country)[1], *map(len, self._emergency)]) + 2

    def isEmergency(self, called: str) -> bool:
        """
        Is C{called} an emergency number, as dialled or behind the outside-line prefix?

        A PBX that writes all numbers with a plus, an international prefix or the country code makes
        C{+112}, C{+49112}, C{0049112} or C{49112} of C{112}.  These count too unless there is such a number.
        So does what stands behind a code that hides the caller: C{*31#112}, C{*67911}.
        """
        digits = _digits(called)
        # Some phones send the # that ends dialling.
        forms = {digits, digits.rstrip("#")}
        # An outside line of marks may look like the beginning of a code.
        begins = {each for form in forms for each in self._outside(form)}
        return any(map(self._isMeant, forms.union(*map(self._behindCode, begins))))

    def _isMeant(self, digits: str) -> bool:
        if any(self._isListed(form) for form in self._outside(digits)):
            return True
        for form in self._outside(digits):
            for inner, written in self._international(form):
                # Only what is no real number may be read as one that a PBX has put together.
                if any(map(self._isListed, self._outside(inner))) and not self.exists(written):
                    return True
        return False

    def _outside(self, digits: str) -> Iterator[str]:
        """As it stands, and without the outside-line prefix."""
        yield digits
        if self._outsideLine and digits.startswith(self._outsideLine):
            yield digits.removeprefix(self._outsideLine)

    def _behindCode(self, digits: str) -> frozenset[str]:
        """
        What stands behind a code of the exchange, each way that it may be read; nothing without one.  C{*31#}
        or C{*67} before a number hides the caller, and C{*21*} sends calls on to it.
        """
        read = _code(digits[:_LONGEST_CODE])
        if read is None:
            return frozenset()
        code, rest = read.groups()
        found: set[str] = set()
        for behind in {code[taken:] + rest for taken in _CODE_DIGITS}:
            # The last marks may be those of the outside line.
            marks = len(behind) - len(behind.lstrip("*#"))
            found.update(behind[start:] for start in range(marks + 1))
        return frozenset(found)

    def _international(self, digits: str) -> Iterator[tuple[str, str]]:
        """
        Without what a PBX puts before a number that it takes for a foreign or national one; beside it the
        whole as it would be dialled.
        """
        for prefix in self._internationalPrefixes:
            found = prefix.match(digits)
            if found:
                rest = digits[found.end() :]
                yield rest, "+" + rest
                if rest.startswith(self.countryCode):
                    yield rest.removeprefix(self.countryCode), "+" + rest
        if digits.startswith(self.countryCode):
            yield digits.removeprefix(self.countryCode), digits

    def exists(self, digits: str) -> bool:
        """Is there such a number, dialled without the outside-line prefix or with a plus?"""
        try:
            return bool(phonenumbers.is_valid_number(phonenumbers.parse(digits, self._country)))
        except phonenumbers.NumberParseException:
            return False

    def _isListed(self, digits: str) -> bool:
        if len(digits) > self._room:
            return False
        return digits in self._emergency or phonenumbers.is_emergency_number(digits, self._country)

    def emergencyNumbers(self) -> tuple[str, ...]:
        """All of them as dialled, without any prefix; the configuration's own among them."""
        listed: list[str] = []
        pattern, lengths = _emergencyPattern(self._country)
        fits = re.compile(pattern).fullmatch
        for length in lengths:
            listed.extend(filter(fits, map(f"{{:0{length}}}".format, range(10**length))))
        return tuple(sorted(self._emergency.union(listed)))

    def normalise(self, called: str) -> str:
        """
        C{called} as C{+E.164}, or unchanged.

        What is a valid number as it stands is read so: most PBXes remove the outside-line prefix
        themselves, and behind the German C{0} a C{0044} would else become a national C{044}.
        """
        digits = _digits(called)
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

    def readings(self, called: str) -> frozenset[str]:
        """
        What a network might make of C{called} where it is no number as it stands, as C{+E.164} or as digits.

        Networks pass over what is dialled behind a whole number, over marks, and over a 0 behind the country
        code: who asks whether a number is forbidden has to think of that.
        """
        digits = _digits(called)
        behind = self._behindCode(digits.removeprefix(self._outsideLine))
        if behind:
            numbers = {each for rest in behind for each in re.findall("[+]?[0-9]+", rest)}
            numbers = {each for each in numbers if len(each) >= _SHORTEST_BEHIND_CODE}
            return frozenset().union(*map(self.readings, numbers))
        if self.exists(digits):
            return frozenset(self._whole(digits))
        plain = "".join(re.findall("[0-9]+", digits))[:_LONGEST_READ]
        dialled = ["+" + plain if digits.startswith("+") else plain]
        if self._outsideLine and plain.startswith(self._outsideLine):
            dialled.append(plain.removeprefix(self._outsideLine))
        found = set(dialled)
        for each in dialled:
            starts = {match.end() for prefix in self._internationalPrefixes if (match := prefix.match(each))}
            found.update("+" + each[start:] for start in starts)
            if each.startswith(self._nationalPrefix):
                found.update(self._whole(each))
            if each.startswith(self.countryCode):
                found.update(self._whole("+" + each))
        for each in [each for each in found if each.startswith("+")]:
            found.update(self._whole(each))
        return frozenset(found - {""})

    def _whole(self, digits: str) -> Iterator[str]:
        """C{digits} with the country code, unless they are too few for more than a call within a town."""
        try:
            number = phonenumbers.parse(digits, self._country)
        except phonenumbers.NumberParseException:
            return
        if phonenumbers.is_possible_number_with_reason(number) not in _TOO_FEW:
            # Some numbers begin with a 0 of their own, as those of Italy's towns.
            yield phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
            if not phonenumbers.is_valid_number(number):
                yield f"+{number.country_code}{number.national_number}"


def _emergencyPattern(country: str) -> tuple[str, Sequence[int]]:
    """What the emergency numbers of a country look like, and how long they are."""
    metadata = PhoneMetadata.short_metadata_for_region(country)
    known = metadata.emergency if metadata is not None else None
    if known is None or known.national_number_pattern is None:
        return "", ()
    return known.national_number_pattern, known.possible_length


def _digits(called: str) -> str:
    """C{called} as on a keypad: digits of every script as 0 to 9, nothing that only guides the eye."""
    if _plain(called):
        return called
    return "".join(map(_key, called))


def _key(character: str) -> str:
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    # Zs, Zl, Zp blanks; Cc, Cf control and direction marks of what was copied; Pd dashes.
    if character in _VISUAL or unicodedata.category(character) in ("Zs", "Zl", "Zp", "Cc", "Cf", "Pd"):
        return ""
    # The wide forms of + * # (NFKC).
    return unicodedata.normalize("NFKC", character)


__all__ = ["NumberPlan"]
