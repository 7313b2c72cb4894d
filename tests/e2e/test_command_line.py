"""The command line as a person and as a program sees it, on real runs."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.processes import ROOT, finish
from support.terminal import on_a_terminal
from support.visits import Site

from spark_dp.cli import cli

pytestmark = pytest.mark.spark
MAIN = [sys.executable, "-m", "spark_dp.cli"]


def documented() -> dict[str, set[str]]:
    """The keys of each command's JSON document, as the documentation has them."""
    rows = re.findall(r"^\| (`.*?`) \| (.*) \|$", (ROOT / "docs" / "command-line.md").read_text(), re.M)
    keys: dict[str, set[str]] = {}
    for command, said in rows:
        found = set(re.findall(r"`(\w+)`", said))
        if "command" in found or said == "the same":
            keys[command.strip("`")] = found if "command" in found else keys["ledger open"]
    return keys


def asked(*arguments) -> dict[str, object]:
    done = CliRunner().invoke(cli, [*map(str, arguments), "--json"])
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_each_command_writes_one_document_with_the_documented_keys(tmp_path, spark, monkeypatch):
    monkeypatch.setattr("spark_dp.pipeline.run.open_session", lambda *_, **__: spark)
    site = Site.make(tmp_path, epsilon=4.0)
    file, ledger = site.config_file(), ("--ledger", site.ledger)
    budget = ("--epsilon", 1, "--delta", 1e-7, "--unit", "row")
    documents = [
        asked("init", site.folder / "in"),
        asked("validate", file),
        *(
            asked(stage, file)
            for stage in ("plan", "measure", "fit", "generate", "report", "evaluate", "run")
        ),
        asked("query", site.run_folder, "--by", "ward"),
        asked("audit", "--mechanism", "independent", "--canaries", 100, "--draws", 10),
        asked("ledger", "open", "other", *ledger, *budget),
        *(asked("ledger", name, "visits", *ledger) for name in ("show", "history", "close")),
    ]
    found = {str(document["command"]): set(document) for document in documents}
    known = documented()
    known["validate"] -= {"error"}
    assert found == known


def test_a_person_at_a_terminal_sees_bars_and_a_program_one_document(tmp_path):
    site = Site.make(tmp_path)
    result = tmp_path / "result.json"
    seen = on_a_terminal([*MAIN, "run", str(site.config_file()), "--json"], ROOT, stdout=result)
    assert seen.code == 0, seen.text
    assert json.loads(result.read_text())["spent_now"] is True
    assert any("tasks" in line for line in seen.drawn), seen.raw[-2000:]
    assert not [line for line in seen.lines if "tasks" in line]
    assert [line for line in seen.lines if "done in" in line][-1].startswith("report")
    for name, content in site.released().items():
        assert b"task" not in content, name


def test_ctrl_c_in_the_middle_of_a_run_is_told_and_the_same_key_finishes_it(tmp_path):
    site = Site.make(tmp_path)
    command = [*MAIN, "run", str(site.config_file())]
    seen = on_a_terminal(command, ROOT, interrupt_at="reserved")
    assert seen.code == 130, seen.raw[-2000:]
    assert "Interrupted." in seen.text
    assert "Traceback" not in seen.raw
    assert json.loads((site.run_folder / "state" / "outcome.json").read_text())["exit_code"] == 130
    done = finish([*command, "--quiet"], ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert site.account().remaining_epsilon < 1e-3


def test_a_log_has_lines_and_a_log_of_json_has_documents(tmp_path):
    site = Site.make(tmp_path)
    done = finish([*MAIN, "run", str(site.config_file()), "--json"], ROOT, SPARK_DP_LOG_FORMAT="json")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert {line["event"] for line in lines} >= {"stage-begin", "stage-end", "say"}
    assert {"measure", "fit", "generate", "report"} <= {line["stage"] for line in lines}
    assert json.loads(done.stdout)["command"] == "run"
    again = finish([*MAIN, "run", str(site.config_file())], ROOT)
    assert "\x1b" not in again.stderr + again.stdout
    assert "measure: done in" in again.stderr
    assert "nothing again" in again.stdout


def test_a_failed_run_writes_one_document_and_its_outcome(tmp_path):
    site = Site.make(tmp_path)
    broken = site.folder / "in" / "broken.parquet"
    broken.write_bytes(b"PAR1 no table PAR1")
    done = finish([*MAIN, "run", str(site.config_file()), "--json"], ROOT)
    error = json.loads(done.stdout)["error"]
    outcome = json.loads((site.run_folder / "state" / "outcome.json").read_text())
    assert done.returncode == error["exit_code"] == outcome["exit_code"] == 65
    assert error["message"] == outcome["message"]
    assert Path(broken).name in error["message"] + done.stderr or error["field"]


def test_types_of_a_table_of_a_catalog_are_read_without_a_row(spark, tmp_path, monkeypatch):
    monkeypatch.setattr("spark_dp.spark.session.open_session", lambda *_, **__: spark)
    spark.sql("CREATE OR REPLACE TEMP VIEW seen AS SELECT 1 AS n, 'canary' AS name, array(1) AS list")
    done = CliRunner().invoke(cli, ["init", "--table", "seen"])
    assert done.exit_code == 0, done.stderr
    assert "canary" not in done.output
    assert "type: integer" in done.stdout
    assert "# list has the type array" in done.stdout
    assert CliRunner().invoke(cli, ["init", "--table", "nowhere"]).exit_code == 65
