"""What every optimiser shares: the best iterate so far, its proof, and when to stop."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from spark_dp.graphical.convergence import Convergence, loss_of, proven_gap
from spark_dp.graphical.dual import DualProblem, Vector
from spark_dp.graphical.inference import Tables


class Search:
    """Judges iterates: makes their tables consistent, proves their gap, keeps the multipliers with the least.

    Args:
        problem: what is optimised.
        rows: the total of the model, positive.
        wanted: the gap at which the search is over.
        max_iterations: steps that all optimisers together may take.
        progress: told of each iterate.
    """

    def __init__(
        self,
        problem: DualProblem,
        rows: float,
        wanted: float,
        max_iterations: int,
        progress: Callable[[str], None] | None,
    ) -> None:
        self.problem = problem
        self.rows = rows
        self.wanted = wanted
        self._best: Vector | None = None
        self._max_iterations = max_iterations
        self._progress = progress
        self._iterations = -1
        self._loss = np.inf
        self._gap = np.inf

    @property
    def is_over(self) -> bool:
        """Whether the gap is small enough or the steps are spent."""
        return self._gap <= self.wanted or self._iterations >= self._max_iterations

    @property
    def convergence(self) -> Convergence:
        """What is proved of the best iterate."""
        return Convergence(
            loss=self._loss,
            noise_floor=sum(t.values.size for t in self.problem.targets) / 2,
            gap=self._gap,
            iterations=self._iterations,
            converged=self._gap <= self.wanted,
        )

    def judge(self, multipliers: Vector) -> None:
        """Counts an iterate and keeps it if its gap is the least so far."""
        propagation, targets = self.problem.propagation, self.problem.targets
        beliefs = self._beliefs(multipliers)
        gap = proven_gap(propagation, targets, beliefs, lambda i: self.problem.slope(i, multipliers))
        loss = loss_of(targets, beliefs)
        self._iterations += 1
        if self._best is None or gap < self._gap:
            self._best, self._loss, self._gap = multipliers, loss, gap
        if self._progress is not None:
            self._progress(f"estimate: step {self._iterations}, loss {loss:.6g}, at most {gap:.3g} too much")

    def beliefs(self) -> Tables:
        """Returns the best iterate's marginals, consistent and of the right total. After `judge`."""
        return [] if self._best is None else self._beliefs(self._best)

    def _beliefs(self, multipliers: Vector) -> Tables:
        return self.problem.propagation.agreed(lambda node: self.problem.table(node, multipliers), self.rows)
