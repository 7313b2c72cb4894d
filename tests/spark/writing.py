"""Outputs of a few rows: made, read back, and what lies beside them."""

import json
from pathlib import Path

from spark_dp.spark.write import Output, OutputMode, publish, require_writable, write_rows

OLD, NEW = (
    b'{"made": "%s", "privacy": {"run_id": "%s", "promise": "p"}, "earlier_runs": []}' % (when, when)
    for when in (b"before", b"now")
)

AFTER_OLD = json.dumps(
    {**json.loads(NEW), "earlier_runs": [json.loads(OLD)["privacy"]]}, indent=1, sort_keys=True
).encode()
"""NEW where partitions of OLD stay."""

FIRST, SECOND = [("a", 1), ("b", 2), ("b", 3)], [("b", 9), ("c", 8)]


def output(path, mode="overwrite", by=()):
    return Output(path, OutputMode(mode), tuple(by))


def rows_of(spark, values):
    return (
        spark.createDataFrame(values, "k string, x int")
        if values
        else spark.sql("SELECT '' AS k, 1 AS x WHERE false")
    )


def put(spark, out, values, manifest=OLD):
    require_writable(out)
    write_rows(rows_of(spark, values), out, spark, expected=len(values))
    publish(out, manifest)


def content(spark, path):
    return sorted((row["k"], row["x"]) for row in spark.read.parquet(path).select("k", "x").collect())


def beside(path):
    return sorted(p.name for p in Path(path).parent.iterdir())
