"""`spark-dp query`: marginals of a released model, against numpy on the table that it was made of."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from support.processes import finish
from support.released import release

from spark_dp.cli import cli
from spark_dp.errors import DomainTooLargeError
from spark_dp.pipeline.query import ReleasedModel, marginal
from spark_dp.schema.table import TableSchema

SCHEMA = TableSchema.from_settings(
    {
        "ward": {"type": "string", "values": ["A", "B"], "other": "elsewhere"},
        "age": {"type": "integer", "min": 0, "max": 29, "bins": 3, "nullable": True},
        "day": {"type": "date", "min": "2024-01-01", "max": "2024-01-04", "bins": 2},
        "cost": {"type": "decimal(6,2)", "values": ["1.50", "2.00"], "undeclared": "drop"},
    }
)
COUNTS = np.arange(1, 49, dtype=np.int64).reshape(3, 4, 2, 2) * 10


@pytest.fixture
def run(tmp_path):
    return release(tmp_path, SCHEMA, COUNTS, [("ward", "age"), ("age", "day"), ("cost",)])


def asked(*arguments):
    done = CliRunner().invoke(cli, ["query", *map(str, arguments)])
    assert done.exit_code == 0, done.stderr
    return done.stdout


def cells(said):
    return {tuple(c["labels"].values()): c["rows"] for c in json.loads(said)["cells"]}


def test_a_relation_of_the_model_is_answered_in_any_order_of_its_columns(run):
    found = cells(asked(run, "--by", "age,ward", "--json"))
    exact = COUNTS.sum(axis=(2, 3))
    labels = [c.cell_labels() for c in SCHEMA.columns]
    for w, ward in enumerate(labels[0]):
        for a, age in enumerate(labels[1]):
            assert found[age, ward] == pytest.approx(exact[w, a], rel=1e-3)


def test_a_relation_that_the_model_does_not_keep_is_as_by_chance_and_said_to_be(run):
    said = json.loads(asked(run, "--by", "ward", "--by", "cost", "--json"))
    assert said["relation_kept"] is False
    chance = np.outer(COUNTS.sum(axis=(1, 2, 3)), COUNTS.sum(axis=(0, 1, 2))) / COUNTS.sum()
    for cell in said["cells"]:
        w = SCHEMA.column("ward").cell_labels().index(cell["labels"]["ward"])
        c = SCHEMA.column("cost").cell_labels().index(cell["labels"]["cost"])
        assert cell["rows"] == pytest.approx(chance[w, c], rel=1e-3)
    assert "by chance" in asked(run, "--by", "ward,cost")
    assert "by chance" not in asked(run, "--by", "ward,age")


@pytest.mark.parametrize(
    ("condition", "axis", "code"),
    [
        ("ward=B", 0, 1),
        ("age=15", 1, 1),
        ("age=null", 1, 3),
        ("day=2024-01-03", 2, 1),
        ("cost=2", 3, 1),
        ("ward=Q", 0, 2),
    ],
)
def test_a_condition_takes_a_label_or_a_value_in_a_cell(run, condition, axis, code):
    said = json.loads(asked(run, "--by", "ward,age", "--where", condition, "--json"))
    total = COUNTS.sum(axis=tuple(i for i in range(4) if i != axis))[code]
    assert said["total_rows"] == pytest.approx(total, rel=1e-3)
    assert sum(c["share"] for c in said["cells"]) == pytest.approx(1)


def test_the_largest_cells_come_first_and_the_limit_says_what_is_left(run):
    lines = asked(run, "--by", "ward,age", "--limit", 2).splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["ward", "elsewhere", "elsewhere"]
    assert "10 more cells" in lines[3]
    rows = [c["rows"] for c in json.loads(asked(run, "--by", "ward,age", "--json"))["cells"]]
    assert rows == sorted(rows, reverse=True)
    assert len(rows) == 12


def test_csv_has_all_cells_with_all_digits(run):
    rows = list(csv.DictReader(io.StringIO(asked(run, "--by", "age", "--csv"))))
    exact = COUNTS.sum(axis=(0, 2, 3))
    labels = SCHEMA.column("age").cell_labels()
    assert {r["age"]: float(r["rows"]) for r in rows} == pytest.approx(
        dict(zip(labels, exact, strict=True)), rel=1e-3
    )


def test_a_measured_relation_has_an_interval_around_the_noisy_count_in_every_cell(run):
    said = json.loads(asked(run, "--by", "age,ward", "--json"))
    exact, labels = COUNTS.sum(axis=(2, 3)), [c.cell_labels() for c in SCHEMA.columns]
    for cell in said["cells"]:
        w, a = labels[0].index(cell["labels"]["ward"]), labels[1].index(cell["labels"]["age"])
        assert cell["measured"] == exact[w, a]
        assert cell["low"] < exact[w, a] < cell["high"] < exact[w, a] + 2
    bars = said["error_bars"]
    assert (bars["basis"], bars["confidence"], bars["columns"]) == ("measured", 0.95, ["age", "ward"])
    assert 0 <= bars["expected_tvd"] < bars["bound_tvd"] < 0.01
    low, high = bars["table_rows"]
    assert low < COUNTS.sum() < high
    shown = asked(run, "--by", "age,ward", "--confidence", "0.999")
    assert "99.9 % interval" in shown
    assert "in a wrong cell" in shown


def test_a_condition_takes_its_cells_of_the_intervals(run):
    said = json.loads(asked(run, "--by", "ward", "--where", "age=15", "--json"))
    exact = dict(zip(SCHEMA.column("ward").cell_labels(), COUNTS.sum(axis=(2, 3))[:, 1], strict=True))
    assert {c["labels"]["ward"]: c["measured"] for c in said["cells"]} == exact
    rows = csv.DictReader(io.StringIO(asked(run, "--by", "ward", "--where", "age=15", "--csv")))
    assert {r["ward"]: float(r["measured"]) for r in rows} == exact


def test_where_nothing_is_known_of_a_relation_that_is_said_and_what_is_missing(run):
    said = json.loads(asked(run, "--by", "ward,cost", "--json"))
    assert (said["error_bars"]["basis"], said["error_bars"]["bound_tvd"]) == ("none", None)
    assert {c["low"] for c in said["cells"]} == {None}
    shown = asked(run, "--by", "ward,cost")
    assert "No error bars" in shown
    assert "no record of its choices" in shown
    assert "interval" not in shown
    assert asked(run, "--by", "ward,cost", "--csv").splitlines()[1].endswith(",,,")


@pytest.mark.parametrize("confidence", ["0", "1", "95", "often"])
def test_a_confidence_that_is_none_is_refused(run, confidence):
    done = CliRunner().invoke(cli, ["query", str(run), "--by", "ward", "--confidence", confidence])
    assert done.exit_code != 0
    assert confidence in done.stderr


@pytest.mark.parametrize("place", ["", "released", "released/model"])
def test_a_model_is_found_from_the_run_its_release_or_its_own_folder(run, place):
    assert cells(asked(run / place, "--by", "ward", "--json"))
    assert cells(asked((run / place).as_uri(), "--by", "ward", "--json"))


def test_a_release_without_the_rest_of_the_run_is_enough(run, tmp_path):
    shutil.move(run / "released", tmp_path / "published")
    shutil.rmtree(run)
    assert "nothing was spent" in asked(tmp_path / "published", "--by", "ward")


MISTAKES = [
    (["--by", "wrad"], 78, "Did you mean 'ward'?"),
    (["--by", "ward,ward"], 78, "once"),
    (["--by", "ward", "--where", "age"], 78, "column=value"),
    (["--by", "ward", "--where", "cost=9"], 78, "1.50, 2.00"),
    (["--by", "ward", "--where", "age=old"], 78, "[0, 10)"),
    (["--by", "ward", "--where", "ward=A", "--where", "ward=B"], 78, "twice"),
]


@pytest.mark.parametrize(("arguments", "code", "named"), MISTAKES)
def test_a_wrong_question_is_answered_with_the_choices(run, arguments, code, named):
    done = CliRunner().invoke(cli, ["query", str(run), *arguments])
    assert (done.exit_code, named in done.stderr) == (code, True), done.stderr
    assert "Nothing was spent" in done.stderr


def test_a_place_without_a_model_says_which_stage_makes_one(tmp_path):
    done = CliRunner().invoke(cli, ["query", str(tmp_path), "--by", "a"])
    assert done.exit_code == 65
    assert "spark-dp fit" in done.stderr


def test_an_answer_that_does_not_fit_is_refused_before_it_is_worked_out(tmp_path):
    wide = TableSchema.from_settings({n: {"type": "integer", "min": 1, "max": 2000} for n in ("a", "b", "c")})
    counts = np.ones((2000, 1, 1), np.int64) * np.ones((1, 2000, 1), np.int64)
    run = release(tmp_path, wide, np.broadcast_to(counts, (2000, 2000, 1)), [("a",), ("b",)])
    released = ReleasedModel.open(str(run))
    with pytest.raises(DomainTooLargeError, match="4,000,000 cells"):
        marginal(released, ["a", "b"])


def test_a_hostile_label_is_shown_and_not_obeyed(tmp_path):
    schema = TableSchema.from_settings(
        {"x": {"type": "string", "values": ["\x1b[2J", "ok"], "undeclared": "drop"}}
    )
    run = release(tmp_path, schema, np.array([5, 3]), [("x",)])
    said = asked(run, "--by", "x")
    assert "\x1b" not in said
    assert "\\x1b[2J" in said


def test_query_needs_no_spark_and_no_ledger(run):
    script = (
        "import sys\nclass No:\n def find_spec(self, name, path=None, target=None):\n"
        "  if name.split('.')[0] in ('pyspark', 'sqlalchemy'): raise ImportError(name)\n"
        "sys.meta_path.insert(0, No())\nfrom spark_dp.cli import cli\n"
        f"cli(['query', {str(run)!r}, '--by', 'ward'])"
    )
    done = finish([sys.executable, "-c", script], run)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("how", ["read_measurements(artefact)", "pq.read_table(io.BytesIO(content))"])
def test_measurements_are_read_by_one_thread(run, how):
    """A thread of Arrow that outlives a short command aborts it; the twin, Arrow's usual way, starts some."""
    script = (
        "import io, os, sys\nimport pyarrow.parquet as pq\n"
        "from spark_dp.pipeline.artefacts import MEASUREMENTS, read_measurements\n"
        "from spark_dp.pipeline.run_directory import RunDirectory\n"
        f"artefact = RunDirectory.open({str(run.parent)!r}, {run.name!r}).require(MEASUREMENTS, made_by='test')\n"
        "content = artefact.files['marginals.parquet']\n"
        "before = len(os.listdir('/proc/self/task'))\n"
        f"{how}\n"
        "print(len(os.listdir('/proc/self/task')) - before)\nsys.stdout.flush()\nos._exit(0)"
    )
    done = finish([sys.executable, "-c", script], run)
    assert done.returncode == 0, done.stderr
    assert (int(done.stdout) == 0) is how.startswith("read_measurements")
