"""
Text of a peer made harmless.  It is quoted in errors, logs and tables, and a terminal that shows it would
obey what stands in it: colours, titles, a cursor that overwrites what is true, letters that run backwards.
"""

from __future__ import annotations

import re

_lineEnds = re.compile(r"(\r?\n|\t)").split
"""Every second piece is one of those."""


def printable(text: str) -> str:
    """
    C{text} in one line: what cannot be printed is written as in Python, C{\\x1b}, and so is an octet that was
    no UTF-8.  All that can be written in UTF-8 then.
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def printableLines(text: str) -> str:
    """The same of text in lines: their ends, and tabs, stay."""
    if text.removesuffix("\n").isprintable():
        return text  # at once: most lines of a log
    pieces = _lineEnds(text)
    pieces[::2] = map(printable, pieces[::2])
    return "".join(pieces)


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    # As surrogateescape has them.
    octet = ord(character) - 0xDC00
    return f"\\x{octet:02x}" if 0x80 <= octet <= 0xFF else ascii(character)[1:-1]


__all__ = ["printable", "printableLines"]
