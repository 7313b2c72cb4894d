"""Potentials to start an estimate from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from spark_dp.graphical.model import GraphicalModel
from spark_dp.schema.domain import Clique, Domain

# Rows below which a cell counts as this many: a warm start needs no infinities.
_FEW_ROWS = 0.1

Table = NDArray[np.float64]


def first_potentials(
    domain: Domain, noisy: Mapping[Clique, tuple[Table, float]]
) -> Iterator[tuple[Clique, Table]]:
    """Yields the logarithm of each attribute's noisy one-way marginal, taken from the most precise table.

    Small and negative values are raised to a part of their noise. Together: the model of independent attributes.
    """
    for attribute in domain:
        holding = [(clique, *held) for clique, held in noisy.items() if attribute in clique]
        if not holding:
            continue
        clique, table, variance = min(holding, key=lambda h: h[2] * h[1].size)
        axis = clique.index(attribute)
        values = table.sum(axis=tuple(i for i in range(table.ndim) if i != axis))
        sigma = np.sqrt(variance * table.size / values.size)
        yield (attribute,), np.log(np.maximum(values, 0.3 * sigma))


def potentials_of(model: GraphicalModel) -> Iterator[tuple[Clique, Table]]:
    """Yields tables whose sum is the logarithm of a model's probabilities: its cliques' less its separators'."""
    least = _FEW_ROWS / max(model.total, 1.0)
    for clique, separator, table in zip(
        model.tree.cliques, model.tree.separators, model.probabilities, strict=True
    ):
        yield clique, np.log(np.maximum(table, least))
        if separator:
            lost = tuple(i for i, a in enumerate(clique) if a not in separator)
            yield separator, -np.log(np.maximum(table.sum(axis=lost), least))
