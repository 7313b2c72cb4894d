"""Inference by passes over a junction tree whose factors are much smaller than its cliques."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spark_dp.graphical.boxed import BoxedClique
from spark_dp.graphical.cliques import smallest_superset
from spark_dp.graphical.dense import DenseClique
from spark_dp.graphical.faces import DENSE_CELL, Box
from spark_dp.graphical.junction_tree import JunctionTree
from spark_dp.schema.domain import Clique

Table = NDArray[np.float64]

# exp(-650) is a normal number, and so is its square root's product with any table of 10^9 cells.
_LINEAR_RANGE = 650.0


class _Node:
    """One clique of the tree, with the factors that it is the product of: its sites, its children's messages."""

    def __init__(
        self, tree: JunctionTree, index: int, held: Sequence[tuple[int, Clique]], dense_cell: float
    ) -> None:
        self.domain, self.clique, self.separator = tree.domain, tree.cliques[index], tree.separators[index]
        self.sites = tuple(site for site, _ in held)
        self.children = tree.children[index]
        self.is_root = tree.parents[index] < 0
        self.inner = [*(clique for _, clique in held), *(tree.separators[child] for child in self.children)]
        self._boxed: BoxedClique | None = None
        self._dense: DenseClique | None = None
        axes = [frozenset(self.clique.index(a) for a in c) for c in (*self.inner, self.separator)]
        box = Box.find(self.domain.shape(self.clique), axes, dense_cell)
        if box is not None:
            self._boxed = BoxedClique(self.domain, self.clique, box, self.inner, self.separator)
        self.table: BoxedClique | DenseClique = self._boxed or self._as_dense()

    def _as_dense(self) -> DenseClique:
        if self._dense is None:
            self._dense = DenseClique(self.domain, self.clique, self.inner, self.separator)
        return self._dense

    def fill(self, logs: Sequence[Table]) -> Table:
        """Takes in the factors' logarithms; returns the message to the parent, a logarithm too.

        The product is formed from exponentials where the range of the factors shows that it cannot underflow, and
        from logarithms, less the greatest of each separator configuration, where not.
        """
        peaks = [float(log.max()) for log in logs]
        extent = sum(peak - _least(log) for log, peak in zip(logs, peaks, strict=True))
        offset: Table | float
        if extent < _LINEAR_RANGE and min(peaks, default=0.0) > -np.inf:
            self.table = self._boxed or self._as_dense()
            norm = self.table.fill([np.exp(log - peak) for log, peak in zip(logs, peaks, strict=True)])
            offset = sum(peaks)
        else:
            self.table = self._as_dense()
            norm, offset = self.table.fill_logs(logs)
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(norm) + offset)


def _least(log: Table) -> float:
    """Returns the least number that is finite; +inf where there is none."""
    least = float(log.min())
    return least if least > -np.inf else float(np.min(log, where=log > -np.inf, initial=np.inf))


class Passes:
    """Exact marginals of exp(sum of the sites' potentials), and their derivatives.

    Where each factor of a clique, its separators included, lacks one of three groups of axes, the clique's table is
    never built (`BoxedClique`); elsewhere it is, and each block of it read or written once a sweep
    (`DenseClique`). Messages are logarithms.

    Args:
        tree: holds each site within a clique.
        sites: canonical cliques, distinct.
        dense_cell: nanoseconds that a cell of a clique is taken to cost where its table is built: 0 builds all, infinity
            none that can be boxed. It changes the time and not the result.
    """

    def __init__(
        self, tree: JunctionTree, sites: Sequence[Clique], *, dense_cell: float = DENSE_CELL
    ) -> None:
        self.tree, self.sites = tree, tuple(sites)
        held: list[list[tuple[int, Clique]]] = [[] for _ in tree.cliques]
        for i, site in enumerate(sites):
            node = smallest_superset(tree.domain, site, tree.cliques)
            if node is None:
                raise ValueError(f"No clique of the junction tree holds {site}.")
            held[node].append((i, site))
        self._nodes = [_Node(tree, i, held[i], dense_cell) for i in range(len(tree.cliques))]

    def forward(self, logs: Sequence[Table]) -> float:
        """Sends messages from the leaves up; returns the logarithm of the sum over the whole domain.

        Args:
            logs: potentials of each site, of its clique's shape; -inf where a cell is forbidden.
        """
        messages: dict[int, Table] = {}
        log_partition = 0.0
        for index, node in reversed(list(enumerate(self._nodes))):
            message = node.fill(self._factors(node, logs, messages))
            if node.is_root:
                log_partition += float(message.sum())
            else:
                messages[index] = message
        return log_partition

    def marginals(self, total: float) -> list[Table]:
        """Returns each site's marginal, of weight `total`, from the roots down. After `forward`."""
        found: list[Table] = [np.empty(0)] * len(self.sites)
        above: dict[int, Table] = {}
        for index, node in enumerate(self._nodes):
            held = np.array(total) if node.is_root else above.pop(index)
            self._hand_down(node, node.table.finish(held), found, above)
        return found

    def tangent(self, direction: Sequence[Table]) -> list[Table]:
        """Returns how fast each site's marginal changes as the potentials move in a direction. After `marginals`.

        That is the covariance of the sites' indicators, times the total, applied to the direction. Each part is
        centred before it is summed, so that constants in the direction cost no digits.
        """
        means: dict[int, Table] = {}
        for index, node in reversed(list(enumerate(self._nodes))):
            mean = node.table.move(self._factors(node, direction, means))
            if not node.is_root:
                means[index] = mean
        found: list[Table] = [np.empty(0)] * len(self.sites)
        above: dict[int, Table] = {}
        for index, node in enumerate(self._nodes):
            moved = None if node.is_root else above.pop(index)
            self._hand_down(node, node.table.settle(moved), found, above)
        return found

    def beliefs(self) -> list[Table]:
        """Returns each clique's marginal, axes canonical, and ends this object's use. After `marginals`."""
        nodes, self._nodes = self._nodes, []
        found = []
        while nodes:
            found.append(nodes.pop(0).table.belief())
        return found

    def _factors(self, node: _Node, tables: Sequence[Table], messages: dict[int, Table]) -> list[Table]:
        return [*(tables[site] for site in node.sites), *(messages.pop(child) for child in node.children)]

    def _hand_down(
        self, node: _Node, smaller: Sequence[Table], found: list[Table], above: dict[int, Table]
    ) -> None:
        for k, table in enumerate(smaller):
            if k < len(node.sites):
                found[node.sites[k]] = table
            else:
                above[node.children[k - len(node.sites)]] = table
