"""Inference by passes over a junction tree whose factors are much smaller than its cliques."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from spark_dp.graphical.cliques import smallest_superset
from spark_dp.graphical.junction_tree import JunctionTree
from spark_dp.graphical.sweep import (
    Axes,
    Block,
    SumOut,
    Sums,
    Table,
    blocks,
    combine_block,
    gather,
    part,
)
from spark_dp.schema.domain import Clique

# exp(-650) is a normal number, and so is its square root's product with any table of 10^9 cells.
_LINEAR_RANGE = 650.0


class _Node:
    """One clique of the tree: where its factors and its neighbours' messages sit in its table.

    The table's axes are ordered by length, the longest last, so that inner loops are long.
    """

    def __init__(self, tree: JunctionTree, index: int, sites: Sequence[tuple[int, Clique]]) -> None:
        domain = tree.domain
        self.clique = tuple(sorted(tree.cliques[index], key=domain.size))
        self.shape = domain.shape(self.clique)
        self.sites = tuple(site for site, _ in sites)
        self.children = tree.children[index]
        smaller = [clique for _, clique in sites] + [tree.separators[child] for child in self.children]
        self.plan = SumOut.plan(self.shape, [self._axes(clique) for clique in smaller])
        self.count = len(smaller)
        self.separator = tree.separators[index]
        self.up = SumOut.plan(self.shape, [self._axes(self.separator)])
        self.is_root = tree.parents[index] < 0
        self._kept = [tuple(self.clique.index(a) for a in clique) for clique in smaller]
        self.lost = tuple(i for i, a in enumerate(self.clique) if a not in self.separator)
        self._cut = list(blocks(self.shape))
        self.buffer_cells = max(
            (prod(b.stop - b.start for b in c) * prod(self.shape[len(c) :]) for c in self._cut), default=1
        )

    def _axes(self, clique: Clique) -> Axes:
        return frozenset(self.clique.index(a) for a in clique)

    @property
    def blocks(self) -> list[Block]:
        return self._cut

    def place(self, index: int, table: Table) -> Table:
        """Turns a small table, axes in its clique's order, so that it broadcasts over the node's."""
        kept = self._kept[index]
        order = np.argsort(kept)
        shape = [1] * len(self.shape)
        for axis in kept:
            shape[axis] = self.shape[axis]
        return np.ascontiguousarray(table.transpose(order)).reshape(shape)

    def place_separator(self, table: Table) -> Table:
        kept = [self.clique.index(a) for a in self.separator]
        shape = [1] * len(self.shape)
        for axis in kept:
            shape[axis] = self.shape[axis]
        return np.ascontiguousarray(table.transpose(np.argsort(kept))).reshape(shape)

    def lift(self, index: int, table: Table) -> Table:
        """The inverse of `place`."""
        kept = self._kept[index]
        order = np.argsort(kept)
        return table.reshape([self.shape[a] for a in sorted(kept)]).transpose(np.argsort(order))

    def lift_separator(self, table: Table) -> Table:
        kept = [self.clique.index(a) for a in self.separator]
        order = np.argsort(kept)
        return table.reshape([self.shape[a] for a in sorted(kept)]).transpose(np.argsort(order))


class Passes:
    """Exact marginals of exp(sum of the sites' potentials), their derivatives and least costs.

    Holds one table of the tree's size, of weights, and small ones. Large tables are written or read in blocks that fit
    the cache, each once a pass: the product of few factors is formed where it is summed. Messages are logarithms.
    A clique's product is formed from exponentials where the range of its factors shows that no product can
    underflow, and from logarithms, less the greatest of each separator configuration, where not.

    Args:
        tree: holds each site within a clique.
        sites: canonical cliques, distinct.
    """

    def __init__(self, tree: JunctionTree, sites: Sequence[Clique]) -> None:
        self.tree, self.sites = tree, tuple(sites)
        held: list[list[tuple[int, Clique]]] = [[] for _ in tree.cliques]
        for i, site in enumerate(sites):
            node = smallest_superset(tree.domain, site, tree.cliques)
            if node is None:
                raise ValueError(f"No clique of the junction tree holds {site}.")
            held[node].append((i, site))
        self.nodes = [_Node(tree, i, held[i]) for i in range(len(tree.cliques))]
        self._weights = [np.empty(node.shape) for node in self.nodes]
        self._norms: list[Table] = [np.empty(0)] * len(self.nodes)
        self._ratios: list[Table] = [np.empty(0)] * len(self.nodes)
        self._root_sums: dict[int, list[Table]] = {}
        self._buffer = np.empty(max(node.buffer_cells for node in self.nodes))
        self._spare = np.empty(self._buffer.size)
        self.linear = True

    def _block(self, shape: tuple[int, ...], buffer: Table) -> Table:
        return buffer[: prod(shape)].reshape(shape)

    def forward(self, logs: Sequence[Table]) -> float:
        """Sends messages from the leaves up; returns the logarithm of the sum over the whole domain.

        Args:
            logs: potentials of each site, of its clique's shape; -inf where a cell is forbidden.
        """
        messages: dict[int, Table] = {}
        log_partition = 0.0
        self.linear = True
        for index in range(len(self.nodes) - 1, -1, -1):
            node = self.nodes[index]
            factors = [node.place(k, logs[site]) for k, site in enumerate(node.sites)]
            factors += [
                node.place(len(node.sites) + k, messages.pop(child)) for k, child in enumerate(node.children)
            ]
            offset = self._fill(index, factors)
            with np.errstate(divide="ignore"):
                message = np.log(self._norms[index]) + offset
            if node.is_root:
                log_partition += float(message.sum())
            else:
                messages[index] = node.lift_separator(message)
        return log_partition

    def _fill(self, index: int, factors: list[Table]) -> Table | float:
        """Writes a node's weights and norms; returns the logarithm of what they were divided by."""
        node, weights = self.nodes[index], self._weights[index]
        peaks = [float(f.max()) for f in factors]
        range_ = sum(
            p - float(np.min(f, where=f > -np.inf, initial=p)) for f, p in zip(factors, peaks, strict=True)
        )
        sums = Sums(node.plan if node.is_root else node.up, node.shape)
        offset: Table | float
        if range_ < _LINEAR_RANGE and min(peaks, default=0.0) > -np.inf:
            parts = gather(
                node.plan,
                [np.exp(f - p) for f, p in zip(factors, peaks, strict=True)],
                np.multiply,
                node.shape,
            )
            for block in node.blocks:
                view = part(weights, block)
                combine_block(parts, block, np.multiply, view)
                sums.add(block, view)
            offset = sum(peaks)
        else:
            self.linear = False
            parts = gather(node.plan, factors, np.add, node.shape)
            for block in node.blocks:
                combine_block(parts, block, np.add, part(weights, block))
            greatest = weights.max(axis=node.lost, keepdims=True)
            greatest[greatest == -np.inf] = 0.0
            weights -= greatest
            offset = greatest
            np.exp(weights, out=weights)
            for block in node.blocks:
                sums.add(block, part(weights, block))
        if node.is_root:
            found = sums.result(node.count)
            self._root_sums[index] = found
            self._norms[index] = np.asarray(
                found[0].sum(keepdims=True)
                if found
                else np.full([1] * len(node.shape), float(prod(node.shape)))
            )
        else:
            self._norms[index] = sums.result(1)[0]
        return offset

    def marginals(self, total: float) -> list[Table]:
        """Returns each site's marginal, of weight `total`, from the roots down. After `forward`."""
        found: list[Table] = [np.empty(0)] * len(self.sites)
        above: dict[int, Table] = {}
        for index, node in enumerate(self.nodes):
            norm = self._norms[index]
            held = np.full(norm.shape, total) if node.is_root else node.place_separator(above.pop(index))
            ratio = np.divide(held, norm, out=np.zeros_like(norm), where=norm > 0)
            self._ratios[index] = ratio
            if node.is_root:
                smaller = [table * ratio for table in self._root_sums[index]]
            elif node.count:
                sums = Sums(node.plan, node.shape)
                for block in node.blocks:
                    weights = part(self._weights[index], block)
                    values = self._block(weights.shape, self._buffer)
                    np.multiply(weights, part(ratio, block), out=values)
                    sums.add(block, values)
                smaller = sums.result(node.count)
            else:
                smaller = []
            self._hand_down(node, smaller, found, above)
        return found

    def _hand_down(
        self, node: _Node, smaller: list[Table], found: list[Table], above: dict[int, Table]
    ) -> None:
        for k, table in enumerate(smaller):
            lifted = node.lift(k, table)
            if k < len(node.sites):
                found[node.sites[k]] = np.ascontiguousarray(lifted)
            else:
                above[node.children[k - len(node.sites)]] = lifted

    def tangent(self, direction: Sequence[Table]) -> list[Table]:
        """Returns how fast each site's marginal changes as the potentials move in a direction. After `marginals`.

        That is the covariance of the sites' indicators, times the total, applied to the direction. Each part is
        centred before it is summed, so that constants in the direction cost no digits.
        """
        means: dict[int, Table] = {}
        lifted: dict[int, Table] = {}
        parts: dict[int, list[Table]] = {}
        for index in range(len(self.nodes) - 1, -1, -1):
            node = self.nodes[index]
            factors = [node.place(k, direction[site]) for k, site in enumerate(node.sites)]
            factors += [
                node.place(len(node.sites) + k, lifted.pop(child)) for k, child in enumerate(node.children)
            ]
            parts[index] = gather(node.plan, factors, np.add, node.shape) if factors else []
            if node.is_root:
                means[index] = self._root_mean(index, factors)
                continue
            norm = self._norms[index]
            if not factors:
                means[index] = np.zeros_like(norm)
            else:
                sums = Sums(node.up, node.shape)
                for block in node.blocks:
                    weights = part(self._weights[index], block)
                    values = self._block(weights.shape, self._buffer)
                    combine_block(parts[index], block, np.add, values)
                    values *= weights
                    sums.add(block, values)
                means[index] = np.divide(sums.result(1)[0], norm, out=np.zeros_like(norm), where=norm > 0)
            lifted[index] = node.lift_separator(means[index])
        found: list[Table] = [np.empty(0)] * len(self.sites)
        above: dict[int, Table] = {}
        for index, node in enumerate(self.nodes):
            if not node.count:
                above.pop(index, None)
                continue
            norm, ratio = self._norms[index], self._ratios[index]
            pieces = [*parts[index], -means[index]]
            moved = None
            if not node.is_root:
                moved = np.divide(
                    node.place_separator(above.pop(index)), norm, out=np.zeros_like(norm), where=norm > 0
                )
            sums = Sums(node.plan, node.shape)
            for block in node.blocks:
                weights = part(self._weights[index], block)
                values = self._block(weights.shape, self._buffer)
                combine_block(pieces, block, np.add, values)
                values *= part(ratio, block)
                if moved is not None:
                    values += part(moved, block)
                values *= weights
                sums.add(block, values)
            self._hand_down(node, sums.result(node.count), found, above)
        return found

    def _root_mean(self, index: int, factors: list[Table]) -> Table:
        """The mean of the direction at a root: of each factor under its own marginal, which is known."""
        norm = self._norms[index]
        mean = sum(
            float(np.vdot(f, s)) for f, s in zip(factors, self._root_sums[index], strict=True)
        ) / float(norm.sum())
        return np.full(norm.shape, mean)

    def least_cost(self, costs: Sequence[Table]) -> float:
        """Returns the least over the whole domain of the sum of the sites' costs, by min-sum."""
        lifted: dict[int, Table] = {}
        least = 0.0
        for index in range(len(self.nodes) - 1, -1, -1):
            node = self.nodes[index]
            factors = [node.place(k, costs[site]) for k, site in enumerate(node.sites)]
            factors += [
                node.place(len(node.sites) + k, lifted.pop(child)) for k, child in enumerate(node.children)
            ]
            if not factors:
                message = np.zeros_like(self._norms[index])
            else:
                parts = gather(node.plan, factors, np.add, node.shape)
                sums = Sums(node.up, node.shape, np.minimum)
                for block in node.blocks:
                    values = self._block(part(self._weights[index], block).shape, self._buffer)
                    combine_block(parts, block, np.add, values)
                    sums.add(block, values)
                message = sums.result(1)[0]
            if node.is_root:
                least += float(message.sum())
            else:
                lifted[index] = node.lift_separator(message)
        return least

    def beliefs(self) -> list[NDArray[np.float64]]:
        """Returns each clique's marginal, axes canonical, and ends this object's use. After `marginals`."""
        found = []
        for index, node in enumerate(self.nodes):
            weights = self._weights[index]
            weights *= self._ratios[index]
            canonical = [node.clique.index(a) for a in self.tree.cliques[index]]
            found.append(np.ascontiguousarray(weights.transpose(canonical)))
            self._weights[index] = np.empty(0)
        return found
