"""Generating the synthetic table in parallel: chunk i is a pure function of (model, seed, i).

    chunk numbers ──▶ codes of a chunk ──▶ typed Arrow columns ──▶ Spark's writer

No row is made by a Python loop, and a task holds one chunk at a time, however many rows there are.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyarrow import fs

from spark_dp.graphical.sampling import SamplingPlan, sample
from spark_dp.schema.decode import decode
from spark_dp.schema.table import TableSchema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

CHUNK_ROWS = 1 << 16
"""Rows of a chunk. Part of what the output is a function of."""

CHUNKS_A_TASK = 16
"""Chunks that one task, and so one output file, holds at most: a million rows."""

CLOSURE_BYTES = 16 << 20
"""Up to this size the plan travels inside the task; above it as a file that each worker reads once."""

_DECODING = 1 << 32
"""Streams of the chunks' decoding are numbered from here, those of their sampling from 0."""


@dataclass(frozen=True, slots=True)
class ShippedPlan:
    """A sampling plan on its way to executors: the bytes themselves, or the URI of a file that holds them."""

    content: bytes | None
    uri: str | None = None

    def load(self) -> SamplingPlan:
        return _load_bytes(self.content) if self.content is not None else _load_file(str(self.uri))


def chunk_sizes(rows: int) -> list[int]:
    """Returns the rows of each chunk: all full but the last."""
    full, rest = divmod(rows, CHUNK_ROWS)
    return [CHUNK_ROWS] * full + ([rest] if rest else [])


def tasks_of(chunks: int) -> list[range]:
    """Returns which chunks each task makes; a function of their number only, so that files do not depend on cores."""
    if chunks == 0:
        return [range(0)]
    tasks = max(min(chunks, 8), math.ceil(chunks / CHUNKS_A_TASK))
    edges = [i * chunks // tasks for i in range(tasks + 1)]
    return [range(a, b) for a, b in itertools.pairwise(edges)]


def generate_chunk(
    plan: SamplingPlan, schema: TableSchema, seed: int, chunk: int, rows: int
) -> pa.RecordBatch:
    """Returns one chunk of synthetic rows, typed as the schema declares.

    Randomness is the raw output of PCG64 seeded through SeedSequence, the two parts of NumPy's random numbers
    whose streams its compatibility policy keeps (NEP 19).

    Args:
        plan: the finished model's conditional tables.
        schema: the columns to decode, a subset of the plan's attributes.
        seed: the user's.
        chunk: its number, from 0.
        rows: up to CHUNK_ROWS.
    """
    codes = sample(plan, rows, _stream(seed, chunk))
    draws = _stream(seed, _DECODING + chunk)
    columns = [decode(column, codes[column.name], draws.random_raw(rows)) for column in schema.columns]
    return pa.RecordBatch.from_arrays(columns, schema=schema.arrow_schema)


def generate_table(
    session: SparkSession, plan: ShippedPlan, schema: TableSchema, *, rows: int, seed: int
) -> DataFrame:
    """Returns the synthetic table as a Spark frame; its rows do not depend on cores, partitions or retries."""
    sizes = chunk_sizes(rows)
    tasks = tasks_of(len(sizes))

    def generate_task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for task in batch.column(0).to_pylist():
                for chunk in tasks[task]:
                    yield generate_chunk(plan.load(), schema, seed, chunk, sizes[chunk])

    numbers = session.range(0, len(tasks), 1, len(tasks))
    return numbers.mapInArrow(generate_task, ddl_of(schema))


def ddl_of(schema: TableSchema) -> str:
    """Returns the schema as Spark's DDL."""
    quoted = (c.name.replace("`", "``") for c in schema.columns)
    return ", ".join(f"`{name}` {c.type.spark_ddl}" for name, c in zip(quoted, schema.columns, strict=True))


def _stream(seed: int, number: int) -> np.random.PCG64:
    return np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(number,)))


@functools.lru_cache(maxsize=2)
def _load_bytes(content: bytes) -> SamplingPlan:
    return SamplingPlan.from_bytes(content)


@functools.lru_cache(maxsize=2)
def _load_file(uri: str) -> SamplingPlan:
    filesystem, path = fs.FileSystem.from_uri(uri)
    with filesystem.open_input_stream(path) as stream:
        return SamplingPlan.from_bytes(stream.read())
