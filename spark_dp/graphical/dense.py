"""Inference within a clique whose table is built, written or read in blocks that fit the processor's cache."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from spark_dp.graphical.seats import Seat
from spark_dp.graphical.sweep import SumOut, Sums, blocks, combine_block, gather, part
from spark_dp.schema.domain import Clique, Domain

Table = NDArray[np.float64]


class DenseClique:
    """One clique of a junction tree and its table of weights, each block of it touched once a sweep.

    The table's axes are ordered by length, the longest last, so that inner loops are long.

    Args:
        domain: of all attributes.
        clique: of the tree.
        inner: canonical cliques of the factors: sites and the children's separators.
        separator: to the parent, canonical; () at a root.
    """

    def __init__(self, domain: Domain, clique: Clique, inner: Sequence[Clique], separator: Clique) -> None:
        attributes = tuple(sorted(clique, key=domain.size))
        self._shape = domain.shape(attributes)
        self._seats = [Seat.of(c, attributes, self._shape) for c in inner]
        self._seat = Seat.of(separator, attributes, self._shape)
        self._plan = SumOut.plan(self._shape, [frozenset(seat.axes) for seat in self._seats])
        self._up = SumOut.plan(self._shape, [frozenset(self._seat.axes)])
        self._lost = tuple(a for a in range(len(self._shape)) if a not in self._seat.axes)
        self._canonical = [attributes.index(a) for a in clique]
        self._is_root = not separator
        self._blocks = list(blocks(self._shape))
        self._weights = np.empty(self._shape)
        self._at_root: list[Table] = []

    def fill(self, factors: Sequence[Table]) -> Table:
        """Takes in the factors, non-negative; returns their product summed to the separator."""
        placed = [seat.place(factor) for seat, factor in zip(self._seats, factors, strict=True)]
        parts = gather(self._plan, placed, np.multiply, self._shape)
        sums = Sums(self._plan if self._is_root else self._up, self._shape)
        for block in self._blocks:
            view = part(self._weights, block)
            combine_block(parts, block, np.multiply, view)
            sums.add(block, view)
        return self._filled(sums)

    def fill_logs(self, logs: Sequence[Table]) -> tuple[Table, Table]:
        """Takes in the factors' logarithms, of any range.

        Each configuration of the separator is divided by its greatest weight.

        Returns:
            The sum for each configuration of the separator, and the logarithm of what it was divided by.
        """
        placed = [seat.place(log) for seat, log in zip(self._seats, logs, strict=True)]
        parts = gather(self._plan, placed, np.add, self._shape)
        for block in self._blocks:
            combine_block(parts, block, np.add, part(self._weights, block))
        greatest = self._weights.max(axis=self._lost, keepdims=True)
        greatest[greatest == -np.inf] = 0.0
        self._weights -= greatest
        np.exp(self._weights, out=self._weights)
        sums = Sums(self._plan if self._is_root else self._up, self._shape)
        for block in self._blocks:
            sums.add(block, part(self._weights, block))
        return self._filled(sums), self._seat.lift(greatest)

    def _filled(self, sums: Sums) -> Table:
        if self._is_root:
            self._at_root = sums.result(len(self._seats))
            held = self._at_root[0].sum() if self._at_root else float(prod(self._shape))
            self._norm = np.asarray(held).reshape(self._seat.shape)
        else:
            self._norm = sums.result(1)[0]
        return self._seat.lift(self._norm)

    def finish(self, above: Table) -> list[Table]:
        """Returns each factor's marginal, given the separator's. After `fill`."""
        held = self._seat.place(above)
        self._ratio = np.divide(held, self._norm, out=np.zeros_like(self._norm), where=self._norm > 0)
        if self._is_root:
            return self._lifted([table * self._ratio for table in self._at_root])
        sums = Sums(self._plan, self._shape)
        if self._seats:
            for block in self._blocks:
                sums.add(block, part(self._weights, block) * part(self._ratio, block))
        return self._lifted(sums.result(len(self._seats)))

    def move(self, directions: Sequence[Table]) -> Table:
        """Takes in how the factors' logarithms move; returns the mean for each configuration of the separator.

        After `finish`.
        """
        placed = [seat.place(table) for seat, table in zip(self._seats, directions, strict=True)]
        self._parts = gather(self._plan, placed, np.add, self._shape)
        if self._is_root:
            mean = sum(float(np.vdot(m, d)) for m, d in zip(self._at_root, placed, strict=True))
            self._mean = np.full(self._norm.shape, mean / float(self._norm.sum()))
            return self._seat.lift(self._mean)
        sums = Sums(self._up, self._shape)
        if placed:
            for block in self._blocks:
                weights = part(self._weights, block)
                values = np.empty_like(weights)
                combine_block(self._parts, block, np.add, values)
                values *= weights
                sums.add(block, values)
            self._mean = self._given(sums.result(1)[0])
        else:
            self._mean = np.zeros_like(self._norm)
        return self._seat.lift(self._mean)

    def settle(self, moved: Table | None) -> list[Table]:
        """Returns how each factor's marginal moves, given how the separator's does; None at a root. After `move`."""
        if not self._seats:
            return []
        pieces = [*self._parts, -self._mean]
        pushed = None if moved is None else self._given(self._seat.place(moved))
        sums = Sums(self._plan, self._shape)
        for block in self._blocks:
            weights = part(self._weights, block)
            values = np.empty_like(weights)
            combine_block(pieces, block, np.add, values)
            values *= part(self._ratio, block)
            if pushed is not None:
                values += part(pushed, block)
            values *= weights
            sums.add(block, values)
        return self._lifted(sums.result(len(self._seats)))

    def belief(self) -> Table:
        """Returns the clique's marginal, axes canonical, and ends this object's use. After `finish`."""
        self._weights *= self._ratio
        found = np.ascontiguousarray(self._weights.transpose(self._canonical))
        self._weights = np.empty(0)
        return found

    def _given(self, table: Table) -> Table:
        found: Table = np.divide(table, self._norm, out=np.zeros_like(table), where=self._norm > 0)
        return found

    def _lifted(self, tables: Sequence[Table]) -> list[Table]:
        return [seat.lift(table) for seat, table in zip(self._seats, tables, strict=True)]
