"""Completion in a shell: the script is one, and it completes commands, options, settings and files."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.processes import finish
from support.visits import Site

from spark_dp.cli import cli
from spark_dp.commands.settings import CHOICES, SETTINGS, complete_setting
from spark_dp.errors import ConfigurationError
from spark_dp.mechanisms.automatic import AUTO
from spark_dp.mechanisms.catalog import MECHANISMS
from spark_dp.pipeline.config import parse_config

BIN = Path(sys.executable).parent


def script(shell="bash"):
    done = CliRunner().invoke(cli, ["completion", shell])
    assert done.exit_code == 0
    return done.output


def completed(tmp_path, *words):
    """Completes the last word in a real bash that has read the script."""
    (tmp_path / "complete.sh").write_text(script())
    quoted = " ".join(f"'{word}'" for word in words)
    asked = (
        f"source complete.sh; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; "
        '_spark_dp_completion spark-dp; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = finish(["bash", "-c", asked], tmp_path, PATH=f"{BIN}:/usr/bin:/bin")
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell_and_shells_that_are_here_can_read_it(tmp_path, shell):
    (tmp_path / "script").write_text(script(shell))
    assert "_SPARK_DP_COMPLETE" in script(shell)
    if shutil.which(shell):
        done = finish([shell, "-n", "script"], tmp_path)
        assert (done.returncode, done.stderr) == (0, "")


def test_bash_refuses_a_script_that_is_none(tmp_path):
    (tmp_path / "script").write_text(script() + "\nif then")
    assert finish(["bash", "-n", "script"], tmp_path).returncode != 0


def test_bash_completes_commands_options_and_settings(tmp_path):
    assert completed(tmp_path, "spark-dp", "me") == ["measure"]
    assert completed(tmp_path, "spark-dp", "ledger", "h") == ["history"]
    assert completed(tmp_path, "spark-dp", "run", "--lo") == ["--log-format"]
    assert completed(tmp_path, "spark-dp", "run", "--set", "privacy.eps") == ["privacy.epsilon="]
    assert "output.mode=overwrite" in completed(tmp_path, "spark-dp", "run", "--set", "output.mo")


def test_every_setting_that_is_offered_is_known_and_every_known_one_is_offered(tmp_path):
    """The configuration's own errors list what it knows."""
    text = Site(tmp_path).text()
    for section in ("input", "output", "privacy", "mechanism", "run", "evaluate", "privacy.unit"):
        with pytest.raises(ConfigurationError) as refused:
            parse_config(text, [f"{section}.zzz=1"])
        known = re.search(r"Choose one of: ([^.]*)\.", refused.value.message)[1].split(", ")
        offered = [s.removeprefix(f"{section}.") for s in SETTINGS if s.rpartition(".")[0] == section]
        assert sorted(known) == sorted(offered)


@pytest.mark.parametrize("setting", CHOICES)
def test_the_choices_of_a_setting_are_accepted(tmp_path, setting):
    assert set(CHOICES["mechanism.name"]) == {AUTO, *MECHANISMS}
    text = Site(tmp_path).text()
    for assignment in complete_setting(setting + "="):
        more = ["output.partition_by=[ward]"] if "partitions" in assignment else []
        parse_config(text, [*more, assignment])
