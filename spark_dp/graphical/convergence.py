"""How far an estimate is from the best one, proved and not guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_dp.graphical.inference import BeliefPropagation, Placement, TableOf, Tables
from spark_dp.graphical.sweep import blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What one marginal of the model should be: the noisy values, and where they sit in the tree.

    Attributes:
        node: the clique of the tree that holds the marginal.
        place: the marginal's axes within that clique.
        values: noisy rows per cell, float64, shaped to broadcast over the clique.
        variance: of each value, rows squared.
    """

    node: int
    place: Placement
    values: NDArray[np.float64]
    variance: float

    def residual(self, beliefs: Tables) -> NDArray[np.float64]:
        """Returns the model's marginal less the noisy one, in rows."""
        if not self.place.lost:
            return beliefs[self.node] - self.values
        return np.asarray(beliefs[self.node].sum(axis=self.place.lost, keepdims=True) - self.values)

    def add_residual(self, beliefs: Tables, table: NDArray[np.float64]) -> None:
        """Adds the residual to a table of the values' shape, without another one of its size."""
        if self.place.lost:
            table += self.residual(beliefs)
            return
        for block in blocks(table.shape):
            table[block] += beliefs[self.node][block] - self.values[block]


@dataclass(frozen=True, slots=True, kw_only=True)
class Convergence:
    """What the optimiser reached and what is proved about it.

    Attributes:
        loss: sum over the measurements of |model - noisy|^2 / (2 sigma^2).
        noise_floor: the expected loss at the truth: half the number of measured cells. A loss below it by
            much more than its square root is no sign of a fault: the optimum follows the noise.
        gap: what was minimised exceeds its least value by at most this. On a forest of measured cliques that is
            the loss; elsewhere the loss and the entropy's divergence (`EntropicProblem`).
        iterations: steps that were taken.
        converged: the gap is within the tolerance times the noise floor.
    """

    loss: float
    noise_floor: float
    gap: float
    iterations: int
    converged: bool

    @property
    def relative_gap(self) -> float:
        """The gap as a part of the noise floor, 0 where nothing was measured."""
        return self.gap / self.noise_floor if self.noise_floor else 0.0


def loss_of(targets: Sequence[Target], beliefs: Tables) -> float:
    """Returns the sum over the targets of |residual|^2 / (2 variance)."""
    loss = 0.0
    for target in targets:
        residual = target.residual(beliefs)
        loss += float(np.vdot(residual, residual)) / (2 * target.variance)
    return loss


def proven_gap(
    propagation: BeliefPropagation,
    targets: Sequence[Target],
    beliefs: Tables,
    slope_of: TableOf,
) -> float:
    """Bounds how much better than `beliefs` any consistent non-negative marginals can be.

    The loss is convex, so for any slopes u (one array per target), by Fenchel and Young's inequality and
    the least cost of a vertex of the marginal polytope (min-sum on the junction tree, where local
    consistency is global: Wainwright and Jordan 2008, proposition 2.1),

        loss(mu) - optimum <= sum |A mu - y - s u|^2 / (2 s)  +  <u, A mu> - N min_v <u, A v>,

    with s the variance. With u = (A mu - y) / s this is the Frank-Wolfe gap (Jaggi 2013, section 2); the
    slopes of a dual solution give a tighter one. Both terms are sums of non-negative numbers.

    Args:
        beliefs: consistent non-negative marginals of the tree's cliques, in rows.
        slope_of: gives for each target any numbers, shaped like its values, in an array that may be changed; they affect the
            tightness, never the truth.
    """
    held: list[list[int]] = [[] for _ in beliefs]
    for i, target in enumerate(targets):
        held[target.node].append(i)
    gap = 0.0

    def cost_of(node: int) -> NDArray[np.float64]:
        nonlocal gap
        costs = np.zeros_like(beliefs[node])
        for i in held[node]:
            slope = slope_of(i)
            costs += slope
            slope *= -targets[i].variance
            targets[i].add_residual(beliefs, slope)
            gap += float(np.vdot(slope, slope)) / (2 * targets[i].variance)
        return costs

    def use(node: int, reduced: NDArray[np.float64]) -> None:
        nonlocal gap
        gap += float(np.vdot(reduced, beliefs[node]))

    propagation.reduced_costs(cost_of, use)
    return gap
