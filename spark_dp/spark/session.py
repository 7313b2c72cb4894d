"""The Spark session: found or started, quiet, and with the settings the main path relies on.

The master is never set here: it comes from spark-submit, from `spark:` in the configuration, from
SPARK_REMOTE (Spark Connect), or is Spark's own default, all cores of this machine.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from spark_dp.errors import ConfigurationError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SUPPORTED_JAVA = (17, 21)
ENGINE_LOG = "SPARK_DP_ENGINE_LOG"

QUIET = {
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}
"""Settings at start that do not change a result and that the user's own settings override."""

REQUIRED = {
    # The type of a partition column that Spark infers depends on the data: read it as a string.
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "65536",
    "spark.sql.session.timeZone": "UTC",
    # A file that cannot be read is an error, never rows that are left out without a word.
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.files.ignoreCorruptFiles": "false",
    # All files' types are compared, and not those of the summaries that some writers leave.
    "spark.sql.parquet.respectSummaryFiles": "false",
    # Each row is judged by itself. Of a part of a file readers know the least and the largest value only, and pass over
    # all of its rows: by what they leave out of these (NaN, -0.0, less than a millisecond), wrongly.
    "spark.sql.parquet.filterPushdown": "false",
    "spark.sql.orc.filterPushdown": "false",
    "spark.sql.avro.filterPushdown.enabled": "false",
    "spark.sql.inMemoryColumnarStorage.partitionPruning": "false",
}
"""Settings of the running session that encoding relies on."""


def open_session(settings: Mapping[str, str], *, app_name: str = "spark-dp") -> SparkSession:
    """Returns the running session, or starts one with `settings`.

    Raises:
        ConfigurationError: PySpark is not installed, or Java is missing or too old.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise ConfigurationError(
            "PySpark is not installed here. Install it with: pip install 'spark-dp[local]'. "
            "On a cluster, run the job with spark-submit. Nothing was read or spent.",
            field="spark",
        ) from error
    # Spark 4.3 says at every use that it does not fully support pandas 3; nothing of pandas is used here.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"pyspark\..*")
    session = _active_session()
    if session is None:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        if not _is_remote(settings):
            require_java()
            os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1") if _is_local(settings) else None
        builder: Any = SparkSession.builder.appName(app_name)
        chosen = {**_quiet_start(settings), **_local_start(settings), **settings}
        if _is_remote(settings):
            chosen.pop("spark.master", None)  # a session has a master or a remote server
        for key, value in chosen.items():
            builder = builder.config(key, value)
        with _engine_errors_apart(settings):
            session = builder.getOrCreate()
    require_settings(session)
    return session


def require_settings(session: SparkSession) -> None:
    """Gives a session the settings that encoding relies on."""
    for key, value in REQUIRED.items():
        session.conf.set(key, value)


@contextmanager
def settings_restored(session: SparkSession | None) -> Iterator[None]:
    """Leaves the settings of a caller's session as they were, but for the time inside."""
    before = {} if session is None else {key: session.conf.get(key, None) for key in REQUIRED}
    try:
        yield
    finally:
        for key, value in before.items():
            if session is not None and value is not None:
                session.conf.set(key, value)
            elif session is not None:  # the caller had left it to Spark
                session.conf.unset(key)


def is_connect(session: SparkSession) -> bool:
    """Says whether the session talks to a Spark Connect server."""
    return type(session).__module__.startswith("pyspark.sql.connect")


def require_java() -> None:
    """Checks that a Java that Spark supports can be started.

    Raises:
        ConfigurationError: none is there, or its version is not supported.
    """
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else "java"
    advice = (
        "Install OpenJDK 17 (Debian and Ubuntu: apt-get install openjdk-17-jre-headless; macOS: brew install "
        "openjdk@17), or set JAVA_HOME to one. Nothing was read or spent."
    )
    if shutil.which(java) is None:
        where = f"JAVA_HOME is {home!r}, which holds no bin/java" if home else "'java' is not on the PATH"
        raise ConfigurationError(f"Spark needs Java 17 or 21, and {where}. {advice}", field="JAVA_HOME")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    if found is None or int(found.group(1)) < SUPPORTED_JAVA[0]:
        version = found.group(1) if found else "unknown"
        raise ConfigurationError(
            f"Spark needs Java 17 or 21, and the Java found has version {version}. {advice}",
            field="JAVA_HOME",
        )


def open_engine_log(mode: str) -> IO[Any]:
    """Opens the file that SPARK_DP_ENGINE_LOG names, for its owner alone; nowhere where it names none."""

    def private(path: str, flags: int) -> int:
        return os.open(path, flags, 0o600)

    return open(os.environ.get(ENGINE_LOG, os.devnull), mode, opener=private)


@contextmanager
def _engine_errors_apart(settings: Mapping[str, str]) -> Iterator[None]:
    """Starts a local Spark with its standard error apart from ours.

    What the JVM and the Python workers write there may hold values of rows. It goes nowhere, or to the file
    named by SPARK_DP_ENGINE_LOG, which then is the owner's.
    """
    starts_here = _remote(settings).startswith("local") if _is_remote(settings) else _is_local(settings)
    if not starts_here:
        yield
        return
    sys.stderr.flush()
    ours = os.dup(2)
    with open_engine_log("ab") as log:
        os.dup2(log.fileno(), 2)
    try:
        yield
    except Exception as error:
        raise ConfigurationError(
            f"Spark did not start ({type(error).__name__}). Nothing was read or spent. Set {ENGINE_LOG} to the name of a "
            "file and run again to see why: a wrong JAVA_HOME, or a setting under `spark:` that Spark refuses.",
            field="spark",
        ) from None
    finally:
        os.dup2(ours, 2)
        os.close(ours)


def _active_session() -> SparkSession | None:
    from pyspark.sql import SparkSession

    active: SparkSession | None = SparkSession.getActiveSession()
    return active


def _is_remote(settings: Mapping[str, str]) -> bool:
    return bool(_remote(settings))


def _remote(settings: Mapping[str, str]) -> str:
    """The address of a Spark Connect server; `local...` has PySpark start one on this machine."""
    return os.environ.get("SPARK_REMOTE") or settings.get("spark.remote", "")


def _is_local(settings: Mapping[str, str]) -> bool:
    submitted = os.environ.get("PYSPARK_GATEWAY_PORT") is not None
    return not submitted and settings.get("spark.master", "local").startswith("local")


def _local_start(settings: Mapping[str, str]) -> dict[str, str]:
    """Settings for one machine: Spark's 200 shuffle partitions cost a small table a minute there."""
    if _is_remote(settings) or not _is_local(settings):
        return {}
    return {"spark.sql.shuffle.partitions": str(max(8, 2 * (os.cpu_count() or 1)))}


def _quiet_start(settings: Mapping[str, str]) -> dict[str, str]:
    """Settings that keep Spark's own messages out of the terminal: errors only, and no progress bar."""
    if _is_remote(settings):
        return {}
    log4j = Path(__file__).with_name("log4j2.properties")
    start = dict(QUIET)
    if log4j.exists() and "spark.driver.extraJavaOptions" not in settings:
        start["spark.driver.extraJavaOptions"] = f"-Dlog4j2.configurationFile={log4j.as_uri()}"
    return start
