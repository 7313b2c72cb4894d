"""A standalone Spark cluster of this machine, whose processes find no Python."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyspark
from support.processes import ROOT, apart, finish

SPARK_HOME = Path(pyspark.__file__).parent
LOCAL = {"SPARK_HOME": str(SPARK_HOME), "SPARK_LOCAL_IP": "127.0.0.1"}
ZIP = ROOT / "dist" / "spark_dp.zip"
ENVIRONMENT = ROOT / "dist" / "environment.tar.gz"


@contextmanager
def standalone_cluster(
    folder: Path, workers: int = 2, memory: str = "1g", scratch: Path | None = None
) -> Iterator[str]:
    """Starts a master and workers of one core each, and yields the master's URL.

    Args:
        folder: for their logs and working folders.
        workers: how many.
        memory: of each.
        scratch: where executors keep shuffle files and spilled blocks.
    """
    port, page = free_port(), free_port()
    url = f"spark://127.0.0.1:{port}"
    here = ["--host", "127.0.0.1"]
    deploy = "org.apache.spark.deploy"
    commands = [[f"{deploy}.master.Master", *here, "--port", str(port), "--webui-port", str(page)]]
    worker = [f"{deploy}.worker.Worker", *here, "-c", "1", "-m", memory]
    commands += [[*worker, "-d", str(folder / f"w{i}"), url] for i in range(workers)]
    environment = {**apart(), **LOCAL, "PATH": path_without_python(folder / "bin")}
    if scratch is not None:
        environment["SPARK_LOCAL_DIRS"] = str(scratch)
    start = str(SPARK_HOME / "bin" / "spark-class")
    with (folder / "cluster.log").open("w") as log:
        running = [subprocess.Popen([start, *c], env=environment, stdout=log, stderr=log) for c in commands]
        try:
            _wait_for_workers(page, workers)
            yield url
        finally:
            for process in running:
                process.send_signal(signal.SIGTERM)
            for process in running:
                process.wait(30)


def submit(
    master: str,
    folder: Path,
    script: Path,
    *arguments: str,
    options: tuple[str, ...] = (),
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Runs spark-submit in a folder, with the zip and the settings that a small machine needs."""
    settings = ("spark.ui.enabled=false", "spark.sql.shuffle.partitions=2", "spark.driver.host=127.0.0.1")
    command = [
        str(SPARK_HOME / "bin" / "spark-submit"),
        *("--master", master, "--py-files", str(ZIP), "--executor-memory", "600m"),
        *(part for setting in settings for part in ("--conf", setting)),
        *options,
        *(str(script), *arguments),
    ]
    return finish(command, folder, **LOCAL, **environment)


def path_without_python(folder: Path) -> str:
    """Makes a folder of links to every program on the PATH but Python, and returns it as a PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    for place in os.environ["PATH"].split(os.pathsep):
        for program in sorted(Path(place).glob("*")) if place else []:
            link = folder / program.name
            if not re.match(r"(python|pypy|pyspark|pyenv)", program.name) and not link.is_symlink():
                link.symlink_to(program)
    return str(folder)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_workers(page: int, count: int) -> None:
    for _ in range(240):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{page}/json/", timeout=2) as answer:
                if json.load(answer).get("aliveworkers") == count:
                    return
        except OSError:
            pass
        time.sleep(0.5)
    raise TimeoutError("The standalone cluster did not start")
