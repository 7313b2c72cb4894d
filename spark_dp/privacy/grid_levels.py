"""The levels of a grid as marginals that a curator can measure jointly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from spark_dp.errors import InternalError
from spark_dp.schema.domain import Clique
from spark_dp.schema.grid import Grid


class GridLevels:
    """Counts each level of a grid from the counts of its finest cells. SENSITIVE: only a curator reads it.

    Sensitivity: a coarser cell is a union of finer ones, so that a row falls into exactly one cell of each level, as
    into one cell of each marginal: what `Contribution` says of m marginals holds of m levels.

    Args:
        grid: whose levels are the attributes.
        count_fine: counts the finest cells, others included: int64, (cells + others,), at least 0.
    """

    def __init__(self, grid: Grid, count_fine: Callable[[], NDArray[np.int64]]) -> None:
        self._grid = grid
        self._count_fine = count_fine

    def __repr__(self) -> str:
        return "GridLevels(<exact counts withheld>)"

    def count(self, cliques: Sequence[Clique]) -> Mapping[Clique, NDArray[np.int64]]:
        """Returns the counts of the levels, each a clique of one attribute."""
        fine = self._count_fine()
        if fine.shape != (self._grid.cells + self._grid.others,) or fine.dtype != np.int64:
            raise InternalError("The cells of a grid were counted in a wrong shape. Nothing was drawn.")
        levels = self._grid.coarsen(fine)
        return {clique: levels[clique[0]] for clique in cliques}
