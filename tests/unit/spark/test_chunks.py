"""How rows are cut into chunks, and chunks into tasks."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_dp.schema.table import TableSchema
from spark_dp.spark.generate import CHUNK_ROWS, CHUNKS_A_TASK, chunk_sizes, ddl_of, tasks_of


@settings(deadline=None)
@given(st.integers(0, 10**9))
def test_the_chunks_have_all_rows_and_only_the_last_is_short(rows):
    sizes = chunk_sizes(rows)
    assert sum(sizes) == rows
    assert all(size == CHUNK_ROWS for size in sizes[:-1])
    assert all(0 < size <= CHUNK_ROWS for size in sizes)


@settings(deadline=None)
@given(st.integers(0, 5000))
def test_every_chunk_is_made_by_one_task(chunks):
    tasks = tasks_of(chunks)
    assert [chunk for task in tasks for chunk in task] == list(range(chunks))
    assert all(len(task) <= CHUNKS_A_TASK for task in tasks)
    assert chunks == 0 or all(len(task) >= 1 for task in tasks)


@pytest.mark.parametrize(("chunks", "tasks"), [(0, 1), (1, 1), (3, 3), (8, 8), (9, 8), (128, 8), (129, 9)])
def test_the_number_of_tasks_depends_on_the_chunks_alone(chunks, tasks):
    assert len(tasks_of(chunks)) == tasks


def test_the_schema_is_written_as_spark_reads_it():
    schema = TableSchema.from_settings(
        {
            "a`b": {"type": "decimal(10,2)", "min": 0, "max": 1, "bins": 2},
            "c d": {"type": "timestamp_ntz", "min": "2013-01-01", "max": "2013-01-02", "bins": 2},
            "e": {"type": "byte", "min": 0, "max": 1},
        }
    )
    assert ddl_of(schema) == "`a``b` DECIMAL(10,2), `c d` TIMESTAMP_NTZ, `e` TINYINT"
