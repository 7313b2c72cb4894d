"""Total variation between marginals."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_dp.schema.domain import Clique, Domain


def total_variation(left: NDArray[np.number], right: NDArray[np.number]) -> float:
    """Returns half the L1 distance of two non-negative arrays, each scaled to sum to 1: in [0, 1].

    Two empty tables are at distance 0, an empty one and another at distance 1.
    """
    a, b = np.asarray(left, np.float64), np.asarray(right, np.float64)
    if a.sum() <= 0 or b.sum() <= 0:
        return 0.0 if a.sum() <= 0 and b.sum() <= 0 else 1.0
    return float(np.abs(a / a.sum() - b / b.sum()).sum() / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closeness:
    """Total variation by clique, and its mean for each number of attributes."""

    by_clique: Mapping[Clique, float]

    def mean(self, degree: int) -> float:
        """Returns the mean over the cliques of `degree` attributes; 0 where there are none."""
        found = [v for clique, v in self.by_clique.items() if len(clique) == degree]
        return float(np.mean(found)) if found else 0.0

    def worst(self, degree: int) -> tuple[Clique, float] | None:
        """Returns the clique of `degree` attributes that is furthest, or None."""
        found = [(clique, v) for clique, v in self.by_clique.items() if len(clique) == degree]
        return max(found, key=lambda item: item[1]) if found else None


def compare(
    left: Mapping[Clique, NDArray[np.number]], right: Mapping[Clique, NDArray[np.number]]
) -> Closeness:
    """Compares the marginals of two tables, clique by clique."""
    return Closeness(by_clique={c: total_variation(left[c], right[c]) for c in left})


def cliques_up_to(domain: Domain, degree: int, *, max_cells: int) -> Sequence[Clique]:
    """Returns all cliques of 1 to `degree` attributes of at most `max_cells` cells each."""
    sizes = range(1, min(degree, len(domain)) + 1)
    found = itertools.chain.from_iterable(itertools.combinations(domain.attributes, n) for n in sizes)
    return [clique for clique in found if domain.cells(clique) <= max_cells]
