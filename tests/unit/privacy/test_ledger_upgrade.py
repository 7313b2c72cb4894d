from __future__ import annotations

import json
import threading

import numpy as np
import pytest
import sqlalchemy as sa
from desk import BUDGET, DATASET, Desk

from spark_dp.errors import LedgerError
from spark_dp.privacy.ledger import Ledger, open_account
from spark_dp.privacy.ledger_schema import entries, queries, runs
from spark_dp.privacy.ledger_upgrade import upgrade
from spark_dp.privacy.sensitivity import Neighbours

ON_BOTH_DATABASES = True
SHARE = BUDGET.rho / 2

VERSION_1 = """
CREATE TABLE spark_dp_ledger (name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (name));
CREATE TABLE spark_dp_accounts (dataset TEXT NOT NULL, unit TEXT NOT NULL, neighbours TEXT NOT NULL,
    epsilon DOUBLE PRECISION NOT NULL, delta DOUBLE PRECISION NOT NULL, rho TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('open', 'closed')), opened_at TEXT NOT NULL, PRIMARY KEY (dataset));
CREATE TABLE spark_dp_runs (id INTEGER NOT NULL, dataset TEXT NOT NULL, key TEXT NOT NULL, run_id TEXT NOT NULL,
    measure_digest TEXT NOT NULL, epsilon DOUBLE PRECISION NOT NULL, delta DOUBLE PRECISION NOT NULL,
    rho TEXT NOT NULL, status TEXT NOT NULL CHECK (status IN ('running', 'complete', 'voided')),
    epoch INTEGER NOT NULL, created_at TEXT NOT NULL, PRIMARY KEY (id), UNIQUE (dataset, key),
    FOREIGN KEY(dataset) REFERENCES spark_dp_accounts (dataset), UNIQUE (run_id));
CREATE TABLE spark_dp_queries (run INTEGER NOT NULL, ordinal INTEGER NOT NULL, name TEXT NOT NULL,
    kind TEXT NOT NULL, spec_digest TEXT NOT NULL, event TEXT NOT NULL, rho TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('reserved', 'answered')), answer_digest TEXT, answer_epoch INTEGER,
    reserved_at TEXT NOT NULL, answered_at TEXT, PRIMARY KEY (run, ordinal),
    FOREIGN KEY(run) REFERENCES spark_dp_runs (id));
"""
ACCOUNT = ("dataset", "unit", "neighbours", "epsilon", "delta", "rho", "status", "opened_at")
RUN = (
    "dataset",
    "key",
    "run_id",
    "measure_digest",
    "epsilon",
    "delta",
    "rho",
    "status",
    "epoch",
    "created_at",
)
QUERY = tuple(column.name for column in queries.columns if column.name not in ("dataset", "key"))


@pytest.fixture
def old(tmp_path, database) -> Desk:
    """A ledger as version 1 wrote it, of the same history as one of today."""
    new = Desk(tmp_path)
    new.open("other", 1.0)
    new.curator("first").measure("q", [("a", "b")], rho=SHARE)
    with new.begin("voided") as account:
        account.void_if_unanswered()
    new.begin("second")
    sqlite = sa.create_engine(new.url, poolclass=sa.NullPool)
    with sqlite.connect() as connection:
        accounts = [
            dict(r) for r in connection.execute(sa.text("SELECT * FROM spark_dp_accounts")).mappings()
        ]
        begun = [dict(r) for r in connection.execute(sa.select(runs)).mappings()]
        asked = [dict(r) for r in connection.execute(sa.select(queries)).mappings()]
    new.file.unlink()
    engine = sa.create_engine(database, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for statement in VERSION_1.strip().rstrip(";").split(";\n"):
            connection.exec_driver_sql(statement)
        write(connection, "spark_dp_ledger", {"name": "version", "value": "1"})
        for row in accounts:
            write(connection, "spark_dp_accounts", {name: row[name] for name in ACCOUNT})
        ids = {row["key"]: number for number, row in enumerate(begun, start=5)}
        for row in begun:
            write(connection, "spark_dp_runs", {"id": ids[row["key"]]} | {name: row[name] for name in RUN})
        for row in asked:
            event = json.dumps(json.loads(row["event"]), sort_keys=True)
            columns = {name: row[name] for name in QUERY} | {"run": ids[row["key"]], "event": event}
            write(connection, "spark_dp_queries", columns)
    new.url = database
    return new


def write(connection: sa.Connection, table: str, row: dict) -> None:
    names = ", ".join(row)
    connection.execute(sa.text(f"INSERT INTO {table} ({names}) VALUES (:{', :'.join(row)})"), row)


def test_a_ledger_of_version_1_says_how_it_is_upgraded(old: Desk):
    for ask in (
        lambda: Ledger.connect(old.url),
        lambda: open_account(old.url, "x", 1.0, 1e-6, "row", Neighbours.ADD_REMOVE),
    ):
        with pytest.raises(LedgerError, match="spark-dp ledger upgrade --ledger URL"):
            ask()


def test_an_upgrade_keeps_all_that_was_spent_and_answered(old: Desk):
    assert upgrade(old.url) == ("flights", "other")
    assert old.spent() == 2 * BUDGET.rho
    assert [(run.key, run.status) for run in old.ledger.history(DATASET)] == [
        ("first", "running"),
        ("voided", "voided"),
        ("second", "running"),
    ]
    assert old.ledger.show(DATASET).head.seq == 1
    engine = sa.create_engine(old.url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        assert connection.scalars(sa.select(entries.c.what)).all() == ["imported", "imported"]


def test_an_upgraded_run_is_resumed_and_not_drawn_again(old: Desk):
    upgrade(old.url)
    (measured,) = old.curator("first").measure("q", [("a", "b")], rho=SHARE)
    with np.load(old.files("answers", "first")[0]) as archive:
        assert measured.noisy.ravel().tolist() == archive["array_0"].ravel().tolist()
    assert old.table.asked == [(("a", "b"),)]
    old.begin("voided")
    assert old.spent() == 3 * BUDGET.rho


def test_an_upgraded_ledger_is_chained(old: Desk):
    upgrade(old.url)
    old.alter("UPDATE spark_dp_runs SET rho = '1/1000'")
    with pytest.raises(LedgerError, match="altered"):
        old.ledger.show(DATASET)


def test_an_upgrade_is_done_once(old: Desk):
    upgrade(old.url)
    with pytest.raises(LedgerError, match="version '2'"):
        upgrade(old.url)
    old.ledger.show(DATASET)


def test_two_upgrades_at_once_are_one(old: Desk):
    ended = []

    def run() -> None:
        try:
            ended.append(upgrade(old.url))
        except LedgerError:
            ended.append(None)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ended, key=str) == [("flights", "other"), None]
    assert old.spent() == 2 * BUDGET.rho


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE spark_dp_accounts SET rho = '1000'",
        "UPDATE spark_dp_runs SET rho = '1000' WHERE key = 'first'",
        "UPDATE spark_dp_queries SET rho = '1/7'",
        "UPDATE spark_dp_runs SET rho = '1/1000000000' WHERE key = 'first'",
    ],
)
def test_a_ledger_that_contradicts_itself_is_left_as_it_was(old: Desk, statement):
    old.alter(statement)
    with pytest.raises(Exception, match=r"altered|is left"):
        upgrade(old.url)
    with pytest.raises(LedgerError, match="version '1'"):
        Ledger.connect(old.url)


def test_a_new_ledger_that_says_it_is_old_is_refused(desk: Desk):
    desk.alter("UPDATE spark_dp_ledger SET value = '1'")
    for ask in (Ledger.connect, upgrade):
        with pytest.raises(LedgerError, match="altered"):
            ask(desk.url)
