"""A start for the optimiser: one measured clique after another is brought to where it would be best alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import wrightomega

from spark_dp.graphical.entropic import EntropicProblem
from spark_dp.schema.domain import Clique

_FAR: Final = 100.0
"""A gap of so many noise floors is far: Newton steps alone take long."""

Table = NDArray[np.float64]
Vector = NDArray[np.float64]


def scaled_start(
    problem: EntropicProblem, noisy: Mapping[Clique, tuple[Table, float]], start: Vector
) -> Vector:
    """Returns potentials nearer the optimum, by one step for each site that was measured; `start` where that is near.

    At the optimum the potentials are the reference and, for each measured clique, u = (noisy - model) / (entropy *
    variance). With all others fixed that is one equation for each cell, m exp(u) + k u = y with k = entropy * variance,
    which Wright's omega function solves, however far away it is: iterative proportional fitting (Deming and Stephan 1940)
    of noisy tables. So full cells come near at once, which damped Newton steps on potentials take long for.

    Args:
        problem: whose sites hold the cliques.
        noisy: clique -> table of noisy rows and variance, canonical.
        start: the reference.
    """
    passes, interactions = problem.passes, problem.interactions
    first = problem.at(start)
    if problem.gap(first) <= _FAR * problem.noise_floor:
        return start
    tables = interactions.potentials(start)
    for i, allowed in enumerate(problem.fixed):
        if allowed is not None:
            tables[i] += allowed
    moved: list[tuple[Clique, Table]] = []
    for i, site in enumerate(interactions.sites):
        if site in noisy:
            values, variance = noisy[site]
            passes.forward(tables)
            step = solve_cells(passes.marginals(problem.rows)[i], values, problem.entropy * variance)
            tables[i] += step
            moved.append((site, step))
    reached = start + interactions.gather_potentials(moved)
    return reached if problem.gap(problem.at(reached)) < problem.gap(first) else start


def solve_cells(marginal: Table, values: Table, scale: float) -> Table:
    """Returns u with marginal * exp(u) + scale * u = values; 0 where the marginal is 0."""
    least = values / scale
    with np.errstate(divide="ignore"):
        found = least - wrightomega(np.log(marginal / scale) + least)
    return np.where(marginal > 0, found, 0.0)
