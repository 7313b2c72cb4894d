"""The account's chain: every change, in order, each entry sealed with the digest of the one before it.

A change of a row and its entry are one call, in one transaction, under the account's lock: no row changes without an
entry, and the rows of an account are at all times what a replay of its chain gives (`ledger_replay`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from spark_dp.errors import LedgerError
from spark_dp.privacy.ledger_database import NOTHING
from spark_dp.privacy.ledger_schema import entries, key_of

ORIGIN: Final = "0" * 64
"""What the first entry has as the digest before it."""


class What(StrEnum):
    """What an entry says happened."""

    OPENED = "opened"
    IMPORTED = "imported"
    BOUND = "bound"
    BEGUN = "begun"
    RESUMED = "resumed"
    RESERVED = "reserved"
    ANSWERED = "answered"
    COMPLETED = "completed"
    VOIDED = "voided"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """An entry of a chain that was seen: a later ledger that has not got it is an older copy, or another ledger.

    Attributes:
        seq: of the entry, from 1.
        digest: of it, and so of all before it.
    """

    seq: int
    digest: str

    def to_json(self) -> dict[str, Any]:
        return {"seq": self.seq, "digest": self.digest}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Head:
        """Reads what `to_json` wrote.

        Raises:
            LedgerError: it is something else.
        """
        match dict(facts):
            case {"seq": int(seq), "digest": str(digest)} if seq > 0:
                return cls(seq=seq, digest=digest)
        raise LedgerError(f"A mark of the ledger was altered. {NOTHING} Restore it from a copy.")


class Deed(StrEnum):
    """What becomes of a row."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of one row; a deletion is of all rows that match.

    Attributes:
        table: of `ledger_schema.CHAINED`.
        deed: what becomes of it.
        row: the key and the columns that are set; all columns of a new row.
        expected: an update's condition, beside the key: compare-and-swap.
    """

    table: sa.Table
    deed: Deed
    row: Mapping[str, Any]
    expected: Mapping[str, Any] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        return {"table": self.table.name, "deed": self.deed.value, "row": dict(self.row)}


class NotSwappedError(Exception):
    """An update found its row otherwise than expected. The transaction has to be given up."""


def record(connection: sa.Connection, dataset: str, what: What, changes: Sequence[Change]) -> Head:
    """Makes changes and appends their entry. The caller holds the account's lock.

    Raises:
        NotSwappedError: a row is not as expected.
    """
    for change in changes:
        _apply(connection, change)
    last = connection.execute(
        sa.select(entries.c.seq, entries.c.digest)
        .where(entries.c.dataset == dataset)
        .order_by(entries.c.seq.desc())
        .limit(1)
    ).first()
    seq, previous = (1, ORIGIN) if last is None else (last.seq + 1, last.digest)
    facts = canonical({"at": now(), "changes": [change.facts() for change in changes]})
    digest = digest_of_entry(dataset, seq, what, facts, previous)
    connection.execute(
        entries.insert().values(
            dataset=dataset, seq=seq, what=what.value, facts=facts, previous=previous, digest=digest
        )
    )
    return Head(seq=seq, digest=digest)


def has_entry(connection: sa.Connection, dataset: str, head: Head) -> bool:
    """Says whether the chain has an entry that was seen before."""
    found = connection.scalar(
        sa.select(entries.c.digest).where(entries.c.dataset == dataset, entries.c.seq == head.seq)
    )
    return bool(found == head.digest)


def require_entry(connection: sa.Connection, dataset: str, head: Head | None) -> None:
    """Refuses a ledger that lacks an entry that was seen before.

    Raises:
        LedgerError: it does.
    """
    if head is not None and not has_entry(connection, dataset, head):
        raise LedgerError(
            f"The ledger's account {dataset!r} lacks entry {head.seq} of its chain, which was seen before: this is "
            f"an older copy of the ledger, or another ledger, and it would spend again what was spent. {NOTHING} "
            "Restore the newest copy, or correct privacy.ledger (docs/ledger.md says how, also where there is no "
            "newer one)."
        )


def digest_of_entry(dataset: str, seq: int, what: str, facts: str, previous: str) -> str:
    """Returns the SHA-256 of all that an entry holds, in hexadecimal."""
    return hashlib.sha256(canonical([dataset, seq, str(what), facts, previous]).encode()).hexdigest()


def canonical(value: object) -> str:
    """Returns the one JSON text of a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def now() -> str:
    """Returns the time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _apply(connection: sa.Connection, change: Change) -> None:
    table, row = change.table, dict(change.row)
    if change.deed is Deed.INSERT:
        connection.execute(table.insert().values(row))
    elif change.deed is Deed.DELETE:
        connection.execute(table.delete().where(*_matching(table, row)))
    else:
        key = {name: row.pop(name) for name in key_of(table)}
        statement = table.update().where(*_matching(table, {**key, **change.expected})).values(row)
        if connection.execute(statement).rowcount != 1:
            raise NotSwappedError


def _matching(table: sa.Table, columns: Mapping[str, Any]) -> list[sa.ColumnElement[bool]]:
    return [table.c[name] == value for name, value in columns.items()]
