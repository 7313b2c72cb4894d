"""From noisy levels of a grid to masses, quantiles and bins. Free: all of it is post-processing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_dp.privacy.measurement import Measurement
from spark_dp.schema.grid import BLOCK, Grid

Masses = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GridEstimate:
    """What noisy levels say together.

    Attributes:
        masses: rows (or units) in each of the finest cells, at least 0.
        others: in the cells outside of the range, which may be below 0.
        stddev: of the noise of one cell of one level.
        levels: how many levels were measured.
    """

    masses: Masses
    others: Masses
    stddev: float
    levels: int

    @classmethod
    def of(cls, grid: Grid, measured: Sequence[Measurement]) -> GridEstimate:
        """Combines the levels by least squares, then makes all masses non-negative, from the top down.

        Args:
            grid: that was measured.
            measured: a measurement for each level, finest first, all of one scale.
        """
        noisy = [
            m.values[: grid.cells if level == 0 else grid.sizes[level]] for level, m in enumerate(measured)
        ]
        others = np.mean([m.values[len(m.values) - grid.others :] for m in measured], axis=0)
        return cls(
            masses=_not_negative(_consistent(noisy)),
            others=others,
            stddev=measured[0].stddev,
            levels=len(measured),
        )

    @property
    def others_stddev(self) -> float:
        """Of the noise of `others`, which every level has measured."""
        return self.stddev / math.sqrt(self.levels)

    def quantile(self, part: float) -> int:
        """Returns the first cell below whose end lies at least this part of all mass; 0 where there is no mass."""
        heaped = np.cumsum(self.masses)
        return int(np.searchsorted(heaped, part * heaped[-1])) if heaped[-1] > 0 else 0

    def bounds(self) -> tuple[int, int]:
        """Returns the first and the last cell of the range that holds all but what noise could have put outside.

        On either side as much is left out as one in two thousand, or as the noise of one cell of each level where
        that is more.
        """
        total = float(self.masses.sum())
        if total <= 0:
            return 0, len(self.masses) - 1
        outside = min(max(total / 2000, self.stddev * math.sqrt(self.levels)), total / 4)
        first = int(np.searchsorted(np.cumsum(self.masses), outside, side="right"))
        last = (
            len(self.masses) - 1 - int(np.searchsorted(np.cumsum(self.masses[::-1]), outside, side="right"))
        )
        return min(first, last), max(first, last)

    def bins_of_equal_mass(self, most: int) -> tuple[list[int], int]:
        """Cuts the range between the bounds into at most `most` bins of about equal mass.

        A cell that holds more than its bin should has a bin to itself, and the others share what is left: a table with many
        zeros does not lose its bins to them.

        Returns:
            The first cell of each bin, and the last cell of the last one.
        """
        first, last = self.bounds()
        starts, left, held = [first], float(self.masses[first : last + 1].sum()), 0.0
        for cell in range(first, last + 1):
            bins_left = most - len(starts) + 1
            target, mass = left / bins_left, float(self.masses[cell])
            nearer_without = held > 0 and abs(held - target) < abs(held + mass - target)
            if cell > starts[-1] and bins_left > 1 and (held >= target or nearer_without):
                left -= held
                starts.append(cell)
                held = 0.0
            held += mass
        return starts, last

    def bins_of_equal_width(self, most: int) -> tuple[list[int], int]:
        """Cuts the range between the bounds into at most `most` bins of about equally many cells."""
        first, last = self.bounds()
        cells = last - first + 1
        bins = min(most, cells)
        return [first + (i * cells) // bins for i in range(bins)], last


def _consistent(levels: Sequence[Masses]) -> list[Masses]:
    """Returns the least-squares estimate of each level such that every cell is the sum of its parts.

    Source: Hay, Rastogi, Miklau, Suciu 2010, Section 4.1, for trees of any shape.
    """
    best, variance = [levels[0].astype(np.float64)], [np.ones(len(levels[0]))]
    for noisy in levels[1:]:
        starts = np.arange(0, len(best[-1]), BLOCK)
        sums, variances = np.add.reduceat(best[-1], starts), np.add.reduceat(variance[-1], starts)
        best.append((noisy + sums / variances) / (1 + 1 / variances))
        variance.append(1 / (1 + 1 / variances))
    for level in range(len(levels) - 2, -1, -1):
        starts = np.arange(0, len(best[level]), BLOCK)
        missing = best[level + 1] - np.add.reduceat(best[level], starts)
        weight = (
            variance[level] / np.repeat(np.add.reduceat(variance[level], starts), BLOCK)[: len(best[level])]
        )
        best[level] = best[level] + np.repeat(missing, BLOCK)[: len(weight)] * weight
    return best


def _not_negative(levels: Sequence[Masses]) -> Masses:
    """Returns the finest level without negative cells: each cell's parts are moved to the nearest that sum to it."""
    above = _nearest_of_sum(levels[-1], max(0.0, float(levels[-1].sum())))
    for parts in reversed(levels[:-1]):
        blocks = [
            _nearest_of_sum(parts[i * BLOCK : (i + 1) * BLOCK], float(total)) for i, total in enumerate(above)
        ]
        above = np.concatenate(blocks)
    return above


def _nearest_of_sum(values: Masses, total: float) -> Masses:
    """Projects onto non-negative vectors of a given sum, by taking the same off every part (Held, Wolfe, Crowder 1974)."""
    if total <= 0:
        return np.zeros(len(values))
    ordered = np.sort(values)[::-1]
    excess = (np.cumsum(ordered) - total) / np.arange(1, len(values) + 1)
    kept = int(np.flatnonzero(ordered - excess > 0)[-1])
    nearest: Masses = np.maximum(values - excess[kept], 0.0)
    return nearest
