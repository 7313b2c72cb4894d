"""`ledger void`: giving back a run that was killed before its first answer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from desk import BUDGET, DATASET, Desk

from spark_dp.errors import LedgerError
from spark_dp.privacy.events import GaussianEvent

ON_BOTH_DATABASES = True
KEY = "2013-W01"

KILLED = """
import os, sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], sys.argv[1] + '/../..']
from desk import Desk
account = Desk(Path(sys.argv[2]), sys.argv[3], opened=True).begin()
os._exit(9)
"""


def begun(desk: Desk, answered: bool = False):
    """A run whose driver has ended; its one query reserved, or answered."""
    account = desk.begin()
    account.reserve(0, "q", "measure", "d", GaussianEvent(mu_squared=BUDGET.rho))
    if answered:
        account.mark_answered(0, "d")
    account.release()
    return account


def test_a_run_without_an_answer_is_given_back_and_its_key_is_free(desk: Desk):
    begun(desk)
    assert desk.spent() == BUDGET.rho
    assert desk.ledger.void(DATASET, KEY).spent_rho == 0
    (run,) = desk.ledger.history(DATASET)
    assert (run.status, run.queries) == ("voided", ())
    desk.begin().release()
    assert desk.spent() == BUDGET.rho


def test_a_driver_of_a_run_that_was_given_back_can_do_nothing_more(desk: Desk):
    account = begun(desk)
    desk.ledger.void(DATASET, KEY)
    for step in (
        lambda: account.reserve(1, "r", "measure", "d", GaussianEvent(mu_squared=BUDGET.rho)),
        lambda: account.mark_answered(0, "d"),
        account.require_held,
        account.complete,
    ):
        with pytest.raises(LedgerError, match="taken this run over"):
            step()
    assert desk.spent() == 0


def test_a_run_with_an_answer_is_not_given_back(desk: Desk):
    begun(desk, answered=True)
    with pytest.raises(LedgerError, match=r"1 answered queries.*is spent") as refused:
        desk.ledger.void(DATASET, KEY)
    assert refused.value.exit_code == 77
    assert desk.spent() == BUDGET.rho


def test_a_complete_run_is_not_given_back(desk: Desk):
    account = desk.begin()
    account.complete()
    with pytest.raises(LedgerError, match="is spent"):
        desk.ledger.void(DATASET, KEY)
    assert desk.spent() == BUDGET.rho


def test_a_run_that_another_process_holds_is_not_given_back_until_that_is_gone(desk: Desk):
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            KILLED.replace("os._exit(9)", "print(flush=True); sys.stdin.read()"),
            str(Path(__file__).parent),
            str(desk.folder),
            desk.url,
        ],
        cwd=Path(__file__).parents[3],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout.readline()
        with pytest.raises(LedgerError, match="held by a driver"):
            desk.ledger.void(DATASET, KEY)
        holder.kill()
    assert desk.ledger.void(DATASET, KEY).spent_rho == 0


@pytest.mark.parametrize("key", ["2013-W02", ""])
def test_a_run_that_is_not_there_is_named_with_the_nearest(desk: Desk, key):
    begun(desk)
    with pytest.raises(LedgerError, match="has no run") as refused:
        desk.ledger.void(DATASET, key)
    assert ("Did you mean '2013-W01'?" in str(refused.value)) == bool(key)
    assert desk.spent() == BUDGET.rho


def test_a_run_is_given_back_once(desk: Desk):
    begun(desk)
    desk.ledger.void(DATASET, KEY)
    before = desk.ledger.show(DATASET).head
    with pytest.raises(LedgerError, match="given back before"):
        desk.ledger.void(DATASET, KEY)
    assert desk.ledger.show(DATASET).head == before
