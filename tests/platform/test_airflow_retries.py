"""When a task of Airflow fails for good, and when it may be tried again: read from outcomes as stages leave them."""

from __future__ import annotations

import json

import pytest
from support.airflow import DAGS, PROGRAMS
from support.processes import finish

from spark_dp.errors import BudgetExceededError, TransientError
from spark_dp.pipeline.runner import outcome_of

pytestmark = pytest.mark.platform

FAILS = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from spark_dp_tasks import without_pointless_retries
outcome, left = Path(sys.argv[2]), sys.argv[3]
def act():
    if left:
        outcome.write_text(left)
    raise RuntimeError("spark-submit ended")
try:
    without_pointless_retries(str(outcome), act)
except Exception as error:
    print(f"{type(error).__name__}: {error}")
"""
REFUSED = outcome_of(BudgetExceededError("Too little is left.")).to_json().decode()
LOST = outcome_of(TransientError("An executor was lost.")).to_json().decode()


def failure(tmp_path, left: str, before: str = "") -> str:
    """Returns what Airflow is told when an attempt fails, leaves this outcome, and found another before."""
    outcome = tmp_path / "outcome.json"
    if before:
        outcome.write_text(before)
    done = finish(
        [str(PROGRAMS / "python"), "-c", FAILS, str(DAGS), str(outcome), left],
        tmp_path,
        AIRFLOW_HOME=str(tmp_path / "home"),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()[-1]


def test_a_refusal_ends_the_task_and_says_why(tmp_path):
    assert failure(tmp_path, REFUSED) == "AirflowFailException: Too little is left. (exit code 77)"


def test_what_may_pass_is_left_to_airflows_retries(tmp_path):
    assert failure(tmp_path, LOST) == "RuntimeError: spark-submit ended"


def test_a_killed_driver_that_leaves_nothing_is_left_to_airflows_retries(tmp_path):
    assert failure(tmp_path, "") == "RuntimeError: spark-submit ended"


def test_the_outcome_of_an_earlier_attempt_says_nothing_about_this_one(tmp_path):
    """The account was given more and the task was started again: then its driver was killed."""
    assert failure(tmp_path, "", before=REFUSED) == "RuntimeError: spark-submit ended"


def test_a_second_refusal_in_the_same_words_counts(tmp_path):
    assert failure(tmp_path, REFUSED, before=REFUSED).startswith("AirflowFailException")


def test_the_outcome_is_read_without_the_package(tmp_path):
    """Airflow's environment has no spark_dp: what is read is plain JSON."""
    done = finish([str(PROGRAMS / "python"), "-c", "import spark_dp"], tmp_path)
    assert "ModuleNotFoundError" in done.stderr
    assert set(json.loads(REFUSED)) == {"status", "retriable", "exit_code", "message"}
