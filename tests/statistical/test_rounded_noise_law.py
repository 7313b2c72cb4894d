from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy import stats
from seeded import P, SeededEntropy, chi_square_p, discrete_gaussian_p

from spark_dp.privacy.noise import discrete_gaussian
from spark_dp.privacy.normal_steps import STEPS, normal_steps
from spark_dp.privacy.rounded_gaussian import rounded_gaussian

DRAWS = 200_000
SMALL = [Fraction(3, 10), Fraction(1), Fraction(7, 3), Fraction(30)]
LARGE = [Fraction(900_000_000), Fraction(2**40), Fraction(2**44)]
ALL_EXACT = 2.0**20
FACTORS = [Fraction(n, 100) for n in (90, 97, 103, 110)]


def drawn(sigma: Fraction, seed: int, size: int = DRAWS, **how) -> np.ndarray:
    return rounded_gaussian(sigma**2, size, SeededEntropy(seed), **how)


def exact_law_p(noise: np.ndarray, sigma: float) -> float:
    """The chi-square p-value of draws against the exact probabilities of every integer."""
    reach = int(12 * sigma) + 2
    support = np.arange(-reach, reach + 1)
    # By the tail on the integer's own side, so that nothing cancels.
    near, far = (np.abs(support) - 0.5) / sigma, (np.abs(support) + 0.5) / sigma
    mass = stats.norm.sf(near) - stats.norm.sf(far)
    counts = np.bincount(np.clip(noise, -reach, reach) + reach, minlength=support.size)
    return chi_square_p(counts, noise.size * mass)


def continuous_law_p(noise: np.ndarray, sigma: float) -> float:
    """The Kolmogorov-Smirnov p-value against the continuous law, from which rounding is far too small to see."""
    return float(stats.kstest(noise / sigma, "norm").pvalue)


@pytest.mark.parametrize("sigma", SMALL)
def test_noise_has_the_declared_law(sigma):
    assert exact_law_p(drawn(sigma, 1), float(sigma)) > P


@pytest.mark.parametrize("sigma", SMALL)
@pytest.mark.parametrize("factor", FACTORS)
def test_the_law_test_rejects_noise_of_another_scale(sigma, factor):
    assert exact_law_p(drawn(sigma * factor, 2), float(sigma)) < P


@pytest.mark.parametrize("sigma", LARGE)
def test_noise_of_a_large_scale_has_the_continuous_law(sigma):
    assert continuous_law_p(drawn(sigma, 3, 400_000), float(sigma)) > P


@pytest.mark.parametrize("sigma", LARGE)
@pytest.mark.parametrize("factor", FACTORS)
def test_the_continuous_test_rejects_noise_of_another_scale(sigma, factor):
    assert continuous_law_p(drawn(sigma * factor, 4, 400_000), float(sigma)) < P


@pytest.mark.parametrize("sigma", [*SMALL[1:], *LARGE])
def test_the_law_tests_reject_noise_that_is_off_centre(sigma):
    shifted = drawn(sigma, 5) + max(1, int(sigma / 20))
    p = exact_law_p if sigma in SMALL else continuous_law_p
    assert p(shifted, float(sigma)) < P


@pytest.mark.parametrize("sigma", [Fraction(3, 10), Fraction(1)])
def test_rounded_and_discrete_noise_are_told_apart_at_a_small_scale(sigma):
    assert exact_law_p(discrete_gaussian(sigma**2, DRAWS, SeededEntropy(6)), float(sigma)) < P
    assert discrete_gaussian_p(drawn(sigma, 6), float(sigma)) < P


@pytest.mark.parametrize("sigma", [Fraction(1), Fraction(30)])
def test_noise_from_the_operating_system_has_the_law(sigma):
    assert exact_law_p(rounded_gaussian(sigma**2, DRAWS), float(sigma)) > P


def test_the_last_bits_of_large_noise_are_uniform():
    counts = np.bincount(drawn(Fraction(900_000_000), 7) & 255, minlength=256)
    assert chi_square_p(counts, np.full(256, DRAWS / 256)) > P


def test_the_bits_test_rejects_noise_that_was_drawn_with_too_few_digits():
    coarse = drawn(Fraction(900_000_000), 8) // 4 * 4
    counts = np.bincount(coarse & 255, minlength=256)
    assert chi_square_p(counts, np.full(256, DRAWS / 256)) < P


def test_cells_are_independent():
    noise = drawn(Fraction(30), 9).astype(np.float64)
    for lag in (1, 2, 3, 64, 1000):
        assert abs(float(np.corrcoef(noise[:-lag], noise[lag:])[0, 1])) < 5 / np.sqrt(DRAWS)


def test_sign_and_size_are_independent():
    noise = drawn(Fraction(30), 10).astype(np.float64)
    assert abs(float(np.corrcoef(np.sign(noise), np.abs(noise))[0, 1])) < 5 / np.sqrt(DRAWS)
    leaning = np.abs(noise) * np.where(np.abs(noise) > 33, 1, -1)
    assert abs(float(np.corrcoef(np.sign(leaning), np.abs(leaning))[0, 1])) > 5 / np.sqrt(DRAWS)


def test_steps_have_their_law():
    words = SeededEntropy(11).words(DRAWS).astype(np.uint32)
    counts = np.bincount(normal_steps(words, SeededEntropy(12)), minlength=12 * STEPS)
    mass = np.exp(-((np.arange(counts.size) / STEPS) ** 2) / 2)
    assert chi_square_p(counts, DRAWS * mass / mass.sum()) > P
    flatter = np.exp(-((np.arange(counts.size) / STEPS / 1.03) ** 2) / 2)
    assert chi_square_p(counts, DRAWS * flatter / flatter.sum()) < P


def place_p(noise: np.ndarray, integers: int) -> float:
    """The p-value of where draws lie within the steps of 1/32 sigma, each of so many integers: a little to the inner side.

    The mean place is 1/2 less the mean slope over a step: 1/32 sigma over 12, times the mean of |Z|.
    """
    place = (np.abs(noise) % integers) / integers
    expected = 0.5 - np.sqrt(2 / np.pi) / STEPS / 12
    return float(2 * stats.norm.sf(abs(place.mean() - expected) / np.sqrt(1 / 12 / noise.size)))


def test_draws_lie_within_a_step_as_the_law_says():
    assert place_p(drawn(Fraction(STEPS * 2**20), 13, 4_000_000), 2**20) > P


def test_the_place_test_rejects_steps_that_are_filled_evenly():
    random = np.random.default_rng(14)
    steps = np.abs(drawn(Fraction(STEPS * 2**20), 14, 4_000_000)) // 2**20
    assert place_p(steps * 2**20 + random.integers(0, 2**20, steps.size), 2**20) < P
