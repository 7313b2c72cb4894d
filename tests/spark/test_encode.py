"""Rows that travel through the JVM have the codes that the codec gives their values."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tables_at_random import COLUMNS, EVERY, encoded, plain_frame, schema_of, table_of

from spark_dp.schema.codec import encode
from spark_dp.schema.table import TableSchema
from spark_dp.spark.counting import count_rows_of
from spark_dp.spark.encode import encoded_words
from spark_dp.spark.histograms import counting_layout, split_vector
from spark_dp.spark.packing import Transport
from spark_dp.spark.tables import declared_columns, read_table

pytestmark = pytest.mark.spark


def written(table, folder):
    folder.mkdir()
    pq.write_table(table, folder / "part-0.parquet", store_schema=False)
    return str(folder)


def codes_of(rows, schema, *, packed=True):
    """The code of each row's attributes after the journey, collected in the order of `__row`."""
    transport = Transport.of(schema, packed=packed)
    frame = rows.select("`__row`", *transport.expressions())
    words, reader = encoded_words(frame, schema, transport)
    batch = words.orderBy("`__row`").toArrow().combine_chunks().to_batches()
    found = {name: [] for name in ("__row", *schema.names)}
    for part, codes, _ in reader.batches(iter(batch), schema.names):
        found["__row"] += part.column("__row").to_pylist()
        for name in schema.names:
            found[name] += codes[name].tolist()
    return found


def numbered(table):
    return table.append_column("__row", pa.array(range(table.num_rows), pa.int64()))


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Chatham"])
def test_every_type_is_encoded_as_the_codec_does_in_any_time_zone(spark, conf, tmp_path, packed, zone):
    schema, table = schema_of(COLUMNS), table_of(COLUMNS, 400)
    path = written(numbered(table), tmp_path / "t")
    conf["spark.sql.session.timeZone"] = zone
    found = codes_of(read_table(spark, path=path), schema, packed=packed)
    assert found.pop("__row") == list(range(400))
    for column in schema.columns:
        assert found[column.name] == encode(column, table.column(column.name)).tolist(), column.name


@pytest.mark.parametrize("packed", [True, False])
def test_rows_without_a_cell_are_dropped_and_no_others(spark, tmp_path, packed):
    columns = {name: EVERY[name] for name in ("text_drop", "whole_drop", "flag_drop", "tiny", "real_drop")}
    schema, table = schema_of(columns), table_of(columns, 2000)
    codes, kept = encoded(schema, table)
    assert 0 < kept.sum() < 2000
    path = written(numbered(table), tmp_path / "t")
    found = codes_of(read_table(spark, path=path), schema, packed=packed)
    assert found["__row"] == np.flatnonzero(kept).tolist()
    for name in schema.names:
        assert found[name] == codes[name].tolist(), name


@pytest.mark.parametrize("packed", [True, False])
def test_narrower_numbers_than_declared_have_the_same_codes(spark, tmp_path, packed):
    schema = TableSchema.from_settings(
        {
            "x": {"type": "long", "min": -200, "max": 200, "bins": 7, "nullable": True},
            "y": {"type": "double", "min": 0, "max": 1, "bins": 10, "nullable": True},
        }
    )
    narrow = pa.table(
        {"x": pa.array([-128, 127, 0, None], pa.int8()), "y": pa.array([0.1, 0.9, 2, None], pa.float32())}
    )
    path = written(numbered(narrow), tmp_path / "t")
    found = codes_of(read_table(spark, path=path), schema, packed=packed)
    for column in schema.columns:
        assert found[column.name] == encode(column, narrow.column(column.name)).tolist()


def test_the_comparison_notices_a_time_zone_that_has_a_say(spark, conf, tmp_path):
    settings, values = COLUMNS["instant"]
    columns = {"instant": (settings | {"bins": 8760}, values)}
    schema, table = schema_of(columns), table_of(columns, 300)
    path = written(numbered(table), tmp_path / "t")
    conf["spark.sql.session.timeZone"] = "America/New_York"
    shifted = read_table(spark, path=path).selectExpr(
        "`__row`", "to_utc_timestamp(instant, 'Asia/Tokyo') AS instant"
    )
    found = codes_of(shifted, schema)["instant"]
    assert found != encode(schema.columns[0], table.column("instant")).tolist()


def partitioned(tmp_path, name, values):
    for i, value in enumerate(values):
        folder = tmp_path / "t" / f"{name}={value}"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"n": pa.array([i], pa.int32())}), folder / "p.parquet")
    return str(tmp_path / "t")


def counts_of(spark, path, settings, name):
    schema = TableSchema.from_settings({name: settings})
    rows = declared_columns(read_table(spark, path=path), schema, frozenset({name}))
    frame, reader = plain_frame(rows, schema)
    layout = counting_layout([(name,)], schema.domain)
    return split_vector(count_rows_of(frame, reader, layout).vector, layout, [(name,)])[(name,)].tolist()


def test_a_partition_01_is_not_1(spark, tmp_path):
    path = partitioned(tmp_path, "ds", ["01", "1", "02"])
    settings = {"type": "string", "values": ["1", "01"], "undeclared": "drop"}
    assert counts_of(spark, path, settings, "ds") == [1, 1]


def test_a_twin_that_infers_the_types_of_partitions_is_noticed(spark, conf, tmp_path):
    path = partitioned(tmp_path, "ds", ["01", "1", "02"])
    conf["spark.sql.sources.partitionColumnTypeInference.enabled"] = "true"
    settings = {"type": "string", "values": ["1", "01"], "undeclared": "drop"}
    assert counts_of(spark, path, settings, "ds") != [1, 1]


@pytest.mark.parametrize("ansi", ["true", "false"])
def test_a_partition_that_does_not_parse_is_null(spark, conf, tmp_path, ansi):
    conf["spark.sql.ansi.enabled"] = ansi
    path = partitioned(tmp_path, "k", ["7", "x", "__HIVE_DEFAULT_PARTITION__", "999999999999"])
    settings = {"type": "integer", "min": 7, "max": 8, "nullable": True}
    assert counts_of(spark, path, settings, "k") == [1, 0, 3]


def test_dates_in_partitions_are_parsed(spark, tmp_path):
    path = partitioned(tmp_path, "ds", ["2013-01-01", "2013-01-02", "2013-13-01"])
    settings = {"type": "date", "min": "2013-01-01", "max": "2013-01-02", "nullable": True}
    assert counts_of(spark, path, settings, "ds") == [1, 1, 1]
    assert dt.date(2013, 1, 1) in {
        row["ds"]
        for row in declared_columns(
            read_table(spark, path=path), TableSchema.from_settings({"ds": settings}), frozenset({"ds"})
        ).collect()
    }


def test_names_that_spark_would_read_otherwise_are_read_as_they_are(spark, tmp_path):
    names = ["a.b", "a`b", "a b", "select", "Ω"]
    whole, real = {"type": "byte", "min": 0, "max": 9}, {"type": "double", "min": 0, "max": 9, "bins": 9}
    schema = TableSchema.from_settings({name: whole if i < 3 else real for i, name in enumerate(names)})
    table = pa.table({c.name: pa.array([1, 2, 8], c.type.arrow_type) for c in schema.columns})
    found = codes_of(read_table(spark, path=written(numbered(table), tmp_path / "t")), schema)
    for column in schema.columns:
        assert found[column.name] == encode(column, table.column(column.name)).tolist()
