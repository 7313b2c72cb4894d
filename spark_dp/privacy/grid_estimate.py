"""From noisy levels of a grid to masses, quantiles and bins. Free: all of it is post-processing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spark_dp.privacy.measurement import Measurement
from spark_dp.schema.grid import BLOCK, Grid

Masses = NDArray[np.float64]

SIGNIFICANT: Final = 3.0
"""Standard deviations of its noise from which on a cell is seen."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GridEstimate:
    """What noisy levels say together.

    Attributes:
        masses: rows (or units) in each of the finest cells, at least 0.
        seen: the same, but 0 where noise alone could have made what was measured, and spread evenly over cells whose sum
            can be seen and none of which can by itself.
        others: in the cells outside of the range, which may be below 0.
        stddev: of the noise of one cell of one level.
        levels: how many levels were measured.
    """

    masses: Masses
    seen: Masses
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
        best, stddevs = _consistent(noisy)
        least = [SIGNIFICANT * measured[0].stddev * stddev for stddev in stddevs]
        return cls(
            masses=_not_negative(best, [np.zeros(len(level)) for level in best]),
            seen=_not_negative(best, least),
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
        """Returns the first and the last cell in which rows can be seen; all cells where none can."""
        seen = np.flatnonzero(self.seen > 0)
        return (int(seen[0]), int(seen[-1])) if seen.size else (0, len(self.seen) - 1)

    def bins_of_equal_mass(self, most: int) -> tuple[list[int], int]:
        """Cuts the range between the bounds into at most `most` bins that follow the density.

        Three quarters are of about equal mass; a cell that holds more than its bin should has a bin to itself, and the
        others share what is left, so that a table with many zeros does not lose its bins to them. The rest of the
        bins cut those whose rows are spread least evenly, where that is seen best: mostly the tails.

        Returns:
            The first cell of each bin, and the last cell of the last one.
        """
        first, last = self.bounds()
        starts = self._of_equal_mass(first, last, most - most // 4)
        while len(starts) < most:
            ends = [*(start - 1 for start in starts[1:]), last]
            uneven = [_least_even(self.seen, a, b) for a, b in zip(starts, ends, strict=True)]
            deviation, cell = max(uneven)
            if deviation <= 0:  # rows are even in every bin: as good as any
                return self._of_equal_mass(first, last, most), last
            starts = sorted([*starts, cell])
        return starts, last

    def _of_equal_mass(self, first: int, last: int, most: int) -> list[int]:
        starts, left, held = [first], float(self.seen[first : last + 1].sum()), 0.0
        for cell in range(first, last + 1):
            bins_left = most - len(starts) + 1
            target, mass = left / bins_left, float(self.seen[cell])
            nearer_without = held > 0 and abs(held - target) < abs(held + mass - target)
            if cell > starts[-1] and bins_left > 1 and (held >= target or nearer_without):
                left -= held
                starts.append(cell)
                held = 0.0
            held += mass
        return starts

    def bins_of_equal_width(self, most: int) -> tuple[list[int], int]:
        """Cuts the range between the bounds into at most `most` bins of about equally many cells."""
        first, last = self.bounds()
        cells = last - first + 1
        bins = min(most, cells)
        return [first + (i * cells) // bins for i in range(bins)], last


def _least_even(masses: Masses, first: int, last: int) -> tuple[float, int]:
    """Returns how far the heaped-up masses of a bin are from a straight line at most, and the cell after that place."""
    heaped = np.cumsum(masses[first : last + 1])
    even = heaped[-1] * np.arange(1, len(heaped) + 1) / len(heaped)
    distance = np.abs(heaped - even)[:-1]
    if not distance.size:
        return 0.0, first
    furthest = int(np.argmax(distance))
    return float(distance[furthest]), first + furthest + 1


def _consistent(levels: Sequence[Masses]) -> tuple[list[Masses], list[Masses]]:
    """Returns the least-squares estimate of each level such that every cell is the sum of its parts.

    Returns:
        The estimates, and bounds on the standard deviations of their errors in those of one measured cell.

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
    return best, [np.sqrt(v) for v in variance]


def _not_negative(levels: Sequence[Masses], least: Sequence[Masses]) -> Masses:
    """Returns the finest level without negative cells: each cell's parts are moved to the nearest that sum to it.

    Args:
        levels: consistent, the finest first.
        least: of each level, what a cell has to be above; those that are not are 0. Where no part of a cell is, all of them
            get the same.
    """
    top = levels[-1]
    above = _nearest_of_sum(top, max(0.0, float(top.sum())), top > least[-1])
    for parts, smallest in zip(reversed(levels[:-1]), reversed(least[:-1]), strict=True):
        blocks = [slice(i * BLOCK, (i + 1) * BLOCK) for i in range(len(above))]
        above = np.concatenate(
            [
                _nearest_of_sum(parts[block], float(total), parts[block] > smallest[block])
                for block, total in zip(blocks, above, strict=True)
            ]
        )
    return above


def _nearest_of_sum(values: Masses, total: float, kept: NDArray[np.bool_]) -> Masses:
    """Projects what is kept onto non-negative vectors of a given sum, by taking the same off every part.

    Source: Held, Wolfe, Crowder 1974.
    """
    if total <= 0:
        return np.zeros(len(values))
    if not kept.any():
        return np.full(len(values), total / len(values))
    ordered = np.sort(values[kept])[::-1]
    excess = (np.cumsum(ordered) - total) / np.arange(1, len(ordered) + 1)
    last = int(np.flatnonzero(ordered - excess > 0)[-1])
    nearest: Masses = np.where(kept, np.maximum(values - excess[last], 0.0), 0.0)
    return nearest
