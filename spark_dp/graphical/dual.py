"""The dual of the estimation problem: one multiplier for each agreement that the tables must reach."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_dp.graphical.convergence import Target
from spark_dp.graphical.fronts import Block, Front, Fronts
from spark_dp.graphical.inference import BeliefPropagation, Placement, Tables

Vector = NDArray[np.float64]

_RIDGE = 1e-11
_CONJUGATE_ROUNDS = 60


@dataclass(frozen=True, slots=True)
class _Agreement:
    """Equations `sum of sign * marginal = constant`, one for each cell of a shared marginal."""

    cells: slice
    terms: tuple[tuple[int, Placement, int], ...]


@dataclass(frozen=True, slots=True)
class DualPoint:
    """What the best tables for given multipliers say of the dual function there.

    Attributes:
        multipliers: one per equation.
        value: the dual function: a lower bound on the penalised loss.
        violation: left side less right side of each equation, the dual function's gradient.
    """

    multipliers: Vector
    value: float
    violation: Vector


class DualProblem:
    """The estimation problem with consistency moved into the objective by multipliers.

    Minimise sum q (z - y)^2 / 2 over tables z >= 0 with A z = b. The tables are those of the tree's cliques,
    with q = 1 / variance where a clique was measured itself and q = 0 where it was not (triangulation made
    it, or only parts of it were measured), and one free table for each target smaller than its clique.
    The equations A z = b say that neighbours agree on their separator, that a root holds all rows, and that
    a free table is the marginal of its clique; the multipliers x, one an equation, are few: some hundreds
    where the model has ten thousands of cells. A free table follows from its multipliers, z = y - x / q.
    """

    def __init__(self, propagation: BeliefPropagation, targets: Sequence[Target], total: float) -> None:
        self.propagation = propagation
        self.targets = tuple(targets)
        tree = propagation.tree
        self.measured = frozenset(t.node for t in self.targets if not t.place.lost)
        shapes = [tree.domain.shape(clique) for clique in tree.cliques]
        self.centres: Tables = [np.zeros(shape) for shape in shapes]
        self.precisions = [0.0] * len(shapes)
        for target in self.targets:
            if not target.place.lost:
                self.centres[target.node] = target.values
                self.precisions[target.node] = 1.0 / target.variance
        self._smaller = [i for i, t in enumerate(self.targets) if t.place.lost]
        self._agreements: list[_Agreement] = []
        size = 0

        def add(*terms: tuple[int, Placement, int]) -> slice:
            nonlocal size
            cells = slice(size, size + int(np.prod(terms[0][1].shape)))
            self._agreements.append(_Agreement(cells, terms))
            size = cells.stop
            return cells

        self._constant_at: list[int] = []
        for node, parent in enumerate(tree.parents):
            if parent >= 0:
                add((node, propagation.inside[node], 1), (parent, propagation.above[node], -1))
            else:
                self._constant_at.append(add((node, propagation.inside[node], 1)).start)
        self._free_cells = [add((self.targets[i].node, self.targets[i].place, -1)) for i in self._smaller]
        self.size = size
        self.constant = np.zeros(size)
        self.constant[self._constant_at] = total
        self._free_variance = np.zeros(size)
        for i, cells in zip(self._smaller, self._free_cells, strict=True):
            self._free_variance[cells] = self.targets[i].variance
        self._met: list[list[tuple[slice, Placement, int]]] = [[] for _ in tree.cliques]
        for agreement in self._agreements:
            for node, place, sign in agreement.terms:
                self._met[node].append((agreement.cells, place, sign))
        self._fronts = Fronts(self._meetings())

    def _meetings(self) -> list[Front]:
        """Returns for each clique the multipliers that meet in it: only those shared with its parent are passed on."""
        settled: list[list[Block]] = [[] for _ in self.centres]
        passed: list[list[Block]] = [[] for _ in self.centres]
        for agreement in self._agreements:
            blocks = [(node, Block(agreement.cells, place, sign)) for node, place, sign in agreement.terms]
            nearest, own = blocks[-1]  # the parent, or the only one
            settled[nearest].append(own)
            for node, block in blocks[:-1]:
                passed[node].append(block)
        return [Front(tuple(own), tuple(on)) for own, on in zip(settled, passed, strict=True)]

    def table(self, node: int, multipliers: Vector) -> NDArray[np.float64]:
        """Returns a clique's best table at these multipliers, max(0, y - s w) with w the multipliers spread out.

        Non-negative, in rows; the tables agree only at the optimum. Only for a decomposable problem: elsewhere the dual
        function is finite on a part of the space alone.
        """
        table = self._spread(node, multipliers)
        table *= -1.0 / self.precisions[node]
        table += self.centres[node]
        return np.maximum(table, 0.0, out=table)

    def evaluate(self, multipliers: Vector) -> DualPoint:
        """Returns the dual function and its gradient; holds one clique's table at a time."""
        value = -float(multipliers @ self.constant)
        violation = -self.constant
        for node, (centre, precision) in enumerate(zip(self.centres, self.precisions, strict=True)):
            table = self.table(node, multipliers)
            for cells, place, sign in self._met[node]:
                summed = table.sum(axis=place.lost).ravel()
                violation[cells] += sign * summed
                value += sign * float(multipliers[cells] @ summed)
            table -= centre
            value += float(np.vdot(table, table)) * precision / 2
        for i, cells in zip(self._smaller, self._free_cells, strict=True):
            own, target = multipliers[cells], self.targets[i]
            value += float(own @ target.values.ravel()) - target.variance * float(own @ own) / 2
            violation[cells] += target.values.ravel() - target.variance * own
        return DualPoint(multipliers, value, violation)

    def curvature(self, multipliers: Vector) -> Tables:
        """Returns how far each cell of each clique yields to a slope: by the variance, or not at all where it is empty."""
        found: Tables = []
        for node, precision in enumerate(self.precisions):
            table = self.table(node, multipliers)
            np.copyto(table, 1.0 / precision, where=table > 0)
            found.append(table)
        return found

    def largest_curvature(self) -> Tables:
        """Returns the most that each cell of each clique can yield to a slope: by the variance, whatever the multipliers."""
        return [
            np.full(centre.shape, 1.0 / precision)
            for centre, precision in zip(self.centres, self.precisions, strict=True)
        ]

    def slope(self, target: int, multipliers: Vector) -> NDArray[np.float64]:
        """Returns the best slope of a target, (table - noisy) / variance, for these multipliers.

        Computed from the multipliers and not from the tables, whose differences would be lost in
        rounding where counts are large.
        """
        own = self.targets[target]
        if target in self._smaller:
            cells = self._free_cells[self._smaller.index(target)]
            return -multipliers[cells].reshape(own.place.shape)
        slope = self._spread(own.node, multipliers)
        slope *= own.variance
        np.minimum(slope, own.values, out=slope)
        slope *= -1.0 / own.variance
        return slope

    def solver(self, curvature: Tables, *, accuracy: float) -> Callable[[Vector], Vector]:
        """Returns a function that solves (A C A' + free variances) x = right side.

        Exactly, by elimination along the tree, where few multipliers meet in each clique (`Fronts`): conjugate gradients
        would take hundreds of rounds for a chain of a hundred columns. Elsewhere by these, preconditioned by the
        diagonal. The equations are partly redundant, so a ridge that is small beside the diagonal keeps it positive; an
        equation none of whose cells yields gets a whole one.

        Args:
            curvature: C, how far each cell of each clique yields to a slope; non-negative.
            accuracy: at which the rounds of conjugate gradients stop, relative to the right side.
        """
        diagonal = self._diagonal(curvature)
        flat = diagonal <= 0
        ridge = _RIDGE * diagonal
        ridge[flat] = diagonal.max(initial=0.0) or 1.0
        whole = np.where(flat, ridge, 0.0)
        scale = diagonal + ridge
        if self._fronts.is_cheap:
            exact = self._fronts.factor(curvature, self._free_variance + ridge)
            if exact is not None:
                return exact

        def precondition(values: Vector) -> Vector:
            return values / scale

        def solve(right_side: Vector) -> Vector:
            solution = np.zeros(self.size)
            residual = right_side.copy()
            preconditioned = precondition(residual)
            search = preconditioned
            energy = first = float(residual @ preconditioned)
            for _ in range(_CONJUGATE_ROUNDS):
                if not energy > accuracy**2 * first:
                    break
                image = self._apply(curvature, search) + whole * search
                bend = float(search @ image)
                if not bend > 0:
                    break
                length = energy / bend
                solution += length * search
                residual -= length * image
                preconditioned = precondition(residual)
                renewed = float(residual @ preconditioned)
                search = preconditioned + (renewed / energy) * search
                energy = renewed
            return solution

        return solve

    def _spread(self, node: int, multipliers: Vector) -> NDArray[np.float64]:
        """Returns for each cell of a clique the sum of the multipliers of its equations: its part of A' x."""
        slopes = np.zeros(self.centres[node].shape)
        for cells, place, sign in self._met[node]:
            slopes += (sign * multipliers[cells]).reshape(place.shape)
        return slopes

    def _apply(self, curvature: Tables, direction: Vector) -> Vector:
        found = self._free_variance * direction
        for node, table in enumerate(curvature):
            moved = self._spread(node, direction)
            moved *= table
            for cells, place, sign in self._met[node]:
                found[cells] += sign * moved.sum(axis=place.lost).ravel()
        return found

    def _diagonal(self, curvature: Tables) -> Vector:
        result = self._free_variance.copy()
        for agreement in self._agreements:
            for node, place, _ in agreement.terms:
                result[agreement.cells] += curvature[node].sum(axis=place.lost).ravel()
        return result
