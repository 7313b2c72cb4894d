"""The noise that projection leaves, against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_dp.graphical.projected_noise import Profile, unprojected_noise

RUNS = 400


def simulated(marginal: np.ndarray, sigma: float) -> float:
    """Noise, then the nearest non-negative table of the same total (Duchi et al. 2008)."""
    random = np.random.default_rng(5)
    found = []
    for _ in range(RUNS):
        noisy = marginal + random.normal(0, sigma, marginal.size)
        falling = np.sort(noisy)[::-1]
        excess = (np.cumsum(falling) - marginal.sum()) / np.arange(1, marginal.size + 1)
        tau = excess[np.flatnonzero(falling > excess)[-1]]
        found.append(np.abs(np.maximum(noisy - tau, 0) - marginal).sum())
    return float(np.mean(found))


@pytest.mark.parametrize(
    "marginal",
    [
        np.full(50, 1000.0),
        np.concatenate([np.full(3, 500.0), np.zeros(97)]),
        np.geomspace(1, 5000, 200),
        np.concatenate([[10_000.0], np.full(400, 2.0)]),
    ],
    ids=["full", "mostly empty", "skewed", "one large"],
)
@pytest.mark.parametrize("sigma", [3.0, 40.0])
def test_the_expected_error_is_that_of_projected_noise(marginal, sigma):
    assert Profile.of(marginal).noise(sigma) == pytest.approx(simulated(marginal, sigma), rel=0.08)


def test_the_noise_before_projection_is_far_above_it_where_most_cells_are_empty():
    marginal = np.concatenate([np.full(3, 500.0), np.zeros(997)])
    assert Profile.of(marginal).noise(20.0) < 0.2 * unprojected_noise(1000, 20.0)


def test_where_no_cell_is_empty_nothing_is_projected():
    assert Profile.of(np.full(100, 1e6)).noise(20.0) == pytest.approx(unprojected_noise(100, 20.0), rel=1e-3)


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(st.floats(-5, 1e6), min_size=1, max_size=60),
    sigma=st.floats(1e-2, 1e6),
)
def test_noise_is_never_above_twice_the_rows_nor_negative(rows, sigma):
    marginal = np.array(rows)
    total = float(np.maximum(marginal, 0).sum())
    noise = Profile.of(marginal).noise(sigma)
    assert np.isfinite(noise)
    assert -1e-6 * max(total, sigma) <= noise
    assert noise <= 2.001 * total + 1e-3 * sigma or noise <= unprojected_noise(marginal.size, sigma)


def test_more_noise_is_a_larger_error():
    profile = Profile.of(np.geomspace(0.1, 1000, 300))
    errors = [profile.noise(sigma) for sigma in (0.1, 1, 10, 100, 1000, 10_000)]
    assert errors == sorted(errors)
