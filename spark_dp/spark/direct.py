"""Counting plain Parquet files without the JVM in between: tasks read Arrow columns themselves.

On one core, handing 14 small columns of a row from the JVM to Python costs several times what reading them from
Parquet costs (`benchmarks/`). So where Spark's reader adds nothing (files of this machine, plain types, no
catalog, filter or partition column), each task reads its row groups with pyarrow. Everything else, and whatever
fails here, goes the general way, before anything is drawn. Both ways give identical counts.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from spark_dp.schema.codec import DROPPED, encode
from spark_dp.schema.columns import Column
from spark_dp.schema.table import TableSchema
from spark_dp.spark.counting import PARTIAL, Counted, pieces, sum_vectors, sums_of
from spark_dp.spark.histograms import CountingLayout, HistogramAccumulator
from spark_dp.spark.session import is_connect
from spark_dp.spark.snapshot import Snapshot

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

BATCH_ROWS = 1 << 17
FOOTERS = 256
"""Files up to which the driver reads the footers, to share out row groups; above, tasks share out files."""

_PLAIN = {"string", "boolean", "byte", "short", "integer", "long", "float", "double"}
_TABLE_FORMATS = ("_delta_log", ".hoodie", "metadata")


@dataclass(frozen=True, slots=True)
class Split:
    """Row groups of one file; None is all of them."""

    path: str
    groups: tuple[int, ...] | None


def readable_directly(
    session: SparkSession,
    snapshot: Snapshot,
    schema: TableSchema,
    *,
    path: str | None,
    partitions: frozenset[str],
) -> tuple[Split, ...] | None:
    """Returns the input's files as splits, or None where Spark's own reader must be used.

    Dates and times are left to Spark: a file with the legacy calendar means other days than it says.
    """
    if path is None or not snapshot.files or is_connect(session):
        return None
    if not str(session.conf.get("spark.master", "")).startswith("local"):
        return None
    if partitions & set(schema.names) or any(c.type.name not in _PLAIN for c in schema.columns):
        return None
    root = Path(_local(path) or "")
    if any((root / name).exists() for name in _TABLE_FORMATS):
        return None
    files = [_local(name) for name, _, _ in snapshot.files]
    paths = [name for name in files if name is not None]
    if len(paths) != len(files) or not all(_is_read_by_spark(Path(name), root) for name in paths):
        return None
    return _shared_out(paths) if len(paths) <= FOOTERS else tuple(Split(name, None) for name in paths)


def count_files(
    session: SparkSession, splits: Sequence[Split], schema: TableSchema, layout: CountingLayout
) -> Counted:
    """Counts the layout's marginals over the files, each row as 1.

    Raises:
        Exception: whatever reading a file raised; the caller then goes the general way.
    """
    tasks = _balanced(splits)
    slots = sums_of(layout)

    def count_task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for task in batch.column(0).to_pylist():
                yield from pieces(_count_splits(tasks[task], schema, layout), slot=task % slots)

    numbers = session.range(0, len(tasks), 1, len(tasks))
    return sum_vectors(numbers.mapInArrow(count_task, PARTIAL), layout.vector_cells, slots, len(tasks))


def _count_splits(splits: Sequence[Split], schema: TableSchema, layout: CountingLayout) -> Counted:
    histograms = HistogramAccumulator(layout)
    rows = 0
    for split in splits:
        with pq.ParquetFile(split.path, read_dictionary=_texts(schema)) as file:
            _require_types(file.schema_arrow, schema)
            batches = file.iter_batches(
                BATCH_ROWS, row_groups=split.groups, columns=list(schema.names), use_threads=False
            )
            for batch in batches:
                codes = {c.name: encode(c, batch.column(c.name)) for c in schema.columns}
                kept = np.logical_and.reduce(
                    [codes[c.name] != DROPPED for c in schema.columns if _may_drop(c)] or [True]
                )
                if not np.all(kept):
                    codes = {name: found[kept] for name, found in codes.items()}
                counted = batch.num_rows if np.all(kept) else int(np.count_nonzero(kept))
                histograms.add(codes, counted)
                rows += batch.num_rows
    return Counted(histograms.vector(), rows, rows, 0)


def _may_drop(column: Column) -> bool:
    return not column.nullable or column.drops_undeclared or column.type.is_floating


def _texts(schema: TableSchema) -> list[str]:
    return [c.name for c in schema.columns if c.type.is_text]


def _require_types(found: pa.Schema, schema: TableSchema) -> None:
    """Refuses a file whose columns are not stored as declared: Spark knows how to widen them."""
    for column in schema.columns:
        have = found.field(column.name).type
        if pa.types.is_dictionary(have):
            have = have.value_type
        if have != column.type.arrow_type:
            raise TypeError("a file stores a column in another type")


def _shared_out(paths: Sequence[str]) -> tuple[Split, ...] | None:
    splits = []
    for path in paths:
        try:
            groups = pq.read_metadata(path).num_row_groups
        except (OSError, pa.ArrowInvalid):
            return None
        splits += [Split(path, (group,)) for group in range(groups)]
    return tuple(splits)


def _balanced(splits: Sequence[Split]) -> list[list[Split]]:
    """Deals the splits out, one task a core: a task costs some 40 ms before it reads a row, and a vector after."""
    tasks = max(1, min(len(splits), os.cpu_count() or 1))
    return [list(splits[i::tasks]) for i in range(tasks)]


def _is_read_by_spark(file: Path, root: Path) -> bool:
    """Whether a file is the input itself, or in its folder or partition folders: Spark reads no other folders."""
    if not file.is_relative_to(root):
        return False
    return all("=" in folder for folder in file.relative_to(root).parts[:-1])


def _local(path: str) -> str | None:
    """Returns a path of this machine for `file:/a b`, `file:///a b` or `/a b`, None for other schemes.

    Spark writes paths as they are, without %-escapes, and the folders of partition values hold a `%` of their own.
    """
    if path.startswith("file:"):
        return re.sub("^/{2,}", "/", path.removeprefix("file:"))
    return None if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", path) else str(Path(path).absolute())
