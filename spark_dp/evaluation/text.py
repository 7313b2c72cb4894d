"""An evaluation as tables to read in a terminal, the worst first. Names and labels in it are the table's own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from spark_dp.evaluation.results import (
    RATES,
    STATISTICS,
    WARNING,
    CellComparison,
    ColumnComparison,
    Distances,
    Evaluation,
    OfTables,
)
from spark_dp.evaluation.terminal import fitted, shorten, shown, width_of

WIDTH = 110
MOST_PAIRS, MOST_TRIPLES, MOST_COLUMNS = 10, 5, 40
RATE_STEP = 0.0005
"""Rates that differ by less are told as equal."""

_DEGREES = {1: "columns", 2: "pairs", 3: "triples"}
_COMPARISONS = {
    "raw_to_bounded": "raw → bounded: what bounding changed",
    "bounded_to_synthetic": "bounded → synthetic: what noise and model changed",
    "raw_to_synthetic": "raw → synthetic: what a reader of the output sees",
}
_THREE = ("bounding", "model", "both")


def evaluation_text(evaluation: Evaluation) -> str:
    """Returns the evaluation as lines of at most 110 columns; hostile characters in names and labels are escaped."""
    parts = [
        _head(evaluation),
        _means(evaluation),
        _cliques(evaluation, 2, MOST_PAIRS),
        _cliques(evaluation, 3, MOST_TRIPLES),
        _columns(evaluation),
        _rates(evaluation.columns),
        _numbers(evaluation.columns),
        _cells(evaluation.worst_cells),
    ]
    tables = ("\n".join(line.rstrip() for line in part) for part in parts)
    return "\n\n".join(table for table in tables if table)


def _head(evaluation: Evaluation) -> Iterator[str]:
    rows = evaluation.rows
    unit = shorten(shown(evaluation.unit), 40)
    most = "once" if unit == "row" else f"as at most {evaluation.max_rows:,} rows"
    yield WARNING
    yield ""
    yield f"Rows       raw {rows.raw:,.0f} · bounded {rows.bounded:,.0f} · synthetic {rows.synthetic:,.0f}"
    yield f"Bounded    each {unit} counts {most}"
    compared = (
        f"{found.compared:,} of {found.of:,} {_DEGREES[degree]}"
        for degree, found in evaluation.marginals.items()
    )
    yield f"Compared   {', '.join(compared)}, by total variation: 0 is best, 1 is worst"
    if any(found.compared < found.of for found in evaluation.marginals.values()):
        yield "           (a fixed part where there are more than memory or a pass may hold)"


def _means(evaluation: Evaluation) -> Iterator[str]:
    degrees = [degree for degree in _DEGREES if degree in evaluation.mean]
    if not degrees:
        return
    yield _row("mean total variation", [f"of {_DEGREES[degree]}" for degree in degrees])
    for name, title in _COMPARISONS.items():
        yield _row(title, [f"{getattr(evaluation.mean[degree], name):.4f}" for degree in degrees])


def _cliques(evaluation: Evaluation, degree: int, most: int) -> Iterator[str]:
    cliques = evaluation.of_degree(degree)
    if not cliques:
        return
    yield _row(f"{_DEGREES[degree]}, the worst of bounded → synthetic first", _THREE)
    for clique in cliques[:most]:
        yield _row(_joined(clique.columns), _three(clique.distances))


def _columns(evaluation: Evaluation) -> Iterator[str]:
    cliques = evaluation.of_degree(1)
    if not cliques:
        return
    yield _row("columns, worst first", _THREE)
    for clique in cliques[:MOST_COLUMNS]:
        yield _row(clique.columns[0], _three(clique.distances))
    if len(cliques) > MOST_COLUMNS:
        yield f"and {len(cliques) - MOST_COLUMNS:,} more, which are closer"


def _rates(columns: Sequence[ColumnComparison]) -> Iterator[str]:
    found = [
        (_difference(rate), f"{column.name}: {name}", rate)
        for column in columns
        for name in RATES
        if (rate := column.rates.get(name)) is not None
    ]
    if not found:
        return
    differ = sorted((f for f in found if f[0] >= RATE_STEP), key=lambda f: -f[0])
    if not differ:
        yield f"rates of null, other and NaN: all of {len(found):,} equal to {RATE_STEP:.2%}"
        return
    yield _row("rates of null, other and NaN that differ", ("raw", "bounded", "synthetic"))
    for _, name, rate in differ[:MOST_COLUMNS]:
        yield _row(name, [f"{share:.2%}" for share in (rate.raw, rate.bounded, rate.synthetic)])


def _numbers(columns: Sequence[ColumnComparison]) -> Iterator[str]:
    numeric = [column for column in columns if column.numbers]
    if not numeric:
        return
    yield fitted("numbers, within their declared range", 40) + "".join(
        fitted(s, 10, right=True) for s in STATISTICS
    )
    for column in numeric[:MOST_COLUMNS]:
        for table in ("raw", "synthetic"):
            values = [getattr(column.numbers[name], table) if column.numbers else None for name in STATISTICS]
            name = fitted(column.name, 29) if table == "raw" else " " * 29
            yield f"{name} {table:10}" + "".join(fitted(number(v), 10, right=True) for v in values)
    if len(numeric) > MOST_COLUMNS:
        yield f"and {len(numeric) - MOST_COLUMNS:,} columns more"


def _cells(cells: Sequence[CellComparison]) -> Iterator[str]:
    if not cells:
        return
    yield _row("cells, the worst of bounded → synthetic first", ("raw", "bounded", "synthetic"))
    for cell in cells:
        each = (_LABELS - 3 * (len(cell.columns) - 1)) // len(cell.columns)
        named = [
            f"{shorten(shown(column), each // 2)} = {_rest(label, each - 3, column, each // 2)}"
            for column, label in zip(cell.columns, cell.cell, strict=True)
        ]
        shares = (cell.shares.raw, cell.shares.bounded, cell.shares.synthetic)
        yield _filled(" × ".join(named)) + "".join(fitted(f"{share:.2%}", 12, right=True) for share in shares)


_LABELS = WIDTH - 36


def _rest(label: str, width: int, column: str, most: int) -> str:
    """Returns the label, cut to what the column's name left of the width."""
    return shorten(shown(label), max(1, width - width_of(shorten(shown(column), most))))


def _joined(names: Sequence[str]) -> str:
    each = (_LABELS - 3 * (len(names) - 1)) // len(names)
    return " × ".join(shorten(shown(name), each) for name in names)


def _row(title: str, values: Sequence[str]) -> str:
    return fitted(title, _LABELS) + "".join(fitted(value, 12, right=True) for value in values)


def _filled(text: str) -> str:
    return text + " " * (_LABELS - width_of(text))


def _three(distances: Distances) -> list[str]:
    found = (distances.raw_to_bounded, distances.bounded_to_synthetic, distances.raw_to_synthetic)
    return [f"{value:.4f}" for value in found]


def _difference(rate: OfTables) -> float:
    shares = (rate.raw, rate.bounded, rate.synthetic)
    return max(shares) - min(shares)


def number(value: float | None) -> str:
    """Writes a number in at most 10 columns: four digits that count, and – for none."""
    if value is None:
        return "–"
    size = abs(value)
    if size >= 1e7 or 0 < size < 1e-3:
        return f"{value:.2e}"
    digits = max(0, 3 - math.floor(math.log10(size))) if size else 0
    return f"{value:,.{min(digits, 4)}f}"
