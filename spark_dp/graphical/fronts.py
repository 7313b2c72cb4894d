"""Exact Newton directions on a junction tree: dense elimination of each clique's multipliers, from the leaves up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cholesky, solve_triangular

from spark_dp.graphical.inference import Placement

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

LARGEST_FRONT: Final = 2_500
"""Multipliers of one clique up to which they are eliminated together: 50 MB."""

MOST_WORK: Final = 3e10
"""Multiplications up to which all fronts together are cheaper than the rounds of an iterative solver."""


@dataclass(frozen=True, slots=True)
class Block:
    """One agreement's multipliers as one clique sees them.

    Attributes:
        cells: their places in the vector of multipliers.
        place: of what they are summed to, within the clique's table.
        sign: with which the clique enters the agreement.
    """

    cells: slice
    place: Placement
    sign: int

    @property
    def size(self) -> int:
        return int(self.cells.stop - self.cells.start)


@dataclass(frozen=True, slots=True)
class Front:
    """The multipliers that meet in one clique.

    Attributes:
        settled: those that no clique nearer the root sees; eliminated here.
        passed: those shared with the parent, at most one block.
    """

    settled: tuple[Block, ...]
    passed: tuple[Block, ...]

    @property
    def size(self) -> int:
        return sum(block.size for block in (*self.settled, *self.passed))


class Fronts:
    """Solves (A C A' + D) x = right side for agreements on a junction tree and diagonal C and D.

    The matrix couples two agreements only where a clique takes part in both, so that eliminating each clique's
    agreements with its children, the leaves first, fills in nothing but its agreement with its parent: the
    multifrontal method (Duff and Reid 1983), whose elimination tree is the junction tree itself.

    Args:
        fronts: one of each clique, parents before children.
    """

    def __init__(self, fronts: Sequence[Front]) -> None:
        self._fronts = tuple(fronts)

    @property
    def is_cheap(self) -> bool:
        """Whether elimination is worth it: few multipliers meet in each clique."""
        sizes = [float(front.size) for front in self._fronts]
        return max(sizes, default=0.0) <= LARGEST_FRONT and sum(size**3 for size in sizes) <= MOST_WORK

    def factor(self, curvature: Sequence[Matrix], diagonal: Vector) -> Callable[[Vector], Vector] | None:
        """Returns a function that solves for a right side; None where rounding makes the matrix indefinite.

        Args:
            curvature: C, a table of each clique, non-negative.
            diagonal: D, one number a multiplier, non-negative.
        """
        roots: list[Matrix] = []
        bridges: list[Matrix] = []
        updates: dict[int, Matrix] = {}
        for front, table in zip(reversed(self._fronts), reversed(curvature), strict=True):
            matrix = _coupling(table, (*front.settled, *front.passed))
            start = 0
            for block in front.settled:
                stop = start + block.size
                own = updates.pop(block.cells.start, None)
                if own is not None:
                    matrix[start:stop, start:stop] += own
                matrix[np.arange(start, stop), np.arange(start, stop)] += diagonal[block.cells]
                start = stop
            try:
                root = cholesky(matrix[:start, :start], lower=True, check_finite=False)
            except LinAlgError:
                return None
            bridge = solve_triangular(root, matrix[:start, start:], lower=True, check_finite=False)
            for block in front.passed:
                updates[block.cells.start] = matrix[start:, start:] - bridge.T @ bridge
            roots.append(root)
            bridges.append(bridge)

        def solve(right_side: Vector) -> Vector:
            left, solution = right_side.copy(), np.zeros_like(right_side)
            reduced: list[Vector] = []
            for front, root, bridge in zip(reversed(self._fronts), roots, bridges, strict=True):
                held = _taken(left, front.settled)
                reduced.append(solve_triangular(root, held, lower=True, check_finite=False))
                for block in front.passed:
                    left[block.cells] -= bridge.T @ reduced[-1]
            for front, root, bridge, held in zip(
                self._fronts, reversed(roots), reversed(bridges), reversed(reduced), strict=True
            ):
                known = held - bridge @ _taken(solution, front.passed)
                found = solve_triangular(root, known, lower=True, trans="T", check_finite=False)
                start = 0
                for block in front.settled:
                    solution[block.cells] = found[start : start + block.size]
                    start += block.size
            return solution

        return solve


def _taken(vector: Vector, blocks: Sequence[Block]) -> Vector:
    return np.concatenate([vector[block.cells] for block in blocks]) if blocks else np.zeros(0)


def _coupling(table: Matrix, blocks: Sequence[Block]) -> Matrix:
    """Returns A C A' of one clique: how much two multipliers share of its cells."""
    starts = np.cumsum([0, *(block.size for block in blocks)])
    matrix = np.zeros((int(starts[-1]), int(starts[-1])))
    for i, one in enumerate(blocks):
        for j, other in enumerate(blocks[: i + 1]):
            part = one.sign * other.sign * _shared(table, one.place, other.place)
            matrix[starts[i] : starts[i + 1], starts[j] : starts[j + 1]] = part
            if i != j:
                matrix[starts[j] : starts[j + 1], starts[i] : starts[i + 1]] = part.T
    return matrix


def _shared(table: Matrix, one: Placement, other: Placement) -> Matrix:
    """Returns the sum of the table over the cells that belong to cell i of one and to cell j of the other."""
    unused = tuple(set(one.lost) & set(other.lost))
    summed = table.sum(axis=unused, keepdims=True)
    rows, columns = int(np.prod(one.shape)), int(np.prod(other.shape))
    place = np.arange(rows).reshape(one.shape) * columns + np.arange(columns).reshape(other.shape)
    flat = np.bincount(place.ravel(), weights=summed.ravel(), minlength=rows * columns)
    return np.asarray(flat, dtype=np.float64).reshape(rows, columns)
