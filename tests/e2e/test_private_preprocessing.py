"""A run that learns k, bins, nulls and values: through Spark, at one charge, and nothing of one person alone in any file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.kept import as_answers
from support.visits import Site

from spark_dp.errors import ConfigurationError
from spark_dp.pipeline import preprocessing, stages
from spark_dp.pipeline.runner import run_all
from spark_dp.privacy.ledger import Ledger

pytestmark = pytest.mark.spark

CANARY, PERSON = "canary-c0ffee", "canary-person"
UNIT = "{column: person, max_rows: auto, at_most: 60, quantile: 0.9, share: 0.05}"
SCHEMA = """
  ward:   {type: string, values: {private: 20, per_unit: 2, share: 0.1, delta: 1e-8}, other: elsewhere}
  code:   {type: long, values: {private: 20, per_unit: 4, share: 0.1, delta: 1e-8}, other: -1}
  delay:  {type: integer, min: -5000, max: 5000, bins: {private: 12, share: 0.1}, nullable: {private: true, share: 0.02}}
  cost:   {type: double, min: 0, max: 1000000, bins: {private: 8, cut: width, share: 0.1},
           nullable: {private: true, share: 0.02}}
  urgent: {type: boolean, nullable: {private: true, share: 0.02}}
"""
ROWS, PERSONS = 20_000, 4_000


def table() -> pa.Table:
    """Four wards, one of them of one person alone; delays from -30 to 200 in a wide range; two columns with nulls."""
    rng = np.random.default_rng(4)
    who = rng.integers(0, PERSONS, ROWS)
    delay = np.clip(rng.exponential(40, ROWS) - 30, -30, 200).astype(int)
    columns = {
        "person": pa.array([f"p{p}" for p in who] + [PERSON] * 30),
        "ward": pa.array([("A", "B", "C")[p % 3] for p in who] + [CANARY] * 30),
        "code": pa.array([int(c) for c in rng.integers(100, 104, ROWS)] + [987_654_321] * 30, pa.int64()),
        "delay": pa.array(
            [None if i % 5 == 0 else int(d) for i, d in enumerate(delay)] + [4711] * 30, pa.int32()
        ),
        "cost": pa.array([float(c) for c in rng.gamma(2, 50, ROWS)] + [765_432.125] * 30),
        "urgent": pa.array([None if u < 0.3 else bool(u < 0.5) for u in rng.random(ROWS)] + [True] * 30),
    }
    return pa.table(columns)


@pytest.fixture(scope="module")
def done(spark, tmp_path_factory) -> Site:
    site = Site.make(tmp_path_factory.mktemp("private"), table(), thresholds=2e-8)
    run_all(site.run(spark, schema=SCHEMA, unit=UNIT))
    return site


def learned(site: Site) -> dict[str, dict[str, object]]:
    schema = json.loads((site.run_folder / "released" / "measurements" / "schema.json").read_text())
    return {column["name"]: column for column in schema["columns"]}


def statement(site: Site) -> dict[str, object]:
    return json.loads((site.run_folder / "released" / "measurements" / "measurements.json").read_text())[
        "statement"
    ]


def test_frequent_values_are_learned_and_the_rest_has_a_cell(done):
    columns = learned(done)
    assert columns["ward"]["values"] == ["A", "B", "C"]
    assert columns["ward"]["other"] == "elsewhere"
    assert columns["code"]["values"] == [100, 101, 102, 103]


def test_bins_follow_the_rows_and_not_the_declared_range(done):
    delay = learned(done)["delay"]
    assert -200 <= delay["min"] <= 0
    assert 60 <= delay["max"] <= 500
    assert 6 <= len(delay["bins"]) - 1 <= 12
    cost = learned(done)["cost"]
    assert cost["min"] == 0
    assert cost["max"] < 5_000


def test_nulls_are_found_where_they_are(done):
    assert {
        name: c["nullable"] for name, c in learned(done).items() if name in ("delay", "cost", "urgent")
    } == {
        "delay": True,
        "cost": False,
        "urgent": True,
    }


def test_k_is_a_quantile_of_the_rows_of_a_person(done):
    sizes = np.unique(np.asarray(table()["person"].to_pylist()), return_counts=True)[1]
    assert abs(int(statement(done)["max_rows_per_unit"]) - np.quantile(sizes, 0.9)) <= 2


def test_the_output_has_the_learned_domain(done):
    rows = pa.concat_tables([pq.read_table(file) for file in done.output.glob("*.parquet")])
    assert set(rows["ward"].to_pylist()) <= {"A", "B", "C", "elsewhere"}
    delays = [d for d in rows["delay"].to_pylist() if d is not None]
    assert max(delays) <= learned(done)["delay"]["max"]
    assert 0.1 < rows["delay"].null_count / rows.num_rows < 0.3
    assert rows["cost"].null_count == 0


def test_what_a_single_person_has_is_in_no_file(done):
    """The twin is in the input: there the sweep finds it."""
    words = [CANARY, PERSON, "987654321", "765432.125"]
    kept = [form for word in words for form in as_answers(word)]
    files = [
        f for f in done.folder.rglob("*") if f.is_file() and "in" not in f.relative_to(done.folder).parts
    ]
    assert len(files) > 20
    found = [file for file in files for word in kept if word in file.read_bytes()]
    assert not found
    assert CANARY.encode() in (done.folder / "in" / "part-0.parquet").read_bytes()


def test_the_ledger_has_every_step_within_what_the_run_reserved(done):
    (run,) = Ledger.connect(done.ledger).history("visits")
    names = [query.name for query in run.queries]
    assert names[:6] == [
        "preprocess/values/ward",
        "preprocess/values/code",
        "preprocess/rows per unit",
        "preprocess/bins/delay",
        "preprocess/bins/cost",
        "preprocess/nulls/urgent",
    ]
    assert sum(query.event.rho for query in run.queries) <= run.rho
    shares = [float(query.event.rho / run.rho) for query in run.queries[:6]]
    assert shares == pytest.approx([0.1, 0.1, 0.05, 0.12, 0.12, 0.02])
    assert [step["query"] for step in statement(done)["learned"]] == names[:6]


def test_a_run_that_is_killed_after_its_private_steps_spends_them_once(spark, tmp_path, monkeypatch):
    site = Site.make(tmp_path, table(), thresholds=2e-8)
    run = site.run(spark, schema=SCHEMA, unit=UNIT)

    class KilledError(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(stages, "plan_run", after(stages.plan_run, 1, killed))
        with pytest.raises(KilledError):
            stages.measure(run)
    (before,) = Ledger.connect(site.ledger).history("visits")
    assert [query.state for query in before.queries] == ["answered"] * 6
    counted = counting(monkeypatch)
    released = stages.measure(site.run(spark, schema=SCHEMA, unit=UNIT))
    (after_all,) = Ledger.connect(site.ledger).history("visits")
    assert counted == []
    assert [query.answer_digest for query in after_all.queries[:6]] == [
        q.answer_digest for q in before.queries
    ]
    assert after_all.rho == before.rho
    assert released.json("measurements.json")["statement"]["run_id"] == before.run_id


def after(function, calls: int, then):
    """Lets a function work a number of times."""
    left = [calls]

    def counted(*args: object, **kwargs: object) -> object:
        left[0] -= 1
        return then() if left[0] < 0 else function(*args, **kwargs)

    return counted


def counting(monkeypatch) -> list[str]:
    """Remembers which private step reads the table."""
    asked: list[str] = []
    for name in ("count_sizes", "count_values"):
        real = getattr(preprocessing, name)
        monkeypatch.setattr(
            preprocessing, name, lambda *a, real=real, name=name, **k: (asked.append(name), real(*a, **k))[1]
        )
    return asked


def test_the_same_declaration_is_the_same_run_whatever_was_learned(done, spark):
    again = stages.measure(done.run(spark, schema=SCHEMA, unit=UNIT))
    assert again.json("measurements.json")["statement"] == statement(done)
    (run,) = Ledger.connect(done.ledger).history("visits")
    assert run.status == "complete"


def test_another_declaration_is_another_run(done, spark):
    with pytest.raises(ConfigurationError, match=r"run\.key"):
        stages.measure(done.run(spark, schema=SCHEMA.replace("private: 12", "private: 13"), unit=UNIT))


def test_an_evaluation_reads_the_learned_domain(done, spark):
    found = stages.evaluate(done.run(spark, schema=SCHEMA, unit=UNIT))
    assert found.max_rows == statement(done)["max_rows_per_unit"]
    assert Path(done.run_folder / "internal" / "evaluation.json").exists()
