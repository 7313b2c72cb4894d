"""What users get wrong: a clear error that names the setting, with nothing spent and nothing written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.visits import Site, visits

from spark_dp.cli import cli
from spark_dp.errors import InputError
from spark_dp.pipeline import stages
from spark_dp.privacy.ledger import Ledger, open_account
from spark_dp.privacy.sensitivity import Neighbours


@pytest.fixture
def site(tmp_path):
    return Site.make(tmp_path)


def command(site: Site, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, list(arguments))
    return done.exit_code, done.output + (done.stderr if done.stderr_bytes else "")


# override, exit code, what the message must name
BEFORE_ANY_JOB = [
    ("privacy.epsilon=0", 78, "privacy.epsilon"),
    ("privacy.epsilon=-1", 78, "privacy.epsilon"),
    ("privacy.epsilon=.nan", 78, "privacy.epsilon"),
    ("privacy.epsilon=.inf", 78, "privacy.epsilon"),
    ("privacy.epsilon=much", 78, "privacy.epsilon"),
    ("privacy.epsilon=null", 78, "privacy.epsilon"),
    ("privacy.delta=0", 78, "privacy.delta"),
    ("privacy.delta=1", 78, "privacy.delta"),
    ("privacy.delta=1e-3", 78, "privacy.delta"),
    ("privacy.unit.max_rows=0", 78, "privacy.unit.max_rows"),
    ("privacy.unit.max_rows=-1", 78, "privacy.unit.max_rows"),
    ("privacy.unit.max_rows=2.5", 78, "privacy.unit.max_rows"),
    ("privacy.unit.max_rows=true", 78, "privacy.unit.max_rows"),
    ("privacy.unit=person", 78, "privacy.unit"),
    ("privacy.unit.nulls=maybe", 78, "drop"),
    ("privacy.epsilom=1", 78, "epsilon"),
    ("outptu.path=x", 78, "output"),
    ("mechanism.name=mts", 78, "mst"),
    ("mechanism.workload.degree=0", 78, "degree"),
    ("mechanism.max_model_mb=0", 78, "max_model_mb"),
    ("mechanism.max_model_mb=0.0001", 78, "max_model_mb"),
    ("schema.ward.values=[]", 78, "schema.ward.values"),
    ("schema.age.bins=0", 78, "schema.age.bins"),
    ("schema.age.type=interger", 78, "integer"),
    ("schema.age.min=200", 78, "schema.age"),
    ("schema.cost.type=decimal(50,2)", 78, "schema.cost.type"),
    ("output.partition_by=[wrad]", 78, "ward"),
    ("output.rows=-5", 78, "output.rows"),
    ("output.mode=replace", 78, "overwrite"),
    ("output.mode=overwrite_partitions", 78, "partition_by"),
    ("run.key=", 78, "run.key"),
    ("run.key=a/b", 78, "run.key"),
    ("run.seed=-1", 78, "run.seed"),
    ("privacy.ledger=ledger.db", 78, "privacy.ledger"),
    ("privacy.ledger=env:NOT_SET_ANYWHERE", 78, "privacy.ledger"),
]


@pytest.mark.parametrize(("override", "code", "named"), BEFORE_ANY_JOB)
def test_a_wrong_setting_is_named_before_any_job(site, override, code, named, monkeypatch):
    monkeypatch.setattr("spark_dp.pipeline.run.open_session", _no_spark)
    found, said = command(site, "run", str(site.config_file()), "--set", override)
    assert (found, named in said) == (code, True), said
    assert "Traceback" not in said
    assert site.account().spent_rho == 0
    assert not site.output.exists()


def test_the_same_command_without_the_wrong_setting_gets_as_far_as_spark(site, monkeypatch):
    """The twin of the test above: what refuses there is the setting."""
    monkeypatch.setattr("spark_dp.pipeline.run.open_session", _no_spark)
    found, said = command(site, "run", str(site.config_file()))
    assert found == 70
    assert "AssertionError" in said


def _no_spark(*_: object, **__: object) -> None:
    raise AssertionError("Spark was started")


@pytest.mark.parametrize("missing", ["epsilon", "delta", "unit", "ledger", "dataset"])
def test_what_has_no_default_must_be_given(site, missing):
    lines = [line for line in site.text().splitlines() if not line.strip().startswith(f"{missing}:")]
    file = site.folder / "visits.yaml"
    file.write_text("\n".join(lines))
    found, said = command(site, "plan", str(file))
    assert found == 78
    assert f"privacy.{missing}" in said


def test_a_configuration_that_is_missing_or_no_yaml_is_refused(site):
    assert command(site, "plan", str(site.folder / "none.yaml"))[0] == 78
    (site.folder / "bad.yaml").write_text("input: [unclosed")
    assert command(site, "plan", str(site.folder / "bad.yaml"))[0] == 78
    (site.folder / "twice.yaml").write_text(site.text() + "\nrun: {directory: x, key: y}\n")
    found, said = command(site, "plan", str(site.folder / "twice.yaml"))
    assert found == 78
    assert "run" in said


IN_THE_TABLE = [
    ("input.path={folder}/nowhere", 65, "does not exist"),
    ("input.path={folder}/empty", 65, "no file"),
    ("input.path={folder}/text", 65, "input.path"),
    ("privacy.unit.column=persn", 77, "privacy.unit"),
    ("schema.ward.type=integer", 78, "ward"),
    ("schema.age.type=long", 0, ""),
    ("schema.age.type=short", 65, "schema.age.type"),
    ("schema.cost.type=decimal(12,2)", 65, "schema.cost.type"),
    ("input.filter=agee > 3", 78, "input.filter"),
    ("input.filter=rand() < 0.5", 78, "input.filter"),
    ("input.filter=age > (select max(age) from t)", 78, "input.filter"),
    ("privacy.dataset=visit", 77, "visits"),
    ("privacy.ledger=sqlite:///{folder}/none.db", 77, "ledger"),
    ("privacy.unit.columns=[person, ward]", 78, "privacy.unit"),
    ("privacy.neighbours=replace", 77, "neighbours"),
    ("privacy.unit=row", 77, "unit"),
    ("privacy.epsilon=3", 77, "epsilon"),
]


@pytest.mark.spark
@pytest.mark.parametrize(("override", "code", "named"), IN_THE_TABLE)
def test_what_does_not_match_the_table_or_the_account_is_named_and_nothing_is_spent(
    site, spark, monkeypatch, override, code, named
):
    (site.folder / "empty").mkdir()
    (site.folder / "text").mkdir()
    (site.folder / "text" / "a.csv").write_text("a,b\n1,2\n")
    monkeypatch.setattr("spark_dp.pipeline.run.open_session", lambda *_, **__: spark)
    monkeypatch.setattr("spark_dp.pipeline.run.require_same_environment", lambda _: None)
    file = str(site.config_file())
    found, said = command(site, "measure", file, "--set", override.format(folder=site.folder))
    assert (found, named in said) == (code, True), said
    assert "Traceback" not in said
    assert (site.account().spent_rho > 0) == (code == 0)
    assert (site.run_folder / "released").exists() == (code == 0)


@pytest.mark.spark
@pytest.mark.parametrize(("unit", "named"), [("persn", "person"), ("score", "double"), ("at", "timestamp")])
def test_a_unit_that_the_table_has_not_or_not_as_an_id_is_refused(site, spark, unit, named):
    open_account(site.ledger, unit, 2.0, 1e-7, unit, Neighbours.ADD_REMOVE)
    with pytest.raises(InputError, match=named) as refused:
        stages.measure(site.run(spark, f"privacy.unit.column={unit}", f"privacy.dataset={unit}"))
    assert refused.value.field == "privacy.unit.column"
    assert Ledger.connect(site.ledger).show(unit).spent_rho == 0


@pytest.mark.spark
def test_null_ids_may_be_refused_and_what_was_reserved_is_given_back(site, spark):
    with pytest.raises(InputError) as refused:
        stages.measure(site.run(spark, "privacy.unit.nulls=error"))
    assert refused.value.field == "privacy.unit.nulls"
    assert not (site.run_folder / "released").exists()
    assert site.account().spent_rho == 0
    table = visits()
    site.write(table.filter(table["person"].is_valid()))
    stages.measure(site.run(spark, "privacy.unit.nulls=error"))
    assert site.account().spent_rho > 0


def test_a_missing_java_is_named_with_the_command_that_installs_it(site):
    """A real process, for a JVM that runs already would hide it."""
    bare = site.folder / "bin"
    bare.mkdir()
    (bare / "python").symlink_to(sys.executable)
    environment = {**os.environ, "PATH": str(bare), "PYTHONPATH": str(Path(__file__).parents[2])}
    environment.pop("JAVA_HOME", None)
    file = str(site.config_file())
    run = [sys.executable, "-m", "spark_dp.cli", "run", file]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 78
    assert "Java 17" in done.stderr
    assert "Traceback" not in done.stderr
    assert site.account().spent_rho == 0


def test_a_fit_without_measurements_says_which_stage_makes_them(site):
    found, said = command(site, "fit", str(site.config_file()))
    assert found == 65
    assert "spark-dp measure" in said


@pytest.mark.spark
def test_a_measurement_that_was_altered_is_refused(site, spark):
    stages.measure(site.run(spark))
    stages.fit(site.run(None))
    file = site.run_folder / "released" / "measurements" / "measurements.json"
    file.write_bytes(file.read_bytes().replace(b'"epsilon": 2.0', b'"epsilon": 1.0'))
    with pytest.raises(InputError, match="not what was committed"):
        stages.fit(site.run(None))


def test_an_unwritable_run_directory_is_named(site):
    if os.geteuid() == 0:
        blocked = site.folder / "runs"
        blocked.write_text("a file where the folder should be")
    else:
        blocked = site.folder / "runs"
        blocked.mkdir(mode=0o500)
    found, said = command(site, "fit", str(site.config_file()))
    assert found in (65, 75, 78)
    assert "Traceback" not in said
    shutil.rmtree(blocked, ignore_errors=True)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--epsilon", "0", "--delta", "1e-6", "--unit", "row"], 78),
        (["--epsilon", "1", "--delta", "0.1", "--unit", "row"], 78),
        (["--epsilon", "1", "--delta", "1e-6", "--unit", ""], 78),
        (["--epsilon", "1", "--delta", "1e-6"], 78),
    ],
)
def test_an_account_needs_a_valid_budget_and_a_unit(tmp_path, arguments, code):
    ledger = f"sqlite:///{tmp_path}/new.db"
    done = CliRunner().invoke(cli, ["ledger", "open", "d", "--ledger", ledger, *arguments])
    assert done.exit_code == code
    assert not (tmp_path / "new.db").exists()


def test_an_account_is_opened_once(tmp_path):
    ledger = f"sqlite:///{tmp_path}/new.db"
    account = ["--ledger", ledger, "--epsilon", "1", "--delta", "1e-6", "--unit", "row"]
    assert CliRunner().invoke(cli, ["ledger", "open", "d", *account]).exit_code == 0
    assert CliRunner().invoke(cli, ["ledger", "open", "d", *account]).exit_code == 77
    shown = CliRunner().invoke(cli, ["ledger", "show", "d", "--ledger", ledger])
    assert "ε" in shown.output
    assert (
        CliRunner().invoke(cli, ["ledger", "show", "d", "--ledger", f"sqlite:///{tmp_path}/no.db"]).exit_code
        == 77
    )
    assert not (tmp_path / "no.db").exists()
