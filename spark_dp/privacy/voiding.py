"""Giving back what a run reserved, where none of its queries was answered: it released nothing."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from spark_dp.errors import LedgerError, nearest
from spark_dp.privacy.leases import write_lease
from spark_dp.privacy.ledger_chain import Change, Deed, Head, What, record
from spark_dp.privacy.ledger_replay import Verified
from spark_dp.privacy.ledger_schema import queries, runs


def void(connection: sa.Connection, dataset: str, key: str, epoch: int) -> Head:
    """Gives a run back, and raises its epoch: no driver of it can reserve or answer any more.

    The caller holds the account's lock, and has found that no query is answered.

    Args:
        dataset, key: the run.
        epoch: that it has now.
    """
    mine = {"dataset": dataset, "key": key}
    head = record(
        connection,
        dataset,
        What.VOIDED,
        [
            Change(table=queries, deed=Deed.DELETE, row=mine),
            Change(
                table=runs,
                deed=Deed.UPDATE,
                row={**mine, "status": "voided", "epoch": epoch + 1},
                expected={"epoch": epoch},
            ),
        ],
    )
    write_lease(connection, dataset, key, epoch + 1, None)
    return head


def require_voidable(verified: Verified, dataset: str, key: str, held: datetime | None) -> int:
    """Returns the epoch of a run that may be given back.

    Args:
        verified: the account.
        dataset, key: the run.
        held: until when a driver holds it that may be alive.

    Raises:
        LedgerError: there is no such run, it released something, or a driver may be at work on it.
    """
    unchanged = "Nothing was changed or given back."
    run = verified.rows[runs.name].get((dataset, key))
    if run is None:
        known = sorted(row["key"] for row in verified.of(runs))
        raise LedgerError(
            f"Account {dataset!r} has no run {key!r}.{nearest(key, known)} {unchanged} `spark-dp ledger history "
            f"{dataset}` lists its runs.",
            field="key",
        )
    answered = [q for q in verified.of(queries) if q["key"] == key and q["state"] == "answered"]
    if run["status"] == "complete" or answered:
        raise LedgerError(
            f"Run {key!r} of account {dataset!r} has {len(answered)} answered queries: what was answered is spent, "
            f"whether it was used or not. {unchanged} Run the same key to use it.",
            field="key",
        )
    if run["status"] == "voided":
        raise LedgerError(
            f"Run {key!r} of account {dataset!r} was given back before. {unchanged} The key is free.",
            field="key",
        )
    if held is not None:
        raise LedgerError(
            f"Run {key!r} of account {dataset!r} is held by a driver, until {held:%H:%M:%S} UTC unless it renews its "
            f"lease. {unchanged} Stop that driver, or wait until the lease has ended.",
            field="key",
        )
    return int(run["epoch"])
