"""How figures are shown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """
    One figure.

    @ivar what: what was measured.
    @ivar values: one for each run.
    @ivar unit: of the values.
    @ivar ratio: to what the figure is compared with, C{None} for that itself.
    @ivar note: more about the runs, or why there are no values.
    """

    what: str
    values: tuple[float, ...] = ()
    unit: str = ""
    ratio: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Figure:
    """
    Rows that belong together.

    @ivar title: what the rows are about.
    @ivar command: the figure's name for C{run.py}.
    """

    title: str
    command: str
    rows: tuple[Row, ...]


def ratio(values: Sequence[float], reference: Sequence[float]) -> float | None:
    """
    The median of the ratios of runs that were made one after the other: what else the machine
    did hits both.  C{None} where there is nothing to compare with.
    """
    pairs = [one / other for one, other in zip(values, reference, strict=False) if other]
    return statistics.median(pairs) if pairs else None


def show(figure: Figure, interpreter: str) -> str:
    """The figure as plain text."""
    lines = [figure.title]
    width = max(len(row.what) for row in figure.rows)
    for row in figure.rows:
        cells = [f"  {row.what:{width}}"]
        if row.values:
            middle = _number(statistics.median(row.values))
            span = f"{_number(min(row.values))} to {_number(max(row.values))}"
            cells.append(f"{middle:>7} {row.unit:{max(len(each.unit) for each in figure.rows)}}")
            cells.append(f"{span if len(row.values) > 1 else '':17}")
            cells.append("" if row.ratio is None else f"x {row.ratio:.2f}")
        cells.append(row.note)
        lines.append("  ".join(cells).rstrip())
    lines.append(f"  again: {interpreter} bench/run.py {figure.command}")
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
