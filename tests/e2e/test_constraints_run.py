"""No row of a run's output breaks a constraint, whatever rows the table has."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from support.visits import Site

from spark_dp.cli import cli

pytestmark = pytest.mark.spark

STATES = {"01001": "MA", "02139": "MA", "10001": "NY", "14850": "NY", "90210": "CA", "94105": "CA"}
COLUMNS = """
  age:     {type: integer, bins: [0, 15, 18, 30, 45, 65, 110]}
  marital: {type: string, values: [single, married, widowed], other: unknown, nullable: true}
  zip:     {type: string, values: ["01001", "02139", "10001", "14850", "90210", "94105"], other: elsewhere}
  state:   {type: string, values: [MA, NY, CA], other: ZZ, nullable: true}
  income:  {type: double, min: 0, max: 200000, bins: 8, nullable: true}
  hired:   {type: date, bins: [2000-01-01, 2010-01-01, 2020-01-01, 2024-12-31], nullable: true}
  works:   {type: boolean}
"""
CONSTRAINTS = """
constraints:
  - forbid: {age: "<15", marital: [married, widowed]}
  - forbid: {age: "<18", income: ">=25000"}
  - forbid: {works: false, hired: {not: null}}
  - forbid: {works: true, age: "<15"}
  - forbid: {marital: null, state: [CA, ZZ], hired: "<2010-01-01"}
  - determines: {zip: state}
    mapping: states.csv
"""


def people(rows: int = 4000) -> pa.Table:
    """A table of which one row in twenty is drawn without regard to any rule."""
    rng = np.random.default_rng(3)
    found = []
    for wild in rng.random(rows) < 0.05:
        age = int(rng.integers(0, 100))
        works = bool(rng.random() < 0.6) and (wild or age >= 15)
        zip_code = str(rng.choice([*STATES, "77777"]))
        found.append(
            {
                "age": age,
                "marital": str(rng.choice(["single", "married", "widowed", "apart"]))
                if wild or age >= 15
                else None,
                "zip": zip_code,
                "state": str(rng.choice(["MA", "NY", "CA"])) if wild else STATES.get(zip_code),
                "income": float(rng.gamma(2.0, 30_000)) if wild or age >= 18 else 0.0,
                "hired": dt.date(2000, 1, 1) + dt.timedelta(days=int(rng.integers(0, 9000)))
                if works or wild
                else None,
                "works": works,
            }
        )
    kinds = {"age": pa.int32(), "hired": pa.date32(), "works": pa.bool_(), "income": pa.float64()}
    return pa.Table.from_pylist(found, pa.schema([(name, kinds.get(name, pa.string())) for name in found[0]]))


def broken(row: dict) -> list[str]:
    """Names the constraints that a row breaks, told anew from its values."""
    age, marital, hired = row["age"], row["marital"], row["hired"]
    early = hired is not None and hired < dt.date(2010, 1, 1)
    rules = {
        "married young": age < 15 and marital in ("married", "widowed"),
        "rich young": age < 18 and row["income"] is not None and row["income"] >= 25_000,
        "hired without work": not row["works"] and hired is not None,
        "works young": row["works"] and age < 15,
        "three columns": marital is None and row["state"] in ("CA", "ZZ") and early,
        "zip": row["zip"] in STATES and row["state"] != STATES[row["zip"]],
    }  # fmt: skip
    return [name for name, breaks in rules.items() if breaks]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Site:
    made = Site.make(tmp_path_factory.mktemp("constraints"), people(), unit="row")
    lines = [f"{code},{state}" for code, state in [*STATES.items(), ("60601", "IL")]]
    (made.folder / "states.csv").write_text("\n".join(["zip,state", *lines]) + "\n")
    file = made.config_file(schema=COLUMNS, unit="row")
    file.write_text(file.read_text() + CONSTRAINTS)
    return made


@pytest.mark.parametrize("mechanism", ["mst", "aim", "oneshot"])
def test_no_row_of_the_output_breaks_a_constraint_that_the_table_breaks(site, spark, mechanism, monkeypatch):
    monkeypatch.setattr("spark_dp.pipeline.run.open_session", lambda *_, **__: spark)
    assert {rule for row in people().to_pylist() for rule in broken(row)} >= {"married young", "zip"}
    words = ["run", str(site.folder / "visits.yaml"), "--json"]
    settings = {
        "mechanism.name": mechanism,
        "run.key": mechanism,
        "output.path": f"{site.folder}/{mechanism}",
        "output.rows": "50000",
        "privacy.epsilon": "1.0",
    }
    for name, value in settings.items():
        words += ["--set", f"{name}={value}"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["output"]["rows"] == 50_000
    synthetic = Site(site.folder / mechanism)
    rows = pa.concat_tables(
        pq.read_table(path) for path in sorted(synthetic.folder.glob("*.parquet"))
    ).to_pylist()
    assert len(rows) == 50_000
    assert [rule for row in rows for rule in broken(row)] == []
    # Where the zip leaves the state open it may be any; ZZ is no state of the table, and comes of noise or not.
    assert {row["state"] for row in rows} | {"ZZ"} == {"MA", "NY", "CA", "ZZ", None}
    assert {row["marital"] for row in rows} == {"single", "married", "widowed", "unknown", None}
    kept = json.loads((site.folder / "runs" / mechanism / "released/measurements/schema.json").read_text())
    assert kept["format"] == 2
    assert len(kept["constraints"]) == 6
    report = site.folder / "runs" / mechanism / "released/report"
    for said in ((report / "report.html").read_text(), (report / "report.txt").read_text()):
        assert "Rules that every synthetic row keeps" in said
        assert "No row of the output has works false and hired" in said
        assert "zip determines state in every row of the output, but where zip is" in said
