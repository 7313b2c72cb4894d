from __future__ import annotations

import contextlib
import json
import shutil
from dataclasses import replace

import pytest
import sqlalchemy as sa
from desk import BUDGET, DATASET, Desk

from spark_dp.errors import LedgerError
from spark_dp.privacy.leases import seal_of
from spark_dp.privacy.ledger import open_account
from spark_dp.privacy.ledger_schema import entries, key_of, metadata
from spark_dp.privacy.sensitivity import Neighbours

ON_BOTH_DATABASES = True
TABLES = list(metadata.tables.values())
OTHER = {"open": "closed", "closed": "open", "running": "complete", "complete": "voided", "voided": "running"}
OTHER |= {"answered": "reserved", "reserved": "answered"}


@pytest.fixture
def used(desk: Desk) -> Desk:
    """An account that has gone through everything."""
    desk.ledger.bind(DATASET, "/data/flights")
    with desk.begin("voided") as account:
        account.void_if_unanswered()
    with desk.begin("first") as account:
        desk.curator("first", account=account).measure("q", [("a",)], rho=BUDGET.rho / 2)
        account.complete()
    with desk.begin("second") as account:
        desk.curator("second", account=account).measure("q", [("b",)], rho=BUDGET.rho / 2)
    with desk.begin("second"):
        pass
    return desk


def rows(desk: Desk, table: sa.Table) -> list[dict]:
    engine = sa.create_engine(desk.url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        ordered = sa.select(table).order_by(*table.primary_key.columns)
        return [dict(row) for row in connection.execute(ordered).mappings()]


@contextlib.contextmanager
def tampered(desk: Desk, *statements: sa.Executable):
    """Changes the database behind the ledger's back, and puts everything back afterwards."""
    before = {table: rows(desk, table) for table in TABLES}
    engine = sa.create_engine(desk.url, poolclass=sa.NullPool)

    def run(*said: sa.Executable) -> None:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql("SET session_replication_role = replica")
            for statement in said:
                assert connection.execute(statement).rowcount != 0

    run(*statements)
    yield
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SET session_replication_role = replica")
        for table, stored in before.items():
            connection.execute(table.delete())
            if stored:
                connection.execute(table.insert(), stored)


def asks(desk: Desk):
    yield "begin", lambda: desk.begin("third")
    yield "show", lambda: desk.ledger.show(DATASET)
    yield "history", lambda: desk.ledger.history(DATASET)
    yield "close", lambda: desk.ledger.close_account(DATASET)
    yield (
        "affordable",
        lambda: desk.ledger.require_affordable(DATASET, "x", BUDGET, "tailnum", Neighbours.ADD_REMOVE),
    )


def assert_noticed(desk: Desk, what: str) -> None:
    for name, ask in asks(desk):
        with pytest.raises(LedgerError) as caught:
            ask()
            pytest.fail(f"{name} did not notice: {what}")
        assert "Restore" in caught.value.message or "release that wrote it" in caught.value.message, what


def of(table: sa.Table, row: dict) -> sa.ColumnElement[bool]:
    return sa.and_(*[table.c[name] == row[name] for name in key_of(table)])


def another(value: object, column: sa.Column) -> object:
    if isinstance(value, bool):
        return not value
    if value is None:
        return 7 if isinstance(column.type, sa.Integer) else "7"
    if isinstance(value, int):
        return value + 1000
    if isinstance(value, float):
        return value * 1.0000001
    return OTHER.get(str(value), f"{value} ")


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.name)
def test_every_altered_column_of_every_row_is_noticed(used: Desk, table):
    stored = rows(used, table)
    assert stored
    for row in stored if table is not entries else stored[::4]:
        for column in table.columns:
            changed = table.update().where(of(table, row)).values({column: another(row[column.name], column)})
            with tampered(used, changed):
                assert_noticed(used, f"{table.name}.{column.name} of {row}")
    used.begin("third")


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.name)
def test_every_missing_row_is_noticed(used: Desk, table):
    for row in rows(used, table):
        with tampered(used, table.delete().where(of(table, row))):
            assert_noticed(used, f"{table.name}: {row}")
    used.begin("third")


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.name)
def test_every_added_row_is_noticed(used: Desk, table):
    last = key_of(table)[-1]
    row = rows(used, table)[-1]
    row |= {last: another(row[last], table.c[last])} | ({"run_id": "x"} if "run_id" in row else {})
    with tampered(used, table.insert().values(row)):
        if table.name != "spark_dp_accounts":
            assert_noticed(used, table.name)
        else:
            with pytest.raises(LedgerError, match="chain is missing"):
                used.ledger.show(row["dataset"])


def test_a_last_entry_that_is_missing_with_its_change_undone_is_noticed_by_who_saw_it(used: Desk):
    seen = used.ledger.show(DATASET).head
    last = rows(used, entries)[-1]
    assert last["seq"] == seen.seq
    (change,) = json.loads(last["facts"])["changes"]
    runs = metadata.tables["spark_dp_runs"]
    leases = metadata.tables["spark_dp_leases"]
    lease = next(r for r in rows(used, leases) if r["key"] == "second")
    lease["epoch"] = change["row"]["epoch"] - 1
    undone = [
        entries.delete().where(of(entries, last)),
        runs.update().where(runs.c.key == "second").values(epoch=lease["epoch"]),
        leases.update().where(leases.c.key == "second").values({**lease, "seal": seal_of(lease)}),
    ]
    with tampered(used, *undone):
        used.ledger.show(DATASET)  # the copy as a whole is sound
        with pytest.raises(LedgerError, match="older copy"):
            used.begin("third", seen_head=seen)
    used.begin("third", seen_head=seen)


def test_a_head_of_another_chain_is_refused(used: Desk):
    seen = used.ledger.show(DATASET).head
    with pytest.raises(LedgerError, match="older copy of the ledger, or another"):
        used.begin("third", seen_head=replace(seen, digest="0" * 64))
    assert {run.key for run in used.ledger.history(DATASET)} == {"voided", "first", "second"}


def test_a_driver_notices_that_the_ledger_was_restored_under_it(tmp_path):
    desk = Desk(tmp_path)
    account = desk.begin()
    shutil.copy(desk.file, tmp_path / "copy")
    curator = desk.curator(account=account)
    curator.measure("q", [("a",)], rho=BUDGET.rho / 2)
    shutil.copy(tmp_path / "copy", desk.file)
    with pytest.raises(LedgerError, match="older copy"):
        curator.measure("r", [("b",)], rho=BUDGET.rho / 4)


def test_the_chain_says_what_happened(used: Desk):
    used.ledger.close_account(DATASET)
    used.ledger.close_account(DATASET)
    said = (
        "opened bound begun voided begun reserved answered completed begun reserved answered resumed closed"
    )
    assert [row["what"] for row in rows(used, entries)] == said.split()


def test_an_account_that_lost_its_row_is_not_opened_anew(used: Desk):
    with (
        tampered(used, metadata.tables["spark_dp_accounts"].delete()),
        pytest.raises(LedgerError, match="altered"),
    ):
        open_account(used.url, DATASET, 1.0, 1e-6, "tailnum", Neighbours.ADD_REMOVE)


def test_accounts_have_chains_of_their_own(used: Desk):
    used.open("other", 1.0)
    before = used.ledger.show(DATASET).head
    used.begin("k", dataset="other")
    assert used.ledger.show(DATASET).head == before
    assert used.ledger.show("other").head.seq == 2
