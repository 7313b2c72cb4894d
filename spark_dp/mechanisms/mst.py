"""A forest of pairs, chosen one edge at a time: the workhorse for tables of mixed columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import pi, sqrt

from spark_dp.errors import ConfigurationError
from spark_dp.graphical.estimation import estimate
from spark_dp.graphical.junction_tree import GrowingTree
from spark_dp.graphical.zeros import StructuralZeros
from spark_dp.mechanisms.candidates import cells_of_models
from spark_dp.mechanisms.protocol import (
    MechanismPlan,
    PlannedQuery,
    Progress,
    ask,
    noise_of,
    one_way_cliques,
    planned_measurements,
    planned_selection,
)
from spark_dp.mechanisms.spread import spread_weights
from spark_dp.mechanisms.wide import require_choosable
from spark_dp.mechanisms.workload import Workload
from spark_dp.privacy.curator import Curator
from spark_dp.privacy.measurement import Measurement
from spark_dp.privacy.scoring import Candidate
from spark_dp.privacy.sensitivity import Contribution
from spark_dp.schema.domain import Attribute, Clique, Domain

_NOTE = (
    "select chooses one of these pairs, or to stop; its σ is the scale of that choice. The pairs that are chosen "
    "share the last measurement, and what choosing did not need: fewer pairs have less noise each."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MSTShares:
    """How rho is divided, and how wary the selection is of noise.

    The defaults are the compromise of a search over some twenty settings, one share at a time, on three public
    tables (1.3 to 49 thousand rows, 9 to 16 columns) at epsilon 0.1, 1 and 10, by the mean total variation of
    one- and two-way marginals. Each setting was judged by 3 to 16 runs, on those tables alone, and before
    marginals were allotted by size: another table may prefer others.

    Args:
        one_way: part of rho for the one-way marginals.
        selection: part of rho for choosing all edges together. The rest measures the edges.
        noise_bias: how much of the noise that measuring a pair would bring is taken off its score; 0 is the
            reference mechanism's score, 1 is AIM's.
    """

    one_way: Fraction = Fraction(1, 2)
    selection: Fraction = Fraction(1, 20)
    noise_bias: float = 0.35

    def __post_init__(self) -> None:
        if not (self.one_way > 0 and self.selection > 0 and self.one_way + self.selection < 1):
            raise ConfigurationError(
                f"The shares {self.one_way} and {self.selection} must be positive and leave something for "
                "the pairs.",
                field="mechanism.shares",
            )
        if not 0 <= self.noise_bias <= 1:
            raise ConfigurationError(
                f"noise_bias is {self.noise_bias}; it lies between 0 and 1.", field="mechanism.shares"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class MST:
    """Measures one-way marginals, then a maximum spanning forest of pairs (McKenna, Miklau, Sheldon 2021).

    Edges are chosen by Kruskal's algorithm with the exponential mechanism on how far each pair's marginal is
    from the independent model. Five things differ from the reference:

    - The distance counts for more between columns of little spread (`spread_weights`): where noise is small, the
      tree of the largest distances is not the one that explains most of triples.
    - A score is less by a part of the noise that measuring the pair would bring, sigma * sqrt(2/pi) * cells,
      so that a large table of weak dependence does not take an edge it cannot fill.
    - The candidates include stopping, at the score 0: a forest where no further edge is worth its noise.
    - What was not spent on choosing measures the edges; with no edge, the one-way marginals once more.
    - Each marginal gets the noise that its size calls for (`allot`).

    They cost nothing: rho-zCDP composes adaptively, and scores depend on earlier answers only.
    Where a pair has more cells than the model may have, it is no candidate. Columns that a constraint names together count
    as connected: the forest closes no loop through it, and may measure pairs within it.
    """

    name: str = "mst"
    shares: MSTShares = field(default_factory=MSTShares)

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
        """Plans one measurement of all columns, a choice for each edge, and one measurement of the edges."""
        columns = one_way_cliques(domain, rho=rho, max_cells=max_cells, zeros=zeros)
        pairs = _candidates(domain, workload, max_cells, zeros)
        edges = _largest_forest(domain, pairs, zeros)
        require_choosable(self.name, domain, pairs, edges)
        one_way = rho * self.shares.one_way if edges else rho
        queries = list(planned_measurements(f"{self.name}/one-way", domain, columns, one_way, contribution))
        if edges:
            selection = rho * self.shares.selection
            queries += [
                planned_selection(f"{self.name}/select-{i + 1}", pairs, selection / edges, contribution)
                for i in range(edges)
            ]
            rest = rho - one_way - selection
            queries.append(
                PlannedQuery(
                    name=f"{self.name}/pairs",
                    kind="measure",
                    cliques=pairs,
                    rho=rest,
                    stddev=noise_of(edges, rest, contribution),
                )
            )
        return MechanismPlan(
            domain=domain,
            contribution=contribution,
            workload=workload,
            queries=tuple(queries),
            countable=(*columns, *pairs),
            max_cells=max_cells,
            rho=rho,
            notes=(_NOTE,) if edges else (),
            zeros=tuple(zeros),
        )

    def measure(self, curator: Curator, plan: MechanismPlan, progress: Progress) -> tuple[Measurement, ...]:
        """Measures, chooses and measures."""
        before = curator.remaining
        choices = [query for query in plan.queries if query.kind == "select"]
        if not choices:
            return ask(curator, plan.queries, progress)
        *columns, pairs = (query for query in plan.queries if query.kind == "measure")
        noisy = ask(curator, columns, progress)
        chosen = self._choose(curator, plan, choices, pairs, noisy, progress)
        left = plan.rho - (before - curator.remaining)
        name = pairs.name if chosen else f"{self.name}/one-way-again"
        cliques = chosen or tuple((attribute,) for attribute in plan.domain)
        last = planned_measurements(name, plan.domain, cliques, left, plan.contribution)
        return noisy + ask(curator, last, progress)

    def _choose(
        self,
        curator: Curator,
        plan: MechanismPlan,
        choices: Sequence[PlannedQuery],
        pairs: PlannedQuery,
        noisy: Sequence[Measurement],
        progress: Progress,
    ) -> tuple[Clique, ...]:
        """Chooses edges until they span, or none is worth its noise, or no candidate fits the model."""
        fitted = estimate(plan.domain, noisy, max_cells=plan.max_cells, zeros=plan.zeros).model
        weights = spread_weights(fitted, plan.workload.pair_weights(), pairs.cliques, noise=choices[0].stddev)
        independent = {pair: fitted.marginal(pair) for pair in pairs.cliques}
        forest = _Forest(plan.domain, plan.zeros)
        for query in choices:
            allowed = [
                pair
                for pair in query.cliques
                if forest.joins(pair) and forest.cells_with(pair) <= plan.max_cells
            ]
            if not allowed:
                break
            candidates = [Candidate(clique=(), estimate=None)] + [
                Candidate(
                    clique=pair,
                    estimate=independent[pair],
                    bias=self.shares.noise_bias * sqrt(2 / pi) * pairs.stddev * plan.domain.cells(pair),
                    weight=weights[pair],
                )
                for pair in allowed
            ]
            pair = curator.select(query.name, candidates, rho=query.rho)
            if not pair:
                progress(f"{query.name}: stop, no further pair is worth its noise")
                break
            progress(f"{query.name}: {' and '.join(pair)}")
            forest.add(pair)
        return forest.within(plan.max_cells)


class _Forest:
    """Edges without a cycle, and what their model holds.

    A constraint holds its columns together in the model whether or not edges do: no pair may close a loop through it,
    and a pair of its own columns adds nothing to the model.
    """

    def __init__(self, domain: Domain, zeros: Sequence[StructuralZeros] = ()) -> None:
        self.edges: list[Clique] = []
        self._domain = domain
        self._forbidden = [domain.canonical(zero.clique) for zero in zeros]
        self._tree: dict[Attribute, set[Attribute]] = {attribute: {attribute} for attribute in domain}
        self._linked: dict[Attribute, set[Attribute]] = {attribute: {attribute} for attribute in domain}
        for clique in self._forbidden:
            _merge(self._linked, clique)
        self._cells = GrowingTree(domain, self._forbidden).cells if zeros else sum(domain.sizes)

    def joins(self, pair: Clique) -> bool:
        """Whether the pair connects two trees, and closes no loop through a constraint."""
        return pair[1] not in (self._tree if self._is_held(pair) else self._linked)[pair[0]]

    def add(self, pair: Clique) -> None:
        """Connects two trees."""
        self._cells = self.cells_with(pair)
        _merge(self._tree, pair)
        _merge(self._linked, pair)
        self.edges.append(pair)

    def cells_with(self, pair: Clique) -> int:
        """The cells of a model of all edges, the pair, the constraints, and the columns that none of them has."""
        if self._is_held(pair):
            return self._cells
        alone = sum(self._domain.size(a) for a in pair if len(self._linked[a]) == 1)
        return self._cells + self._domain.cells(pair) - alone

    def within(self, max_cells: int) -> tuple[Clique, ...]:
        """Returns the edges, the last ones left out where elimination finds no model of so few cells.

        Only constraints that form loops among themselves can make it find another one than was added up.
        """
        kept = list(self.edges)
        while kept and self._forbidden:
            if GrowingTree(self._domain, [*self._forbidden, *kept]).cells <= max_cells:
                break
            kept.pop()
        return tuple(kept)

    def _is_held(self, pair: Clique) -> bool:
        return any(set(pair) <= set(clique) for clique in self._forbidden)


def _merge(parts: dict[Attribute, set[Attribute]], attributes: Sequence[Attribute]) -> None:
    """Joins the parts that the attributes are in."""
    merged = set().union(*(parts[attribute] for attribute in attributes))
    for attribute in merged:
        parts[attribute] = merged


def _candidates(
    domain: Domain, workload: Workload, max_cells: int, zeros: Sequence[StructuralZeros]
) -> tuple[Clique, ...]:
    """Returns the workload's pairs with which alone the model would fit; a column of one cell has no relation."""
    model_cells = cells_of_models(domain, zeros)
    pairs = (pair for pair in workload.pair_weights() if min(domain.shape(pair)) > 1)
    return tuple(pair for pair in pairs if model_cells(pair) <= max_cells)


def _largest_forest(domain: Domain, pairs: Sequence[Clique], zeros: Sequence[StructuralZeros]) -> int:
    """Returns how many edges a spanning forest of these pairs has."""
    forest = _Forest(domain, zeros)
    for pair in pairs:
        if forest.joins(pair):
            forest.add(pair)
    return len(forest.edges)
