"""A primal-dual interior-point method: the optimiser for any set of cliques."""

from __future__ import annotations

import numpy as np

from spark_dp.graphical.dual import Vector
from spark_dp.graphical.inference import Tables
from spark_dp.graphical.search import Search

_ACCURACY = 1e-9
_TO_THE_BOUNDARY = 0.99


def interior_point(search: Search, start: Tables) -> None:
    """Follows the central path to the optimum, until the search is over.

    Mehrotra 1992's predictor and corrector for the convex quadratic programme of `DualProblem`. Each step
    solves two systems in the multipliers. Where the measurements leave a clique undetermined, the
    path's end is the analytic centre of what fits best, so no cell is empty without need.

    Args:
        start: positive tables of the tree's cliques, in rows.
    """
    problem = search.problem
    sizes = np.cumsum([0, *(table.size for table in start)])

    def flat(tables: Tables) -> Vector:
        return np.concatenate([table.ravel() for table in tables])

    def shaped(values: Vector) -> Tables:
        return [values[a:b].reshape(t.shape) for a, b, t in zip(sizes[:-1], sizes[1:], start, strict=True)]

    cells = np.maximum(flat(start), 1e-12 * search.rows / max(sizes[-1], 1))
    centre = flat(problem.centres)
    precision = np.repeat(problem.precisions, np.diff(sizes))
    multipliers = np.zeros(problem.size)
    slope = precision * (cells - centre)
    search.judge(shaped(cells), multipliers)
    barrier = max(search.convergence.gap / cells.size, 1e-6)
    slack = np.maximum(slope, 0.0) + barrier / cells
    while not search.is_over:
        violation = problem.violation(shaped(cells), multipliers)
        gradient = precision * (cells - centre) + flat(problem.spread(multipliers)) - slack
        give = 1.0 / (precision + slack / cells)
        solve = problem.solver(shaped(give), accuracy=_ACCURACY, factorise=True)

        gauge = float((cells * slack).mean())
        pull = -gradient - slack
        along = solve(violation + problem.gather(shaped(give * pull)))
        cells_step = give * (pull - flat(problem.spread(along)))
        slack_step = -slack - slack / cells * cells_step
        length = _longest(cells, cells_step, slack, slack_step)
        ahead = float(((cells + length * cells_step) * (slack + length * slack_step)).mean())
        aim = gauge * (ahead / gauge) ** 3
        push = (aim - cells_step * slack_step) / cells
        pull = pull + push
        along = solve(violation + problem.gather(shaped(give * pull)))
        cells_step = give * (pull - flat(problem.spread(along)))
        slack_step = push - slack - slack / cells * cells_step
        length = min(1.0, _TO_THE_BOUNDARY * _longest(cells, cells_step, slack, slack_step))
        cells = cells + length * cells_step
        slack = slack + length * slack_step
        multipliers = multipliers + length * along
        search.judge(shaped(cells), multipliers)


def _longest(*pairs: Vector) -> float:
    """Returns the longest step, at most 1, that keeps every value of (values, steps, ...) non-negative."""
    longest = 1.0
    for values, steps in zip(pairs[::2], pairs[1::2], strict=True):
        down = steps < 0
        if down.any():
            longest = min(longest, float((-values[down] / steps[down]).min()))
    return longest
