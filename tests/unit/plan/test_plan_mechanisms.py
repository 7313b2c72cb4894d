"""What a plan says of the mechanism that will ask, and of the one that auto chooses."""

from __future__ import annotations

import pytest

from spark_dp.errors import DomainTooLargeError
from spark_dp.pipeline.config import parse_config
from spark_dp.pipeline.describe_plan import WIDTH, plan_lines
from spark_dp.pipeline.planning import plan_run

SCHEMA = (
    "  ward: {type: string, values: [A, B, C], other: D}\n"
    "  age: {type: integer, min: 0, max: 99, bins: 10}\n"
    "  cost: {type: double, min: 0, max: 10, bins: 20}\n"
)


def config(folder, *overrides, columns=SCHEMA):
    text = (
        "input: {path: data/visits}\noutput: {path: out/visits}\n"
        "privacy:\n  epsilon: 1\n  delta: 1e-9\n  unit: {column: person, max_rows: 10}\n"
        f"  ledger: sqlite:///{folder}/ledger.db\n  dataset: visits\n"
        f"schema:\n{columns}run: {{directory: runs, key: first}}\n"
    )
    return parse_config(text, overrides, source="run.yaml")


def planned(folder, *overrides, columns=SCHEMA):
    return plan_run(config(folder, *overrides, columns=columns))


@pytest.mark.parametrize("name", ["aim", "oneshot", "auto", "mst", "independent"])
@pytest.mark.parametrize("degree", [1, 2, 3])
def test_every_mechanism_says_what_it_will_ask_within_the_page(tmp_path, name, degree):
    plan = planned(tmp_path, f"mechanism.name={name}", f"mechanism.workload={{degree: {degree}}}")
    lines = [line for part in plan_lines(plan) for line in part.splitlines()]
    assert max(map(len, lines)) <= WIDTH
    shares = [query["share"] for query in plan.facts()["queries"]]
    assert sum(shares) == pytest.approx(1.0)
    assert all(note.partition(" ")[0] in " ".join(lines) for note in plan.queries.notes)


def test_auto_looks_at_relations_in_general_and_says_why(tmp_path):
    plan = planned(tmp_path, "mechanism.name=auto", "input.expected_rows=1000000")
    assert plan.mechanism.name == plan.facts()["mechanism"] == "oneshot"
    assert "3 relations" in plan.facts()["mechanism_reason"]
    assert "mechanism    auto: oneshot, because" in "\n".join(plan_lines(plan))


@pytest.mark.parametrize(
    "overrides, columns, why",
    [
        (["input.expected_rows=50"], SCHEMA, "about 50 are expected"),
        (["mechanism.workload={degree: 1}"], SCHEMA, "no relation of columns"),
        ([], "  ward: {type: string, values: [A, B, C], other: D}\n", "one column"),
    ],
)
def test_auto_takes_columns_by_themselves_where_relations_are_certain_to_be_lost(
    tmp_path, overrides, columns, why
):
    plan = planned(tmp_path, "mechanism.name=auto", *overrides, columns=columns)
    assert plan.mechanism.name == "independent"
    assert why in plan.reason


def test_what_auto_goes_by_is_part_of_what_a_run_is(tmp_path):
    def identity(*overrides):
        return config(tmp_path, *overrides).measure_settings()["mechanism"]

    assert identity("mechanism.name=auto", "input.expected_rows=50") != identity("mechanism.name=auto")
    assert identity("mechanism.name=mst", "input.expected_rows=50") == identity("mechanism.name=mst")


WIDE = "".join(f"  c{i:02}: {{type: integer, min: 0, max: 99}}\n" for i in range(100))


def test_a_wide_table_is_planned_in_passes_that_fit_and_says_so(tmp_path):
    plan = planned(tmp_path, "mechanism.name=auto", "mechanism.workload={degree: 3}", columns=WIDE)
    facts, shown = plan.facts(), " ".join("\n".join(plan_lines(plan)).split())
    assert plan.mechanism.name == "oneshot"
    assert facts["cells_counted"] == 49_500_000
    assert len(plan.passes) > 1
    assert all(plan.room.holds(layout) for layout in plan.passes)
    assert len(facts["passes"]) == len(plan.passes) + 1
    assert f"in {len(plan.passes)} passes that fit" in shown
    assert facts["workload"]["groups"] == 4950
    assert "all 4,950 pairs of columns, 49,500,000 cells" in shown
    assert "161,700 with 1.6e+11 cells" in shown
    assert "if that much turns out to be worth its noise" in shown
    warned = " ".join(plan.warnings(plan.standing()))
    assert "on wide tables that is often all that is allowed" in warned
    assert max(len(line) for part in plan_lines(plan) for line in part.splitlines()) <= WIDTH


@pytest.mark.parametrize("name", ["mst", "aim"])
def test_a_wide_table_is_no_table_for_rounds(tmp_path, name):
    with pytest.raises(DomainTooLargeError, match="Nothing was read or spent"):
        planned(tmp_path, f"mechanism.name={name}", columns=WIDE)


def test_rounds_whose_counts_do_not_fit_the_driver_at_once_are_refused(tmp_path):
    some = "".join(WIDE.splitlines(keepends=True)[:12])
    assert len(planned(tmp_path, "spark.spark.driver.memory=2g", columns=some).passes) == 1
    with pytest.raises(DomainTooLargeError, match="looks at all counts in each of its rounds"):
        planned(tmp_path, "spark.spark.driver.memory=9m", columns=some)
    assert (
        len(planned(tmp_path, "spark.spark.driver.memory=9m", "mechanism.name=oneshot", columns=some).passes)
        > 1
    )


def test_targets_weigh_what_holds_them(tmp_path):
    weights = planned(tmp_path, "mechanism.targets=[age]").queries.workload.pair_weights()
    assert weights["ward", "age"] == weights["age", "cost"] == 4 * weights["ward", "cost"]


@pytest.mark.parametrize("name", ["oneshot", "aim", "mst", "auto"])
def test_a_model_too_small_for_any_pair_is_planned_for_columns_alone_and_says_so(tmp_path, name):
    cells = sum(planned(tmp_path).config.schema.domain.sizes)
    small = f"mechanism.max_model_mb={8 * cells / 1e6:f}"
    plan = planned(tmp_path, f"mechanism.name={name}", small)
    assert {len(clique) for query in plan.queries.queries for clique in query.cliques} == {1}
    assert sum(query.rho for query in plan.queries.queries) == plan.queries.rho
    warned = " ".join(plan.warnings(plan.standing()))
    assert "only single columns are measured" in warned and f"may have {cells} cells" in warned


@pytest.mark.parametrize(
    "overrides", [["mechanism.name=independent"], ["mechanism.name=auto", "input.expected_rows=50"]]
)
def test_columns_that_are_measured_alone_for_another_reason_are_no_warning(tmp_path, overrides):
    plan = planned(tmp_path, *overrides)
    assert plan.mechanism.name == "independent"
    assert "only single columns" not in " ".join(plan.warnings(plan.standing()))


@pytest.mark.parametrize("name", ["oneshot", "aim", "mst"])
def test_columns_of_one_cell_are_in_no_relation(tmp_path, name):
    columns = "  a: {type: integer, min: 1, max: 1}\n  b: {type: boolean}\n  c: {type: boolean}\n"
    plan = planned(tmp_path, f"mechanism.name={name}", columns=columns)
    assert {clique for clique in plan.queries.countable if len(clique) > 1} == {("b", "c")}
    assert "not looked at" not in " ".join(plan.warnings(plan.standing()))
    alone = planned(
        tmp_path, f"mechanism.name={name}", columns="".join(columns.splitlines(keepends=True)[:2])
    )
    assert all(len(clique) == 1 for clique in alone.queries.countable)
    assert "only single columns" not in " ".join(alone.warnings(alone.standing()))
