"""Our Gaussians against OpenDP's discrete one, in distribution."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import opendp.prelude as opendp
import pytest
from scipy import stats

from spark_dp.privacy.noise import discrete_gaussian
from spark_dp.privacy.rounded_gaussian import rounded_gaussian

DRAWS = 20_000
P = 1e-6


def opendp_noise(sigma: float) -> np.ndarray:
    opendp.enable_features("contrib")
    space = opendp.vector_domain(opendp.atom_domain(T="i64")), opendp.l2_distance(T="i64")
    return np.array(opendp.m.make_gaussian(*space, scale=sigma)([0] * DRAWS), dtype=np.int64)


def two_sample_p(one: np.ndarray, other: np.ndarray) -> float:
    """The chi-square p-value of two samples from one law, in at most 40 cells of equal weight."""
    edges = np.unique(np.quantile(np.concatenate([one, other]), np.arange(1, 40) / 40))
    table = [np.bincount(np.searchsorted(edges, sample), minlength=edges.size + 1) for sample in (one, other)]
    occupied = np.array(table)[:, np.sum(table, axis=0) > 0]
    return float(stats.chi2_contingency(occupied).pvalue)


@pytest.mark.parametrize("sigma", [1.0, 5.75, 30.0, 2.0**30])
def test_noise_has_the_law_of_opendps(sigma):
    assert two_sample_p(discrete_gaussian(Fraction(sigma) ** 2, DRAWS), opendp_noise(sigma)) > P


@pytest.mark.parametrize("sigma", [1.0, 5.75, 30.0, 2.0**30])
@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_the_comparison_rejects_noise_ten_percent_off(sigma, factor):
    assert two_sample_p(discrete_gaussian(Fraction(sigma * factor) ** 2, DRAWS), opendp_noise(sigma)) < P


@pytest.mark.parametrize("sigma", [5.75, 30.0, 2.0**30])
def test_rounded_noise_has_the_law_of_opendps_where_rounding_is_too_small_to_see(sigma):
    assert two_sample_p(rounded_gaussian(Fraction(sigma) ** 2, DRAWS), opendp_noise(sigma)) > P


@pytest.mark.parametrize("sigma", [5.75, 30.0, 2.0**30])
@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_the_comparison_rejects_rounded_noise_ten_percent_off(sigma, factor):
    assert two_sample_p(rounded_gaussian(Fraction(sigma * factor) ** 2, DRAWS), opendp_noise(sigma)) < P


def test_the_comparison_tells_rounded_from_discrete_noise_at_a_small_scale():
    assert two_sample_p(rounded_gaussian(Fraction(1, 4), DRAWS), opendp_noise(0.5)) < P
