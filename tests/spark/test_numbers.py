"""Statistics by Spark against numpy, on columns of every type and values of every kind."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from tables_at_random import COLUMNS, DROPPING, EVERY, encoded, schema_of, table_of

from spark_dp.schema.table import TableSchema
from spark_dp.spark import numbers
from spark_dp.spark.numbers import is_kept, is_numeric, numbers_of

pytestmark = pytest.mark.spark

ROWS = 400
DATES = {
    "day_drop": ({"type": "date", "values": ["2013-01-01"], "undeclared": "drop"}, EVERY["day"][1]),
    "money_drop": (
        {"type": "decimal(10,2)", "values": ["-1.50", "0.00"], "undeclared": "drop"},
        EVERY["money"][1],
    ),
    "nan_value": ({"type": "double", "min": 0, "max": 2, "bins": 2, "nan": 1.25}, EVERY["real"][1]),
}


def frame_of(spark, table: pa.Table, folder):
    import pyarrow.parquet as pq

    pq.write_table(table, folder / "t.parquet")
    return spark.read.parquet(str(folder))


@pytest.mark.parametrize("name", [*EVERY, *DATES])
def test_spark_keeps_the_rows_that_the_codec_keeps(spark, tmp_path, name):
    columns = {name: (EVERY | DATES)[name]}
    schema, table = schema_of(columns), table_of(columns, ROWS)
    kept = frame_of(spark, table, tmp_path).where(is_kept(schema)).count()
    assert kept == int(encoded(schema, table)[1].sum())


def by_hand(column, values: list[object]) -> list[float]:
    """The column's values in its declared range, one at a time."""
    scale = 10 ** (column.type.scale or 0)
    low, high = column.min / scale, column.max / scale
    found = []
    for value in values:
        if value is None:
            continue
        number = float(value)
        if math.isnan(number):
            if isinstance(column.nan, str):
                continue
            number = column.nan
        if math.isinf(number) and column.infinity == "null":
            continue
        found.append(min(high, max(low, number)))
    return found


@pytest.mark.parametrize("a_query", [64, 1])
def test_statistics_are_of_the_values_that_the_schema_keeps_clipped_to_its_range(
    spark, tmp_path, monkeypatch, a_query
):
    monkeypatch.setattr(numbers, "COLUMNS_A_QUERY", a_query)
    columns = COLUMNS | {"real_drop": DROPPING["real_drop"], "nan_value": DATES["nan_value"]}
    schema, table = schema_of(columns), table_of(columns, ROWS)
    found = numbers_of(frame_of(spark, table, tmp_path), schema)
    assert list(found) == [c.name for c in schema.columns if is_numeric(c)]
    assert {"tiny", "small", "wide", "wider", "single", "real", "money", "huge"} <= set(found)
    kept = table.filter(pa.array(encoded(schema, table)[1]))
    for name, statistics in found.items():
        values = by_hand(schema.column(name), kept.column(name).to_pylist())
        assert len(values) > 20
        assert statistics["mean"] == pytest.approx(np.mean(values)), name
        assert statistics["stddev"] == pytest.approx(np.std(values, ddof=1)), name
        ordered = sorted(values)
        for percent in (5, 25, 50, 75, 95):
            rank = math.ceil(percent / 100 * len(ordered)) - 1
            assert statistics[f"p{percent}"] == pytest.approx(ordered[rank]), (name, percent)


def test_a_column_without_values_has_no_statistics(spark):
    schema = TableSchema.from_settings(
        {"n": {"type": "integer", "min": 0, "max": 9, "nullable": True}, "s": {"type": "boolean"}}
    )
    frame = spark.createDataFrame([(None, True)], "n int, s boolean")
    assert set(numbers_of(frame, schema)["n"].values()) == {None}
    one = spark.createDataFrame([(3, True)], "n int, s boolean")
    assert numbers_of(one, schema)["n"] | {"stddev": None} == dict.fromkeys(
        ("mean", "p5", "p25", "p50", "p75", "p95"), 3.0
    ) | {"stddev": None}
