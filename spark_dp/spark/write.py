"""Writing the output so that readers see the old table or the new one, and nothing between.

Spark's own overwrite empties the old table first. Here the new one is written to a folder beside it, counted, given
its manifest, and only then renamed into place; the old one is set aside until that is done. Object stores have no
rename: there the output goes to a new path, and its manifest, written last, says that it is whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pyarrow import fs

from spark_dp.errors import ConfigurationError, InternalError, OutputExistsError
from spark_dp.files import Folder
from spark_dp.spark.failures import told_without_values

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

MANIFEST = "_manifest.json"
_OBJECT_STORE = re.compile(r"^(s3|s3a|s3n|gs|gcs|abfss?|wasbs?)://")


class OutputMode(StrEnum):
    """What to do with an output that is there already."""

    ERROR = "error"
    OVERWRITE = "overwrite"
    OVERWRITE_PARTITIONS = "overwrite_partitions"


@dataclass(frozen=True, slots=True)
class Output:
    """Where the synthetic table goes, and how.

    Attributes:
        path: as Spark writes it; renamed through pyarrow.fs.
        mode: what to do with a table that is there.
        partition_by: columns that become folders.
    """

    path: str
    mode: OutputMode
    partition_by: tuple[str, ...] = ()

    @property
    def is_object_store(self) -> bool:
        return _OBJECT_STORE.match(self.path) is not None

    @property
    def folder(self) -> Folder:
        """The output itself, through pyarrow.fs: `s3a` is its `s3`."""
        return Folder.open(re.sub(r"^s3[an]://", "s3://", self.path))

    @property
    def staging(self) -> str:
        """The folder beside the output in which the new table is made."""
        return _beside(self.path, "staging")

    def manifest(self) -> bytes | None:
        """Returns the manifest of the table that is there, or None."""
        return self.folder.read(MANIFEST)


def require_writable(output: Output) -> None:
    """Checks, before anything is spent, that the output may go where it is to go, and can.

    Raises:
        OutputExistsError: something is there and the mode is `error`.
        ConfigurationError: the place cannot be written, or cannot be replaced safely.
    """
    _require_allowed(output)
    if not output.is_object_store:
        _require_place(output)


def _require_allowed(output: Output) -> None:
    """Checks that the mode allows to write where the output is to go."""
    if output.mode is OutputMode.OVERWRITE_PARTITIONS and not output.partition_by:
        raise ConfigurationError(
            "output.mode is overwrite_partitions, and output.partition_by names no column. Nothing was spent. Name "
            "the columns, or choose mode: overwrite.",
            field="output.mode",
        )
    if output.is_object_store and output.mode is not OutputMode.ERROR:
        raise ConfigurationError(
            f"output.mode is {output.mode.value}, and {output.path!r} is on an object store, where a table cannot be "
            "replaced in one step. Nothing was spent. Write each run to a path of its own, with mode: error.",
            field="output.mode",
        )
    if (
        output.mode is OutputMode.OVERWRITE_PARTITIONS
        and not _says_what_it_is(output.manifest())
        and not output.folder.is_empty()
    ):
        raise OutputExistsError(
            f"output.path {output.path!r} holds data without a {MANIFEST} that can be read, and output.mode "
            "'overwrite_partitions' would leave some of it under this run's promise. Nothing was changed. Choose a "
            "path of its own for synthetic data.",
            field="output.path",
        )
    if output.mode is OutputMode.ERROR and not output.folder.is_empty():
        raise OutputExistsError(
            f"output.path {output.path!r} is there already and output.mode is 'error'. It was left as it is. "
            "Choose another path, or mode: overwrite.",
            field="output.path",
        )


def _says_what_it_is(manifest: bytes | None) -> bool:
    """Whether a manifest states the promise of what is there, and of what was there before it."""
    try:
        found = json.loads(manifest or b"null")
        stated = [found["privacy"], *found["earlier_runs"]]
        return all(isinstance(s["run_id"], str) and isinstance(s["promise"], str) for s in stated)
    except (ValueError, TypeError, KeyError):
        return False


def _require_place(output: Output) -> None:
    """Tries whether the folder beside the output can be made, before anything is spent."""
    try:
        filesystem, staging = _open(output.staging)
        filesystem.create_dir(staging, recursive=True)
        filesystem.delete_dir(staging)
    except OSError as error:
        raise ConfigurationError(
            f"output.path {output.path!r} cannot be written by this user ({type(error).__name__}). Nothing was spent. Give "
            "another path, or make its folder writable.",
            field="output.path",
        ) from None


@contextmanager
def _microseconds(session: SparkSession) -> Iterator[None]:
    """Spark's default writes instants as INT96, which other readers take for nanoseconds without a zone."""
    key = "spark.sql.parquet.outputTimestampType"
    before = session.conf.get(key, "INT96")
    session.conf.set(key, "TIMESTAMP_MICROS")
    try:
        yield
    finally:
        session.conf.set(key, str(before))


def write_rows(rows: DataFrame, output: Output, session: SparkSession, *, expected: int) -> str:
    """Writes the rows as Parquet to the staging folder (on object stores: to the output) and counts them there.

    Returns:
        The path that was written.
    """
    target = output.path if output.is_object_store else output.staging
    # Static, whatever the session says: what a failed attempt left in the staging folder must go.
    writer = rows.write.mode("overwrite").option("partitionOverwriteMode", "static")
    # Without rows there would be no file that states the schema, below partition folders.
    if output.partition_by and expected:
        writer = writer.partitionBy(*output.partition_by)
    with told_without_values("writing the synthetic table", field="output.path"), _microseconds(session):
        writer.parquet(target)
        found = session.read.parquet(target).count()
    if found != expected:
        raise InternalError(
            f"The synthetic table was written with {found} rows instead of {expected}. The output was left as it was."
        )
    return target


def publish(output: Output, manifest: bytes) -> None:
    """Puts the manifest into what was written, and what was written into its place.

    Guarantees: at every moment the output is the old table, whole, or the new one, whole; `overwrite_partitions`
    replaces one partition folder after the other. A crash between two renames is mended by `recover`.
    """
    if output.is_object_store:
        output.folder.write(MANIFEST, manifest)
        return
    _require_allowed(output)  # once more: another table may have come meanwhile
    filesystem, staging = _open(output.staging)
    _, final = _open(output.path)
    if output.mode is OutputMode.OVERWRITE_PARTITIONS and _exists(filesystem, final):
        _replace_partitions(filesystem, staging, final)
        output.folder.write(MANIFEST, manifest)
        return
    Folder.open(output.staging).write(MANIFEST, manifest)
    previous = _open(_beside(output.path, "previous"))[1]
    if _exists(filesystem, final):
        if _exists(filesystem, previous):
            filesystem.delete_dir(previous)
        filesystem.move(final, previous)
    filesystem.move(staging, final)
    if _exists(filesystem, previous):
        filesystem.delete_dir(previous)


def recover(output: Output) -> None:
    """Mends what a crash between two renames left: without an output, the one that was set aside comes back."""
    if output.is_object_store:
        return
    filesystem, final = _open(output.path)
    previous = _open(_beside(output.path, "previous"))[1]
    if not _exists(filesystem, previous):
        return
    if _exists(filesystem, final):
        filesystem.delete_dir(previous)
    else:
        filesystem.move(previous, final)


def _replace_partitions(filesystem: fs.FileSystem, staging: str, final: str) -> None:
    files = filesystem.get_file_info(fs.FileSelector(staging, recursive=True))
    made = [f.path.rsplit("/", 1)[0] for f in files if f.type == fs.FileType.File]
    leaves = sorted({leaf for leaf in made if "=" in leaf[len(staging) :]})
    for leaf in leaves:
        target = final + leaf[len(staging) :]
        if _exists(filesystem, target):
            filesystem.delete_dir(target)
        filesystem.create_dir(target.rsplit("/", 1)[0], recursive=True)
        filesystem.move(leaf, target)
    filesystem.delete_dir(staging)


def _beside(path: str, what: str) -> str:
    folder, _, name = path.rstrip("/").rpartition("/")
    hidden = f"_{name}.{what}"
    return f"{folder}/{hidden}" if folder or path.startswith("/") else hidden


def _open(path: str) -> tuple[fs.FileSystem, str]:
    folder = Folder.open(path)
    return folder.filesystem, folder.path


def _exists(filesystem: fs.FileSystem, path: str) -> bool:
    return bool(filesystem.get_file_info(path).type != fs.FileType.NotFound)
