"""Belief propagation on a junction tree: tables that agree, exact minima."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_dp.graphical.junction_tree import JunctionTree
from spark_dp.schema.domain import Clique

Tables = list[NDArray[np.float64]]
TableOf = Callable[[int], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a smaller clique sits in a larger one: the axes to sum out and the shape to broadcast."""

    lost: tuple[int, ...]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, tree: JunctionTree, inner: Clique, outer: Clique) -> Placement:
        """Places canonical `inner` in canonical `outer`, which contains it."""
        lost = tuple(axis for axis, attribute in enumerate(outer) if attribute not in inner)
        return cls(lost, tuple(tree.domain.size(a) if a in inner else 1 for a in outer))


class BeliefPropagation:
    """Messages over one junction tree, its axes worked out once.

    Everything is linear in the tree's cells, and holds one clique's table at a time beside what is returned.
    """

    def __init__(self, tree: JunctionTree) -> None:
        self.tree = tree
        self.inside: list[Placement] = []
        self.above: list[Placement] = []
        for clique, parent, separator in zip(tree.cliques, tree.parents, tree.separators, strict=True):
            self.inside.append(Placement.of(tree, separator, clique))
            self.above.append(Placement.of(tree, separator, tree.cliques[parent] if parent >= 0 else ()))

    def agreed(self, table_of: TableOf, total: float) -> Tables:
        """Makes non-negative tables agree: each clique's marginal, of weight `total`, from the roots down.

        The distribution of each clique given its separator is read off its table; a separator configuration of weight
        zero gets the uniform distribution. So finite tables of any magnitude give neither an overflow nor 0/0.

        Args:
            table_of: gives the table of one of the tree's cliques, which it may not keep: it is changed.
        """
        found: Tables = []
        for node, (place, parent) in enumerate(zip(self.inside, self.tree.parents, strict=True)):
            table = table_of(node)
            norm = table.sum(axis=place.lost, keepdims=True)
            empty = norm <= 0
            if empty.any():
                np.copyto(table, norm.size / table.size, where=empty)
                norm[empty] = 1.0
            held = np.array(total) if parent < 0 else self._from_parent(node, found)
            table *= held / norm
            found.append(table)
        return found

    def reduced_costs(self, cost_of: TableOf, use: Callable[[int, NDArray[np.float64]], None]) -> float:
        """Splits a cost of the domain's cells into its least value and non-negative tables, by min-sum.

        Tables r >= 0 over the cliques are such that the cost of every distribution mu of weight N is N * least + sum of
        <r, mu>. No cancellation is left in that sum, however large the costs are.

        Args:
            cost_of: gives the costs of one of the tree's cliques, which it may not keep: they are changed.
            use: is handed each clique and its table r, the leaves first.

        Returns:
            The least cost of one cell of the whole domain.
        """
        waiting: dict[int, Tables] = {}
        least = 0.0
        for node in range(len(self.tree.cliques) - 1, -1, -1):
            cost = cost_of(node)
            for message in waiting.pop(node, ()):
                cost += message
            message = cost.min(axis=self.inside[node].lost, keepdims=True)
            cost -= message
            use(node, cost)
            parent = self.tree.parents[node]
            if parent >= 0:
                waiting.setdefault(parent, []).append(message.reshape(self.above[node].shape))
            else:
                least += float(message.sum())
        return least

    def _from_parent(self, node: int, tables: Tables) -> NDArray[np.float64]:
        """Sums the parent's table to the separator, shaped to broadcast over the clique."""
        summed = tables[self.tree.parents[node]].sum(axis=self.above[node].lost)
        return np.asarray(summed).reshape(self.inside[node].shape)
