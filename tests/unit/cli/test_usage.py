"""A user's mistake on the command line: a sentence, the exit code of a configuration, and never a stack trace."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from support.processes import ROOT, apart, finish
from support.visits import Site

from spark_dp.cli import cli

MAIN = [sys.executable, "-m", "spark_dp.cli"]


def commands(group=cli, path=()):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield (*path, name), command
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


ALL = dict(commands())


@pytest.fixture
def site(tmp_path):
    return Site.make(tmp_path)


@pytest.mark.parametrize("path", [(), *ALL], ids=" ".join)
def test_every_command_helps_with_examples_that_start_with_its_name(path):
    said = CliRunner().invoke(cli, [*path, "--help"], prog_name="spark-dp")
    assert said.exit_code == 0
    examples = said.output.partition("Examples:\n")[2].splitlines()
    assert examples
    assert all(len(line) < 120 for line in said.output.splitlines())
    assert " ".join(("spark-dp", *path)) in said.output.partition("Examples:")[2]


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_the_options_in_the_examples_are_options(path):
    command = ALL[path]
    known = {o for p in command.params for o in p.opts} | {"--help"}
    if isinstance(command, click.Group):
        known |= {o for inner in command.commands.values() for p in inner.params for o in p.opts}
    used = {word for word in (command.epilog or "").replace("|", "\n").split() if word.startswith("--")}
    assert used <= known


MISTAKES = [
    ([], "No command"),
    (["pln"], "'plan'"),
    (["ledger", "shw"], "'show'"),
    (["plan"], "CONFIG"),
    (["plan", "x.yaml", "--jsn"], "--json"),
    (["plan", "x.yaml", "--log-format", "xml"], "'json'"),
    (["plan", "x.yaml", "extra"], "extra"),
    (["query", "x"], "--by"),
    (["query", "x", "--by", "a", "--limit", "0"], "--limit"),
    (["query", "x", "--by", "a", "--csv", "--json"], "--csv"),
    (["init"], "--table"),
    (["init", "x", "--table", "y"], "--table"),
    (["completion", "powershell"], "bash"),
    (["ledger", "open", "d", "--ledger", "sqlite:///x.db", "--epsilon", "much"], "--epsilon"),
]


@pytest.mark.parametrize(
    ("arguments", "named"), MISTAKES, ids=lambda v: " ".join(v) if isinstance(v, list) else v
)
def test_a_mistake_is_named_with_the_nearest_choice_and_is_a_configuration_error(arguments, named):
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 78
    assert named in done.stderr
    assert "Nothing was" in done.stderr
    assert "Traceback" not in done.stderr
    assert ("--json" in arguments) == bool(done.stdout)


@pytest.mark.parametrize("arguments", [a for a, _ in MISTAKES if a], ids=" ".join)
def test_with_json_a_mistake_is_one_document_on_standard_output(arguments):
    done = CliRunner().invoke(cli, [*arguments, "--json"])
    found = json.loads(done.stdout)
    assert set(found) == {"error"}
    assert set(found["error"]) == {"exit_code", "retriable", "field", "message"}
    assert found["error"]["exit_code"] == done.exit_code == 78
    assert found["error"]["message"] in done.stderr


def test_an_error_in_a_log_of_json_is_a_line_of_json(site):
    done = CliRunner().invoke(cli, ["plan", "none.yaml"], env={"SPARK_DP_LOG_FORMAT": "json"})
    (line,) = done.stderr.splitlines()
    assert json.loads(line)["level"] == json.loads(line)["event"] == "error"
    again = CliRunner().invoke(cli, ["plan", "none.yaml", "--log-format=json"])
    assert json.loads(again.stderr)["message"] == json.loads(line)["message"]


def test_a_closed_pipe_is_told_by_the_exit_code_and_no_message(site):
    script = (
        "import os, sys\nfrom spark_dp.cli import main\n"
        f"r, w = os.pipe(); os.dup2(w, 1); os.close(r); os.close(w); sys.argv = ['x', 'plan', {str(site.config_file())!r}]\n"
        "main()"
    )
    done = finish([sys.executable, "-c", script], ROOT)
    assert (done.returncode, done.stderr) == (141, "")


def test_an_output_that_cannot_be_written_is_told(site):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*MAIN, "plan", str(site.config_file())],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=apart(),
            cwd=ROOT,
        )
    assert done.returncode == 75
    assert "could not be written to standard output" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_terminal_that_knows_no_greek_gets_no_stack_trace(site):
    done = finish([*MAIN, "plan", str(site.config_file())], ROOT, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "mechanism" in done.stdout


def interrupted(child):
    """Presses Ctrl-C until it is heard: Python loses one that comes while it calls a finaliser."""
    for _ in range(3):
        child.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return child.communicate(timeout=20)
    child.kill()
    return child.communicate()


def _hear_ctrl_c():
    """A shell's background jobs are started deaf to it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_is_told_in_a_sentence(tmp_path):
    fifo = tmp_path / "waits.yaml"
    os.mkfifo(fifo)
    child = subprocess.Popen(
        [*MAIN, "plan", str(fifo), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        preexec_fn=_hear_ctrl_c,
    )
    with fifo.open("w"):  # returns when the command has begun to read
        time.sleep(0.2)
        said, told = interrupted(child)
    assert child.returncode == 130
    assert json.loads(said)["error"]["exit_code"] == 130
    assert "Interrupted" in told
    assert "Traceback" not in told


def test_an_error_of_our_own_making_withholds_its_text(site, monkeypatch, tmp_path):
    log = tmp_path / "engine.log"
    monkeypatch.setenv("SPARK_DP_ENGINE_LOG", str(log))
    monkeypatch.setattr("spark_dp.pipeline.stages.plan", _broken)
    done = CliRunner().invoke(cli, ["plan", str(site.config_file())])
    assert done.exit_code == 70
    assert "ZeroDivisionError" in done.stderr
    assert "secret" not in done.stderr
    assert "secret" in log.read_text()


def _broken(_):
    raise ZeroDivisionError("secret")


def test_help_and_completion_load_no_library_of_a_run():
    """They are asked at every key that is pressed."""
    script = (
        "import sys\nfrom spark_dp.cli import cli\n"
        "try: cli(['run', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'scipy', 'pandas', 'pyspark', 'sqlalchemy', 'pyarrow', 'rich', 'ruamel'} & set(sys.modules)))"
    )
    done = finish([sys.executable, "-c", script], ROOT)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout[-300:] + done.stderr
