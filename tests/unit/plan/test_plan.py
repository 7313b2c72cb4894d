"""What a plan predicts and says, from a configuration and an account."""

import json
import math
import re
from pathlib import Path

import pytest

from spark_dp.errors import ConfigurationError, DomainTooLargeError
from spark_dp.pipeline.config import load_config, parse_config
from spark_dp.pipeline.describe_plan import WIDTH, plan_lines
from spark_dp.pipeline.plan_account import affordable_epsilon
from spark_dp.pipeline.planning import plan_run
from spark_dp.privacy.budget import PrivacyBudget
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.ledger import Ledger, open_account
from spark_dp.privacy.sensitivity import Neighbours

EXAMPLES = sorted((Path(__file__).parents[3] / "conf" / "runs").glob("*.yaml"))
PASSWORD = "hunter2"


def text(folder, schema=None):
    columns = schema or (
        "  ward: {type: string, values: [A, B, C], other: D}\n"
        "  age: {type: integer, min: 0, max: 99, bins: 10, nullable: true}\n"
        "  cost: {type: double, min: 0, max: 10, bins: 100}\n"
    )
    return (
        "input: {path: data/visits}\noutput: {path: out/visits}\n"
        "privacy:\n  epsilon: 1\n  delta: 1e-9\n  unit: {column: person, max_rows: 10}\n"
        f"  ledger: sqlite:///{folder}/{PASSWORD}.db\n  dataset: visits\n"
        f"schema:\n{columns}run: {{directory: runs, key: first}}\n"
    )


def planned(folder, *overrides, schema=None):
    return plan_run(parse_config(text(folder, schema), overrides, source="run.yaml"))


def page(plan):
    return "\n".join(plan_lines(plan))


def flat(plan):
    return " ".join(page(plan).split())


def warnings(plan):
    return " ".join(plan.warnings(plan.standing()))


@pytest.fixture
def ledger(tmp_path):
    url = f"sqlite:///{tmp_path}/{PASSWORD}.db"
    open_account(url, "visits", 2.0, 1e-9, "person", Neighbours.ADD_REMOVE)
    return Ledger.connect(url)


def begin(ledger, key, epsilon=1.0, delta=1e-9):
    budget = PrivacyBudget(epsilon=epsilon, delta=delta)
    return ledger.begin("visits", key, "0" * 64, budget, "person", Neighbours.ADD_REMOVE)


# expected error ------------------------------------------------------------------------------------------


def test_the_expected_error_of_a_column_is_half_the_sum_of_its_noise(tmp_path):
    plan = planned(tmp_path, "mechanism.name=independent", "input.expected_rows=50000")
    noise = {c: q.stddev for q in plan.queries.queries for c in q.cliques}
    for error in plan.errors(1):
        assert error.stddev == noise[error.clique]
        assert error.rows == pytest.approx(
            0.5 * error.cells * error.stddev * math.sqrt(2 / math.pi), rel=0.01
        )
        assert error.tvd == pytest.approx(error.rows / 50000)
        assert not error.if_kept
    assert plan.errors(2) == ()
    assert "independent of one another" in page(plan)


def test_errors_are_worst_first_and_at_most_one(tmp_path):
    for ways in (1, 2):
        errors = planned(tmp_path, "input.expected_rows=100").errors(ways)
        assert [e.rows for e in errors] == sorted((e.rows for e in errors), reverse=True)
        assert 0.5 < max(e.tvd for e in errors) <= 1.0


def test_a_pair_is_predicted_only_if_it_is_kept(tmp_path):
    errors = planned(tmp_path).errors(2)
    assert {e.clique for e in errors} == {("ward", "age"), ("ward", "cost"), ("age", "cost")}
    assert all(e.if_kept for e in errors)
    large, *_, small = errors
    assert large.cells > small.cells
    assert large.stddev < small.stddev


def test_a_column_of_one_cell_has_no_error(tmp_path):
    schema = "  a: {type: integer, min: 1, max: 1}\n  b: {type: boolean}\n"
    found = {e.clique: e.rows for e in planned(tmp_path, schema=schema).errors(1)}
    assert found[("a",)] == 0 < found[("b",)]


@pytest.mark.parametrize(
    ("overrides", "rows", "source"),
    [
        ([], None, None),
        (["output.rows=500"], 500, "output.rows"),
        (["output.rows=0"], None, None),
        (["output.rows=500", "input.expected_rows=70"], 70, "input.expected_rows"),
    ],
)
def test_the_size_is_what_is_declared_and_says_by_what(tmp_path, overrides, rows, source):
    plan = planned(tmp_path, *overrides)
    assert (plan.expected.rows, plan.expected.source) == (rows, source)
    assert plan.facts()["expected_rows"] == rows
    assert ("rows for 5%" in page(plan)) == (rows is None)


def test_without_a_size_the_plan_says_which_would_bring_five_percent(tmp_path):
    error = planned(tmp_path).errors(1)[0]
    sized = planned(tmp_path, f"input.expected_rows={math.ceil(error.good_from)}").errors(1)[0]
    assert sized.tvd == pytest.approx(0.05, rel=1e-3)
    assert f"{error.good_from:,.0f}" in page(planned(tmp_path))


# account -------------------------------------------------------------------------------------------------


def test_a_plan_says_what_is_left_before_and_after(tmp_path, ledger):
    plan = planned(tmp_path)
    standing = plan.standing()
    assert standing.state == "enough"
    assert standing.left_after == ledger.show("visits").rho - plan.queries.rho
    assert standing.epsilon_after > 0
    assert standing.runs_after == int(standing.left_after / plan.queries.rho) >= 1
    shown = page(plan)
    assert "left before" in shown
    assert "left after" in shown
    assert "more runs like this one" in shown


def test_a_plan_spends_nothing_and_creates_no_ledger(tmp_path, ledger):
    planned(tmp_path).facts()
    assert ledger.show("visits").spent_rho == 0
    empty = tmp_path / "empty"
    empty.mkdir()
    planned(empty).facts()
    assert list(empty.iterdir()) == []


def test_a_key_that_was_charged_costs_nothing_again(tmp_path, ledger):
    begin(ledger, "first")
    plan = planned(tmp_path)
    standing = plan.standing()
    assert (standing.state, standing.rho) == ("charged", 0)
    assert standing.left_after == ledger.show("visits").remaining_rho
    assert "charged already, costs nothing again" in page(plan)


def test_a_run_that_was_given_back_was_not_charged(tmp_path, ledger):
    assert begin(ledger, "first").void_if_unanswered()
    assert planned(tmp_path).standing().state == "enough"


def test_a_key_that_was_charged_otherwise_is_taken(tmp_path, ledger):
    begin(ledger, "first", epsilon=0.5)
    plan = planned(tmp_path)
    assert plan.standing().state == "key taken"
    assert "Choose another run.key" in warnings(plan)


def test_more_than_the_share_of_a_release_is_a_warning_with_the_epsilon_that_fits(tmp_path):
    url = f"sqlite:///{tmp_path}/{PASSWORD}.db"
    view = open_account(url, "visits", 2.0, 1e-9, "person", Neighbours.ADD_REMOVE, releases=10)
    plan = planned(tmp_path)
    standing = plan.standing()
    assert standing.state == "short"
    assert standing.fits == pytest.approx(view.release_epsilon, rel=1e-3)
    assert "for 10 releases" in warnings(plan)
    assert f"privacy.epsilon: {standing.fits:g} would fit" in warnings(plan)
    fitting = planned(tmp_path, f"privacy.epsilon={standing.fits!r}")
    assert fitting.standing().state == "enough"
    begin(Ledger.connect(url), "first", epsilon=standing.fits)


def test_too_little_left_is_a_warning_with_the_epsilon_that_fits(tmp_path, ledger):
    begin(ledger, "other", epsilon=1.7)
    plan = planned(tmp_path)
    standing = plan.standing()
    assert standing.state == "short"
    assert 0 < standing.fits < 1
    assert f"privacy.epsilon: {standing.fits:g} would fit" in warnings(plan)
    assert planned(tmp_path, f"privacy.epsilon={standing.fits:g}").standing().state == "enough"
    assert planned(tmp_path, f"privacy.epsilon={standing.fits * 1.01:g}").standing().state == "short"


def test_an_empty_account_says_that_nothing_is_left(tmp_path, ledger):
    begin(ledger, "other", epsilon=2.0)
    plan = planned(tmp_path)
    assert plan.standing().fits == 0
    assert "Nothing is left" in warnings(plan)


@pytest.mark.parametrize("epsilon", [0.0123, 0.5, 1.0, 3.99, 17.0])
@pytest.mark.parametrize("delta", [1e-9, 1e-6])
@pytest.mark.parametrize("accounting", Accounting)
def test_what_is_said_to_fit_fits_and_is_little_less_than_all(epsilon, delta, accounting):
    rho = accounting.rho(epsilon, delta)
    found = affordable_epsilon(rho, delta, accounting)
    assert accounting.rho(found, delta) <= rho
    assert 0.998 * epsilon <= found <= epsilon


@pytest.mark.parametrize(
    ("overrides", "state", "said"),
    [
        (["privacy.dataset=visit"], "not opened", "Did you mean 'visits'"),
        (["privacy.ledger=env:NO_SUCH_VARIABLE"], "unreachable", "NO_SUCH_VARIABLE"),
        (["privacy.ledger=postgresql+psycopg://u:hunter2@127.0.0.1:1/x"], "unreachable", ""),
        (["privacy.ledger=mysql://u:hunter2@127.0.0.1/x"], "unreachable", "no URL of a supported database"),
        (["privacy.unit=row"], "refused", "Charge another account"),
        (["privacy.neighbours=replace"], "refused", "Charge another account"),
    ],
)
def test_an_account_that_cannot_be_charged_is_said_so_and_the_plan_is_made(
    tmp_path, ledger, overrides, state, said
):
    plan = planned(tmp_path, *overrides)
    assert plan.standing().state == state
    assert said in plan.standing().said
    assert "WHAT WILL BE ASKED" in page(plan)
    assert PASSWORD not in page(plan) + json.dumps(plan.facts())


def test_a_closed_account_is_a_warning(tmp_path, ledger):
    ledger.close_account("visits")
    assert "closed" in warnings(planned(tmp_path))


def test_the_ledgers_url_is_nowhere(tmp_path, ledger):
    for folder in (tmp_path, tmp_path / "none"):
        plan = planned(folder)
        assert PASSWORD not in page(plan) + json.dumps(plan.facts()) + repr(plan)


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
