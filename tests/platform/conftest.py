from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cluster import ENVIRONMENT, ZIP, standalone_cluster
from support.processes import ROOT

OLDEST = ROOT / ".venv-spark-oldest" / "bin"


@pytest.fixture(scope="session")
def package() -> Path:
    """The zip for --py-files, built as users build it."""
    subprocess.run([sys.executable, str(ROOT / "deploy" / "package.py")], check=True, capture_output=True)
    return ZIP


@pytest.fixture(scope="session")
def environment() -> Path:
    """The packed environment for --archives, as `make package` left it."""
    if not ENVIRONMENT.exists():
        pytest.fail(
            "dist/environment.tar.gz is not there. `make test-platforms` makes it; or run: make package"
        )
    return ENVIRONMENT


@pytest.fixture(scope="session")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A standalone master and two workers of one core each; no Python is on their PATH."""
    with standalone_cluster(tmp_path_factory.mktemp("cluster")) as url:
        yield url


@pytest.fixture(scope="session")
def oldest_spark() -> Path:
    """The folder of programs of the environment with the oldest Spark."""
    if not (OLDEST / "spark-dp").exists():
        pytest.fail(
            f"{OLDEST.parent.name} is not there. `make test-platforms` makes it; or run: make {OLDEST.parent.name}/.ready"
        )
    return OLDEST
