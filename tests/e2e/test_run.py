"""The whole of a run on a table of one's own."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from support.visits import DELTA, EPSILON, SCHEMA, TYPES, Site, visits

from spark_dp import Synthesizer
from spark_dp.errors import BudgetExceededError, ConfigurationError, LedgerError, OutputExistsError
from spark_dp.pipeline import stages
from spark_dp.pipeline.artefacts import read_measurements
from spark_dp.pipeline.progress import Progress
from spark_dp.pipeline.runner import run_all

pytestmark = pytest.mark.spark


@pytest.fixture
def site(tmp_path):
    return Site.make(tmp_path)


def test_a_run_writes_a_table_of_the_same_shape_and_says_what_it_promises(site, spark):
    result = run_all(site.run(spark))
    made = site.synthetic()
    assert made.schema.names == [name for name in TYPES if name != "person"]
    assert {f.name: f.type for f in made.schema if f.name != "at"} == {
        name: kind for name, kind in TYPES.items() if name not in ("person", "at")
    }
    assert pa.types.is_timestamp(made.schema.field("at").type)
    assert set(made["ward"].unique().to_pylist()) <= {"A", "B", "C", "elsewhere"}
    manifest = json.loads((site.output / "_manifest.json").read_text())
    assert manifest == result.manifest
    assert (manifest["privacy"]["epsilon"], manifest["privacy"]["delta"]) == (EPSILON, DELTA)
    assert manifest["rows"] == made.num_rows == spark.read.parquet(str(site.output)).count()


def test_a_tree_keeps_a_strong_relation_and_independent_columns_lose_it(tmp_path, spark):
    site = Site.make(tmp_path, epsilon=200)  # so little noise that the outcome does not hang on it
    asked = ("evaluate.against_input=true", "privacy.epsilon=50")
    kept = run_all(site.run(spark, *asked)).evaluation
    elsewhere = (f"output.path={tmp_path}/out2", "run.key=second", "mechanism.name=independent")
    lost = run_all(site.run(spark, *asked, *elsewhere)).evaluation
    pair = ("ward", "age")
    assert model_error(kept, ("ward",)) < 0.02
    assert model_error(kept, pair) < 0.1
    assert model_error(lost, pair) > 0.4


def model_error(evaluation, clique):
    return next(c.distances.bounded_to_synthetic for c in evaluation.cliques if c.columns == clique)


def test_rows_auto_is_the_noisy_bounded_total_and_not_the_number_of_rows(site, spark):
    run = site.run(spark)
    run_all(run)
    measured = read_measurements(run.directory.require("released/measurements", made_by="measure"))
    rows = site.synthetic().num_rows
    bounded = visits().to_pandas().dropna(subset=["person"]).groupby("person").size().clip(upper=10).sum()
    noise = np.sqrt(sum(m.noisy.size * m.stddev**2 for m in measured))
    assert abs(rows - bounded) < 6 * noise
    assert rows != 3000


def test_the_same_key_spends_once_and_replays_the_same_bytes(site, spark):
    assert run_all(site.run(spark)).measured_now
    before, spent = site.released(), site.account().spent_rho
    rows = site.synthetic()
    again = run_all(site.run(spark))
    assert not again.measured_now
    assert site.released() == before
    assert site.account().spent_rho == spent > 0
    assert site.synthetic().equals(rows)


def test_an_evaluation_is_made_once_for_the_same_input_and_output(site, spark):
    first = run_all(site.run(spark, "evaluate.against_input=true")).evaluation
    written = (site.run_folder / "internal" / "evaluation.json").read_bytes()
    assert b"NOT PRIVATE" in written
    again = run_all(site.run(spark, "evaluate.against_input=true")).evaluation
    assert again.text() == first.text()
    assert (site.run_folder / "internal" / "evaluation.json").read_bytes() == written
    stages.generate(site.run(spark, "output.mode=overwrite", "run.seed=9"))
    other = stages.evaluate(site.run(spark))
    assert other.text() != first.text()


def test_a_run_that_lost_its_released_folder_replays_its_answers(site, spark):
    run_all(site.run(spark))
    before, spent = site.released(), site.account().spent_rho
    (site.run_folder / "released" / "measurements" / "_committed.json").unlink()
    stages.measure(site.run(spark))
    assert site.released() == before
    assert site.account().spent_rho == spent


def test_a_run_that_lost_its_answers_too_does_not_buy_a_second_draw(site, spark):
    stages.measure(site.run(spark))
    (site.run_folder / "released" / "measurements" / "_committed.json").unlink()
    for answer in (site.run_folder / "state" / "answers").rglob("*"):
        if answer.is_file():
            answer.unlink()
    with pytest.raises(LedgerError):
        stages.measure(site.run(spark))
    assert not (site.run_folder / "released" / "measurements" / "_committed.json").exists()


def test_another_run_of_the_same_table_draws_other_noise(site, spark):
    stages.measure(site.run(spark, "privacy.epsilon=1"))
    first = site.released()["measurements/marginals.parquet"]
    stages.measure(site.run(spark, "privacy.epsilon=1", "run.key=second"))
    second = (site.folder / "runs/second/released/measurements/marginals.parquet").read_bytes()
    assert first != second


def test_an_exhausted_account_refuses_before_the_table_is_read(site, spark):
    stages.measure(site.run(spark))
    with pytest.raises(BudgetExceededError, match="Nothing was spent"):
        stages.measure(site.run(spark, "run.key=second"))
    assert not (site.folder / "runs/second/released").exists()


@pytest.mark.parametrize(
    "change",
    ["privacy.epsilon=1.5", "schema.age.bins=10", "mechanism.name=independent", "input.filter=age > 3"],
)
def test_a_key_may_not_be_reused_for_another_measurement(site, spark, change):
    stages.measure(site.run(spark, "privacy.epsilon=1"))
    spent = site.account().spent_rho
    with pytest.raises(ConfigurationError) as refused:
        stages.measure(site.run(spark, "privacy.epsilon=1", change))
    assert refused.value.field == "run.key"
    assert site.account().spent_rho == spent


def test_a_key_may_not_be_reused_for_another_state_of_the_input(site, spark):
    stages.measure(site.run(spark))
    site.write(visits(rows=2999))
    with pytest.raises(ConfigurationError, match="another state of the input"):
        stages.measure(site.run(spark))


def test_fit_generate_and_report_need_neither_table_nor_ledger(site, spark):
    stages.measure(site.run(spark))
    (site.folder / "in" / "part-0.parquet").unlink()
    (site.folder / "ledger.db").unlink()
    run = site.run(None)
    stages.fit(run)
    assert run.session is None, "fit must not start Spark"
    run.session = spark
    stages.generate(run)
    assert "differential privacy" in stages.report(run)


def test_an_output_that_is_there_is_left_alone_and_nothing_is_spent(site, spark):
    site.output.mkdir()
    (site.output / "mine.parquet").write_bytes(b"mine")
    with pytest.raises(OutputExistsError):
        run_all(site.run(spark))
    assert (site.output / "mine.parquet").read_bytes() == b"mine"
    assert site.account().spent_rho == 0
    outcome = json.loads((site.run_folder / "state" / "outcome.json").read_text())
    assert (outcome["status"], outcome["retriable"], outcome["exit_code"]) == ("failed", False, 78)


def test_the_same_rows_come_out_whatever_the_number_of_partitions(site, spark):
    stages.measure(site.run(spark))
    stages.fit(site.run(spark))
    tables = []
    for i, setting in enumerate(("1", "3")):
        spark.conf.set("spark.sql.shuffle.partitions", setting)
        stages.generate(site.run(spark, f"output.path={site.folder}/out{i}", "output.rows=150000"))
        tables.append(spark.read.parquet(f"{site.folder}/out{i}").toPandas())
    spark.conf.set("spark.sql.shuffle.partitions", "2")
    ordered = [t.sort_values(list(t.columns)).reset_index(drop=True) for t in tables]
    assert ordered[0].equals(ordered[1])
    stages.generate(site.run(spark, f"output.path={site.folder}/out2", "output.rows=150000", "run.seed=6"))
    assert not spark.read.parquet(f"{site.folder}/out2").toPandas().equals(tables[0])


def test_overwrite_replaces_the_output_by_a_new_one(site, spark):
    run_all(site.run(spark))
    first = site.synthetic()
    stages.generate(site.run(spark, "output.mode=overwrite", "run.seed=9"))
    assert not site.synthetic().equals(first)
    assert not [p.name for p in site.folder.iterdir() if p.name.startswith("_out")]


def test_the_schema_and_its_bins_are_the_same_bytes_with_and_without_an_outlier(tmp_path, spark):
    released = []
    plain = visits()
    outlier = plain.slice(0, 1).to_pylist()[0] | {"person": "new", "age": 2_000_000_000, "ward": "UNSEEN"}
    for name, table in (
        ("a", plain),
        ("b", pa.concat_tables([plain, pa.Table.from_pylist([outlier], plain.schema)])),
    ):
        site = Site.make(tmp_path / name, table)
        run_all(site.run(spark, "output.rows=10"))
        released.append(site.released())
    assert released[0]["measurements/schema.json"] == released[1]["measurements/schema.json"]
    assert b"UNSEEN" not in b"".join(released[1].values())
    assert released[0]["measurements/marginals.parquet"] != released[1]["measurements/marginals.parquet"]


def test_the_python_api_fits_a_frame_and_samples_from_it(site, spark):
    frame = spark.read.parquet(f"{site.folder}/in").where("urgent is not null")
    model = Synthesizer.from_config(site.config(), progress=Progress(None)).fit(frame)
    assert (model.epsilon, model.delta) == (EPSILON, DELTA)
    rows = model.sample(rows=1000)
    assert rows.count() == 1000
    assert rows.schema["cost"].dataType.simpleString() == "decimal(10,2)"
    assert model.model.marginal(("ward",)).shape == (4,)
    assert site.account().spent_rho > 0


def test_a_frame_with_other_rows_may_not_reuse_the_key(site, spark):
    frame = spark.read.parquet(f"{site.folder}/in")
    synthesizer = Synthesizer.from_config(site.config(), progress=Progress(None))
    synthesizer.fit(frame)
    synthesizer.fit(frame.repartition(3))
    with pytest.raises(ConfigurationError):
        synthesizer.fit(frame.where("age > 50"))


ONE_COLUMN = "\n  urgent: {type: boolean}\n"
ONE_VALUE = "\n  ward: {type: string, values: [A], undeclared: A}\n  urgent: {type: boolean}\n"


@pytest.mark.parametrize(
    ("rows", "schema"),
    [(0, SCHEMA), (1, SCHEMA), (3000, ONE_COLUMN), (3000, ONE_VALUE), (0, ONE_COLUMN)],
    ids=["empty table", "one row", "one column", "one value", "empty, one column"],
)
@pytest.mark.parametrize(
    "unit", ["{column: person, max_rows: 3, bounding: sample}", "{column: person, max_rows: 3}"]
)
def test_small_tables_give_a_valid_output(tmp_path, spark, rows, schema, unit):
    site = Site.make(tmp_path, visits().slice(0, rows))
    run_all(site.run(spark, schema=schema, unit=unit))
    made = spark.read.parquet(str(site.output))
    declared = site.config(schema=schema).schema
    assert made.columns == list(declared.names)
    assert made.count() >= 0


def test_one_unit_with_all_rows_counts_as_its_bound(tmp_path, spark):
    table = visits()
    table = table.set_column(0, "person", pa.array(["only"] * len(table)))
    site = Site.make(tmp_path, table)
    run_all(site.run(spark, "evaluate.against_input=true", "mechanism.name=independent"))
    assert site.synthetic().num_rows < 1500


def test_a_partitioned_table_comes_out_partitioned(tmp_path, spark):
    import pyarrow.parquet as pq

    site = Site.make(tmp_path)
    (tmp_path / "in" / "part-0.parquet").unlink()
    pq.write_to_dataset(visits(), tmp_path / "in", partition_cols=["ward"])
    run_all(site.run(spark, "output.partition_by=[ward]"))
    folders = {p.name for p in site.output.iterdir() if p.is_dir()}
    assert folders <= {"ward=A", "ward=B", "ward=C", "ward=elsewhere"}
    assert "ward=A" in folders


@pytest.mark.parametrize("seed", [None, 4])
def test_of_two_drivers_that_publish_one_table_the_second_takes_the_first_ones(
    site, spark, monkeypatch, seed
):
    """A driver whose lease ran out goes on writing; its twin, with another seed, made another table and is refused."""
    stages.measure(site.run(spark))
    stages.fit(site.run(spark))
    write, others = stages.write_rows, []

    def written_by_two(*args, **kwargs):
        target = write(*args, **kwargs)
        if not others:
            others.append(None)
            settings = () if seed is None else (f"run.seed={seed}",)
            others[0] = stages.generate(site.run(spark, *settings))
        return target

    monkeypatch.setattr(stages, "write_rows", written_by_two)
    if seed is None:
        assert stages.generate(site.run(spark)) == others[0]
        assert "synthetic rows" in stages.report(site.run(spark))
    else:
        with pytest.raises(OutputExistsError):
            stages.generate(site.run(spark))
    assert json.loads((site.output / "_manifest.json").read_bytes()) == others[0]
    monkeypatch.undo()
    stages.generate(site.run(spark, *(() if seed is None else (f"run.seed={seed}",))))
    assert [p.name for p in site.output.parent.iterdir() if p.name.startswith("_")] == []
