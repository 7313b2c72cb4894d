"""What the input was when it was first looked at, so that a change during a run is noticed.

Totals of one pass used with rows of another can exceed the bound of a unit, so the snapshot is compared
again after every pass and before any draw. It holds names, sizes and times: exact facts, the owner's only.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spark_dp.errors import InputChangedError, InputError
from spark_dp.spark.failures import told_without_values

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


class InputMissingError(InputError):
    """There is no input: no such path, or no file below it."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files of a table: (path, bytes, modification time in µs), sorted.

    An empty `files` with a `version` is a table pinned by a version instead.

    `marks` are what this machine's file system knows beyond that of files that it has: (inode, modification time in
    ns), so that a file that was replaced or written within Spark's millisecond is noticed too. They say nothing of
    the content, and are no part of the digest: a table that was copied back is the same table.
    """

    files: tuple[tuple[str, int, int], ...]
    version: str | None = None
    marks: tuple[tuple[int, int], ...] = ()

    @property
    def digest(self) -> str:
        """A hash that changes when the input does."""
        facts = json.dumps([self.version, self.files], separators=(",", ":"))
        return hashlib.sha256(facts.encode()).hexdigest()


def snapshot_files(session: SparkSession, path: str) -> Snapshot:
    """Lists the data files below `path`, hidden ones and those that begin with _ left out, as Spark reads them.

    Raises:
        InputError: the path is missing, or cannot be listed, or holds no file.
    """
    try:
        listed = (
            session.read.format("binaryFile")
            .option("recursiveFileLookup", "true")
            .load(path)
            .selectExpr("path", "length", "unix_micros(modificationTime) AS modified")
            .collect()
        )
    except Exception as error:
        raise _unlistable(path, error) from None
    files = tuple(sorted((row["path"], int(row["length"]), int(row["modified"])) for row in listed))
    if not files:
        raise InputMissingError(
            f"input.path {path!r} holds no file. Nothing was spent. Check the path, or write the table first.",
            field="input.path",
        )
    return Snapshot(files, marks=_marks([path for path, _, _ in files]))


def snapshot_rows(rows: DataFrame) -> Snapshot:
    """Fingerprints a frame by its content: for tables that have no list of files to look at.

    One pass; the sum of a hash of each row, which does not depend on order or partitions.
    """
    from pyspark.sql import functions as F

    names = ["`" + name.replace("`", "``") + "`" for name in sorted(rows.columns)]
    hashed = F.pmod(F.xxhash64(*[F.col(name) for name in names]), F.lit(2**31 - 1))
    with told_without_values("fingerprinting the input"):
        found = rows.agg(F.count(F.lit(1)).alias("rows"), F.sum(hashed).alias("sum")).collect()[0]
    return Snapshot((), f"rows:{found['rows']}:{found['sum'] or 0}")


def require_same_rows(rows: DataFrame, before: Snapshot) -> None:
    """Checks that a frame has the rows of `before`, in any order.

    Raises:
        InputChangedError: it has not.
    """
    if snapshot_rows(rows) != before:
        raise InputChangedError(
            "The rows of the input are not those of the start of the run. No query was answered from them. Pin a version "
            "of the table, or write the frame to Parquet first: rows of rand() or limit() differ each time they are made.",
            field="input",
        )


def require_unchanged(session: SparkSession, path: str, before: Snapshot) -> None:
    """Checks that the files are those of `before`.

    Raises:
        InputChangedError: a file was added, removed or rewritten. Nothing was drawn from it.
    """
    try:
        now = snapshot_files(session, path)
    except InputMissingError:
        now = None
    if now != before:
        raise InputChangedError(
            f"input.path {path!r} changed while it was read: its files are not those of the start of the run. "
            "No query was answered from it. Run again when nothing writes there, or pin a version of the table.",
            field="input.path",
        )


def _marks(paths: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Returns the marks of files that this machine has; none where it has not got them all."""
    if not all(path.startswith("file:") for path in paths):
        return ()
    try:
        found = [os.stat("/" + path.removeprefix("file:").lstrip("/")) for path in paths]  # noqa: PTH116  as Spark writes it
    except OSError:
        return ()
    return tuple((file.st_ino, file.st_mtime_ns) for file in found)


def _unlistable(path: str, error: Exception) -> InputError:
    said, kind = str(error), InputError
    if "PATH_NOT_FOUND" in said or "does not exist" in said.lower():
        reason, kind = "does not exist", InputMissingError
    elif "Permission denied" in said or "AccessControl" in said:
        reason = "may not be read by this user"
    else:
        reason = f"cannot be listed ({type(error).__name__})"
    return kind(
        f"input.path {path!r} {reason}. Nothing was spent. Give the folder or file of the table, as Spark sees it.",
        field="input.path",
    )
