"""Estimation: the graphical model that agrees best with noisy marginals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from spark_dp.errors import ConfigurationError
from spark_dp.graphical.cliques import maximal_cliques, smallest_superset
from spark_dp.graphical.convergence import Convergence, Target
from spark_dp.graphical.dual import DualProblem
from spark_dp.graphical.entropic import EntropicProblem, newton_on_potentials
from spark_dp.graphical.inference import BeliefPropagation, Placement
from spark_dp.graphical.interactions import Interactions
from spark_dp.graphical.junction_tree import JunctionTree, build_junction_tree
from spark_dp.graphical.model import GraphicalModel
from spark_dp.graphical.newton import newton
from spark_dp.graphical.passes import Passes
from spark_dp.graphical.scaling import scaled_start
from spark_dp.graphical.search import Search
from spark_dp.graphical.starts import first_potentials, potentials_of
from spark_dp.graphical.zeros import StructuralZeros, allowed_potentials
from spark_dp.privacy.measurement import Measurement
from spark_dp.schema.domain import Clique, Domain

TOLERANCE = 1e-3
MAX_ITERATIONS = 200
ENTROPY = 1.0

Combined = Mapping[Clique, tuple[NDArray[np.float64], float]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Estimate:
    """A model and how well it is known to fit.

    Attributes:
        model: the distribution and its total.
        convergence: what was proved.
        potentials: logarithms of factors, on cliques, whose product is the model; the next estimate's warm start. Empty
            where the model's own tables say the same.
    """

    model: GraphicalModel
    convergence: Convergence
    potentials: Mapping[Clique, NDArray[np.float64]] = field(default_factory=dict)


def estimate(
    domain: Domain,
    measurements: Sequence[Measurement],
    *,
    max_cells: int,
    total: float | None = None,
    progress: Callable[[str], None] | None = None,
    tolerance: float = TOLERANCE,
    max_iterations: int = MAX_ITERATIONS,
    warm_start: Estimate | None = None,
    zeros: Sequence[StructuralZeros] = (),
    entropy: float = ENTROPY,
) -> Estimate:
    """Finds the non-negative consistent marginals that minimise sum (mu_r - y_r)^2 / (2 sigma_r^2) over all cells of all r.

    Where every clique of the junction tree was measured itself: in the dual, by a semismooth Newton method
    (`newton`), in four to ten steps. Everywhere else the objective has one more term, `entropy` over the noise's
    standard deviation times the divergence from independent attributes, and Newton steps on the potentials of the measured
    cliques minimise it (`newton_on_potentials`). That term makes the answer one, gives cliques that only triangulation
    made the distribution of largest entropy, and keeps noise from being fitted in cells that hardly any row
    is in: benchmarks/README.md has the figures, and those of the ways that lost.

    Measurements of the same clique are first combined by inverse variance. Post-processing: it costs no
    privacy. An attribute that nothing measures is uniform.

    Args:
        domain: every attribute of the model.
        measurements: of any cliques, nested, repeated or disconnected; () measures the total.
        max_cells: the most cells that the model may hold.
        total: rows of the model; None takes the inverse-variance mean of the measurements' totals.
        progress: told of each step, in facts about noisy numbers only.
        tolerance: of the proven gap, as a part of the noise floor.
        max_iterations: steps; an estimate that needs more says that it has not converged.
        warm_start: an earlier estimate over the same domain, of other cliques or other noise; it changes
            how long this takes and not what is sought.
        zeros: combinations that no row may have; they get probability zero.
        entropy: how strongly the estimate is pulled towards independent attributes: by about that many standard
            deviations of the noise in a cell whose potential is one nat; positive. Small values fit the noise.

    Returns:
        A model of the estimated total; where that is not positive, the uniform model of total 0.

    Raises:
        DomainTooLargeError: the junction tree would exceed max_cells; found before anything is allocated.
        ConfigurationError: the zeros together leave no cell.
    """
    if not (entropy > 0 and np.isfinite(entropy)):
        raise ValueError(f"The entropy's weight is {entropy}; it must be positive and finite.")
    forbidden = [domain.canonical(zero.clique) for zero in zeros]
    tree = build_junction_tree(domain, [*(m.clique for m in measurements), *forbidden], max_cells=max_cells)
    combined = {clique: noisy for clique, noisy in _combine(domain, measurements).items() if clique}
    rows = estimated_total(domain, measurements) if total is None else total
    if not (rows > 0 and np.isfinite(rows)):
        return _nothing(tree, combined, zeros)
    if not zeros and set(_touched(tree, combined)) <= set(combined):
        found = _decomposable(tree, combined, rows, tolerance, max_iterations, progress)
        if found.convergence.converged:
            return found
    return _general(tree, combined, zeros, rows, entropy, tolerance, max_iterations, warm_start, progress)


def _nothing(tree: JunctionTree, combined: Combined, zeros: Sequence[StructuralZeros]) -> Estimate:
    """Returns the uniform model of no rows."""
    passes, _ = _inference(tree, [], zeros)
    model = GraphicalModel(tree=tree, probabilities=tuple(passes.beliefs()), total=0.0)
    loss = sum(float(np.square(values).sum()) / (2 * variance) for values, variance in combined.values())
    floor = sum(values.size for values, _ in combined.values()) / 2
    found = Convergence(loss=loss, noise_floor=floor, gap=0.0, iterations=0, converged=True)
    return Estimate(model=model, convergence=found)


def _touched(tree: JunctionTree, combined: Combined) -> list[Clique]:
    """Returns the cliques of the tree that hold an attribute that was measured."""
    measured = {attribute for clique in combined for attribute in clique}
    return [clique for clique in tree.cliques if measured & set(clique)]


def _decomposable(
    tree: JunctionTree,
    combined: Combined,
    rows: float,
    tolerance: float,
    max_iterations: int,
    progress: Callable[[str], None] | None,
) -> Estimate:
    """Estimates on the cliques that were measured; an attribute on its own that none measures is uniform."""
    domain = tree.domain
    measured = _touched(tree, combined)
    found: dict[Clique, NDArray[np.float64]] = {}
    reached = Convergence(loss=0.0, noise_floor=0.0, gap=0.0, iterations=0, converged=True)
    if measured:
        part = domain.project(domain.canonical(a for clique in measured for a in clique))
        smaller = build_junction_tree(part, measured, max_cells=tree.cells)
        targets = [_target(smaller, clique, *noisy) for clique, noisy in combined.items()]
        floor = sum(t.values.size for t in targets) / 2
        problem = DualProblem(BeliefPropagation(smaller), targets, rows)
        search = Search(problem, rows, tolerance * floor, max_iterations, progress)
        newton(search)
        reached = search.convergence
        found = dict(zip(smaller.cliques, search.beliefs(), strict=True))
        for table in found.values():
            table /= rows
    tables = [
        found[c] if c in found else np.full(domain.shape(c), 1.0 / domain.cells(c)) for c in tree.cliques
    ]
    model = GraphicalModel(tree=tree, probabilities=tuple(tables), total=float(rows))
    return Estimate(model=model, convergence=reached)


def _general(
    tree: JunctionTree,
    combined: Combined,
    zeros: Sequence[StructuralZeros],
    rows: float,
    entropy: float,
    tolerance: float,
    max_iterations: int,
    warm_start: Estimate | None,
    progress: Callable[[str], None] | None,
) -> Estimate:
    passes, fixed = _inference(tree, list(combined), zeros)
    potentials: dict[Clique, NDArray[np.float64]] = {}
    found = Convergence(loss=0.0, noise_floor=0.0, gap=0.0, iterations=0, converged=True)
    if combined:
        interactions = Interactions(tree.domain, passes.sites, combined)
        reference = interactions.gather_potentials(first_potentials(tree.domain, combined))
        cells = sum(values.size for values, _ in combined.values())
        noise = sqrt(sum(values.size * variance for values, variance in combined.values()) / cells)
        problem = EntropicProblem(passes, interactions, combined, rows, entropy / noise, fixed, reference)
        if warm_start is None:
            start = scaled_start(problem, combined, reference)
        else:
            start = interactions.gather_potentials(
                warm_start.potentials.items() or potentials_of(warm_start.model)
            )
        vector, found = newton_on_potentials(
            problem, start, tolerance=tolerance, max_iterations=max_iterations, progress=progress
        )
        potentials = dict(zip(passes.sites, interactions.potentials(vector), strict=True))
    tables = passes.beliefs()
    for table in tables:
        table /= table.sum()
    model = GraphicalModel(tree=tree, probabilities=tuple(tables), total=float(rows))
    return Estimate(model=model, convergence=found, potentials=potentials)


def _inference(
    tree: JunctionTree, measured: Sequence[Clique], zeros: Sequence[StructuralZeros]
) -> tuple[Passes, list[NDArray[np.float64] | None]]:
    """Returns passes over the largest measured and forbidden cliques, run once without potentials.

    Raises:
        ConfigurationError: no cell of the domain is allowed.
    """
    domain = tree.domain
    forbidden = [domain.canonical(zero.clique) for zero in zeros]
    sites = tuple(clique for clique in maximal_cliques([*measured, *forbidden]) if clique)
    passes = Passes(tree, sites)
    fixed = allowed_potentials(domain, sites, zeros)
    blank = [np.zeros(domain.shape(s)) if f is None else f for s, f in zip(sites, fixed, strict=True)]
    if not np.isfinite(passes.forward(blank)):
        raise ConfigurationError(
            f"The {len(zeros)} sets of forbidden combinations together leave no row possible. Nothing was "
            "estimated. Forbid less."
        )
    passes.marginals(1.0)
    return passes, fixed


def estimated_total(domain: Domain, measurements: Sequence[Measurement]) -> float:
    """Returns the inverse-variance mean of the measurements' totals, in rows; 0 if there is none.

    The total of a noisy marginal of n cells has variance n sigma^2.
    """
    precisions = [1.0 / (m.stddev**2 * domain.cells(m.clique)) for m in measurements]
    totals = [float(m.values.sum()) for m in measurements]
    weight = sum(precisions)
    return sum(p * t for p, t in zip(precisions, totals, strict=True)) / weight if weight else 0.0


def _combine(
    domain: Domain, measurements: Sequence[Measurement]
) -> dict[Clique, tuple[NDArray[np.float64], float]]:
    """Merges measurements of the same attributes by inverse variance: clique -> values, variance."""
    combined: dict[Clique, tuple[NDArray[np.float64], float]] = {}
    for measurement in measurements:
        clique = domain.canonical(measurement.clique)
        values = measurement.values.reshape(domain.shape(measurement.clique))
        values = values.transpose([measurement.clique.index(attribute) for attribute in clique])
        variance = measurement.stddev**2
        if clique in combined:
            other, other_variance = combined[clique]
            share = other_variance / (variance + other_variance)
            values = share * values + (1.0 - share) * other
            variance = share * variance
        combined[clique] = values, variance
    return combined


def _target(tree: JunctionTree, clique: Clique, values: NDArray[np.float64], variance: float) -> Target:
    node = smallest_superset(tree.domain, clique, tree.cliques)
    if node is None:
        raise ValueError(f"No clique of the junction tree holds {clique}.")
    place = Placement.of(tree, clique, tree.cliques[node])
    return Target(node=node, place=place, values=values.reshape(place.shape), variance=variance)
