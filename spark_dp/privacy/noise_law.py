"""The two laws of noise on integer counts, and what each is charged as."""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from spark_dp.privacy.entropy import Entropy
from spark_dp.privacy.events import GaussianEvent, RoundedGaussianEvent
from spark_dp.privacy.noise import discrete_gaussian
from spark_dp.privacy.rounded_gaussian import rounded_gaussian


class NoiseLaw(StrEnum):
    """What is added to each cell. Both are exact, and D^2 / (2 sigma^2)-zCDP at the L2 sensitivity D.

    Attributes:
        DISCRETE: probabilities in proportion to exp(-x^2 / (2 sigma^2)).
        ROUNDED: round(N(0, sigma^2)), which is D / sigma-Gaussian-DP as well.
    """

    DISCRETE = "discrete_gaussian"
    ROUNDED = "rounded_gaussian"

    def draw(self, sigma_squared: Fraction, size: int, entropy: Entropy) -> NDArray[np.int64]:
        """Draws int64 noise, shape (size,)."""
        sampler = rounded_gaussian if self is NoiseLaw.ROUNDED else discrete_gaussian
        return sampler(sigma_squared, size, entropy)

    def event(self, mu_squared: Fraction) -> GaussianEvent | RoundedGaussianEvent:
        """Returns what noise of this law is charged as.

        Args:
            mu_squared: squared L2 sensitivity over sigma_squared.
        """
        event = RoundedGaussianEvent if self is NoiseLaw.ROUNDED else GaussianEvent
        return event(mu_squared=mu_squared)

    def variance(self, sigma_squared: Fraction) -> Fraction:
        """Returns at least the variance: rounding adds at most 1/12."""
        return sigma_squared + (Fraction(1, 12) if self is NoiseLaw.ROUNDED else 0)
