"""One column of the three tables: its cells, and how often it is null, other or NaN."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from spark_dp.evaluation.marginals import Marginal
from spark_dp.evaluation.results import ColumnComparison, Shares, Statistic
from spark_dp.schema.columns import Column
from spark_dp.schema.describe import labels_at

MOST_LABELS = 1000
"""Cells of a column that are listed; of more, neighbouring ones are taken together."""


def compare_column(
    column: Column, marginal: Marginal | None, numbers: Mapping[str, Statistic] | None
) -> ColumnComparison:
    """Describes a column.

    Args:
        column: declared.
        marginal: of the column alone; None where it was too large to be counted.
        numbers: of the column, where it is one of numbers.
    """
    if marginal is None:
        nothing = Shares(raw=(), bounded=(), synthetic=())
        return ColumnComparison(
            name=column.name, type=str(column.type), labels=(), shares=nothing, rates={}, numbers=numbers
        )
    starts = group_starts(column)
    first = labels_at(column, starts.tolist())
    last = labels_at(column, [*(starts[1:] - 1).tolist(), column.size - 1])
    return ColumnComparison(
        name=column.name,
        type=str(column.type),
        labels=tuple(a if a == b else f"{a} … {b}" for a, b in zip(first, last, strict=True)),
        shares=Shares(
            raw=tuple(np.add.reduceat(marginal.raw, starts).tolist()),
            bounded=tuple(np.add.reduceat(marginal.bounded, starts).tolist()),
            synthetic=tuple(np.add.reduceat(marginal.synthetic, starts).tolist()),
        ),
        rates={name: marginal.cell(code) for name, code in rated_cells(column).items()},
        numbers=numbers,
    )


def group_starts(column: Column) -> NDArray[np.int64]:
    """Returns where each listed group of cells starts: one a cell, or `MOST_LABELS` even groups of declared cells.

    The cells of other, NaN and null stay by themselves.
    """
    groups = min(column.declared, MOST_LABELS)
    starts = np.arange(groups, dtype=np.int64) * column.declared // groups
    return np.append(starts, np.arange(column.declared, column.size, dtype=np.int64))


def rated_cells(column: Column) -> dict[str, int]:
    """Returns the codes of the cells whose rates are of interest by themselves: 'null', 'other' and 'nan'."""
    found = {}
    if column.nullable:
        found["null"] = column.null_code
    if column.other is not None:
        found["other"] = column.undeclared_code
    if column.nan_cell is not None:
        found["nan"] = column.nan_cell
    return found
