from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from desk import BUDGET, DATASET, DIGEST, UNIT, Desk

from spark_dp.errors import (
    BudgetError,
    BudgetExceededError,
    ConfigurationError,
    LedgerError,
    TransientError,
)
from spark_dp.privacy.account_rules import affordable_epsilon
from spark_dp.privacy.accounting import zcdp_epsilon, zcdp_rho
from spark_dp.privacy.budget import PrivacyBudget
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.events import GaussianEvent
from spark_dp.privacy.ledger import Ledger, open_account
from spark_dp.privacy.sensitivity import Neighbours
from spark_dp.privacy.stated import at_least, at_most

ON_BOTH_DATABASES = True
ADD = Neighbours.ADD_REMOVE

RACE = """
import sys
from spark_dp.errors import BudgetExceededError
from spark_dp.privacy.budget import PrivacyBudget
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.events import GaussianEvent
from spark_dp.privacy.ledger import Ledger
from spark_dp.privacy.sensitivity import Neighbours
ledger = Ledger.connect(sys.argv[1])
budget = PrivacyBudget(epsilon=1.0, delta=1e-6)
print("ready", flush=True)
sys.stdin.readline()
won = 0
for i in range(10):
    try:
        ledger.begin("last", f"{sys.argv[2]}-{i}", "d", budget, "row", Neighbours.ADD_REMOVE)
        won += 1
    except BudgetExceededError:
        pass
print(won)
"""


def test_opening_an_account_states_what_it_may_spend(desk: Desk):
    account = desk.account
    assert (account.dataset, account.unit, account.neighbours) == (DATASET, UNIT, ADD)
    assert (account.epsilon, account.delta, account.status) == (10.0, 1e-6, "open")
    assert account.rho == account.remaining_rho == zcdp_rho(10.0, 1e-6)
    assert account.spent_rho == 0
    assert account.spent_epsilon == 0.0
    assert account.remaining_epsilon == pytest.approx(10.0)


def test_an_account_is_not_opened_twice(desk: Desk):
    desk.begin()
    with pytest.raises(LedgerError, match="already"):
        desk.open(DATASET, 100.0)
    assert desk.ledger.show(DATASET).epsilon == 10.0
    assert desk.spent() == BUDGET.rho


def test_a_second_account_leaves_the_first_as_it_is(desk: Desk):
    desk.begin()
    desk.open("other", 1.0)
    assert desk.spent() == BUDGET.rho
    assert desk.ledger.show("other").spent_rho == 0


@pytest.mark.parametrize(
    "changed, field",
    [
        ({"epsilon": 0.0}, "privacy.epsilon"),
        ({"delta": None}, "privacy.delta"),
        ({"delta": 1e-3}, "privacy.delta"),
        ({"dataset": ""}, "privacy.dataset"),
        ({"unit": None}, "privacy.unit"),
    ],
)
def test_an_account_that_is_not_valid_creates_no_ledger(tmp_path, changed, field):
    arguments = {"dataset": "x", "epsilon": 1.0, "delta": 1e-6, "unit": "row", "neighbours": ADD} | changed
    with pytest.raises(ConfigurationError) as caught:
        open_account(f"sqlite:///{tmp_path}/l.db", **arguments)
    assert caught.value.field == field
    assert not list(tmp_path.iterdir())


def test_a_missing_ledger_is_refused_and_not_created(tmp_path):
    with pytest.raises(LedgerError, match="fresh budget"):
        Ledger.connect(f"sqlite:///{tmp_path}/lost.db")
    assert not list(tmp_path.iterdir())


def test_an_empty_file_is_no_ledger(tmp_path):
    (tmp_path / "empty.db").touch()
    with pytest.raises(LedgerError, match="no ledger"):
        Ledger.connect(f"sqlite:///{tmp_path}/empty.db")
    assert (tmp_path / "empty.db").stat().st_size == 0


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "text.db").write_text("no database" * 1000)
    with pytest.raises(LedgerError):
        Ledger.connect(f"sqlite:///{tmp_path}/text.db")


def test_a_ledger_of_an_unknown_version_is_refused(desk: Desk):
    desk.alter("UPDATE spark_dp_ledger SET value = '3' WHERE name = 'version'")
    with pytest.raises(LedgerError, match="version '3'"):
        Ledger.connect(desk.url)
    with pytest.raises(LedgerError, match="version '3'"):
        desk.open("other", 1.0)


def test_a_ledger_without_one_of_its_tables_is_refused(desk: Desk):
    desk.alter("DROP TABLE spark_dp_queries")
    with pytest.raises(LedgerError, match="spark_dp_queries"):
        Ledger.connect(desk.url)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE spark_dp_accounts SET rho = '1000'",
        "UPDATE spark_dp_accounts SET rho = '1.5'",
        "UPDATE spark_dp_accounts SET rho = '-1'",
        "UPDATE spark_dp_accounts SET epsilon = 1.0",
    ],
)
def test_an_altered_account_is_refused(desk: Desk, statement):
    desk.alter(statement)
    with pytest.raises(LedgerError):
        desk.begin()


@pytest.mark.parametrize("rho", ["-1/2", "0", "half"])
def test_an_altered_run_is_refused(desk: Desk, rho):
    desk.begin("first")
    desk.alter("UPDATE spark_dp_runs SET rho = ?", rho)
    with pytest.raises(LedgerError):
        desk.begin("second")


SECRET = "hunter2secret"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+nosuchdriver://me:{SECRET}@db.invalid/ledger",
        f"mysql://me:{SECRET}@db.invalid/ledger",
        f"nonsense {SECRET}",
        f"sqlite:////nowhere/{SECRET}/ledger.db",
        f"sqlite:///:memory:?password={SECRET}",
        "sqlite://",
        "",
    ],
)
def test_an_unusable_url_is_refused_and_never_shown(url, monkeypatch):
    monkeypatch.setenv("SPARK_DP_TEST_LEDGER", url)
    for given in (url, "env:SPARK_DP_TEST_LEDGER"):
        with pytest.raises((BudgetError, TransientError)) as caught:
            Ledger.connect(given)
        assert SECRET not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_url_comes_from_the_environment(desk: Desk, monkeypatch):
    monkeypatch.setenv("SPARK_DP_TEST_LEDGER", desk.url)
    ledger = Ledger.connect("env:SPARK_DP_TEST_LEDGER")
    assert ledger.show(DATASET) == desk.account
    assert str(desk.file) not in repr(ledger) + repr(desk.begin())


def test_a_variable_that_is_not_set_is_named():
    with pytest.raises(LedgerError, match="SPARK_DP_NOT_SET"):
        Ledger.connect("env:SPARK_DP_NOT_SET")


def test_an_unknown_account_names_those_that_exist(desk: Desk):
    with pytest.raises(LedgerError, match=r"Did you mean 'flights'\?") as caught:
        desk.ledger.begin("flihgts", "k", DIGEST, BUDGET, UNIT, ADD)
    assert caught.value.field == "privacy.dataset"
    for ask in (desk.ledger.show, desk.ledger.history, desk.ledger.close_account):
        with pytest.raises(LedgerError):
            ask("unknown")


@pytest.mark.parametrize(
    "unit, neighbours, field",
    [("carrier", ADD, "privacy.unit"), (UNIT, Neighbours.REPLACE, "privacy.neighbours")],
)
def test_a_run_with_another_promise_is_refused(desk: Desk, unit, neighbours, field):
    with pytest.raises(LedgerError) as caught:
        desk.ledger.begin(DATASET, "k", DIGEST, BUDGET, unit, neighbours)
    assert caught.value.field == field
    assert desk.spent() == 0


def test_a_run_reserves_its_whole_cost_at_its_start(desk: Desk):
    account = desk.begin()
    assert account.rho == BUDGET.rho == desk.spent()
    view = desk.ledger.show(DATASET)
    assert view.remaining_rho == view.rho - BUDGET.rho
    assert view.spent_epsilon == zcdp_epsilon(BUDGET.rho, 1e-6)


def test_the_same_key_resumes_at_no_charge(desk: Desk):
    first, second = desk.begin(), desk.begin()
    assert first.run_id == second.run_id
    assert desk.spent() == BUDGET.rho
    assert desk.begin("other").run_id != first.run_id
    assert desk.spent() == 2 * BUDGET.rho


@pytest.mark.parametrize(
    "digest, budget", [("1" * 64, BUDGET), (DIGEST, PrivacyBudget(epsilon=0.5, delta=1e-9))]
)
def test_the_same_key_with_another_identity_is_refused(desk: Desk, digest, budget):
    desk.begin("k")
    with pytest.raises(ConfigurationError) as caught:
        desk.ledger.begin(DATASET, "k", digest, budget, UNIT, ADD)
    assert caught.value.field == "run.key"
    assert desk.spent() == BUDGET.rho


def test_a_run_over_the_account_says_what_is_left_and_what_was_asked(desk: Desk):
    desk.begin("small")
    large = PrivacyBudget(epsilon=10.0, delta=1e-6)
    with pytest.raises(BudgetExceededError) as caught:
        desk.begin("large", large)
    left = desk.ledger.show(DATASET).remaining_rho
    assert caught.value.asked == large.rho
    assert caught.value.left == left
    assert f"epsilon = {at_least(zcdp_epsilon(large.rho, 1e-6), 6)} asked" in caught.value.message
    assert f"{at_most(affordable_epsilon(left, 1e-6, Accounting.ZCDP), 6)} left" in caught.value.message
    assert desk.spent() == BUDGET.rho


@pytest.mark.parametrize("accounting", Accounting)
def test_the_remaining_epsilon_can_be_spent_and_no_more(tmp_path, accounting):
    desk = Desk(tmp_path, accounting=accounting)
    desk.begin("small")
    remaining = desk.ledger.show(DATASET).remaining_epsilon
    with pytest.raises(BudgetExceededError):
        desk.begin("too much", PrivacyBudget(epsilon=remaining * 1.0001, delta=1e-6))
    desk.begin("rest", PrivacyBudget(epsilon=remaining, delta=1e-6))
    assert desk.spent() <= desk.account.rho
    with pytest.raises(BudgetExceededError):
        desk.begin("more", PrivacyBudget(epsilon=0.01, delta=1e-6))


def test_an_exhausted_account_still_resumes_its_runs(desk: Desk):
    desk.begin("all", PrivacyBudget(epsilon=10.0, delta=1e-6))
    assert desk.ledger.show(DATASET).remaining_epsilon == 0.0
    assert desk.begin("all", PrivacyBudget(epsilon=10.0, delta=1e-6)).rho == desk.account.rho


def test_a_closed_account_begins_no_run_but_lets_runs_finish(desk: Desk):
    desk.begin("begun")
    desk.ledger.close_account(DATASET)
    assert desk.ledger.show(DATASET).status == "closed"
    with pytest.raises(BudgetExceededError, match="closed") as caught:
        desk.begin("new")
    assert caught.value.left == Fraction(0)
    desk.curator("begun").measure("q", [("a",)], rho=BUDGET.rho)


def test_the_history_lists_runs_and_queries(desk: Desk):
    account = desk.begin("first")
    desk.curator("first", account=account).measure("q", [("a",)], rho=BUDGET.rho / 2)
    account.complete()
    desk.begin("second")
    first, second = desk.ledger.history(DATASET)
    assert (first.key, first.status, first.rho, first.epsilon, first.delta) == (
        "first",
        "complete",
        BUDGET.rho,
        1.0,
        1e-9,
    )
    assert [(q.name, q.kind, q.state, q.event.rho) for q in first.queries] == [
        ("q", "measure", "answered", BUDGET.rho / 2)
    ]
    assert (second.key, second.status, second.queries) == ("second", "running", ())
    assert first.run_id != second.run_id


def test_two_processes_cannot_both_spend_the_last_part(desk: Desk):
    rho = PrivacyBudget(epsilon=1.0, delta=1e-6).rho
    open_account(desk.url, "last", 2.0, 1e-6, "row", ADD, accounting=Accounting.ZCDP)
    affordable = int(desk.ledger.show("last").rho / rho)
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, desk.url, name],
            cwd=Path(__file__).parents[3],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    won = [int(racer.communicate(timeout=60)[0]) for racer in racers]
    assert sum(won) == affordable > 1
    view = desk.ledger.show("last")
    assert view.spent_rho == affordable * rho <= view.rho


def test_a_run_that_failed_before_any_answer_is_given_back(desk):
    account = desk.begin()
    account.reserve(0, "q", "measure", "0" * 64, GaussianEvent(mu_squared=BUDGET.rho))
    assert desk.ledger.show(DATASET).spent_rho == BUDGET.rho
    assert account.void_if_unanswered()
    assert desk.ledger.show(DATASET).spent_rho == 0
    with pytest.raises(LedgerError):
        account.mark_answered(0, "0" * 64)
    again = desk.begin()
    assert again.find(0) is None
    assert desk.ledger.show(DATASET).spent_rho == BUDGET.rho


def test_a_run_with_an_answer_is_not_given_back(desk):
    account = desk.begin()
    account.reserve(0, "q", "measure", "0" * 64, GaussianEvent(mu_squared=BUDGET.rho))
    account.mark_answered(0, "0" * 64)
    assert not account.void_if_unanswered()
    assert desk.ledger.show(DATASET).spent_rho == BUDGET.rho
    account.complete()
