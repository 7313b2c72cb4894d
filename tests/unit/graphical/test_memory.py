"""What an estimate holds in memory, beside the model that it returns and the noisy counts that it was given."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from spark_dp.graphical.estimation import estimate
from spark_dp.graphical.junction_tree import build_junction_tree
from spark_dp.graphical.own import noisy_marginal
from spark_dp.schema.domain import Domain

DOMAIN = Domain(("a", "b", "c", "d", "e"), (60, 70, 80, 60, 50))
KINDS = {
    "one clique, measured": ["abc", "d", "e"],
    "a tree of measured cliques": ["abc", "cde", "a", "bc"],
    "loops, cliques larger than what was measured": ["ab", "bc", "ac", "cd", "de", "ce"],
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_estimate_holds_less_than_four_times_its_model_beside_the_counts(kind):
    random = np.random.default_rng(0)
    measured = []
    for clique in map(tuple, KINDS[kind]):
        shape = DOMAIN.shape(clique)
        exact = np.full(shape, 50_000.0 / np.prod(shape))
        measured.append(noisy_marginal(clique, exact + random.normal(0, 5, shape), stddev=5.0))
    cells = build_junction_tree(DOMAIN, [m.clique for m in measured], max_cells=10**6).cells
    assert cells > 300_000
    counts = sum(m.noisy.nbytes for m in measured)
    tracemalloc.start()
    try:
        found = estimate(DOMAIN, measured, max_cells=10**6, tolerance=0.1, max_iterations=3)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.model.cells == cells
    assert peak < 4 * 8 * cells + counts
