"""Inference within a clique whose table is never built: sums by products of matrices, one for each face of a box."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from spark_dp.graphical.faces import Box, Face
from spark_dp.graphical.seats import Seat
from spark_dp.schema.domain import Clique, Domain

Table = NDArray[np.float64]


class BoxedClique:
    """One clique of a junction tree, its table held as the product of three faces.

    With faces P (axes b, c), Q (a, c) and R (a, b), for each configuration of the other axes, what P's factors need of
    the clique's table is P times the matrix product of R's transpose with Q; so for the others. That is two
    floating-point operations a cell of the clique and face, done in the processor's cache, where reading and writing
    the clique's table would wait for memory. Weights are linear: `fill` is for factors whose range allows that.

    Args:
        domain: of all attributes.
        clique: of the tree.
        box: its groups; the last factor of `box.faces` is the separator.
        inner: canonical cliques of the factors: sites and the children's separators.
        separator: to the parent, canonical; () at a root.
    """

    def __init__(
        self, domain: Domain, clique: Clique, box: Box, inner: Sequence[Clique], separator: Clique
    ) -> None:
        self._shape = domain.shape(clique)
        self._rest, self._groups = box.rest, box.groups
        self._on: list[list[int]] = [[], [], []]
        for i, face in enumerate(box.faces[:-1]):
            self._on[face].append(i)
        self._own = box.faces[-1]
        self._lengths = [prod(self._shape[axis] for axis in group) for group in box.groups]
        batches = prod(self._shape[axis] for axis in box.rest)
        self._faces: list[Face] = []
        for k in range(3):
            i, j = (n for n in range(3) if n != k)
            axes = (*box.rest, *box.groups[i], *box.groups[j])
            shape = (batches, self._lengths[i], self._lengths[j])
            sizes = tuple(self._shape[axis] for axis in axes)
            self._faces.append(
                Face([clique[axis] for axis in axes], sizes, shape, [inner[n] for n in self._on[k]])
            )
        own = self._faces[self._own]
        self._seat = Seat.of(separator, own.attributes, own.sizes)
        self._count = len(inner)
        self._products: list[Table] = []
        self._sums: list[Table] = []
        self._moves: list[Table | None] = []

    def fill(self, factors: Sequence[Table]) -> Table:
        """Takes in the factors, non-negative; returns their product summed to the separator."""
        self._products = [
            face.put_together([factors[i] for i in on], np.multiply)
            for face, on in zip(self._faces, self._on, strict=True)
        ]
        summed = self._contract(self._own, self._products)
        self._sums = [summed] * 3
        self._norm = self._faces[self._own].sum_to(self._seat, self._products[self._own] * summed)
        return self._norm

    def finish(self, above: Table) -> list[Table]:
        """Returns each factor's marginal, given the separator's. After `fill`."""
        own = self._own
        ratio = np.divide(above, self._norm, out=np.zeros_like(self._norm), where=self._norm > 0)
        self._scaled = list(self._products)
        self._scaled[own] = self._faces[own].scaled(self._products[own], self._seat, ratio)
        for k in range(3):
            if k != own:
                self._sums[k] = self._contract(k, self._scaled)
        return self._spread([p * s for p, s in zip(self._scaled, self._sums, strict=True)])

    def move(self, directions: Sequence[Table]) -> Table:
        """Takes in how the factors' logarithms move; returns the mean for each configuration of the separator.

        After `finish`.
        """
        own, products = self._own, self._products
        centred = [table - table.sum() / table.size for table in directions]
        self._moves = [
            face.put_together([centred[i] for i in on], np.add) if on else None
            for face, on in zip(self._faces, self._on, strict=True)
        ]
        self._moved = [
            None if move is None or k == own else move * products[k] for k, move in enumerate(self._moves)
        ]
        self._change = np.zeros(self._faces[own].shape)
        for k, moved in enumerate(self._moved):
            if moved is not None:
                self._change += self._contract(own, [*products[:k], moved, *products[k + 1 :]])
        found, move = self._change, self._moves[own]
        if move is not None:
            found = move * self._sums[own] + found
        found = self._faces[own].sum_to(self._seat, products[own] * found)
        self._mean = np.divide(found, self._norm, out=np.zeros_like(found), where=self._norm > 0)
        return self._mean

    def settle(self, moved: Table | None) -> list[Table]:
        """Returns how each factor's marginal moves, given how the separator's does; None at a root. After `move`."""
        own = self._own
        face, scaled = self._faces[own], self._scaled
        pushed = face.scaled(scaled[own], self._seat, -self._mean)
        move = self._moves[own]
        if move is not None:
            pushed += scaled[own] * move
        if moved is not None:
            part = np.divide(moved, self._norm, out=np.zeros_like(moved), where=self._norm > 0)
            pushed += face.scaled(self._products[own], self._seat, part)
        changes = [scaled[own]] * 3
        for k in range(3):
            if k == own:
                changes[k] = pushed * self._sums[k] + scaled[k] * self._change
                continue
            third = 3 - own - k
            tables = list(scaled)
            tables[own] = pushed
            change = self._contract(k, tables)
            beside = self._moved[third]
            if beside is not None:
                tables[own], tables[third] = scaled[own], beside
                change += self._contract(k, tables)
            change *= scaled[k]
            mine = self._moved[k]
            if mine is not None:
                change += mine * self._sums[k]
            changes[k] = change
        return self._spread(changes)

    def belief(self) -> Table:
        """Returns the clique's marginal, axes canonical. After `finish`."""
        placed = []
        for k, table in enumerate(self._scaled):
            i, j = (n for n in range(3) if n != k)
            axes = (*self._rest, *self._groups[i], *self._groups[j])
            order = sorted(range(len(axes)), key=axes.__getitem__)
            turned = table.reshape([self._shape[a] for a in axes]).transpose(order)
            placed.append(turned.reshape([size if a in axes else 1 for a, size in enumerate(self._shape)]))
        whole = np.empty(self._shape)
        np.multiply(placed[0], placed[1], out=whole)
        whole *= placed[2]
        return whole

    def _contract(self, k: int, tables: Sequence[Table]) -> Table:
        """Sums the product of the two other faces over group k: a table of face k."""
        one, two, three = tables
        found: Table
        if k == 0:
            found = np.matmul(three.swapaxes(1, 2), two)
        elif k == 1:
            found = np.matmul(three, one)
        else:
            found = np.matmul(two, one.swapaxes(1, 2))
        return found

    def _spread(self, tables: Sequence[Table]) -> list[Table]:
        found: list[Table] = [np.empty(0)] * self._count
        for face, on, table in zip(self._faces, self._on, tables, strict=True):
            for i, summed in zip(on, face.sums(table), strict=True):
                found[i] = summed
        return found
