"""A public grid over a column's declared range, and its coarser levels: what a private step counts on.

Nothing of it depends on the table: the cells follow from the declared type, min and max.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spark_dp.errors import ConfigurationError
from spark_dp.schema.columns import DROP, Column
from spark_dp.schema.domain import Attribute, Domain

GRID_CELLS: Final = 4096
BLOCK: Final = 8
"""How many cells of a level make one of the next. Eight is near the least variance of a range of cells (Qardaji, Yang,
Li 2013, for Laplace noise; with Gaussian noise the optimum is flatter)."""

TOP_CELLS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The levels of a grid, the finest first; cells outside of the range (NaN, null) stay by themselves in each.

    Args:
        name: of what is counted.
        cells: of the finest level, at least 1.
        others: cells that follow them and have no place in the range.
    """

    name: str
    cells: int
    others: int = 0

    @property
    def sizes(self) -> tuple[int, ...]:
        """Cells of each level, `others` not counted."""
        sizes = [self.cells]
        while sizes[-1] > TOP_CELLS:
            sizes.append(-(-sizes[-1] // BLOCK))
        return tuple(sizes)

    @property
    def levels(self) -> tuple[Attribute, ...]:
        return tuple(f"{self.name}/{level}" for level in range(len(self.sizes)))

    @property
    def domain(self) -> Domain:
        """Each level as an attribute of its own."""
        return Domain(self.levels, tuple(size + self.others for size in self.sizes))

    def coarsen(self, fine: NDArray[np.int64]) -> dict[Attribute, NDArray[np.int64]]:
        """Returns every level of the counts of the finest one. As SENSITIVE as they are."""
        levels, rest = [fine[: self.cells]], fine[self.cells :]
        for _ in self.sizes[1:]:
            starts = np.arange(0, len(levels[-1]), BLOCK)
            levels.append(np.add.reduceat(levels[-1], starts))
        found = [np.concatenate([level, rest]).astype(np.int64) for level in levels]
        return dict(zip(self.levels, found, strict=True))


def fine_column(column: Column) -> Column:
    """Returns a column of bins with the finest cells that a grid has: equal bins of the declared range."""
    low, high = column.min, column.max
    cells = GRID_CELLS
    if not column.type.is_floating and isinstance(low, int) and isinstance(high, int):
        return replace(column, bins=min(cells, high - low + 1))
    while True:  # a 32-bit float has few values in a narrow range
        try:
            return replace(column, bins=cells)
        except ConfigurationError:
            if cells == 1:
                raise
            cells //= 2


def grid_of(fine: Column) -> Grid:
    """Returns the grid of a column made by `fine_column`."""
    return Grid(name=fine.name, cells=fine.declared, others=fine.size - fine.declared)


def cut_column(fine: Column, starts: list[int], last: int, *, nullable: bool) -> Column:
    """Returns the column whose bins are runs of the grid's cells.

    Args:
        fine: from `fine_column`.
        starts: the first cell of each bin, increasing, at least one.
        last: the last cell of the last bin.
        nullable: whether null has a cell.
    """
    column = without_nulls(fine) if not nullable else fine
    if fine.type.is_floating:
        edges = fine.float_bins().edges
        chosen: list[float] = [float(edges[i]) for i in starts] + [float(edges[last + 1])]
        nan = column.nan
        if not isinstance(nan, str) and nan is not None:
            nan = min(max(nan, chosen[0]), chosen[-1])
        return replace(column, bins=tuple(chosen), min=chosen[0], max=chosen[-1], nan=nan)
    bins = fine.tick_bins()
    low, high = int(bins.lows[starts[0]]), int(bins.highs[last])
    inner = [int(bins.lows[i]) for i in starts[1:] if int(bins.lows[i]) < high]
    if not inner:
        return replace(column, bins=1, min=low, max=high)
    return replace(column, bins=(low, *inner, high), min=low, max=high)


def without_nulls(column: Column) -> Column:
    """Returns the column without a cell for null; what would have gone there is dropped, or counts as `other`."""
    nan = DROP if column.nan == "null" else column.nan
    infinity = DROP if column.infinity == "null" else column.infinity
    return replace(column, nullable=False, nan=nan, infinity=infinity)


def null_column(column: Column) -> Column:
    """Returns a column with two cells: any value, and null. NaN and infinite values go where the column sends them."""
    if column.values is not None:
        first = column.values[0]
        return replace(column, values=(first,), other=None, undeclared=first, nullable=True)
    return replace(column, bins=1, min=column.min, max=column.max, nullable=True)
