"""Structural zeros: combinations of values that the declared domain rules out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_dp.errors import ConfigurationError
from spark_dp.schema.domain import Clique


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StructuralZeros:
    """The cells of one clique that no row can be in. Declared, never learned, so that they cost no privacy.

    Attributes:
        clique: distinct attributes, in the order of the array's axes.
        forbidden: bool, one axis an attribute; True where no row may be. At least one cell is allowed.
    """

    clique: Clique
    forbidden: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.forbidden.dtype != np.bool_ or self.forbidden.ndim != len(self.clique):
            raise ConfigurationError(
                f"The forbidden cells of {self.clique} are a bool array with one axis an attribute, and not "
                f"{self.forbidden.dtype} with {self.forbidden.ndim} axes."
            )
        if self.forbidden.all():
            raise ConfigurationError(
                f"Every combination of {', '.join(self.clique)} is forbidden, so that no row is left. "
                "Nothing was estimated. Forbid less."
            )
