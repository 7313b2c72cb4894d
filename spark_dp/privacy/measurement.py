"""A noisy marginal: the first thing that may be released."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from spark_dp.errors import InternalError
from spark_dp.privacy.noise_law import NoiseLaw
from spark_dp.schema.domain import Clique


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measurement:
    """One marginal with noise in every cell, empty ones included.

    Attributes:
        clique: the attributes, in the order of the array's axes.
        noisy: exact count plus noise, in fixed point, int64, shape domain.shape(clique).
        sigma_squared: the noise's variance parameter, in squared fixed-point units.
        unit: fixed-point units that make one row.
        query: the name under which it was charged.
        law: of the noise.
    """

    clique: Clique
    noisy: NDArray[np.int64]
    sigma_squared: Fraction
    unit: int
    query: str
    law: NoiseLaw = NoiseLaw.DISCRETE

    def __post_init__(self) -> None:
        if self.noisy.dtype != np.int64 or self.noisy.ndim != len(self.clique):
            raise InternalError(
                f"The measurement of {self.clique} is an int64 array with one axis an attribute, and not "
                f"{self.noisy.dtype} with {self.noisy.ndim} axes."
            )
        if self.unit < 1 or self.sigma_squared <= 0:
            raise InternalError(f"The measurement of {self.clique} needs a positive unit and variance.")
        self.noisy.flags.writeable = False

    @property
    def values(self) -> NDArray[np.float64]:
        """The noisy counts in rows; same shape."""
        return self.noisy / np.float64(self.unit)

    @property
    def stddev(self) -> float:
        """The noise's scale in rows: at least its standard deviation."""
        return math.sqrt(self.law.variance(self.sigma_squared) / self.unit**2)
