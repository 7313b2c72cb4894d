"""Files that tasks read themselves are counted as Spark counts them, or are left to Spark."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tables_at_random import EVERY, brute_force, plain_frame, schema_of, table_of

from spark_dp.schema.table import TableSchema
from spark_dp.spark.counting import count_rows_of
from spark_dp.spark.direct import _PLAIN, count_files, readable_directly
from spark_dp.spark.histograms import counting_layout, split_vector
from spark_dp.spark.snapshot import snapshot_files
from spark_dp.spark.tables import partition_columns

pytestmark = pytest.mark.spark

COLUMNS = {n: c for n, c in EVERY.items() if c[0]["type"] in _PLAIN and not n.endswith("_drop")}
DROPPING = {n: EVERY[n] for n in ("text_drop", "tiny", "real_drop", "flag_drop")}


def splits_of(spark, path, schema):
    snapshot = snapshot_files(spark, path)
    return readable_directly(spark, snapshot, schema, path=path, partitions=partition_columns(snapshot, path))


def both(spark, path, schema, cliques):
    layout = counting_layout(cliques, schema.domain)
    splits = splits_of(spark, path, schema)
    assert splits is not None
    direct = count_files(spark, splits, schema, layout)
    general = count_rows_of(*plain_frame(spark.read.parquet(path), schema), layout)
    assert direct.rows == general.rows == direct.weight == general.weight
    assert np.array_equal(direct.vector, general.vector)
    return split_vector(direct.vector, layout, cliques)


@pytest.mark.parametrize("columns", [COLUMNS, DROPPING], ids=["every_type", "dropping"])
def test_both_ways_give_identical_counts(spark, tmp_path, columns):
    schema, table = schema_of(columns), table_of(columns, 3000)
    pq.write_table(table.slice(0, 1200), tmp_path / "a b%20#1.parquet", row_group_size=100)
    pq.write_table(table.slice(1200, 0), tmp_path / "empty.parquet")
    pq.write_table(table.slice(1200), tmp_path / "c.parquet", use_dictionary=False)
    cliques = [*((name,) for name in schema.names), schema.names[:2], ()]
    found = both(spark, str(tmp_path), schema, cliques)
    expected = brute_force(schema, table, cliques)
    assert all(np.array_equal(found[c], expected[c]) for c in cliques)


SMALL = TableSchema.from_settings({"x": {"type": "integer", "min": 0, "max": 9, "nullable": True}})


def small(values, kind=None):
    return pa.table({"x": pa.array(values, kind or pa.int32())})


def test_a_table_without_rows_has_all_its_cells(spark, tmp_path):
    pq.write_table(small([]), tmp_path / "p.parquet")
    assert both(spark, str(tmp_path), SMALL, [("x",)])[("x",)].tolist() == [0] * 11


def test_partitions_that_nobody_asked_for_are_read(spark, tmp_path):
    for i in range(3):
        (tmp_path / f"ds=a%3A{i}").mkdir()
        pq.write_table(small([i]), tmp_path / f"ds=a%3A{i}" / "p.parquet")
    assert both(spark, str(tmp_path), SMALL, [()])[()] == 3


def test_folders_that_spark_does_not_read_are_left_to_spark(spark, tmp_path):
    pq.write_table(small([1]), tmp_path / "p.parquet")
    (tmp_path / "backup").mkdir()
    assert splits_of(spark, str(tmp_path), SMALL) is not None
    pq.write_table(small([2]), tmp_path / "backup" / "p.parquet")
    layout = counting_layout([()], SMALL.domain)
    assert count_rows_of(*plain_frame(spark.read.parquet(str(tmp_path)), SMALL), layout).rows == 1
    assert splits_of(spark, str(tmp_path), SMALL) is None


@pytest.mark.parametrize("marker", ["_delta_log", ".hoodie", "metadata"])
def test_folders_of_a_table_format_are_left_to_spark(spark, tmp_path, marker):
    pq.write_table(small([1]), tmp_path / "p.parquet")
    (tmp_path / marker).mkdir()
    assert splits_of(spark, str(tmp_path), SMALL) is None


def test_a_table_format_below_a_pattern_is_left_to_spark(spark, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name / "_delta_log").mkdir(parents=True)
        pq.write_table(small([1]), tmp_path / name / "p.parquet")
    assert splits_of(spark, str(tmp_path / "*"), SMALL) is None


@pytest.mark.parametrize(
    "settings",
    [
        {"type": "date", "min": "2013-01-01", "max": "2013-02-01"},
        {"type": "timestamp", "min": "2013-01-01", "max": "2013-02-01", "bins": 2},
        {"type": "timestamp_ntz", "min": "2013-01-01", "max": "2013-02-01", "bins": 2},
        {"type": "decimal(5,2)", "min": 0, "max": 1, "bins": 2},
    ],
    ids=str,
)
def test_types_whose_meaning_depends_on_the_file_are_left_to_spark(spark, tmp_path, settings):
    schema = TableSchema.from_settings({"x": settings})
    pq.write_table(pa.table({"x": pa.nulls(1, schema.columns[0].type.arrow_type)}), tmp_path / "p.parquet")
    assert splits_of(spark, str(tmp_path), schema) is None


def test_a_declared_partition_and_a_frame_are_left_to_spark(spark, tmp_path):
    (tmp_path / "x=1").mkdir()
    pq.write_table(pa.table({"y": [1]}), tmp_path / "x=1" / "p.parquet")
    snapshot = snapshot_files(spark, str(tmp_path))
    assert splits_of(spark, str(tmp_path), SMALL) is None
    assert readable_directly(spark, snapshot, SMALL, path=None, partitions=frozenset()) is None


def test_a_corrupt_file_is_left_to_spark(spark, tmp_path):
    (tmp_path / "p.parquet").write_bytes(b"PAR1 nothing PAR1")
    assert splits_of(spark, str(tmp_path), SMALL) is None


@pytest.mark.parametrize(
    "table",
    [pa.table({"y": [1]}), small([1], pa.int64()), small([1], pa.int8()), small(["1"], pa.string())],
    ids=["missing", "wider", "narrower", "text"],
)
def test_a_file_with_other_columns_fails_and_is_not_guessed(spark, tmp_path, table):
    pq.write_table(small([1]), tmp_path / "a.parquet")
    pq.write_table(table, tmp_path / "b.parquet")
    splits = splits_of(spark, str(tmp_path), SMALL)
    with pytest.raises(Exception, match=r"."):
        count_files(spark, splits, SMALL, counting_layout([("x",)], SMALL.domain))
