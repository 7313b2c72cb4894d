"""Exact marginals of a table held in memory: the simplest source that a curator can have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spark_dp.schema.domain import Clique, Domain


class ArraySource:
    """Counts an in-memory table and remembers what it was asked.

    Args:
        domain: of the table.
        codes: int64 of shape (rows, attributes), in the domain's order.
        weights: of each row in fixed point, int64; by default 1 each.
    """

    def __init__(
        self, domain: Domain, codes: NDArray[np.int64], weights: NDArray[np.int64] | None = None
    ) -> None:
        self.domain = domain
        self.codes = np.asarray(codes, dtype=np.int64).reshape(-1, len(domain))
        self.weights = np.ones(len(self.codes), dtype=np.int64) if weights is None else weights
        self.asked: list[Clique] = []

    def count(self, cliques: Sequence[Clique]) -> dict[Clique, NDArray[np.int64]]:
        self.asked.extend(cliques)
        return {clique: self.marginal(clique) for clique in cliques}

    def marginal(self, clique: Clique) -> NDArray[np.int64]:
        flat = np.zeros(len(self.codes), dtype=np.int64)
        for attribute in clique:
            flat = flat * self.domain.size(attribute) + self.codes[:, self.domain.attributes.index(attribute)]
        counts = np.zeros(self.domain.cells(clique), dtype=np.int64)
        np.add.at(counts, flat, self.weights)
        return counts.reshape(self.domain.shape(clique))


def random_codes(domain: Domain, rows: int, seed: int) -> NDArray[np.int64]:
    """Returns rows whose neighbouring attributes depend on one another."""
    random = np.random.default_rng(seed)
    hidden = random.random(rows)
    columns = []
    for size in domain.sizes:
        hidden = np.clip(hidden + random.normal(0, 0.2, rows), 0, 1 - 1e-9)
        columns.append((hidden * size).astype(np.int64))
    return np.stack(columns, axis=1) if columns else np.zeros((rows, 0), dtype=np.int64)
