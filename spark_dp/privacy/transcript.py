"""The record of a run's queries: what was asked and what was answered, each persisted before it counts.

The ledger holds digests and states, the run's private folder holds the bytes. Neither is believed without the
other.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from spark_dp.errors import LedgerError
from spark_dp.privacy.answers import Blobs, digest
from spark_dp.privacy.budget import RhoFilter
from spark_dp.privacy.events import Event
from spark_dp.privacy.queries import Answer, AnsweredQuery
from spark_dp.privacy.query_record import QueryRecord, require_same_query
from spark_dp.privacy.run_account import RunAccount


class Transcript:
    """The queries of one run, in order.

    Guarantees: a specification is persisted before it is charged, and charged before `reserve` returns. At
    most one answer to a query is ever returned, by this or any other process: the one that the ledger
    marks. A query that is marked and whose answer is missing or altered is refused, and not drawn again.
    """

    __slots__ = ("_account", "_answers", "_filter", "_ordinal")

    def __init__(self, account: RunAccount, answers: Blobs) -> None:
        self._account = account
        self._answers = answers
        self._filter = RhoFilter(account.rho, account.accounting)
        self._ordinal = 0

    @property
    def remaining(self) -> Fraction:
        """The rho that is left after the queries asked so far through this object, replayed ones included."""
        return self._filter.remaining

    def reserve(self, name: str, kind: str, content: bytes, event: Event) -> tuple[QueryRecord, bytes]:
        """Charges the next query, or finds it charged; returns its record and its stored specification.

        Raises:
            RhoExceededError: it costs more than is left. Nothing was charged.
            LedgerError: another query was asked at this place, or its specification is missing or altered.
        """
        ordinal = self._ordinal
        record = self._account.find(ordinal)
        if record is None:
            self._filter.require(name, event)
            self._answers.write(_specification_name(ordinal, digest(content)), content)
            record = self._account.reserve(ordinal, name, kind, digest(content), event)
        require_same_query(record, name, kind)
        stored = self._answers.read(_specification_name(ordinal, record.spec_digest))
        if stored is None:
            raise _missing(record, "specification")
        if digest(stored) != record.spec_digest:
            raise altered(record, "specification")
        self._filter.charge(name, record.event)
        self._ordinal += 1
        return record, stored

    def recall(self, record: QueryRecord) -> tuple[NDArray[np.int64], ...] | None:
        """Returns the answer that was persisted before, or None where none was.

        Raises:
            LedgerError: the ledger knows an answer, and it is missing or altered.
        """
        if record.state == "answered":
            content = self._answers.read(_answer_name(record.ordinal, record.answer_epoch))
            if content is None:
                raise _missing(record, "answer")
            return self._read(record, content, str(record.answer_digest))
        for epoch in range(1, self._account.epoch + 1):
            content = self._answers.read(_answer_name(record.ordinal, epoch))
            if content is None:
                continue
            # Persisted, and the driver ended before it could mark it. What is not whole was never released.
            with contextlib.suppress(LedgerError):
                values = self._read(record, content, digest(content))
                break
        else:
            return None
        self._account.mark_answered(record.ordinal, digest(content), epoch=epoch)
        return values

    def settle(
        self, record: QueryRecord, drawn: tuple[NDArray[np.int64], ...]
    ) -> tuple[NDArray[np.int64], ...]:
        """Persists a draw, makes it the answer, and returns what is read back.

        Raises:
            LedgerError: another process answered the query or holds the run. The draw was not released.
        """
        answer = Answer(
            run_id=self._account.run_id, ordinal=record.ordinal, spec_digest=record.spec_digest, values=drawn
        )
        content = answer.to_bytes()
        name = _answer_name(record.ordinal, self._account.epoch)
        self._account.require_held()
        self._answers.write(name, content)
        persisted = self._answers.read(name)
        if persisted is None:
            raise _missing(record, "answer")
        values = self._read(record, persisted, digest(content))
        self._account.mark_answered(record.ordinal, digest(content))
        return values

    def answered(self, kinds: frozenset[str]) -> Iterator[AnsweredQuery]:
        """Gives back the queries of some kinds that were asked through this object and answered, in order.

        Raises:
            LedgerError: a record is missing or altered.
        """
        before = RhoFilter(self._account.rho, self._account.accounting)
        for ordinal in range(self._ordinal):
            record = self._account.find(ordinal)
            if record is None:
                return
            left = before.remaining
            before.charge(record.name, record.event)
            if record.kind not in kinds or record.state != "answered":
                continue
            name = _specification_name(ordinal, record.spec_digest)
            content = self._answers.read(name)
            values = self.recall(record)
            if content is None or values is None:
                raise _missing(record, "specification")
            if digest(content) != record.spec_digest:
                raise altered(record, "specification")
            yield AnsweredQuery(
                name=record.name,
                kind=record.kind,
                place=name,
                part=float((left - before.remaining) / left),
                specification=content,
                values=values,
            )

    def _read(self, record: QueryRecord, content: bytes, expected: str) -> tuple[NDArray[np.int64], ...]:
        if digest(content) != expected:
            raise altered(record, "answer")
        answer = Answer.from_bytes(content)
        belongs = (self._account.run_id, record.ordinal, record.spec_digest)
        if (answer.run_id, answer.ordinal, answer.spec_digest) != belongs or not answer.values:
            raise altered(record, "answer")
        return answer.values


def _specification_name(ordinal: int, content_digest: str) -> str:
    """Named by content: two drivers that specify differently do not overwrite each other."""
    return f"specifications/{ordinal:05d}-{content_digest}.npz"


def _answer_name(ordinal: int, epoch: int | None) -> str:
    """Named by the driver's epoch: a driver that was taken over cannot overwrite its successor's answer."""
    return f"answers/{ordinal:05d}-{epoch}.npz"


def _missing(record: QueryRecord, what: str) -> LedgerError:
    return LedgerError(
        f"The {what} of query {record.name!r} is {record.state} in the ledger and missing in the run "
        "directory. Nothing was released: deleting a run directory does not buy a second draw. Restore it "
        "from a copy, or measure again under a new run.key, which is charged anew."
    )


def altered(record: QueryRecord, what: str) -> LedgerError:
    return LedgerError(
        f"The {what} of query {record.name!r} in the run directory is not the one that the ledger knows: "
        "it was altered. Nothing was released. Restore it from a copy, or measure again under a new "
        "run.key, which is charged anew."
    )
