"""Semismooth Newton on the dual: the optimiser where every clique of the tree was measured itself."""

from __future__ import annotations

import numpy as np

from spark_dp.graphical.dual import DualPoint, DualProblem, Vector
from spark_dp.graphical.inference import Tables
from spark_dp.graphical.search import Search

_ACCURACY = 0.1
_SUFFICIENT_ASCENT = 1e-4
_SMALLEST_STEP = 2.0**-30


def newton(search: Search) -> None:
    """Climbs the dual function, piecewise quadratic and concave, until the search is over or no step helps.

    Qi and Sun 1993: on each piece the Newton step is exact, and the pieces differ by which cells are
    empty, so a handful of steps is enough whatever the total and the noise. Where a table is empty altogether, as
    noise far above the total makes it, its piece is flat and the step useless; one that takes every cell to yield
    is short enough to rise on any piece (Hunter and Lange 2004: it maximises a minorant of the dual function).
    """
    problem = search.problem
    point = problem.evaluate(np.zeros(problem.size))
    search.judge(point.multipliers)
    while not search.is_over:
        reached = _step(problem, point, problem.curvature(point.multipliers))
        if reached is None:
            reached = _step(problem, point, problem.largest_curvature())
        if reached is None:
            return
        point = reached
        search.judge(point.multipliers)


def _step(problem: DualProblem, point: DualPoint, curvature: Tables) -> DualPoint | None:
    solve = problem.solver(curvature, accuracy=_ACCURACY)
    direction = solve(point.violation)
    del solve, curvature  # or the line search would hold them
    return _ascend(problem, point, direction)


def _ascend(problem: DualProblem, point: DualPoint, direction: Vector) -> DualPoint | None:
    """Halves the step until the dual function rises enough (Armijo); None where no step does."""
    slope = float(point.violation @ direction)
    step = 1.0
    while step >= _SMALLEST_STEP:
        reached = problem.evaluate(point.multipliers + step * direction)
        if reached.value >= point.value + _SUFFICIENT_ASCENT * step * slope:
            return reached
        step /= 2
    return None
