"""Whether what a run may not lose will outlive its driver."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from spark_dp.errors import ConfigurationError
from spark_dp.pipeline.config import RunConfig

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DEPLOY_MODE = "spark.submit.deployMode"


def require_durable(config: RunConfig, running: Mapping[str, str] | None = None) -> None:
    """Refuses a ledger in a local file, or a relative run directory, where the driver runs on some node of a cluster.

    Such a node's disk goes with the driver: a retry on another would find no ledger, or an empty run directory.

    Args:
        config: of the run.
        running: settings of the session (`submitted`), where Spark has been started.

    Raises:
        ConfigurationError: it is so.
    """
    if not any(_is_cluster(settings) for settings in (config.spark, running or {})):
        return
    directory = config.run.directory
    if config.privacy.ledger_url().startswith("sqlite"):
        raise ConfigurationError(
            f"privacy.ledger is a SQLite file, and {DEPLOY_MODE} is cluster: the file would lie on whichever node the "
            "driver runs on, and a retry elsewhere would not find what was spent. Nothing was spent and nothing was "
            "read. Keep the ledger in PostgreSQL (docs/ledger.md), or use the deploy mode client.",
            field="privacy.ledger",
        )
    if "://" not in directory and not directory.startswith("file:") and not Path(directory).is_absolute():
        raise ConfigurationError(
            f"run.directory is {directory!r}, a relative path, and {DEPLOY_MODE} is cluster: it would lie in the "
            "driver's working folder, which goes with the driver. Nothing was spent and nothing was read. Write a "
            "URI such as s3://bucket/runs, or the absolute path of a shared folder.",
            field="run.directory",
        )


def submitted(session: SparkSession) -> dict[str, str]:
    """Returns what a session says of how its driver was submitted."""
    return {DEPLOY_MODE: str(session.conf.get(DEPLOY_MODE, "client"))}


def _is_cluster(settings: Mapping[str, str]) -> bool:
    return settings.get(DEPLOY_MODE, "client").strip().lower() == "cluster"
