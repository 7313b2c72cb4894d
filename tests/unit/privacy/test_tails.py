"""The tail of noise is bounded from above by the exact law, and a threshold is the least that keeps to it."""

import math
from fractions import Fraction

import pytest
from mpmath import erfc, exp, mp, mpf, sqrt

from spark_dp.privacy.tails import discrete_tail, least_threshold, noise_tail, rounded_tail


def exact_discrete_tail(sigma_squared: Fraction, least: int) -> object:
    """The tail of the discrete Gaussian, summed at 60 digits."""
    with mp.workdps(60):
        variance = mpf(sigma_squared.numerator) / sigma_squared.denominator
        reach = least + int(60 * math.sqrt(sigma_squared)) + 60

        def term(x: int) -> object:
            return exp(-(mpf(x) ** 2) / (2 * variance))

        above = sum(term(x) for x in range(least, reach))
        return above / (2 * sum(term(x) for x in range(1, reach)) + 1)


def exact_rounded_tail(sigma_squared: Fraction, least: int) -> object:
    with mp.workdps(60):
        variance = mpf(sigma_squared.numerator) / sigma_squared.denominator
        return erfc((least - mpf("0.5")) / sqrt(2 * variance)) / 2


CASES = [
    (Fraction(1, 4), 1),
    (Fraction(1, 2), 3),
    (Fraction(1), 6),
    (Fraction(30), 35),
    (Fraction(605, 20), 81),
    (Fraction(407), 117),
    (Fraction(10**4), 700),
]


@pytest.mark.parametrize(("sigma_squared", "least"), CASES)
def test_a_tail_is_never_below_that_of_either_law_and_hardly_above(sigma_squared, least):
    larger = max(exact_discrete_tail(sigma_squared, least), exact_rounded_tail(sigma_squared, least))
    bound = noise_tail(sigma_squared, least)
    assert mpf(bound) >= larger
    if sigma_squared >= 1:  # below, the normaliser is bounded and not summed
        assert bound <= float(larger) * (1 + 1e-7)


@pytest.mark.parametrize(("sigma_squared", "least"), CASES)
def test_the_tail_of_each_law_is_bounded_and_its_half_would_not_be(sigma_squared, least):
    laws = ((discrete_tail, exact_discrete_tail), (rounded_tail, exact_rounded_tail))
    for bound, exact in laws:
        assert mpf(bound(sigma_squared, least)) >= exact(sigma_squared, least)
        assert mpf(bound(sigma_squared, least)) / 2 < exact(sigma_squared, least)


@pytest.mark.parametrize(("sigma_squared", "least"), CASES)
def test_the_tail_one_further_would_be_below_the_law(sigma_squared, least):
    assert mpf(noise_tail(sigma_squared, least + 1)) < exact_discrete_tail(sigma_squared, least)


@pytest.mark.parametrize("sigma_squared", [Fraction(2**24 + 1), Fraction(2**60)])
def test_a_large_scale_is_bounded_by_an_integral(sigma_squared):
    least = 6 * math.isqrt(int(sigma_squared))
    rounded = exact_rounded_tail(sigma_squared, least)
    assert 1 <= mpf(noise_tail(sigma_squared, least)) / rounded < 1.01


@pytest.mark.parametrize("per_unit", [1, 5, 10])
@pytest.mark.parametrize("delta", [Fraction(1, 10**10), Fraction(1, 10**6), Fraction(1, 10)])
def test_a_threshold_is_the_least_that_keeps_to_delta(per_unit, delta):
    sigma_squared = Fraction(11, 2) ** 2 * per_unit
    least = least_threshold(sigma_squared, per_unit, delta)
    larger = [
        max(exact_discrete_tail(sigma_squared, t - 1), exact_rounded_tail(sigma_squared, t - 1))
        for t in (least, least - 1)
    ]
    assert per_unit * larger[0] <= mpf(delta.numerator) / delta.denominator
    assert per_unit * larger[1] > mpf(delta.numerator) / delta.denominator * (1 - mpf("1e-8"))


@pytest.mark.parametrize(("per_unit", "published"), [(1, 36), (5, 82), (10, 118)])
def test_a_threshold_is_that_of_the_continuous_formula(per_unit, published):
    """T = 1 + sigma * Phi^-1((1 - delta)^(1/L0)), at sigma = 5.5 * sqrt(L0) and delta = 1e-10."""
    found = least_threshold(Fraction(11, 2) ** 2 * per_unit, per_unit, Fraction(1, 10**10))
    assert abs(found - published) <= 1
