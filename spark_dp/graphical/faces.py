"""Three groups of a clique's axes such that each of its factors lacks one: the faces of a box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from math import prod

import numpy as np
from numpy.typing import NDArray

from spark_dp.graphical.seats import Seat
from spark_dp.graphical.sweep import Axes, SumOut, sum_out
from spark_dp.schema.domain import Attribute, Clique

Table = NDArray[np.float64]

DENSE_CELL = 6.0
"""Nanoseconds of one inference for a cell of a clique whose table is built, as measured."""

# Nanoseconds of what a box takes: a small product of matrices, a multiplication within one, a cell of a face. The last is
# twice its time: some eight tables of each face are held, and all faces with less than a third of the clique's
# cells keep that below what the clique's own table and its copies would be.
_A_PRODUCT, _A_MULTIPLICATION, _A_FACE_CELL = 150.0, 0.05, 20.0

_STARTS = 64
"""Threes of axes to start from, those of the longest axes first."""

_LARGEST_PRODUCT = 1 << 18
"""Multiplications of one product of matrices beyond which groups do not grow: it leaves a core's cache, and BLAS starts
threads, which take longer than they save."""


@dataclass(frozen=True, slots=True)
class Box:
    """A clique's axes in groups, and which factor lies on which face.

    The clique's table is the product of three: face k has all axes but those of group k. Summing the clique's
    table over group k is then a product of matrices, which reads two faces and writes one.

    Attributes:
        groups: three groups of axes, none empty, in ascending order of their cells.
        rest: the axes that all faces have.
        faces: for each factor the face that it lies on.
    """

    groups: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    rest: tuple[int, ...]
    faces: tuple[int, ...]

    @classmethod
    def find(
        cls, sizes: Sequence[int], factors: Sequence[Axes], dense_cell: float = DENSE_CELL
    ) -> Box | None:
        """Returns the groups of the least work, or None where the whole table is less, or each three axes share a factor.

        Starts from three axes that no factor has together, and lets each of the others, the longest first, join
        a group where that saves work.

        Args:
            sizes: of the axes.
            factors: axes of each.
            dense_cell: nanoseconds that a cell of the whole table takes.
        """
        masks = {sum(1 << axis for axis in axes) for axes in factors}
        masks = {m for m in masks if not any(m != other and m & ~other == 0 for other in masks)}
        best, taken = dense_cell * prod(sizes), [0, 0, 0]
        order = sorted(range(len(sizes)), key=lambda axis: -sizes[axis])
        starts = ([1 << a for a in axes] for axes in combinations(order, 3))
        for start in islice((s for s in starts if _fits(masks, s)), _STARTS):
            groups, cost = _grown(sizes, masks, start, order)
            if cost < best:
                best, taken = cost, groups
        if not taken[0]:
            return None
        taken.sort(key=lambda group: _cells(sizes, group))
        members = [tuple(a for a in reversed(order) if group >> a & 1) for group in taken]
        faces = []
        for axes in factors:
            mask = sum(1 << axis for axis in axes)
            # The smallest face, the one without the largest group, is the cheapest to work on.
            faces.append(next(k for k in (2, 1, 0) if not mask & taken[k]))
        held = taken[0] | taken[1] | taken[2]
        rest = tuple(a for a in reversed(order) if not held >> a & 1)
        return cls((members[0], members[1], members[2]), rest, tuple(faces))


def _grown(
    sizes: Sequence[int], masks: set[int], groups: list[int], order: Sequence[int]
) -> tuple[list[int], float]:
    """Lets axes join the groups while that saves work; returns the groups and their work."""
    cost = _work(sizes, groups)
    for axis in order:
        for k in range(3) if not (groups[0] | groups[1] | groups[2]) >> axis & 1 else ():
            joined = groups.copy()
            joined[k] |= 1 << axis
            if prod(_cells(sizes, group) for group in joined) > _LARGEST_PRODUCT:
                continue
            if _fits(masks, joined) and _work(sizes, joined) <= cost:
                groups, cost = joined, _work(sizes, joined)
                break
    return groups, cost


def _fits(masks: set[int], groups: Sequence[int]) -> bool:
    """Whether each factor lacks one of the groups."""
    return all(any(not mask & group for group in groups) for mask in masks)


def _cells(sizes: Sequence[int], mask: int) -> int:
    return prod(size for axis, size in enumerate(sizes) if mask >> axis & 1)


def _work(sizes: Sequence[int], groups: Sequence[int]) -> float:
    cells = prod(sizes)
    a, b, c = (_cells(sizes, group) for group in groups)
    products = cells // (a * b * c) * _A_PRODUCT + cells * _A_MULTIPLICATION
    return 3 * products + (cells / a + cells / b + cells / c) * _A_FACE_CELL


class Face:
    """One face of a box: the product of the factors on it, and the sums of its table to their axes.

    Tables of a face have three axes: the rest, and two groups.

    Args:
        attributes: of the face, in the order of its axes.
        sizes: theirs.
        shape: of its tables.
        cliques: canonical, of the factors that lie on it.
    """

    def __init__(
        self,
        attributes: Sequence[Attribute],
        sizes: tuple[int, ...],
        shape: tuple[int, int, int],
        cliques: Sequence[Clique],
    ) -> None:
        self.attributes, self.sizes, self.shape = tuple(attributes), sizes, shape
        self.seats = [Seat.of(clique, self.attributes, sizes) for clique in cliques]
        self._plan = SumOut.plan(sizes, [frozenset(seat.axes) for seat in self.seats])

    def put_together(self, tables: Sequence[Table], combine: np.ufunc) -> Table:
        """Returns the combination of one table of each factor, by np.multiply or np.add."""
        if not tables:
            return np.full(self.shape, float(combine.identity))
        placed = [seat.place(table) for seat, table in zip(self.seats, tables, strict=True)]
        whole = _together(self._plan, placed, combine)
        if whole.shape != self.sizes:
            whole = np.broadcast_to(whole, self.sizes)
        return np.ascontiguousarray(whole).reshape(self.shape)

    def scaled(self, table: Table, seat: Seat, scale: Table) -> Table:
        """Returns a table of the face times a small one that has a seat there."""
        return (table.reshape(self.sizes) * seat.place(scale)).reshape(self.shape)

    def sums(self, table: Table) -> list[Table]:
        """Returns a table of the face summed to each factor's clique, canonical."""
        if not self.seats:
            return []
        found = [table] * len(self.seats)
        sum_out(self._plan, table.reshape(self.sizes), found)
        return [seat.lift(summed) for seat, summed in zip(self.seats, found, strict=True)]

    def sum_to(self, seat: Seat, table: Table) -> Table:
        """Returns a table of the face summed to one clique that has a seat there."""
        lost = tuple(axis for axis in range(len(self.sizes)) if axis not in seat.axes)
        return seat.lift(np.add.reduce(table.reshape(self.sizes), axis=lost, keepdims=True))


def _together(plan: SumOut, tables: Sequence[Table], combine: np.ufunc) -> Table:
    """Combines tables that broadcast to one another, those that lack an axis first."""
    found = [_together(after, tables, combine) for _, after in plan.steps]
    found += [tables[i] for i in plan.targets]
    whole = found[0]
    for table in found[1:]:
        whole = combine(whole, table)
    return whole
