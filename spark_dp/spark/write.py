"""Writing the output so that readers see the old table or the new one, and nothing between.

Spark's own overwrite empties the old table first. Here the new one is written to a folder beside it, counted, given
its manifest, and only then renamed into place; the old one is set aside until that is done. Object stores have no
rename: there the output goes to a new path, and its manifest, written last, says that it is whole.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from pyarrow import fs

from spark_dp.errors import (
    ConfigurationError,
    InternalError,
    OutputExistsError,
    SparkDPError,
    TransientError,
)
from spark_dp.files import Folder
from spark_dp.spark.failures import told_without_values
from spark_dp.spark.swap import MANIFEST, Swap, exists

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

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
        owner: hexadecimal, of the run: what an earlier attempt of it left is known by this.
        attempt: hexadecimal, of this driver: two drivers of a run never write to one folder.
    """

    path: str
    mode: OutputMode
    partition_by: tuple[str, ...] = ()
    owner: str = ""
    attempt: str = field(default_factory=lambda: secrets.token_hex(4))

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
        return _beside(self.path, f"staging-{self.owner}{self.attempt}")

    @property
    def swap(self) -> Swap:
        """The folders that take one another's place."""
        filesystem, staging = _open(self.staging)
        return Swap(
            filesystem=filesystem,
            staging=staging,
            final=_open(self.path)[1],
            previous=_open(_beside(self.path, "previous"))[1],
        )

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
        The path that was written. Where that failed, the staging folder is gone again.

    Raises:
        TransientError: Spark failed, or another driver of the run has deleted the staging folder.
        InternalError: there are more or fewer rows than were to be written.
    """
    target = output.path if output.is_object_store else output.staging
    # Static, whatever the session says: what a failed attempt left in the staging folder must go.
    writer = rows.write.mode("overwrite").option("partitionOverwriteMode", "static")
    # Without rows there would be no file that states the schema, below partition folders.
    if output.partition_by and expected:
        writer = writer.partitionBy(*output.partition_by)
    try:
        with told_without_values("writing the synthetic table", field="output.path"), _microseconds(session):
            writer.parquet(target)
        with _blamed_on_another_driver(output):
            with told_without_values("counting the synthetic table that was written", field="output.path"):
                found = session.read.parquet(target).count()
            if found != expected:
                raise InternalError(
                    f"The synthetic table was written with {found} rows instead of {expected}. The output was left as "
                    "it was."
                )
    except SparkDPError:
        if not output.is_object_store:
            swap = output.swap
            with suppress(OSError):  # what cannot be deleted now is deleted by the next run of the key
                swap.filesystem.delete_dir(swap.staging)
        raise
    return target


@contextmanager
def _blamed_on_another_driver(output: Output) -> Iterator[None]:
    """What was written, and is not there to be counted, was deleted by who took over."""
    try:
        yield
    except SparkDPError as failure:
        if output.is_object_store:
            raise
        try:
            _require_there(output, output.swap)
        except TransientError as gone:
            raise gone from None
        except OSError:  # who knows
            pass
        raise failure from None


def publish(output: Output, manifest: bytes) -> bytes:
    """Puts the manifest into what was written, and what was written into its place.

    Guarantees: at every moment the output is the old table, whole, or the new one, whole, where the system can
    exchange two folders in one step (Linux, on local file systems). Elsewhere there is none between two renames.
    `overwrite_partitions` writes the manifest, and does so with one partition after the other. What a crash left is
    mended by `recover`.

    Returns:
        The manifest that was written: where partitions are overwritten, it names the runs that wrote others meanwhile.

    Raises:
        OutputExistsError: another table has come meanwhile, and the mode is `error`.
        TransientError: the file system failed, or another driver of the run has taken over.
    """
    if output.is_object_store:
        output.folder.write(MANIFEST, manifest)
        return manifest
    _require_allowed(output)  # once more: another table may have come meanwhile
    swap = output.swap
    with _told(output):
        _require_there(output, swap)
        swap.tidy()
        if output.mode is OutputMode.OVERWRITE_PARTITIONS and exists(swap.filesystem, swap.final):
            swap.begin_partitions(manifest)
            _require_there(output, swap)
            return swap.finish_partitions() or manifest
        try:
            Folder.open(output.staging).write(MANIFEST, manifest)
        finally:
            _require_there(
                output, swap
            )  # says why it could not be written, where another driver took it away
        swap.table()
    return manifest


def recover(output: Output) -> None:
    """Mends what a crash of any run at this output left.

    A swap of partitions that has begun is finished. An output that was set aside comes back where none took its place.
    Folders of attempts that did not finish are deleted: this run's own, and those of others where a whole table is to
    be written. (Runs that write partitions of one table at the same time leave each other's alone.)

    Raises:
        TransientError: the file system failed.
    """
    if output.is_object_store:
        return
    swap = output.swap
    with _told(output):
        left = _matching(swap, r"staging(-[0-9a-f]+)?")
        for folder in left:
            replace(swap, staging=folder).finish_partitions()
        if exists(swap.filesystem, swap.previous):
            if exists(swap.filesystem, swap.final):
                swap.filesystem.delete_dir(swap.previous)
            else:
                swap.filesystem.move(swap.previous, swap.final)
        every = output.mode is not OutputMode.OVERWRITE_PARTITIONS
        ours = _beside(swap.final, f"staging-{output.owner}") if output.owner else None
        for folder in left:
            if exists(swap.filesystem, folder) and (every or (ours and folder.startswith(ours))):
                replace(swap, staging=folder).discard()
        for folder in _matching(swap, r"discarded-[0-9a-f]+"):
            swap.filesystem.delete_dir(folder)


def _matching(swap: Swap, what: str) -> list[str]:
    """The folders beside the output that are its own, by what they are for."""
    parent, _, name = swap.final.rpartition("/")
    listed = swap.filesystem.get_file_info(fs.FileSelector(parent or "/", allow_not_found=True))
    pattern = re.compile(rf"_{re.escape(name)}\.{what}")
    return sorted(
        f.path for f in listed if f.type == fs.FileType.Directory and pattern.fullmatch(f.base_name)
    )


def _require_there(output: Output, swap: Swap) -> None:
    """Finds the table that was written to be there still.

    Raises:
        TransientError: another driver of the run has deleted it. The output is the other's.
    """
    listed = swap.filesystem.get_file_info(
        fs.FileSelector(swap.staging, allow_not_found=True, recursive=True)
    )
    if any(f.type == fs.FileType.File and not f.base_name.startswith(("_", ".")) for f in listed):
        return
    if listed:
        swap.filesystem.delete_dir(swap.staging)
    raise TransientError(
        f"The table that was made for output.path {output.path!r} is gone: another driver of this run, or another run "
        "that writes there, has begun since. The output was left as it was. Let the other finish, and run the same key "
        "again, at no new charge.",
        field="output.path",
    )


@contextmanager
def _told(output: Output) -> Iterator[None]:
    """Turns the file system's errors into one that says what became of the output."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise TransientError(
            f"The table for output.path {output.path!r} could not be put into its place ({reason}). What was there "
            "before is there still, or comes back when the same key is run again, at no new charge. Check that its "
            "folder can be written.",
            field="output.path",
        ) from None


def _beside(path: str, what: str) -> str:
    folder, _, name = path.rstrip("/").rpartition("/")
    hidden = f"_{name}.{what}"
    return f"{folder}/{hidden}" if folder or path.startswith("/") else hidden


def _open(path: str) -> tuple[fs.FileSystem, str]:
    folder = Folder.open(path)
    return folder.filesystem, folder.path
