"""How much a pair's distance from independence counts, by how much its columns vary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spark_dp.graphical.model import GraphicalModel
from spark_dp.schema.domain import Clique

_POWER: Final = 0.25
_LEAST: Final = 0.2
_QUIET: Final = 0.01


def spread_weights(
    fitted: GraphicalModel, weights: Mapping[Clique, Fraction], pairs: Sequence[Clique], *, noise: float
) -> dict[Clique, Fraction]:
    """Returns the pairs' weights over (g_a g_b)^(1/4), the largest 1, where g is a column's spread 1 - sum p^2 (Gini 1912).

    For two binary columns the distance from independence is 4 |covariance|, and g is twice the variance: divided by
    (g_a g_b)^(1/2) it would be the correlation, which chooses as mutual information does and is misled by noise where a
    column hardly varies. This is half way, and no column's spread counts as less than 0.2. Weights below 1 make
    choices noisier: where the scale of a choice is more than a hundredth of the rows, the root is flatter by as much.
    (benchmarks/README.md has what either does to the error of triples.)

    Args:
        fitted: the model of the noisy columns; the weights depend on it alone, and so on earlier private outputs.
        weights: of the workload, in [0, 1].
        noise: the scale of a choice, in rows.

    Returns:
        Multiples of 1/256 in [1/256, 1]; 0 where the workload's is.
    """
    spread = {
        attribute: max(_LEAST, 1 - float(np.sum(shares**2)))
        for attribute in fitted.domain
        for shares in [_shares(fitted.marginal((attribute,)))]
    }
    power = _POWER * min(1.0, _QUIET * max(fitted.total, 1.0) / noise)
    raw = {(a, b): float(weights[a, b]) * (spread[a] * spread[b]) ** -power for a, b in pairs}
    largest = max(raw.values(), default=1.0) or 1.0
    return {
        pair: Fraction(max(1, round(256 * value / largest)) if value else 0, 256)
        for pair, value in raw.items()
    }


def _shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    kept = np.maximum(counts, 0.0)
    return kept / max(float(kept.sum()), 1e-300)
