"""How far Spark's passes are, for the owner's terminal: tasks done, of how many.

A number of tasks follows from the table's files and, where Spark adapts its plan, from how much it shuffled: an exact fact.
It is for the owner, whose terminal and logs show it (every 30 seconds, for long passes), and is in no file of the run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from spark_dp.spark.session import is_connect

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

EVERY_SECONDS = 0.3
Tell = Callable[[int, int], None]


@contextmanager
def watched(session: SparkSession, begin: Callable[[], Tell]) -> Iterator[None]:
    """Tells of every pass that the session makes inside; a failure to look is no failure of the pass.

    Args:
        session: classic, asked by a thread, or of Spark Connect 4, which calls back. Others tell nothing.
        begin: called for each pass; what it returns is told (tasks done, tasks in all).
    """
    watch = _called_back if is_connect(session) else _asked
    with watch(session, begin):
        yield


@contextmanager
def _asked(session: Any, begin: Callable[[], Tell]) -> Iterator[None]:
    over = threading.Event()
    tracker = session.sparkContext.statusTracker()

    def look() -> None:
        tells: dict[int, Tell] = {}
        with suppress(Exception):  # the session may be stopped meanwhile
            while not over.wait(EVERY_SECONDS):
                active = sorted(tracker.getActiveJobsIds())
                for job in [job for job in tells if job not in active]:
                    tells.pop(job)(1, 1)
                for job in active[-1:]:  # one line: the pass that began last
                    done, total = tasks_of_job(tracker, job)
                    if total:
                        if job not in tells:
                            tells[job] = begin()
                        tells[job](done, total)

    thread = threading.Thread(target=look, name="spark-dp progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=5)


def tasks_of_job(tracker: Any, job: int) -> tuple[int, int]:
    """Returns how many tasks of a job are done, of how many.

    A stage that waits while one of a higher number works is skipped: stages are numbered parents first.
    """
    info = tracker.getJobInfo(job)
    stages = [tracker.getStageInfo(stage) for stage in sorted(info.stageIds)] if info else []
    known = [stage for stage in stages if stage is not None]
    working = [i for i, stage in enumerate(known) if stage.numActiveTasks or stage.numCompletedTasks]
    counted = [s for i, s in enumerate(known) if i in working or i > max(working, default=-1)]
    return sum(s.numCompletedTasks for s in counted), sum(s.numTasks for s in counted)


@contextmanager
def _called_back(session: Any, begin: Callable[[], Tell]) -> Iterator[None]:
    tells: dict[str | None, Tell] = {}

    def handle(stages: Any, inflight_tasks: int, operation_id: str | None, done: bool) -> None:  # noqa: ARG001
        found = list(stages or ())
        finished, total = sum(s.num_completed_tasks for s in found), sum(s.num_tasks for s in found)
        if done:
            over = tells.pop(operation_id, None)
            if over is not None:
                over(1, 1)
        elif total:
            if operation_id not in tells:
                tells[operation_id] = begin()
            tells[operation_id](finished, total)

    register = getattr(session, "registerProgressHandler", None)
    if register is None:
        yield
        return
    register(handle)
    try:
        yield
    finally:
        with suppress(Exception):  # the session may be stopped already
            session.removeProgressHandler(handle)
