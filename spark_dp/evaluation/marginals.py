"""Total variation between marginals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_dp.evaluation.results import Distances, OfTables
from spark_dp.schema.domain import Clique

Shares = NDArray[np.float64]


def shares_of(counts: NDArray[np.number]) -> Shares:
    """Returns non-negative counts scaled to sum to 1, float64 of the same shape; all 0 for an empty table."""
    scaled = np.asarray(counts, np.float64)
    total = scaled.sum()
    return scaled / total if total > 0 else np.zeros_like(scaled)


def total_variation(left: NDArray[np.number], right: NDArray[np.number]) -> float:
    """Returns half the L1 distance of two non-negative arrays, each scaled to sum to 1: in [0, 1].

    Two empty tables are at distance 0, an empty one and another at distance 1.
    """
    return _half_distance(shares_of(left), shares_of(right))


@dataclass(frozen=True, slots=True, eq=False)
class Marginal:
    """The shares of a clique's cells in the three tables, axes in the clique's order. Exact and SENSITIVE."""

    clique: Clique
    raw: Shares
    bounded: Shares
    synthetic: Shares

    @classmethod
    def of_counts(
        cls,
        clique: Clique,
        raw: NDArray[np.int64],
        bounded: NDArray[np.int64],
        synthetic: NDArray[np.int64],
    ) -> Marginal:
        """Scales the counts of each table; the bounded ones may be in fixed point."""
        return cls(clique, shares_of(raw), shares_of(bounded), shares_of(synthetic))

    def distances(self) -> Distances:
        return Distances(
            raw_to_bounded=_half_distance(self.raw, self.bounded),
            bounded_to_synthetic=_half_distance(self.bounded, self.synthetic),
            raw_to_synthetic=_half_distance(self.raw, self.synthetic),
        )

    def cell(self, index: int) -> OfTables:
        """Returns the shares of one cell, by its index in C order."""
        return OfTables(
            raw=float(self.raw.flat[index]),
            bounded=float(self.bounded.flat[index]),
            synthetic=float(self.synthetic.flat[index]),
        )


def _half_distance(left: Shares, right: Shares) -> float:
    if not left.any() or not right.any():
        return float(left.any() != right.any())
    return min(1.0, float(np.abs(left - right).sum()) / 2)
