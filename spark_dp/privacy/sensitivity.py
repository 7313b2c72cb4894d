"""The one place where sensitivities come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from spark_dp.errors import ConfigurationError, InternalError


class Neighbours(StrEnum):
    """Which pairs of tables the promise makes hard to tell apart."""

    ADD_REMOVE = "add_remove"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """What one privacy unit can contribute after bounding.

    A row falls into exactly one cell of each marginal. A unit of weight at most k rows, k * unit in fixed
    point, therefore moves one marginal by at most k * unit in L1, and as much in L2 when its rows share a
    cell.

    Attributes:
        max_rows: k, the weight in rows that a unit is bounded to.
        unit: fixed-point units that make one row; 1 when nothing is weighted.
        neighbours: add or remove a whole unit, or replace it by another.
    """

    max_rows: int
    unit: int
    neighbours: Neighbours

    def __post_init__(self) -> None:
        for name, value in (("max_rows", self.max_rows), ("unit", self.unit)):
            if type(value) is not int or value < 1:
                raise ConfigurationError(
                    f"A unit's contribution needs a positive integer {name}, and not {value!r}. Nothing "
                    "was spent.",
                    field="privacy.unit.max_rows",
                )
        if not isinstance(self.neighbours, Neighbours):
            raise ConfigurationError(
                f"neighbours is one of {[n.value for n in Neighbours]}, and not {self.neighbours!r}.",
                field="privacy.neighbours",
            )

    @property
    def weight(self) -> int:
        """The largest weight of a unit in fixed point."""
        return self.max_rows * self.unit

    def marginals_l2_squared(self, count: int) -> int:
        """Returns the squared L2 sensitivity of `count` marginals measured jointly, in fixed point.

        Sensitivity: adding or removing a unit moves each marginal by at most weight in L2, so that the
        squares add up to weight^2 * count. Replacing moves each by a difference of two non-negative vectors
        of L2 norm at most weight, which is at most sqrt(2) * weight.
        """
        if count < 1:
            raise InternalError(f"A sensitivity was asked for of {count} marginals. Nothing was drawn.")
        factor = 2 if self.neighbours is Neighbours.REPLACE else 1
        return factor * self.weight**2 * count

    def score(self, max_weight: Fraction) -> Fraction:
        """Returns the sensitivity of scores w * (L1 distance to a fixed array - bias), all w <= max_weight.

        Sensitivity: by the triangle inequality a score moves by at most w times the marginal's L1 movement,
        which is weight when a unit is added or removed and twice that when one is replaced. Estimates, biases
        and weights have to come from earlier private outputs or from the declared domain.
        """
        if max_weight < 0:
            raise InternalError(
                f"A sensitivity was asked for at the negative weight {max_weight}. Nothing was drawn."
            )
        factor = 2 if self.neighbours is Neighbours.REPLACE else 1
        return factor * self.weight * Fraction(max_weight)

    def scores_l2_squared(self, weights: Sequence[int]) -> int:
        """Returns the squared L2 sensitivity of the scores w * (L1 distance to a fixed array), jointly.

        Sensitivity: each score moves by at most `score(w)`, and all may do so at once, since the rows of a unit
        fall into a cell of every marginal. The squares add up: (k w)^2 each when a unit is added or removed,
        (2 k w)^2 when one is replaced. (Not twice the first, as for marginals: a distance is moved by the L1
        movement of the marginal, and that doubles.)
        """
        if not weights or min(weights) < 1:
            raise InternalError("Joint scores need weights of at least 1. Nothing was drawn.")
        factor = 4 if self.neighbours is Neighbours.REPLACE else 1
        return factor * self.weight**2 * sum(weight**2 for weight in weights)


def values_l2_squared(per_unit: int, neighbours: Neighbours) -> int:
    """Returns the squared L2 sensitivity of the numbers of units that have each value, `per_unit` values a unit.

    Sensitivity: adding or removing a unit moves at most per_unit counts by 1, the L2 distance of which is its root.
    Replacing one moves at most per_unit counts up and as many down.
    """
    if type(per_unit) is not int or per_unit < 1:
        raise InternalError(f"A sensitivity was asked for of {per_unit!r} values a unit. Nothing was drawn.")
    return (2 if neighbours is Neighbours.REPLACE else 1) * per_unit
