"""The ledger as runs meet it: inputs are bound, an older copy is noticed, a driver that is gone is not waited for."""

from __future__ import annotations

import json

import pytest
from support.visits import Site, visits

from spark_dp.errors import BudgetExceededError, LedgerError, TakenOverError, TransientError
from spark_dp.pipeline import stages
from spark_dp.pipeline.config import parse_config
from spark_dp.pipeline.durability import submitted
from spark_dp.pipeline.resume import input_place
from spark_dp.pipeline.run import Run
from spark_dp.pipeline.runner import record_failure, run_all
from spark_dp.privacy.ledger import Ledger, open_account
from spark_dp.privacy.run_account import RunAccount
from spark_dp.privacy.sensitivity import Neighbours
from spark_dp.spark.counting import SparkMarginals

pytestmark = pytest.mark.spark


@pytest.fixture
def site(tmp_path) -> Site:
    return Site.make(tmp_path, epsilon=10)


def test_a_run_binds_its_input_and_another_account_may_not_measure_it(site, spark):
    stages.measure(site.run(spark))
    assert [bound.place for bound in site.account().inputs] == [str((site.folder / "in").resolve())]
    open_account(site.ledger, "other", 10.0, 1e-7, "person", Neighbours.ADD_REMOVE)
    with pytest.raises(LedgerError, match="two budgets") as refused:
        stages.measure(site.run(spark, "privacy.dataset=other", "run.key=second"))
    assert refused.value.exit_code == 77
    other = Ledger.connect(site.ledger).show("other")
    assert (other.spent_rho, other.inputs) == (0, ())
    assert not (site.folder / "runs" / "second" / "released").exists()


def test_an_older_copy_of_the_ledger_is_refused_by_the_next_run_of_the_directory(site, spark):
    file = site.folder / "ledger.db"
    copy = file.read_bytes()
    stages.measure(site.run(spark))
    newest = file.read_bytes()
    file.write_bytes(copy)
    with pytest.raises(LedgerError, match="older copy"):
        stages.measure(site.run(spark, "run.key=second"))
    assert site.account().spent_rho == 0
    file.write_bytes(newest)
    stages.measure(site.run(spark, "run.key=second"))


def test_a_measured_run_is_complete_and_held_by_nobody(site, spark):
    stages.measure(site.run(spark))
    (run,) = Ledger.connect(site.ledger).history("visits")
    assert (run.status, run.epoch, run.held_until) == ("complete", 1, None)


def test_a_driver_lost_between_its_release_and_the_ledger_is_completed_by_the_next(site, spark, monkeypatch):
    """The twin is the test above: a run that is not disturbed."""

    def lost(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(RunAccount, "complete", lost)
        with pytest.raises(KeyboardInterrupt):
            stages.measure(site.run(spark))
    released = site.released()
    assert Ledger.connect(site.ledger).history("visits")[0].status == "running"
    stages.measure(site.run(spark))
    (run,) = Ledger.connect(site.ledger).history("visits")
    assert (run.status, run.epoch, site.released()) == ("complete", 2, released)
    stages.measure(site.run(spark))
    assert Ledger.connect(site.ledger).history("visits")[0].epoch == 2, "a complete run is not taken over"


def test_a_run_that_is_given_back_leaves_no_question_in_its_folder(site, spark, monkeypatch):
    def fail(self, cliques):
        raise TransientError("counting failed")

    monkeypatch.setattr(SparkMarginals, "count", fail)
    with pytest.raises(TransientError):
        stages.measure(site.run(spark))
    assert site.account().spent_rho == 0
    assert list((site.run_folder / "state" / "answers").iterdir()) == []


def test_a_driver_that_was_taken_over_leaves_the_outcome_to_the_other(site, spark):
    run = site.run(spark)
    run_all(run)
    record_failure(run, TakenOverError("another driver"))
    outcome = site.run_folder / "state" / "outcome.json"
    assert json.loads(outcome.read_text())["status"] == "succeeded"
    record_failure(run, LedgerError("something else"))
    assert json.loads(outcome.read_text())["status"] == "failed"


def test_a_share_of_the_account_is_all_that_a_run_gets(tmp_path, spark):
    site = Site(tmp_path)
    site.write(visits())
    open_account(site.ledger, "visits", 10.0, 1e-7, "person", Neighbours.ADD_REMOVE, releases=52)
    with pytest.raises(BudgetExceededError, match="52 releases"):
        stages.measure(site.run(spark))


def test_a_frame_has_no_place_and_a_catalogs_table_its_full_name(site, spark):
    frame = spark.read.parquet(str(site.folder / "in"))
    assert input_place(Run(site.config(), table=frame, session=spark)) is None
    for name in ("visits", "default.visits", "spark_catalog.default.Visits", "`visits`", "default.`Visits`"):
        text = site.text().replace(f"path: {site.folder}/in", f'table: "{name}"')
        assert input_place(Run(parse_config(text), session=spark)) == "table:spark_catalog.default.visits"


def test_the_session_says_how_its_driver_was_submitted(spark):
    assert submitted(spark) == {"spark.submit.deployMode": "client"}
