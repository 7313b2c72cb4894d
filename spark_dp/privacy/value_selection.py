"""Learning which values a column has: noisy counts of units above a threshold, and nothing of all others.

The values come from the table, so that here, unlike in the curator, even *what* is counted is sensitive. A value leaves
this module only where its noisy count reaches a threshold that the value of a single unit passes with probability at
most delta.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from spark_dp.errors import InternalError, LedgerError
from spark_dp.privacy.answers import pack, unpack
from spark_dp.privacy.entropy import OS_ENTROPY, Entropy
from spark_dp.privacy.events import ThresholdEvent
from spark_dp.privacy.noise import check_sigma_squared
from spark_dp.privacy.noise_law import NoiseLaw
from spark_dp.privacy.sensitivity import Neighbours, values_l2_squared
from spark_dp.privacy.tails import least_threshold
from spark_dp.privacy.transcript import Transcript, altered

KIND: Final = "threshold"
_LARGEST_COUNT: Final = 2**62

Value = str | int


class ValueSource(Protocol):
    """Counts exactly. SENSITIVE: only a value curator calls it."""

    def count(self) -> Mapping[Value, int]:
        """Returns the number of units that have each value, each unit counted for at most `per_unit` of its values.

        Sensitivity: a unit moves at most `per_unit` counts, each by 1.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdSpecification:
    """Noisy counts of units by value, of which those below the threshold are forgotten.

    Attributes:
        name: of the query.
        per_unit: how many values of a unit count, L0.
        l2_squared: the squared L2 sensitivity of all counts together.
        sigma_squared: of the noise of each.
        threshold: T, what a noisy count has to reach.
        delta: the probability with which a unit alone is seen, at most.
        most: how many values are kept at most, those with the largest noisy counts.
        noise: its law.
    """

    name: str
    per_unit: int
    l2_squared: int
    sigma_squared: Fraction
    threshold: int
    delta: Fraction
    most: int
    noise: NoiseLaw

    @property
    def event(self) -> ThresholdEvent:
        return ThresholdEvent(
            mu_squared=self.l2_squared / self.sigma_squared,
            delta=self.delta,
            rounded=self.noise is NoiseLaw.ROUNDED,
        )

    def to_bytes(self) -> bytes:
        fields = {
            "name": self.name,
            "per_unit": self.per_unit,
            "l2_squared": str(self.l2_squared),
            "sigma_squared": str(self.sigma_squared),
            "threshold": str(self.threshold),
            "delta": str(self.delta),
            "most": self.most,
            "noise": self.noise.value,
        }
        return pack("threshold specification", fields, {})

    @classmethod
    def from_bytes(cls, content: bytes) -> ThresholdSpecification:
        fields, _ = unpack("threshold specification", content)
        try:
            return cls(
                name=fields["name"],
                per_unit=int(fields["per_unit"]),
                l2_squared=int(fields["l2_squared"]),
                sigma_squared=Fraction(fields["sigma_squared"]),
                threshold=int(fields["threshold"]),
                delta=Fraction(fields["delta"]),
                most=int(fields["most"]),
                noise=NoiseLaw(fields["noise"]),
            )
        except (KeyError, TypeError, ValueError, ZeroDivisionError):
            raise LedgerError(
                "The record of a query's threshold lacks fields. Nothing was drawn. Restore the run directory."
            ) from None


def specify(
    name: str,
    *,
    per_unit: int,
    neighbours: Neighbours,
    rho: Fraction,
    delta: Fraction,
    most: int,
    noise: NoiseLaw,
) -> ThresholdSpecification:
    """Returns the query that rho and delta pay for.

    Guarantees: sigma^2 = D^2 / (2 rho) with D^2 = L0, or 2 L0 where units are replaced; T is the least threshold that
    keeps to delta for the tail of that noise (`tails`).
    """
    if rho <= 0 or not 0 < delta < 1 or per_unit < 1 or most < 1:
        raise InternalError(
            f"Query {name!r} needs a positive rho, delta, per_unit and most. Nothing was spent or drawn."
        )
    l2_squared = values_l2_squared(per_unit, neighbours)
    sigma_squared = Fraction(l2_squared) / (2 * rho)
    check_sigma_squared(sigma_squared)
    return ThresholdSpecification(
        name=name,
        per_unit=per_unit,
        l2_squared=l2_squared,
        sigma_squared=sigma_squared,
        threshold=least_threshold(sigma_squared, per_unit, delta),
        delta=delta,
        most=most,
        noise=noise,
    )


class ValueCurator:
    """Learns the values of one column: the only reader of its `ValueSource`.

    Guarantees: delta-approximate rho-zCDP (docs/privacy.md, 5.7), provided that the source keeps its sensitivity. The
    query goes through the steps of `curator.Curator`, on the same transcript: it is charged before the table is read, and
    its answer is persisted, marked, read back and replayed. What is persisted has the values that passed and no other.
    """

    __slots__ = ("_entropy", "_source", "_transcript")

    def __init__(self, source: ValueSource, transcript: Transcript, *, entropy: Entropy = OS_ENTROPY) -> None:
        self._source = source
        self._transcript = transcript
        self._entropy = entropy

    def __repr__(self) -> str:
        return "ValueCurator()"

    def __reduce__(self) -> NoReturn:
        raise InternalError("A curator stays in the process that made it: it reads exact counts.")

    def learn(self, asked: ThresholdSpecification) -> dict[Value, int]:
        """Returns the values that passed with their noisy counts of units, ordered by value.

        Raises:
            RhoExceededError: it costs more than remains. Nothing was read or drawn.
            BudgetExceededError: its delta does not fit. Nothing was read or drawn.
            LedgerError: the run's records are missing, altered, or another query's.
        """
        record, content = self._transcript.reserve(asked.name, KIND, asked.to_bytes(), asked.event)
        stored = ThresholdSpecification.from_bytes(content)
        same = (stored.name, stored.per_unit, stored.l2_squared, stored.delta, stored.event)
        if same != (asked.name, asked.per_unit, asked.l2_squared, asked.delta, record.event):
            raise altered(record, "specification")
        values = self._transcript.recall(record)
        if values is None:
            values = self._transcript.settle(record, self._draw(stored))
        try:
            words, noisy = values
            found = json.loads(words.astype(np.uint8).tobytes())
            return dict(zip(found, map(int, noisy), strict=True))
        except (ValueError, TypeError):
            raise altered(record, "answer") from None

    def _draw(self, specification: ThresholdSpecification) -> tuple[NDArray[np.int64], ...]:
        """Adds noise to the count of every value that occurs, and forgets those below the threshold."""
        counted = sorted(self._source.count().items(), key=lambda item: (str(type(item[0])), item[0]))
        exact = np.array([count for _, count in counted], dtype=np.int64)
        if exact.size and (int(exact.min()) < 1 or int(exact.max()) >= _LARGEST_COUNT):
            raise InternalError("The source counted a value of no unit, or of too many. Nothing was drawn.")
        noisy = exact + specification.noise.draw(specification.sigma_squared, exact.size, self._entropy)
        passed = np.flatnonzero(noisy >= specification.threshold)
        largest = passed[np.argsort(-noisy[passed], kind="stable")][: specification.most]
        kept = np.sort(largest)
        return (_as_integers([counted[i][0] for i in kept]), noisy[kept].astype(np.int64))


def _as_integers(values: list[Any]) -> NDArray[np.int64]:
    """Answers hold integers: the UTF-8 bytes of a JSON list."""
    return np.frombuffer(json.dumps(values).encode(), dtype=np.uint8).astype(np.int64)
