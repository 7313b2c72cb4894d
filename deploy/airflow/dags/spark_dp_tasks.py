"""Airflow tasks that run a stage of spark-dp and know when a retry is pointless.

Needs nothing of spark-dp in Airflow's own environment: a stage that fails leaves `state/outcome.json` in the
run's directory, because exit codes do not survive every cluster, and that file is all that is read here.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import BaseOperator, ObjectStoragePath
from airflow.sdk.exceptions import AirflowException, AirflowFailException


class SparkDPSubmitOperator(SparkSubmitOperator):
    """Submits a stage that needs Spark.

    Args:
        outcome: URI of the run's `state/outcome.json`, templated.
    """

    template_fields: Sequence[str] = (*SparkSubmitOperator.template_fields, "outcome")

    def __init__(self, *, outcome: str, **settings: Any) -> None:
        super().__init__(**settings)
        self.outcome = outcome

    def execute(self, context: Any) -> None:
        """Runs the stage; fails for good where the same run could only fail again."""
        without_pointless_retries(self.outcome, lambda: super(SparkDPSubmitOperator, self).execute(context))


class SparkDPCommandOperator(BaseOperator):
    """Runs a stage that needs no Spark, as a process of this machine.

    Args:
        command: the program and its arguments, templated.
        outcome: URI of the run's `state/outcome.json`, templated.
        env: the whole environment of the process, templated.
    """

    template_fields: Sequence[str] = ("command", "outcome", "env")

    def __init__(self, *, command: list[str], outcome: str, env: dict[str, str], **settings: Any) -> None:
        super().__init__(**settings)
        self.command = command
        self.outcome = outcome
        self.env = env
        self._process: subprocess.Popen[str] | None = None

    def execute(self, context: Any) -> None:
        """Runs the stage; fails for good where the same run could only fail again."""
        without_pointless_retries(self.outcome, self._run)

    def on_kill(self) -> None:
        """Ends the process when Airflow ends the task."""
        if self._process is not None:
            self._process.terminate()

    def _run(self) -> None:
        self._process = subprocess.Popen(
            self.command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for line in self._process.stdout or ():
            self.log.info("%s", line.rstrip())
        if code := self._process.wait():
            raise AirflowException(f"{self.command[0]} ended with exit code {code}")


def without_pointless_retries(outcome: str, act: Callable[[], None]) -> None:
    """Does `act`, and reads why it failed where it did.

    Only an outcome that `act` left counts: one of an earlier attempt says nothing about this one.

    Raises:
        AirflowFailException: the stage failed, and says that the same run could only fail again.
    """
    before = _left(outcome)
    try:
        act()
    except AirflowFailException:
        raise
    except Exception as error:
        said = _left(outcome)
        if said is None or said == before:
            raise  # a killed driver, a cluster that is down: nothing is known against a retry
        facts = json.loads(said[1])
        if facts["status"] == "failed" and not facts["retriable"]:
            raise AirflowFailException(f"{facts['message']} (exit code {facts['exit_code']})") from error
        raise


def _left(outcome: str) -> tuple[float, bytes] | None:
    """Returns when the outcome was written and what it says, or None where there is none."""
    path = ObjectStoragePath(outcome)
    try:
        return path.stat().st_mtime, path.read_bytes()
    except FileNotFoundError:
        return None
