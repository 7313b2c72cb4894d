"""spark-submit with the zip package, to a standalone master with two workers."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pyspark
import pytest
from support.processes import ROOT, apart, finish
from support.visits import Site

pytestmark = pytest.mark.platform

SPARK_HOME = Path(pyspark.__file__).parent
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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def master(tmp_path_factory) -> Iterator[str]:
    """A standalone master and two workers of one core each, all of this machine."""
    folder = tmp_path_factory.mktemp("cluster")
    port, page = free_port(), free_port()
    start = [str(SPARK_HOME / "bin" / "spark-class")]
    environment = {"SPARK_HOME": str(SPARK_HOME), "SPARK_LOCAL_IP": "127.0.0.1"}
    url = f"spark://127.0.0.1:{port}"
    here = ["--host", "127.0.0.1"]
    deploy = "org.apache.spark.deploy"
    commands = [[f"{deploy}.master.Master", *here, "--port", str(port), "--webui-port", str(page)]]
    commands += [
        [f"{deploy}.worker.Worker", *here, "-c", "1", "-m", "1g", "-d", str(folder / f"w{i}"), url]
        for i in range(2)
    ]
    log = (folder / "cluster.log").open("w")
    running = [
        subprocess.Popen([*start, *c], env={**apart(), **environment}, stdout=log, stderr=log)
        for c in commands
    ]
    try:
        wait_for_workers(page, 2)
        yield url
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            process.wait(30)
        log.close()


def wait_for_workers(page: int, count: int) -> None:
    for _ in range(120):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{page}/json/", timeout=2) as answer:
                if json.load(answer).get("aliveworkers") == count:
                    return
        except OSError:
            pass
        time.sleep(0.5)
    pytest.fail("The standalone cluster did not start")


def submit(
    master: str, package: Path, folder: Path, script: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    command = [
        str(SPARK_HOME / "bin" / "spark-submit"),
        *("--master", master, "--py-files", str(package), "--executor-memory", "600m"),
        *("--conf", "spark.ui.enabled=false", "--conf", "spark.sql.shuffle.partitions=2"),
        *("--conf", f"spark.pyspark.python={sys.executable}", "--conf", "spark.driver.host=127.0.0.1"),
        *(str(script), *arguments),
    ]
    return finish(
        command, folder, SPARK_HOME=str(SPARK_HOME), SPARK_LOCAL_IP="127.0.0.1", PYSPARK_PYTHON=sys.executable
    )


def test_the_main_job_runs_from_the_zip_in_an_empty_folder(master, package, tmp_path):
    site = Site.make(tmp_path / "site")
    empty = tmp_path / "empty"
    empty.mkdir()
    config = site.config_file()
    config.write_text(re.sub(r"^spark:.*$", "", config.read_text(), flags=re.M))
    done = submit(master, package, empty, ROOT / "jobs" / "run.py", str(config))
    assert done.returncode == 0, done.stderr[-3000:]
    outcome = json.loads((site.run_folder / "state" / "outcome.json").read_text())
    assert outcome["status"] == "succeeded"
    assert pq.ParquetDataset(site.output).read().num_rows > 0
    assert site.account().spent_rho > 0
    again = submit(master, package, empty, ROOT / "jobs" / "run.py", str(config))
    assert "nothing was spent again" in again.stdout + again.stderr


def test_both_workers_run_the_package_from_the_zip(master, package, tmp_path):
    script = tmp_path / "where.py"
    script.write_text(WHERE)
    done = submit(master, package, tmp_path, script, str(tmp_path / "answer"))
    assert done.returncode == 0, done.stderr[-3000:]
    *files, executors = (tmp_path / "answer").read_text().splitlines()
    assert all("spark_dp.zip" in file for file in files), files
    assert int(executors) == 2


def test_a_job_with_a_wrong_setting_fails_with_its_code_and_spends_nothing(master, package, tmp_path):
    site = Site.make(tmp_path / "site")
    config = site.config_file()
    done = submit(
        master, package, tmp_path, ROOT / "jobs" / "run.py", str(config), "--set", "privacy.epsilon=0"
    )
    assert done.returncode == 78
    assert "privacy.epsilon" in done.stdout + done.stderr
    assert site.account().spent_rho == 0
