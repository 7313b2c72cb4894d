"""Counting all 91 pairs of 10 million rows of 14 columns: against Spark's groupBy, and against the physical limit."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.tables import load, schema_of, timed, title
from spark_dp.schema.domain import Domain
from spark_dp.spark import bounding
from spark_dp.spark.counting import count_rows_of
from spark_dp.spark.direct import count_files, readable_directly
from spark_dp.spark.encode import RowReader
from spark_dp.spark.histograms import counting_layout, split_vector
from spark_dp.spark.packing import Transport
from spark_dp.spark.session import open_session
from spark_dp.spark.snapshot import snapshot_files

ROWS = int(os.environ.get("BENCH_ROWS", 10_000_000))
FILES = 10
UNITS = ROWS // 10
SAMPLED_PAIRS = 8
TURNS = 3


def write_table(folder: Path) -> Domain:
    """Draws ROWS rows from adult with replacement, with a random unit id, into FILES files."""
    table, domain = load("adult")
    rng = np.random.default_rng(1)
    folder.mkdir()
    for i in range(FILES):
        rows = table.take(pa.array(rng.integers(0, table.num_rows, ROWS // FILES)))
        rows = rows.append_column("unit_id", pa.array(rng.integers(0, UNITS, rows.num_rows)))
        pq.write_table(rows, folder / f"part-{i}.parquet")
    return domain


def count_in_numpy(job: tuple[list[str], Domain, list[tuple[str, str]]]) -> list[np.ndarray]:
    """The limit: pyarrow reads the file, numpy counts each pair, and nothing else happens."""
    files, domain, pairs = job
    found = [np.zeros(domain.cells(pair), np.int64) for pair in pairs]
    for file in files:
        read = pq.read_table(file, columns=list(domain), use_threads=False)
        columns = {name: read[name].to_numpy().astype(np.intp) for name in domain}
        for total, (a, b) in zip(found, pairs, strict=True):
            total += np.bincount(columns[a] * domain.size(b) + columns[b], minlength=len(total))
    return found


def main() -> None:
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "table"
        domain = write_table(folder)
        files = sorted(map(str, folder.glob("*.parquet")))
        pairs = list(itertools.combinations(domain.attributes, 2))
        schema = schema_of(domain)
        title(f"counting {len(pairs)} pairs of {ROWS:,} rows")

        jobs = [(files[i::cores], domain, pairs) for i in range(cores)]

        session = open_session({"spark.driver.memory": "4g", "spark.ui.enabled": "false"})
        rows, layout = session.read.parquet(str(folder)), counting_layout(pairs, domain)
        snapshot = snapshot_files(session, str(folder))
        splits = readable_directly(session, snapshot, schema, path=str(folder), partitions=frozenset())
        assert splits is not None
        transport = Transport.of(schema)
        packed = rows.select(*transport.expressions())
        sample = random.Random(1).sample(pairs, SAMPLED_PAIRS)
        walls: dict[str, list[float]] = {name: [] for name in ("direct", "general", "naive", "limit")}
        for turn in range(1 + TURNS):  # the first warms JVM and workers up, for all of them
            with timed() as direct:
                counted_direct = count_files(session, splits, schema, layout)
            with timed() as general:
                counted = count_rows_of(packed, RowReader(transport), layout)
            with timed() as naive:
                for a, b in sample:
                    rows.groupBy(f"`{a}`", f"`{b}`").count().collect()
            with multiprocessing.get_context("spawn").Pool(cores) as pool:
                pool.map(
                    count_in_numpy, [(files[:1], domain, pairs[:1])] * cores
                )  # imports, outside of the clock
                with timed() as limit:
                    parts = pool.map(count_in_numpy, jobs)
            if turn:
                walls["direct"].append(direct.wall)
                walls["general"].append(general.wall)
                walls["naive"].append(naive.wall * len(pairs) / SAMPLED_PAIRS)
                walls["limit"].append(limit.wall)
        reference = [sum(arrays) for arrays in zip(*parts, strict=True)]
        for counts in (counted, counted_direct):
            ours = split_vector(counts.vector, layout, pairs)
            assert all(np.array_equal(ours[p].ravel(), r) for p, r in zip(pairs, reference, strict=True))

        with timed() as weighed:
            keyed = bounding.with_unit_keys(rows, ["unit_id"], "drop", transport.expressions())
            bounded = bounding.weigh(keyed, max_rows=20, nulls="drop", nonce=1)
            checked = count_rows_of(bounded.rows, RowReader(transport), layout)
            bounded.release()
        assert (checked.weight, checked.mark) == (bounded.totals.weight, bounded.totals.mark)

    middle = {name: float(np.median(found)) for name, found in walls.items()}
    scaled = middle["naive"]
    print(f"{'way, median of ' + str(TURNS):52} {'wall s':>8} {'ratio':>8}")
    for name, seconds in (
        (f"one groupBy a pair ({SAMPLED_PAIRS} timed, scaled to {len(pairs)})", scaled),
        ("one pass through Spark's reader (any format)", middle["general"]),
        ("one pass, files read directly (plain Parquet)", middle["direct"]),
        (f"limit: pyarrow + np.bincount, {cores} processes", middle["limit"]),
        ("bounded per unit (k = 20, weights): two passes, once", weighed.wall),
    ):
        print(f"{name:52} {seconds:8.2f} {scaled / seconds:7.1f}x")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
