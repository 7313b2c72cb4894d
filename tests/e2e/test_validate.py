"""`spark-dp validate` finds what is wrong without the data: all of it, and without Spark."""

from __future__ import annotations

import json
import os

import pytest
from click.testing import CliRunner
from support.visits import Site

from spark_dp.cli import cli
from spark_dp.pipeline.resume import remember
from spark_dp.privacy.ledger import Ledger, open_account
from spark_dp.privacy.sensitivity import Neighbours


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setattr("spark_dp.pipeline.run.open_session", _no_spark)
    for name in [n for n in os.environ if n.startswith(("SPARK", "PYSPARK"))]:
        monkeypatch.delenv(name)
    return Site.make(tmp_path)


def _no_spark(*_: object, **__: object) -> None:
    raise AssertionError("Spark was started")


def validated(site, *overrides):
    sets = [word for override in overrides for word in ("--set", override.format(folder=site.folder))]
    done = CliRunner().invoke(cli, ["validate", str(site.config_file()), "--json", *sets])
    found = json.loads(done.stdout)
    return done.exit_code, {c["name"]: c for c in found["checks"]}, found


def failed(checks):
    return [name for name, check in checks.items() if check["status"] == "failed"]


def test_a_run_that_can_begin_is_valid_and_nothing_is_written(site):
    before = sorted(site.folder.rglob("*"))
    code, checks, found = validated(site)
    assert (code, found["valid"], failed(checks)) == (0, True, []), checks
    assert {c["status"] for c in checks.values()} == {"ok"}
    assert sorted(set(site.folder.rglob("*")) - set(before)) == [site.folder / "visits.yaml"]


PROBLEMS = [
    ("privacy.epsilon=much", 78, ["configuration"]),
    ("mechanism.max_model_mb=0.0001", 78, ["plan"]),
    ("privacy.ledger=sqlite:///{folder}/none.db", 77, ["ledger"]),
    ("privacy.dataset=visit", 77, ["account"]),
    ("privacy.unit.column=ward", 77, ["unit"]),
    ("privacy.neighbours=replace", 77, ["neighbours"]),
    ("privacy.epsilon=3", 77, ["budget"]),
    ("input.path={folder}/nowhere", 65, ["input"]),
    ("input.path={folder}/empty", 65, ["input"]),
    ("output.path={folder}/taken", 78, ["output"]),
    ("output.path={folder}/file/out", 78, ["output"]),
    ("run.directory={folder}/file/runs", 78, ["run directory"]),
    ("run.key=a/b", 78, ["configuration"]),
]


@pytest.mark.parametrize(("override", "code", "names"), PROBLEMS)
def test_each_problem_is_found_and_ends_with_its_exit_code(site, override, code, names):
    (site.folder / "taken").mkdir()
    (site.folder / "taken" / "x").touch()
    (site.folder / "empty").mkdir()
    (site.folder / "file").touch()
    found, checks, document = validated(site, override)
    assert (found, failed(checks)) == (code, names), checks
    assert document["error"]["exit_code"] == code
    assert site.account().spent_rho == 0


def test_an_input_that_another_account_has_is_found(site):
    ledger = Ledger.connect(site.ledger)
    open_account(site.ledger, "other", 1.0, 1e-9, "person", Neighbours.ADD_REMOVE)
    ledger.bind("other", str(site.folder / "in"))
    code, checks, document = validated(site)
    assert (code, failed(checks)) == (77, ["input of the account"]), checks
    assert "bound to account 'other'" in document["error"]["message"]
    ledger.bind("visits", str(site.folder / "in"), confirm_shared=True)
    assert validated(site)[0] == 0


def test_all_problems_are_named_and_the_first_decides_the_exit_code(site):
    (site.folder / "out").mkdir()
    (site.folder / "out" / "x").touch()
    code, checks, _ = validated(site, "privacy.unit.column=ward", "privacy.epsilon=3", "input.path=nowhere")
    assert failed(checks) == ["unit", "budget", "input", "output"]
    assert code == 77


def test_what_only_spark_can_say_is_skipped_and_not_called_right(site):
    code, checks, _ = validated(site, "input.path=hdfs:///visits")
    assert (code, checks["input"]["status"]) == (0, "skipped")
    _, checks, _ = validated(site, "input.path=null", "input.table=lake.visits")
    assert checks["input"]["status"] == "skipped"


def began(site, *overrides):
    """A run of the key that was begun and not finished."""
    run = site.run(None, *overrides)
    privacy = run.config.privacy
    account = Ledger.connect(site.ledger).begin(
        "visits", "first", "digest", privacy.budget, "person", Neighbours.ADD_REMOVE
    )
    remember(run, "digest")
    return account


def test_a_key_that_has_begun_may_go_on_although_nothing_is_left(site):
    began(site)
    code, checks, _ = validated(site)
    assert code == 0, checks
    assert "was charged" in checks["budget"]["message"]


def test_a_key_that_began_with_other_settings_is_refused_before_spark(site):
    began(site)
    code, checks, _ = validated(site, "schema.age.bins=5")
    assert (code, failed(checks)) == (78, ["run key"])
    assert "schema" in checks["run key"]["message"]
    done = CliRunner().invoke(cli, ["measure", str(site.config_file()), "--set", "schema.age.bins=5"])
    assert done.exit_code == 78, done.stderr


def test_a_key_whose_run_was_given_back_is_free_for_other_settings(site):
    began(site).void_if_unanswered()
    code, checks, _ = validated(site, "schema.age.bins=5")
    assert code == 0, checks


def test_a_closed_account_is_found(site):
    Ledger.connect(site.ledger).close_account("visits")
    code, checks, _ = validated(site)
    assert (code, failed(checks)) == (77, ["budget"])


def test_a_missing_input_is_found_before_spark_starts(site):
    file = str(site.config_file())
    done = CliRunner().invoke(cli, ["measure", file, "--set", f"input.path={site.folder}/nowhere"])
    assert (done.exit_code, "does not exist" in done.stderr) == (65, True)
    done = CliRunner().invoke(cli, ["measure", file])
    assert done.exit_code == 70, "the twin: what refuses there is the missing input"


def test_a_python_for_the_tasks_that_is_another_is_found(site, monkeypatch):
    other = site.folder / "python"
    other.write_text("#!/bin/sh\necho 3.8\n")
    other.chmod(0o755)
    monkeypatch.setenv("PYSPARK_PYTHON", str(other))
    code, checks, _ = validated(site)
    assert (code, failed(checks)) == (78, ["python"])
    assert "3.8" in checks["python"]["message"]


def test_a_missing_java_is_found(site, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", str(site.folder))
    code, checks, _ = validated(site)
    assert (code, failed(checks)) == (78, ["java"])


def test_the_text_names_every_check_and_counts_the_problems(site):
    done = CliRunner().invoke(cli, ["validate", str(site.config_file()), "--set", "privacy.epsilon=3"])
    assert "FAILED   budget" in done.stdout
    assert "1 problem. Nothing was read or spent." in done.stdout


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("schema.nope={type: boolean}", "'nope'"),
        ("schema.cost.type=long", "decimal(10,2)"),
        ("privacy.unit.column=persn", "'persn'"),
    ],
)
def test_columns_that_the_table_has_not_are_found_before_spark_starts(site, override, named):
    done = CliRunner().invoke(cli, ["validate", str(site.config_file()), "--set", override])
    assert done.exit_code != 0
    assert named in next(line for line in done.output.splitlines() if line.split()[1:2] == ["columns"])
