"""Inputs of several files that differ, and how a run opens them."""

import json
import os
import shutil

import pyarrow as pa
import pyarrow.parquet as pq

from spark_dp.spark.file_tables import require_all_read
from spark_dp.spark.snapshot import snapshot_files
from spark_dp.spark.tables import read_table

NOTES = b"org.apache.spark.sql.parquet.row.metadata"
OTHERS, MINE = {"id": ["1", "2"], "x": ["u", "u"]}, {"id": ["me"], "x": ["v"]}


def written(path, columns, **notes):
    """Writes a Parquet file of texts, with notes beside columns as Spark's writer leaves them in its footer."""
    table = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    if notes:
        fields = [
            {"name": name, "type": "string", "nullable": True, "metadata": notes.get(name, {})}
            for name in columns
        ]
        table = table.replace_schema_metadata({NOTES: json.dumps({"type": "struct", "fields": fields})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def opened(spark, folder, kind="parquet", options=None):
    """Opens a folder as a run does."""
    rows = read_table(spark, path=str(folder), format=kind, options=options or {})
    files = [name for name, _, _ in snapshot_files(spark, str(folder)).files]
    require_all_read(rows, files, options or {}, field="input.path")
    return rows


def laid_out(spark, folder, kind, others, mine):
    """Writes the others' file and mine to places below a folder."""
    for place, columns in ((others, OTHERS), (mine, MINE)):
        rows = spark.createDataFrame(list(zip(*columns.values(), strict=True)), "id string, x string")
        rows.coalesce(1).write.format(kind).save(str(folder / "made"))
        (file,) = (folder / "made").glob(f"*.{kind}")
        (folder / "t" / place).parent.mkdir(parents=True, exist_ok=True)
        os.replace(file, folder / "t" / f"{place}.{kind}")  # noqa: PTH105
        shutil.rmtree(folder / "made")
    return folder / "t"
