"""The part of the ledger that one run may spend, query by query."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from fractions import Fraction
from types import TracebackType
from typing import Any

import sqlalchemy as sa

from spark_dp.errors import LedgerError, TakenOverError
from spark_dp.privacy.budget import RhoFilter
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.events import Event
from spark_dp.privacy.leases import Heartbeat
from spark_dp.privacy.ledger_chain import (
    Change,
    Deed,
    Head,
    NotSwappedError,
    What,
    canonical,
    now,
    record,
    require_entry,
)
from spark_dp.privacy.ledger_database import RESTORE, guarded
from spark_dp.privacy.ledger_schema import accounts, queries, runs
from spark_dp.privacy.query_record import QueryRecord, read_query, require_same_query
from spark_dp.privacy.thresholds import delta_of, require_delta
from spark_dp.privacy.voiding import void


class RunAccount:
    """What a run has reserved, and the queries that draw on it.

    Made by `Ledger.begin`. Every change is one transaction that first locks the account, checks that no later driver
    has taken the run over, and appends to the account's chain. The run's lease is renewed until the account is
    released: by the end of a `with` block, by `release`, by the run's end, or with the object itself.
    """

    __slots__ = (
        "__weakref__",
        "_accounting",
        "_asked",
        "_dataset",
        "_engine",
        "_epoch",
        "_head",
        "_heartbeat",
        "_key",
        "_rho",
        "_run_id",
        "_thresholds",
    )

    def __init__(
        self,
        engine: sa.Engine,
        *,
        dataset: str,
        key: str,
        run_id: str,
        rho: Fraction,
        thresholds: Fraction,
        accounting: Accounting,
        epoch: int,
        head: Head,
        heartbeat: Heartbeat,
    ) -> None:
        self._engine = engine
        self._dataset = dataset
        self._key = key
        self._run_id = run_id
        self._rho = rho
        self._thresholds = thresholds
        self._asked: dict[
            int, Event
        ] = {}  # by this driver: rows that somebody deletes are counted all the same
        self._accounting = accounting
        self._epoch = epoch
        self._head = head
        self._heartbeat = heartbeat
        weakref.finalize(self, heartbeat.stop)

    def __repr__(self) -> str:
        return f"RunAccount(run_id={self._run_id!r})"

    def __enter__(self) -> RunAccount:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def held(self) -> RunAccount:
        """Starts to renew the lease."""
        self._heartbeat.start()
        return self

    @property
    def rho(self) -> Fraction:
        """What the run reserved when it began."""
        return self._rho

    @property
    def accounting(self) -> Accounting:
        """In what it adds up: the account's, declared when that was opened."""
        return self._accounting

    @property
    def run_id(self) -> str:
        """Random; may be published."""
        return self._run_id

    @property
    def epoch(self) -> int:
        """How many drivers have held the run, this one included."""
        return self._epoch

    @property
    def head(self) -> Head:
        """The last entry of the account's chain that this driver has seen: to be kept beside the run."""
        return self._head

    def release(self) -> None:
        """Lets another driver take the run over at once. What was reserved and answered stands."""
        self._heartbeat.release()

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
            found = self._find(connection, ordinal)
            if found is not None:
                return require_same_query(found, name, kind)
            if run.status != "running":
                raise LedgerError(
                    f"The run is complete: query {name!r} cannot be added. Nothing was spent or drawn. Measure under "
                    "a new run.key, which is charged anew."
                )
            spent = RhoFilter(self._rho, self._accounting)
            before = {query.ordinal: query.event for query in self._queries(connection)} | self._asked
            for charged in before.values():
                spent.charge(name, charged)
            spent.charge(name, event)
            require_delta(name, delta_of((*before.values(), event)), self._thresholds, f"run {self._key!r}")
            row = {
                "dataset": self._dataset,
                "key": self._key,
                "ordinal": ordinal,
                "name": name,
                "kind": kind,
                "spec_digest": spec_digest,
                "event": canonical(event.to_json()),
                "rho": str(event.rho),
                "state": "reserved",
                "answer_digest": None,
                "answer_epoch": None,
                "reserved_at": now(),
                "answered_at": None,
            }
            head = self._record(connection, What.RESERVED, Change(table=queries, deed=Deed.INSERT, row=row))
        self._head = head
        self._asked[ordinal] = event
        return read_query(row)

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
        row = {
            "dataset": self._dataset,
            "key": self._key,
            "ordinal": ordinal,
            "state": "answered",
            "answer_digest": digest,
            "answer_epoch": self._epoch if epoch is None else epoch,
            "answered_at": now(),
        }
        change = Change(table=queries, deed=Deed.UPDATE, row=row, expected={"state": "reserved"})
        try:
            with guarded(), self._engine.begin() as connection:
                self._hold(connection)
                head = self._record(connection, What.ANSWERED, change)
        except NotSwappedError:
            raise LedgerError(
                f"Query {ordinal} of the run is not waiting for an answer: another process answered "
                "it. This answer was not released. Run the same key again to use the other."
            ) from None
        self._head = head

    def complete(self) -> None:
        """Ends the run: no query can be added any more. What it did not use stays reserved."""
        with guarded(), self._engine.begin() as connection:
            run, head = self._hold(connection), self._head
            if run.status == "running":
                head = self._record(connection, What.COMPLETED, self._run_change(status="complete"))
        self._head = head
        self.release()

    def void_if_unanswered(self) -> bool:
        """Gives back what the run reserved, if none of its queries was answered: its failure released nothing.

        Guarantees: a voided run can neither reserve nor answer any more, in this driver or an earlier one, so
        that what it gave back is not spent twice. The key is free for a new run.

        Returns:
            Whether it was given back.
        """
        with guarded(), self._engine.begin() as connection:
            run = self._hold(connection)
            if run.status != "running" or any(q.state == "answered" for q in self._queries(connection)):
                return False
            head = void(connection, self._dataset, self._key, self._epoch)
        self._head = head
        self._heartbeat.stop()
        return True

    def _run_change(self, **columns: Any) -> Change:
        row = {"dataset": self._dataset, "key": self._key, **columns}
        return Change(table=runs, deed=Deed.UPDATE, row=row, expected={"epoch": self._epoch})

    def _record(self, connection: sa.Connection, what: What, *changes: Change) -> Head:
        return record(connection, self._dataset, what, changes)

    def _hold(self, connection: sa.Connection) -> sa.Row[Any]:
        """Locks the account, and finds the run to be still this driver's, in the ledger that it began in."""
        account = sa.select(accounts.c.dataset).where(accounts.c.dataset == self._dataset)
        connection.execute(account.with_for_update())
        run = connection.execute(
            sa.select(runs).where(runs.c.dataset == self._dataset, runs.c.key == self._key)
        ).first()
        if run is None:
            raise LedgerError(f"The ledger lost the run. Nothing was drawn. {RESTORE}")
        if run.epoch != self._epoch or self._heartbeat.lost.is_set():
            raise TakenOverError(
                "Another driver has taken this run over. Nothing was drawn or released by this one after "
                "that. Let the other finish; what it measured is used by whoever runs the same key."
            )
        require_entry(connection, self._dataset, self._head)
        return run

    def _queries(self, connection: sa.Connection) -> Sequence[QueryRecord]:
        asked = sa.select(queries).where(queries.c.dataset == self._dataset, queries.c.key == self._key)
        found = connection.execute(asked.order_by(queries.c.ordinal)).mappings()
        return [read_query(dict(row)) for row in found]

    def _find(self, connection: sa.Connection, ordinal: int) -> QueryRecord | None:
        asked = sa.select(queries).where(
            queries.c.dataset == self._dataset, queries.c.key == self._key, queries.c.ordinal == ordinal
        )
        row = connection.execute(asked).mappings().first()
        return None if row is None else read_query(dict(row))
