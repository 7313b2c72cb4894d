"""The step that solves one measured clique's cells, and where it is taken."""

from __future__ import annotations

import numpy as np
import pytest
from support.noise import noisy_marginals

from spark_dp.graphical import estimation
from spark_dp.graphical.estimation import estimate
from spark_dp.graphical.scaling import solve_cells
from spark_dp.schema.domain import Domain

DOMAIN = Domain(("a", "b", "c"), (6, 7, 8))
CYCLE = [("a", "b"), ("b", "c"), ("a", "c"), ("a",), ("b",), ("c",)]


@pytest.mark.parametrize("scale", [0.01, 1.0, 300.0])
def test_each_cell_is_solved_however_far_away_it_is(scale):
    marginal, values = np.meshgrid([1e-9, 0.3, 50.0, 1e7], [-400.0, 0.0, 3.0, 1e6])
    found = solve_cells(marginal, values, scale)
    assert np.allclose(marginal * np.exp(found) + scale * found, values, rtol=1e-7, atol=1e-6)


def test_cells_that_are_ruled_out_stay_as_they_are():
    found = solve_cells(np.array([0.0, 1.0]), np.array([500.0, 500.0]), 10.0)
    assert found[0] == 0.0
    assert found[1] > 0.0


def test_a_far_start_takes_fewer_steps_to_the_same_model(monkeypatch):
    measurements = noisy_marginals(DOMAIN, CYCLE, 1e6, 10.0, seed=1)
    near = estimate(DOMAIN, measurements, max_cells=10**4)
    monkeypatch.setattr(estimation, "scaled_start", lambda problem, noisy, start: start)
    far = estimate(DOMAIN, measurements, max_cells=10**4)
    assert near.convergence.converged
    assert near.convergence.iterations < far.convergence.iterations
    for a, b in zip(near.model.probabilities, far.model.probabilities, strict=True):
        assert np.abs(a - b).sum() < 1e-3
