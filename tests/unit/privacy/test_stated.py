"""What is written of an epsilon is never less than is proved, and never more than fits."""

from __future__ import annotations

import re

import pytest
from desk import Desk
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_dp.pages.released import _others
from spark_dp.pipeline.describe_ledger import promise_lines, share_and_input_lines
from spark_dp.pipeline.plan_warnings import _times
from spark_dp.pipeline.report import accounting_lines
from spark_dp.privacy.accounting import gaussian_delta, mu_of_rho
from spark_dp.privacy.budget import PrivacyBudget
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.stated import at_least, at_most
from spark_dp.privacy.thresholds import promises_beside

RHO = Accounting.GAUSSIAN.rho(2.0, 1e-7)
PROMISE = re.compile(r"ε = (\S+) at δ = ([^\s,]+?)(?=[,;.]?(?:\s|$))")


@settings(deadline=None)
@given(st.floats(1e-9, 1e6), st.integers(1, 6))
def test_a_figure_is_rounded_to_the_safe_side_and_by_less_than_a_digit(value, digits):
    above, below = float(at_least(value, digits)), float(at_most(value, digits))
    assert below <= value <= above
    assert above - below <= 1.0000001 * 10.0 ** (1 - digits) * value


def test_a_round_figure_stays_as_it_is():
    assert at_least(2.0, 4) == at_most(2.0, 4) == "2"


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


def test_an_untouched_account_has_all_of_its_epsilon_left(tmp_path):
    desk = Desk(tmp_path, accounting=Accounting.GAUSSIAN)
    assert desk.open("fresh", 4.0).remaining_epsilon == 4.0


@pytest.mark.parametrize("epsilon, said", [(9.0, "8,104"), (21.0, "2e+09")])
def test_a_warning_makes_no_factor_smaller_than_it_is(epsilon, said):
    assert _times(epsilon) == said
