"""What a plan says of the account that it would charge."""

import json

import pytest
from support.planned import PASSWORD, page, planned, warnings

from spark_dp.pipeline.plan_account import affordable_epsilon
from spark_dp.privacy.budget import PrivacyBudget
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.ledger import Ledger, open_account
from spark_dp.privacy.sensitivity import Neighbours


def begin(ledger, key, epsilon=1.0, delta=1e-9):
    budget = PrivacyBudget(epsilon=epsilon, delta=delta)
    return ledger.begin("visits", key, "0" * 64, budget, "person", Neighbours.ADD_REMOVE)


def test_a_plan_says_what_is_left_before_and_after(tmp_path, ledger):
    plan = planned(tmp_path)
    standing = plan.standing()
    assert standing.state == "enough"
    assert standing.left_after == ledger.show("visits").rho - plan.queries.rho
    assert standing.epsilon_after > 0
    assert standing.runs_after == int(standing.left_after / plan.queries.rho) >= 1
    shown = page(plan)
    assert "left before" in shown
    assert "left after" in shown
    assert "more runs like this one" in shown


def test_a_plan_spends_nothing_and_creates_no_ledger(tmp_path, ledger):
    planned(tmp_path).facts()
    assert ledger.show("visits").spent_rho == 0
    empty = tmp_path / "empty"
    empty.mkdir()
    planned(empty).facts()
    assert list(empty.iterdir()) == []


def test_a_key_that_was_charged_costs_nothing_again(tmp_path, ledger):
    begin(ledger, "first")
    plan = planned(tmp_path)
    standing = plan.standing()
    assert (standing.state, standing.rho) == ("charged", 0)
    assert standing.left_after == ledger.show("visits").remaining_rho
    assert "charged already, costs nothing again" in page(plan)


def test_a_run_that_was_given_back_was_not_charged(tmp_path, ledger):
    assert begin(ledger, "first").void_if_unanswered()
    assert planned(tmp_path).standing().state == "enough"


def test_a_key_that_was_charged_otherwise_is_taken(tmp_path, ledger):
    begin(ledger, "first", epsilon=0.5)
    plan = planned(tmp_path)
    assert plan.standing().state == "key taken"
    assert "Choose another run.key" in warnings(plan)


def test_more_than_the_share_of_a_release_is_a_warning_with_the_epsilon_that_fits(tmp_path):
    url = f"sqlite:///{tmp_path}/{PASSWORD}.db"
    view = open_account(url, "visits", 2.0, 1e-9, "person", Neighbours.ADD_REMOVE, releases=10)
    plan = planned(tmp_path)
    standing = plan.standing()
    assert standing.state == "short"
    assert standing.fits == pytest.approx(view.release_epsilon, rel=1e-3)
    assert "for 10 releases" in warnings(plan)
    assert f"privacy.epsilon: {standing.fits:g} would fit" in warnings(plan)
    fitting = planned(tmp_path, f"privacy.epsilon={standing.fits!r}")
    assert fitting.standing().state == "enough"
    begin(Ledger.connect(url), "first", epsilon=standing.fits)


def test_too_little_left_is_a_warning_with_the_epsilon_that_fits(tmp_path, ledger):
    begin(ledger, "other", epsilon=1.7)
    plan = planned(tmp_path)
    standing = plan.standing()
    assert standing.state == "short"
    assert 0 < standing.fits < 1
    assert f"privacy.epsilon: {standing.fits:g} would fit" in warnings(plan)
    assert planned(tmp_path, f"privacy.epsilon={standing.fits:g}").standing().state == "enough"
    assert planned(tmp_path, f"privacy.epsilon={standing.fits * 1.01:g}").standing().state == "short"


def test_an_empty_account_says_that_nothing_is_left(tmp_path, ledger):
    begin(ledger, "other", epsilon=2.0)
    plan = planned(tmp_path)
    assert plan.standing().fits == 0
    assert "Nothing is left" in warnings(plan)


@pytest.mark.parametrize("epsilon", [0.0123, 0.5, 1.0, 3.99, 17.0])
@pytest.mark.parametrize("delta", [1e-9, 1e-6])
@pytest.mark.parametrize("accounting", Accounting)
def test_what_is_said_to_fit_fits_and_is_little_less_than_all(epsilon, delta, accounting):
    rho = accounting.rho(epsilon, delta)
    found = affordable_epsilon(rho, delta, accounting)
    assert accounting.rho(found, delta) <= rho
    assert 0.998 * epsilon <= found <= epsilon


@pytest.mark.parametrize(
    ("overrides", "state", "said"),
    [
        (["privacy.dataset=visit"], "not opened", "Did you mean 'visits'"),
        (["privacy.ledger=env:NO_SUCH_VARIABLE"], "unreachable", "NO_SUCH_VARIABLE"),
        (["privacy.ledger=postgresql+psycopg://u:hunter2@127.0.0.1:1/x"], "unreachable", ""),
        (["privacy.ledger=mysql://u:hunter2@127.0.0.1/x"], "unreachable", "no URL of a supported database"),
        (["privacy.unit=row"], "refused", "Charge another account"),
        (["privacy.neighbours=replace"], "refused", "Charge another account"),
    ],
)
def test_an_account_that_cannot_be_charged_is_said_so_and_the_plan_is_made(
    tmp_path, ledger, overrides, state, said
):
    plan = planned(tmp_path, *overrides)
    assert plan.standing().state == state
    assert said in plan.standing().said
    assert "WHAT WILL BE ASKED" in page(plan)
    assert PASSWORD not in page(plan) + json.dumps(plan.facts())


def test_a_closed_account_is_a_warning(tmp_path, ledger):
    ledger.close_account("visits")
    assert "closed" in warnings(planned(tmp_path))


def test_the_ledgers_url_is_nowhere(tmp_path, ledger):
    for folder in (tmp_path, tmp_path / "none"):
        plan = planned(folder)
        assert PASSWORD not in page(plan) + json.dumps(plan.facts()) + repr(plan)
