"""Our conversions against high-precision arithmetic and against dp_accounting."""

from __future__ import annotations

import dp_accounting
import mpmath
import numpy as np
import pytest
from dp_accounting import pld, rdp

from spark_dp.privacy.accounting import (
    gaussian_delta,
    gaussian_epsilon,
    zcdp_delta,
    zcdp_epsilon,
    zcdp_rho,
)

GRID = [
    (rho, epsilon)
    for rho in (1e-6, 1e-3, 0.015, 0.1, 0.7, 5.0, 50.0)
    for epsilon in (0.01, 0.5, 1.0, 8.0, 60.0)
]
BUDGETS = [(0.01, 1e-9), (0.1, 1e-6), (1.0, 1e-5), (1.0, 1e-9), (4.0, 1e-6), (8.0, 1e-12), (30.0, 1e-9)]


def true_zcdp_delta(rho: float, epsilon: float) -> mpmath.mpf:
    """The minimum over a > 1, searched at 60 digits without the derivative that the code uses."""
    with mpmath.workdps(60):
        r, e = mpmath.mpf(rho), mpmath.mpf(epsilon)

        def log_delta(t: mpmath.mpf) -> mpmath.mpf:
            b = mpmath.exp(t)
            return b * ((b + 1) * r - e) + b * mpmath.log(b) - (b + 1) * mpmath.log1p(b)

        low, high = mpmath.mpf(-80), mpmath.mpf(40)
        for _ in range(250):  # ternary search: the exponent is convex in b, hence unimodal in log b
            third = (high - low) / 3
            if log_delta(low + third) < log_delta(high - third):
                high -= third
            else:
                low += third
        return min(mpmath.mpf(1), mpmath.exp(log_delta((low + high) / 2)))


@pytest.mark.parametrize("rho, epsilon", GRID)
def test_the_delta_of_a_rho_is_the_minimum_and_never_below(rho, epsilon):
    truth = true_zcdp_delta(rho, epsilon)
    ours = zcdp_delta(rho, epsilon)
    assert ours >= truth or ours == 1.0
    if truth > 1e-300:
        assert ours / truth - 1 < 1e-6


@pytest.mark.parametrize("epsilon, delta", BUDGETS)
def test_the_epsilon_of_a_rho_is_never_below(epsilon, delta):
    rho = float(zcdp_rho(epsilon, delta))
    ours = zcdp_epsilon(rho, delta)
    assert true_zcdp_delta(rho, ours) <= delta * (1 + 1e-15)
    assert true_zcdp_delta(rho, ours * (1 - 1e-6)) > delta


@pytest.mark.parametrize("epsilon, delta", BUDGETS)
def test_the_rho_of_a_budget_is_never_above(epsilon, delta):
    rho = zcdp_rho(epsilon, delta)
    assert true_zcdp_delta(float(rho), epsilon) <= delta
    assert true_zcdp_delta(float(rho) * (1 + 1e-6), epsilon) > delta


@pytest.mark.parametrize("epsilon, delta", BUDGETS)
def test_the_zcdp_cost_of_gaussians_agrees_with_dp_accounting(epsilon, delta):
    rho = float(zcdp_rho(epsilon, delta))
    orders = 1 + np.geomspace(1e-3, 1e5, 20_000)
    accountant = rdp.RdpAccountant(orders=orders)
    accountant.compose(dp_accounting.GaussianDpEvent(1 / np.sqrt(2 * rho)))
    theirs = accountant.get_epsilon(delta)
    assert theirs == pytest.approx(zcdp_epsilon(rho, delta), rel=1e-6)
    assert theirs >= zcdp_epsilon(rho, delta) * (1 - 1e-9)


def true_gaussian_delta(mu: float, epsilon: float) -> mpmath.mpf:
    with mpmath.workdps(80):
        m, e = mpmath.mpf(mu), mpmath.mpf(epsilon)
        return mpmath.ncdf(m / 2 - e / m) - mpmath.exp(e) * mpmath.ncdf(-m / 2 - e / m)


@pytest.mark.parametrize("mu", [0.01, 0.1, 0.18, 1.0, 3.0, 10.0])
@pytest.mark.parametrize("epsilon", [0.0, 0.01, 0.5, 1.0, 8.0, 30.0])
def test_the_exact_gaussian_delta_agrees_and_is_never_below(mu, epsilon):
    truth = true_gaussian_delta(mu, epsilon)
    ours = gaussian_delta(mu, epsilon)
    assert ours >= truth
    if truth > 1e-100:
        assert ours / truth - 1 < 1e-6


@pytest.mark.parametrize("mu, delta", [(0.18, 1e-9), (1.0, 1e-6), (3.0, 1e-5)])
def test_the_exact_gaussian_epsilon_agrees_with_dp_accounting(mu, delta):
    accountant = pld.PLDAccountant(value_discretization_interval=1e-4)
    accountant.compose(dp_accounting.GaussianDpEvent(1 / mu))
    theirs = accountant.get_epsilon(delta)
    assert gaussian_epsilon(mu, delta) <= theirs * (1 + 1e-9)
    assert theirs == pytest.approx(gaussian_epsilon(mu, delta), abs=2e-4)


def test_a_selection_costs_what_its_bounded_range_proves():
    """The worst pair of laws of bounded range epsilon, by brute force over its position (docs/privacy.md)."""
    for epsilon in (0.1, 1.0, 3.0):
        orders = np.linspace(1.001, 60, 200)
        for start in np.linspace(1e-3, 1 - 1e-3, 50) * epsilon:
            low, high = -start, epsilon - start  # two values of log(P/Q), epsilon apart
            weight = -np.expm1(low) / (np.exp(high) - np.exp(low))  # so that P sums to 1
            moments = (1 - weight) * np.exp(orders * low) + weight * np.exp(orders * high)
            divergence = np.log(moments) / (orders - 1)
            assert (divergence <= orders * epsilon**2 / 8 * (1 + 1e-9)).all()


def test_a_selection_would_be_under_charged_at_a_tenth_less():
    epsilon, orders, violated = 0.1, np.linspace(1.001, 60, 200), False
    for start in np.linspace(1e-3, 1 - 1e-3, 50) * epsilon:
        low, high = -start, epsilon - start
        weight = -np.expm1(low) / (np.exp(high) - np.exp(low))
        moments = (1 - weight) * np.exp(orders * low) + weight * np.exp(orders * high)
        violated |= bool((np.log(moments) / (orders - 1) > 0.9 * orders * epsilon**2 / 8).any())
    assert violated
