"""Tables and limits that leave little or nothing to choose: a sound result, and nothing spent that yields nothing."""

from __future__ import annotations

import json

import pytest
from support.visits import Site, visits

from spark_dp.pipeline.runner import run_all

pytestmark = pytest.mark.spark

ONE = "\n  ward: {type: string, values: [A, B, C], other: D}\n"
TWO = ONE + "  urgent: {type: boolean}\n"
THREE = TWO + "  age: {type: integer, min: 0, max: 110, bins: 11, nullable: true}\n"
FAR_APART = (
    "mechanism.workload=[{columns: [ward, age], weight: 1e-9}, {columns: [urgent, age], weight: 1e9}]",
)
CASES = [
    ("a table of one column", "oneshot", ONE, (), {1}),
    ("a table of one column", "aim", ONE, (), {1}),
    ("a table of one column", "mst", ONE, (), {1}),
    ("a table of one value", "oneshot", "\n  ward: {type: string, values: [A], undeclared: drop}\n", (), {1}),
    ("a limit that no pair meets", "aim", THREE, ("mechanism.max_model_mb=0.000144",), {1}),
    ("more rounds than candidates", "aim", TWO, (), {1, 2}),
    ("weights far apart", "mst", THREE, FAR_APART, {1, 2}),
]


@pytest.mark.parametrize(
    ("name", "schema", "settings", "ways"), [c[1:] for c in CASES], ids=[f"{c[0]}-{c[1]}" for c in CASES]
)
def test_a_run_reaches_its_end_and_all_that_was_spent_was_for_an_answer(
    spark, tmp_path, name, schema, settings, ways
):
    site = Site.make(tmp_path, visits(rows=2000, persons=400))
    run_all(site.run(spark, f"mechanism.name={name}", *settings, schema=schema))
    measured = json.loads((site.run_folder / "released/measurements/measurements.json").read_text())
    asked = {m["query"] for m in measured["measurements"]}
    assert {len(m["clique"]) for m in measured["measurements"]} <= ways
    if ways == {1}:
        assert all(query.startswith(f"{name}/one-way") for query in asked)
    assert site.charges() == 1
    assert site.synthetic().num_rows > 200
