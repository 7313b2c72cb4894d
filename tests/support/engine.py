"""Executors in processes of their own, and what can befall them: kills, lost blocks, frozen workers."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from spark_dp.spark.session import open_session

POLL = 0.005
PATIENCE = 240.0


@contextmanager
def session_on(master: str, **settings: str) -> Iterator[Any]:
    """Opens a session of this process on a cluster, and stops it in the end."""
    if SparkSession.getActiveSession() is not None:
        raise AssertionError(
            "This process has a session already: run the tests marked `platform` by themselves"
        )
    chosen = {
        "spark.master": master,
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.executor.memory": "800m",
        "spark.pyspark.python": sys.executable,
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.adaptive.enabled": "false",
        "spark.task.maxFailures": "50",
        "spark.sql.files.openCostInBytes": "128m",
        **{name.replace("__", "."): value for name, value in settings.items()},
    }
    session = open_session(chosen, app_name="spark-dp faults")
    try:
        yield session
    finally:
        session.stop()


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    command: str


def processes() -> list[Process]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                stat = (folder / "stat").read_text()
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append(Process(int(folder.name), int(stat.rpartition(")")[2].split()[1]), command))
    return found


def below(pid: int, among: list[Process]) -> list[int]:
    children = [p.pid for p in among if p.parent == pid]
    return children + [grandchild for child in children for grandchild in below(child, among)]


@dataclass(frozen=True)
class Executor:
    """The JVM of an executor of ours, and its Python workers."""

    pid: int

    def workers(self) -> list[int]:
        return below(self.pid, processes())

    def kill(self) -> None:
        """SIGKILL for the JVM and for all it started."""
        for pid in [*self.workers(), self.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def kill_workers(self) -> bool:
        """SIGKILL for the Python workers; returns False, since they may have had nothing to do."""
        for pid in self.workers():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return False


def executors(session: Any) -> list[Executor]:
    """The executors of the session's application: no other process is ever touched."""
    application = str(session.sparkContext.applicationId)
    return [
        Executor(p.pid)
        for p in processes()
        if "CoarseGrainedExecutorBackend" in p.command and application in p.command and "java" in p.command
    ]


def busy_executor(session: Any) -> Executor | None:
    """Returns an executor that has a task now."""
    tracker = session.sparkContext._jsc.sc().statusTracker()
    hosts = {info.host() for info in tracker.getExecutorInfos() if info.numRunningTasks()}
    among = {p.pid: p.command for p in processes()}
    return next((e for e in executors(session) if any(f" {h} " in among.get(e.pid, "") for h in hosts)), None)


def kill_busy(session: Any, victim: str) -> Callable[[], bool]:
    """Gives a fault that kills an executor at work, or its Python workers."""

    def strike() -> bool:
        executor = busy_executor(session)
        if executor is None:
            return False
        if victim == "executor":
            executor.kill()
            return True
        return executor.kill_workers()

    return strike


def wait_for_executors(session: Any, count: int = 2) -> list[Executor]:
    """Waits until that many executors have registered."""
    tracker = session.sparkContext._jsc.sc().statusTracker()
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        running = executors(session)
        if len(tracker.getExecutorInfos()) == 1 + count and len(running) == count:
            return running
        time.sleep(0.1)
    raise TimeoutError(f"There are not {count} executors")


class TooLateError(AssertionError):
    """The stage to strike was over before it was seen."""


class Watch:
    """A block in which a stage is struck once, while a task of it runs.

    Args:
        session: whose stages are looked at.
        fault: what strikes; where it returns False it may have hit nothing, and strikes again until a task fails or
            the stage is over.
        tasks: of the stage to strike: a pass over the files has as many as there are files.
        after: how many stages after the first that worked inside, at least.
        done: tasks of it that must have finished.

    Attributes:
        stages: that worked inside, in the order of their first task.
        struck: the stage that the fault met.
        failures: tasks that failed inside, and stages that were begun again.
    """

    def __init__(
        self, session: Any, fault: Callable[[], Any], *, tasks: int, after: int = 0, done: int = 0
    ) -> None:
        self._tracker = session.sparkContext.statusTracker()
        self._fault, self._tasks, self._after, self._done = fault, tasks, after, done
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._safely, daemon=True)
        self._error: Exception | None = None
        self.stages: list[int] = []
        self._before: set[int] = set()
        self.struck: int | None = None
        self.failures = 0
        self._settled = False

    def __enter__(self) -> Watch:
        self._before = set(self._tracker.getActiveStageIds())  # what a zombie of an earlier block still does
        self._thread.start()
        return self

    def __exit__(self, *failed: object) -> None:
        self._over.set()
        self._thread.join(30)
        infos = [self._tracker.getStageInfo(number) for number in self.stages]
        self.failures = sum(info.numFailedTasks + info.currentAttemptId for info in infos if info is not None)
        if self._error is not None:
            raise self._error
        if self.struck is None and failed[0] is None:
            raise TooLateError(f"The fault came too late: only {len(self.stages)} stages were seen")

    def _safely(self) -> None:
        try:
            while not self._over.wait(POLL):
                self._look()
        except Exception as error:  # noqa: BLE001  told in the thread of the test
            self._error = error

    def _look(self) -> None:
        for number in sorted(set(self._tracker.getActiveStageIds()) - self._before):
            info = self._tracker.getStageInfo(number)
            if info is None or not info.numActiveTasks:
                continue
            if number not in self.stages:
                self.stages.append(number)
            later = number - self.stages[0] >= self._after and info.numCompletedTasks >= self._done
            if later and info.numTasks == self._tasks and not self._settled:
                self.struck = number if self.struck is None else self.struck
                self._settled = self._fault() is not False or info.numFailedTasks + info.currentAttemptId > 0


def lose_cached_blocks(session: Any) -> int:
    """Evicts every cached block on every executor, as memory pressure does; returns of how many frames."""
    cached = [int(number) for number in session.sparkContext._jsc.getPersistentRDDs()]
    for number in cached:  # the blocks alone: the frame stays one that is to be cached
        session.sparkContext._jsc.sc().unpersistRDD(number, True)
    return len(cached)


def lose_shuffle_files(scratch: Path) -> int:
    """Deletes the shuffle files of all executors below their scratch folder; returns how many."""
    found = [p for p in scratch.rglob("shuffle_*") if p.is_file() and "executor-" in str(p)]
    for file in found:
        with suppress(FileNotFoundError):
            file.unlink()
    return len(found)


@contextmanager
def frozen_worker(session: Any) -> Iterator[Callable[[], None]]:
    """Gives a fault that stops a Python worker of one executor, and lets it go on in the end."""
    stopped: list[int] = []

    def freeze() -> bool:
        for executor in executors(session):
            everyone = processes()
            daemons = [p for p in executor.workers() if "pyspark" in _command(p, everyone)]
            leaves = [p for p in daemons if not any(q.parent == p for q in everyone)]
            if leaves and len(daemons) > len(leaves):
                for pid in leaves:
                    os.kill(pid, signal.SIGSTOP)
                stopped.extend(leaves)
                return True
        return False

    try:
        yield freeze
    finally:
        for pid in stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _command(pid: int, among: list[Process]) -> str:
    return next((p.command for p in among if p.pid == pid), "")
