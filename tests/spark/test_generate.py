"""Synthetic rows are a function of (model, seed, chunk), with exactly the declared types."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from tables_at_random import COLUMNS, encoded, schema_of

from spark_dp.graphical.sampling import SamplingPlan, SamplingStep
from spark_dp.spark import generate
from spark_dp.spark.generate import ShippedPlan, generate_chunk, generate_table

pytestmark = pytest.mark.spark

SCHEMA = schema_of(COLUMNS)
ROWS = 70_000  # more than one chunk


def plan_of(schema):
    """Each attribute by itself, every cell possible."""
    steps = []
    for name, size in zip(schema.domain.attributes, schema.domain.sizes, strict=True):
        weights = np.cumsum(np.arange(1.0, size + 1))[None, :]
        steps.append(SamplingStep(given=(), drawn=(name,), cumulative=weights / weights[:, -1:]))
    return SamplingPlan(domain=schema.domain, steps=tuple(steps))


PLAN = plan_of(SCHEMA)
SHIPPED = ShippedPlan(PLAN.to_bytes())


def table_of(frame):
    """The rows as Spark has them, times as microseconds so that no session's time zone has a say."""
    return frame.toArrow().combine_chunks()


def expected(rows, seed, schema=SCHEMA, plan=PLAN):
    sizes = generate.chunk_sizes(rows)
    return pa.Table.from_batches(
        [generate_chunk(plan, schema, seed, i, size) for i, size in enumerate(sizes)], schema.arrow_schema
    )


def equal(one, other):
    """Value by value; NaN equals NaN."""
    for name in other.schema.names:
        a, b = one.column(name).combine_chunks(), other.column(name).combine_chunks()
        a = a if a.type == b.type else a.cast(b.type)
        if not (a.equals(b) or str(a.to_pylist()) == str(b.to_pylist())):
            return False
    return one.num_rows == other.num_rows


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_every_type_arrives_in_spark_as_it_was_decoded(spark, conf, zone):
    conf["spark.sql.session.timeZone"] = zone
    frame = generate_table(spark, SHIPPED, SCHEMA, rows=300, seed=7)
    assert equal(table_of(frame), expected(300, 7))
    instants = frame.selectExpr("unix_micros(instant) AS x", "count(*) OVER () AS n").toArrow().column("x")
    assert instants.to_pylist() == expected(300, 7).column("instant").cast(pa.int64()).to_pylist()


def test_the_frame_has_exactly_the_declared_types(spark):
    frame = generate_table(spark, SHIPPED, SCHEMA, rows=1, seed=7)
    assert frame.dtypes == [
        ("text_other", "string"),
        ("text_value", "string"),
        ("text_many", "string"),
        ("flag", "boolean"),
        ("tiny", "tinyint"),
        ("small", "smallint"),
        ("whole", "int"),
        ("wide", "bigint"),
        ("wider", "bigint"),
        ("single", "float"),
        ("real", "double"),
        ("money", "decimal(10,2)"),
        ("huge", "decimal(38,3)"),
        ("code", "decimal(5,0)"),
        ("day", "date"),
        ("day_far", "date"),
        ("instant", "timestamp"),
        ("wall", "timestamp_ntz"),
    ]


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Chatham"])
def test_what_is_written_and_read_again_is_what_was_decoded(spark, conf, tmp_path, zone):
    conf["spark.sql.session.timeZone"] = zone
    generate_table(spark, SHIPPED, SCHEMA, rows=500, seed=3).write.parquet(str(tmp_path / "t"))
    back = spark.read.parquet(str(tmp_path / "t"))
    assert [(n, t) for n, t in back.dtypes] == generate_table(spark, SHIPPED, SCHEMA, rows=1, seed=3).dtypes
    found, made = table_of(back), expected(500, 3)
    codes, kept = encoded(SCHEMA, found.cast(SCHEMA.arrow_schema))
    want, _ = encoded(SCHEMA, made)
    assert kept.all()
    assert all(np.array_equal(np.sort(codes[n]), np.sort(want[n])) for n in SCHEMA.names)
    assert equal(found, made)


SHORT = {name: COLUMNS[name] for name in ("text_other", "wide", "instant")}


@pytest.fixture(scope="module")
def short():
    schema = schema_of(SHORT)
    return schema, plan_of(schema)


def test_rows_do_not_depend_on_partitions_or_settings(spark, conf, short):
    schema, plan = short
    frame = generate_table(spark, ShippedPlan(plan.to_bytes()), schema, rows=ROWS, seed=1)
    made = expected(ROWS, 1, schema, plan)
    assert equal(table_of(frame), made)
    conf["spark.sql.execution.arrow.maxRecordsPerBatch"] = "1000"
    for partitions in (1, 7):
        assert equal(table_of(frame.coalesce(partitions)), made)


def test_rows_do_not_depend_on_how_chunks_are_shared_out(spark, monkeypatch, short):
    schema, plan = short
    monkeypatch.setattr(generate, "tasks_of", lambda chunks: [range(0, 1), range(1, chunks)])
    frame = generate_table(spark, ShippedPlan(plan.to_bytes()), schema, rows=ROWS, seed=1)
    assert equal(table_of(frame), expected(ROWS, 1, schema, plan))


def test_another_seed_gives_other_rows_and_the_same_seed_the_same(spark):
    made = table_of(generate_table(spark, SHIPPED, SCHEMA, rows=200, seed=8))
    assert not equal(made, expected(200, 7))
    assert equal(made, expected(200, 8))


def test_no_two_chunks_are_equal(short):
    schema, plan = short
    assert not equal(
        pa.Table.from_batches([generate_chunk(plan, schema, 1, 0, 500)]),
        pa.Table.from_batches([generate_chunk(plan, schema, 1, 1, 500)]),
    )


@pytest.mark.parametrize("rows", [0, 1])
def test_tables_of_no_row_or_one(spark, rows):
    frame = generate_table(spark, SHIPPED, SCHEMA, rows=rows, seed=7)
    assert frame.count() == rows


def test_a_plan_in_a_file_gives_the_same_rows(spark, tmp_path):
    (tmp_path / "a plan.npz").write_bytes(PLAN.to_bytes())
    shipped = ShippedPlan(None, (tmp_path / "a plan.npz").as_uri())
    frame = generate_table(spark, shipped, SCHEMA, rows=200, seed=7)
    assert equal(table_of(frame), expected(200, 7))


def test_local_times_lie_in_the_declared_range(spark):
    frame = generate_table(spark, SHIPPED, SCHEMA, rows=500, seed=7)
    wall = [w for w in table_of(frame).column("wall").to_pylist() if w is not None]
    assert dt.datetime(2013, 1, 1) <= min(wall)
    assert max(wall) <= dt.datetime(2014, 1, 1)
