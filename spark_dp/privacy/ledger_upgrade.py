"""From a ledger of version 1 to one of version 2, in one transaction.

Version 1 had no chain: what it says when it is upgraded is what the chain begins with, in one `imported` entry an
account. Nothing is charged, given back or drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final

import sqlalchemy as sa

from spark_dp.errors import LedgerError
from spark_dp.privacy.account_rules import rho_of
from spark_dp.privacy.budget import RhoFilter
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.events import parse_fraction
from spark_dp.privacy.leases import write_lease
from spark_dp.privacy.ledger_chain import Change, Deed, What, record
from spark_dp.privacy.ledger_database import NOTHING, guarded, lock_ledger, open_tables
from spark_dp.privacy.ledger_replay import verify
from spark_dp.privacy.ledger_schema import VERSION, accounts, meta, metadata, queries, runs
from spark_dp.privacy.query_record import read_query

_TABLES: Final = ("spark_dp_queries", "spark_dp_runs", "spark_dp_accounts")
"""Of version 1, those that refer to others first."""

Row = Mapping[str, Any]


def upgrade(url: str) -> tuple[str, ...]:
    """Upgrades a ledger of version 1. It is as it was until all of it is upgraded.

    Args:
        url: a SQLAlchemy URL of SQLite or PostgreSQL, or env:NAME.

    Returns:
        The accounts.

    Raises:
        LedgerError: it is of another version, or contradicts itself.
    """
    engine = open_tables(url, version="1")
    with guarded(), engine.begin() as connection:
        lock_ledger(connection)
        _require_first(connection)
        _lock_rows(connection)
        old_queries, old_runs, old_accounts = (_rows(connection, name) for name in _TABLES)
        _require_sound(old_accounts, old_runs, old_queries)
        for name in _TABLES:
            connection.execute(sa.text(f"DROP TABLE {name}"))
        metadata.create_all(connection)
        for account in old_accounts:
            _import(connection, account, old_runs, old_queries)
        connection.execute(meta.update().where(meta.c.name == "version").values(value=VERSION))
    return tuple(account["dataset"] for account in old_accounts)


def _require_first(connection: sa.Connection) -> None:
    """Refuses the second of two upgrades at once: the first has the lock, and has done it by now."""
    if connection.scalar(sa.select(meta.c.value).where(meta.c.name == "version")) != "1":
        raise LedgerError(
            f"The ledger was upgraded meanwhile, by another process. {NOTHING} It is ready for use."
        )


def _lock_rows(connection: sa.Connection) -> None:
    """Waits for drivers of version 1 that are in the middle of a transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text(f"LOCK TABLE {', '.join(reversed(_TABLES))} IN ACCESS EXCLUSIVE MODE"))


def _rows(connection: sa.Connection, name: str) -> list[Row]:
    order = {"spark_dp_queries": "run, ordinal", "spark_dp_runs": "id", "spark_dp_accounts": "dataset"}[name]
    found = connection.execute(sa.text(f"SELECT * FROM {name} ORDER BY {order}")).mappings()
    return [dict(row) for row in found]


def _require_sound(old_accounts: list[Row], old_runs: list[Row], old_queries: list[Row]) -> None:
    """Refuses what version 1 itself would have refused.

    Raises:
        LedgerError: an account, a run or a query contradicts itself, or more was spent than there was.
    """
    for account in old_accounts:
        mine = [run for run in old_runs if run["dataset"] == account["dataset"]]
        spent = sum((parse_fraction(r["rho"]) for r in mine if r["status"] != "voided"), Fraction(0))
        if spent > rho_of({**account, "releases": None}):
            raise LedgerError(
                f"Account {account['dataset']!r} has spent more than it has: it was altered. {NOTHING} Restore "
                "the ledger from a copy."
            )
        for run in mine:
            charged = RhoFilter(parse_fraction(run["rho"]), Accounting.ZCDP)
            for query in (q for q in old_queries if q["run"] == run["id"]):
                record_of = read_query(query)
                charged.charge(record_of.name, record_of.event)


def _import(connection: sa.Connection, account: Row, old_runs: list[Row], old_queries: list[Row]) -> None:
    dataset = account["dataset"]
    mine = [run for run in old_runs if run["dataset"] == dataset]
    changes = [Change(table=accounts, deed=Deed.INSERT, row={**account, "releases": None})]
    for run in mine:
        row = {name: value for name, value in run.items() if name != "id"}
        changes.append(Change(table=runs, deed=Deed.INSERT, row=row))
        changes.extend(
            Change(table=queries, deed=Deed.INSERT, row=_query(dataset, run["key"], query))
            for query in old_queries
            if query["run"] == run["id"]
        )
    record(connection, dataset, What.IMPORTED, changes)
    for run in mine:
        write_lease(connection, dataset, run["key"], run["epoch"], None)
    verify(connection, dataset)


def _query(dataset: str, key: str, query: Row) -> Row:
    return {"dataset": dataset, "key": key} | {k: v for k, v in query.items() if k != "run"}
