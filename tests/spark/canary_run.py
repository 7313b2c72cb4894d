"""Provokes failures on a table full of canaries, as a process of its own whose output is searched.

Prints the message of each error that it caught, one a line.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from spark_dp.errors import SparkDPError
from spark_dp.schema.table import TableSchema
from spark_dp.spark import bounding
from spark_dp.spark.counting import count_rows_of
from spark_dp.spark.encode import RowReader
from spark_dp.spark.filters import filter_rows
from spark_dp.spark.histograms import counting_layout
from spark_dp.spark.packing import Transport
from spark_dp.spark.session import open_session
from spark_dp.spark.snapshot import snapshot_files, snapshot_rows
from spark_dp.spark.tables import (
    declared_columns,
    partition_columns,
    read_table,
    require_columns,
)
from spark_dp.spark.write import Output, OutputMode, write_rows

CANARY = "CANARY_7F3A"
SCHEMA = TableSchema.from_settings(
    {
        "a": {"type": "string", "values": ["x"], "undeclared": "drop", "nullable": True},
        "ds": {"type": "integer", "min": 0, "max": 9, "nullable": True},
    }
)


def table(ids):
    return pa.table(
        {"id": pa.array(ids, pa.string()), "a": [CANARY, f"[{CANARY}]"], "n": pa.array([1, 2], pa.int32())}
    )


def main(folder: Path, zone: str) -> None:
    session = open_session(
        {
            "spark.master": "local[1]",
            "spark.ui.enabled": "false",
            "spark.sql.shuffle.partitions": "1",
            "spark.sql.warehouse.dir": str(folder / "warehouse"),
        }
    )
    session.conf.set("spark.sql.session.timeZone", zone)
    leaf = folder / "t" / f"ds={CANARY}"
    leaf.mkdir(parents=True)
    pq.write_table(table([CANARY, None]), leaf / "p.parquet")
    path = str(folder / "t")
    transport = Transport.of(SCHEMA)
    layout = counting_layout([("a", "ds")], SCHEMA.domain)

    def opened(condition=None, schema=SCHEMA, unit=("id",)):
        snapshot = snapshot_files(session, path)
        partitions = partition_columns(snapshot, path)
        rows = filter_rows(read_table(session, path=path), condition)
        require_columns(rows, schema, unit, partitions)
        return declared_columns(rows, schema, partitions)

    def count(condition=None, nulls="drop", way=bounding.weigh):
        keyed = bounding.with_unit_keys(opened(condition), ["id"], nulls, transport.expressions())
        bounded = way(keyed, max_rows=2, nulls=nulls, nonce=1)
        return count_rows_of(bounded.rows, RowReader(transport), layout)

    def corrupt():
        (leaf / "q.parquet").write_bytes(b"PAR1" + CANARY.encode() * 40 + b"PAR1")
        try:
            count()
        finally:
            (leaf / "q.parquet").unlink()

    def damaged():
        content = bytearray((leaf / "p.parquet").read_bytes())
        content[4:60] = (CANARY * 9).encode()[:56]
        (leaf / "q.parquet").write_bytes(bytes(content))
        try:
            count()
        finally:
            (leaf / "q.parquet").unlink()

    def vanished():
        pq.write_table(table([CANARY, CANARY]), leaf / "r.parquet")
        rows = opened()
        (leaf / "r.parquet").unlink()
        count_rows_of(rows.select(*transport.expressions()), RowReader(transport), layout)

    def failing_task():
        def fail(batches):
            for batch in batches:
                raise ValueError(str(batch.to_pylist()))
            yield

        output = Output(str(folder / "out"), OutputMode.ERROR)
        write_rows(opened().mapInArrow(fail, "id string"), output, session, expected=1)

    wrong = TableSchema.from_settings({"n": {"type": "byte", "min": 0, "max": 1}})
    missing = TableSchema.from_settings({"nn": {"type": "byte", "min": 0, "max": 1}})
    failures = [
        lambda: count("CAST(a AS INT) > 0"),
        lambda: count("CAST(id AS DATE) > '2013-01-01'"),
        lambda: count("1 / (length(a) - length(a)) > 0"),
        lambda: count("raise_error(a) IS NULL"),
        lambda: count("assert_true(false, id) IS NULL"),
        lambda: count("CAST(ds AS INT) > 0"),
        lambda: count(nulls="error"),
        lambda: snapshot_rows(opened("CAST(a AS INT) > 0")),
        lambda: opened(schema=wrong),
        lambda: opened(schema=missing),
        lambda: opened(unit=("idd",)),
        corrupt,
        damaged,
        vanished,
        failing_task,
    ]
    count()
    for provoke in failures:
        try:
            provoke()
        except SparkDPError as error:
            print(f"caught {type(error).__name__} ({error.field}): {error}")
            traceback.print_exc()
        else:
            print(f"NOT REFUSED: {provoke}")
    session.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), "UTC")
