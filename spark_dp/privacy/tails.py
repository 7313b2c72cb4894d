"""How likely noise is to be large: upper bounds, for thresholds that only noise could pass."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final

import numpy as np
from scipy.special import log_ndtr

from spark_dp.errors import InternalError

_SUMMED_SIGMA: Final = 2.0**12
_FAR: Final = 40.0
_ROUNDED_UP: Final = 1 + 1e-9
"""More than the roundings below: an exponent of at most 900 is off by 2^-42 at most, and a sum of positive terms by less."""


def noise_tail(sigma_squared: Fraction, least: int) -> float:
    """Returns an upper bound on the probability that one draw of noise is at least `least`, whichever law it has.

    Guarantees: never below the probability for the discrete Gaussian, and never below that for the rounded Gaussian
    round(N(0, sigma^2)), of this variance parameter; above the larger of them by less than 1e-7 of it where sigma is
    between 1 and 2^12 and the probability above 1e-290.

    Args:
        sigma_squared: the variance parameter.
        least: at least 1.
    """
    if least < 1 or sigma_squared <= 0:
        raise InternalError(f"A tail was asked for from {least}, at sigma^2 = {float(sigma_squared):.3g}.")
    return min(1.0, max(discrete_tail(sigma_squared, least), rounded_tail(sigma_squared, least)))


def discrete_tail(sigma_squared: Fraction, least: int) -> float:
    """Returns an upper bound on the tail of the discrete Gaussian.

    Its normaliser is at least 1 and at least sqrt(2 pi) sigma (Poisson summation). Where sigma is large the terms are not
    summed, but bounded by the first and an integral, for they decrease.
    """
    sigma = math.sqrt(sigma_squared)
    normaliser = max(1.0, math.sqrt(2 * math.pi) * sigma)
    if sigma <= _SUMMED_SIGMA:
        x = np.arange(least, least + math.ceil(_FAR * sigma) + 2, dtype=np.float64)
        terms = float(np.exp(-x * x / (2 * sigma * sigma)).sum())
    else:
        first = math.exp(-((least / sigma) ** 2) / 2)
        terms = first + math.sqrt(2 * math.pi) * sigma * math.exp(float(log_ndtr(-least / sigma)))
    return terms / normaliser * _ROUNDED_UP + 1e-300


def rounded_tail(sigma_squared: Fraction, least: int) -> float:
    """Returns an upper bound on the tail of the rounded Gaussian, which is at least `least` from least - 1/2 on."""
    return math.exp(float(log_ndtr(-(least - 0.5) / math.sqrt(sigma_squared)))) * _ROUNDED_UP + 1e-300


def least_threshold(sigma_squared: Fraction, per_unit: int, delta: Fraction) -> int:
    """Returns the least T such that a unit whose values nobody else has is seen with probability at most delta.

    Each of its at most `per_unit` values has a count of 1, and is seen where 1 plus noise is at least T; by the union
    bound it is enough that one is with probability at most delta / per_unit. (For independent noise the exact
    condition is 1 - (1 - p)^per_unit <= delta, which allows a p larger by less than delta of itself.)

    Returns:
        At least 2.
    """
    allowed = delta / per_unit
    low, high = 1, 2
    while Fraction(noise_tail(sigma_squared, high - 1)) > allowed:
        low, high = high, 2 * high
    while high - low > 1:  # T = high will do, T = low will not
        middle = (low + high) // 2
        low, high = (
            (low, middle) if Fraction(noise_tail(sigma_squared, middle - 1)) <= allowed else (middle, high)
        )
    return high
