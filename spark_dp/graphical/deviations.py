"""How far Gaussian noise strays: in one cell, over all cells of a marginal, and where it was measured adaptively.

What is measured next depends on what was seen, so that the precision that a marginal ends up with depends on its own
errors, and a pooled error is no Gaussian given its scale. The factors here hold whatever the dependence is
(docs/mechanisms.md has the proofs).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr
from scipy.stats import chi2, norm

_BLOCK: Final = 1.1
"""Pooled precisions within this factor of one another are covered by one bound on all cells together."""

_EXPONENTS: Final[NDArray[np.float64]] = np.geomspace(1e-3, 40.0, 600)
"""Where Chernoff's bound is tried: it holds for each of them, so that a grid costs sharpness and no truth."""

_FURTHEST: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """How the precision of a pooled measurement came about.

    Attributes:
        most: 1 where what is pooled was fixed before the first of it was drawn; 2 where it was measured in one more stage at
            most, which might depend on the first; None where there is no such limit.
        growth: the pooled precision over that of the first stage; at least 1.
    """

    most: int | None
    growth: float


FIXED: Final = Looks(most=1, growth=1.0)


def cell_factor(alpha: float, looks: Looks = FIXED) -> float:
    """Returns within how many pooled standard deviations an error lies with probability 1 - alpha, at least.

    Guarantees: one look, P(|z| > c) = 2 Phi(-c) = alpha. Two, 2 Phi(-c) + exp(-c^2 / 2) / 2 = alpha, for any second
    precision. Any number, c^2 = q + log(growth) with P(chi^2_3 > q) = alpha (Robbins 1970; the mixture begins with
    the first look). docs/mechanisms.md, "Error bars".
    """
    if looks.most == 1:
        return float(norm.isf(alpha / 2))
    if looks.most == 2:
        return float(brentq(lambda c: 2 * ndtr(-c) + exp(-c * c / 2) / 2 - alpha, 0.0, _FURTHEST))
    return sqrt(float(chi2.isf(alpha, 3)) + log(max(looks.growth, 1.0)))


def l1_factor(cells: int, alpha: float, looks: Looks = FIXED) -> float:
    """Returns how many pooled standard deviations the errors of all cells add up to at most, with 1 - alpha."""
    stretch, part = _block(alpha, looks)
    found = stretch * _chernoff(_log_two_sided(), cells, part)
    # For few cells their squares tell more: |e|_1 <= sqrt(cells) |e|_2.
    return min(found, sqrt(cells * float(chi2.isf(part, cells)))) if looks.most == 1 else found


def excess_factor(cells: int, threshold: float, alpha: float, looks: Looks = FIXED) -> float:
    """Returns what upward errors exceed a threshold by, added up, at most with 1 - alpha; in pooled standard deviations."""
    stretch, part = _block(alpha, looks)
    return stretch * _chernoff(_log_one_sided(threshold / stretch), cells, part)


def folded_inverse(mean: float, sigma: float) -> float:
    """Returns d >= 0 with E |d + sigma z| = mean; 0 where the noise alone is worth more.

    E |d + sigma z| is convex in |d|: of errors whose noisy sizes have a given mean, the largest sum is that of equal
    ones, so that this bounds the mean of |d| (Jensen).
    """

    def off(d: float) -> float:
        z = d / sigma
        return sigma * sqrt(2 / np.pi) * exp(-z * z / 2) + d * (1 - 2 * float(ndtr(-z))) - mean

    if sigma <= 0:
        return max(mean, 0.0)
    if off(0.0) >= 0:
        return 0.0
    # Where the noise is far below the mean, rounding can leave off(mean) a few units in the last place under 0.
    return mean if off(mean) <= 0 else float(brentq(off, 0.0, mean))


def _block(alpha: float, looks: Looks) -> tuple[float, float]:
    """Returns by how much a bound is stretched, and its part of alpha.

    The pooled error is a Brownian motion at the pooled precision, over it. While that grows by the factor _BLOCK, convex
    functions of it are submartingales, to which Doob's inequality applies; block j gets alpha / ((j + 1) (j + 2)).
    """
    if looks.most == 1:
        return 1.0, alpha
    place = int(log(max(looks.growth, 1.0)) / log(_BLOCK))
    return sqrt(_BLOCK), alpha / ((place + 1) * (place + 2))


def _chernoff(log_moment: NDArray[np.float64], cells: int, alpha: float) -> float:
    return float(np.min((cells * log_moment - log(alpha)) / _EXPONENTS))


def _log_two_sided() -> NDArray[np.float64]:
    """log E exp(t |z|)."""
    t = _EXPONENTS
    return np.asarray(log(2) + t * t / 2 + log_ndtr(t))


def _log_one_sided(threshold: float) -> NDArray[np.float64]:
    """log E exp(t max(z - threshold, 0))."""
    t = _EXPONENTS
    return np.logaddexp(log_ndtr(threshold), t * t / 2 - t * threshold + log_ndtr(t - threshold))
