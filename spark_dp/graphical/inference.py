"""Belief propagation on a junction tree: exact marginals, exact minima."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_dp.graphical.junction_tree import JunctionTree
from spark_dp.schema.domain import Clique

Tables = list[NDArray[np.float64]]


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


@dataclass(frozen=True, slots=True)
class Conditionals:
    """The distribution of each clique given its separator: the parts of a joint distribution over the tree.

    Attributes:
        tables: per clique, of the clique's shape; sums to one for each configuration of the separator.
        log_partition: the logarithm of the sum of exp(potentials) over the whole domain.
    """

    tables: Tables
    log_partition: float


class BeliefPropagation:
    """Messages over one junction tree, its axes worked out once.

    Everything is linear in the tree's cells. The upward pass works with logarithms and subtracts each
    separator configuration's maximum; the downward pass multiplies probabilities. So finite potentials of
    any magnitude give neither an overflow nor 0/0.
    """

    def __init__(self, tree: JunctionTree) -> None:
        self.tree = tree
        self.inside: list[Placement] = []
        self.above: list[Placement] = []
        for clique, parent, separator in zip(tree.cliques, tree.parents, tree.separators, strict=True):
            self.inside.append(Placement.of(tree, separator, clique))
            self.above.append(Placement.of(tree, separator, tree.cliques[parent] if parent >= 0 else ()))

    def conditionals(self, potentials: Sequence[NDArray[np.float64]]) -> Conditionals:
        """Turns finite log-potentials into conditional distributions, from the leaves up.

        Args:
            potentials: one array per clique of the tree, of its shape; not changed.
        """
        sums = list(potentials)
        tables = sums.copy()
        log_partition = 0.0
        for node in range(len(sums) - 1, -1, -1):
            place, parent = self.inside[node], self.tree.parents[node]
            peak = sums[node].max(axis=place.lost, keepdims=True)
            table = np.exp(sums[node] - peak)
            norm = table.sum(axis=place.lost, keepdims=True)
            table /= norm
            tables[node] = table
            message = peak + np.log(norm)
            if parent >= 0:
                sums[parent] = sums[parent] + message.reshape(self.above[node].shape)
            else:
                log_partition += float(message.sum())
        return Conditionals(tables, log_partition)

    def beliefs(self, conditionals: Conditionals, total: float) -> Tables:
        """Returns each clique's marginal, from the roots down: consistent, each of weight `total`."""
        found: Tables = []
        for node, table in enumerate(conditionals.tables):
            if self.tree.parents[node] < 0:
                found.append(table * total)
            else:
                found.append(table * self._from_parent(node, found))
        return found

    def condition(self, tables: Sequence[NDArray[np.float64]]) -> Conditionals:
        """Reads conditionals off non-negative tables that need not agree on their separators.

        A separator configuration of weight zero gets the uniform distribution. The log-partition is not
        defined for such tables and is NaN.
        """
        found: Tables = []
        for place, table in zip(self.inside, tables, strict=True):
            norm = table.sum(axis=place.lost, keepdims=True)
            spread = norm.size / table.size if table.size else 0.0
            found.append(np.where(norm > 0, table, spread) / np.where(norm > 0, norm, 1.0))
        return Conditionals(found, float("nan"))

    def reduced_costs(self, costs: Sequence[NDArray[np.float64]]) -> tuple[Tables, float]:
        """Splits a cost of the domain's cells into its least value and non-negative tables, by min-sum.

        Returns:
            Tables r >= 0 over the cliques and the least cost of one cell of the whole domain, such that
            the cost of every distribution mu of weight N is N * least + sum of <r, mu>. No cancellation
            is left in that sum, however large the costs are.
        """
        reduced = list(costs)
        least = 0.0
        for node in range(len(reduced) - 1, -1, -1):
            message = reduced[node].min(axis=self.inside[node].lost, keepdims=True)
            reduced[node] = reduced[node] - message
            parent = self.tree.parents[node]
            if parent >= 0:
                reduced[parent] = reduced[parent] + message.reshape(self.above[node].shape)
            else:
                least += float(message.sum())
        return reduced, least

    def _from_parent(self, node: int, tables: Tables) -> NDArray[np.float64]:
        """Sums the parent's table to the separator, shaped to broadcast over the clique."""
        summed = tables[self.tree.parents[node]].sum(axis=self.above[node].lost)
        return np.asarray(summed).reshape(self.inside[node].shape)
