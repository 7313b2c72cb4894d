from __future__ import annotations

import re
from fractions import Fraction

import pytest
from desk import DATASET, UNIT, Desk
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_dp.errors import BudgetExceededError, ConfigurationError, LedgerError
from spark_dp.privacy.account_rules import affordable_epsilon
from spark_dp.privacy.budget import PrivacyBudget
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.ledger import open_account
from spark_dp.privacy.sensitivity import Neighbours

ON_BOTH_DATABASES = True
DELTA = 1e-6


def budget(epsilon: float, delta: float = DELTA) -> PrivacyBudget:
    return PrivacyBudget(epsilon=epsilon, delta=delta)


def test_all_releases_fit_and_no_more(desk: Desk):
    view = desk.open("weekly", 4.0, releases=5)
    assert view.release_rho == view.rho / 5
    assert view.releases_left == 5
    for week in range(5):
        desk.begin(f"w{week}", budget(view.release_epsilon), dataset="weekly")
        assert desk.ledger.show("weekly").releases_left == 4 - week
    with pytest.raises(BudgetExceededError):
        desk.begin("w5", budget(view.release_epsilon), dataset="weekly")


def test_one_run_cannot_take_more_than_its_share(desk: Desk):
    view = desk.open("weekly", 4.0, releases=52)
    with pytest.raises(BudgetExceededError, match="52 releases") as caught:
        desk.begin("greedy", budget(view.release_epsilon * 1.001), dataset="weekly")
    assert caught.value.left == view.rho / 52
    assert desk.ledger.show("weekly").spent_rho == 0


def test_one_run_cannot_take_more_than_its_share_of_the_delta_of_thresholds(tmp_path):
    desk = Desk(tmp_path, thresholds=Fraction(4, 10**8))
    desk.open("weekly", 4.0, releases=4)
    whole = PrivacyBudget(epsilon=0.1, delta=DELTA, thresholds=Fraction(2, 10**8))
    with pytest.raises(BudgetExceededError, match="1e-08 for those of this run"):
        desk.begin("greedy", whole, dataset="weekly")
    assert desk.ledger.show("weekly").spent_thresholds == 0
    share = PrivacyBudget(epsilon=0.1, delta=DELTA, thresholds=Fraction(1, 10**8))
    for week in range(4):
        desk.begin(f"w{week}", share, dataset="weekly")
    with pytest.raises(BudgetExceededError):
        desk.begin("w4", share, dataset="weekly")


@pytest.mark.parametrize("releases, epsilon", [(52, 1.0), (None, 4.1)])
@pytest.mark.parametrize("delta", [1e-6, 1e-9])
def test_a_refusal_names_an_epsilon_that_fits(desk: Desk, releases, epsilon, delta):
    desk.open("weekly", 4.0, releases=releases)
    with pytest.raises(BudgetExceededError) as caught:
        desk.begin("k", budget(epsilon * 2, delta), dataset="weekly")
    named = float(re.search(r"privacy\.epsilon to (\S+),", caught.value.message)[1])
    with pytest.raises(BudgetExceededError):
        desk.begin("k", budget(named * 1.0001, delta), dataset="weekly")
    desk.begin("k", budget(named, delta), dataset="weekly")


def test_a_spent_account_names_no_epsilon(desk: Desk):
    desk.open("once", 1.0)
    desk.begin("all", budget(1.0), dataset="once")
    with pytest.raises(BudgetExceededError, match="No epsilon fits any more"):
        desk.begin("more", budget(0.1), dataset="once")


@settings(max_examples=30, deadline=None)
@given(st.floats(0.01, 20), st.integers(1, 1000), st.floats(1e-12, 1e-5), st.sampled_from(Accounting))
def test_the_epsilon_of_a_release_is_paid_for_by_its_share(epsilon, releases, delta, accounting):
    share = accounting.rho(epsilon, delta) / releases
    fits = affordable_epsilon(share, delta, accounting)
    assert accounting.rho(fits, delta) <= share
    assert accounting.rho(fits * 1.00001, delta) > share


@pytest.mark.parametrize("releases", [0, -1, 2.5, True, 10**7])
def test_a_number_of_releases_that_is_none_is_refused(tmp_path, releases):
    with pytest.raises(ConfigurationError, match="releases"):
        open_account(
            f"sqlite:///{tmp_path}/l.db", "x", 1.0, 1e-6, "row", Neighbours.ADD_REMOVE, releases=releases
        )
    assert not list(tmp_path.iterdir())


def test_a_run_with_a_larger_delta_than_the_account_is_refused(desk: Desk):
    for ask in (
        lambda: desk.begin("k", budget(0.1, 2e-6)),
        lambda: desk.ledger.require_affordable(DATASET, "k", budget(0.1, 2e-6), UNIT, Neighbours.ADD_REMOVE),
    ):
        with pytest.raises(LedgerError, match=r"Lower privacy\.delta to 1e-06") as caught:
            ask()
        assert (caught.value.field, caught.value.exit_code) == ("privacy.delta", 77)
    assert desk.spent() == 0
    desk.begin("k", budget(0.1, 1e-6))
