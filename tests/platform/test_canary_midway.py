"""A planted value and id are found nowhere but in the input when a run is struck in the middle."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.canary import CANARY, found_in, leaf_of, plans, planted, planted_site, run
from support.cluster import LOCAL, standalone_cluster
from support.disks import fill, small_disk
from support.engine import Executor, processes
from support.visits import Site

pytestmark = [pytest.mark.platform, pytest.mark.strikes]


@pytest.fixture
def site(tmp_path) -> Site:
    return planted_site(tmp_path / "site")


def require_nothing_told(site: Site, said: str) -> None:
    assert CANARY not in said
    assert found_in(site, events=False) == []
    assert plans(site), "the engine logged no plan"
    assert not [plan for plan in plans(site) if CANARY in plan]


def append(site: Site) -> None:
    pq.write_table(planted().drop_columns("ward"), leaf_of(site) / "more.parquet")


def replace(site: Site) -> None:
    for file in leaf_of(site).glob("*.parquet"):
        pq.write_table(pq.ParquetFile(file).read().slice(1), file)


def truncate(site: Site) -> None:
    for file in leaf_of(site).glob("*.parquet"):
        file.write_bytes(file.read_bytes()[:-100])


def corrupt(site: Site) -> None:
    for file in leaf_of(site).glob("*.parquet"):
        file.write_bytes(CANARY.encode() * (file.stat().st_size // len(CANARY)))


def remove(site: Site) -> None:
    shutil.rmtree(leaf_of(site))


@pytest.mark.parametrize("change", [append, replace, truncate, corrupt, remove])
def test_a_change_of_the_input_tells_no_value(site, change):
    code, said = run(site, midway=lambda: change(site))
    assert code == 65, said
    assert "changed while it was read" in said
    require_nothing_told(site, said)
    assert site.account().spent_rho == 0


def test_a_run_directory_that_cannot_be_written_tells_no_value(site):
    def block() -> None:
        shutil.rmtree(site.run_folder / "released", ignore_errors=True)
        (site.run_folder / "released").write_text("")

    code, said = run(site, midway=block)
    assert code != 0, said
    require_nothing_told(site, said)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[tuple[str, Path]]:
    """A master's URL and the folder in which its executors work."""
    folder = tmp_path_factory.mktemp("cluster")
    with standalone_cluster(folder) as master:
        yield on_cluster(master), folder


def on_cluster(master: str) -> str:
    python = f'spark.pyspark.python: "{sys.executable}", spark.executor.memory: "600m", '
    return f'spark.master: "{master}", {python}spark.driver.host: "127.0.0.1", '


def executors_in(folder: Path) -> list[Executor]:
    """The executors whose working folders are in this one: those of this test's cluster."""
    running = [p for p in processes() if "CoarseGrainedExecutorBackend" in p.command]
    return [Executor(p.pid) for p in running if folder_of(p.pid).startswith(str(folder))]


def folder_of(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink())
    except OSError:
        return ""


def test_a_killed_executor_tells_no_value(site, cluster):
    spark, folder = cluster
    code, said = run(site, spark=spark, midway=lambda: executors_in(folder)[0].kill(), **LOCAL)
    assert code == 0, said
    require_nothing_told(site, said)


def test_workers_that_die_again_and_again_tell_no_value(site, cluster):
    spark, folder = cluster
    over = threading.Event()

    def strike() -> None:
        while not over.wait(0.05):
            for executor in executors_in(folder):
                executor.kill_workers()

    thread = threading.Thread(target=strike)
    try:
        code, said = run(site, spark=spark, midway=thread.start, **LOCAL)
    finally:
        over.set()
    assert code == 75, said
    assert "Its message is withheld" in said
    require_nothing_told(site, said)
    assert site.account().spent_rho == 0
    thread.join()


def test_a_full_disk_on_executors_tells_no_value(site, tmp_path):
    (tmp_path / "cluster").mkdir()
    with (
        small_disk(tmp_path / "scratch", "64k") as scratch,
        standalone_cluster(tmp_path / "cluster", scratch=scratch) as master,
    ):
        code, said = run(site, spark=on_cluster(master), midway=lambda: fill(scratch), **LOCAL)
    assert code == 75, said
    require_nothing_told(site, said)
    assert site.account().spent_rho == 0
