from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from seeded import P, SeededEntropy, chi_square_p

from spark_dp.privacy.selection import exponential_mechanism
from spark_dp.privacy.sensitivity import Contribution, Neighbours

DRAWS = 20_000
SCORES = [
    [0, 1, 2, 5],
    [Fraction(1, 3), Fraction(1, 2), 0],
    [7, 7, 7],
    [-10, 0],
    [10**20, 10**20 + 3, 10**20 - 1],
]


def chosen(scores, epsilon, sensitivity, seed, **how) -> np.ndarray:
    entropy = SeededEntropy(seed)
    picks = [exponential_mechanism(scores, epsilon, sensitivity, entropy, **how) for _ in range(DRAWS)]
    return np.bincount(picks, minlength=len(scores))


def softmax(scores, rate: Fraction) -> np.ndarray:
    """Expected counts, with differences taken exactly first."""
    weights = np.exp([float(rate * (score - max(scores))) for score in scores])
    return DRAWS * weights / weights.sum()


@pytest.mark.parametrize("scores", SCORES)
def test_selection_has_the_exact_law(scores):
    counts = chosen(scores, Fraction(1), Fraction(1), 1)
    assert chi_square_p(counts, softmax(scores, Fraction(1, 2))) > P


@pytest.mark.parametrize("factor", [Fraction(9, 10), Fraction(11, 10), Fraction(2)])
def test_the_law_test_rejects_a_wrong_rate(factor):
    counts = chosen(SCORES[0], factor, Fraction(1), 2)
    assert chi_square_p(counts, softmax(SCORES[0], Fraction(1, 2))) < P


@pytest.mark.parametrize("k", [1, 5])
def test_selection_scales_with_the_rows_of_a_unit(k):
    contribution = Contribution(max_rows=k, unit=1, neighbours=Neighbours.ADD_REMOVE)
    scores = [k * score for score in SCORES[0]]
    counts = chosen(scores, Fraction(1), contribution.score(Fraction(1)), 3)
    assert chi_square_p(counts, softmax(SCORES[0], Fraction(1, 2))) > P


def test_ignoring_the_rows_of_a_unit_is_rejected():
    scores = [5 * score for score in SCORES[0]]
    counts = chosen(scores, Fraction(1), Fraction(1), 4)
    assert chi_square_p(counts, softmax(SCORES[0], Fraction(1, 2))) < P


def test_selection_under_replacement_is_twice_as_noisy():
    contribution = Contribution(max_rows=1, unit=1, neighbours=Neighbours.REPLACE)
    counts = chosen(SCORES[0], Fraction(1), contribution.score(Fraction(1)), 5)
    assert chi_square_p(counts, softmax(SCORES[0], Fraction(1, 4))) > P
    assert chi_square_p(counts, softmax(SCORES[0], Fraction(1, 2))) < P
