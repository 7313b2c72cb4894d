"""One synthetic table a day: measure, fit, generate, report, all under the day's run key.

The key comes from the data interval and never from the try number, so that a retried task resumes its run instead of
buying a new one. Each day is a new charge to the same account; the pool has one slot, so that runs that draw on one
account wait for each other, in this DAG and in others.

Before the first run, once:
    airflow pools set spark_dp_flights 1 "the account 'flights' of the ledger"
    airflow variables set spark_dp_secret_ledger postgresql+psycopg://...
    airflow connections add spark_dp --conn-type spark --conn-host spark://HOST:7077
and the settings below, here or in the environment of Airflow's workers.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable
from spark_dp_tasks import SparkDPCommandOperator, SparkDPSubmitOperator

# Where the project lies on the machines that run tasks, with dist/ as `make package` leaves it.
HOME = os.environ.get("SPARK_DP_HOME", "/opt/spark-dp")
# What changes from day to day, and where the ledger is, is set below.
CONFIG = os.environ.get("SPARK_DP_CONFIG", f"{HOME}/conf/runs/flights.yaml")
# Has spark-dp installed, for the stages that need no Spark. The unpacked dist/environment.tar.gz will do.
PYTHON = os.environ.get("SPARK_DP_PYTHON", f"{HOME}/environment/bin/python")
# On shared storage where the driver is not always on the same machine.
INPUT = os.environ.get("SPARK_DP_INPUT", "s3a://lake/flights")
OUTPUT = os.environ.get("SPARK_DP_OUTPUT", "s3a://lake/synthetic/flights")
RUNS = os.environ.get("SPARK_DP_RUNS", "s3://lake/runs/flights")
POOL = os.environ.get("SPARK_DP_POOL", "spark_dp_flights")
ARCHIVES = os.environ.get("SPARK_DP_ARCHIVES", f"{HOME}/dist/environment.tar.gz#environment")
PROPERTIES = os.environ.get("SPARK_DP_PROPERTIES", f"{HOME}/conf/spark/yarn.conf")
# Spark's own messages may hold values of rows, and a task's log is read by many: none of them is shown.
LOG4J = os.environ.get("SPARK_DP_LOG4J", f"{HOME}/spark_dp/spark/log4j2.properties")
FIRST_DAY = os.environ.get("SPARK_DP_FIRST_DAY", "2026-01-01")
WAIT = timedelta(seconds=int(os.environ.get("SPARK_DP_RETRY_SECONDS", "300")))

KEY = "{{ data_interval_start | ds }}"
OUTCOME = f"{RUNS}/{KEY}/state/outcome.json"
SETTINGS = {
    "privacy.ledger": "env:SPARK_DP_SECRET_LEDGER",
    "run.key": KEY,
    "run.directory": RUNS,
    "input.path": f"{INPUT}/day={KEY}",
    "output.path": f"{OUTPUT}/day={KEY}",
}
ARGUMENTS = [CONFIG, *(part for name, value in SETTINGS.items() for part in ("--set", f"{name}={value}"))]
# Airflow masks the value of a variable, and of a setting, whose name holds the word 'secret'.
LEDGER = {"SPARK_DP_SECRET_LEDGER": "{{ var.value.spark_dp_secret_ledger }}"}
# On YARN and Kubernetes Airflow's provider would put it on spark-submit's command line, which others on the machine may
# list: there the cluster holds the secret. `airflow` hands it over, for a driver that runs beside the task.
LEDGER_FROM = os.environ.get("SPARK_DP_LEDGER_FROM", "cluster")


def on_spark(stage: str) -> SparkDPSubmitOperator:
    """A stage that reads or writes the table."""
    return SparkDPSubmitOperator(
        task_id=stage,
        conn_id="spark_dp",
        application=f"{HOME}/jobs/{stage}.py",
        application_args=ARGUMENTS,
        py_files=f"{HOME}/dist/spark_dp.zip",
        archives=ARCHIVES or None,
        properties_file=PROPERTIES,
        conf={"spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile=file://{LOG4J}"},
        name=f"spark-dp {stage} {KEY}",
        env_vars=LEDGER if LEDGER_FROM == "airflow" else None,
        outcome=OUTCOME,
    )


def on_this_machine(stage: str) -> SparkDPCommandOperator:
    """A stage that would leave executors idle."""
    path = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    package = {"PYTHONPATH": f"{HOME}/dist/spark_dp.zip"}
    return SparkDPCommandOperator(
        task_id=stage,
        command=[PYTHON, f"{HOME}/jobs/{stage}.py", *ARGUMENTS],
        env={**path, **package, **LEDGER},
        outcome=OUTCOME,
    )


with DAG(
    dag_id="spark_dp_daily",
    # Written out: a plain cron string has no data interval in Airflow 3. Days that were missed are not caught up
    # with unless Airflow's `catchup_by_default` says so: each of them would be a charge.
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime.fromisoformat(f"{FIRST_DAY}T00:00:00+00:00"),
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": WAIT, "pool": POOL},
    tags=["spark-dp"],
    doc_md=__doc__,
):
    on_spark("measure") >> on_this_machine("fit") >> on_spark("generate") >> on_this_machine("report")
