from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_dp.errors import InternalError
from spark_dp.privacy.accounting import (
    gaussian_delta,
    gaussian_epsilon,
    gaussian_mu,
    zcdp_delta,
    zcdp_epsilon,
    zcdp_rho,
)

epsilons = st.floats(min_value=1e-3, max_value=200)
deltas = st.floats(min_value=1e-15, max_value=1e-2)


@pytest.mark.parametrize("epsilon, delta, sigma", [(1, 1e-9, 5.779), (1, 1e-5, 4.045), (8, 1e-9, 0.826)])
def test_the_noise_of_published_budgets(epsilon, delta, sigma):
    assert float(1 / (2 * zcdp_rho(epsilon, delta))) ** 0.5 == pytest.approx(sigma, abs=6e-4)


@settings(max_examples=100, deadline=None)
@given(epsilons, deltas)
def test_the_rho_of_a_budget_keeps_it_and_is_as_large_as_it_may_be(epsilon, delta):
    rho = zcdp_rho(epsilon, delta)
    assert zcdp_delta(rho, epsilon) <= delta
    assert zcdp_delta(rho * (1 + Fraction(1, 10**9)), epsilon) > delta


@settings(max_examples=50, deadline=None)
@given(epsilons, deltas)
def test_the_rho_of_a_budget_is_dyadic_on_a_fine_grid(epsilon, delta):
    rho = zcdp_rho(epsilon, delta)
    assert rho.denominator & (rho.denominator - 1) == 0
    assert rho.numerator.bit_length() <= 51
    assert Fraction(float(rho)) == rho


@settings(max_examples=100, deadline=None)
@given(epsilons, deltas)
def test_epsilon_and_delta_convert_into_each_other(epsilon, delta):
    rho = zcdp_rho(epsilon, delta)
    assert zcdp_epsilon(rho, delta) == pytest.approx(epsilon, rel=1e-6)


def test_more_rho_costs_more():
    costs = [zcdp_epsilon(Fraction(i, 10), 1e-9) for i in range(1, 30)]
    assert costs == sorted(costs)
    assert zcdp_delta(0.1, 1.0) < zcdp_delta(0.11, 1.0)


def test_nothing_spent_promises_everything():
    assert zcdp_delta(Fraction(0), 0.0) == 0.0
    assert zcdp_epsilon(Fraction(0), 1e-9) == 0.0
    assert gaussian_delta(0.0, 1.0) == 0.0


def test_a_gaussian_that_hides_nearly_everything_needs_no_epsilon():
    assert gaussian_epsilon(1e-7, 1e-6) == 0.0
    assert gaussian_epsilon(1e-5, 1e-6) > 0.0


def test_a_delta_is_a_probability():
    assert zcdp_delta(100.0, 0.1) == 1.0
    assert gaussian_delta(100.0, 0.1) <= 1.0


@settings(max_examples=50, deadline=None)
@given(epsilons, deltas)
def test_the_gaussian_conversions_invert_each_other(epsilon, delta):
    mu = gaussian_mu(epsilon, delta)
    assert gaussian_delta(mu, epsilon) <= delta
    assert gaussian_epsilon(mu, delta) == pytest.approx(epsilon, rel=1e-6)


@settings(max_examples=50, deadline=None)
@given(epsilons, deltas)
def test_the_exact_gaussian_never_costs_more_than_its_rho(epsilon, delta):
    mu = gaussian_mu(epsilon, delta)
    assert zcdp_delta(mu * mu / 2, epsilon) >= delta * (1 - 1e-6)


@pytest.mark.parametrize(
    "convert",
    [
        lambda: zcdp_delta(-1.0, 1.0),
        lambda: zcdp_delta(float("nan"), 1.0),
        lambda: zcdp_delta(1.0, -1.0),
        lambda: zcdp_epsilon(1.0, 0.0),
        lambda: zcdp_epsilon(1.0, 1.0),
        lambda: zcdp_rho(0.0, 1e-9),
        lambda: zcdp_rho(float("inf"), 1e-9),
        lambda: gaussian_delta(-1.0, 1.0),
        lambda: gaussian_mu(1.0, 0.0),
        lambda: gaussian_epsilon(1.0, 1.5),
    ],
)
def test_what_has_no_conversion_is_refused(convert):
    with pytest.raises(InternalError):
        convert()
