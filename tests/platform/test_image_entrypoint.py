"""What the image starts when Kubernetes asks for a driver or an executor, without Kubernetes.

A driver whose master has no worker waits for executors; one that the image's entry point starts does its work.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.cluster import LOCAL, free_port, standalone_cluster
from support.processes import ROOT, apart

pytestmark = pytest.mark.platform

ENTRYPOINT = str(ROOT / "deploy" / "entrypoint.sh")
COUNT = """
import sys
from pathlib import Path
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
Path(sys.argv[1] + ".app").write_text(spark.sparkContext.applicationId)
frame = spark.range(0, 100, 1, 2).mapInArrow(lambda batches: batches, "id long")
Path(sys.argv[1]).write_text(f"{frame.count()}")
"""


def start(log, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    known = {**apart(), **LOCAL, "PATH": path, "PYSPARK_PYTHON": sys.executable, **environment}
    command = ["sh", ENTRYPOINT, *arguments]
    return subprocess.Popen(command, env=known, stdout=log, stderr=log, start_new_session=True)


def test_driver_and_executor_of_the_entry_point_find_each_other(tmp_path):
    script, answer, port = tmp_path / "count.py", tmp_path / "answer", free_port()
    script.write_text(COUNT)
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.port": str(port),
        "spark.sql.shuffle.partitions": "2",
    }
    conf = [part for name, value in settings.items() for part in ("--conf", f"{name}={value}")]
    running = []
    with standalone_cluster(tmp_path / "cluster", workers=0) as master, (tmp_path / "log").open("wb") as log:
        try:
            asked = ["driver", "--master", master, *conf, str(script), str(answer)]
            running.append(start(log, *asked, SPARK_DRIVER_BIND_ADDRESS="127.0.0.1"))
            app = wait_for(tmp_path / "answer.app", tmp_path / "log")
            # What Kubernetes' scheduler sets in an executor's pod; one of Java's options holds a space.
            pod = {
                "SPARK_DRIVER_URL": f"spark://CoarseGrainedScheduler@127.0.0.1:{port}",
                "SPARK_EXECUTOR_ID": "1",
                "SPARK_EXECUTOR_CORES": "1",
                "SPARK_EXECUTOR_MEMORY": "600m",
                "SPARK_APPLICATION_ID": app,
                "SPARK_EXECUTOR_POD_IP": "127.0.0.1",
                "SPARK_EXECUTOR_POD_NAME": "executor-1",
                "SPARK_RESOURCE_PROFILE_ID": "0",
                "SPARK_JAVA_OPT_0": "--add-opens=java.base/java.nio=ALL-UNNAMED",
                "SPARK_JAVA_OPT_1": "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
                "SPARK_JAVA_OPT_2": "-Dspark.dp.words=two words",
                "SPARK_JAVA_OPT_3": "-Dio.netty.tryReflectionSetAccessible=true",
            }
            running.append(start(log, "executor", **pod))
            assert wait_for(answer, tmp_path / "log") == "100"
            assert running[0].wait(60) == 0
        finally:
            for process in running:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)


def test_anything_else_is_run_as_it_is(tmp_path):
    said = subprocess.run(["sh", ENTRYPOINT, "echo", "two words"], capture_output=True, text=True, check=True)
    assert said.stdout == "two words\n"


def wait_for(file: Path, log: Path) -> str:
    for _ in range(600):
        if file.exists() and file.read_text():
            return str(file.read_text())
        time.sleep(0.5)
    raise TimeoutError(log.read_text()[-4000:])
