"""No value of a row, no id and no value of a partition is told, whatever fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.spark

CANARY = "CANARY_7F3A"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    made = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("canary_run.py")), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert made.returncode == 0, made.stderr[-3000:]
    return made


def test_every_failure_is_told_as_one_of_ours(said):
    lines = [line for line in said.stdout.splitlines() if line.startswith(("caught", "NOT"))]
    assert len(lines) == 15
    assert all(line.startswith("caught") for line in lines), said.stdout
    assert all("None)" not in line.split(":")[0] for line in lines), "each names a field"


def test_no_canary_is_in_what_is_printed(said):
    assert CANARY not in said.stdout
    assert CANARY not in said.stderr


def test_a_corrupt_file_is_named(said):
    corrupt = [line for line in said.stdout.splitlines() if "q.parquet" in line]
    assert corrupt
    assert all("ds=*/q.parquet" in line for line in corrupt)


def test_tracebacks_were_printed_and_so_could_have_held_it(said):
    assert said.stderr.count("Traceback") == 15


def test_spark_itself_would_have_told(spark, tmp_path):
    rows = spark.sql(f"SELECT '{CANARY}' AS a").where("CAST(a AS INT) > 0 OR rand() > 2")
    with pytest.raises(Exception, match=CANARY):
        rows.collect()
