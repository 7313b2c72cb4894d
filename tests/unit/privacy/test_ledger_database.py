from __future__ import annotations

import logging
import os
import sqlite3
import stat
import traceback

import pytest
import sqlalchemy as sa
from desk import BUDGET, DATASET, Desk
from support.postgres import PASSWORD, PostgresServer

from spark_dp.errors import LedgerError, TransientError
from spark_dp.privacy.ledger import Ledger, open_account
from spark_dp.privacy.ledger_schema import metadata
from spark_dp.privacy.sensitivity import Neighbours

SHARE = BUDGET.rho / 2


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_a_ledgers_file_and_journal_are_for_its_owner_alone(tmp_path, mask):
    before = os.umask(mask)
    try:
        desk = Desk(tmp_path)
        connection = sqlite3.connect(desk.file, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE spark_dp_ledger SET value = 'x'")
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
        connection.execute("ROLLBACK")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("UPDATE spark_dp_ledger SET value = 'x'")
        modes |= {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
        connection.close()
    finally:
        os.umask(before)
    assert set(modes) == {"ledger.db", "ledger.db-journal", "ledger.db-wal", "ledger.db-shm"}
    assert set(modes.values()) == {0o600}


@pytest.mark.platform
def test_a_database_killed_midway_is_transient_and_the_key_resumes(tmp_path):
    server = PostgresServer()
    try:
        desk = Desk(tmp_path, server.new_database())

        class Killing(type(desk.table)):
            def count(self, cliques):
                counted = super().count(cliques)
                server.stop("immediate")
                return counted

        with pytest.raises(TransientError) as caught:
            desk.curator(source=Killing(desk.table.joint)).measure("q", [("a", "b")], rho=SHARE)
        assert (caught.value.exit_code, caught.value.retriable) == (75, True)
        assert_tells_no_password(caught.value)
        with pytest.raises(TransientError):
            desk.begin()
        server.start()
        (measured,) = desk.curator().measure("q", [("a", "b")], rho=SHARE)
        assert measured.noisy.size == 6
        assert [query.state for query in desk.ledger.history(DATASET)[0].queries] == ["answered"]
        assert desk.spent() == BUDGET.rho
    finally:
        server.remove()


def assert_tells_no_password(error: BaseException, *secrets: str) -> None:
    told = "".join(traceback.format_exception(error))
    seen: BaseException | None = error
    while seen is not None:
        told += repr(seen) + str(seen)
        seen = seen.__context__
    for secret in (PASSWORD, *secrets):
        assert secret not in told


@pytest.mark.platform
def test_the_password_is_in_no_repr_error_log_or_row(tmp_path, postgres: PostgresServer, caplog):
    caplog.set_level(logging.DEBUG)
    url = postgres.new_database()
    desk = Desk(tmp_path, url)
    account = desk.begin(place="/data/a")
    desk.curator(account=account).measure("q", [("a",)], rho=SHARE)
    account.complete()
    shown = repr((desk.ledger, account, desk.ledger.show(DATASET), desk.ledger.history(DATASET)))
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        for table in metadata.tables.values():
            shown += repr(connection.execute(sa.select(table)).all())
    for file in tmp_path.rglob("*"):
        shown += file.read_bytes().decode("latin-1") if file.is_file() else ""
    assert "opened" in shown
    assert PASSWORD not in shown + caplog.text


@pytest.mark.platform
@pytest.mark.parametrize("change", ["password", "database", "port"])
def test_a_database_that_refuses_is_transient_and_shows_no_password(postgres: PostgresServer, change, caplog):
    caplog.set_level(logging.DEBUG)
    wrong = "wrong-canary-pa55word"
    url = {
        "password": postgres.url("postgres", password=wrong),
        "database": postgres.url("nowhere"),
        "port": postgres.url("postgres").replace(str(postgres.port), "1"),
    }[change]
    for ask in (
        lambda: Ledger.connect(url),
        lambda: open_account(url, "x", 1.0, 1e-6, "row", Neighbours.ADD_REMOVE),
    ):
        with pytest.raises(TransientError) as caught:
            ask()
        assert_tells_no_password(caught.value, wrong)
    assert wrong not in caplog.text
    assert PASSWORD not in caplog.text


@pytest.mark.platform
def test_a_url_without_a_driver_means_psycopg(postgres: PostgresServer):
    url = postgres.new_database().replace("postgresql+psycopg://", "postgresql://")
    assert open_account(url, "x", 1.0, 1e-6, "row", Neighbours.ADD_REMOVE).status == "open"


def test_a_second_row_about_the_ledger_itself_is_refused(desk: Desk):
    desk.alter("INSERT INTO spark_dp_ledger VALUES ('more', 'x')")
    with pytest.raises(LedgerError, match="altered"):
        Ledger.connect(desk.url)
