"""Ways in which one unit could decide about another's rows, or a release could hold what is not its own: all closed."""

from __future__ import annotations

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from support.visits import Site, visits

from spark_dp.cli import cli
from spark_dp.errors import (
    BudgetExceededError,
    ConfigurationError,
    InputChangedError,
    InputError,
    OutputExistsError,
)
from spark_dp.pipeline import stages
from spark_dp.pipeline.inputs import open_input
from spark_dp.pipeline.progress import Progress
from spark_dp.pipeline.runner import run_all
from spark_dp.pipeline.synthesizer import Synthesizer, SyntheticModel
from spark_dp.privacy.ledger import Ledger, open_account
from spark_dp.privacy.sensitivity import Neighbours
from spark_dp.spark.session import REQUIRED, require_settings, settings_restored

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


REQUIRED_BEFORE = {
    "spark.sql.sources.partitionColumnTypeInference.enabled": "true",
    "spark.sql.session.timeZone": "Europe/Berlin",
    "spark.sql.files.ignoreMissingFiles": "true",
}


def test_a_frame_whose_ids_were_inferred_from_folders_is_refused_and_one_that_reads_them_as_text_is_not(
    tmp_path, spark, conf
):
    """Folders 007 and 7 are one unit until a unit x comes, which would move the others' total by more than k."""
    rows = pa.table({"person": ["007"] * 40 + ["7"] * 40, "urgent": [True, False] * 40})
    pq.write_to_dataset(rows, tmp_path / "in", partition_cols=["person"])
    schema = "\n  urgent: {type: boolean}\n"
    open_account(f"sqlite:///{tmp_path}/ledger.db", "visits", 2.0, 1e-7, "person", Neighbours.ADD_REMOVE)
    site = Site(tmp_path)
    config = site.run(spark, schema=schema).config
    for key, value in REQUIRED_BEFORE.items():
        conf[key] = value
    with pytest.raises(InputError, match="inferred") as refused:
        Synthesizer(config, Progress(None)).fit(spark.read.parquet(str(tmp_path / "in")))
    assert refused.value.field == "privacy.unit.column"
    assert site.account().spent_rho == 0
    conf["spark.sql.sources.partitionColumnTypeInference.enabled"] = "false"
    as_text = spark.read.parquet(str(tmp_path / "in"))
    conf["spark.sql.sources.partitionColumnTypeInference.enabled"] = "true"
    Synthesizer(config, Progress(None)).fit(as_text)
    assert site.account().spent_rho > 0
    assert {key: spark.conf.get(key) for key in REQUIRED_BEFORE} == REQUIRED_BEFORE  # as they were


def test_a_callers_session_has_the_settings_that_reading_relies_on_while_it_is_used(site, spark, conf):
    for key, value in REQUIRED_BEFORE.items():
        conf[key] = value
    run = site.run(spark)
    with settings_restored(spark):
        run.spark(to_compute=False)
        assert {key: spark.conf.get(key) for key in REQUIRED} == REQUIRED
    assert {key: spark.conf.get(key) for key in REQUIRED_BEFORE} == REQUIRED_BEFORE


def test_settings_that_a_caller_left_to_spark_are_left_to_it_again(spark):
    own = spark.newSession()
    for key in REQUIRED:
        own.conf.unset(key)
    before = {key: own.conf.get(key) for key in REQUIRED}
    with settings_restored(own):
        require_settings(own)
        assert {key: own.conf.get(key) for key in REQUIRED} == REQUIRED
    assert {key: own.conf.get(key) for key in REQUIRED} == before
    assert {own.conf.get(key, None) for key in REQUIRED} == {None}


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


@pytest.mark.parametrize("changed", [{"rows": 123456789}, {"seed": "0; audited by X"}, {"earlier_runs": 5}])
def test_a_report_takes_nothing_from_a_manifest_that_is_not_as_this_run_wrote_it(site, spark, changed):
    run_all(site.run(spark))
    manifest = site.output / "_manifest.json"
    ours = manifest.read_text()
    assert f"{json.loads(ours)['rows']:,} synthetic rows" in stages.report(site.run(None))
    manifest.write_text(json.dumps(json.loads(ours) | changed))
    told = stages.report(site.run(None))
    page = (site.run_folder / "released" / "report" / "report.html").read_text()
    assert not any(theirs in said for theirs in ("123,456,789", "audited") for said in (told, page))
    assert "synthetic rows" not in told


def test_a_model_of_other_measurements_is_not_released_under_this_promise(tmp_path, spark):
    site = Site.make(tmp_path, epsilon=10)
    run_all(site.run(spark))
    stages.measure(site.run(spark, "run.key=second", "privacy.epsilon=3"))
    stages.fit(site.run(None, "run.key=second", "privacy.epsilon=3"))
    shutil.rmtree(site.run_folder / "released" / "model")
    shutil.copytree(
        site.folder / "runs" / "second" / "released" / "model", site.run_folder / "released" / "model"
    )
    for stage in (stages.report, stages.generate):
        with pytest.raises(InputError, match="was not fitted to the measurements"):
            stage(site.run(spark))
    done = CliRunner().invoke(cli, ["query", str(site.run_folder), "--by", "ward"])
    assert (done.exit_code, "was not fitted" in done.output) == (65, True)


def test_a_run_with_an_evaluation_says_where_its_figures_are_and_not_what_they_are(site, spark, monkeypatch):
    monkeypatch.setattr("spark_dp.pipeline.run.open_session", lambda *_, **__: spark)
    monkeypatch.setattr("spark_dp.pipeline.run.require_same_environment", lambda _: None)
    command = ["run", str(site.config_file()), "--set", "evaluate.against_input=true"]
    done = CliRunner().invoke(cli, command)
    assert done.exit_code == 0, done.output
    assert "internal/evaluation.html" in done.output
    assert "total variation" not in done.output
    again = CliRunner().invoke(cli, [*command, "--json", "--quiet"])
    assert json.loads(again.stdout)["evaluation"].endswith("internal/evaluation.json")
    shown = CliRunner().invoke(cli, ["evaluate", *command[1:]])
    assert "total variation" in shown.output


@pytest.mark.parametrize("theirs", [b"{}", b"no JSON", b'{"privacy": {}, "earlier_runs": []}'])
def test_partitions_are_not_overwritten_under_a_manifest_that_cannot_be_read(tmp_path, spark, theirs):
    site = Site.make(tmp_path, epsilon=10)
    by_ward = ("output.partition_by=[ward]", "output.mode=overwrite_partitions")
    run_all(site.run(spark, *by_ward))
    (site.output / "_manifest.json").write_bytes(theirs)
    spent = site.account().spent_rho
    with pytest.raises(OutputExistsError, match="can be read"):
        run_all(site.run(spark, *by_ward, "run.key=second"))
    assert site.account().spent_rho == spent


@pytest.mark.parametrize("rows", [-1, 1.5, "abc", True])
def test_a_sample_of_no_whole_number_of_rows_is_refused(site, spark, rows):
    with pytest.raises(ConfigurationError, match="whole number"):
        SyntheticModel(site.config(), spark).sample(rows=rows)


def test_a_fit_of_something_else_than_a_frame_is_refused(site):
    with pytest.raises(ConfigurationError, match="Spark frame"):
        Synthesizer(site.config(), Progress(None)).fit([1, 2])
    assert site.account().spent_rho == 0


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
    "setting",
    [
        "spark.sql.caseSensitive",
        "spark.sql.ansi.enabled",
        "spark.sql.files.ignoreCorruptFiles",
        "spark.files.ignoreCorruptFiles",
        "spark.files.ignoreMissingFiles",
        "spark.sql.timestampType",
        "spark.sql.parquet.datetimeRebaseModeInRead",
        "spark.sql.avro.datetimeRebaseModeInRead",
        "spark.sql.parquet.mergeSchema",
        "spark.sql.orc.mergeSchema",
        "spark.sql.parquet.filterPushdown",
        "spark.sql.orc.filterPushdown",
        "spark.sql.parquet.aggregatePushdown",
        "spark.sql.mapKeyDedupPolicy",
        "spark.sql.parser.escapedStringLiterals",
        "spark.sql.session.collation.default",
        "spark.hadoop.mapreduce.input.pathFilter.class",
    ],
)
def test_settings_of_spark_that_change_what_is_read_are_refused(site, setting):
    with pytest.raises(ConfigurationError) as refused:
        site.config(f'spark={{{setting}: "true"}}')
    assert refused.value.field == f"spark.{setting}"
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
