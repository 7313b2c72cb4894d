"""Accounts that add up in Gaussian DP, beside those that add up in zCDP."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest
import sqlalchemy as sa
from desk import BUDGET, DATASET, Desk
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import SeededEntropy

from spark_dp.errors import BudgetExceededError, InternalError, LedgerError
from spark_dp.privacy.composition import (
    GAUSSIAN_METHOD,
    ZCDP_METHOD,
    Accounting,
    EventSum,
    stated_deltas,
)
from spark_dp.privacy.events import GaussianEvent, RoundedGaussianEvent, SelectionEvent
from spark_dp.privacy.noise_law import NoiseLaw
from spark_dp.privacy.scoring import Candidate

RHO = BUDGET.rho_in(Accounting.GAUSSIAN)
FLAT = [Candidate(clique=("a",), estimate=np.zeros(2)), Candidate(clique=("b",), estimate=np.zeros(3))]


@pytest.fixture
def gaussian(tmp_path) -> Desk:
    return Desk(tmp_path, accounting=Accounting.GAUSSIAN)


def stored_events(desk: Desk) -> list[dict[str, str]]:
    with sa.create_engine(desk.url, poolclass=sa.NullPool).connect() as connection:
        return [
            json.loads(text) for text in connection.scalars(sa.text("SELECT event FROM spark_dp_queries"))
        ]


# what the same epsilon and delta pay for ----------------------------------------------------------------------


@pytest.mark.parametrize("epsilon, delta", [(0.1, 1e-6), (1.0, 1e-9), (4.0, 1e-6), (8.0, 1e-9)])
def test_gaussian_dp_pays_for_four_to_nine_percent_less_noise(epsilon, delta):
    gain = Accounting.GAUSSIAN.rho(epsilon, delta) / Accounting.ZCDP.rho(epsilon, delta)
    assert 1.04 < float(gain) ** 0.5 < 1.09


@settings(max_examples=50, deadline=None)
@given(st.floats(0.01, 30), st.floats(1e-12, 1e-5), st.sampled_from(Accounting))
def test_what_a_budget_pays_for_keeps_its_delta_and_a_millionth_more_does_not(epsilon, delta, accounting):
    rho = accounting.rho(epsilon, delta)
    assert accounting.delta(rho, epsilon) <= delta < accounting.delta(rho * (1 + Fraction(1, 10**6)), epsilon)
    assert accounting.epsilon(rho, delta) == pytest.approx(epsilon, rel=1e-9)


def test_the_promise_names_the_tighter_conversion():
    assert Accounting.GAUSSIAN.promise(RHO, 1e-9).method == GAUSSIAN_METHOD
    assert Accounting.ZCDP.promise(RHO, 1e-9).method == ZCDP_METHOD
    assert Accounting.ZCDP.epsilon(RHO, 1e-9) > Accounting.GAUSSIAN.epsilon(RHO, 1e-9)


def test_events_are_converted_by_the_tighter_conversion():
    measured = [RoundedGaussianEvent(mu_squared=Fraction(1, 50))] * 3
    chosen = [SelectionEvent(epsilon=Fraction(1, 2))] * 10
    assert EventSum.of(measured).promise(1e-9).method == GAUSSIAN_METHOD
    assert EventSum.of(chosen).promise(1e-9).method == ZCDP_METHOD
    assert EventSum.of([*measured, *chosen]).gaussian_rho > EventSum.of([*measured, *chosen]).rho
    discrete = [*measured, GaussianEvent(mu_squared=Fraction(1, 50))]
    assert EventSum.of(discrete).gaussian_rho is None
    assert EventSum.of(discrete).promise(1e-9).method == ZCDP_METHOD


def test_a_promise_is_stated_at_its_own_delta_and_at_others():
    assert stated_deltas(3e-8) == (1e-5, 1e-6, 1e-7, 3e-8, 1e-8, 1e-9, 1e-10, 1e-12)
    assert stated_deltas(1e-9).count(1e-9) == 1


# what a run draws and is charged ------------------------------------------------------------------------------


def test_a_run_draws_and_is_charged_in_the_accounting_of_its_account(gaussian: Desk):
    curator = gaussian.curator()
    (measured,) = curator.measure("q", [("a",)], rho=RHO / 2)
    curator.select("s", FLAT, rho=RHO / 2)
    assert measured.law is NoiseLaw.ROUNDED
    first, second = stored_events(gaussian)
    assert first == {"kind": "rounded_gaussian", "mu_squared": str(RHO)}
    epsilon = Fraction(second["epsilon"])
    assert 0 < float(RHO / 2 - SelectionEvent(epsilon=epsilon).gaussian_rho) < 1e-12
    assert SelectionEvent(epsilon=epsilon).rho < RHO / 2 * Fraction(2, 3)
    assert gaussian.spent() == RHO > BUDGET.rho


def test_a_zcdp_account_draws_discrete_noise_and_is_written_as_by_earlier_releases(desk: Desk):
    (measured,) = desk.curator().measure("q", [("a",)], rho=BUDGET.rho)
    assert measured.law is NoiseLaw.DISCRETE
    assert stored_events(desk) == [{"kind": "gaussian", "mu_squared": str(2 * BUDGET.rho)}]
    with sa.create_engine(desk.url, poolclass=sa.NullPool).connect() as connection:
        assert connection.scalar(sa.text("SELECT rho FROM spark_dp_accounts")) == str(desk.account.rho)


def test_a_selection_cannot_take_in_gaussian_dp_what_it_costs_in_zcdp(gaussian: Desk):
    account = gaussian.begin()
    event = SelectionEvent(epsilon=Accounting.ZCDP.selection_epsilon(account.rho))
    assert event.rho <= account.rho
    with pytest.raises(BudgetExceededError):
        account.reserve(0, "s", "select", "0" * 64, event)
    cheaper = SelectionEvent(epsilon=Accounting.GAUSSIAN.selection_epsilon(account.rho))
    account.reserve(0, "s", "select", "0" * 64, cheaper)


def test_the_ledger_itself_refuses_discrete_noise_in_a_gaussian_account(gaussian: Desk):
    account = gaussian.begin()
    cheap = Fraction(1, 10**9)
    with pytest.raises(InternalError, match="Nothing was charged"):
        account.reserve(0, "q", "measure", "0" * 64, GaussianEvent(mu_squared=cheap))
    assert stored_events(gaussian) == []
    account.reserve(0, "q", "measure", "0" * 64, RoundedGaussianEvent(mu_squared=cheap))


def test_a_resumed_run_gives_the_same_answer_and_keeps_its_accounting(gaussian: Desk):
    first = gaussian.curator().measure("q", [("a", "b")], rho=RHO / 2)[0]
    resumed = gaussian.curator()
    again = resumed.measure("q", [("a", "b")], rho=RHO / 2)[0]
    assert np.array_equal(first.noisy, again.noisy)
    assert (again.law, resumed.remaining) == (NoiseLaw.ROUNDED, RHO / 2)


def test_a_stored_specification_under_the_other_law_is_refused(gaussian: Desk):
    gaussian.curator().measure("q", [("a", "b")], rho=RHO / 2)
    event = json.dumps({"kind": "gaussian", "mu_squared": str(RHO)}, separators=(",", ":"))
    gaussian.alter("UPDATE spark_dp_queries SET event = ?", event)
    with pytest.raises(LedgerError, match="altered"):
        gaussian.curator().measure("q", [("a", "b")], rho=RHO / 2)


def test_rounding_is_part_of_the_noise_that_is_stated():
    from spark_dp.privacy.rounded_gaussian import rounded_gaussian

    for sigma_squared in (Fraction(1, 4), Fraction(1), Fraction(9)):
        stated = float(NoiseLaw.ROUNDED.variance(sigma_squared))
        drawn = rounded_gaussian(sigma_squared, 200_000).astype(float).var()
        assert drawn < stated * 1.02
        assert drawn > float(sigma_squared) * 1.005 or sigma_squared > 1
        assert NoiseLaw.DISCRETE.variance(sigma_squared) == sigma_squared


# accounts -----------------------------------------------------------------------------------------------------


def test_one_run_may_take_all_of_an_account_of_its_epsilon_and_delta(gaussian: Desk):
    from spark_dp.privacy.budget import PrivacyBudget

    whole = PrivacyBudget(epsilon=10.0, delta=1e-6)
    assert gaussian.begin("all", whole).rho == gaussian.account.rho == gaussian.spent()
    with pytest.raises(BudgetExceededError, match="No epsilon fits any more"):
        gaussian.begin("more", PrivacyBudget(epsilon=0.01, delta=1e-6))


def test_an_account_keeps_its_accounting_and_runs_of_both_kinds_never_share_one(gaussian: Desk):
    assert gaussian.ledger.show(DATASET).accounting is Accounting.GAUSSIAN
    gaussian.accounting = Accounting.ZCDP
    gaussian.open("old", 10.0)
    assert gaussian.ledger.show("old").accounting is Accounting.ZCDP
    assert gaussian.begin("k", dataset="old").accounting is Accounting.ZCDP
    assert gaussian.begin("k").accounting is Accounting.GAUSSIAN


@pytest.mark.parametrize(
    "written", ["gaussian 1000", "gaussian 1.5", "gaussian", "gaussian -1", "renyi 1/100", " 1"]
)
def test_an_account_with_an_altered_or_unknown_accounting_is_refused(gaussian: Desk, written):
    from spark_dp.privacy.account_rules import rho_of

    account = {"dataset": "d", "epsilon": 10.0, "delta": 1e-6, "rho": written}
    with pytest.raises(LedgerError):
        rho_of(account)
    assert rho_of(account | {"rho": f"gaussian {gaussian.account.rho}"}) == gaussian.account.rho
    gaussian.alter("UPDATE spark_dp_accounts SET rho = ?", written)
    with pytest.raises(LedgerError):
        gaussian.ledger.show(DATASET)


def test_a_zcdp_account_cannot_be_relabelled(desk: Desk):
    desk.alter("UPDATE spark_dp_accounts SET rho = 'gaussian ' || rho")
    with pytest.raises(LedgerError, match="altered"):
        desk.begin()


def test_an_account_adds_up_the_events_of_its_runs_and_states_several_deltas(gaussian: Desk):
    for key in ("one", "two"):
        gaussian.curator(key).measure("q", [("a",)], rho=RHO / 2)
    view = gaussian.ledger.show(DATASET)
    assert (view.asked.count, view.asked.rho, view.asked.gaussian_rho) == (2, RHO, RHO)
    assert (
        [p.delta for p in view.promises]
        == list(stated_deltas(1e-6))
        == [p.delta for p in view.asked_promises]
    )
    at = {p.delta: p for p in view.promises}
    assert at[1e-6].epsilon == pytest.approx(10.0) and at[1e-6].method == GAUSSIAN_METHOD
    assert at[1e-5].epsilon < at[1e-6].epsilon < at[1e-12].epsilon
    asked = {p.delta: p.epsilon for p in view.asked_promises}
    assert asked[1e-9] == pytest.approx(1.0)


def test_what_a_voided_run_asked_is_not_added_up(gaussian: Desk):
    account = gaussian.begin("one")
    account.reserve(0, "q", "measure", "0" * 64, RoundedGaussianEvent(mu_squared=RHO))
    assert gaussian.ledger.show(DATASET).asked.count == 1
    assert account.void_if_unanswered()
    view = gaussian.ledger.show(DATASET)
    assert (view.asked.count, view.asked_promises) == (0, ())


def test_the_curator_draws_no_noise_but_by_the_law_of_its_account():
    """A sampler by name would draw one law and charge for the other."""
    from spark_dp.privacy import curator

    assert not {name for name in vars(curator) if "gaussian" in name.lower()}
    assert {accounting.noise for accounting in Accounting} == set(NoiseLaw)


@pytest.mark.parametrize("accounting", Accounting)
@pytest.mark.parametrize("kind", ["measure", "score"])
def test_every_answer_has_the_noise_of_its_account_s_law_and_is_charged_for_it(tmp_path, accounting, kind):
    desk, law = Desk(tmp_path, accounting=accounting), accounting.noise
    budget = BUDGET.rho_in(accounting)
    curator = desk.curator(entropy=SeededEntropy(5))
    if kind == "measure":
        (answer,) = curator.measure("q", [("a", "b", "c")], rho=budget)
        exact, noisy = desk.table.marginal(("a", "b", "c")).ravel(), answer.noisy.ravel()
        squared = 1
    else:
        distances = curator.score("q", FLAT, rho=budget)
        # The distances from estimates of 0 are the totals.
        exact = np.array([desk.table.marginal(c.clique).sum() for c in FLAT])
        noisy = np.array([round(distance.rows) for distance in distances])
        squared = len(FLAT)
    assert (noisy - exact).tolist() == law.draw(squared / (2 * budget), exact.size, SeededEntropy(5)).tolist()
    assert stored_events(desk) == [law.event(2 * budget).to_json()]
    assert curator.remaining == 0
