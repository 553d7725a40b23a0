"""Reading of C{tests/vectors}, and the comparison with the exceptions listed there."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

VECTORS = Path(__file__).parent.parent / "vectors"


def readLines(name: str) -> list[dict[str, Any]]:
    """The objects of a JSON-lines file, such as C{"sdes/crypto_lines.jsonl"}."""
    with open(VECTORS / name, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def readJSON(name: str) -> Any:
    """A JSON file."""
    with open(VECTORS / name, encoding="utf-8") as file:
        return json.load(file)


def checkAgainst(
    case: SynchronousTestCase, exceptions: dict[str, str], results: Iterable[tuple[str, str | None]]
) -> None:
    """
    Fail unless just the entries in C{exceptions} have a problem.

    @param exceptions: id to reason.
    @param results: id, and what is wrong with it or C{None}.
    """
    found = dict(results)
    case.assertTrue(found)
    failed = {name: problem for name, problem in found.items() if problem is not None}
    case.assertEqual({n: p for n, p in failed.items() if n not in exceptions}, {}, "these fail")
    case.assertEqual(sorted(n for n in exceptions if n not in failed), [], "these are listed, and pass")
