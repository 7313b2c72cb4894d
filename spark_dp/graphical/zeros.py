"""Structural zeros: combinations of values that the declared domain rules out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_dp.errors import ConfigurationError
from spark_dp.schema.domain import Clique, Domain


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


def allowed_potentials(
    domain: Domain, sites: Sequence[Clique], zeros: Sequence[StructuralZeros]
) -> list[NDArray[np.float64] | None]:
    """Returns for each canonical site 0 where a row may be and -inf where none may; None where all may.

    Each clique of `zeros` lies within a site.
    """
    found: list[NDArray[np.float64] | None] = [None] * len(sites)
    for zero in zeros:
        clique = domain.canonical(zero.clique)
        table = np.where(zero.forbidden, -np.inf, 0.0)
        if table.shape != domain.shape(zero.clique):
            raise ConfigurationError(
                f"The forbidden cells of {zero.clique} have shape {table.shape}, and its marginal has "
                f"{domain.shape(zero.clique)}. Nothing was estimated."
            )
        table = table.transpose([zero.clique.index(a) for a in clique])
        i = next(i for i, site in enumerate(sites) if set(clique) <= set(site))
        held = found[i]
        if held is None:
            held = np.zeros(domain.shape(sites[i]))
        found[i] = held + table.reshape([domain.size(a) if a in clique else 1 for a in sites[i]])
    return found
