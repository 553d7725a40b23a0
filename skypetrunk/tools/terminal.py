"""
What a command shows while it works: one line for each step, on a terminal with a ticking status.

Elsewhere (a file, a pipe) there are only whole lines, without colours.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Mapping
from typing import TextIO

from skypetrunk.printable import printableLines

__all__ = ["Style", "Terminal"]

_WIDEST = 100
"""Columns that are used, however wide a terminal is."""

_CLEAR = "\r\x1b[K"

_painting = re.compile(r"(\x1b\[(?:[0-2]|3[1-3])m)").split
"""At what L{Style} writes: every second piece is one of its sequences."""


class Style:
    """
    Colours and signs, as far as the reader has them.

    @ivar coloured: whether there are any escape sequences.
    @ivar good: the sign of what went well.
    @ivar bad: the sign of what did not.
    @ivar doubtful: the sign of what is in between.
    """

    def __init__(self, colour: bool = False, unicode: bool = False) -> None:
        """
        @param colour: whether the escape sequences of ECMA-48 are understood.
        @param unicode: whether more than ASCII can be written.
        """
        self.coloured = colour
        self.unicode = unicode
        self.good = self.green("✓" if unicode else "+")
        self.bad = self.red("✗" if unicode else "!")
        self.doubtful = self.yellow("▲" if unicode else "~")
        self.line, self.right, self.left, self.bar = "─▶◀│" if unicode else "-><|"
        self.arrow, self.back, self.both = ("→", "←", "↔") if unicode else (">", "<", "=")

    def _painted(self, text: str, code: int) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.coloured and text else text

    def bold(self, text: str) -> str:
        """A heading."""
        return self._painted(text, 1)

    def dim(self, text: str) -> str:
        """What only some readers want."""
        return self._painted(text, 2)

    def green(self, text: str) -> str:
        """What went well."""
        return self._painted(text, 32)

    def yellow(self, text: str) -> str:
        """What went well, and may not for long."""
        return self._painted(text, 33)

    def red(self, text: str) -> str:
        """What did not."""
        return self._painted(text, 31)


class Terminal:
    """
    One output stream.

    @ivar style: for what is written to it.
    """

    def __init__(
        self, stream: TextIO, environ: Mapping[str, str], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """
        @param environ: C{TERM} and C{NO_COLOR} are looked at.
        @param monotonic: seconds, to show how long a step has taken.
        """
        self._stream = stream
        self._live = stream.isatty() and environ.get("TERM", "dumb") != "dumb"
        self._monotonic = monotonic
        self._status: str | None = None
        self._shown = ""
        self._began = 0.0
        unicode = (getattr(stream, "encoding", None) or "").lower().replace("-", "") == "utf8"
        self.style = Style(self._live and not environ.get("NO_COLOR"), unicode)

    def begin(self, status: str) -> None:
        """A step begins."""
        self._status = status
        self._began = self._monotonic()
        self.tick()

    def tick(self) -> None:
        """The step goes on; call it as often as you like."""
        if self._live and self._status is not None:
            seconds = self._monotonic() - self._began
            text = f"  {self._status} ... {f'{seconds:.0f} s' if seconds >= 1 else ''}"
            # A line that wraps could not be taken back
            columns = min(_WIDEST, shutil.get_terminal_size().columns) - 1
            if text != self._shown:
                self._shown = text
                self._write(_CLEAR + self.style.dim(text[:columns]))

    def done(self, text: str) -> None:
        """The step went well."""
        self.write(f"{self.style.good} {text}")

    def failed(self, text: str) -> None:
        """It did not."""
        self.write(f"{self.style.bad} {text}")

    def write(self, line: str = "") -> None:
        """A line, or lines, that stay.  What a peer has put into them is obeyed by no terminal."""
        self.clear()
        pieces = _painting(line) if self.style.coloured else [line]
        pieces[::2] = map(printableLines, pieces[::2])
        self._write("".join(pieces) + "\n")

    def clear(self) -> None:
        """Nothing is under way."""
        if self._live and self._status is not None:
            self._write(_CLEAR)
        self._status = None
        self._shown = ""

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
