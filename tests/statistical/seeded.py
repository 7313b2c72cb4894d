"""A fixed-seed source of words and the tests of a law, for statistical tests."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

P = 1e-6  # a correct implementation fails one test in a million, and with fixed seeds none


class SeededEntropy:
    """Words from PCG64 with a fixed seed. Never in production."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def words(self, count: int) -> NDArray[np.uint64]:
        return np.asarray(self._bits.random_raw(count), dtype=np.uint64)


def chi_square_p(observed: Sequence[float] | NDArray[np.float64], expected: NDArray[np.float64]) -> float:
    """Returns the p-value of counts against expected counts; cells that expect under 10 are merged."""
    merged: list[list[float]] = [[0.0, 0.0]]
    for seen, wanted in zip(observed, expected, strict=True):
        if merged[-1][1] >= 10:
            merged.append([0.0, 0.0])
        merged[-1][0] += float(seen)
        merged[-1][1] += float(wanted)
    if merged[-1][1] < 10 and len(merged) > 1:
        last = merged.pop()
        merged[-1] = [merged[-1][0] + last[0], merged[-1][1] + last[1]]
    seen, wanted = np.array(merged).T
    return float(stats.chi2.sf(float(((seen - wanted) ** 2 / wanted).sum()), len(merged) - 1))


def discrete_gaussian_p(noise: NDArray[np.int64], sigma: float, bins: int = 200) -> float:
    """Returns the chi-square p-value of draws against the discrete Gaussian's law of this scale.

    The exact probabilities up to sigma = 1000, bins of the continuous law beyond, where both agree to far
    less than the test can see.
    """
    if sigma > 1000:
        edges = stats.norm.ppf(np.arange(1, bins) / bins) * sigma
        observed = np.bincount(np.searchsorted(edges, noise), minlength=bins)
        return chi_square_p(observed, np.full(bins, noise.size / bins))
    reach = math.ceil(12 * sigma) + 2
    support = np.arange(-reach, reach + 1)
    mass = np.exp(-(support.astype(np.float64) ** 2) / (2 * sigma**2))
    clipped = np.clip(noise, -reach, reach) + reach
    return chi_square_p(np.bincount(clipped, minlength=support.size), noise.size * mass / mass.sum())
