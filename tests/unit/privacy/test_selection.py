from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_dp.errors import InternalError
from spark_dp.privacy.selection import epsilon_of_rho, exponential_mechanism

ONE = Fraction(1)


def test_a_single_candidate_is_chosen():
    assert exponential_mechanism([-(10**30)], ONE, ONE) == 0


def test_a_huge_gap_decides():
    assert exponential_mechanism([0, 10**40, 10**40 - 10**20], ONE, ONE) == 1


def test_a_gap_that_floats_cannot_see_does_not_decide():
    large = 10**40
    chosen = {exponential_mechanism([large, large + 1], Fraction(1, 100), ONE) for _ in range(60)}
    assert chosen == {0, 1}


def test_candidates_that_depend_on_nothing_are_chosen_uniformly():
    assert {exponential_mechanism([3, 3, 3], ONE, Fraction(0)) for _ in range(200)} == {0, 1, 2}


def test_unequal_scores_that_claim_to_depend_on_nothing_are_refused():
    with pytest.raises(InternalError, match="sensitivity 0"):
        exponential_mechanism([3, 4], ONE, Fraction(0))


@pytest.mark.parametrize(
    "scores, epsilon, sensitivity",
    [
        ([], ONE, ONE),
        ([1.0, 2.0], ONE, ONE),
        ([True, 2], ONE, ONE),
        ([1, float("nan")], ONE, ONE),
        ([1, 2], Fraction(0), ONE),
        ([1, 2], Fraction(-1), ONE),
        ([1, 2], 1.0, ONE),
        ([1, 2], ONE, Fraction(-1)),
        ([1, 2], ONE, 1.0),
    ],
)
def test_what_is_not_exact_is_refused(scores, epsilon, sensitivity):
    with pytest.raises(InternalError):
        exponential_mechanism(scores, epsilon, sensitivity)


@settings(max_examples=200, deadline=None)
@given(st.fractions(min_value=Fraction(1, 10**30), max_value=10**9))
def test_the_epsilon_of_a_rho_costs_just_less_than_it(rho):
    epsilon = epsilon_of_rho(rho)
    assert epsilon**2 / 8 <= rho
    assert (epsilon * (1 + Fraction(1, 2**58))) ** 2 / 8 > rho


@pytest.mark.parametrize("rho", [Fraction(0), Fraction(-1, 3)])
def test_a_selection_for_nothing_is_refused(rho):
    with pytest.raises(InternalError):
        epsilon_of_rho(rho)
