"""The public tables that the literature measures itself on, where they are at hand, and clocks."""

from __future__ import annotations

import json
import os
import platform
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from spark_dp.schema.domain import Domain
from spark_dp.schema.table import TableSchema

DATA = Path(os.environ.get("SPARK_DP_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def load(name: str) -> tuple[pa.Table, Domain]:
    """Returns a discretised table and its declared domain; ends the benchmark where the table is not at hand."""
    file = DATA / f"{name}.parquet"
    if not file.exists():
        sys.exit(
            f"{file} is not here. Set SPARK_DP_DATA to the folder that holds {name}.parquet and its domain."
        )
    sizes = json.loads((DATA / f"{name}.domain.json").read_text())
    return pq.read_table(file).select(list(sizes)), Domain(tuple(sizes), tuple(sizes.values()))


def schema_of(domain: Domain) -> TableSchema:
    """Returns the schema of a discretised table: small integers from 0."""
    sizes = zip(domain.attributes, domain.sizes, strict=True)
    return TableSchema.from_settings({a: {"type": "short", "min": 0, "max": size - 1} for a, size in sizes})


@dataclass
class Clock:
    """Wall and CPU seconds of a block, children that have ended included."""

    wall: float = 0.0
    cpu: float = 0.0


@contextmanager
def timed() -> Iterator[Clock]:
    clock = Clock()
    wall, cpu = time.perf_counter(), _cpu()
    yield clock
    clock.wall, clock.cpu = time.perf_counter() - wall, _cpu() - cpu


def title(text: str) -> None:
    print(
        f"\n## {text}\n{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        flush=True,
    )


def _cpu() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in used)
