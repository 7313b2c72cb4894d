"""What is written of an epsilon is never less than is proved, and never more than fits."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from desk import Desk
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_dp.errors import BudgetExceededError
from spark_dp.pages.released import _others
from spark_dp.pipeline.describe import account_lines
from spark_dp.pipeline.describe_ledger import promise_lines, share_and_input_lines
from spark_dp.pipeline.plan_warnings import _times
from spark_dp.pipeline.report import _model_lines, accounting_lines
from spark_dp.privacy.accounting import gaussian_delta, mu_of_rho
from spark_dp.privacy.budget import PrivacyBudget, RhoExceededError
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.ledger import open_account
from spark_dp.privacy.sensitivity import Neighbours
from spark_dp.privacy.stated import at_least, at_most, declared, pair, percent
from spark_dp.privacy.thresholds import promises_beside

ADD = Neighbours.ADD_REMOVE
RHO = Accounting.GAUSSIAN.rho(2.0, 1e-7)
PROMISE = re.compile(r"ε = (\S+) at δ = ([^\s,]+?)(?=[,;.]?(?:\s|$))")


@settings(deadline=None)
@given(st.floats(1e-9, 1e6), st.integers(1, 6))
def test_a_figure_is_rounded_to_the_safe_side_and_by_less_than_a_digit(value, digits):
    above, below = float(at_least(value, digits)), float(at_most(value, digits))
    assert below <= value <= above
    assert above - below <= 1.0000001 * 10.0 ** (1 - digits) * value


@pytest.mark.parametrize("figure", ["2", "0.3", "0.1", "2.3", "1.1", "1e-09"])
def test_a_figure_of_few_digits_stays_as_it_is(figure):
    assert at_least(float(figure), 4) == at_most(float(figure), 4) == declared(float(figure)) == figure


def test_what_was_declared_is_written_with_all_of_its_digits():
    assert pair(2.1784749, 1.2345649e-7) == "(2.1784749, 1.2345649e-07)"


def test_a_confidence_is_never_certainty():
    assert (percent(0.95, 6), percent(0.57, 6), percent(0.9999999999, 6)) == ("95 %", "57 %", "99.9999 %")


def test_a_release_states_no_epsilon_that_its_noise_does_not_keep():
    promises = [
        {"delta": p.delta, "epsilon": p.epsilon}
        for p in promises_beside(Accounting.GAUSSIAN, RHO, 1e-7, RHO * 0)
    ]
    statement = {"delta": 1e-7, "accounting": {"method": "Gaussian DP", "promises": promises}}
    for said in (" ".join(accounting_lines(statement)), "; ".join(_others(statement))):
        found = PROMISE.findall(said)
        assert len(found) == len(promises) - 1
        for epsilon, delta in found:
            assert gaussian_delta(mu_of_rho(RHO), float(epsilon)) <= float(delta)


def test_an_account_states_no_epsilon_that_its_rho_does_not_keep(tmp_path):
    desk = Desk(tmp_path, accounting=Accounting.GAUSSIAN)
    desk.begin("first", PrivacyBudget(epsilon=1.0, delta=1e-6))
    account = desk.account
    for line, promise in zip(list(promise_lines(account))[1:], account.promises, strict=True):
        assert float(line.split()[1]) >= promise.epsilon


@pytest.mark.parametrize("releases", [3, 5, 7, 13, 26])
def test_a_run_may_ask_for_the_epsilon_that_show_says_a_release_can_have(tmp_path, releases):
    desk = Desk(tmp_path, accounting=Accounting.GAUSSIAN)
    account = desk.open("weekly", 4.0, releases=releases)
    shown = next(line for line in share_and_input_lines(account) if line.startswith("Releases"))
    found = re.search(r"ε = (\S+) at this δ", shown)
    assert found is not None
    desk.begin("w1", PrivacyBudget(epsilon=float(found[1]), delta=1e-6), dataset="weekly")


@pytest.mark.parametrize("accounting", list(Accounting))
@pytest.mark.parametrize("epsilon", [0.1, 0.3, 0.7, 2.3, 4.0])
def test_an_untouched_account_has_all_of_its_epsilon_left_and_promises_no_more(tmp_path, epsilon, accounting):
    desk = Desk(tmp_path, accounting=accounting)
    account = desk.open("fresh", epsilon)
    assert account.remaining_epsilon == epsilon
    said = "\n".join(account_lines(account))
    assert f"a run of ε = {epsilon:g} at this δ" in said
    assert re.search(rf"^ +{account.delta:g} +{epsilon:g}$", said, re.MULTILINE)


def test_a_run_may_take_the_delta_for_private_values_that_show_says_is_left(tmp_path):
    desk = Desk(tmp_path, accounting=Accounting.GAUSSIAN)
    account = open_account(desk.url, "learning", 4.0, 1e-7, "tailnum", ADD, thresholds="1e-8")

    def run(key: str, thresholds: str) -> None:
        part = Fraction(thresholds)
        desk.begin(key, PrivacyBudget(epsilon=1.0, delta=1e-7, thresholds=part), dataset="learning")

    run("first", "3.3333e-9")
    account = desk.ledger.show("learning")
    shown = next(line for line in share_and_input_lines(account) if line.startswith("Thresholds"))
    found = re.search(r"and (\S+) of it is left", shown)
    assert found is not None
    with pytest.raises(BudgetExceededError) as refused:
        run("more", "6.667e-9")
    assert "account 'learning' has delta = 6.66e-09" in refused.value.message
    run("second", found[1])


def test_a_run_over_the_account_is_not_said_to_ask_for_less_than_it_does(tmp_path):
    desk = Desk(tmp_path, accounting=Accounting.GAUSSIAN)
    half = Fraction("5e-8")
    open_account(desk.url, "learning", 4.0, 1e-7, "tailnum", ADD, thresholds=half)
    with pytest.raises(RhoExceededError) as refused:
        desk.begin("first", PrivacyBudget(epsilon=5.0, delta=1e-7, thresholds=half), dataset="learning")
    said = re.search(r"that is epsilon = (\S+) asked and (\S+) left", refused.value.message)
    assert said is not None
    assert float(said[1]) == pytest.approx(5.0, abs=1e-5)
    assert float(said[2]) == pytest.approx(4.0, abs=2e-5)


@pytest.mark.parametrize("epsilon, said", [(9.0, "8,104"), (21.0, "2e+09")])
def test_a_warning_makes_no_factor_smaller_than_it_is(epsilon, said):
    assert _times(epsilon) == said


def test_a_fit_is_said_to_be_no_closer_to_the_least_possible_than_was_proved():
    fitted = {"cliques": [], "converged": True, "loss": 1.0, "noise_floor": 1.0, "gap": 0.01234, "total": 9.0}
    assert "within 0.0124 of the least possible" in " ".join(_model_lines(fitted))
