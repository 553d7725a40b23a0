"""
Words of the SIP grammar (RFC 3261 section 25.1): tokens, quoted strings, escapes, lists, parameters.

All patterns use possessive repeats or disjoint alternatives, so that reading is linear in any input.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote as _percentEncode
from urllib.parse import unquote as _percentDecode

from skypetrunk.errors import MalformedMessage

#: Linear white space once folding is undone.  C{str.strip()} without it would take U+0085 and others too.
LWS = " \t"

_QUOTED = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
#: The name of a URI parameter may hold a few characters that tokens have not; nothing else uses them.
PARAMETER_NAME = r"[A-Za-z0-9\-.!%*_+`'~\[\]/:&$()]++"
# More than token / host: tags with "@", branches that end in "=", raw UTF-8 are all seen in the field.
# What could end the parameter, the header value or the URI is not in it.
_VALUE = r'[^\x00-\x20;,"<>?\x7f]++'

_token = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]++").fullmatch
_quoted = re.compile(_QUOTED, re.DOTALL)
_quotedPair = re.compile(r"\\(.)", re.DOTALL)
_mustQuote = re.compile(r'["\\\x00-\x08\x0b-\x1f\x7f]')
_listElement = re.compile(rf'(?:[^",<]++|{_QUOTED}|<[^>]*+>)*+', re.DOTALL)
#: Parameters without white space and quoted strings, as part of a larger pattern; see L{plainParameters}.
PLAIN_PARAMETERS = rf"((?:;{PARAMETER_NAME}(?:={_VALUE})?+)*+)"
_plainParameters = re.compile(PLAIN_PARAMETERS).fullmatch
_parameter = re.compile(
    rf"[ \t]*+;[ \t]*+({PARAMETER_NAME})[ \t]*+(?:=[ \t]*+({_VALUE}|{_QUOTED})[ \t]*+)?+", re.DOTALL
)
_parameterName = re.compile(PARAMETER_NAME).fullmatch
_parameterValue = re.compile(rf"{_VALUE}|{_QUOTED}", re.DOTALL).fullmatch

#: What the user part of a SIP URI holds unescaped: unreserved and user-unreserved.
USER_SAFE = "-_.!~*'()&=+$,;?/"


def isToken(text: str) -> bool:
    """Is C{text} a token (RFC 3261 section 25.1)?"""
    return _token(text) is not None


def checkLine(text: str) -> str:
    """
    C{text} unchanged, if it can stand in one header line.

    @raise ValueError: it holds CR or LF, or something that has no octets.
    """
    if "\r" in text or "\n" in text:
        raise ValueError(f"a line break in {text!r}")
    if not text.isascii():
        text.encode("utf-8", "surrogateescape")
    return text


def quote(text: str) -> str:
    """C{text} as a quoted string.  @raise ValueError: CR and LF cannot be quoted."""
    return '"' + _mustQuote.sub(r"\\\g<0>", checkLine(text)) + '"'


def unquote(text: str) -> str:
    """The text that a quoted string stands for; anything else unchanged."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    inner = text[1:-1]
    return _quotedPair.sub(r"\1", inner) if "\\" in inner else inner


def quotedEnd(text: str, start: int = 0) -> int:
    """
    The index after the quoted string that begins at C{start}.

    @raise MalformedMessage: it does not end.
    """
    match = _quoted.match(text, start)
    if match is None:
        raise MalformedMessage("a quoted string does not end")
    return match.end()


def unescape(text: str) -> str:
    """C{text} with each C{%xx} decoded: to compare and to show, never to send (RFC 3261 section 19.1.2)."""
    return _percentDecode(text, "utf-8", "surrogateescape") if "%" in text else text


def escape(text: str, safe: str = USER_SAFE) -> str:
    """C{text} with all but letters, digits and C{safe} as C{%xx}; by default what a user part needs."""
    if text.isalnum() and text.isascii():
        return text  # a number, nearly always
    return _percentEncode(text, safe, "utf-8", "surrogateescape")


def splitCommas(text: str) -> tuple[str, ...]:
    """
    The elements of a comma-separated list, stripped.  Commas in quoted strings and in C{<>} do
    not count.  Nothing at all gives no element; an element may be empty.

    @raise MalformedMessage: a quoted string or a C{<} does not end.
    """
    if "," not in text:
        text = text.strip(LWS)
        return (text,) if text else ()
    if '"' not in text and "<" not in text:
        return tuple([element.strip(LWS) for element in text.split(",")])
    elements = []
    position, length = 0, len(text)
    while True:
        match = _listElement.match(text, position)
        assert match is not None  # it matches the empty string
        end = match.end()
        if end < length and text[end] != ",":
            raise MalformedMessage("a quoted string or < does not end in a list")
        elements.append(text[position:end].strip(LWS))
        if end >= length:
            return tuple(elements)
        position = end + 1


class Parameters:
    """
    The C{;name=value} parameters of a header value or URI, in order, as written.  Names
    compare case-insensitively.  A quoted value keeps its quotes (L{unquote} removes them).
    """

    # Many are only written again, so text that was matched is cut into pairs when they are asked for.
    __slots__ = ("_cut", "_text")
    _cut: tuple[tuple[str, str | None], ...] | None
    _text: str

    def __init__(self, pairs: Iterable[tuple[str, str | None]] = ()) -> None:
        """@raise ValueError: a name or value that would not be read back as such."""
        self._cut = tuple([(name, value) for name, value in pairs])
        for name, value in self._cut:
            _checkParameter(name, value)
        self._text = _join(self._cut)

    @property
    def _pairs(self) -> tuple[tuple[str, str | None], ...]:
        pairs = self._cut
        if pairs is None:
            cut = []
            for piece in self._text[1:].split(";"):
                name, equals, value = piece.partition("=")
                cut.append((name, value if equals else None))
            pairs = self._cut = tuple(cut)
        return pairs

    def get(self, name: str) -> str | None:
        """The first value as written; C{None} without such a parameter, and for one without a value."""
        text = self._text
        if not text:
            return None
        folded = name.lower()
        if self._cut is None and text.isascii():
            # Tag and branch are asked for in every message: found in the text, it need not be cut.
            wanted = f";{folded}="
            at = 0 if text.startswith(wanted) else text.lower().find(wanted[:-1])
            if at < 0:
                return None
            start = at + len(wanted)
            if text[start - 1:start] == "=":
                end = text.find(";", start)
                return text[start:] if end < 0 else text[start:end]
        for known, value in self._pairs:
            if known == folded or known.lower() == folded:
                return value
        return None

    def __contains__(self, name: str) -> bool:
        name = name.lower()
        if name not in self._text.lower():
            return False
        return any(known.lower() == name for known, _ in self._pairs)

    def with_(self, name: str, value: str | None = None) -> Parameters:
        """The same with C{name} set to C{value}, in its place or last.  @raise ValueError: as L{__init__}."""
        _checkParameter(name, value)
        folded = name.lower()
        if folded not in self._text.lower():
            made = Parameters.__new__(Parameters)
            made._text = f"{self._text};{name}" if value is None else f"{self._text};{name}={value}"
            made._cut = (*self._pairs, (name, value))
            return made
        pairs = []
        found = False
        for known, old in self._pairs:
            if known.lower() != folded:
                pairs.append((known, old))
            elif not found:
                pairs.append((known, value))
                found = True
        return _parameters(tuple(pairs if found else [*pairs, (name, value)]))

    def without(self, name: str) -> Parameters:
        """The same without C{name}."""
        folded = name.lower()
        return _parameters(tuple([pair for pair in self._pairs if pair[0].lower() != folded]))

    def __iter__(self) -> Iterator[tuple[str, str | None]]:
        return iter(self._pairs)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __len__(self) -> int:
        return len(self._pairs)

    def __eq__(self, other: object) -> bool:
        return self._text == other._text if isinstance(other, Parameters) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._text)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"<Parameters {self._text!r}>"


def _checkParameter(name: str, value: str | None) -> None:
    """@raise ValueError: as the constructor of L{Parameters}."""
    if not _parameterName(name):
        raise ValueError(f"no parameter name: {name!r}")
    if value is not None:
        if not _parameterValue(value):
            raise ValueError(f"no parameter value: {value!r}")
        checkLine(value)


def _join(pairs: tuple[tuple[str, str | None], ...]) -> str:
    return "".join([f";{name}" if value is None else f";{name}={value}" for name, value in pairs])


def _parameters(pairs: tuple[tuple[str, str | None], ...]) -> Parameters:
    """L{Parameters} of pairs that are known to be good."""
    made = Parameters.__new__(Parameters)
    made._cut = pairs
    made._text = _join(pairs)
    return made


NO_PARAMETERS = Parameters()


def plainParameters(text: str) -> Parameters:
    """The parameters of C{text}, not empty, that was matched by L{PLAIN_PARAMETERS}."""
    made = Parameters.__new__(Parameters)
    made._cut = None
    made._text = text
    return made


def parseParameters(text: str) -> Parameters:
    """
    Read C{;a=b;c}, the rest of a header value or URI; nothing at all gives none.

    @raise MalformedMessage: an empty parameter or value, a quoted string that does not end.
    """
    if not text:
        return NO_PARAMETERS
    if _plainParameters(text):
        return plainParameters(text)
    pairs: list[tuple[str, str | None]] = []
    position = 0
    while position < len(text):
        match = _parameter.match(text, position)
        if match is None:
            raise MalformedMessage("a parameter that breaks its grammar")
        pairs.append((match[1], match[2]))
        position = match.end()
    return _parameters(tuple(pairs))


__all__ = [
    "LWS",
    "NO_PARAMETERS",
    "PARAMETER_NAME",
    "PLAIN_PARAMETERS",
    "Parameters",
    "USER_SAFE",
    "checkLine",
    "escape",
    "isToken",
    "parseParameters",
    "plainParameters",
    "quote",
    "quotedEnd",
    "splitCommas",
    "unescape",
    "unquote",
]
