"""How wrong a model may be in a marginal that nothing measured: what choosing revealed about it."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt
from typing import Protocol

from scipy.stats import norm

from spark_dp.graphical.deviations import folded_inverse
from spark_dp.privacy.choices import PassedOver, Scored, Worst
from spark_dp.schema.domain import Clique


class Unmeasured(Protocol):
    """Something that is known of the L1 error of a marginal."""

    @property
    def clique(self) -> Clique:
        """Of the marginal."""
        ...

    @property
    def expected(self) -> float:
        """A best guess of the error of the model, in rows."""
        ...

    def bound(self, alpha: float) -> float:
        """Returns what the model's L1 error in rows is at most, with probability 1 - alpha."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredError:
    """A noisy error of a reference, and how far the model is from that.

    Attributes:
        record: of the score.
        moved: L1 distance of the model's marginal from the reference, in rows.
    """

    record: Scored
    moved: float

    @property
    def clique(self) -> Clique:
        return self.record.clique

    @property
    def expected(self) -> float:
        """What is left of the reference's error: squares add up about as information does (Pinsker)."""
        return _left_of(self.record.rows, self.moved)

    def bound(self, alpha: float) -> float:
        """Triangle: what the reference is off by, one-sided, and how far the model has moved."""
        return max(self.record.rows + float(norm.isf(alpha)) * self.record.stddev, 0.0) + self.moved


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedOverError:
    """What follows from a choice that took another candidate, or none.

    Attributes:
        record: of the choice.
        moved: L1 distance of the model's marginal from the reference, in rows.
    """

    record: PassedOver
    moved: float

    @property
    def clique(self) -> Clique:
        return self.record.clique

    @property
    def expected(self) -> float:
        """As if the choice were exact and the measurement of what was chosen typical: rather too much."""
        worst = self.record.worst
        score = 0.0 if worst is None else worst.weight * (_off(worst, 0.0) - worst.bias)
        return _left_of(self.record.bias + score / self.record.weight, self.moved)

    def bound(self, alpha: float) -> float:
        """The chosen one's score at most, what the exponential mechanism may fall short by, and the triangle.

        McKenna et al. 2022, Theorem 4, sharpened: the noise in the measurement of what was chosen is taken off
        (`folded_inverse`), and the choice gets its share of alpha. docs/mechanisms.md, "Error bars".
        """
        found, part = self.record, alpha * self.record.share
        score = 0.0
        if found.worst is not None:
            part /= 2
            deviations = sqrt(2 * log(1 / part))
            score = found.worst.weight * (_off(found.worst, deviations) - found.worst.bias)
        score += found.scale * (log(found.candidates) + log(1 / part))
        return max(found.bias + score / found.weight, 0.0) + self.moved


def _off(worst: Worst, deviations: float) -> float:
    """Returns the L1 error of a reference at most, from its noisy distance, so many deviations of that allowed for."""
    noisy = worst.distance + deviations * sqrt(worst.variance * worst.cells)
    # E |integer noise| is that of a normal law whose variance is less by 1/6 (discrete) or 1/12 and that of rounding.
    sigma = sqrt(max(worst.variance - worst.grain**2 / 6, 0.0))
    return worst.cells * folded_inverse(noisy / worst.cells, sigma)


def _left_of(rows: float, moved: float) -> float:
    return sqrt(max(max(rows, 0.0) ** 2 - moved**2, 0.0))
