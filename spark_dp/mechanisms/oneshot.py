"""Everything in one shot, all Gaussian: score all candidates at once, choose a set, measure it together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from spark_dp.errors import ConfigurationError
from spark_dp.graphical.estimation import Estimate, estimate
from spark_dp.graphical.model import GraphicalModel
from spark_dp.graphical.projected_noise import Profile, unprojected_noise
from spark_dp.graphical.zeros import StructuralZeros
from spark_dp.mechanisms.candidates import Overlaps, countable_candidates
from spark_dp.mechanisms.choice import Choice, Situation
from spark_dp.mechanisms.protocol import (
    MechanismPlan,
    PlannedQuery,
    Progress,
    ask,
    measure_until,
    noise_of,
    one_way_cliques,
    planned_measurements,
    planned_scores,
)
from spark_dp.mechanisms.workload import Workload
from spark_dp.privacy.curator import Curator
from spark_dp.privacy.measurement import Measurement
from spark_dp.privacy.scoring import Candidate, NoisyDistance
from spark_dp.privacy.sensitivity import Contribution
from spark_dp.schema.domain import Clique, Domain

SCORED_CELLS = 4_000_000
"""Cells of the estimates in one scoring query, which keeps its specification at 32 MB."""

_NOTE = (
    "score measures how wrong the model of independent columns is in each of these marginals; its σ is the noise of such "
    "an error. The set that helps most is then measured together, columns among it if they are worth it; how many that "
    "are is not known, and the σ given is that of twice as many as there are columns: fewer have less noise each."
)

_HOPELESS = 4.0
"""A candidate is dropped where its noise, if it shared with half as many as there are columns, is so many times all rows."""

_BLIND = 0.5
"""Errors are not asked for where their noise is this part of all rows: an error is at most twice the rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OneShotShares:
    """How rho is divided; the rest measures what was chosen.

    Args:
        one_way: part of rho for the one-way marginals.
        score: part of what is left that scores the candidates, in each shot.
        shots: how often candidates are scored, chosen and measured; each shot takes half of what the one before took.
    """

    one_way: Fraction = Fraction(1, 10)
    score: Fraction = Fraction(1, 20)
    shots: int = 1

    def __post_init__(self) -> None:
        if not (0 < self.one_way < 1 and 0 < self.score < 1 and self.shots >= 1):
            raise ConfigurationError(
                f"The shares {self.one_way} and {self.score} lie between 0 and 1, and shots = {self.shots} is "
                "at least 1.",
                field="mechanism.shares",
            )

    @property
    def parts(self) -> tuple[Fraction, ...]:
        """The parts of the shots in what the columns leave; they add up to 1."""
        whole = (1 << self.shots) - 1
        return tuple(Fraction(1 << (self.shots - 1 - shot), whole) for shot in range(self.shots))


@dataclass(frozen=True, slots=True, kw_only=True)
class OneShot:
    """Measures one-way marginals, scores all candidates at once, and measures the best set together.

    Every query is Gaussian, so that few queries share the budget and its accounting is exactly Gaussian. The idea
    of scoring and measuring at once is SWIFT's (dpsynth, 2026); what is chosen and how differs:

    - The set is the one with the least expected error of the whole workload (`Situation.choose`): each candidate is
      credited with what it explains of every clique of the workload, once, and charged its noise.
    - Noise is what is left of it after projection, by the model's own idea of which cells are empty (`Profile`).
    - Scores are shrunk by their known noise before the best are taken.
    - Loops are allowed: any set whose junction tree is within the model's size.
    - Columns are candidates too: on a small table they get most of the budget, on a large one none; and all of it where
      nothing else is worth its noise.

    All that the set depends on are earlier noisy outputs and declared sizes.
    """

    name: str = "oneshot"
    shares: OneShotShares = field(default_factory=OneShotShares)

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
        """Plans one measurement of all columns, and for each shot a scoring and a measurement of what is chosen."""
        columns = one_way_cliques(domain, rho=rho, max_cells=max_cells, zeros=zeros)
        candidates = countable_candidates(workload, max_cells, zeros)
        one_way = rho * self.shares.one_way if candidates else rho
        queries = list(planned_measurements(f"{self.name}/one-way", domain, columns, one_way, contribution))
        if candidates:
            for shot, part in zip(self._shots(), self.shares.parts, strict=True):
                each = (rho - one_way) * part
                score = each * self.shares.score
                queries.append(planned_scores(f"{shot}score", candidates, score, contribution))
                chosen = min(2 * len(domain), len(candidates))
                queries.append(
                    PlannedQuery(
                        name=f"{shot}chosen",
                        kind="measure",
                        cliques=candidates,
                        rho=each - score,
                        stddev=noise_of(chosen, each - score, contribution),
                    )
                )
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
        """Measures, then scores, chooses and measures, once a shot."""
        end = curator.remaining - plan.rho
        scores = [query for query in plan.queries if query.kind == "score"]
        columns = [q for q in plan.queries if q.kind == "measure" and len(q.cliques[0]) == 1]
        found = list(ask(curator, columns, progress))
        overlaps = Overlaps(plan.workload, scores[0].cliques) if scores else None
        fitted: Estimate | None = None
        for number, (query, shot) in enumerate(zip(scores, self._shots(), strict=False)):
            if overlaps is None or curator.remaining <= end:
                break
            later = sum(self.shares.parts[number + 1 :], Fraction(0))
            until = end + plan.rho * (1 - self.shares.one_way) * later
            fitted = estimate(
                plan.domain, found, max_cells=plan.max_cells, warm_start=fitted, zeros=plan.zeros
            )
            found += self._shoot(curator, plan, query, shot, until, fitted, found, overlaps, progress)
        return (*found, *measure_until(curator, plan, f"{self.name}/one-way-again", (), end, progress))

    def _shoot(
        self,
        curator: Curator,
        plan: MechanismPlan,
        query: PlannedQuery,
        shot: str,
        until: Fraction,
        fitted: Estimate,
        found: Sequence[Measurement],
        overlaps: Overlaps,
        progress: Progress,
    ) -> Iterator[Measurement]:
        """Scores the candidates and measures the set that is expected to help most."""
        model, domain = fitted.model, plan.domain
        rows = max(model.total, 1.0)
        if query.stddev > _BLIND * rows:
            progress(
                f"{query.name}: not asked, a noise of {query.stddev:.4g} rows in each error would tell nothing"
            )
            return
        some = noise_of(max(len(domain) // 2, 1), query.rho / self.shares.score, plan.contribution)
        worth = [c for c in query.cliques if unprojected_noise(domain.cells(c), some) <= _HOPELESS * rows]
        distances, profiles = _score(curator, query, model, worth, curator.remaining - query.rho, progress)
        precisions: dict[Clique, float] = {}
        for measured in found:
            earlier = precisions.get(measured.clique, 0.0)
            precisions[measured.clique] = earlier + measured.stddev**-2
        for column in [(attribute,) for attribute in domain]:
            # What a column is off by follows from its noise: it is a candidate that needs no score.
            profiles[column] = Profile.of(model.marginal(column))
            off = profiles[column].noise(precisions[column] ** -0.5)
            distances.append(NoisyDistance(clique=column, rows=off, stddev=0.0))
        situation = Situation(
            domain=domain,
            overlaps=overlaps,
            profiles=profiles,
            distances=distances,
            precisions=precisions,
            measured=[*(m.clique for m in found), *(zero.clique for zero in plan.zeros)],
            rows=rows,
            max_cells=plan.max_cells,
        )
        left = curator.remaining - until
        choice = situation.choose(noise_of(1, left, plan.contribution)) if left > 0 else None
        if choice is None or not choice.cliques:
            progress(f"{shot}chosen: none of {len(distances)} candidates is worth its noise")
            return
        progress(
            f"{shot}chosen: {len(choice.cliques)} of {len(distances)} candidates, "
            f"{', '.join(' x '.join(clique) for clique in choice.cliques[:5])} first"
        )
        sizes = _sizes(choice, profiles)
        yield from measure_until(curator, plan, f"{shot}chosen", choice.cliques, until, progress, sizes=sizes)

    def _shots(self) -> list[str]:
        """The beginnings of the shots' query names."""
        numbers = range(1, self.shares.shots + 1)
        return [f"{self.name}/" if self.shares.shots == 1 else f"{self.name}/shot-{i}-" for i in numbers]


def _sizes(choice: Choice, profiles: dict[Clique, Profile]) -> dict[Clique, float]:
    """Returns the cells of each chosen marginal that noise will be left in."""
    alone = unprojected_noise(1.0, choice.sigma)
    return {clique: profiles[clique].noise(choice.sigma) / alone for clique in choice.cliques}


def _score(
    curator: Curator,
    query: PlannedQuery,
    model: GraphicalModel,
    candidates: Sequence[Clique],
    until: Fraction,
    progress: Progress,
) -> tuple[list[NoisyDistance], dict[Clique, Profile]]:
    """Scores candidates, as many at a time as a specification should hold, down to `until`.

    In parts of the budget by their numbers all get the noise of one joint query. A replay takes the
    stored queries, so that the loop follows what was spent and not what would be asked today. The model's marginals are
    made for one batch at a time, and only how their rows are spread is kept of them.
    """
    batches = _batches(model.domain, candidates)
    found: list[NoisyDistance] = []
    profiles: dict[Clique, Profile] = {}
    place = 0
    while candidates and curator.remaining > until:
        batch = batches[min(place, len(batches) - 1)]
        last = place >= len(batches) - 1
        share = curator.remaining - until if last else query.rho * len(batch) / len(candidates)
        place += 1
        marginals = model.marginals(batch)
        scored = curator.score(
            f"{query.name}-{place}", [Candidate(clique=c, estimate=marginals[c]) for c in batch], rho=share
        )
        marginals |= model.marginals([d.clique for d in scored if d.clique not in marginals])
        profiles |= {d.clique: Profile.of(marginals[d.clique]) for d in scored}
        found += scored
    if found:
        progress(f"{query.name}: {len(found)} candidates, noise of {found[0].stddev:.4g} rows in each error")
    return found, profiles


def _batches(domain: Domain, candidates: Sequence[Clique]) -> list[list[Clique]]:
    batches: list[list[Clique]] = []
    held = 0
    for candidate in candidates:
        cells = domain.cells(candidate)
        if not batches or held + cells > SCORED_CELLS:
            batches.append([])
            held = 0
        batches[-1].append(candidate)
        held += cells
    return batches
