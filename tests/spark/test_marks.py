"""Rows that change between the pass over the ids and the counting pass are noticed before any answer."""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from units import counts, expected_counts, same, sampled, units_table, weighed

from spark_dp.errors import ContributionExceededError

pytestmark = pytest.mark.spark

TABLE = units_table({f"u{i}": 1 + i for i in range(12)}, pa.string()).sort_by("id")
ROWS = TABLE.filter(pc.is_in(TABLE.column("a"), pa.array(["x", "y", "z"])))


def live(spark, file):
    """A frame whose rows are those that the file has when they are read."""

    def rows_of_now(batches):
        import pyarrow.parquet

        for batch in batches:
            for part in batch.column(0).to_pylist():
                table = pyarrow.parquet.read_table(file)
                yield from table.slice(part * 40, 40 if part == 0 else None).combine_chunks().to_batches()

    return spark.range(0, 2, 1, 2).mapInArrow(rows_of_now, "id string, a string, b int")


def doubled(table):
    return pa.concat_tables([table, table.slice(30, 1)])


def cut(table):
    return table.slice(1)


def moved(table):
    """One row goes from one unit to another: the number of rows and the sum of weights stay."""
    ids = table.column("id").to_pylist()
    place = ids.index("u5")
    ids[place] = "u6"
    return table.set_column(0, "id", pa.array(ids))


@pytest.mark.parametrize("bound", [weighed, sampled])
@pytest.mark.parametrize("change", [doubled, cut, moved])
def test_rows_that_change_between_two_passes_answer_nothing(spark, tmp_path, bound, change):
    file = str(tmp_path / "t.parquet")
    pq.write_table(ROWS, file)
    bounded, reader = bound(live(spark, file), 50)
    for frame in bounded.cached if bound is sampled else ():
        frame.unpersist(blocking=True)
    pq.write_table(change(ROWS), file)
    with pytest.raises(ContributionExceededError):
        counts(bounded, reader)


@pytest.mark.parametrize("bound", [weighed, sampled])
def test_rows_that_stay_are_answered(spark, tmp_path, bound):
    file = str(tmp_path / "t.parquet")
    pq.write_table(ROWS, file)
    bounded, reader = bound(live(spark, file), 50)
    found = counts(bounded, reader)
    if bound is weighed:
        assert same(found, expected_counts(ROWS, 50))


def test_rows_in_another_order_are_the_same_rows(spark, tmp_path):
    file = str(tmp_path / "t.parquet")
    pq.write_table(ROWS, file)
    bounded, reader = weighed(live(spark, file), 4)
    pq.write_table(ROWS.sort_by([("b", "descending")]), file)
    assert same(counts(bounded, reader), expected_counts(ROWS, 4))


def test_a_frame_that_draws_its_rows_anew_is_noticed(spark):
    def by_chance(batches):
        import os

        import pyarrow

        for batch in batches:
            for part in batch.column(0).to_pylist():
                ids = [f"u{byte % 50}-{part}" for byte in os.urandom(300)]
                yield pyarrow.RecordBatch.from_pydict(
                    {"id": ids, "a": ["x"] * 300, "b": pyarrow.array([1] * 300, "int32")}
                )

    rows = spark.range(0, 2, 1, 2).mapInArrow(by_chance, "id string, a string, b int")
    with pytest.raises(ContributionExceededError):
        counts(*weighed(rows, 2))


def test_rand_is_noticed_where_it_decides_about_rows(spark):
    from pyspark.sql import functions as F

    rows = spark.range(0, 3000, 1, 3).selectExpr("CAST(id % 97 AS STRING) AS id", "'x' AS a", "1 AS b")
    bounded, reader = weighed(rows.where(F.rand() < 0.5), 2)
    other, _ = weighed(rows.where(F.rand() < 0.5), 2)
    mixed = type(bounded)(other.rows, bounded.totals, bounded.unit, (*bounded.cached, *other.cached))
    with pytest.raises(ContributionExceededError):
        counts(mixed, reader)
