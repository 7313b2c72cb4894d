"""Executors die and stall while the synthetic table is written; there is one output, with the rows of model and seed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.cluster import standalone_cluster
from support.crowds import TABLE
from support.engine import Watch, frozen_worker, kill_busy, session_on, wait_for_executors
from support.plans import independent_plan
from support.reliability import require_stated

from spark_dp.spark.generate import ShippedPlan, chunk_sizes, generate_chunk, generate_table, tasks_of
from spark_dp.spark.write import Output, OutputMode, publish, write_rows

pytestmark = [pytest.mark.platform, pytest.mark.strikes]

ROWS, SEED = 500_000, 7
PLAN = independent_plan(TABLE)
SAME = "identical rows, one output"


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Iterator[Any]:
    speculation = {
        "spark.speculation": "true",
        "spark.speculation.interval": "100ms",
        "spark.speculation.quantile": "0.5",
        "spark.speculation.multiplier": "3",
        "spark.speculation.minTaskRuntime": "3s",
    }
    with (
        standalone_cluster(tmp_path_factory.mktemp("cluster")) as master,
        session_on(master, **speculation) as session,
    ):
        yield session


@pytest.fixture(scope="module")
def expected() -> pa.Table:
    """The chunks one after the other, made in this process."""
    sizes = chunk_sizes(ROWS)
    chunks = [generate_chunk(PLAN, TABLE, SEED, i, size) for i, size in enumerate(sizes)]
    return pa.Table.from_batches(chunks, TABLE.arrow_schema)


def write(session: Any, folder: Path) -> Output:
    """Writes and publishes a table as the stage `generate` does."""
    output = Output(str(folder / "out"), OutputMode.OVERWRITE)
    table = generate_table(session, ShippedPlan(PLAN.to_bytes()), TABLE, rows=ROWS, seed=SEED)
    write_rows(table, output, session, expected=ROWS)
    publish(output, b"{}")
    return output


def table_of(files: list[Path]) -> pa.Table:
    return pa.concat_tables([pq.read_table(file) for file in files]).cast(TABLE.arrow_schema)


def parts(folder: Path) -> list[Path]:
    return sorted((folder / "out").glob("part-*"))


def what_is_there(folder: Path) -> set[str]:
    """Everything but the data, hidden or not, however deep."""
    return {
        str(p.relative_to(folder)) for p in folder.rglob("*") if not p.name.startswith(("part-", ".part-"))
    }


CLEAN = {"out", "out/_SUCCESS", "out/._SUCCESS.crc", "out/_manifest.json"}


@pytest.mark.parametrize("victim", ["executor", "Python workers"])
def test_rows_are_the_same_after_a_kill(session, tmp_path, expected, victim):
    wait_for_executors(session)
    strike = kill_busy(session, victim)
    with Watch(session, strike, tasks=8, done=2) as watch:
        write(session, tmp_path)
    assert watch.failures > 0
    assert table_of(parts(tmp_path)).equals(expected)
    assert len(parts(tmp_path)) == len(tasks_of(len(chunk_sizes(ROWS))))
    assert what_is_there(tmp_path) == CLEAN
    require_stated("generate: write", f"{victim} killed", SAME)


def test_rows_are_the_same_where_a_slow_task_is_run_twice(session, tmp_path, expected):
    wait_for_executors(session)
    with ExitStack() as stack:
        freeze = stack.enter_context(frozen_worker(session))
        stack.enter_context(Watch(session, freeze, tasks=8, done=4))
        write(session, tmp_path)
    time.sleep(3)  # what stood still goes on, and may not write any more
    assert table_of(parts(tmp_path)).equals(expected)
    assert len(parts(tmp_path)) == len(tasks_of(len(chunk_sizes(ROWS))))
    assert what_is_there(tmp_path) == CLEAN
    require_stated("generate: write", "slow task, speculation", SAME)


def test_a_file_that_is_there_twice_would_be_seen(session, tmp_path, expected):
    """The twin: one file more, or one that is not of this seed, is another table."""
    wait_for_executors(session)
    write(session, tmp_path)
    first = parts(tmp_path)[0]
    (tmp_path / "out" / "part-99999.parquet").write_bytes(first.read_bytes())
    assert not table_of(parts(tmp_path)).equals(expected)
