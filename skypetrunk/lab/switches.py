"""
What is done with the switches of the lab: read, listed, and taken over into settings.
"""

from __future__ import annotations

import textwrap
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from skypetrunk.lab.settings import LabSettings
from skypetrunk.lab.table import CUT, DEFAULTS, SWITCHES, Switch
from skypetrunk.profiles.tables import readFile

__all__ = [
    "CUT",
    "DEFAULTS",
    "SWITCHES",
    "Switch",
    "changed",
    "listed",
    "parsed",
    "readSwitches",
    "shown",
    "split",
]

_BY_NAME = {switch.name: switch for switch in SWITCHES}


def split(words: Iterable[str]) -> dict[str, str]:
    """
    Name and value of each C{NAME=VALUE}.

    @raise ValueError: one of C{words} is none.
    """
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if word.startswith("-"):
            raise ValueError(f"{word}: options stand before the switches")
        if not equals:
            raise ValueError(f"{word!r}: wanted NAME=VALUE")
        found[name.strip()] = value.strip()
    return found


def parsed(changes: Mapping[str, str]) -> dict[str, object]:
    """
    The values of switches, by path.

    @raise ValueError: with a line for each mistake.
    """
    values: dict[str, object] = {}
    problems = []
    for name, text in changes.items():
        switch = _BY_NAME.get(name)
        if switch is None:
            problems.append(f"{name}: there is no such switch; there are {', '.join(_BY_NAME)}")
            continue
        try:
            values[switch.path] = switch.kind.parse(text)
        except ValueError:
            problems.append(f"{name}: {text!r} is not {switch.kind.wanted}")
    if problems:
        raise ValueError("\n".join(problems))
    return values


def changed(settings: LabSettings, values: Mapping[str, object]) -> LabSettings:
    """C{settings} with these values, by path."""
    for path, value in values.items():
        settings = _replaced(settings, path, value)
    return settings


def _replaced(value: Any, path: str, new: object) -> Any:
    name, dot, rest = path.partition(".")
    return replace(value, **{name: _replaced(getattr(value, name), rest, new) if dot else new})


def shown(settings: LabSettings) -> list[dict[str, str]]:
    """Name, value, default and words of each switch."""
    return [
        {"name": each.name, "value": each.shown(settings), "default": each.default, "words": each.explained}
        for each in SWITCHES
    ]


def readSwitches(path: Path) -> dict[str, str]:
    """
    The switches of a TOML file: C{name = value}; numbers, booleans and arrays may be written as such.

    @raise OSError: it cannot be read.
    @raise ValueError: it is no TOML, or has something else in it.
    """
    return {name: _text(name, value) for name, value in tomllib.loads(readFile(path).decode("utf-8")).items()}


def _text(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list):
        return ",".join(_text(name, each) for each in value) or "none"
    raise ValueError(f"{name}: a table is no value of a switch")


def listed(switches: Iterable[Mapping[str, str]], explained: bool = True) -> list[str]:
    """
    What L{shown} says as lines for people: what is not as it is by default has a star.

    @param explained: with the words.
    """
    lines = []
    for each in switches:
        star = " " if each["value"] == each["default"] else "*"
        lines.append(f"{star} {each['name']} = {each['value']}")
        if not explained:
            continue
        lines += textwrap.wrap(each["words"], 100, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return lines
