"""Following Spark's passes: tasks done, of how many, while they run."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import pytest

from spark_dp.spark.tasks import tasks_of_job, watched


@dataclass
class Stage:
    numTasks: int  # noqa: N815
    numCompletedTasks: int = 0  # noqa: N815
    numActiveTasks: int = 0  # noqa: N815


class Tracker:
    """Spark's status tracker, as far as it is asked, for states that no test could catch in time."""

    def __init__(self, *stages):
        self.stages = stages
        self.stageIds = range(len(stages))

    def getJobInfo(self, job):
        return self

    def getStageInfo(self, stage):
        return self.stages[stage]


@pytest.mark.parametrize(
    ("stages", "counted"),
    [
        ([Stage(4, 1, 2), Stage(2)], (1, 6)),
        ([Stage(4, 4), Stage(2, 1, 1)], (5, 6)),
        ([Stage(200), Stage(8, 3, 1), Stage(2)], (3, 10)),
        ([Stage(4), Stage(2)], (0, 6)),
        ([None, Stage(2, 1)], (1, 2)),
    ],
    ids=["first", "second", "a skipped one is left out", "none has begun", "forgotten"],
)
def test_the_tasks_of_a_job_are_those_of_its_stages_that_will_run(stages, counted):
    assert tasks_of_job(Tracker(*stages), 1) == counted


def slow_pass(spark, release):
    """Six tasks of which the last one waits for a file."""

    def wait(batches):
        from pathlib import Path

        for batch in batches:
            while batch.column(0).to_pylist() == [5] and not Path(release).exists():
                time.sleep(0.05)
            yield batch

    return spark.range(0, 6, 1, 6).mapInArrow(wait, "id long").count()


@pytest.mark.spark
def test_a_pass_is_told_while_it_runs_and_told_to_be_over(spark, tmp_path):
    told = []
    release = tmp_path / "release"

    def begin():
        def tell(done, total):
            told.append((done, total))
            if (done, total) != (1, 1) and done >= 5:
                release.touch()

        return tell

    with watched(spark, begin):
        assert slow_pass(spark, str(release)) == 6
        wait_for(lambda: told and told[-1] == (1, 1))
    assert any(done >= 5 and total >= 6 for done, total in told), told


@pytest.mark.spark
def test_nothing_is_told_and_no_thread_is_left_when_the_watch_is_over(spark):
    told = []
    with watched(spark, lambda: lambda done, total: told.append(done)):
        pass
    before = len(told)
    spark.range(10).count()
    assert len(told) == before
    assert not [t for t in threading.enumerate() if t.name == "spark-dp progress"]


@pytest.mark.spark
def test_a_failure_to_look_is_no_failure_of_the_pass(spark):
    def broken():
        raise OSError("the terminal is gone")

    with watched(spark, broken):
        assert spark.range(0, 4, 1, 4).repartition(3).count() == 4


def wait_for(condition):
    for _ in range(200):
        if condition():
            return
        time.sleep(0.05)
