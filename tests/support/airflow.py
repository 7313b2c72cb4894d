"""A real Airflow of its own environment: API server, scheduler with LocalExecutor, DAG processor, and their database."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.cluster import free_port
from support.processes import ROOT, apart

PROGRAMS = ROOT / ".venv-airflow" / "bin"
DAGS = ROOT / "deploy" / "airflow" / "dags"
DAG = "spark_dp_daily"


@dataclass(frozen=True)
class Airflow:
    """Speaks to the API of a running Airflow."""

    home: Path
    url: str
    token: str

    def ask(self, path: str, method: str = "GET", **body: Any) -> Any:
        request = urllib.request.Request(
            f"{self.url}/api/v2/{path}",
            method=method,
            data=json.dumps(body).encode() if body else None,
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def tasks(self, day: str) -> dict[str, dict[str, Any]]:
        """Returns the task instances of a day's run by name; none where the run is not there yet."""
        runs = self.ask(f"dags/{DAG}/dagRuns?limit=100")["dag_runs"]
        names = [run["dag_run_id"] for run in runs if str(run["data_interval_start"]).startswith(day)]
        if not names:
            return {}
        found = self.ask(f"dags/{DAG}/dagRuns/{names[0]}/taskInstances")["task_instances"]
        return {task["task_id"]: task for task in found}

    def state(self, day: str) -> str | None:
        runs = self.ask(f"dags/{DAG}/dagRuns?limit=100")["dag_runs"]
        return next((r["state"] for r in runs if str(r["data_interval_start"]).startswith(day)), None)

    def wait(self, until: Callable[[], bool], seconds: int, why: str) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if until():
                return
            time.sleep(1)
        raise TimeoutError(f"{why}\n{self.logs()[-6000:]}")

    def logs(self) -> str:
        """Returns what tasks and processes wrote, the newest last."""
        files = sorted(self.home.rglob("*.log"), key=lambda file: file.stat().st_mtime)
        return "\n".join(f"--- {file}\n{file.read_text(errors='replace')}" for file in files)


@contextmanager
def running_airflow(home: Path, **settings: str) -> Iterator[Airflow]:
    """Starts an Airflow that knows the project's DAG, paused."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        **apart(),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__SCHEDULER__CATCHUP_BY_DEFAULT": "True",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "2",
        "PYTHONDONTWRITEBYTECODE": "1",
        **settings,
    }
    program = str(PROGRAMS / "airflow")
    migrate = subprocess.run(
        [program, "db", "migrate"], env=environment, cwd=home, capture_output=True, text=True, check=False
    )
    assert migrate.returncode == 0, migrate.stdout[-2000:] + migrate.stderr[-2000:]
    server = ["api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    running = []
    try:
        for name, command in (("api", server), ("dags", ["dag-processor"]), ("scheduler", ["scheduler"])):
            with (home / f"{name}.log").open("w") as log:
                running.append(
                    subprocess.Popen(
                        [program, *command],
                        env=environment,
                        cwd=home,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                )
        yield Airflow(home, url, _token(url))
    finally:
        for process in running:
            os.killpg(process.pid, signal.SIGTERM)
        for process in running:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def _token(url: str) -> str:
    for _ in range(180):
        try:
            with urllib.request.urlopen(f"{url}/auth/token", timeout=5) as answer:
                return str(json.load(answer)["access_token"])
        except (OSError, urllib.error.URLError):
            time.sleep(1)
    raise TimeoutError("Airflow's API server did not start")
