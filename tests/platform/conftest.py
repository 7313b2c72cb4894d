from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.processes import ROOT

OLDEST = ROOT / ".venv-spark-oldest" / "bin"


@pytest.fixture(scope="session")
def package() -> Path:
    """The zip for --py-files, built as users build it."""
    subprocess.run([sys.executable, str(ROOT / "deploy" / "package.py")], check=True, capture_output=True)
    return ROOT / "dist" / "spark_dp.zip"


@pytest.fixture(scope="session")
def oldest_spark() -> Path:
    """The folder of programs of the environment with the oldest Spark."""
    if not (OLDEST / "spark-dp").exists():
        pytest.fail(
            f"{OLDEST.parent.name} is not there. `make test` makes it; or run: make .venv-spark-oldest/.ready"
        )
    return OLDEST
