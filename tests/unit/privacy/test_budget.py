from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_dp.errors import BudgetExceededError, ConfigurationError, InternalError, LedgerError
from spark_dp.privacy.budget import PrivacyBudget, RhoFilter
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.events import (
    GaussianEvent,
    RoundedGaussianEvent,
    SelectionEvent,
    event_from_json,
    parse_fraction,
)
from spark_dp.privacy.measurement import Measurement

NO_NUMBER = [None, 0, 0.0, -1.0, float("nan"), float("inf"), float("-inf"), "1.0", True]
MU_SQUARED = st.fractions(min_value=Fraction(1, 10**6), max_value=2)
events = st.one_of(
    st.builds(GaussianEvent, mu_squared=MU_SQUARED),
    st.builds(RoundedGaussianEvent, mu_squared=MU_SQUARED),
    st.builds(SelectionEvent, epsilon=st.fractions(min_value=Fraction(1, 10**6), max_value=4)),
)


@pytest.mark.parametrize("value", NO_NUMBER)
@pytest.mark.parametrize("field", ["epsilon", "delta"])
def test_a_budget_that_is_no_positive_number_names_the_field(field, value):
    settings = {"epsilon": 1.0, "delta": 1e-9} | {field: value}
    with pytest.raises(ConfigurationError) as caught:
        PrivacyBudget(**settings)
    assert caught.value.field == f"privacy.{field}"


def test_a_budget_has_no_defaults():
    with pytest.raises(TypeError):
        PrivacyBudget(epsilon=1.0)
    with pytest.raises(TypeError):
        PrivacyBudget(delta=1e-9)


@pytest.mark.parametrize("epsilon, delta", [(1, 1e-9), (4.0, 1e-5), (0.01, 1e-15)])
def test_a_valid_budget_is_accepted(epsilon, delta):
    assert PrivacyBudget(epsilon=epsilon, delta=delta).rho > 0


def test_a_large_delta_needs_a_confirmation():
    with pytest.raises(ConfigurationError) as caught:
        PrivacyBudget(epsilon=1.0, delta=1e-3)
    assert caught.value.field == "privacy.delta"
    assert PrivacyBudget(epsilon=1.0, delta=1e-3, allow_large_delta=True).rho > 0


def test_a_delta_of_one_cannot_be_confirmed():
    with pytest.raises(ConfigurationError):
        PrivacyBudget(epsilon=1.0, delta=1.0, allow_large_delta=True)


def test_a_query_over_the_total_is_refused_and_costs_nothing():
    spending = RhoFilter(Fraction(1, 2), Accounting.ZCDP)
    spending.charge("first", GaussianEvent(mu_squared=Fraction(6, 10)))
    with pytest.raises(BudgetExceededError) as caught:
        spending.charge("second", GaussianEvent(mu_squared=Fraction(6, 10)))
    assert caught.value.asked == Fraction(3, 10)
    assert caught.value.left == Fraction(2, 10)
    assert "'second'" in caught.value.message
    assert "rho = 0.3" in caught.value.message and "0.2" in caught.value.message
    assert spending.spent == Fraction(3, 10)


def test_a_query_for_all_that_is_left_is_accepted():
    spending = RhoFilter(Fraction(1), Accounting.ZCDP)
    spending.charge("all", GaussianEvent(mu_squared=Fraction(2)))
    assert spending.remaining == 0


@settings(max_examples=100, deadline=None)
@given(st.fractions(min_value=0, max_value=2), st.lists(events, max_size=8), st.sampled_from(Accounting))
def test_accepted_queries_never_cost_more_than_the_total(total, asked, accounting):
    spending = RhoFilter(total, accounting)
    accepted = Fraction(0)
    for event in asked:
        cost = event.rho if accounting is Accounting.ZCDP else event.gaussian_rho
        try:
            spending.charge("query", event)
        except BudgetExceededError:
            assert accepted + cost > total
        except InternalError:
            assert cost is None
        else:
            accepted += cost
    assert accepted == spending.spent <= total


def test_discrete_noise_has_no_price_in_gaussian_dp_and_is_refused_there():
    spending = RhoFilter(Fraction(1), Accounting.GAUSSIAN)
    with pytest.raises(InternalError, match="Nothing was charged"):
        spending.charge("discrete", GaussianEvent(mu_squared=Fraction(1, 100)))
    assert spending.spent == 0
    spending.charge("rounded", RoundedGaussianEvent(mu_squared=Fraction(1, 100)))
    assert spending.spent == Fraction(1, 200)


@given(events)
def test_an_event_is_read_as_it_was_written(event):
    assert event_from_json(event.to_json()) == event


def test_events_cost_what_their_theorems_say():
    assert GaussianEvent(mu_squared=Fraction(1, 2)).rho == Fraction(1, 4)
    assert RoundedGaussianEvent(mu_squared=Fraction(1, 2)).rho == Fraction(1, 4)
    assert RoundedGaussianEvent(mu_squared=Fraction(1, 2)).gaussian_rho == Fraction(1, 4)
    selection = SelectionEvent(epsilon=Fraction(1, 2))
    assert selection.rho == Fraction(1, 32)
    assert 0 < selection.gaussian_rho - Fraction(math.pi) / 64 < Fraction(1, 10**8)


@given(events)
def test_no_event_costs_less_in_gaussian_dp_than_in_zcdp(event):
    assert event.gaussian_rho is None or event.gaussian_rho >= event.rho


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"kind": "laplace", "epsilon": "1"},
        {"kind": "gaussian", "mu_squared": 1},
        {"kind": "gaussian", "mu_squared": "-1"},
        {"kind": "gaussian", "mu_squared": "2/4"},
        {"kind": "gaussian", "mu_squared": "1", "sigma": "2"},
        {"kind": "rounded_gaussian", "mu_squared": "0"},
        {"kind": "rounded_gaussian", "epsilon": "1"},
        {"kind": "Rounded_gaussian", "mu_squared": "1"},
        {"kind": "selection", "epsilon": "1/0"},
    ],
)
def test_an_altered_event_is_refused(record):
    with pytest.raises(LedgerError):
        event_from_json(record)


@pytest.mark.parametrize("text", ["0", "-1/2", "0.5", " 1", "1/0", "x", ""])
def test_only_positive_fractions_in_lowest_terms_are_read(text):
    with pytest.raises(LedgerError):
        parse_fraction(text)


@pytest.mark.parametrize("value", [0.5, 1, Fraction(0), Fraction(-1)])
def test_an_event_that_is_not_exact_and_positive_is_refused(value):
    with pytest.raises(InternalError):
        GaussianEvent(mu_squared=value)
    with pytest.raises(InternalError):
        RoundedGaussianEvent(mu_squared=value)
    with pytest.raises(InternalError):
        SelectionEvent(epsilon=value)


def measured(noisy: np.ndarray) -> Measurement:
    return Measurement(clique=("a",), noisy=noisy, sigma_squared=Fraction(9 * 4**20), unit=2**20, query="q")


def test_a_measurement_converts_fixed_point_to_rows():
    measurement = measured(np.array([3 * 2**20, -(2**19)], dtype=np.int64))
    assert measurement.values.tolist() == [3.0, -0.5]
    assert measurement.stddev == 3.0


@pytest.mark.parametrize("noisy", [np.array([1.0, 2.0]), np.zeros((2, 2), dtype=np.int64)])
def test_a_measurement_of_another_type_or_shape_is_refused(noisy):
    with pytest.raises(InternalError):
        measured(noisy)


@pytest.mark.parametrize("changed", [{"unit": 0}, {"sigma_squared": Fraction(0)}])
def test_a_measurement_without_a_unit_or_noise_is_refused(changed):
    settings = {"clique": ("a",), "noisy": np.zeros(2, dtype=np.int64), "query": "q"}
    with pytest.raises(InternalError):
        Measurement(**(settings | {"unit": 1, "sigma_squared": Fraction(1)} | changed))


@pytest.mark.parametrize("total", [1.0, Fraction(-1)])
def test_a_filter_of_an_inexact_total_is_refused(total):
    with pytest.raises(InternalError):
        RhoFilter(total, Accounting.ZCDP)


def test_a_measurement_cannot_be_changed():
    measurement = measured(np.zeros(2, dtype=np.int64))
    with pytest.raises(ValueError, match="read-only"):
        measurement.noisy[0] = 1
