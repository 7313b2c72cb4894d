"""Ways in which one unit could decide about another's rows, or a release could hold what is not its own: all closed."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.visits import Site, visits

from spark_dp.errors import (
    BudgetExceededError,
    ConfigurationError,
    InputChangedError,
    OutputExistsError,
)
from spark_dp.pipeline import stages
from spark_dp.pipeline.inputs import open_input
from spark_dp.pipeline.runner import run_all
from spark_dp.privacy.ledger import Ledger, open_account
from spark_dp.privacy.sensitivity import Neighbours

pytestmark = pytest.mark.spark


@pytest.fixture
def site(tmp_path):
    return Site.make(tmp_path)


@pytest.mark.parametrize(
    "change", ["input.format=csv", "input.format=json", "input.options={inferSchema: true}"]
)
def test_types_are_never_inferred_from_the_rows(site, spark, change):
    with pytest.raises(ConfigurationError) as refused:
        stages.measure(site.run(spark, change))
    assert refused.value.field == "input.format"
    assert site.account().spent_rho == 0


def test_two_spellings_of_a_partitioned_id_are_two_units(tmp_path, spark):
    rows = pa.table({"person": ["01"] * 90 + ["1"] * 2, "urgent": [True] * 90 + [False] * 2})
    pq.write_to_dataset(rows, tmp_path / "in", partition_cols=["person"])
    schema = "\n  person: {type: integer, min: 0, max: 3}\n  urgent: {type: boolean}\n"
    open_account(f"sqlite:///{tmp_path}/ledger.db", "visits", 2.0, 1e-7, "person", Neighbours.ADD_REMOVE)
    site = Site(tmp_path)
    run = site.run(spark, schema=schema)
    opened = open_input(spark, run.config)
    bounded = opened.bounded_pass("run")
    opened.release()
    assert bounded.totals.units == 2
    assert bounded.totals.weight == (90 * (10 * 2**20 // 90)) + 2 * 2**20


def test_an_output_of_another_run_is_refused_before_anything_is_spent(tmp_path, spark):
    site = Site.make(tmp_path, epsilon=10)
    run_all(site.run(spark))
    spent = site.account().spent_rho
    with pytest.raises(OutputExistsError):
        run_all(site.run(spark, "run.key=second"))
    assert site.account().spent_rho == spent


@pytest.mark.parametrize(
    "change", ["output.path={f}/in", "output.path={f}/in/x", "output.path={f}", "run.directory={f}/out/runs"]
)
def test_the_output_may_not_lie_in_the_input_nor_the_run_in_the_output(site, change):
    with pytest.raises(ConfigurationError) as refused:
        site.config(change.format(f=site.folder))
    assert refused.value.field == "output.path"


def test_two_accounts_may_share_a_run_directory_and_a_key(site, spark):
    stages.measure(site.run(spark))
    open_account(site.ledger, "other", 2.0, 1e-7, "person", Neighbours.ADD_REMOVE)
    Ledger.connect(site.ledger).bind("other", str(site.folder / "in"), confirm_shared=True)
    first = {p: p.read_bytes() for p in (site.run_folder / "state" / "answers").rglob("*.npz")}
    (site.run_folder / "released" / "measurements" / "_committed.json").unlink()
    stages.measure(site.run(spark, "privacy.dataset=other"))
    assert all(p.read_bytes() == content for p, content in first.items())


def test_a_report_takes_nothing_from_a_manifest_that_this_run_did_not_write(site, spark):
    run_all(site.run(spark))
    manifest = site.output / "_manifest.json"
    theirs = json.loads(manifest.read_text()) | {"rows": 123456789}
    theirs["privacy"]["run_id"] = "another"
    manifest.write_text(json.dumps(theirs))
    assert "123,456,789" not in stages.report(site.run(None))
    theirs["privacy"]["run_id"] = json.loads(site.released()["measurements/measurements.json"])["statement"][
        "run_id"
    ]
    manifest.write_text(json.dumps(theirs))
    assert "123,456,789" in stages.report(site.run(None))


def test_partitions_are_not_overwritten_among_rows_that_are_not_ours(site, spark):
    stages.measure(site.run(spark))
    stages.fit(site.run(None))
    (site.output / "ward=A").mkdir(parents=True)
    pq.write_table(visits().slice(0, 1), site.output / "ward=A" / "real.parquet")
    by_ward = ("output.partition_by=[ward]", "output.mode=overwrite_partitions")
    with pytest.raises(OutputExistsError, match="promise"):
        stages.generate(site.run(spark, *by_ward))


def test_a_manifest_lists_the_runs_whose_partitions_stay(tmp_path, spark):
    site = Site.make(tmp_path, epsilon=10)
    by_ward = ("output.partition_by=[ward]", "output.mode=overwrite_partitions")
    run_all(site.run(spark, *by_ward))
    first = json.loads((site.output / "_manifest.json").read_text())
    run_all(site.run(spark, *by_ward, "run.key=second"))
    second = json.loads((site.output / "_manifest.json").read_text())
    assert (first["earlier_runs"], second["earlier_runs"]) == ([], [first["privacy"]])


def test_a_frame_is_not_read_when_the_account_cannot_pay(site, spark, monkeypatch):
    monkeypatch.setattr("spark_dp.pipeline.inputs.snapshot_rows", lambda _: pytest.fail("the frame was read"))
    run = site.run(spark, "privacy.epsilon=9")
    run.table = spark.read.parquet(f"{site.folder}/in")
    with pytest.raises(BudgetExceededError):
        stages.measure(run)


def test_a_frame_whose_values_change_between_passes_is_noticed(site, spark):
    from pyspark.sql import functions as F

    kept = spark.read.parquet(f"{site.folder}/in")
    run = site.run(spark)
    opened = open_input(spark, run.config, kept)
    opened.unchanged()
    opened.rows = opened.rows.withColumn("urgent", ~F.col("urgent"))
    with pytest.raises(InputChangedError):
        opened.unchanged()


@pytest.mark.parametrize("name", ["row", "a,b"])
def test_a_unit_that_the_ledger_could_not_tell_from_another_is_refused(site, name):
    with pytest.raises(ConfigurationError) as refused:
        site.config(f"privacy.unit.column='{name}'")
    assert refused.value.field == "privacy.unit.column"


@pytest.mark.parametrize(
    "setting", ["spark.sql.caseSensitive", "spark.sql.files.ignoreCorruptFiles", "spark.sql.ansi.enabled"]
)
def test_settings_of_spark_that_change_what_is_read_are_refused(site, setting):
    with pytest.raises(ConfigurationError) as refused:
        site.config(f'spark={{{setting}: "true"}}')
    assert refused.value.field == "spark"
    assert site.config('spark={spark.sql.shuffle.partitions: "3"}').spark


@pytest.mark.parametrize(
    ("change", "field"),
    [("run.directory={f}/file/runs", "run.directory"), ("output.path={f}/file/out", "output.path")],
)
def test_a_place_that_cannot_be_written_is_found_before_anything_is_spent(site, spark, change, field):
    (site.folder / "file").write_text("a file where a folder should be")
    with pytest.raises(ConfigurationError) as refused:
        run_all(site.run(spark, change.format(f=site.folder)))
    assert refused.value.field == field
    assert site.account().spent_rho == 0


def test_instants_come_out_as_they_went_in(site, spark):
    run_all(site.run(spark))
    assert site.synthetic().schema.field("at").type == visits().schema.field("at").type


def test_a_reused_key_says_which_settings_differ(site, spark):
    stages.measure(site.run(spark, "privacy.epsilon=1"))
    with pytest.raises(ConfigurationError, match="other settings: epsilon"):
        stages.measure(site.run(spark, "privacy.epsilon=1.5"))


def test_the_promise_states_the_budget_to_the_last_digit(site, spark):
    released = stages.measure(site.run(spark, "privacy.epsilon=1.0000049"))
    assert "1.0000049" in released.json("measurements.json")["statement"]["promise"]


def test_a_look_at_a_run_leaves_its_outcome_alone(site, spark):
    from click.testing import CliRunner

    from spark_dp.cli import cli

    run_all(site.run(spark))
    outcome = (site.run_folder / "state" / "outcome.json").read_bytes()
    bad = CliRunner().invoke(cli, ["plan", str(site.config_file()), "--set", "mechanism.name=none"])
    assert bad.exit_code == 78
    assert (site.run_folder / "state" / "outcome.json").read_bytes() == outcome
