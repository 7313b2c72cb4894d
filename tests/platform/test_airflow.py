"""The daily DAG in a real Airflow: three days, the first killed and retried, the last refused by the account.

Airflow schedules the days, submits with the real spark-submit to a local Spark, and retries. Each test reads one
fact of that history.
"""

from __future__ import annotations

import datetime as dt
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.airflow import DAG, DAGS, Airflow, running_airflow
from support.cluster import SPARK_HOME, ZIP
from support.processes import ROOT
from support.visits import Site, visits

from spark_dp.privacy.ledger import Ledger

pytestmark = pytest.mark.platform

FIRST, SECOND, THIRD = (
    (dt.datetime.now(dt.UTC).date() - dt.timedelta(days=days)).isoformat() for days in (3, 2, 1)
)
ENOUGH_FOR_TWO = 3.1
"""An account's epsilon: two runs at epsilon 2 fit in it, three do not."""


@dataclass(frozen=True)
class History:
    """What happened, and how the account stood after each day."""

    airflow: Airflow
    site: Site
    killed: list[int]
    spent: dict[str, Fraction]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory, package: Path) -> Iterator[History]:
    """Lives through the three days."""
    folder = tmp_path_factory.mktemp("airflow")
    site = Site.make(folder / "site", epsilon=ENOUGH_FOR_TWO)
    for number, day in enumerate((FIRST, SECOND, THIRD)):
        (site.folder / "in" / f"day={day}").mkdir()
        pq.write_table(visits(seed=number), site.folder / "in" / f"day={day}" / "part-0.parquet")
    (folder / "home").mkdir()
    with running_airflow(folder / "home", **settings(site)) as airflow:
        airflow.ask("pools", "POST", name="spark_dp_visits", slots=1)
        airflow.ask("variables", "POST", key="spark_dp_secret_ledger", value=site.ledger)
        airflow.ask("connections", "POST", connection_id="spark_dp", conn_type="spark", host="local[2]")
        airflow.wait(lambda: knows_the_dag(airflow), 180, "The DAG was not imported")
        airflow.ask(f"dags/{DAG}", "PATCH", is_paused=False)
        killed = kill_mid_measure(airflow, site)
        spent = {}
        for day in (FIRST, SECOND, THIRD):
            airflow.wait(
                lambda day=day: airflow.state(day) in ("success", "failed"), 420, f"{day} did not end"
            )
            spent[day] = site.account().spent_rho
        yield History(airflow, site, killed, spent)


def settings(site: Site) -> dict[str, str]:
    config = site.folder / "visits.yaml"
    text = site.text().replace(site.ledger, "env:SPARK_DP_SECRET_LEDGER")
    config.write_text("\n".join(line for line in text.splitlines() if not line.startswith("spark:")))
    return {
        "SPARK_DP_HOME": str(ROOT),
        "SPARK_DP_CONFIG": str(config),
        "SPARK_DP_PYTHON": sys.executable,
        "SPARK_DP_INPUT": f"{site.folder}/in",
        "SPARK_DP_OUTPUT": f"{site.folder}/out",
        "SPARK_DP_RUNS": f"{site.folder}/runs",
        "SPARK_DP_POOL": "spark_dp_visits",
        "SPARK_DP_ARCHIVES": "",  # one machine, whose Python has all
        "SPARK_DP_PROPERTIES": str(ROOT / "conf" / "spark" / "local.conf"),
        "SPARK_DP_FIRST_DAY": FIRST,
        "SPARK_DP_RETRY_SECONDS": "5",
        "SPARK_DP_LEDGER_FROM": "airflow",
        "SPARK_HOME": str(SPARK_HOME),
        "PYSPARK_PYTHON": sys.executable,
        "PATH": f"{SPARK_HOME}/bin{os.pathsep}{os.environ['PATH']}",
    }


def knows_the_dag(airflow: Airflow) -> bool:
    return any(dag["dag_id"] == DAG for dag in airflow.ask("dags")["dags"])


def kill_mid_measure(airflow: Airflow, site: Site) -> list[int]:
    """Kills the first day's driver, JVM and Python, once its cost is reserved and before it has measured."""
    deadline = time.monotonic() + 300
    while site.account().spent_rho == 0:
        if time.monotonic() > deadline:
            raise TimeoutError(f"Nothing was reserved\n{airflow.logs()[-6000:]}")
        time.sleep(0.05)
    killed = drivers(str(site.folder / "visits.yaml"))
    for process in killed:
        os.kill(process, signal.SIGKILL)
    assert not (site.folder / "runs" / FIRST / "released" / "measurements").exists()
    return killed


def drivers(config: str) -> list[int]:
    """Returns the processes of a submitted stage, known by the configuration that they name."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            said = (place / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if config in said and any(part.endswith("jobs/measure.py") for part in said):
            found.append(int(place.name))
    return found


def test_the_dag_is_imported_without_errors(history):
    assert history.airflow.ask("importErrors")["import_errors"] == []
    tasks = history.airflow.tasks(FIRST)
    assert set(tasks) == {"measure", "fit", "generate", "report"}
    assert {task["pool"] for task in tasks.values()} == {"spark_dp_visits"}


def test_a_killed_task_is_retried_and_spends_once(history):
    assert history.killed
    measure = history.airflow.tasks(FIRST)["measure"]
    assert (measure["state"], measure["try_number"]) == ("success", 2)
    runs = Ledger.connect(history.site.ledger).history("visits")
    assert [run.key for run in runs] == [FIRST, SECOND]
    assert history.spent[FIRST] == runs[0].rho


def test_each_days_run_produces_its_output(history):
    for day in (FIRST, SECOND):
        assert history.airflow.state(day) == "success"
        output = history.site.folder / "out" / f"day={day}"
        assert pq.ParquetDataset(output).read().num_rows > 0
        assert (output / "_manifest.json").exists()


def test_the_next_days_run_draws_on_the_same_account(history):
    assert history.spent[SECOND] == 2 * history.spent[FIRST]


def test_an_exhausted_account_fails_without_a_retry(history):
    measure = history.airflow.tasks(THIRD)["measure"]
    assert history.airflow.state(THIRD) == "failed"
    assert (measure["state"], measure["try_number"], measure["max_tries"]) == ("failed", 1, 2)
    assert history.spent[THIRD] == history.spent[SECOND]
    assert not (history.site.folder / "out" / f"day={THIRD}").exists()


def test_the_ledgers_url_is_in_no_log_and_on_no_page_of_airflow(history):
    rendered = history.airflow.tasks(FIRST)["measure"]["rendered_fields"]
    assert rendered["env_vars"] == {"SPARK_DP_SECRET_LEDGER": "***"}
    assert history.site.ledger not in str(history.airflow.tasks(FIRST))
    assert history.site.ledger not in history.airflow.logs()


def test_sparks_own_messages_stay_out_of_the_tasks_logs(history):
    files = [
        file for file in (history.airflow.home / "logs").rglob("attempt=*.log") if "measure" in str(file)
    ]
    text = "".join(file.read_text() for file in files)
    assert "reserved (ε, δ)" in text
    assert "DAGScheduler" not in text


def test_the_dag_needs_nothing_of_the_package_in_airflows_environment(package):
    text = "".join(file.read_text() for file in DAGS.glob("*.py"))
    assert "import spark_dp\n" not in text
    assert "from spark_dp " not in text
    assert package == ZIP
