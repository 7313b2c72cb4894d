"""All that can be checked of a run without its data, each apart from the others: `spark-dp validate`."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from spark_dp.errors import BudgetError, ConfigurationError, InputError, SparkDPError, nearest
from spark_dp.pipeline.config import RunConfig
from spark_dp.pipeline.init_types import read_parquet_types
from spark_dp.pipeline.output import require_output
from spark_dp.pipeline.planning import RunPlan, plan_run
from spark_dp.pipeline.preflight import local_input, require_input, require_own_key, require_run_directory
from spark_dp.pipeline.progress import Progress
from spark_dp.pipeline.run import Run
from spark_dp.privacy.account_views import AccountView
from spark_dp.privacy.bindings import place_of_path
from spark_dp.privacy.ledger import Ledger
from spark_dp.privacy.stated import at_most, declared
from spark_dp.spark.session import require_java

SPARK_MAJORS = (3, 4)
SPARK_FLOOR = (3, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what.
        status: 'ok', 'failed', or 'skipped' where it could not be looked at.
        message: for a person.
        error: why it failed.
    """

    name: str
    status: str
    message: str
    error: SparkDPError | None = None

    def facts(self) -> dict[str, Any]:
        """Returns the check, JSON-able."""
        return {
            "name": self.name,
            "status": self.status,
            "message": self.message,
            "field": self.error.field if self.error else None,
            "exit_code": self.error.exit_code if self.error else 0,
        }


@dataclass(slots=True)
class Validation:
    """Every check of one configuration, in order."""

    checks: list[Check] = field(default_factory=list)

    @property
    def first_error(self) -> SparkDPError | None:
        """What the command fails with."""
        return next((check.error for check in self.checks if check.error is not None), None)

    def check(self, name: str, look: Callable[[], str | None]) -> bool:
        """Looks at one thing; `look` returns what it found, or None where it could not look."""
        try:
            found = look()
        except SparkDPError as error:
            self.checks.append(Check(name=name, status="failed", message=error.message, error=error))
            return False
        if found is None:
            self.skip(name, "only Spark can say, when it runs")
            return False
        self.checks.append(Check(name=name, status="ok", message=found))
        return True

    def skip(self, name: str, why: str) -> None:
        self.checks.append(Check(name=name, status="skipped", message=why))


def validate(load: Callable[[], RunConfig]) -> Validation:
    """Checks everything that needs no data; each check says what it can although others fail.

    Args:
        load: reads the configuration.
    """
    found = Validation()
    loaded: list[RunConfig] = []

    def read() -> str:
        loaded.append(load())
        columns = len(loaded[0].schema.columns)
        return f"{columns} columns, unit {loaded[0].privacy.unit.label}"

    if found.check("configuration", read):
        config = loaded[0]
        found.check("plan", lambda: _plan(plan_run(config)))
        _check_account(found, config)
        if found.check("input", lambda: _input(config)):
            found.check("columns", lambda: _columns(config))
        try:
            run = Run(config, Progress(None))
        except SparkDPError as error:
            found.checks.append(
                Check(name="run directory", status="failed", message=error.message, error=error)
            )
        else:
            _check_places(found, run)
    else:
        for name in ("plan", "account", "input", "output", "run directory"):
            found.skip(name, "it needs the configuration")
    settings = loaded[0].spark if loaded else {}
    remote = bool(os.environ.get("SPARK_REMOTE") or settings.get("spark.remote"))
    found.check("python", _python)
    found.check("pyspark", _pyspark)
    if remote:
        found.skip("java", "Spark runs elsewhere")
    else:
        found.check("java", _java)
    return found


def _check_account(found: Validation, config: RunConfig) -> None:
    privacy, opened = config.privacy, []
    later = ("account", "unit", "neighbours", "budget", "input of the account")

    def connect() -> str:
        opened.append(Ledger.connect(privacy.ledger_url()))
        return "reachable"

    if not found.check("ledger", connect):
        for name in later:
            found.skip(name, "needs the ledger")
        return
    ledger = opened[0]
    accounts: list[AccountView] = []

    def show() -> str:
        accounts.append(ledger.show(privacy.dataset))
        return f"{privacy.dataset!r}, {accounts[0].status}"

    if not found.check("account", show):
        for name in later[1:]:
            found.skip(name, "needs the account")
        return
    account = accounts[0]

    def agrees(unit: str, neighbours: Any, about: str, said: str) -> str:
        try:
            ledger.require_affordable(privacy.dataset, config.run.key, privacy.budget, unit, neighbours)
        except BudgetError as error:
            if error.field == about:
                raise
        return said

    unit = privacy.unit.label
    found.check("unit", lambda: agrees(unit, account.neighbours, "privacy.unit", unit))
    found.check(
        "neighbours",
        lambda: agrees(account.unit, privacy.neighbours, "privacy.neighbours", privacy.neighbours.value),
    )

    def afford() -> str:
        ledger.require_affordable(
            privacy.dataset, config.run.key, privacy.budget, account.unit, account.neighbours
        )
        began = any(r.key == config.run.key and r.status != "voided" for r in ledger.history(privacy.dataset))
        left = f"a run of ε = {at_most(account.remaining_epsilon, 4)} is left"
        return (
            f"the key has begun and was charged; {left}"
            if began
            else f"ε = {declared(privacy.budget.epsilon)} of it; {left}"
        )

    found.check("budget", afford)

    def own() -> str | None:
        path = config.input.path
        if path is None:
            return None
        ledger.require_own_input(privacy.dataset, place_of_path(str(path)))
        return "no other account has it"

    found.check("input of the account", own)


def _check_places(found: Validation, run: Run) -> None:
    def output() -> str:
        require_output(run)
        return f"{run.config.output.path}, mode {run.config.output.mode.value}"

    def directory() -> str:
        require_run_directory(run)
        return run.directory.folder.shown

    def key() -> str:
        require_own_key(run)
        return run.config.run.key

    found.check("output", output)
    if found.check("run directory", directory):
        found.check("run key", key)
    else:
        found.skip("run key", "needs the run directory")


def _plan(planned: RunPlan) -> str:
    return f"{planned.mechanism.name}, {planned.layout.vector_cells:,} cells counted"


def _input(config: RunConfig) -> str | None:
    return f"{config.input.path} is there" if require_input(config) else None


def _columns(config: RunConfig) -> str | None:
    """Compares names and types with one file's, as `init` reads them; what Spark finds when it reads is what counts."""
    if local_input(config) is None or config.input.format != "parquet":
        return None
    have = {column.name: column for column in read_parquet_types(str(config.input.path))}
    unit = config.privacy.unit.columns
    for name, setting in [
        *((n, "privacy.unit.column") for n in unit),
        *((n, f"schema.{n}") for n in config.schema.names),
    ]:
        if name not in have:
            raise InputError(
                f"The table has no column {name!r} ({setting}). Nothing was spent. Choose one of: {', '.join(have)}."
                f"{nearest(name, have)}",
                field=setting,
            )
    for column in config.schema.columns:
        found = have[column.name]
        if found.partition or column.type.holds(found.type):
            continue
        raise InputError(
            f"Column {column.name!r} is declared as {column.type}, and the table has it as {found.type or found.why}. "
            f"Nothing was spent. Change schema.{column.name}.type, or cast the column when the table is written.",
            field=f"schema.{column.name}.type",
        )
    return f"{len(config.schema.names)} of the table's {len(have)} columns, in their stored types"


def _python() -> str:
    here = ".".join(platform.python_version_tuple()[:2])
    chosen = os.environ.get("PYSPARK_PYTHON")
    if chosen is None or os.environ.get("PYSPARK_GATEWAY_PORT"):
        return here
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([chosen, "-c", ask], capture_output=True, text=True, check=False, timeout=30)
        there = done.stdout.strip() if done.returncode == 0 else "nothing that runs"
    except (OSError, subprocess.TimeoutExpired):
        there = "nothing that runs"
    if there != here:
        raise ConfigurationError(
            f"PYSPARK_PYTHON is {chosen!r}, which is {there}, and the driver's Python is {here} ({sys.executable}). Nothing "
            "was read or spent. Set it to the same version, or leave it out for a local run.",
            field="PYSPARK_PYTHON",
        )
    return here


def _pyspark() -> str:
    try:
        version = importlib.metadata.version("pyspark")
    except importlib.metadata.PackageNotFoundError:
        try:
            import pyspark
        except ImportError:
            raise ConfigurationError(
                "PySpark is not installed here. Nothing was read or spent. Install it with: pip install 'spark-dp[local]'. "
                "On a cluster, run the job with spark-submit.",
                field="spark",
            ) from None
        version = str(pyspark.__version__)
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < SPARK_FLOOR or numbers[0] not in SPARK_MAJORS:
        raise ConfigurationError(
            f"PySpark is {version}; 3.5 to 4.x are supported. Nothing was read or spent. Install one of those.",
            field="spark",
        )
    return version


def _java() -> str:
    require_java()
    return "17 or later"
