"""A query of a run as the ledger has it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from spark_dp.errors import LedgerError
from spark_dp.privacy.events import Event, event_from_json, parse_fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryRecord:
    """One query of a run as the ledger has it.

    Attributes:
        ordinal: its place in the run, from 0.
        name, kind: of the query; kind is 'measure', 'select' or 'score'.
        spec_digest: of the persisted specification.
        event: what it is charged as.
        state: 'reserved' or 'answered'.
        answer_digest: of the persisted answer, once answered.
        answer_epoch: of the driver that drew it, once answered.
        reserved_at, answered_at: UTC, ISO 8601.
    """

    ordinal: int
    name: str
    kind: str
    spec_digest: str
    event: Event
    state: str
    answer_digest: str | None
    answer_epoch: int | None
    reserved_at: str
    answered_at: str | None


def read_query(row: Mapping[str, Any]) -> QueryRecord:
    """Reads a query's row.

    Raises:
        LedgerError: the row contradicts itself: it was altered.
    """
    try:
        event = _read_event(row["event"])
    except (ValueError, TypeError):
        raise LedgerError(f"The event of query {row['name']!r} was altered. Nothing was drawn.") from None
    answered = row["state"] == "answered"
    if event.rho != parse_fraction(row["rho"]) or answered != (row["answer_digest"] is not None):
        raise LedgerError(f"The ledger's record of query {row['name']!r} was altered. Nothing was drawn.")
    return QueryRecord(
        ordinal=row["ordinal"],
        name=row["name"],
        kind=row["kind"],
        spec_digest=row["spec_digest"],
        event=event,
        state=row["state"],
        answer_digest=row["answer_digest"],
        answer_epoch=row["answer_epoch"],
        reserved_at=row["reserved_at"],
        answered_at=row["answered_at"],
    )


@lru_cache(maxsize=4096)
def _read_event(text: str) -> Event:
    """Reads an event; each query reads those of all before it."""
    return event_from_json(json.loads(text))


def require_same_query(record: QueryRecord, name: str, kind: str) -> QueryRecord:
    """Refuses a replay that asks something else than the run did at this place."""
    if (record.name, record.kind) != (name, kind):
        raise LedgerError(
            f"Query {record.ordinal} of the run was {record.name!r} ({record.kind}), and is now {name!r} "
            f"({kind}): the mechanism took another path. Nothing was spent or drawn. Resume with the "
            "release that began the run, or use a new run.key."
        )
    return record
