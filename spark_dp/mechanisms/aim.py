"""Round after round: measure the marginal that the model gets most wrong, and fit again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

import numpy as np

from spark_dp.errors import ConfigurationError
from spark_dp.graphical.estimation import Estimate, estimate
from spark_dp.graphical.projected_noise import Profile
from spark_dp.graphical.zeros import StructuralZeros
from spark_dp.mechanisms.candidates import Overlaps, countable_candidates
from spark_dp.mechanisms.contenders import Contenders
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
_ROUGH: Final = 0.02
"""The tolerance of a fit between rounds; the next round moves the model by more."""

_STEPS: Final = 10
"""Of a fit between rounds at most: what is left to do the next one does, from where this one ended."""

_NOTE: Final = (
    "How many rounds there will be is not known: each chooses one marginal and measures it, and they get more of the budget "
    "where they bring little. The σ are those of twice as many rounds as columns; the first rounds have more noise, the "
    "last ones less. A round may also choose a column again; what the rounds leave, if nothing is worth its noise, measures "
    "all columns again."
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
    rounds_per_column: int = 4

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
    with the part of the budget that is used, squared. Different from the reference:

    - Columns are measured first, and are candidates as well.
    - The noise that is taken off a score is what is left of it after projection (`Profile`), with what was
      measured of the clique before.
    - To decline is a candidate, at the score 0: the rounds' budget is quadrupled with nothing measured, and
      when it is all that is left, the one-way marginals get it.
    - The one-way marginals' part is exact for any number of columns and rounds, and what is charged is what is measured.
    - The last round uses all that remains, to the last fraction.
    - Where no candidate fits the model, the one-way marginals get everything.
    - What no model that obeys the structural zeros can agree with is taken off the scores (`Contenders`).
    - Fits between rounds are rough: they take few steps from the last one's potentials.

    Guarantees: a resumed run gives the same measurements: what a round asks, and whether there is another one, depends on
    stored answers and exact fractions. Two comparisons are of floats: where another machine rounds them otherwise just at
    their border, the run is refused, and nothing is drawn anew.
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
        require_choosable(self.name, domain, [c for c in candidates if len(c) == 2], 2 * len(domain))
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
                    rounds=rounds,
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
        every = importances(plan.workload, [*((a,) for a in plan.domain), *candidates])
        importance = {clique: weight for clique, weight in every.items() if weight}
        each = plan.rho * (1 - self.shares.one_way) / (self.shares.rounds_per_column * len(plan.domain))
        fitted = estimate(plan.domain, found, max_cells=plan.max_cells, tolerance=_ROUGH, zeros=plan.zeros)
        contenders = Contenders(plan, importance)
        number = 0
        while curator.remaining > end:
            number += 1
            name, left = f"{self.name}/round-{number}", curator.remaining - end
            each = left if left < 2 * each else each
            sigma = noise_of(1, each * (1 - self.shares.selection), plan.contribution)
            used = 1 - (left - each) / plan.rho
            asked = contenders.candidates(fitted, found, sigma, int(plan.max_cells * used**2))
            if not asked:
                asked = contenders.candidates(fitted, found, sigma, plan.max_cells)
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
            if curator.remaining <= end:
                progress(
                    f"{name}: {' x '.join(chosen)}, noise of {measured[0].stddev:.4g} rows, all of the budget used"
                )
                break
            moved = _Movement.of(fitted, chosen)
            fitted = estimate(
                plan.domain,
                found,
                max_cells=plan.max_cells,
                warm_start=fitted,
                tolerance=_ROUGH,
                max_iterations=_STEPS,
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
    raw = Overlaps(workload, candidates).importances(candidates)
    scaled = np.rint(raw / raw.max() * (1 << _WEIGHT_BITS))
    return {
        clique: Fraction(int(value), 1 << _WEIGHT_BITS)
        for clique, value in zip(candidates, scaled, strict=True)
    }


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
