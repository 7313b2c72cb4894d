"""The quick start, done as it says: its files saved, its commands run one after another in an empty folder."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.spark

PAGE = (Path(__file__).parents[2] / "docs" / "quickstart.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^Save this as `([^`]+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]
SNIPPETS = [
    code
    for code in re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    if code not in FILES.values()
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("quickstart")
    for name, content in FILES.items():
        (made / name).write_text(content, encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def said(folder):
    """What each command said, in the order of the page; a command that fails ends the test."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    found: dict[str, str] = {}
    for command in COMMANDS:
        done = subprocess.run(
            shlex.split(command), cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        found[command] = found.get(command, "") + done.stdout + done.stderr
    return found


def test_the_page_has_files_and_commands():
    assert set(FILES) == {"make_visits.py", "visits.yaml"}
    assert [c.split()[1] for c in COMMANDS if c.startswith("spark-dp")].count("run") == 2


def test_every_command_succeeds_and_the_second_run_spends_nothing(said):
    assert "Spent    nothing again" in said["spark-dp run visits.yaml"]
    assert "NOT PRIVATE" in said["spark-dp evaluate visits.yaml"]


def test_the_code_on_the_page_runs_on_what_was_made(said, folder):
    for code in SNIPPETS:
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "elsewhere" in done.stdout


def test_what_the_page_shows_of_the_result_is_what_is_said(said):
    """The words of the shown lines; their numbers are of another draw."""
    shown = re.search(r"^```text\n(Output.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert shown is not None
    for line in shown.group(1).splitlines():
        word = line.split()[0]
        assert word in said["spark-dp run visits.yaml"], line
