"""What can be found wrong before Spark starts: cheap, and nothing is written or spent."""

from __future__ import annotations

import json
import os
from pathlib import Path

from pyarrow import fs

from spark_dp.errors import ConfigurationError, InputError
from spark_dp.files import Folder
from spark_dp.pipeline.artefacts import MEASUREMENTS
from spark_dp.pipeline.config import RunConfig
from spark_dp.pipeline.resume import SETTINGS, require_same_settings
from spark_dp.pipeline.run import Run
from spark_dp.privacy.ledger import Ledger

_ELSEWHERE = ("PYSPARK_GATEWAY_PORT", "SPARK_REMOTE", "HADOOP_CONF_DIR", "YARN_CONF_DIR", "SPARK_CONF_DIR")
"""Variables that may make Spark read a path from another file system than this machine's."""


def local_input(config: RunConfig) -> Path | None:
    """Returns the input as a path of this machine, or None where only Spark can say what it is."""
    path = config.input.path
    if path is None or any(mark in path for mark in "*?[{"):
        return None
    if path.startswith("file:"):
        return Path("/" + path.removeprefix("file:").lstrip("/"))
    if ":" in path.partition("/")[0]:
        return None
    spark = config.spark
    elsewhere = any(os.environ.get(name) for name in _ELSEWHERE) or any(
        key in spark for key in ("spark.remote", "spark.hadoop.fs.defaultFS", "spark.hadoop.fs.default.name")
    )
    return None if elsewhere or not spark.get("spark.master", "local").startswith("local") else Path(path)


def require_input(config: RunConfig) -> bool:
    """Refuses a local input that is not there, by a look at names alone.

    Returns:
        Whether it was looked at; False where only Spark can.

    Raises:
        InputError: it is missing, or has no file.
    """
    path = local_input(config)
    if path is None:
        return False
    try:
        there, readable = path.exists(), os.access(path, os.R_OK | os.X_OK if path.is_dir() else os.R_OK)
    except PermissionError:  # a folder above it is closed
        there, readable = True, False
    if not there:
        raise InputError(
            f"input.path {config.input.path!r} does not exist. Nothing was spent. Give the folder or file of the table, as "
            "Spark sees it.",
            field="input.path",
        )
    if not readable:
        raise InputError(
            f"input.path {config.input.path!r} may not be read by this user. Nothing was spent. Ask for permission, or "
            "give another path.",
            field="input.path",
        )
    if path.is_dir() and not any(file.is_file() for file in path.rglob("*")):
        raise InputError(
            f"input.path {config.input.path!r} holds no file. Nothing was spent. Check the path, or write the table first.",
            field="input.path",
        )
    return True


def require_own_key(run: Run) -> None:
    """Refuses a key under which other settings were measured, or are being.

    Raises:
        ConfigurationError: names the settings that differ.
    """
    released = run.directory.find(MEASUREMENTS)
    if released is not None:
        require_same_settings(run, released)
        return
    began = run.directory.state.read(SETTINGS)
    if began is None:
        return
    config = run.config
    runs = Ledger.connect(config.privacy.ledger_url()).history(config.privacy.dataset)
    if not any(r.key == config.run.key and r.status != "voided" for r in runs):
        return  # what it began was given back, and the key is free
    before, now = json.loads(began), config.measure_settings()
    differing = [name for name in now if before.get(name) != now[name]]
    if differing:
        raise ConfigurationError(
            f"run.key {config.run.key!r} belongs to a run that began with other settings: {', '.join(differing)}. Nothing "
            "was spent or changed. Restore that configuration to resume it, or choose another run.key (it is charged anew).",
            field="run.key",
        )


def require_run_directory(run: Run) -> None:
    """Refuses a run directory that could not be written; writes nothing.

    Raises:
        ConfigurationError: it cannot be reached, or this user may not write there.
    """
    folder: Folder = run.directory.folder
    try:
        if not folder.is_local:
            folder.filesystem.get_file_info(fs.FileSelector(folder.path, allow_not_found=True))
            return
        place = Path(folder.path)
        while not place.exists() and not place.is_symlink():
            place = place.parent
        reason = None if place.is_dir() else f"{place.name!r} is a file"
        if reason is None and not os.access(place, os.W_OK | os.X_OK):
            reason = "this user may not write there"
    except OSError as error:
        reason = type(error).__name__
    if reason is not None:
        raise ConfigurationError(
            f"run.directory {folder.shown!r} cannot be written: {reason}. Nothing was spent. Give a folder that this user "
            "may write to.",
            field="run.directory",
        )
