"""How long a run will take, as its plan has it: from what is declared, and longer for more of it."""

from __future__ import annotations

import json

import pytest

from spark_dp.pipeline.config import parse_config
from spark_dp.pipeline.describe_plan import WIDTH, plan_lines
from spark_dp.pipeline.planning import plan_run

ROWS = "input.expected_rows=1000000"
UNITS = {
    "row": "unit: row",
    "person": "unit: {column: person, max_rows: 10}",
    "sampled": "unit: {column: person, max_rows: 10, bounding: sample}",
}


def planned(*overrides, columns=6, values=10, unit="row"):
    schema = "".join(f"  c{i:02}: {{type: integer, min: 0, max: {values - 1}}}\n" for i in range(columns))
    text = (
        "input: {path: nowhere/at/all}\noutput: {path: out}\n"
        f"privacy:\n  epsilon: 1\n  delta: 1e-9\n  {UNITS[unit]}\n"
        "  ledger: sqlite:///nowhere.db\n  dataset: visits\n"
        f"schema:\n{schema}run: {{directory: runs, key: first}}\n"
    )
    return plan_run(parse_config(text, overrides, source="run.yaml"))


def stages(*overrides, **shape):
    return {stage.stage: stage for stage in planned(*overrides, **shape).time.stages}


MORE = {
    "rows": ({"rows": 10**6}, {"rows": 10**7}, {"count", "generate"}),
    "columns": ({"columns": 6}, {"columns": 20}, {"count", "choose", "fit", "generate"}),
    "values": ({"values": 10}, {"values": 60}, {"count", "choose", "fit"}),
    "persons": ({"unit": "row"}, {"unit": "person"}, {"count"}),
    "a sample of their rows": ({"unit": "person"}, {"unit": "sampled"}, {"count"}),
}  # fmt: skip


@pytest.mark.parametrize("name", ["oneshot", "mst", "aim", "independent"])
@pytest.mark.parametrize("what", MORE)
def test_more_of_anything_takes_longer_where_it_matters_and_nowhere_less(what, name):
    def seconds(rows=10**6, **shape):
        settings = (f"mechanism.name={name}", f"input.expected_rows={rows}")
        return {stage.stage: stage.seconds for stage in planned(*settings, **shape).time.stages}

    less, more, longer = MORE[what]
    before, after = seconds(**less), seconds(**more)
    assert set(before) == set(after)
    assert all(after[stage] >= before[stage] for stage in before)
    assert {stage for stage in before if after[stage] > before[stage]} >= longer & set(before)


def test_counting_in_several_passes_takes_longer_than_in_one():
    def counting(memory):
        settings = (ROWS, "mechanism.name=oneshot", f"spark.spark.driver.memory={memory}")
        return stages(*settings, columns=20, values=60)["count"]

    assert counting("8m").seconds > counting("1g").seconds
    assert "1 pass " in counting("1g").grows_with and "passes" in counting("8m").grows_with


def test_without_declared_rows_it_says_what_the_time_depends_on():
    found = stages()
    assert found["count"].seconds is None and found["generate"].seconds is None
    assert found["fit"].seconds is not None
    assert planned().time.seconds is None
    declared = stages(ROWS)
    for name in ("count", "generate"):
        assert declared[name].seconds == found[name].fixed + found[name].each_million
    shown = " ".join("\n".join(plan_lines(planned())).split())
    assert "a million rows" in shown and "With input.expected_rows" in shown


def test_the_whole_is_the_sum_of_the_stages_and_is_shown():
    plan = planned(ROWS)
    assert plan.time.seconds == pytest.approx(sum(stage.seconds for stage in plan.time.stages))
    shown = " ".join("\n".join(plan_lines(plan)).split())
    assert "on 2 cores" in shown and "together" in shown
    assert "a million rows" not in shown
    assert max(len(line) for part in plan_lines(plan) for line in part.splitlines()) <= WIDTH


def test_the_facts_hold_every_stage_and_can_be_written_as_json():
    facts = json.loads(json.dumps(planned(ROWS).facts()))["time"]
    assert [stage["stage"] for stage in facts["stages"]] == ["start", "count", "choose", "fit", "generate"]
    assert facts["seconds"] == pytest.approx(sum(stage["seconds"] for stage in facts["stages"]))
    assert facts["cores"] == 2 and facts["at_most"] is True
    assert all(stage["grows_with"] for stage in facts["stages"])
    assert json.loads(json.dumps(planned().facts()))["time"]["seconds"] is None


def test_nothing_is_chosen_where_columns_are_all_that_is_measured():
    assert "choose" not in stages("mechanism.name=independent")
    assert not planned(ROWS, "mechanism.name=independent").time.facts()["at_most"]


def test_rounds_that_fit_the_model_again_are_counted_in():
    one, rounds = stages("mechanism.name=mst")["fit"], stages("mechanism.name=aim")["fit"]
    assert rounds.fixed > 10 * one.fixed
    assert "in each of 12 rounds" in rounds.grows_with


def test_the_model_of_rounds_may_take_all_that_is_allowed():
    small = planned("mechanism.name=aim", "mechanism.max_model_mb=0.08").memory
    assert small.model_is_open and small.model_cells == 10_000


def test_output_rows_that_are_asked_for_decide_how_long_generating_takes():
    few, many = stages(ROWS, "output.rows=1000"), stages(ROWS, "output.rows=50000000")
    assert many["generate"].seconds > 5 * few["generate"].seconds
    assert many["count"].seconds == few["count"].seconds


@pytest.mark.parametrize("other", ["input.format=orc", "input.filter=c00 > 1"], ids=["format", "filter"])
def test_what_spark_has_to_read_takes_longer_than_plain_files(other):
    assert stages(ROWS, other)["count"].seconds > stages(ROWS)["count"].seconds
