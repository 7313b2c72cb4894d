"""Charts of a distribution: bars side by side where cells have an order, rows of bars where they have not.

A chart is a few SVG paths in a box that stretches to whatever width there is; all its words are HTML around it,
so that they keep their size, can be copied, and are escaped like any others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spark_dp.pages.axis import Tick, cell_ticks, joined, round_ticks

MOST_BARS = 48
"""Bars side by side; of more cells, neighbouring ones are taken together."""

MOST_ROWS = 24
"""Cells without an order that are drawn: the largest ones."""

MOST_LISTED = 200
"""Cells in the table behind a chart."""

Write = Callable[[float], str]
Kind = Literal["back", "bar", "mark"]
_SPAN: dict[Kind, tuple[float, float]] = {"back": (0.04, 0.96), "bar": (0.2, 0.8), "mark": (0.1, 0.9)}
"""From where to where in its cell a bar, or a mark, is drawn."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """One number a cell.

    Attributes:
        name: for the legend.
        kind: a wide pale bar, a bar, or a mark across both.
        values: float64 (cells,).
        half: half the width of the interval around each value; 0 for none.
    """

    name: str
    kind: Kind
    values: NDArray[np.float64]
    half: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One path of a drawing, and the class that gives it its colour."""

    kind: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """Bars side by side, from bottom to top.

    Attributes:
        cells: how many; the drawing is as wide, and 100 high.
        shapes: to be drawn in this order.
        x: ticks along the cells.
        y: ticks from top to bottom.
        taken_together: neighbouring cells in a bar; 1 where each has its own.
    """

    cells: int
    shapes: tuple[Shape, ...]
    x: tuple[Tick, ...]
    y: tuple[Tick, ...]
    taken_together: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Bars one below the other, from left to right.

    Attributes:
        labels: one a row, as they are.
        numbers: of the last series, written out, one a row.
        shapes: to be drawn in this order, in a box 100 wide and as high as there are rows.
        left_out: cells that are not drawn.
    """

    labels: tuple[str, ...]
    numbers: tuple[str, ...]
    shapes: tuple[Shape, ...]
    left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A distribution, drawn, and as a table.

    Attributes:
        legend: kind and name of each series.
        bars: of the cells that have an order, if any.
        rows: of all others, if any.
        listed: label and numbers of a cell, the first `MOST_LISTED` ones in their order.
        not_listed: how many more there are.
    """

    legend: tuple[tuple[Kind, str], ...]
    bars: Bars | None
    rows: Rows | None
    listed: tuple[tuple[str, tuple[str, ...]], ...]
    not_listed: int


def chart_of(
    labels: Sequence[str], series: Sequence[Series], *, in_order: int, write: Write, write_tick: Write
) -> Chart:
    """Draws a distribution.

    Args:
        labels: one a cell, as they are.
        series: drawn one over the other.
        in_order: how many of the cells, the first ones, lie on a scale.
        write: writes a value.
        write_tick: writes a round one.
    """
    low = min(0.0, *(float((s.values - s.half).min(initial=0.0)) for s in series))
    high = max(*(float((s.values + s.half).max(initial=0.0)) for s in series), low + 1e-12)
    return Chart(
        legend=tuple((s.kind, s.name) for s in series),
        bars=_bars(labels[:in_order], _part(series, slice(in_order)), write_tick) if in_order else None,
        rows=_rows(labels[in_order:], _part(series, slice(in_order, None)), low, high, write)
        if in_order < len(labels)
        else None,
        listed=tuple(
            (labels[i], tuple(write(float(s.values[i])) for s in series))
            for i in range(min(len(labels), MOST_LISTED))
        ),
        not_listed=max(0, len(labels) - MOST_LISTED),
    )


def _bars(labels: Sequence[str], series: Sequence[Series], write_tick: Write) -> Bars:
    group = -(-len(labels) // MOST_BARS)
    starts = list(range(0, len(labels), group))
    last = [min(start + group, len(labels)) - 1 for start in starts]
    together = [
        Series(
            name=s.name,
            kind=s.kind,
            values=np.add.reduceat(s.values, starts),
            half=s.half * group**0.5,  # independent noise in each cell
        )
        for s in series
    ]
    low = min(0.0, *(float((s.values - s.half).min()) for s in together))
    high = max(*(float((s.values + s.half).max()) for s in together), low + 1e-12)
    shapes = []
    for s in together:
        shapes += _shapes(s, lambda v: 100 * (high - v) / (high - low), upright=True)
    return Bars(
        cells=len(starts),
        shapes=tuple(shapes),
        x=tuple(cell_ticks([joined(labels[a], labels[b]) for a, b in zip(starts, last, strict=True)])),
        y=tuple(Tick(at=100 * (high - t) / (high - low), text=write_tick(t)) for t in round_ticks(low, high)),
        taken_together=group,
    )


def _rows(labels: Sequence[str], series: Sequence[Series], low: float, high: float, write: Write) -> Rows:
    largest_first = np.argsort(-series[0].values, kind="stable")
    order = largest_first[:MOST_ROWS] if len(labels) > MOST_ROWS else np.arange(len(labels))
    zero = 100 * (0.0 - low) / (high - low)
    shapes = [Shape(kind="grid", path=f"M{_short(zero)} 0V{len(order)}")]
    for s in _part(series, order):
        shapes += _shapes(s, lambda v: 100 * (v - low) / (high - low), upright=False)
    return Rows(
        labels=tuple(labels[i] for i in order.tolist()),
        numbers=tuple(write(float(series[-1].values[i])) for i in order.tolist()),
        shapes=tuple(shapes),
        left_out=len(labels) - len(order),
    )


def _shapes(series: Series, place: Callable[[float], float], *, upright: bool) -> list[Shape]:
    """Draws a series as one path, and its intervals as another."""
    start, end = _SPAN[series.kind]
    drawn, whiskers = [], []
    for i, v in enumerate(series.values.tolist()):
        if series.kind == "mark":
            drawn.append(_line((i + start, place(v)), (i + end, place(v)), upright))
        elif v:
            drawn.append(_box((i + start, place(0.0)), (i + end, place(v)), upright))
        if series.half:
            ends = place(v - series.half), place(v + series.half)
            whiskers.append(_line((i + 0.5, ends[0]), (i + 0.5, ends[1]), upright))
    shapes = [Shape(kind=series.kind, path="".join(drawn))]
    return [*shapes, Shape(kind="whisker", path="".join(whiskers))] if whiskers else shapes


def _line(a: tuple[float, float], b: tuple[float, float], upright: bool) -> str:
    return f"M{_point(a, upright)}L{_point(b, upright)}"


def _box(a: tuple[float, float], b: tuple[float, float], upright: bool) -> str:
    corners = (a, (a[0], b[1]), b, (b[0], a[1]))
    return "M" + "L".join(_point(corner, upright) for corner in corners) + "z"


def _point(along_and_up: tuple[float, float], upright: bool) -> str:
    x, y = along_and_up if upright else along_and_up[::-1]
    return f"{_short(x)} {_short(y)}"


def _short(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")


def _part(series: Sequence[Series], which: slice | NDArray[np.int64]) -> list[Series]:
    return [Series(name=s.name, kind=s.kind, values=s.values[which], half=s.half) for s in series]
