"""The plan that the page shows is what `spark-dp plan` says of the quick start."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from doc_pages import page

FENCE = r"^```{}\n(.*?)^```$"


@pytest.fixture
def folder(tmp_path):
    config = re.search(
        r"^Save this as `visits.yaml`:\n\n```yaml\n(.*?)^```$", page("quickstart.md"), re.M | re.S
    )
    assert config is not None
    (tmp_path / "visits.yaml").write_text(config.group(1), encoding="utf-8")
    return tmp_path


def said(folder, command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command.split()], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_plan_on_the_page_is_the_plan_of_the_quick_start(folder):
    opens = re.search(r"^spark-dp (ledger open .*)$", page("quickstart.md"), re.M)
    assert opens is not None
    said(folder, f"spark_dp.cli {opens.group(1)}")
    shown = re.search(FENCE.format("text"), page("plan.md"), re.M | re.S)
    assert shown is not None
    assert said(folder, "spark_dp.cli plan visits.yaml").rstrip() == shown.group(1).rstrip()
