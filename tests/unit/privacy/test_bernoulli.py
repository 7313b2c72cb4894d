from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from scripted import ScriptedEntropy, SeededEntropy

from spark_dp.errors import InternalError
from spark_dp.privacy.bernoulli import RELATIVE_MARGIN, bernoulli_exp, exp_bounds, uniform_below
from spark_dp.privacy.noise import discrete_gaussian
from spark_dp.privacy.selection import exponential_mechanism

GAMMAS = [
    Fraction(1),
    Fraction(1, 3),
    Fraction(7, 2),
    Fraction(100),
    Fraction(10**9, 7),
    Fraction(1, 10**15),
    Fraction(2**61 + 1, 2**61),
]
ALL_EXACT = 4.0  # a margin so wide that nearly every coin is decided exactly


def true_value(gamma: Fraction, bits: int) -> mpmath.mpf:
    with mpmath.workprec(bits + 200):
        return mpmath.exp(-mpmath.mpf(gamma.numerator) / gamma.denominator) * mpmath.mpf(2) ** bits


def threshold_word(gamma: Fraction) -> int:
    with mpmath.workprec(300):
        return int(mpmath.floor(true_value(gamma, 64)))


def exactly(gamma: Fraction):
    return lambda _: gamma


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("bits", [64, 128, 256])
def test_the_bounds_of_exp_enclose_it_closely(gamma, bits):
    low, high = exp_bounds(gamma, bits)
    assert low <= true_value(gamma, bits) <= high
    assert high - low <= 2


@pytest.mark.parametrize("gamma", GAMMAS)
def test_the_float_lies_far_inside_the_margin(gamma):
    if gamma > 64:
        return
    with mpmath.workprec(300):
        approximate = mpmath.mpf(float(np.exp(-np.float64(float(gamma)))))
        assert abs(approximate * 2**64 / true_value(gamma, 64) - 1) < RELATIVE_MARGIN / 32


@pytest.mark.parametrize("gamma", [Fraction(1), Fraction(1, 3), Fraction(7, 2)])
@pytest.mark.parametrize("second", [0, 2**64 - 1])
def test_a_word_on_the_threshold_is_decided_by_the_next_one(gamma, second):
    threshold = threshold_word(gamma)
    entropy = ScriptedEntropy([threshold, second])
    (heads,) = bernoulli_exp(np.array([float(gamma)]), exactly(gamma), entropy)
    assert heads == (second == 0)
    assert entropy.left == 0


@pytest.mark.parametrize("offset, expected", [(-1, True), (1, False)])
def test_a_word_beside_the_threshold_needs_no_other(offset, expected):
    gamma = Fraction(1, 3)
    threshold = threshold_word(gamma)
    entropy = ScriptedEntropy([threshold + offset])
    assert bernoulli_exp(np.array([float(gamma)]), exactly(gamma), entropy).tolist() == [expected]


def test_a_coin_of_gamma_zero_always_shows_heads():
    words = [0, 1, 2**63, 2**64 - 2, 2**64 - 1]
    coins = bernoulli_exp(np.zeros(5), exactly(Fraction(0)), ScriptedEntropy(words))
    assert coins.all()


@pytest.mark.parametrize("third, expected", [(1, True), (2**40, False)])
def test_a_huge_gamma_is_decided_even_on_the_smallest_words(third, expected):
    entropy = ScriptedEntropy([0, 0, third])  # exp(-120) is about 2^19 in units of 2^-192
    assert bernoulli_exp(np.array([120.0]), exactly(Fraction(120)), entropy).tolist() == [expected]


def test_the_slow_way_gives_what_the_fast_way_gives():
    gamma = SeededEntropy(1).words(3000) / 2.0**62
    coins = [
        bernoulli_exp(gamma, lambda i: Fraction(float(gamma[i])), SeededEntropy(2), margin=margin)
        for margin in (RELATIVE_MARGIN, ALL_EXACT)
    ]
    assert np.array_equal(*coins)
    assert 0 < coins[0].sum() < 3000


def test_the_comparison_of_both_ways_finds_a_wrong_probability():
    gamma = SeededEntropy(1).words(3000) / 2.0**62
    fast = bernoulli_exp(gamma, lambda i: Fraction(float(gamma[i])), SeededEntropy(2))
    wrong = bernoulli_exp(
        gamma, lambda i: Fraction(float(gamma[i])) * Fraction(101, 100), SeededEntropy(2), margin=ALL_EXACT
    )
    assert not np.array_equal(fast, wrong)


@pytest.mark.parametrize("sigma_squared", [Fraction(1, 9), Fraction(5), Fraction(10**18 + 1, 7)])
def test_noise_drawn_the_slow_way_is_the_same_on_the_same_words(sigma_squared):
    fast = discrete_gaussian(sigma_squared, 300, SeededEntropy(3))
    slow = discrete_gaussian(sigma_squared, 300, SeededEntropy(3), margin=ALL_EXACT)
    assert np.array_equal(fast, slow)


def test_selection_the_slow_way_is_the_same_on_the_same_words():
    scores = [0, 5, 9, Fraction(19, 2), -3]
    for seed in range(100):
        fast = exponential_mechanism(scores, Fraction(1), Fraction(1), SeededEntropy(seed))
        slow = exponential_mechanism(scores, Fraction(1), Fraction(1), SeededEntropy(seed), margin=ALL_EXACT)
        assert fast == slow


def test_a_margin_narrower_than_proved_is_refused():
    with pytest.raises(InternalError, match="margin"):
        bernoulli_exp(np.ones(1), exactly(Fraction(1)), SeededEntropy(1), margin=RELATIVE_MARGIN / 2)


def test_a_uniform_integer_rejects_words_of_the_incomplete_multiple():
    beyond = (2**64 // 10) * 10
    entropy = ScriptedEntropy([beyond, 23, beyond + 5, 47])
    assert uniform_below(10, 2, entropy).tolist() == [7, 3]


def test_a_uniform_integer_takes_the_last_complete_word():
    last = (2**64 // 10) * 10 - 1
    assert uniform_below(10, 1, ScriptedEntropy([last])).tolist() == [9]


@pytest.mark.parametrize("bound", [1, 2, 2**32, 2**62])
def test_a_power_of_two_rejects_nothing(bound):
    assert uniform_below(bound, 1, ScriptedEntropy([2**64 - 1])).tolist() == [bound - 1]


@pytest.mark.parametrize("bound", [0, -1, 2**62 + 1])
def test_a_bound_outside_the_range_is_refused(bound):
    with pytest.raises(InternalError):
        uniform_below(bound, 1, SeededEntropy(1))
