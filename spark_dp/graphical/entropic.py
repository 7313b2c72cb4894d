"""The optimiser for any set of cliques: Newton steps on potentials, with an entropy that makes the answer one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from spark_dp.graphical.convergence import Convergence
from spark_dp.graphical.interactions import Interactions, Table, Vector
from spark_dp.graphical.passes import Passes
from spark_dp.schema.domain import Clique

_ACCURACY = 0.1
_CONJUGATE_ROUNDS = 80
_LEVEL = 0.1
"""A step ends where the slope along it is this part of what it was."""
_TRIES = 16


@dataclass(frozen=True, slots=True)
class _Point:
    """Potentials, and what the model that they give says.

    Attributes:
        potentials: of the interactions.
        marginals: of the sites, in rows.
        moments: of the interactions, in rows.
        loss: of the interactions; the constant is left out.
        residual: moments less noisy moments, plus what the entropy pulls; the dual's gradient, zero at the optimum.
    """

    potentials: Vector
    marginals: list[Table]
    moments: Vector
    loss: float
    residual: Vector


class EntropicProblem:
    """Minimise the loss plus `entropy` times the Kullback-Leibler divergence from a reference, in rows times nats.

    Over distributions of N rows, in the coordinates of `Interactions`: the loss is sum w (m - y)^2 / 2 over moments m,
    and the optimum is exp(sum of potentials t) with m = y - entropy * (t - reference) / w: potentials of the measured
    cliques alone, so that what no measurement ties together is independent given what does. They minimise the dual

        g(t) = N log Z(t) - <t, y> + entropy * sum (t - reference)^2 / (2 w),

    which is smooth and convex (Wainwright and Jordan 2008, proposition 3.1): its gradient is r = m - y + entropy *
    (t - reference) / w, its Hessian the covariance of the moments and entropy / w.

    Guarantees: by Fenchel's duality the value at potentials t exceeds the least one by at most
    sum w r^2 / 2, which is therefore the proven gap.

    Args:
        passes: inference over the sites.
        interactions: of the sites.
        noisy: clique -> table of noisy rows and variance, canonical, one a clique.
        rows: of the model, positive.
        entropy: positive.
        fixed: for each site the logarithm of what is allowed (0 or -inf), or None.
        reference: potentials of the distribution that the entropy pulls towards.
    """

    def __init__(
        self,
        passes: Passes,
        interactions: Interactions,
        noisy: Mapping[Clique, tuple[Table, float]],
        rows: float,
        entropy: float,
        fixed: Sequence[Table | None],
        reference: Vector,
    ) -> None:
        self.passes, self.interactions, self.rows, self.entropy = passes, interactions, rows, entropy
        self.fixed, self.reference = tuple(fixed), reference
        self.precision = np.zeros(interactions.size)
        weighted = np.zeros(interactions.size)
        squares = 0.0
        self.noise_floor = sum(table.size for table, _ in noisy.values()) / 2
        for clique, (table, variance) in noisy.items():
            for key, part in interactions.take_apart(clique, table).items():
                cells = interactions.cells[key]
                spread = table.size / part.size
                weight = 1.0 / (variance * spread)
                self.precision[cells] += weight
                weighted[cells] += weight * spread * part.ravel()
                squares += weight * float(np.square(spread * part).sum())
        self.noisy = weighted / self.precision
        self.constant = (squares - _squares(self.precision, self.noisy)) / 2
        origin = interactions.cells[frozenset()]
        self.constant += float(self.precision[origin] @ np.square(self.noisy[origin] - rows)) / 2
        self.noisy[origin] = rows
        self._weights = [
            min(
                (
                    float(self.precision[interactions.cells[frozenset(k)]][0])
                    for k in _within(interactions, site)
                ),
                default=1.0,
            )
            for site in interactions.sites
        ]

    def at(self, potentials: Vector) -> _Point:
        """Runs inference at these potentials."""
        tables = self.interactions.potentials(potentials)
        for i, allowed in enumerate(self.fixed):
            if allowed is not None:
                tables[i] += allowed
        self.passes.forward(tables)
        marginals = self.passes.marginals(self.rows)
        moments = self.interactions.moments(marginals)
        difference = moments - self.noisy
        loss = _squares(self.precision, difference) / 2
        residual = difference + self.entropy * (potentials - self.reference) / self.precision
        return _Point(potentials, marginals, moments, loss, residual)

    def gap(self, point: _Point) -> float:
        """Returns what is proved: the value is above the least one by at most this."""
        return _squares(self.precision, point.residual) / 2

    def direction(self, point: _Point, aim: float) -> Vector:
        """Solves (covariance + entropy / w) x = -residual, Newton's equation, by preconditioned conjugate gradients.

        The rounds end when sum w (what is left)^2 is at most `aim`: the loss's own measure, since a small residual in
        the covariance's measure can still be a large loss. The dual falls along whatever they have reached.
        """
        ridge = self.entropy / self.precision
        divisors = [m + self.entropy / w for m, w in zip(point.marginals, self._weights, strict=True)]
        solution = np.zeros_like(ridge)
        left = -point.residual
        smooth = self.interactions.smooth(left, divisors)
        search = smooth
        energy = _dot(left, smooth)
        for _ in range(_CONJUGATE_ROUNDS):
            if _squares(self.precision, left) <= aim or not energy > 0:
                break
            moved = self.interactions.moments(self.passes.tangent(self.interactions.potentials(search)))
            whole = moved + ridge * search
            length = energy / _dot(search, whole)
            solution += length * search
            left -= length * whole
            smooth = self.interactions.smooth(left, divisors)
            renewed = _dot(left, smooth)
            search = smooth + (renewed / energy) * search
            energy = renewed
        return solution


def _dot(one: Vector, other: Vector) -> float:
    """The inner product, without BLAS: its threads, which it starts from 10,000 numbers, take longer than the sum."""
    return float(np.einsum("i,i->", one, other))


def _squares(weights: Vector, values: Vector) -> float:
    return float(np.einsum("i,i,i->", weights, values, values))


def _within(interactions: Interactions, site: Clique) -> list[frozenset[str]]:
    held = frozenset(site)
    return [key for key in interactions.cells if key <= held]


def newton_on_potentials(
    problem: EntropicProblem,
    start: Vector,
    *,
    tolerance: float,
    max_iterations: int,
    progress: Callable[[str], None] | None,
) -> tuple[Vector, Convergence]:
    """Descends the dual from `start` by truncated Newton steps until the proven gap is within the tolerance.

    A step goes as far along its direction as the dual falls (`_search`). The dual, and not loss and penalty, says how far:
    it is convex, and falls along long steps that loss and penalty rise along at first. One step costs five to eighty
    products with the covariance, each about as long as one inference. The model that `problem.passes` holds in the
    end is that of the potentials returned.
    """
    wanted = tolerance * problem.noise_floor
    point = problem.at(start)
    gap = problem.gap(point)
    iterations = 0
    _tell(progress, problem, point, gap, iterations)
    while gap > wanted and iterations < max_iterations:
        iterations += 1
        step = problem.direction(point, max(_ACCURACY**2 * 2 * gap, 0.1 * wanted))
        if not _dot(point.residual, step) < 0:
            break  # rounding is all that is left
        reached = _search(problem, point, step)
        if reached is None:
            break
        point, gap = reached, problem.gap(reached)
        _tell(progress, problem, point, gap, iterations)
    found = Convergence(
        loss=point.loss + problem.constant,
        noise_floor=problem.noise_floor,
        gap=gap,
        iterations=iterations,
        converged=gap <= wanted,
    )
    return point.potentials, found


def _search(problem: EntropicProblem, point: _Point, step: Vector) -> _Point | None:
    """Returns the point along a step where the dual's slope is nearly level, or None where rounding hides it.

    The slope rises along the step, as the dual is convex, and is negative at its beginning: lengths are doubled until it is
    positive, and then a safeguarded secant between the two closes in. Inference was run last at the point returned.
    """
    first = _dot(point.residual, step)
    low, low_slope, high, high_slope = 0.0, first, inf, 0.0
    length = 1.0
    for _ in range(_TRIES):
        reached = problem.at(point.potentials + length * step)
        slope = _dot(reached.residual, step)
        if abs(slope) <= _LEVEL * -first:
            return reached
        if slope < 0:
            low, low_slope = length, slope
        else:
            high, high_slope = length, slope
        if high < inf:
            share = low_slope / (low_slope - high_slope)
            length = low + (high - low) * min(max(share, 0.1), 0.9)
        else:
            length *= 2
    reached = problem.at(point.potentials + low * step)
    return reached if low > 0 else None


def _tell(
    progress: Callable[[str], None] | None, problem: EntropicProblem, point: _Point, gap: float, step: int
) -> None:
    if progress is not None:
        loss = point.loss + problem.constant
        progress(f"estimate: step {step}, loss {loss:.6g}, at most {gap:.3g} too much")
