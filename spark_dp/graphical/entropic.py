"""The optimiser for any set of cliques: Gauss-Newton steps on potentials, with an entropy that makes the answer one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spark_dp.graphical.convergence import Convergence
from spark_dp.graphical.interactions import Interactions, Table, Vector
from spark_dp.graphical.passes import Passes
from spark_dp.schema.domain import Clique

_FIRST_DAMPING = 1.0
_LARGEST_DAMPING = 1e4
_ACCURACY = 0.1
_CONJUGATE_ROUNDS = 40
_SHORTEST_STEP = 1e-3
_SUFFICIENT = 0.05


@dataclass(frozen=True, slots=True)
class _Point:
    """Potentials, and what the model that they give says.

    Attributes:
        potentials: of the interactions.
        marginals: of the sites, in rows.
        moments: of the interactions, in rows.
        loss: of the interactions; the constant is left out.
        value: loss and penalty.
        residual: moments less noisy moments, plus what the entropy pulls; zero at the optimum.
    """

    potentials: Vector
    marginals: list[Table]
    moments: Vector
    loss: float
    value: float
    residual: Vector


class EntropicProblem:
    """Minimise the loss plus `entropy` times the Kullback-Leibler divergence from a reference, in rows times nats.

    Over distributions of N rows, in the coordinates of `Interactions`: the loss is sum w (m - y)^2 / 2 over moments m,
    and the optimum is exp(sum of potentials t) with m = y - entropy * (t - reference) / w: potentials of the measured
    cliques alone, so that what no measurement ties together is independent given what does.

    Guarantees: by Fenchel's duality the value at potentials t exceeds the least one by at most
    sum w r^2 / 2, with r = m - y + entropy * (t - reference) / w, which is therefore the proven gap.

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
        self.constant = (squares - float(self.precision @ np.square(self.noisy))) / 2
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
        log_partition = self.passes.forward(tables)
        marginals = self.passes.marginals(self.rows)
        moments = self.interactions.moments(marginals)
        difference = moments - self.noisy
        loss = float(self.precision @ np.square(difference)) / 2
        moved = potentials - self.reference
        divergence = float(moved @ moments) - self.rows * log_partition
        residual = difference + self.entropy * moved / self.precision
        return _Point(potentials, marginals, moments, loss, loss + self.entropy * divergence, residual)

    def gap(self, point: _Point) -> float:
        """Returns what is proved: the value is above the least one by at most this."""
        return float(self.precision @ np.square(point.residual)) / 2

    def direction(self, point: _Point, damping: float, aim: float) -> tuple[Vector, Vector]:
        """Solves (covariance + damping / w) x = -residual by preconditioned conjugate gradients.

        The rounds end when sum w (what is left)^2 is at most `aim`: the loss's own measure, since a small residual in
        the covariance's measure can still be a large loss.

        Returns:
            The direction x, and how the moments move along it.
        """
        ridge = damping / self.precision
        divisors = [m + damping / w for m, w in zip(point.marginals, self._weights, strict=True)]
        solution, image = np.zeros_like(ridge), np.zeros_like(ridge)
        left = -point.residual
        smooth = self.interactions.smooth(left, divisors)
        search = smooth
        energy = float(left @ smooth)
        for _ in range(_CONJUGATE_ROUNDS):
            if float(self.precision @ np.square(left)) <= aim or not energy > 0:
                break
            moved = self.interactions.moments(self.passes.tangent(self.interactions.potentials(search)))
            whole = moved + ridge * search
            length = energy / float(search @ whole)
            solution += length * search
            image += length * moved
            left -= length * whole
            smooth = self.interactions.smooth(left, divisors)
            renewed = float(left @ smooth)
            search = smooth + (renewed / energy) * search
            energy = renewed
        return solution, image


def _within(interactions: Interactions, site: Clique) -> list[frozenset[str]]:
    held = frozenset(site)
    return [key for key in interactions.cells if key <= held]


def gauss_newton(
    problem: EntropicProblem,
    start: Vector,
    *,
    tolerance: float,
    max_iterations: int,
    progress: Callable[[str], None] | None,
) -> tuple[Vector, Convergence]:
    """Descends from `start` until the proven gap is within the tolerance.

    Levenberg and Marquardt's damping, never below the entropy; each step is shortened until value falls. One step costs
    some five to fifteen products with the covariance, each about as long as one inference. The model that
    `problem.passes` holds in the end is that of the potentials returned.
    """
    wanted = tolerance * problem.noise_floor
    point = problem.at(start)
    gap = problem.gap(point)
    # Near the optimum whole steps are good ones.
    first = min(_FIRST_DAMPING, gap / problem.noise_floor)
    damping, accuracy = max(problem.entropy, first), _ACCURACY
    iterations = 0
    _tell(progress, problem, point, gap, iterations)
    is_current = True
    while gap > wanted and iterations < max_iterations and damping <= _LARGEST_DAMPING:
        if not is_current:
            point, is_current = problem.at(point.potentials), True
        iterations += 1
        aim = max(accuracy**2 * 2 * gap, 0.1 * wanted)
        step, image = problem.direction(point, damping, aim)
        slope = float((problem.precision * point.residual) @ image)
        if not slope < 0:
            accuracy, damping = accuracy / 4, 2 * damping
            continue
        reached, length, is_good = _search(problem, point, step, image, slope)
        is_current = reached is not None
        if reached is None:
            damping *= 4
            continue
        point, gap = reached, problem.gap(reached)
        if length == 1.0 and is_good:
            damping = max(damping / 2, problem.entropy)
        elif length < 0.5:
            damping *= 2
        _tell(progress, problem, point, gap, iterations)
    if not is_current:
        point = problem.at(point.potentials)
    found = Convergence(
        loss=point.loss + problem.constant,
        noise_floor=problem.noise_floor,
        gap=gap,
        iterations=iterations,
        converged=gap <= wanted,
    )
    return point.potentials, found


def _search(
    problem: EntropicProblem, point: _Point, step: Vector, image: Vector, slope: float
) -> tuple[_Point | None, float, bool]:
    """Shortens the step until the value falls by a part of what the linear model says; None where none does."""
    bend = float(problem.precision @ np.square(image)) + problem.entropy * float(step @ image)
    length = 1.0
    while length >= _SHORTEST_STEP:
        reached = problem.at(point.potentials + length * step)
        fall = point.value - reached.value
        expected = -(length * slope + 0.5 * length**2 * bend)
        if fall >= _SUFFICIENT * max(expected, -_SUFFICIENT * length * slope) and fall > 0:
            return reached, length, fall >= 0.6 * expected
        excess = -fall - length * slope
        best = -slope * length**2 / (2 * excess) if excess > 0 else 0.0
        length = min(max(best, 0.1 * length), 0.5 * length)
    return None, length, False


def _tell(
    progress: Callable[[str], None] | None, problem: EntropicProblem, point: _Point, gap: float, step: int
) -> None:
    if progress is not None:
        loss = point.loss + problem.constant
        progress(f"estimate: step {step}, loss {loss:.6g}, at most {gap:.3g} too much")
