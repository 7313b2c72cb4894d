"""What a round of AIM chooses from: the candidates that fit the model, and what each of their marginals is thought to be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from math import prod
from typing import Final

import numpy as np

from spark_dp.graphical.deviations import folded_inverse
from spark_dp.graphical.estimation import Estimate
from spark_dp.graphical.junction_tree import GrowingTree
from spark_dp.graphical.projected_noise import Profile, unprojected_noise
from spark_dp.mechanisms.protocol import MechanismPlan
from spark_dp.mechanisms.wide import COMPARED_CELLS
from spark_dp.privacy.measurement import Measurement
from spark_dp.privacy.scoring import Candidate
from spark_dp.schema.domain import Clique

_HOPELESS: Final = 4.0
"""A candidate is left out of a round where its noise, before projection, is so many times all rows."""


class Contenders:
    """The candidates of one run, round after round, with what earlier rounds worked out about the model's size.

    Args:
        plan: of the run.
        importance: of each candidate to the workload.
        compared_cells: of all marginals that a round looks at; the largest beyond that are left out of it.
    """

    def __init__(
        self,
        plan: MechanismPlan,
        importance: Mapping[Clique, Fraction],
        *,
        compared_cells: int | None = None,
    ) -> None:
        self._plan, self._importance = plan, dict(importance)
        self._smallest_first = sorted(importance, key=plan.domain.cells)
        self._compared = compared_cells or COMPARED_CELLS // (2 * len(plan.domain))
        self._tree = GrowingTree(plan.domain, [zero.clique for zero in plan.zeros])
        self._grown = 0
        self._too_large: dict[Clique, int] = {}

    def candidates(
        self, fitted: Estimate, found: Sequence[Measurement], sigma: float, max_cells: int
    ) -> list[Candidate]:
        """Returns those with which the model keeps within max_cells, what it holds already among them.

        A candidate whose noise exceeds every error that there can be is left out, so that no large marginal is computed in
        vain.

        Args:
            fitted: to all of `found`.
            found: measurements so far; at each call those of the last one and maybe more.
            sigma: of the noise that a measurement would have, in rows.
            max_cells: the round's limit, at most the plan's.
        """
        for measured in found[self._grown :]:
            self._tree = self._tree.grown(measured.clique)
        self._grown = len(found)
        allowed = set(self._worth_looking_at(max(fitted.model.total, 1.0), sigma, max_cells))
        asked = [clique for clique in self._importance if clique in allowed]
        precisions: dict[Clique, float] = {}
        for measured in found:
            precisions[measured.clique] = precisions.get(measured.clique, 0.0) + measured.stddev**-2
        marginals = fitted.model.marginals(asked)
        left = _Left(fitted, found) if self._plan.zeros else None
        return [
            Candidate(
                clique=clique,
                estimate=marginals[clique],
                bias=Profile.of(marginals[clique]).noise((sigma**-2 + precisions.get(clique, 0.0)) ** -0.5)
                + (left.within(clique) if left else 0.0),
                weight=self._importance[clique],
            )
            for clique in asked
        ]

    def _worth_looking_at(self, rows: float, sigma: float, max_cells: int) -> Iterable[Clique]:
        left = self._compared
        for clique in self._smallest_first:
            cells = self._plan.domain.cells(clique)
            left -= cells
            if left < 0 or unprojected_noise(cells, sigma) > _HOPELESS * rows:
                break
            if self.fits(clique, max_cells):
                yield clique

    def fits(self, clique: Clique, max_cells: int) -> bool:
        """Whether the model may grow by the clique; one that it holds already is free of the round's limit.

        The model only grows, and so what did not fit an earlier one is not sized again until the limit allows for that much.
        """
        tree = self._tree
        limit = self._plan.max_cells if tree.holds(clique) else max_cells
        if self._too_large.get(clique, 0) > limit:
            return False
        self._too_large.pop(clique, None)
        if tree.at_most_with(clique) <= limit:
            return True
        cells = tree.rebuilt_with(clique)
        if cells > limit:
            self._too_large[clique] = cells
        return cells <= limit


class _Left:
    """What a fit leaves of the measurements beyond their noise: rows that structural zeros contradict.

    To measure once more what no allowed model can agree with teaches nothing.

    Args:
        fitted: to `found`.
        found: measurements.
    """

    def __init__(self, fitted: Estimate, found: Sequence[Measurement]) -> None:
        marginals = fitted.model.marginals([m.clique for m in found])
        self._residuals = [(m.clique, marginals[m.clique] - m.values, m.stddev) for m in found]
        self._known: dict[tuple[int, Clique], float] = {}

    def within(self, clique: Clique) -> float:
        """Returns by how much the model is off, in rows of L1, in the parts of a clique that were measured."""
        return max((self._of(i, clique) for i in range(len(self._residuals))), default=0.0)

    def _of(self, number: int, clique: Clique) -> float:
        measured, residual, stddev = self._residuals[number]
        shared = tuple(a for a in measured if a in clique)
        if not shared:
            return 0.0
        if (number, shared) not in self._known:
            lost = tuple(i for i, a in enumerate(measured) if a not in shared)
            part = residual.sum(axis=lost)
            spread = prod(residual.shape[i] for i in lost)
            mean = float(np.abs(part).mean())
            self._known[number, shared] = part.size * folded_inverse(mean, stddev * spread**0.5)
        return self._known[number, shared]
