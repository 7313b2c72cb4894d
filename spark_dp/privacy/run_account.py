"""The part of the ledger that one run may spend, query by query."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import sqlalchemy as sa

from spark_dp.errors import LedgerError
from spark_dp.privacy.budget import RhoFilter
from spark_dp.privacy.events import Event, event_from_json, parse_fraction
from spark_dp.privacy.ledger_schema import guarded, queries, runs


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryRecord:
    """One query of a run as the ledger has it.

    Attributes:
        ordinal: its place in the run, from 0.
        name, kind: of the query; kind is 'measure' or 'select'.
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


class RunAccount:
    """What a run has reserved, and the queries that draw on it.

    Made by `Ledger.begin`. Every change is one transaction that first locks the run and checks that no later
    driver has taken it over.
    """

    __slots__ = ("_engine", "_epoch", "_rho", "_row", "_run_id")

    def __init__(self, engine: sa.Engine, *, row: int, run_id: str, rho: Fraction, epoch: int) -> None:
        self._engine = engine
        self._row = row
        self._run_id = run_id
        self._rho = rho
        self._epoch = epoch

    def __repr__(self) -> str:
        return f"RunAccount(run_id={self._run_id!r})"

    @property
    def rho(self) -> Fraction:
        """What the run reserved when it began."""
        return self._rho

    @property
    def run_id(self) -> str:
        """Random; may be published."""
        return self._run_id

    @property
    def epoch(self) -> int:
        """How many drivers have held the run, this one included."""
        return self._epoch

    def find(self, ordinal: int) -> QueryRecord | None:
        """Returns a query that was reserved before, or None."""
        with guarded(), self._engine.begin() as connection:
            self._hold(connection)
            return self._find(connection, ordinal)

    def reserve(self, ordinal: int, name: str, kind: str, spec_digest: str, event: Event) -> QueryRecord:
        """Charges a query to the run, or returns the record of it where it was charged before.

        Guarantees: the events of a run's queries cost at most `rho` together, however they were chosen (a
        privacy filter: see `budget.RhoFilter`). A query that was charged before is not charged again, and
        its stored specification stands.

        Raises:
            RhoExceededError: it would exceed the run's rho. Nothing was charged.
            LedgerError: the ordinal belongs to another query, the run is complete, or another driver holds
            it.
        """
        with guarded(), self._engine.begin() as connection:
            run = self._hold(connection)
            record = self._find(connection, ordinal)
            if record is not None:
                return require_same_query(record, name, kind)
            if run.status != "running":
                raise LedgerError(
                    f"The run is complete: query {name!r} cannot be added. Nothing was spent or drawn."
                )
            spent = RhoFilter(self._rho)
            for charged in connection.execute(sa.select(queries).where(queries.c.run == self._row)):
                spent.charge(charged.name, read_query(charged).event)
            spent.charge(name, event)
            connection.execute(
                queries.insert().values(
                    run=self._row,
                    ordinal=ordinal,
                    name=name,
                    kind=kind,
                    spec_digest=spec_digest,
                    event=json.dumps(event.to_json(), sort_keys=True),
                    rho=str(event.rho),
                    state="reserved",
                    reserved_at=now(),
                )
            )
            record = self._find(connection, ordinal)
        if record is None:
            raise LedgerError(f"The ledger's database lost query {name!r}. Nothing was drawn.")
        return record

    def require_held(self) -> None:
        """Refuses to go on where another driver has taken the run over: asked last thing before a draw.

        Raises:
            LedgerError: it has. Nothing was drawn.
        """
        with guarded(), self._engine.begin() as connection:
            self._hold(connection)

    def mark_answered(self, ordinal: int, digest: str, *, epoch: int | None = None) -> None:
        """Makes a persisted answer the answer: compare-and-swap from reserved to answered.

        Guarantees: at most one answer per query ever becomes the answer, and only a driver that holds the
        run can make it so.

        Args:
            ordinal: of a reserved query.
            digest: SHA-256 of the persisted answer.
            epoch: of the driver that drew it; this one's by default.

        Raises:
            LedgerError: the query is not reserved any more, or another driver holds the run.
        """
        with guarded(), self._engine.begin() as connection:
            self._hold(connection)
            swapped = connection.execute(
                queries.update()
                .where(
                    queries.c.run == self._row, queries.c.ordinal == ordinal, queries.c.state == "reserved"
                )
                .values(
                    state="answered",
                    answer_digest=digest,
                    answer_epoch=self._epoch if epoch is None else epoch,
                    answered_at=now(),
                )
            )
            if swapped.rowcount != 1:
                raise LedgerError(
                    f"Query {ordinal} of the run is not waiting for an answer: another process answered "
                    "it. This answer was not released. Run the same key again to use the other."
                )

    def complete(self) -> None:
        """Ends the run: no query can be added any more. What it did not use stays reserved."""
        with guarded(), self._engine.begin() as connection:
            self._hold(connection)
            connection.execute(runs.update().where(runs.c.id == self._row).values(status="complete"))

    def void_if_unanswered(self) -> bool:
        """Gives back what the run reserved, if none of its queries was answered: its failure released nothing.

        Guarantees: a voided run can neither reserve nor answer any more, in this driver or an earlier one, so
        that what it gave back is not spent twice. The key is free for a new run.

        Returns:
            Whether it was given back.
        """
        with guarded(), self._engine.begin() as connection:
            self._hold(connection)
            answered = connection.execute(
                sa.select(queries.c.ordinal).where(queries.c.run == self._row, queries.c.state == "answered")
            ).first()
            if answered is not None:
                return False
            connection.execute(queries.delete().where(queries.c.run == self._row))
            connection.execute(
                runs.update().where(runs.c.id == self._row).values(status="voided", epoch=self._epoch + 1)
            )
        return True

    def _hold(self, connection: sa.Connection) -> sa.Row[Any]:
        run = connection.execute(sa.select(runs).where(runs.c.id == self._row).with_for_update()).first()
        if run is None:
            raise LedgerError("The ledger lost the run. Nothing was drawn. Restore the ledger from a copy.")
        if run.epoch != self._epoch:
            raise LedgerError(
                "Another driver has taken this run over. Nothing was drawn or released by this one after "
                "that. Let the other finish; what it measured is used by whoever runs the same key."
            )
        return run

    def _find(self, connection: sa.Connection, ordinal: int) -> QueryRecord | None:
        found = connection.execute(
            sa.select(queries).where(queries.c.run == self._row, queries.c.ordinal == ordinal)
        ).first()
        return None if found is None else read_query(found)


def read_query(row: sa.Row[Any]) -> QueryRecord:
    """Reads a query's row.

    Raises:
        LedgerError: the row contradicts itself: it was altered.
    """
    try:
        event = event_from_json(json.loads(row.event))
    except (ValueError, TypeError):
        raise LedgerError(f"The event of query {row.name!r} was altered. Nothing was drawn.") from None
    answered = row.state == "answered"
    if event.rho != parse_fraction(row.rho) or answered != (row.answer_digest is not None):
        raise LedgerError(f"The ledger's record of query {row.name!r} was altered. Nothing was drawn.")
    return QueryRecord(
        ordinal=row.ordinal,
        name=row.name,
        kind=row.kind,
        spec_digest=row.spec_digest,
        event=event,
        state=row.state,
        answer_digest=row.answer_digest,
        answer_epoch=row.answer_epoch,
        reserved_at=row.reserved_at,
        answered_at=row.answered_at,
    )


def require_same_query(record: QueryRecord, name: str, kind: str) -> QueryRecord:
    """Refuses a replay that asks something else than the run did at this place."""
    if (record.name, record.kind) != (name, kind):
        raise LedgerError(
            f"Query {record.ordinal} of the run was {record.name!r} ({record.kind}), and is now {name!r} "
            f"({kind}): the mechanism took another path. Nothing was spent or drawn. Resume with the "
            "release that began the run, or use a new run.key."
        )
    return record


def now() -> str:
    """Returns the time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
