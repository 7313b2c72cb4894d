"""What noise does to a marginal once it has been made non-negative: less than its scale says, where cells are empty."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

_DROPPED_BITS: Final = 49
"""Cells are binned by the leading bits of their rows as floats: exponent and 3 more, so that rows are 6 % off at most."""
_SMALLEST: Final = 2.0**-10
_FIRST_BIN: Final = int(np.float64(_SMALLEST).view(np.int64)) >> _DROPPED_BITS
_STEPS: Final = 60
_PRECISION: Final = 1e-4
_HALF_NORMAL: Final = sqrt(2 / pi)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Profile:
    """How the rows of a marginal are spread over its cells, which is all that matters for its noise.

    Attributes:
        rows: the mean of each bin of cells, float64.
        cells: how many cells each bin has, float64.
    """

    rows: NDArray[np.float64]
    cells: NDArray[np.float64]

    @classmethod
    def of(cls, marginal: NDArray[np.float64]) -> Profile:
        """Bins the cells of a marginal of earlier outputs, in rows; negative ones count as empty."""
        values = np.maximum(marginal.ravel(), 0.0)
        place = np.maximum(values, _SMALLEST).view(np.int64) >> _DROPPED_BITS
        place -= _FIRST_BIN
        cells = np.bincount(place).astype(np.float64)
        sums = np.bincount(place, weights=values)
        held = cells > 0
        return cls(rows=sums[held] / cells[held], cells=cells[held])

    def noise(self, sigma: float) -> float:
        """Returns the expected L1 error of the marginal after noise and projection, in rows.

        To each cell m Gaussian noise of scale sigma is added, and the nearest non-negative table of
        the same total is taken: max(m + sigma z - tau, 0), with tau such that the total is kept (in
        expectation). Where all cells are far above the noise that is sqrt(2/pi) sigma a cell; where most
        are empty it is far less, and never more than twice the total.
        """
        rows, cells = self.rows / sigma, self.cells
        tau = _threshold(rows, cells)
        above = rows - tau
        return float(sigma * (cells * _mean_deviation(rows, above, tau)).sum())


def unprojected_noise(cells: float, sigma: float) -> float:
    """Returns the expected L1 error of a marginal of so many cells before any projection, in rows."""
    return _HALF_NORMAL * sigma * cells


def _threshold(rows: NDArray[np.float64], cells: NDArray[np.float64]) -> float:
    """Solves sum of E max(m + z - tau, 0) = sum of m for tau >= 0 by Newton's method, in units of sigma."""
    total, tau = float((cells * rows).sum()), 0.0
    for _ in range(_STEPS):
        above = rows - tau
        share = ndtr(above)
        excess = float((cells * (_density(above) + above * share)).sum()) - total
        slope = float((cells * share).sum())
        step = min(excess / slope, 1.0) if slope > 0 else 1.0
        tau += step
        if abs(step) < _PRECISION:
            break
    return max(tau, 0.0)


def _mean_deviation(rows: NDArray[np.float64], above: NDArray[np.float64], tau: float) -> NDArray[np.float64]:
    """Returns E |max(m + z - tau, 0) - m| of each cell: m where it falls to 0, |z - tau| elsewhere."""
    lost = ndtr(-above)
    return np.asarray(
        rows * lost + tau * (2 * ndtr(tau) - 1 - lost) + 2 * _density(np.float64(tau)) - _density(above)
    )


def _density(x: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    return np.asarray(np.exp(-np.square(x) / 2) / sqrt(2 * pi))
