"""What choosing revealed about marginals that were not measured: post-processing of a run's answered queries.

A score is a noisy error. A choice by the exponential mechanism says of each candidate that it can hardly have been much
worse than the one that was chosen, and of that one its measurement says how bad it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spark_dp.privacy.noise_law import NoiseLaw
from spark_dp.privacy.queries import (
    AnsweredQuery,
    MeasureSpecification,
    ScoredCandidate,
    ScoreSpecification,
    SelectSpecification,
)
from spark_dp.schema.domain import Clique


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """How far a reference was from a marginal in L1, with noise.

    Attributes:
        clique: of the marginal.
        reference: the specification that holds the reference (`AnsweredQuery.place`).
        rows: the distance, with noise.
        stddev: of the noise, in rows.
    """

    clique: Clique
    reference: str
    rows: float
    stddev: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Worst:
    """What was chosen as the worst, and the measurement of it that came next.

    Attributes:
        weight, bias: of its score; bias in rows.
        cells: of its marginal.
        distance: L1 from the reference to the measurement, in rows.
        variance: of the noise in each cell, in rows squared.
        grain: rows of which the noise is a whole number.
    """

    weight: float
    bias: float
    cells: int
    distance: float
    variance: float
    grain: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedOver:
    """A candidate of a choice that took another one, or declined.

    Attributes:
        clique: of the marginal.
        reference: the specification that holds the reference (`AnsweredQuery.place`).
        weight, bias: of its score, weight * (L1 distance - bias); bias in rows.
        scale: 2 S / epsilon of the choice, in rows: of two candidates the worse by this is e times likelier.
        candidates: how many there were.
        share: of what may go wrong in all the run's choices, what is meant for this one.
        worst: what was chosen; None where the choice was to stop, at the score 0.
    """

    clique: Clique
    reference: str
    weight: float
    bias: float
    scale: float
    candidates: int
    share: float
    worst: Worst | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What a run's choices said of each candidate that they did not measure by choosing it."""

    scored: tuple[Scored, ...]
    passed_over: tuple[PassedOver, ...]

    def to_json(self) -> dict[str, Any]:
        """Returns a form of plain numbers and lists."""
        return {
            "scored": [asdict(record) for record in self.scored],
            "passed_over": [asdict(record) for record in self.passed_over],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Choices:
        """Reads what `to_json` wrote."""
        return cls(
            scored=tuple(Scored(**{**d, "clique": tuple(d["clique"])}) for d in document["scored"]),
            passed_over=tuple(
                PassedOver(
                    **{
                        **d,
                        "clique": tuple(d["clique"]),
                        "worst": None if d["worst"] is None else Worst(**d["worst"]),
                    }
                )
                for d in document["passed_over"]
            ),
        )


def choices_of(queries: Iterable[AnsweredQuery], *, unit: int, law: NoiseLaw) -> Choices:
    """Reads what a run's scores and selections revealed.

    Of a marginal that was scored twice the first score counts: that there is a second one may depend on the first. Of one
    that was a candidate more than once the choice counts that was settled last, by the measurement of what it took (or at
    once, where it took nothing): of several measured together, the last one made. Each choice has its own share of what may
    go wrong.

    Guarantees: post-processing of specifications and answers. The shares add up to at most 1, and each depends on earlier
    answers only: of what is left of 1, a choice takes the part that it takes of what is left of the budget.

    Args:
        queries: of the run, in order.
        unit: fixed-point units that make one row.
        law: of the noise.
    """
    scored: dict[Clique, Scored] = {}
    passed: dict[Clique, PassedOver] = {}
    pending: list[tuple[AnsweredQuery, float, SelectSpecification, ScoredCandidate | None]] = []
    left = 1.0
    for query in queries:
        if query.kind == "score":
            for record in _scores(query, unit, law):
                scored.setdefault(record.clique, record)
        elif query.kind == "select":
            specification = SelectSpecification.from_bytes(query.specification)
            chosen = specification.candidates[int(query.values[0])]
            share = left * query.part
            left -= share
            if chosen.clique is None:
                passed |= _passed(query, share, specification, chosen.clique, None, unit)
            else:
                pending.append((query, share, specification, chosen))
        elif query.kind == "measure" and pending:
            measured = MeasureSpecification.from_bytes(query.specification)
            of = dict(zip(measured.cliques, query.values, strict=True))
            waiting = pending
            pending = []
            for asked, share, specification, candidate in waiting:
                if candidate is None or candidate.clique not in of:
                    pending.append((asked, share, specification, candidate))
                    continue
                worst = _worst(candidate, of[candidate.clique], measured, law)
                passed |= _passed(asked, share, specification, candidate.clique, worst, unit)
    return Choices(scored=tuple(scored.values()), passed_over=tuple(passed.values()))


def _scores(query: AnsweredQuery, unit: int, law: NoiseLaw) -> list[Scored]:
    specification = ScoreSpecification.from_bytes(query.specification)
    stddev = float(law.variance(specification.sigma_squared)) ** 0.5 / unit
    return [
        Scored(
            clique=c.clique or (),
            reference=query.place,
            rows=int(noisy) / (unit * weight),
            stddev=stddev / weight,
        )
        for c, noisy, weight in zip(
            specification.candidates, query.values[0], specification.weights, strict=True
        )
    ]


def _passed(
    query: AnsweredQuery,
    share: float,
    specification: SelectSpecification,
    chosen: Clique | None,
    worst: Worst | None,
    unit: int,
) -> dict[Clique, PassedOver]:
    scale = float(2 * specification.sensitivity / specification.epsilon / unit)
    return {
        c.clique: PassedOver(
            clique=c.clique,
            reference=query.place,
            weight=float(c.weight),
            bias=c.bias / unit,
            scale=scale,
            candidates=len(specification.candidates),
            share=share,
            worst=worst,
        )
        for c in specification.candidates
        if c.clique is not None and c.clique != chosen and c.weight > 0
    }


def _worst(
    candidate: ScoredCandidate, noisy: NDArray[np.int64], measured: MeasureSpecification, law: NoiseLaw
) -> Worst:
    unit = measured.unit
    reference = np.asarray(candidate.estimate, dtype=np.float64)
    return Worst(
        weight=float(candidate.weight),
        bias=candidate.bias / unit,
        cells=int(noisy.size),
        distance=float(np.abs(noisy - reference).sum()) / unit,
        variance=float(law.variance(measured.sigma_squared)) / unit**2,
        grain=1 / unit,
    )
