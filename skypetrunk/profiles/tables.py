"""
TOML tables, read strictly: every mistake is found, all of them at once.

A L{Table} hands out typed values and notes what is wrong with the others; the
caller goes on with a placeholder and asks at the end whether there were L{Problems}.
"""

from __future__ import annotations

import errno
import os
import re
import tomllib
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from skypetrunk.errors import ConfigurationError

LARGEST = 64 << 20
"""Octets of a file; the longest lists of revoked certificates have some tens of MiB."""

_KINDS = {str: "a text", bool: "true or false", int: "a whole number", float: "a fraction", dict: "a table"}


def _kind(value: object) -> str:
    """What C{value} is, in words; never the value itself, which may be a secret."""
    if isinstance(value, list):
        return "a list of tables" if value and all(isinstance(item, dict) for item in value) else "a list"
    return _KINDS.get(type(value), "a date or time")


#: What the parser calls a text without quotes, or without the last one.
_quotes = re.compile(r"Invalid value|Illegal character '\\n'").match


_ELSEWHERE = {
    **dict.fromkeys(("proxy", "outbound_proxy", "server", "host", "port"), "targets"),
    **dict.fromkeys(("registrar", "realm"), "domain"),
    **dict.fromkeys(("user", "account"), "username"),
    "secret": "password_file",
    "bind": "listen",
}
"""What other programs call a key."""


def didYouMean(word: str, known: Sequence[str]) -> str:
    """C{did you mean "..."} for the nearest of C{known}, or the list of them."""
    other = _ELSEWHERE.get(word)
    near = [other] if other in known else get_close_matches(word, known, 1, 0.5)
    if near:
        return f'did you mean "{near[0]}"?'
    return " or ".join(known) or "nothing here"


def problem(key: str, wrong: str, right: str) -> str:
    """
    The line that says one problem.

    @param key: dotted, or empty for the whole file.
    @param right: what would be right, or what L{didYouMean} says.
    """
    if not right.startswith("did you mean"):
        right = f"would be right: {right}"
    return ": ".join(filter(None, (key, f"{wrong}; {right}")))


class Problems:
    """
    What is wrong with one file, one line each.

    @ivar file: the name shown in each line.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[str] = []
        self.warnings: list[str] = []

    def add(self, key: str, wrong: str, right: str) -> None:
        """Note a L{problem}."""
        self.problems.append(f"{self.file}: {problem(key, wrong, right)}")

    def warn(self, key: str, text: str) -> None:
        """Note something that works but should be known."""
        self.warnings.append(": ".join(filter(None, (self.file, key, text))))

    def raiseAny(self) -> None:
        """
        @raise ConfigurationError: with all problems, if there are any.
        """
        if self.problems:
            raise ConfigurationError(tuple(self.problems))


class Table:
    """
    One table of a TOML file.

    @ivar where: its dotted name, for messages; empty for the top.
    """

    def __init__(self, problems: Problems, where: str, data: dict[str, Any]) -> None:
        self.problems = problems
        self.where = where
        self._data = data
        self._known: list[str] = []
        self._children: list[tuple[str, Table]] = []

    def __contains__(self, name: str) -> bool:
        return name in self._data

    @property
    def empty(self) -> bool:
        """Has it no key at all, or is it missing?"""
        return not self._data

    def key(self, name: str) -> str:
        """The dotted name of one of this table's keys."""
        return f"{self.where}.{name}" if self.where else name

    def wrong(self, name: str, wrong: str, right: str) -> None:
        """Note a problem of the key C{name}."""
        self.problems.add(self.key(name), wrong, right)

    def _take(self, name: str, kind: type, right: str, required: bool) -> Any:
        if name not in self._known:
            self._known.append(name)
        if name not in self._data:
            if required:
                self.wrong(name, "is missing", right)
            return None
        value = self._data[name]
        # bool is an int for Python, not for TOML.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self.wrong(name, f"is {_kind(value)}", right)
            return None
        return value

    def text(self, name: str, right: str, *, required: bool = False) -> str | None:
        """
        A text that is not empty and holds no control characters.

        @param right: what would be right, as it stands in the file: C{name = "office"}.
        @return: C{None} when it is missing or wrong.
        """
        value: str | None = self._take(name, str, right, required)
        if value is None:
            return None
        if not value.strip() or not value.isprintable():
            wrong = "holds control characters" if value.strip() else "is empty"
            self.wrong(name, wrong, right)
            return None
        return value

    def integer(self, name: str, low: int, high: int, default: int) -> int:
        """A whole number from C{low} to C{high}."""
        value = self._take(name, int, f"a whole number from {low} to {high}", False)
        if value is None:
            return default
        if not low <= value <= high:
            self.wrong(name, f"is {value}", f"{low} to {high}")
            return default
        return int(value)

    def boolean(self, name: str, default: bool) -> bool:
        """A truth value."""
        value = self._take(name, bool, "true or false", False)
        return default if value is None else bool(value)

    def choice(self, name: str, values: Sequence[str], default: str) -> str:
        """One of a few words."""
        value = self.text(name, " or ".join(f'"{value}"' for value in values))
        if value is None:
            return default
        if value not in values:
            self.wrong(name, f'is "{value}"', didYouMean(value, values))
            return default
        return value

    def texts(self, name: str, right: str, *, required: bool = False) -> tuple[str, ...] | None:
        """
        A list of texts, each of which is not empty.

        @return: C{None} when it is missing or wrong.
        """
        value = self._take(name, list, right, required)
        if value is None:
            return None
        for item in value:
            if not isinstance(item, str):
                self.wrong(name, f"holds {_kind(item)}", right)
                return None
            if not item.strip() or not item.isprintable():
                self.wrong(name, "holds an empty or unprintable text", right)
                return None
        if required and not value:
            self.wrong(name, "is empty", right)
            return None
        return tuple(value)

    def integers(self, name: str, right: str) -> tuple[int, ...] | None:
        """
        A list of whole numbers.

        @return: C{None} when it is missing or wrong.
        """
        value = self._take(name, list, right, False)
        for item in value or ():
            if not isinstance(item, int) or isinstance(item, bool):
                self.wrong(name, f"holds {_kind(item)}", right)
                return None
        return None if value is None else tuple(value)

    def textOrTexts(self, name: str, right: str, *, required: bool = False) -> tuple[str, ...] | None:
        """A text, or a list of some, as L{text} and L{texts}."""
        if isinstance(self._data.get(name), list):
            return self.texts(name, right, required=required)
        value = self.text(name, right, required=required)
        return None if value is None else (value,)

    def table(self, name: str) -> Table:
        """A table inside this one; an empty one when it is missing."""
        data = self._take(name, dict, f"[{self.key(name)}]", False)
        child = Table(self.problems, self.key(name), data or {})
        self._children.append((name, child))
        return child

    def freeTable(self, name: str) -> dict[str, Any]:
        """A table whose keys somebody else knows; an empty one when it is missing."""
        return self._take(name, dict, f"[{self.key(name)}]", False) or {}

    def tables(self, name: str, *, required: bool = False) -> list[Table]:
        """
        The tables of an array C{[[name]]}, each known by its own C{name} where that is unique,
        else by its place, from 1.
        """
        right = f"[[{name}]], with two brackets on each side"
        data = self._take(name, list, right, required)
        if required and data == []:
            self.wrong(name, "is empty", right)
        found: list[Table] = []
        seen: set[str] = set()
        for place, item in enumerate(data or (), 1):
            if not isinstance(item, dict):
                self.wrong(name, f"holds {_kind(item)}", f"[[{name}]]")
                continue
            label = item.get("name")
            if isinstance(label, str) and label.isprintable() and label.strip() and label not in seen:
                seen.add(label)
                where = f"{name}.{label}"
            else:
                where = f"{name}[{place}]"
            found.append(Table(self.problems, where, item))
        return found

    def passOver(self, name: str) -> None:
        """The key C{name} is known, and does not count: what is wrong with it was said, or need not be."""
        self._known.append(name)

    def finish(self) -> None:
        """Note every key nobody asked for, here and in the tables inside."""
        known = [*self._known, *(f"{name}.{key}" for name, child in self._children for key in child._known)]
        for name in self._data:
            if name not in self._known:
                inside = [key for key in known if key.endswith(f".{name}")]
                right = f'did you mean "{inside[0]}"?' if inside else didYouMean(name, self._known)
                self.wrong(name, "is not known", right)
        for _, child in self._children:
            child.finish()


def readFile(path: Path) -> bytes:
    """
    What the file C{path} holds.

    @raise OSError: it cannot be read, or is no file but a device that never ends (C{EFBIG}).
    """
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return content


def readTOML(path: Path, shown: str, advice: str = "") -> dict[str, Any]:
    """
    The content of the TOML file C{path}, called C{shown} in errors.

    @param advice: what is said besides, where there is no such file.
    @raise ConfigurationError: it cannot be read, or is not TOML.
    """
    try:
        # Windows' editors put a byte order mark before it.
        return tomllib.loads(readFile(path).decode("utf-8-sig"))
    except OSError as error:
        more = advice if isinstance(error, FileNotFoundError) else ""
        raise ConfigurationError((f"{shown}: cannot be read: {error.strerror}{more}",)) from None
    except UnicodeDecodeError:
        raise ConfigurationError((f"{shown}: is not UTF-8 text",)) from None
    except tomllib.TOMLDecodeError as error:
        more = "; text stands in quotes" if _quotes(str(error)) else ""
        raise ConfigurationError((f"{shown}: is not TOML: {error}{more}",)) from None
