"""spark-submit with the zip package, to a standalone master with two workers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.cluster import submit
from support.processes import ROOT
from support.visits import Site

pytestmark = pytest.mark.platform

WHERE = """
import pathlib, sys
import pyarrow as pa
import spark_dp
from spark_dp.spark.session import open_session
from spark_dp.spark.environment import describe_environment
def where(batches):
    import os, spark_dp
    for _ in batches:
        yield pa.RecordBatch.from_pydict({"file": [spark_dp.__file__], "pid": [os.environ.get("SPARK_EXECUTOR_DIRS", "")]})
rows = open_session({}).range(0, 8, 1, 8).mapInArrow(where, "file string, pid string").collect()
found = sorted({spark_dp.__file__} | {r["file"] for r in rows})
pathlib.Path(sys.argv[1]).write_text("\\n".join(found) + "\\n" + str(len({r["pid"] for r in rows})))
"""


def submit_with_our_python(
    master: str, folder: Path, script: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    python = ("--conf", f"spark.pyspark.python={sys.executable}")
    return submit(master, folder, script, *arguments, options=python, PYSPARK_PYTHON=sys.executable)


def test_the_main_job_runs_from_the_zip_in_an_empty_folder(master, package, tmp_path):
    site = Site.make(tmp_path / "site")
    empty = tmp_path / "empty"
    empty.mkdir()
    config = site.config_file()
    config.write_text(re.sub(r"^spark:.*$", "", config.read_text(), flags=re.M))
    done = submit_with_our_python(master, empty, ROOT / "jobs" / "run.py", str(config))
    assert done.returncode == 0, done.stderr[-3000:]
    outcome = json.loads((site.run_folder / "state" / "outcome.json").read_text())
    assert outcome["status"] == "succeeded"
    assert pq.ParquetDataset(site.output).read().num_rows > 0
    assert site.account().spent_rho > 0
    again = submit_with_our_python(master, empty, ROOT / "jobs" / "run.py", str(config))
    assert "nothing was spent again" in again.stdout + again.stderr


def test_both_workers_run_the_package_from_the_zip(master, package, tmp_path):
    script = tmp_path / "where.py"
    script.write_text(WHERE)
    done = submit_with_our_python(master, tmp_path, script, str(tmp_path / "answer"))
    assert done.returncode == 0, done.stderr[-3000:]
    *files, executors = (tmp_path / "answer").read_text().splitlines()
    assert all("spark_dp.zip" in file for file in files), files
    assert int(executors) == 2


def test_a_job_with_a_wrong_setting_fails_with_its_code_and_spends_nothing(master, package, tmp_path):
    site = Site.make(tmp_path / "site")
    config = site.config_file()
    done = submit_with_our_python(
        master, tmp_path, ROOT / "jobs" / "run.py", str(config), "--set", "privacy.epsilon=0"
    )
    assert done.returncode == 78
    assert "privacy.epsilon" in done.stdout + done.stderr
    assert site.account().spent_rho == 0
