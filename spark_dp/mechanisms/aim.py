"""Round after round: measure the marginal that the model gets most wrong, and fit again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

import numpy as np

from spark_dp.errors import ConfigurationError
from spark_dp.graphical.estimation import Estimate, estimate
from spark_dp.graphical.junction_tree import GrowingTree
from spark_dp.graphical.projected_noise import Profile, unprojected_noise
from spark_dp.graphical.zeros import StructuralZeros
from spark_dp.mechanisms.candidates import Overlaps, countable_candidates
from spark_dp.mechanisms.protocol import (
    MechanismPlan,
    PlannedQuery,
    Progress,
    ask,
    measure_until,
    noise_of,
    one_way_cliques,
    planned_measurements,
    planned_selection,
)
from spark_dp.mechanisms.wide import require_choosable
from spark_dp.mechanisms.workload import Workload
from spark_dp.privacy.curator import Curator
from spark_dp.privacy.measurement import Measurement
from spark_dp.privacy.scoring import Candidate
from spark_dp.privacy.sensitivity import Contribution
from spark_dp.schema.domain import Clique, Domain

_STOP: Final = Candidate(clique=(), estimate=None)
_WEIGHT_BITS: Final = 20
_HOPELESS: Final = 4.0
"""A candidate is left out of a round where its noise, before projection, is so many times all rows."""

_ROUGH: Final = 0.02
"""The tolerance of a fit between rounds; the next round moves the model by more."""

_NOTE: Final = (
    "How many rounds there will be is not known: each chooses one marginal and measures it, and they get more of the budget "
    "where they bring little. The σ are those of twice as many rounds as columns; the first rounds have more noise, the "
    "last ones less. What the rounds leave, if nothing is worth its noise, measures the columns again."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AIMShares:
    """How rho is divided.

    Args:
        one_way: part of rho for the one-way marginals.
        selection: part of each round for choosing; the rest of it measures.
        rounds_per_column: rounds that the first noise would allow, a column; annealing makes them fewer.
    """

    one_way: Fraction = Fraction(1, 10)
    selection: Fraction = Fraction(1, 10)
    rounds_per_column: int = 16

    def __post_init__(self) -> None:
        if not (0 < self.one_way < 1 and 0 < self.selection < 1 and self.rounds_per_column >= 1):
            raise ConfigurationError(
                f"The shares {self.one_way} and {self.selection} lie between 0 and 1, and rounds_per_column = "
                f"{self.rounds_per_column} is at least 1.",
                field="mechanism.shares",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class AIM:
    """Selects, measures and fits in rounds, with a budget that anneals (McKenna et al. 2022, arXiv:2201.12677).

    The candidates are the cliques below the workload. In each round the exponential mechanism chooses the one that the
    model gets most wrong, by its importance to the workload times its L1 error less its noise. Where a
    marginal moved the model by less than its noise, the next rounds get four times the budget. The model may grow
    with the part of the budget that is used. Different from the reference:

    - The noise that is taken off a score is what is left of it after projection (`Profile`), with what was
      measured of the clique before.
    - To decline is a candidate, at the score 0: the rounds' budget is quadrupled with nothing measured, and
      when it is all that is left, the one-way marginals get it.
    - The one-way marginals' part is exact for any number of columns and rounds, and what is charged is what is measured.
    - The last round uses all that remains, to the last fraction.
    - Where no candidate fits the model, the one-way marginals get everything.

    Guarantees: a resumed run gives the same measurements: what a round asks depends on stored answers, and whether there
    is another one on exact fractions.
    """

    name: str = "aim"
    shares: AIMShares = field(default_factory=AIMShares)

    def plan(
        self,
        domain: Domain,
        *,
        rho: Fraction,
        contribution: Contribution,
        workload: Workload,
        max_cells: int,
        zeros: Sequence[StructuralZeros] = (),
    ) -> MechanismPlan:
        """Plans the one-way marginals and the rounds: of these there are about twice as many as columns."""
        columns = one_way_cliques(domain, rho=rho, max_cells=max_cells, zeros=zeros)
        candidates = countable_candidates(workload, max_cells, zeros)
        require_choosable(self.name, domain, candidates, 2 * len(domain))
        one_way = rho * self.shares.one_way if candidates else rho
        queries = list(planned_measurements(f"{self.name}/one-way", domain, columns, one_way, contribution))
        if candidates:
            rounds, rest = 2 * len(domain), rho - one_way
            select = planned_selection(
                f"{self.name}/rounds/select", candidates, rest * self.shares.selection / rounds, contribution
            )
            measure = rest * (1 - self.shares.selection)
            queries += [
                PlannedQuery(
                    name=select.name,
                    kind="select",
                    cliques=candidates,
                    rho=rest - measure,
                    stddev=select.stddev,
                ),
                PlannedQuery(
                    name=f"{self.name}/rounds/measure",
                    kind="measure",
                    cliques=candidates,
                    rho=measure,
                    stddev=noise_of(rounds, measure, contribution),
                ),
            ]
        return MechanismPlan(
            domain=domain,
            contribution=contribution,
            workload=workload,
            queries=tuple(queries),
            countable=(*columns, *candidates),
            max_cells=max_cells,
            rho=rho,
            notes=(_NOTE,) if candidates else (),
            zeros=tuple(zeros),
        )

    def measure(self, curator: Curator, plan: MechanismPlan, progress: Progress) -> tuple[Measurement, ...]:
        """Measures the columns, then chooses, measures and fits until nothing is left."""
        end = curator.remaining - plan.rho
        columns = [q for q in plan.queries if q.kind == "measure" and len(q.cliques[0]) == 1]
        found = list(ask(curator, columns, progress))
        candidates = next((q.cliques for q in plan.queries if q.kind == "select"), ())
        if not candidates:
            progress(f"{self.name}: no marginal of two columns is wanted that fits the model")
            return tuple(found)
        importance = importances(plan.workload, candidates)
        each = plan.rho * (1 - self.shares.one_way) / (self.shares.rounds_per_column * len(plan.domain))
        fitted = estimate(plan.domain, found, max_cells=plan.max_cells, tolerance=_ROUGH, zeros=plan.zeros)
        number, cells_with = 0, dict[Clique, int]()
        while curator.remaining > end:
            number += 1
            name, left = f"{self.name}/round-{number}", curator.remaining - end
            each = left if left < 2 * each else each
            sigma = noise_of(1, each * (1 - self.shares.selection), plan.contribution)
            used = 1 - (left - each) / plan.rho
            asked = _candidates(
                plan, importance, fitted, found, sigma, int(plan.max_cells * used), cells_with
            )
            if not asked:
                asked = _candidates(plan, importance, fitted, found, sigma, plan.max_cells, cells_with)
            if not asked:
                progress(f"{name}: no candidate is left that fits the model and is above its noise")
                break
            chosen = curator.select(f"{name}/select", [_STOP, *asked], rho=each * self.shares.selection)
            left = curator.remaining - end
            if chosen is None:
                progress(f"{name}: stop, nothing is worth a noise of {sigma:.4g} rows")
                if each >= left:
                    break
                each *= 4
                continue
            rho = left if left < each else each * (1 - self.shares.selection)
            measured = curator.measure(f"{name}/measure", [chosen], rho=rho)
            found += measured
            moved = _Movement.of(fitted, chosen)
            fitted = estimate(
                plan.domain,
                found,
                max_cells=plan.max_cells,
                warm_start=fitted,
                tolerance=_ROUGH,
                zeros=plan.zeros,
            )
            anneals = moved.below(fitted, measured[0].stddev)
            each = each * 4 if anneals else each
            progress(
                f"{name}: {' x '.join(chosen)}, noise of {measured[0].stddev:.4g} rows, "
                f"{float((curator.remaining - end) / plan.rho):.1%} of the budget left, model of "
                f"{fitted.model.cells:,} cells" + (", less noise from now on" if anneals else "")
            )
        again = f"{self.name}/one-way-again"
        return (*found, *measure_until(curator, plan, again, (), end, progress))


def importances(workload: Workload, candidates: Sequence[Clique]) -> dict[Clique, Fraction]:
    """Returns how much each candidate matters to the workload, at most 1, rounded to a rational."""
    overlaps = Overlaps(workload, candidates)
    raw = {clique: overlaps.importance(clique) for clique in candidates}
    largest = max(raw.values())
    return {
        clique: Fraction(round(value / largest * (1 << _WEIGHT_BITS)), 1 << _WEIGHT_BITS)
        for clique, value in raw.items()
    }


def _candidates(
    plan: MechanismPlan,
    importance: Mapping[Clique, Fraction],
    fitted: Estimate,
    found: Sequence[Measurement],
    sigma: float,
    max_cells: int,
    cells_with: dict[Clique, int],
) -> list[Candidate]:
    """Returns those with which the model keeps within max_cells, what it holds already among them.

    A candidate whose noise exceeds every error that there can be is left out, so that no large marginal is computed in vain.

    Args:
        cells_with: of the model with each candidate, as far as earlier rounds worked it out; renewed here.
    """
    held = [*(m.clique for m in found), *(zero.clique for zero in plan.zeros)]
    tree = GrowingTree(plan.domain, held)
    rows = max(fitted.model.total, 1.0)
    precisions: dict[Clique, float] = {}
    for measured in found:
        precisions[measured.clique] = precisions.get(measured.clique, 0.0) + measured.stddev**-2
    allowed = [
        clique
        for clique in importance
        if unprojected_noise(plan.domain.cells(clique), sigma) <= _HOPELESS * rows
        and _fits(plan, tree, clique, max_cells, cells_with)
    ]
    marginals = fitted.model.marginals(allowed)
    return [
        Candidate(
            clique=clique,
            estimate=marginals[clique],
            bias=Profile.of(marginals[clique]).noise((sigma**-2 + precisions.get(clique, 0.0)) ** -0.5),
            weight=importance[clique],
        )
        for clique in allowed
    ]


def _fits(
    plan: MechanismPlan, tree: GrowingTree, clique: Clique, max_cells: int, cells_with: dict[Clique, int]
) -> bool:
    """Whether the model may grow by the clique; one that it holds already is free of the round's limit.

    The model only grows, and so what did not fit an earlier one is not sized again until the limit allows for that much.
    """
    if tree.holds(clique):
        return tree.rebuilt_with(clique) <= plan.max_cells
    if cells_with.get(clique, 0) > max_cells:
        return False
    cells_with[clique] = tree.cells_with(clique)
    return cells_with[clique] <= max_cells


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Movement:
    """Where the model stood in one marginal before it was measured."""

    clique: Clique
    before: np.ndarray[tuple[int, ...], np.dtype[np.float64]]

    @classmethod
    def of(cls, fitted: Estimate, clique: Clique) -> _Movement:
        return cls(clique=clique, before=fitted.model.marginal(clique))

    def below(self, fitted: Estimate, sigma: float) -> bool:
        """Whether a measurement of this noise has moved the model by no more than the noise alone would have."""
        after = fitted.model.marginal(self.clique)
        return float(np.abs(after - self.before).sum()) <= Profile.of(after).noise(sigma)
