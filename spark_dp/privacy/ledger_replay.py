"""Whether an account is what its chain says: the check before anything is decided on it.

What is noticed: an entry, a row or a value that was altered, added or taken away, in any table, by anyone who did not
also compute the chain anew from there on. What is not: a whole chain written anew with rows to match, and an older
copy of the ledger as a whole. Against the latter a `Head` that was kept elsewhere is compared (`require_entry`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import sqlalchemy as sa

from spark_dp.errors import LedgerError, nearest
from spark_dp.privacy.leases import seal_of
from spark_dp.privacy.ledger_chain import ORIGIN, Deed, Head, digest_of_entry
from spark_dp.privacy.ledger_database import NOTHING, RESTORE
from spark_dp.privacy.ledger_schema import CHAINED, accounts, entries, key_of, leases, runs

Row = dict[str, Any]
Rows = dict[tuple[Any, ...], Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """An account that is what its chain says.

    Attributes:
        head: the last entry.
        rows: of each chained table, by key, in the order in which they came to be.
    """

    head: Head
    rows: Mapping[str, Rows]

    def of(self, table: sa.Table) -> list[Row]:
        return list(self.rows[table.name].values())


def verify(connection: sa.Connection, dataset: str) -> Verified:
    """Replays an account's chain and compares every row with it. The caller holds the account's lock.

    Raises:
        LedgerError: they differ; says where.
    """
    head, rows = _replay(connection, dataset)
    for table in CHAINED:
        found = _stored(connection, table, dataset)
        _compare(dataset, table, found, rows[table.name])
    _verify_leases(connection, dataset, rows[runs.name])
    return Verified(head=head, rows=rows)


def _replay(connection: sa.Connection, dataset: str) -> tuple[Head, dict[str, Rows]]:
    rows: dict[str, Rows] = {table.name: {} for table in CHAINED}
    tables = {table.name: table for table in CHAINED}
    head = Head(seq=0, digest=ORIGIN)
    stored = connection.execute(
        sa.select(entries).where(entries.c.dataset == dataset).order_by(entries.c.seq)
    ).all()
    for entry in stored:
        seq = head.seq + 1
        if entry.seq != seq:
            _refuse(dataset, f"entry {seq} of its chain is missing")
        if entry.previous != head.digest:
            _refuse(dataset, f"entry {seq} of its chain does not follow the one before it")
        if entry.digest != digest_of_entry(dataset, seq, entry.what, entry.facts, entry.previous):
            _refuse(dataset, f"entry {seq} of its chain is not what its digest says")
        try:
            for change in json.loads(entry.facts)["changes"]:
                _follow(rows[change["table"]], tables[change["table"]], change)
        except (ValueError, KeyError, TypeError):
            _refuse(dataset, f"entry {seq} of its chain cannot be followed")
        head = Head(seq=seq, digest=entry.digest)
    if not stored:
        _refuse(dataset, "its chain is missing")
    return head, rows


def _follow(rows: Rows, table: sa.Table, change: Mapping[str, Any]) -> None:
    """Does to the replayed rows what an entry says.

    Raises:
        KeyError, ValueError: it cannot be done.
    """
    deed, row = Deed(change["deed"]), change["row"]
    if deed is Deed.DELETE:
        for key in [k for k, known in rows.items() if all(known[c] == v for c, v in row.items())]:
            del rows[key]
        return
    key = tuple(row[name] for name in key_of(table))
    if deed is Deed.INSERT:
        if key in rows or set(row) != set(table.c.keys()):
            raise ValueError
        rows[key] = dict(row)
    else:
        rows[key].update(row)


def _stored(connection: sa.Connection, table: sa.Table, dataset: str) -> Rows:
    found = connection.execute(sa.select(table).where(table.c.dataset == dataset)).mappings()
    return {tuple(row[name] for name in key_of(table)): dict(row) for row in found}


def _compare(dataset: str, table: sa.Table, found: Rows, expected: Rows) -> None:
    for key in expected.keys() - found.keys():
        _refuse(dataset, f"{_row(table, key)} is missing")
    for key in found.keys() - expected.keys():
        _refuse(dataset, f"{_row(table, key)} was added")
    for key, row in expected.items():
        differing = [name for name in row if row[name] != found[key][name]]
        if differing:
            _refuse(dataset, f"{_row(table, key)} has another {', '.join(differing)}")


def _verify_leases(connection: sa.Connection, dataset: str, begun: Rows) -> None:
    """A lease is renewed too often for the chain: it is sealed by itself, and belongs to a run and its epoch."""
    found = _stored(connection, leases, dataset)
    _compare(dataset, leases, {key: {} for key in found}, {key: {} for key in begun})
    for key, lease in found.items():
        if lease["epoch"] != begun[key]["epoch"]:
            _refuse(dataset, f"{_row(leases, key)} has another epoch")
        if lease["seal"] != seal_of(lease):
            _refuse(dataset, f"{_row(leases, key)} is not what its seal says")


def _row(table: sa.Table, key: tuple[Any, ...]) -> str:
    return f"row {'/'.join(map(str, key))} of {table.name}"


def _refuse(dataset: str, what: str) -> NoReturn:
    raise LedgerError(
        f"Account {dataset!r} in the ledger was altered: {what}. {NOTHING} {RESTORE} What such a copy has forgotten "
        "was spent all the same."
    )


def verified_account(connection: sa.Connection, dataset: str) -> tuple[Row, Verified]:
    """Locks an account, and returns its row and all that its chain says.

    Raises:
        LedgerError: no such account, or it was altered.
    """
    locked = sa.select(accounts.c.dataset).where(accounts.c.dataset == dataset).with_for_update()
    if connection.execute(locked).first() is None:
        require_no_chain(connection, dataset)
        known = sorted(connection.scalars(sa.select(accounts.c.dataset)))
        raise LedgerError(
            f"The ledger has no account {dataset!r}; it has {known or 'none'}.{nearest(dataset, known)} "
            f"{NOTHING} Open it with `spark-dp ledger open {dataset}`, or correct privacy.dataset.",
            field="privacy.dataset",
        )
    verified = verify(connection, dataset)
    return verified.rows[accounts.name][(dataset,)], verified


def require_no_chain(connection: sa.Connection, dataset: str) -> None:
    if connection.execute(sa.select(entries.c.seq).where(entries.c.dataset == dataset)).first() is not None:
        raise LedgerError(
            f"Account {dataset!r} in the ledger was altered: it has a chain, and its row of {accounts.name} is "
            f"missing. {NOTHING} {RESTORE}"
        )
