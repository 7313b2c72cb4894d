"""What a plan says: warnings, and its page."""

import json
import re
from pathlib import Path

import pytest
from support.planned import flat, page, planned, warnings

from spark_dp.errors import ConfigurationError, DomainTooLargeError
from spark_dp.pipeline.config import load_config
from spark_dp.pipeline.describe_plan import WIDTH, plan_lines
from spark_dp.pipeline.planning import plan_run

EXAMPLES = sorted((Path(__file__).parents[3] / "conf" / "runs").glob("*.yaml"))


# warnings ------------------------------------------------------------------------------------------------

WIDE = "  zip: {type: integer, min: 0, max: 4999}\n  ward: {type: boolean}\n"
PERSON = "  person: {type: string, values: [x], other: y}\n  ward: {type: boolean}\n"
PARTS = "  a: {type: integer, min: 0, max: 99}\n  b: {type: integer, min: 0, max: 19}\n  c: {type: boolean}\n"


@pytest.mark.parametrize(
    ("overrides", "schema", "said"),
    [
        (
            ["input.expected_rows=500"],
            None,
            r"cost: 100 cells at σ = [\d.]+ rows; the signal .* is below the noise",
        ),
        (["input.expected_rows=500"], None, r"pairs have fewer rows a cell than noise"),
        (["input.expected_rows=5000"], None, r"max_rows = 10 makes all noise 10 times"),
        (["privacy.unit.max_rows=500"], None, r"max_rows = 500 makes all noise"),
        (["privacy.epsilon=9"], None, r"privacy.epsilon = 9 is a weak promise: .* 8,104 times"),
        (["privacy.epsilon=2000"], None, r"weak promise"),
        (
            ["privacy.delta=1e-5", "input.expected_rows=1000000"],
            None,
            r"a tenth of one over the number of units",
        ),
        (
            ["privacy.delta=1e-5", "input.expected_rows=10000000"],
            None,
            r"more than one over the number of units",
        ),
        (["privacy.delta=1e-8"], None, r"larger than the account's δ = 1e-09"),
        (["privacy.unit=row"], None, r"The unit is the row"),
        (["privacy.unit.nulls=one_unit"], None, r"All rows whose person is null are one unit"),
        (["input.filter=age > 3"], None, r"input.filter leaves rows out"),
        (["evaluate.against_input=true"], None, r"NOT private"),
        (["mechanism.max_model_mb=0.005"], None, r"ward × cost|age × cost"),
        ([], WIDE, r"1,000 cells or more: zip \(5,000\)"),
        ([], PERSON, r"person identifies the unit and is in the schema too"),
        (["output.partition_by=[a, b]"], PARTS, r"up to 2,000 folders"),
        (
            ["output.partition_by=[a]", "output.rows=1000000"],
            PARTS,
            r"files of some [\d,]+ rows",
        ),
        (
            ["mechanism.max_model_mb=900", "privacy.dataset=none"],
            WIDE.replace("4999", "4999999"),
            r"driver may need",
        ),
    ],
)
def test_what_may_go_wrong_is_said_in_words(tmp_path, ledger, overrides, schema, said):
    calm = planned(tmp_path, "input.expected_rows=300000")
    assert not re.search(said, warnings(calm))
    assert re.search(said, warnings(planned(tmp_path, *overrides, schema=schema)))


def test_a_large_table_and_a_good_account_leave_nothing_to_warn_of(tmp_path, ledger):
    plan = planned(tmp_path, "input.expected_rows=300000")
    assert plan.warnings(plan.standing()) == []


# the page and the facts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
@pytest.mark.parametrize("overrides", [[], ["input.expected_rows=100000"]])
def test_the_page_is_narrow_and_the_facts_are_json(path, overrides):
    plan = plan_run(load_config(path, overrides))
    for line in plan_lines(plan):
        assert all(len(part) <= WIDTH for part in line.split("\n")), line
    facts = json.loads(json.dumps(plan.facts(), allow_nan=False))
    documented = re.findall(r"\b[a-z_]+\b", type(plan).facts.__doc__)
    assert set(facts) <= set(documented)


def test_the_page_says_what_is_asked_once(tmp_path):
    shown = page(planned(tmp_path))
    assert "mst/select-1 to 2" in shown
    assert "mst/select-2 " not in shown
    shares = [float(s) for s in re.findall(r"([\d.]+)% +[\d,.]+$", shown, re.MULTILINE)]
    assert sum(shares) == pytest.approx(100, abs=0.3)


def test_a_wide_table_is_cut_on_the_page_and_whole_in_the_facts(tmp_path):
    schema = "".join(f"  column_{i}: {{type: integer, min: 0, max: 9}}\n" for i in range(60))
    plan = planned(tmp_path, schema=schema)
    assert "and 20 more columns" in page(plan)
    assert "the 10 worst of 1,770" in page(plan)
    facts = plan.facts()
    assert (len(facts["columns"]), len(facts["pairs"]), facts["pairs_planned"]) == (60, 1770, 1770)
    assert max(map(len, page(plan).splitlines())) <= WIDTH


def test_every_note_is_on_the_page(tmp_path):
    schema = (
        "  a: {type: string, values: [x], undeclared: drop}\n  b: {type: string, values: [x], other: y}\n"
        "  c: {type: double, min: 0, max: 9, bins: 3, nullable: true}\n"
    )
    plan = planned(tmp_path, schema=schema)
    shown = flat(plan)
    for sentence in (
        "A row with a value that is not declared is dropped: a.",
        "A value that is not declared counts as 'y': b.",
        "A value out of range counts in the first or the last bin: c (0 to 9).",
        "NaN counts as null: c.",
        "person identifies the unit and is not in the output.",
    ):
        assert sentence in shown
    assert all(note in shown for note in plan.notes() if not note.startswith("Column "))


@pytest.mark.parametrize(
    ("overrides", "passes"),
    [
        (["privacy.unit=row"], 1),
        ([], 2),
        (["privacy.unit.bounding=sample"], 2),
        (["input={table: a.b}"], 4),
        (["input={path: a, format: delta}", "privacy.unit=row"], 3),
    ],
)
def test_the_passes_over_the_table_are_counted(tmp_path, overrides, passes):
    assert len(planned(tmp_path, *overrides).facts()["passes"]) == passes


@pytest.mark.parametrize(
    ("overrides", "rows", "files", "folders"),
    [
        ([], None, None, 1),
        (["output.rows=1000"], 1000, 1, 1),
        (["output.rows=10000000"], 10_000_000, 10, 1),
        (["output.rows=1000000000"], 1_000_000_000, 954, 1),
        (["input.expected_rows=300000"], 300_000, 5, 1),
        (["output.rows=10000000", "output.partition_by=[ward]"], 10_000_000, 40, 4),
    ],
)
def test_rows_and_files_to_come_are_said(tmp_path, overrides, rows, files, folders):
    output = planned(tmp_path, *overrides).facts()["output"]
    assert (output["rows"], output["files"], output["folders"]) == (rows, files, folders)


# what cannot be planned ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "place", "kind"),
    [
        (
            ["mechanism.name=independent", "mechanism.targets=[age]"],
            "--set mechanism.targets",
            ConfigurationError,
        ),
        (["mechanism.max_model_mb=0.0001"], "--set mechanism.max_model_mb", DomainTooLargeError),
        (["spark.spark.driver.memory=lots"], "--set spark.spark.driver.memory", ConfigurationError),
        (["spark.spark.executor.cores=two"], "--set spark.spark.executor.cores", ConfigurationError),
        (["spark.spark.task.cpus=0"], "--set spark.spark.task.cpus", ConfigurationError),
    ],
)
def test_what_cannot_be_planned_has_its_place(tmp_path, overrides, place, kind):
    with pytest.raises(kind) as caught:
        planned(tmp_path, *overrides)
    assert caught.value.message.endswith(f"({place})")
    assert "Nothing was" in caught.value.message


def test_counts_that_do_not_fit_are_refused_with_the_line_of_the_memory(tmp_path):
    schema = WIDE.replace("4999", "9999999")
    with pytest.raises(DomainTooLargeError, match=r"half of spark.driver.memory is 1 MB.*\(--set"):
        planned(tmp_path, "spark.spark.driver.memory=2m", "mechanism.max_model_mb=900", schema=schema)
