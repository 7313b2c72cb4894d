"""Scores of candidate cliques, rounded first and exact after."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spark_dp.errors import InternalError
from spark_dp.privacy.queries import ScoredCandidate
from spark_dp.schema.domain import Clique, Domain

_LARGEST: Final = 2.0**62
LARGEST_DISTANCE: Final = 2**62


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """A clique that a mechanism may select, scored weight * (L1(estimate - exact marginal) - bias).

    Estimate, bias and weight come from earlier private outputs or from the declared domain.

    Attributes:
        clique: the attributes. The empty clique without an estimate means to stop: its score is exactly 0 and
            depends on nothing, so that a mechanism may decline.
        estimate: the model's marginal in rows, float64, shape domain.shape(clique).
        bias: in rows.
        weight: rational, at least 0.
    """

    clique: Clique
    estimate: NDArray[np.float64] | None
    bias: float = 0.0
    weight: Fraction | int = 1

    @property
    def stops(self) -> bool:
        """Whether choosing it means to stop."""
        return self.clique == () and self.estimate is None


def round_candidates(
    candidates: Sequence[Candidate], domain: Domain, unit: int
) -> tuple[ScoredCandidate, ...]:
    """Rounds estimates and biases to fixed point, before any exact count is read.

    Raises:
        InternalError: a candidate does not fit the domain, is not finite, is given twice, or there is none.
    """
    if not candidates:
        raise InternalError(
            "A selection needs at least one candidate. Nothing was spent and nothing was drawn."
        )
    if len({candidate.clique for candidate in candidates}) != len(candidates):
        raise InternalError(
            "A selection's candidates are distinct cliques. Nothing was spent and nothing was drawn."
        )
    return tuple(_round(candidate, domain, unit) for candidate in candidates)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoisyDistance:
    """How far an estimate is from its marginal, with noise.

    Attributes:
        clique: of the marginal.
        rows: L1 distance in rows plus noise; may be negative.
        stddev: of the noise, in rows.
    """

    clique: Clique
    rows: float
    stddev: float


def weighted_distance(candidate: ScoredCandidate, counts: NDArray[np.int64]) -> int:
    """Returns weight * L1 distance in fixed point, cut at LARGEST_DISTANCE so that it fits 64 bits with noise.

    Sensitivity: that of the distance, times the weight: cutting at a constant moves two values no further apart.
    """
    if candidate.estimate is None:
        raise InternalError("A candidate without an estimate has no distance. Nothing was drawn.")
    return min(int(candidate.weight) * l1_distance(counts, candidate.estimate), LARGEST_DISTANCE)


def l1_distance(counts: NDArray[np.int64], estimate: NDArray[np.int64]) -> int:
    """Returns the exact sum of absolute differences, which may exceed 64 bits.

    Args:
        counts: exact, in [0, 2^62).
        estimate: of the same shape, in [-2^62, 2^62].
    """
    return exact_sum(np.abs(counts - estimate))  # each below 2^63 for arrays in these ranges


def exact_sum(values: NDArray[np.int64]) -> int:
    """Returns the sum of up to 2^31 integers, which may exceed 64 bits: halves of words are summed apart."""
    high = int(np.sum(values >> 32, dtype=np.int64))
    low = int(np.sum(values & 0xFFFFFFFF, dtype=np.int64))
    return (high << 32) + low


def score(candidate: ScoredCandidate, counts: NDArray[np.int64] | None) -> Fraction:
    """Returns a candidate's exact score in fixed point.

    Sensitivity: Contribution.score(candidate.weight); 0 for the candidate that stops.
    """
    if candidate.estimate is None or counts is None:
        return Fraction(0)
    return candidate.weight * (l1_distance(counts, candidate.estimate) - candidate.bias)


def _round(candidate: Candidate, domain: Domain, unit: int) -> ScoredCandidate:
    if (
        not isinstance(candidate.weight, int | Fraction)
        or isinstance(candidate.weight, bool)
        or candidate.weight < 0
    ):
        raise InternalError(
            f"Candidate {candidate.clique} needs a rational weight of at least 0. Nothing was drawn."
        )
    if candidate.stops:
        return ScoredCandidate(clique=None, estimate=None, bias=0, weight=Fraction(0))
    estimate = candidate.estimate
    found = None if estimate is None else np.shape(estimate)
    if estimate is None or found != domain.shape(candidate.clique):
        raise InternalError(
            f"The estimate of candidate {candidate.clique} has shape {found}, and its marginal "
            f"{domain.shape(candidate.clique)}. Nothing was drawn."
        )
    scaled = np.rint(np.asarray(estimate, dtype=np.float64) * unit)
    bias = float(candidate.bias) * unit
    if not math.isfinite(bias) or not bool(np.all(np.abs(scaled) <= _LARGEST)):
        raise InternalError(
            f"Candidate {candidate.clique} has an estimate or bias that is not finite or too large."
        )
    return ScoredCandidate(
        clique=tuple(candidate.clique),
        estimate=scaled.astype(np.int64),
        bias=round(bias),
        weight=Fraction(candidate.weight),
    )
