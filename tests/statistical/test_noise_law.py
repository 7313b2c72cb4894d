from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy import stats
from seeded import P, SeededEntropy, chi_square_p, discrete_gaussian_p

from spark_dp.privacy.bernoulli import bernoulli_exp, uniform_below
from spark_dp.privacy.noise import discrete_gaussian

DRAWS = 200_000
SIGMAS = [Fraction(3, 10), Fraction(1), Fraction(7, 3), Fraction(30), Fraction(900_000_000), Fraction(2**44)]
MEDIUM = SIGMAS[1:]
ALL_EXACT = 4.0


def drawn(sigma: Fraction, seed: int, size: int = DRAWS, **how) -> np.ndarray:
    return discrete_gaussian(sigma**2, size, SeededEntropy(seed), **how)


@pytest.mark.parametrize("sigma", SIGMAS)
def test_noise_has_the_declared_law(sigma):
    assert discrete_gaussian_p(drawn(sigma, 1), float(sigma)) > P


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("factor", [Fraction(9, 10), Fraction(11, 10)])
def test_the_law_test_rejects_noise_ten_percent_off(sigma, factor):
    assert discrete_gaussian_p(drawn(sigma * factor, 2), float(sigma)) < P


@pytest.mark.parametrize("sigma", MEDIUM)
def test_the_law_test_rejects_noise_that_is_off_centre(sigma):
    shift = max(1, int(sigma / 20))
    assert discrete_gaussian_p(drawn(sigma, 3) + shift, float(sigma)) < P


def test_the_law_test_rejects_rounded_continuous_noise_at_a_small_scale():
    rounded = np.rint(np.random.default_rng(4).normal(size=DRAWS)).astype(np.int64)
    assert discrete_gaussian_p(rounded, 1.0) < P


@pytest.mark.parametrize("sigma", [Fraction(1), Fraction(30)])
def test_noise_drawn_the_slow_way_has_the_same_law(sigma):
    assert discrete_gaussian_p(drawn(sigma, 5, 8_000, margin=ALL_EXACT), float(sigma)) > P


@pytest.mark.parametrize("factor", [Fraction(9, 10), Fraction(11, 10)])
def test_the_slow_way_is_long_enough_to_reject_a_wrong_scale(factor):
    assert discrete_gaussian_p(drawn(30 * factor, 6, 8_000, margin=ALL_EXACT), 30.0, 40) < 1e-4


@pytest.mark.parametrize("sigma", [Fraction(1), Fraction(30)])
def test_noise_from_the_operating_system_has_the_law(sigma):
    assert discrete_gaussian_p(discrete_gaussian(sigma**2, DRAWS), float(sigma)) > P


def test_cells_are_independent():
    noise = drawn(Fraction(30), 7).astype(np.float64)
    for lag in (1, 2, 3, 64, 1000):
        correlation = float(np.corrcoef(noise[:-lag], noise[lag:])[0, 1])
        assert abs(correlation) < 5 / np.sqrt(DRAWS)


def test_the_independence_test_finds_a_reused_draw():
    noise = drawn(Fraction(30), 7).astype(np.float64)
    reused = np.repeat(noise[: DRAWS // 2], 2)
    assert abs(float(np.corrcoef(reused[:-1], reused[1:])[0, 1])) > 5 / np.sqrt(DRAWS)


@pytest.mark.parametrize("gamma", [Fraction(1, 1000), Fraction(1, 3), Fraction(1), Fraction(6)])
def test_a_coin_has_its_probability(gamma):
    coins = bernoulli_exp(np.full(DRAWS, float(gamma)), lambda _: gamma, SeededEntropy(8))
    probability = float(np.exp(-float(gamma)))
    assert stats.binomtest(int(coins.sum()), DRAWS, probability).pvalue > P
    assert stats.binomtest(int(coins.sum()), DRAWS, probability * 0.95).pvalue < P or gamma > 5


def test_uniform_integers_are_uniform():
    counts = np.bincount(uniform_below(37, DRAWS, SeededEntropy(9)), minlength=37)
    assert chi_square_p(counts, np.full(37, DRAWS / 37)) > P
    skewed = counts.copy()
    skewed[0] += 600
    assert chi_square_p(skewed, np.full(37, skewed.sum() / 37)) < P
