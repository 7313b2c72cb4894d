"""The zip and the packed environment together, on machines that have no Python, from an empty folder."""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
from pathlib import Path

import pytest
from support.cluster import path_without_python, submit
from support.processes import ROOT
from support.visits import Site

pytestmark = pytest.mark.platform

PYTHON = "./environment/bin/python"
SAY_PREFIX = """
import sys
from pathlib import Path
import pyarrow as pa
from spark_dp.spark.session import open_session
def say(batches):
    import sys
    for _ in batches:
        yield pa.RecordBatch.from_pydict({"prefix": [sys.prefix]})
rows = open_session({}).range(0, 8, 1, 8).mapInArrow(say, "prefix string").collect()
Path(sys.argv[1]).write_text("\\n".join([sys.prefix, *sorted({row["prefix"] for row in rows})]))
"""


@pytest.fixture(scope="module")
def empty(tmp_path_factory, package, environment) -> Path:
    """A folder with nothing but the unpacked environment, for the driver."""
    folder = tmp_path_factory.mktemp("empty")
    with tarfile.open(environment) as archive:
        archive.extractall(folder / "environment", filter="tar")
    return folder


def submit_packed(
    master: str, folder: Path, environment: Path, script: Path, *arguments: str, python: str = PYTHON
) -> subprocess.CompletedProcess[str]:
    path = path_without_python(folder.parent / "programs")
    archives = ("--archives", f"{environment}#environment")
    settings = {"PYSPARK_PYTHON": python, "PYSPARK_DRIVER_PYTHON": PYTHON}
    return submit(master, folder, script, *arguments, options=archives, PATH=path, **settings)


def test_the_main_job_runs_where_no_machine_has_a_python(master, environment, empty, tmp_path):
    site = Site.make(tmp_path)
    config = site.config_file()
    config.write_text(re.sub(r"^spark:.*$", "", config.read_text(), flags=re.M))
    done = submit_packed(master, empty, environment, ROOT / "jobs" / "run.py", str(config))
    assert done.returncode == 0, done.stderr[-3000:]
    manifest = json.loads((site.output / "_manifest.json").read_text())
    assert manifest["rows"] == site.synthetic().num_rows > 0
    assert site.account().spent_rho > 0


def test_driver_and_workers_run_their_own_copy_of_the_packed_python(master, environment, empty, tmp_path):
    script = tmp_path / "say.py"
    script.write_text(SAY_PREFIX)
    done = submit_packed(master, empty, environment, script, str(tmp_path / "answer"))
    assert done.returncode == 0, done.stderr[-3000:]
    driver, *workers = (tmp_path / "answer").read_text().splitlines()
    assert driver == str(empty / "environment")
    assert {Path(prefix).name for prefix in workers} == {"environment"}
    assert len(workers) == 2
    assert driver not in workers


def test_without_the_archive_those_workers_have_no_python(master, environment, empty, tmp_path):
    """The twin: nothing but the archive gives these workers a Python."""
    script = tmp_path / "say.py"
    script.write_text(SAY_PREFIX)
    done = submit_packed(master, empty, environment, script, str(tmp_path / "answer"), python="python3")
    assert done.returncode != 0
    assert 'Cannot run program "python3"' in done.stdout + done.stderr


def test_the_archive_holds_no_pyspark_no_spark_dp_and_no_path_of_the_machine_that_built_it(empty):
    root = empty / "environment"
    packages = next(root.glob("lib/python3*/*-packages"))
    assert not {"pyspark", "spark_dp", "pip"} & {path.name for path in packages.iterdir()}
    texts = [
        path for path in root.rglob("*") if path.suffix in {".pth", ".cfg", ".sh"} or path.name == "RECORD"
    ]
    assert not [path for path in texts if str(ROOT) in path.read_text()]
