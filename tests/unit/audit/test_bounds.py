"""Limits of an audit: never above the truth but by chance, and close to it with enough canaries."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from spark_dp.audit.bounds import THRESHOLDS, Errors, errors_at, limits_of, rate_above
from spark_dp.privacy.accounting import gaussian_epsilon

SIDE = 20_000
CONFIDENCE, DELTA = 0.99, 1e-5


def limits(mu: float, seed: int, side: int = SIDE, confidence: float = CONFIDENCE):
    """Of canaries whose scores are exactly Gaussian, as measuring has them: two attacks, one of them weaker."""
    random = np.random.default_rng(seed)
    inside = np.arange(2 * side) < side
    noise, more = random.normal(size=(2, 2 * side))
    first = noise + mu * (inside - 0.5)
    seen = [
        errors_at(score, inside, at) for score in (first, (first + more) / math.sqrt(2)) for at in THRESHOLDS
    ]
    return limits_of(seen, confidence=confidence, delta=DELTA)


@pytest.mark.parametrize("seed", range(20))
def test_at_mu_one_the_limit_is_within_ten_percent_and_never_above(seed):
    found = limits(1.0, seed)
    assert 0.9 < found.mu <= 1.0
    assert 0.5 < found.epsilon <= gaussian_epsilon(1.0, DELTA)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("mu", [1.25, math.sqrt(2), 2.0])
def test_a_larger_loss_is_found(mu, seed):
    assert 1.0 < limits(mu, seed).mu < mu


@pytest.mark.parametrize("wrong, of", [(0, 50), (3, 50), (25, 50)])
def test_a_rate_at_its_limit_would_be_seen_so_rarely_with_the_stated_chance(wrong, of):
    rate = rate_above(wrong, of, 0.01)
    assert binom.cdf(wrong, of, rate) == pytest.approx(0.01)
    assert binom.cdf(wrong, of, 0.9 * rate) > 0.01


def test_a_rate_of_no_trials_is_not_known():
    assert rate_above(0, 0, 0.01) == rate_above(7, 7, 0.01) == 1.0
    nothing = Errors(false_in=0, out=0, false_out=0, inside=0)
    assert limits_of([nothing], confidence=0.9, delta=0.0).mu == 0.0


def test_more_tests_prove_less_each():
    seen = Errors(false_in=300, out=1000, false_out=300, inside=1000)
    one = limits_of([seen], confidence=0.99, delta=0.0)
    ten = limits_of([seen] * 10, confidence=0.99, delta=0.0)
    assert 0 < ten.mu < one.mu
    assert 0 < ten.epsilon < one.epsilon
