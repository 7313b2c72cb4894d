"""What a mechanism is: a plan that is public, and queries to the curator that follow it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import sqrt
from typing import Literal, Protocol

from spark_dp.errors import ConfigurationError, DomainTooLargeError
from spark_dp.graphical.junction_tree import build_junction_tree
from spark_dp.graphical.zeros import StructuralZeros
from spark_dp.mechanisms.allocation import allot
from spark_dp.mechanisms.workload import Workload
from spark_dp.privacy.curator import Curator
from spark_dp.privacy.measurement import Measurement
from spark_dp.privacy.sensitivity import Contribution
from spark_dp.schema.domain import Clique, Domain

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedQuery:
    """One query as it is expected, before any is asked.

    Attributes:
        name: under which it is charged.
        kind: 'measure', 'select' or 'score'.
        cliques: what is measured or chosen from; for a measurement of chosen cliques, all that may be chosen.
        rho: what it may cost; a measurement of chosen cliques also gets what the choices leave, and is asked
            in groups of similar size.
        stddev: noise of each cell in rows, on average where groups differ; for a score, noise of each candidate's L1
            error in rows; for a selection, the scale of its choice in rows: a candidate that is worse by this
            much is e times less likely.
        rounds: how many there are of it, about, where that is not known and each fits the model again; else 1.
    """

    name: str
    kind: Literal["measure", "select", "score"]
    cliques: tuple[Clique, ...]
    rho: Fraction
    stddev: float
    rounds: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class MechanismPlan:
    """What a mechanism will ask: a pure function of the configuration.

    Guarantees: the queries that are asked cost at most `rho` together; none asks for a clique outside
    `countable`.

    Attributes:
        domain: of the table.
        contribution: what bounding guarantees.
        workload: what should be good.
        queries: in the order in which they will be asked.
        countable: all marginals that the source may be asked for.
        max_cells: the most cells that the model may have.
        rho: what may be spent.
        notes: what the user should know of the queries, in sentences.
        zeros: combinations that no row may have; the model holds their cliques from the start.
    """

    domain: Domain
    contribution: Contribution
    workload: Workload
    queries: tuple[PlannedQuery, ...]
    countable: tuple[Clique, ...]
    max_cells: int
    rho: Fraction
    notes: tuple[str, ...] = ()
    zeros: tuple[StructuralZeros, ...] = ()

    def __post_init__(self) -> None:
        if sum((query.rho for query in self.queries), Fraction(0)) > self.rho:
            raise ConfigurationError(f"The planned queries cost more than rho = {float(self.rho):.6g}.")


class Mechanism(Protocol):
    """Decides which marginals are measured and how the budget is divided among them."""

    @property
    def name(self) -> str:
        """The name in the catalog and in configurations."""
        ...

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
        """Plans the queries from public facts alone.

        Raises:
            ConfigurationError: rho is not positive, or the domain has no attribute.
            DomainTooLargeError: even the one-way marginals, with the cliques of the zeros, exceed max_cells.
        """
        ...

    def measure(self, curator: Curator, plan: MechanismPlan, progress: Progress) -> tuple[Measurement, ...]:
        """Asks the queries, each of which may depend on the answers before it.

        Guarantees: spends at most plan.rho, whatever the answers are. Replayed over the same stored answers,
        it returns the same measurements.

        Args:
            curator: the only way to the table.
            plan: of this mechanism, for the curator's domain and contribution.
            progress: told of noisy facts only.
        """
        ...


def one_way_cliques(
    domain: Domain, *, rho: Fraction, max_cells: int, zeros: Sequence[StructuralZeros] = ()
) -> tuple[Clique, ...]:
    """Returns the one-way cliques, after checking what every mechanism needs of its settings."""
    if not len(domain):
        raise ConfigurationError("The schema has no column to synthesise. Nothing was spent.", field="schema")
    if rho <= 0:
        raise ConfigurationError(
            f"A mechanism needs a positive rho, and not {rho}. Nothing was spent.", field="privacy.epsilon"
        )
    cells = sum(domain.sizes)
    if cells > max_cells:
        largest = max(domain, key=domain.size)
        raise DomainTooLargeError(
            f"The one-way marginals have {cells} cells together, and the model may have {max_cells}. The "
            f"largest column is {largest} with {domain.size(largest)}. Nothing was spent. Declare fewer "
            "values or bins, or raise mechanism.max_model_mb.",
            field="mechanism.max_model_mb",
        )
    if zeros:
        _require_held(domain, [zero.clique for zero in zeros], max_cells)
    return tuple((attribute,) for attribute in domain)


def _require_held(domain: Domain, forbidden: Sequence[Clique], max_cells: int) -> None:
    """Refuses constraints whose cliques alone, with what a junction tree adds to them, exceed the model."""
    try:
        build_junction_tree(domain, forbidden, max_cells=max_cells)
    except DomainTooLargeError:
        largest = max(forbidden, key=domain.cells)
        raise DomainTooLargeError(
            "The model has to hold each combination of columns that a constraint names, and with these it has more than "
            f"the {max_cells:,} cells that it may have. The largest is {' x '.join(largest)} with "
            f"{domain.cells(largest):,}. Nothing was spent. Declare fewer values or bins there, leave a constraint out, "
            "or raise mechanism.max_model_mb.",
            field="constraints",
        ) from None


def planned_measurements(
    name: str, domain: Domain, cliques: Sequence[Clique], rho: Fraction, contribution: Contribution
) -> tuple[PlannedQuery, ...]:
    """Plans the measurement of all cliques in groups of similar size, for exactly rho together."""
    return tuple(
        PlannedQuery(
            name=f"{name}-{number}",
            kind="measure",
            cliques=part.cliques,
            rho=part.rho,
            stddev=noise_of(len(part.cliques), part.rho, contribution),
        )
        for number, part in enumerate(allot(domain, cliques, rho), start=1)
    )


def noise_of(count: int, rho: Fraction, contribution: Contribution) -> float:
    """Returns the noise in rows of `count` marginals that are measured jointly for rho."""
    return sqrt(contribution.marginals_l2_squared(count) / (2 * rho)) / contribution.unit


def ask(curator: Curator, queries: Sequence[PlannedQuery], progress: Progress) -> tuple[Measurement, ...]:
    """Asks planned measurements one after another."""
    found: list[Measurement] = []
    for query in queries:
        progress(_asked(query.name, len(query.cliques), query.stddev))
        found.extend(curator.measure(query.name, query.cliques, rho=query.rho))
    return tuple(found)


def _asked(name: str, marginals: int, stddev: float) -> str:
    """What is said of a measurement, from the declared domain and earlier answers."""
    return (
        f"{name}: {marginals} marginal{'s' if marginals > 1 else ''}, noise of {stddev:.4g} rows in each cell"
    )


def planned_selection(
    name: str, cliques: tuple[Clique, ...], rho: Fraction, contribution: Contribution
) -> PlannedQuery:
    """Plans a choice by the exponential mechanism, whose scores have weights of at most 1."""
    scale = 2 * contribution.score(Fraction(1)) / contribution.unit
    return PlannedQuery(
        name=name, kind="select", cliques=cliques, rho=rho, stddev=float(scale) / sqrt(8 * rho)
    )


def planned_scores(
    name: str, cliques: tuple[Clique, ...], rho: Fraction, contribution: Contribution
) -> PlannedQuery:
    """Plans noisy errors of all cliques, jointly."""
    l2_squared = contribution.scores_l2_squared([1] * len(cliques))
    return PlannedQuery(
        name=name,
        kind="score",
        cliques=cliques,
        rho=rho,
        stddev=sqrt(l2_squared / (2 * rho)) / contribution.unit,
    )


def measure_until(
    curator: Curator,
    plan: MechanismPlan,
    name: str,
    cliques: Sequence[Clique],
    until: Fraction,
    progress: Progress,
    sizes: Mapping[Clique, float] | None = None,
) -> tuple[Measurement, ...]:
    """Measures cliques, or all columns where there is none, with all of the budget down to `until`.

    In groups of similar size (`allot`). The loop follows what was spent and not the groups: a replay on another machine,
    whose floats may end in another bit, gets the stored queries one after the other.
    """
    if curator.remaining <= until:
        return ()
    columns = tuple((attribute,) for attribute in plan.domain)
    parts = allot(plan.domain, cliques or columns, curator.remaining - until, sizes=sizes)
    found: list[Measurement] = []
    place = 0
    while curator.remaining > until:
        part = parts[min(place, len(parts) - 1)]
        rho = curator.remaining - until if place >= len(parts) - 1 else part.rho
        place += 1
        stddev = noise_of(len(part.cliques), rho, plan.contribution)
        progress(_asked(f"{name}-{place}", len(part.cliques), stddev))
        found += curator.measure(f"{name}-{place}", part.cliques, rho=rho)
    return tuple(found)
