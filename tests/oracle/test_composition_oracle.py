"""Gaussian DP of mixed events against exact trade-offs, high precision and dp_accounting."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import dp_accounting
import mpmath
import numpy as np
import pytest
from dp_accounting import pld
from scipy import stats

from spark_dp.privacy.accounting import gaussian_delta, gaussian_rho, mu_of_rho
from spark_dp.privacy.composition import Accounting, EventSum
from spark_dp.privacy.events import RoundedGaussianEvent, SelectionEvent

BUDGETS = [(0.1, 1e-6), (1.0, 1e-5), (1.0, 1e-9), (4.0, 1e-6), (8.0, 1e-9), (30.0, 1e-9)]
EPSILONS = (0.01, 0.1, 0.5, 1.0, 3.0)


def worst_pair(epsilon: float, start: float) -> tuple[float, float]:
    """The chance of one event under two laws whose log ratio is start there and start - epsilon elsewhere."""
    q = -math.expm1(start - epsilon) / (math.exp(start) - math.exp(start - epsilon))
    return q * math.exp(start), q


def gaussian_true_delta(mu: float, epsilon: float) -> mpmath.mpf:
    """For any real epsilon."""
    with mpmath.workdps(60):
        m, e = mpmath.mpf(mu), mpmath.mpf(epsilon)
        return mpmath.ncdf(m / 2 - e / m) - mpmath.exp(e) * mpmath.ncdf(-m / 2 - e / m)


@pytest.mark.parametrize("epsilon, delta", BUDGETS)
def test_the_mu_of_a_budget_agrees_with_dp_accounting_and_is_never_above(epsilon, delta):
    mu = mu_of_rho(gaussian_rho(epsilon, delta))
    theirs = 1 / dp_accounting.get_sigma_gaussian(epsilon, delta, tol=1e-13)
    assert mu == pytest.approx(theirs, rel=1e-6)
    assert gaussian_true_delta(mu, epsilon) <= delta
    assert gaussian_true_delta(mu * (1 + 1e-6), epsilon) > delta


@pytest.mark.parametrize("epsilon, delta", BUDGETS)
def test_the_epsilon_of_a_composition_agrees_with_dp_accounting_and_is_never_below(epsilon, delta):
    parts = [Fraction(gaussian_rho(epsilon, delta) * 2 * share, 10) for share in (1, 2, 3, 4)]
    ours = EventSum.of(RoundedGaussianEvent(mu_squared=part) for part in parts).promise(delta).epsilon
    theirs = dp_accounting.get_epsilon_gaussian(1 / math.sqrt(float(sum(parts))), delta, tol=1e-13)
    assert ours == pytest.approx(theirs, rel=1e-6)
    assert ours >= theirs * (1 - 1e-9)
    assert ours * (1 - 1e-6) < theirs


@pytest.mark.parametrize("epsilon", EPSILONS)
def test_no_test_tells_a_selection_better_than_its_gaussian(epsilon):
    """The trade-off of each worst pair has one corner, and it lies above the Gaussian's trade-off."""
    mu = mu_of_rho(SelectionEvent(epsilon=Fraction(epsilon)).gaussian_rho)
    for start in np.linspace(1e-6, 1 - 1e-6, 101) * epsilon:
        p, q = worst_pair(epsilon, start)
        assert stats.norm.cdf(stats.norm.isf(q) - mu) <= (1 - p) * (1 + 1e-12)


def test_a_selection_would_be_under_charged_at_its_price_in_zcdp_or_at_a_twentieth_less():
    epsilon = 0.1
    event = SelectionEvent(epsilon=Fraction(epsilon))
    for price in (event.rho, event.gaussian_rho * Fraction(19, 20)):
        p, q = worst_pair(epsilon, epsilon / 2)
        assert stats.norm.cdf(stats.norm.isf(q) - mu_of_rho(price)) > 1 - p


@pytest.mark.parametrize("selecting", [0.05, 0.1, 0.33])
@pytest.mark.parametrize("count", [1, 4])
def test_a_mix_of_noise_and_selections_keeps_its_delta(selecting, count):
    """The exact delta of Gaussian noise composed with worst pairs, all combinations of their outcomes."""
    epsilon, delta = 1.0, 1e-9
    rho = Accounting.GAUSSIAN.rho(epsilon, delta)
    part = rho * Fraction(selecting) / count
    each = float(Accounting.GAUSSIAN.selection_epsilon(part))
    mu = math.sqrt(2 * float(rho * (1 - Fraction(selecting))))
    for position in (0.1, 0.5, 0.9):
        p, _ = worst_pair(each, position * each)
        total = mpmath.mpf(0)
        for high in itertools.product((True, False), repeat=count):
            chance = math.prod(p if h else 1 - p for h in high)
            loss = sum(position * each - (0 if h else each) for h in high)
            total += chance * gaussian_true_delta(mu, epsilon - loss)
        assert total <= delta


@pytest.mark.parametrize("epsilon", [0.0, 0.05])
def test_a_mix_that_is_charged_as_zcdp_would_break_the_gaussian_delta(epsilon):
    """A selection at its price in zCDP, added to the mu^2 of noise as if it were noise: the twin of the above."""
    noise, each = 0.1, 1.0
    p, _ = worst_pair(each, each / 2)
    exact = p * gaussian_true_delta(noise, epsilon - each / 2)
    exact += (1 - p) * gaussian_true_delta(noise, epsilon + each / 2)
    events = EventSum.of(
        [RoundedGaussianEvent(mu_squared=Fraction(1, 100)), SelectionEvent(epsilon=Fraction(1))]
    )
    assert exact > gaussian_delta(mu_of_rho(events.rho), epsilon)
    assert exact <= gaussian_delta(mu_of_rho(events.gaussian_rho), epsilon)


def test_a_mix_costs_no_less_than_dp_accounting_finds():
    """The same by convolution of privacy losses; randomised response is the worst pair at the middle."""
    delta, each, count = 1e-9, 0.05, 10
    events = [
        RoundedGaussianEvent(mu_squared=Fraction(1, 36)),
        *[SelectionEvent(epsilon=Fraction(each))] * count,
    ]
    accountant = pld.PLDAccountant(
        dp_accounting.NeighboringRelation.REPLACE_ONE, value_discretization_interval=1e-4
    )
    accountant.compose(dp_accounting.GaussianDpEvent(12))  # to replace moves a sum by twice its bound
    # Two answers of which the true one is given with the chance e^(each / 2) / (1 + e^(each / 2)).
    noise = 2 / (1 + math.exp(each / 2))
    accountant.compose(dp_accounting.RandomizedResponseDpEvent(noise, 2), count)
    theirs = accountant.get_epsilon(delta)
    ours = EventSum.of(events).promise(delta).epsilon
    assert ours >= theirs * (1 - 1e-3)
    assert ours < theirs * 1.2
