"""Exact discrete Gaussian noise, vectorised."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spark_dp.errors import InternalError
from spark_dp.privacy.bernoulli import RELATIVE_MARGIN, bernoulli_exp, uniform_below
from spark_dp.privacy.entropy import OS_ENTROPY, Entropy

LARGEST_SIGMA_SQUARED: Final = Fraction(2**90)
SMALLEST_SIGMA_SQUARED: Final = Fraction(1, 2**40)
_BATCH: Final = 2**15  # proposals at a time: what stays in a core's cache
_PROPOSALS_PER_DRAW: Final = 2.1  # 1 / (0.63 * 0.76), the two acceptance rates at a large scale


def discrete_gaussian(
    sigma_squared: Fraction,
    size: int,
    entropy: Entropy = OS_ENTROPY,
    *,
    margin: float = RELATIVE_MARGIN,
) -> NDArray[np.int64]:
    """Draws integers with probabilities proportional to exp(-x^2 / (2 sigma_squared)).

    Discrete Laplace proposals are thinned by exact coins. All accepted proposals are independent and of one
    law, so that a batch may be cut where enough of them are there.

    Guarantees: the law is exact, and not an approximation of it in floats. Added to an integer query of L2
    sensitivity D it is D^2 / (2 sigma_squared)-zCDP (Canonne, Kamath, Steinke 2020, Theorem 4 and, for
    vectors, Theorem 14). It is not exactly Gaussian-DP.

    Args:
        sigma_squared: the variance parameter, in squared units of the query, in [2^-40, 2^90).
        size: how many.
        entropy: the operating system's, except in tests.
        margin: of the coins' float comparison; may only be widened, which changes speed and not the law.

    Returns:
        int64, shape (size,).

    Raises:
        InternalError: sigma_squared is not a rational in the range, or size is negative. Nothing was drawn.

    Source: Canonne, Kamath, Steinke, The Discrete Gaussian for Differential Privacy, 2020, Algorithm 3.
    """
    check_sigma_squared(sigma_squared)
    if size < 0:
        raise InternalError(f"Noise was asked for {size} cells. Nothing was drawn.")
    scale = math.isqrt(math.floor(sigma_squared)) + 1  # floor(sigma) + 1, exactly
    centre = sigma_squared / scale
    noise = np.empty(size, dtype=np.int64)
    filled = 0
    while filled < size:
        proposals = min(_BATCH, int(_PROPOSALS_PER_DRAW * (size - filled)) + 16)
        accepted = _thin(
            _discrete_laplace(scale, proposals, entropy, margin), centre, sigma_squared, entropy, margin
        )
        taken = accepted[: size - filled]
        noise[filled : filled + taken.size] = taken
        filled += taken.size
    return noise


def check_sigma_squared(sigma_squared: Fraction) -> None:
    """Refuses a variance that the sampler cannot draw, before anything is charged.

    Raises:
        InternalError: it is not a Fraction, or outside [2^-40, 2^90).
    """
    if not isinstance(sigma_squared, Fraction):
        raise InternalError(
            f"sigma_squared is a Fraction, and not {type(sigma_squared).__name__}. Nothing was drawn."
        )
    if not SMALLEST_SIGMA_SQUARED <= sigma_squared < LARGEST_SIGMA_SQUARED:
        raise InternalError(
            f"Noise of sigma^2 = {float(sigma_squared):.3g} was asked for, outside [2^-40, 2^90), where "
            "the sum of count and noise is sure to fit 64 bits. Nothing was drawn. Give the query a larger "
            "share of rho."
        )


def _thin(
    proposals: NDArray[np.int64], centre: Fraction, sigma_squared: Fraction, entropy: Entropy, margin: float
) -> NDArray[np.int64]:
    """Keeps y with probability exp(-(|y| - sigma^2/t)^2 / (2 sigma^2)): the discrete Gaussian's proposals.

    In floats, centre = sigma^2/t <= sigma is off by 2^-53 of itself, which moves gamma by at most
    2^-53 * sqrt(2 gamma); the five roundings add 2^-50 * gamma. At gamma <= 64 that is below 2^-43.
    """
    distance = np.abs(proposals).astype(np.float64) - float(centre)
    gamma: NDArray[np.float64] = distance * distance / float(2 * sigma_squared)

    def exact(index: int) -> Fraction:
        offset = abs(int(proposals[index])) - centre
        return offset * offset / (2 * sigma_squared)

    return proposals[bernoulli_exp(gamma, exact, entropy, margin=margin)]


def _discrete_laplace(scale: int, proposals: int, entropy: Entropy, margin: float) -> NDArray[np.int64]:
    """Draws at most `proposals` integers with probabilities proportional to exp(-|y| / scale).

    Source: Canonne, Kamath, Steinke 2020, Algorithm 2, with s = 1.
    """
    low = uniform_below(scale, proposals, entropy)
    kept = bernoulli_exp(
        low / np.float64(scale), lambda i: Fraction(int(low[i]), scale), entropy, margin=margin
    )
    low = low[kept]
    high = _geometric(low.size, entropy, margin)
    if high.size and int(high.max()) >= 2**16:  # probability exp(-65536): only broken randomness gets here
        raise InternalError(
            "The source of randomness returned the same words again and again. Nothing was released."
        )
    magnitude = low + scale * high
    negative = (entropy.words(low.size) & np.uint64(1)).astype(np.bool_)
    signed = np.where(negative, -magnitude, magnitude)
    proposed: NDArray[np.int64] = signed[~(negative & (magnitude == 0))]  # 0 would come twice
    return proposed


def _geometric(size: int, entropy: Entropy, margin: float) -> NDArray[np.int64]:
    """Counts heads of probability 1/e before the first tails."""
    heads = np.zeros(size, dtype=np.int64)
    tossing = np.arange(size)
    while tossing.size and heads[tossing[0]] < 2**16:
        coins = bernoulli_exp(np.ones(tossing.size), lambda _: Fraction(1), entropy, margin=margin)
        tossing = tossing[coins]
        heads[tossing] += 1
    return heads
