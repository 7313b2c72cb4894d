"""Columns in words: the labels of their cells, and what becomes of values that have none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from spark_dp.schema.literals import Tick, label_of

if TYPE_CHECKING:
    from spark_dp.schema.columns import Column

_MOST_NAMED: Final = 8


def show(column: Column, tick: Tick) -> str:
    """Writes a declared value for a reader, timestamps in the column's zone."""
    return label_of(column.type, tick, column.timezone)


def cell_labels(column: Column) -> tuple[str, ...]:
    """Returns a label for each cell: a value, '[low, high)', the literal of other, 'NaN' or 'null'."""
    return labels_at(column, range(column.size))


def labels_at(column: Column, codes: Iterable[int]) -> tuple[str, ...]:
    """Returns the labels of some cells: a column may have more than anyone can be shown."""
    declared = _declared_label(column)
    others = []
    if column.other is not None:
        others.append(show(column, column.other))
    if column.nan_cell is not None:
        others.append("NaN")
    if column.nullable:
        others.append("null")
    first = column.declared
    return tuple(declared(code) if code < first else others[code - first] for code in codes)


def _declared_label(column: Column) -> Callable[[int], str]:
    if column.values is not None:
        values = column.values
        return lambda code: show(column, values[code])
    if column.type.is_floating:
        edges: NDArray[Any] = column.float_bins().edges
    else:
        low, high = column.tick_range
        if column.bins is None:
            return lambda code: show(column, low + code)
        edges = np.append(column.tick_bins().lows, high)
    last = len(edges) - 2

    def label(code: int) -> str:
        start, end = (show(column, edges[i].item()) for i in (code, code + 1))
        return f"[{start}, {end}{']' if code == last else ')'}"

    return label


def words_for(column: Column, codes: Sequence[int]) -> str:
    """Names some cells, bins and values that follow each other as one; of many the first."""
    parts: list[str] = []
    ordered = column.values is None
    for first, last in runs(code for code in codes if ordered and code < column.declared):
        start, end = labels_at(column, [first, last])
        if column.bins is not None:
            start, end = start.partition(", ")[0], end.partition(", ")[2]
            parts.append(f"{start}, {end}")
        else:
            parts.append(start if first == last else f"{start} to {end}")
    parts += labels_at(column, [code for code in codes if not ordered or code >= column.declared])
    more = len(parts) - _MOST_NAMED
    return ", ".join(parts[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def runs(codes: Iterable[int]) -> list[tuple[int, int]]:
    """Returns increasing codes as pairs of the first and the last of each run without a gap."""
    found: list[tuple[int, int]] = []
    for code in codes:
        start = found.pop()[0] if found and found[-1][1] == code - 1 else code
        found.append((start, code))
    return found


def notes(column: Column) -> list[str]:
    """Returns a sentence for each kind of value that could be missed: nothing is dropped silently."""
    sentences = [_of_undeclared(column), _of_null(column)]
    if column.type.is_floating:
        sentences += [_of_nan(column), _of_infinity(column)]
    return [f"Column {column.name!r}: {sentence}" for sentence in sentences if sentence]


def _of_undeclared(column: Column) -> str:
    if column.values is None:
        low, high = show(column, column.min or 0), show(column, column.max or 0)
        return f"a value below {low} counts in the first bin, one above {high} in the last."
    if column.other is not None:
        return f"a value that is not declared counts as {show(column, column.other)!r}."
    if column.drops_undeclared:
        return "a row with a value that is not declared is dropped."
    if column.undeclared is not None:
        return f"a value that is not declared counts as {show(column, column.undeclared)!r}."
    return ""


def _of_null(column: Column) -> str:
    if column.nullable:
        return "null has a cell of its own."
    if column.other is not None:
        return f"null counts as {show(column, column.other)!r}, because the column is not nullable."
    if column.undeclared is not None and not column.drops_undeclared:
        return f"null counts as {show(column, column.undeclared)!r}, because the column is not nullable."
    return "a row with null is dropped, because the column is not nullable."


def _of_nan(column: Column) -> str:
    match column.nan:
        case "null":
            return "NaN counts as null."
        case "cell":
            return "NaN has a cell of its own."
        case "drop":
            return "a row with NaN is dropped."
        case _:
            return f"NaN counts as {column.nan}."


def _of_infinity(column: Column) -> str:
    match column.infinity:
        case "null":
            return "an infinite value counts as null."
        case "drop":
            return "a row with an infinite value is dropped."
        case _:
            return "an infinite value counts in the first or the last bin, by its sign."
