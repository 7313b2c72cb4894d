from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from desk import BUDGET, DATASET, Desk

from spark_dp.errors import ConfigurationError, LedgerError
from spark_dp.privacy.leases import is_dead, lease_row, lease_seconds, seal_of, this_process
from spark_dp.privacy.ledger_schema import leases

ON_BOTH_DATABASES = True
SHARE = BUDGET.rho / 2
HERE = Path(__file__).parent

DRIVER = """
import sys
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/../.."]
from pathlib import Path
from desk import BUDGET, Desk, Table
desk = Desk(Path(sys.argv[2]), sys.argv[3], opened=True)

class Asked(Table):
    def count(self, cliques):
        print("counting", flush=True)
        if sys.argv[5] == "slow":
            sys.stdin.readline()
        return super().count(cliques)

with desk.begin(lease=float(sys.argv[4]), waiting=lambda w: print("waiting", flush=True)) as account:
    print("begun", account.epoch, flush=True)
    curator = desk.curator(account=account, source=Asked(desk.table.joint))
    (measured,) = curator.measure("q", [("a", "b")], rho=BUDGET.rho / 2)
    print("answer", *measured.noisy.ravel().tolist(), flush=True)
    if sys.argv[5] == "slow":
        account.complete()
"""


class Driver:
    """Another process that measures the same run; `slow` ones count until they are told to go on."""

    def __init__(self, desk: Desk, lease: float, pace: str = "slow") -> None:
        arguments = [str(HERE), str(desk.folder), desk.url, str(lease), pace]
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, *arguments],
            cwd=HERE.parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def hears(self, *expected: str) -> None:
        for line in expected:
            said = self.process.stdout.readline().strip()
            while said == "waiting" != line:  # it may have come too late to wait
                said = self.process.stdout.readline().strip()
            assert said == line, said or self.process.stderr.read()

    def goes_on(self) -> tuple[int, str, str]:
        with suppress(BrokenPipeError), self.process.stdin:
            self.process.stdin.write("go\n")
        # Not communicate(): it would pass by what `hears` has already taken from the pipe.
        out, err = self.process.stdout.read(), self.process.stderr.read()
        return self.process.wait(120), out, err


@pytest.fixture
def drivers() -> Iterator[list[Driver]]:
    started: list[Driver] = []
    yield started
    for driver in started:
        if driver.process.poll() is None:
            driver.process.kill()
            driver.process.communicate()


def elsewhere(desk: Desk, *, seconds: float, holder: str = '{"boot": "another machine"}') -> None:
    """Has a driver on another machine hold the run for so long."""
    engine = sa.create_engine(desk.url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        row = lease_row(connection, DATASET, "2013-W01", 1, seconds) | {"holder": holder}
        connection.execute(leases.update().values(row | {"seal": seal_of(row)}))


def test_a_driver_waits_for_one_that_may_be_alive_and_says_so(desk: Desk):
    desk.begin().release()
    elsewhere(desk, seconds=1.5)
    said = []
    account = desk.begin(lease=1.0, waiting=said.append)
    assert (said[0].dataset, said[0].key, account.epoch) == (DATASET, "2013-W01", 2)
    assert "another machine" not in repr(said[0])


def test_a_released_run_is_not_waited_for(desk: Desk):
    with desk.begin():
        assert desk.ledger.history(DATASET)[0].held_until is None  # by this process: not waited for
    said = []
    assert desk.begin(waiting=said.append).epoch == 2
    assert said == []


def test_a_failure_releases_the_run(desk: Desk):
    with pytest.raises(ZeroDivisionError), desk.begin():
        raise ZeroDivisionError
    engine = sa.create_engine(desk.url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        assert connection.execute(sa.select(leases.c.holder)).scalar() is None


def test_a_run_that_its_own_process_holds_is_taken_over_at_once(desk: Desk):
    first, said = desk.begin(), []
    assert desk.begin(waiting=said.append).epoch == 2
    assert said == []
    with pytest.raises(LedgerError, match="taken this run over"):
        first.require_held()


def test_a_heartbeat_renews_the_lease_until_it_is_released(desk: Desk):
    def until() -> str | None:
        engine = sa.create_engine(desk.url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            return connection.execute(sa.select(leases.c.lease_until)).scalar()

    with desk.begin(lease=0.3):
        first = until()
        renewed = wait_for(lambda: until() != first)
    assert renewed
    assert until() is None


def test_a_heartbeat_ends_with_its_account(desk: Desk):
    account = desk.begin(lease=0.1)
    assert beating()
    del account
    assert wait_for(lambda: not beating())


def test_a_heartbeat_that_finds_the_run_taken_over_marks_the_account(desk: Desk):
    account = desk.begin(lease=0.1)
    desk.begin()
    assert wait_for(lambda: account._heartbeat.lost.is_set())
    with pytest.raises(LedgerError, match="taken this run over"):
        account.find(0)


@contextmanager
def outside_of_transactions(desk: Desk):
    """No other process is within a transaction of a SQLite ledger, where a stopped one would hold the file's lock."""
    if not desk.url.startswith("sqlite"):
        yield
        return
    with closing(sqlite3.connect(desk.file, timeout=60, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def test_a_stopped_driver_its_successor_and_the_driver_woken_draw_once(desk: Desk, drivers):
    stopped = Driver(desk, 1.0)
    drivers.append(stopped)
    stopped.hears("begun 1", "counting")
    with outside_of_transactions(desk):
        stopped.process.send_signal(signal.SIGSTOP)
    second = Driver(desk, 1.0, "fast")
    drivers.append(second)
    second.hears("begun 2", "counting")
    code, answer, _ = second.goes_on()
    assert code == 0
    stopped.process.send_signal(signal.SIGCONT)
    code, said, errors = stopped.goes_on()
    assert code != 0
    assert "taken this run over" in errors
    assert "answer" not in said
    (query,) = desk.ledger.history(DATASET)[0].queries
    assert (query.state, query.answer_epoch) == ("answered", 2)
    assert len(desk.files("answers")) == 1
    assert desk.spent() == BUDGET.rho
    (measured,) = desk.curator().measure("q", [("a", "b")], rho=SHARE)
    assert answer.split()[1:] == [str(n) for n in measured.noisy.ravel()]


def test_a_retry_after_a_kill_does_not_wait(desk: Desk, drivers):
    killed = Driver(desk, 3600)
    drivers.append(killed)
    killed.hears("begun 1", "counting")
    killed.process.send_signal(signal.SIGKILL)
    killed.process.wait()
    retry = Driver(desk, 3600, "fast")
    drivers.append(retry)
    retry.hears("begun 2", "counting")
    assert retry.goes_on()[0] == 0


def test_two_drivers_of_one_key_draw_once_and_the_second_uses_the_answer(desk: Desk, drivers):
    first = Driver(desk, 60)
    drivers.append(first)
    first.hears("begun 1", "counting")
    second = Driver(desk, 60, "fast")
    drivers.append(second)
    second.hears("waiting")
    code, said, _ = first.goes_on()
    assert code == 0
    second.hears("begun 2")
    assert second.goes_on()[1].strip() == said.strip()


def test_a_process_is_dead_only_where_that_is_known():
    mine = json.loads(this_process())
    assert not is_dead(this_process())
    assert is_dead(json.dumps(mine | {"start": "1"}))
    assert not is_dead(json.dumps(mine | {"start": "1", "boot": "another"}))
    assert not is_dead(json.dumps(mine | {"start": "1", "namespace": "another"}))
    assert not is_dead(json.dumps(mine | {"start": None}))
    assert not is_dead("no process")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    waits_to_be_reaped = json.dumps(mine | {"pid": ended.pid, "start": "2"})
    assert is_dead(waits_to_be_reaped)
    ended.wait()
    assert is_dead(waits_to_be_reaped)


@pytest.mark.parametrize("given", ["soon", "0", "-1", "inf", "nan", "1e9", ""])
def test_a_lease_is_a_number_of_seconds(monkeypatch, given):
    monkeypatch.setenv("SPARK_DP_LEASE_SECONDS", given)
    with pytest.raises(ConfigurationError, match="SPARK_DP_LEASE_SECONDS"):
        lease_seconds()


def test_the_environment_says_how_long_a_lease_is(monkeypatch):
    assert lease_seconds() == 60
    monkeypatch.setenv("SPARK_DP_LEASE_SECONDS", "5")
    assert lease_seconds() == 5
    assert lease_seconds(2) == 2


def beating() -> bool:
    return any(thread.name == "spark-dp lease" for thread in threading.enumerate())


def wait_for(holds) -> bool:
    for _ in range(600):
        if holds():
            return True
        time.sleep(0.05)
    return False
