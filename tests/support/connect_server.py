"""A Spark Connect server of this machine, for drivers that come and go."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.cluster import LOCAL, SPARK_HOME, free_port
from support.processes import apart

SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.adaptive.enabled": "false",
    "spark.driver.memory": "1g",
    # Tables of a few rows: compiling a plan takes longer than running it as it is.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.ui.retainedJobs": "10",
    "spark.driver.extraJavaOptions": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
}


@contextmanager
def connect_server(folder: Path, master: str = "local[2]") -> Iterator[str]:
    """Starts a server and yields its address."""
    port = free_port()
    settings = {**SETTINGS, "spark.connect.grpc.binding.port": str(port)}
    command = [
        str(SPARK_HOME / "bin" / "spark-submit"),
        *("--master", master, "--class", "org.apache.spark.sql.connect.service.SparkConnectServer"),
        *(part for name, value in settings.items() for part in ("--conf", f"{name}={value}")),
        "spark-internal",
    ]
    environment = {**apart(), **LOCAL, "PYSPARK_PYTHON": sys.executable}
    with (folder / "connect.log").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            _wait_for(port, server, folder / "connect.log")
            # One session for all drivers: each session has Python workers of its own, which import everything again.
            yield f"sc://127.0.0.1:{port}/;user_id=tests;session_id={uuid.uuid4()}"
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(480):
        if server.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.25)
    raise TimeoutError(f"The Spark Connect server did not start: {log.read_text()[-2000:]}")
