"""What a query was, exactly: persisted before it is charged, and all that a replay relies on.

A replay never trusts recomputed floats: a last bit may differ on another machine and flip an adaptive choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spark_dp.errors import LedgerError
from spark_dp.privacy.answers import join, pack, split, unpack
from spark_dp.schema.domain import Clique


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureSpecification:
    """Noisy marginals, measured jointly.

    Attributes:
        name: of the query.
        cliques: distinct.
        sigma_squared: of the noise in every cell, in squared fixed-point units.
        l2_squared: the squared L2 sensitivity of all of them together.
        unit: fixed-point units that make one row.
    """

    name: str
    cliques: tuple[Clique, ...]
    sigma_squared: Fraction
    l2_squared: int
    unit: int

    def to_bytes(self) -> bytes:
        fields = {
            "name": self.name,
            "cliques": [list(clique) for clique in self.cliques],
            "sigma_squared": str(self.sigma_squared),
            "l2_squared": str(self.l2_squared),
            "unit": str(self.unit),
        }
        return pack("measure specification", fields, {})

    @classmethod
    def from_bytes(cls, content: bytes) -> MeasureSpecification:
        fields, _ = unpack("measure specification", content)
        try:
            return cls(
                name=fields["name"],
                cliques=tuple(tuple(clique) for clique in fields["cliques"]),
                sigma_squared=Fraction(fields["sigma_squared"]),
                l2_squared=int(fields["l2_squared"]),
                unit=int(fields["unit"]),
            )
        except (KeyError, TypeError, ValueError, ZeroDivisionError):
            raise _altered("measure") from None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoredCandidate:
    """One candidate, rounded to fixed point.

    Attributes:
        clique: what is returned when it is chosen; None means to stop, at the score 0.
        estimate: int64, shape domain.shape(clique); None exactly when clique is.
        bias: in fixed point.
        weight: at least 0.
    """

    clique: Clique | None
    estimate: NDArray[np.int64] | None
    bias: int
    weight: Fraction


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SelectSpecification:
    """One draw of the exponential mechanism over candidates."""

    name: str
    candidates: tuple[ScoredCandidate, ...]
    epsilon: Fraction
    sensitivity: Fraction

    def to_bytes(self) -> bytes:
        fields = {
            "name": self.name,
            "cliques": [None if c.clique is None else list(c.clique) for c in self.candidates],
            "biases": [str(c.bias) for c in self.candidates],
            "weights": [str(c.weight) for c in self.candidates],
            "epsilon": str(self.epsilon),
            "sensitivity": str(self.sensitivity),
        }
        return _pack_estimates("select specification", fields, self.candidates)

    @classmethod
    def from_bytes(cls, content: bytes) -> SelectSpecification:
        fields, arrays = unpack("select specification", content)
        try:
            estimates = iter(split(fields["shapes"], arrays["estimates"]))
            return cls(
                name=fields["name"],
                candidates=tuple(
                    ScoredCandidate(
                        clique=None if clique is None else tuple(clique),
                        estimate=None if clique is None else next(estimates),
                        bias=int(bias),
                        weight=Fraction(weight),
                    )
                    for clique, bias, weight in zip(
                        fields["cliques"], fields["biases"], fields["weights"], strict=True
                    )
                ),
                epsilon=Fraction(fields["epsilon"]),
                sensitivity=Fraction(fields["sensitivity"]),
            )
        except (KeyError, TypeError, ValueError, ZeroDivisionError, StopIteration):
            raise _altered("select") from None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoreSpecification:
    """Noisy L1 distances of estimates from the exact marginals, measured jointly.

    Attributes:
        name: of the query.
        candidates: with integer weights of at least 1, no bias, and none that stops.
        sigma_squared: of the noise in every weighted distance, in squared fixed-point units.
        l2_squared: the squared L2 sensitivity of all of them together.
        unit: fixed-point units that make one row.
    """

    name: str
    candidates: tuple[ScoredCandidate, ...]
    sigma_squared: Fraction
    l2_squared: int
    unit: int

    @property
    def weights(self) -> tuple[int, ...]:
        return tuple(int(candidate.weight) for candidate in self.candidates)

    def to_bytes(self) -> bytes:
        fields = {
            "name": self.name,
            "cliques": [list(c.clique or ()) for c in self.candidates],
            "weights": [str(weight) for weight in self.weights],
            "sigma_squared": str(self.sigma_squared),
            "l2_squared": str(self.l2_squared),
            "unit": str(self.unit),
        }
        return _pack_estimates("score specification", fields, self.candidates)

    @classmethod
    def from_bytes(cls, content: bytes) -> ScoreSpecification:
        fields, arrays = unpack("score specification", content)
        try:
            estimates = split(fields["shapes"], arrays["estimates"])
            return cls(
                name=fields["name"],
                candidates=tuple(
                    ScoredCandidate(
                        clique=tuple(clique), estimate=estimate, bias=0, weight=Fraction(int(weight))
                    )
                    for clique, weight, estimate in zip(
                        fields["cliques"], fields["weights"], estimates, strict=True
                    )
                ),
                sigma_squared=Fraction(fields["sigma_squared"]),
                l2_squared=int(fields["l2_squared"]),
                unit=int(fields["unit"]),
            )
        except (KeyError, TypeError, ValueError, ZeroDivisionError):
            raise _altered("score") from None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """What was drawn for one query.

    Attributes:
        run_id: the run that it belongs to.
        ordinal: of the query in the run.
        spec_digest: of the specification that it answers.
        values: int64 arrays: one for each clique, in their order; or one index of a candidate; or one array of
            all distances.
    """

    run_id: str
    ordinal: int
    spec_digest: str
    values: tuple[NDArray[np.int64], ...]

    def to_bytes(self) -> bytes:
        fields: dict[str, Any] = {
            "run_id": self.run_id,
            "ordinal": self.ordinal,
            "spec_digest": self.spec_digest,
            "count": len(self.values),
        }
        return pack("answer", fields, {str(i): value for i, value in enumerate(self.values)})

    @classmethod
    def from_bytes(cls, content: bytes) -> Answer:
        fields, arrays = unpack("answer", content)
        try:
            return cls(
                run_id=fields["run_id"],
                ordinal=fields["ordinal"],
                spec_digest=fields["spec_digest"],
                values=tuple(arrays[str(i)] for i in range(fields["count"])),
            )
        except (KeyError, TypeError, ValueError):
            raise _altered("answer") from None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnsweredQuery:
    """A query of a run that the ledger has marked as answered.

    Attributes:
        name, kind: of the query.
        place: names its specification among the run's records, with a digest.
        part: of the rho that was left before it, what it cost; in [0, 1].
        specification: what was asked.
        values: what was answered.
    """

    name: str
    kind: str
    place: str
    part: float
    specification: bytes
    values: tuple[NDArray[np.int64], ...]


def _pack_estimates(kind: str, fields: dict[str, Any], candidates: Sequence[ScoredCandidate]) -> bytes:
    shapes, estimates = join([c.estimate for c in candidates if c.estimate is not None])
    return pack(kind, {**fields, "shapes": shapes}, {"estimates": estimates})


def _altered(kind: str) -> LedgerError:
    return LedgerError(
        f"The record of a query's {kind} lacks fields. Nothing was drawn. Restore the run directory."
    )
