"""Marginals of any cliques of a model, many at once: what lies in its tables, and what must be put together from several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from spark_dp.graphical.condensing import condensed
from spark_dp.graphical.factor import Factor
from spark_dp.graphical.junction_tree import JunctionTree
from spark_dp.graphical.sweep import SumOut, Sums, blocks, part
from spark_dp.schema.domain import Attribute, Clique

Table = NDArray[np.float64]
Attributes = frozenset[Attribute]

# Small tables that are held at once, for cells of the model.
_HELD_PER_CELL = 0.5
_HELD_AT_LEAST = 1 << 20

# Queries for which it pays to multiply small neighbours of the tree first.
_MANY = 32


@dataclass(frozen=True, slots=True)
class _Step:
    """One clique of the smallest subtree that holds what is asked.

    Attributes:
        node: the clique's index.
        own: what of the clique matters: what is asked and the separators to its neighbours in the subtree.
        wanted: what is asked, and the separator to the parent within the subtree.
        separator: to that parent; () at a root.
        children: further out.
    """

    node: int
    own: Attributes
    wanted: Attributes
    separator: Clique
    children: tuple[_Step, ...]

    def walk(self) -> Iterable[_Step]:
        """Yields this step and all below."""
        yield self
        for child in self.children:
            yield from child.walk()


def marginals(
    tree: JunctionTree, tables: Sequence[Table], total: float, cliques: Iterable[Clique]
) -> dict[Clique, Table]:
    """Returns the expected rows of each cell of each clique's marginal, axes in the clique's own order.

    Each table of the tree is first summed to what all queries need of it, sums shared and in blocks that fit the
    cache; only those small tables are multiplied, and what several queries need of a branch is put together once. So no
    table larger than a clique of the tree, or than what is asked with one separator, is built. Where many are
    asked, small neighbours in the tree are multiplied first (`condensed`).

    Args:
        tables: probabilities, one of each clique of the tree.
        total: rows.
        cliques: distinct attributes each; in the tree's cliques or not.
    """
    asked = list(dict.fromkeys(cliques))
    if len(asked) >= _MANY:
        tree, tables = condensed(tree, tables)
    found: dict[Clique, Table] = {}
    waiting: list[tuple[Clique, tuple[_Step, ...]]] = []
    needed: dict[int, set[Attributes]] = {}
    held = 0
    limit = max(_HELD_AT_LEAST, _HELD_PER_CELL * tree.cells)
    branches = _Branches(tree)

    def finish() -> None:
        collect = _Collector(_reduce(tree, tables, needed), limit).collect
        for clique, roots in waiting:
            result = Factor((), np.array(total))
            for root in roots:
                result = result * collect(root)
            found[clique] = result.transpose(clique).values
        waiting.clear()
        needed.clear()

    for clique in asked:
        roots = branches.holding(frozenset(tree.domain.canonical(clique)))
        waiting.append((clique, roots))
        for root in roots:
            for step in root.walk():
                own = needed.setdefault(step.node, set())
                if step.own not in own and len(step.own) < len(tree.cliques[step.node]):
                    held += tree.domain.cells(step.own)
                own.add(step.own)
        if held > limit:
            finish()
            held = 0
    finish()
    return found


class _Branches:
    """Finds the smallest parts of a tree that hold what is asked.

    Args:
        tree: whose cliques are looked at again and again.
    """

    def __init__(self, tree: JunctionTree) -> None:
        self._tree = tree
        self._sets = [frozenset(clique) for clique in tree.cliques]
        self._by_size = sorted(range(len(tree.cliques)), key=lambda n: tree.domain.cells(tree.cliques[n]))
        self._component: list[int] = []
        self._members: dict[int, list[int]] = {}
        for node, parent in enumerate(tree.parents):
            self._component.append(self._component[parent] if parent >= 0 else node)
            self._members.setdefault(self._component[node], []).append(node)
        self._home = {a: self._component[n] for n, clique in enumerate(tree.cliques) for a in clique}

    def holding(self, wanted: Attributes) -> tuple[_Step, ...]:
        """Returns the smallest subtree of each connected part of the tree that holds any of the wanted attributes."""
        tree, sets = self._tree, self._sets
        holder = next((n for n in self._by_size if wanted <= sets[n]), None)
        if holder is not None:
            return (_Step(holder, wanted, wanted, (), ()),) if wanted else ()
        kept = sorted({self._home[attribute] for attribute in wanted})
        neighbours: dict[int, set[int]] = {node: set() for home in kept for node in self._members[home]}
        for node in neighbours:
            if tree.parents[node] in neighbours:
                neighbours[node].add(tree.parents[node])
                neighbours[tree.parents[node]].add(node)
        # A leaf that adds no wanted attribute to its neighbour is not needed.
        leaves = list(neighbours)
        while leaves:
            leaf = leaves.pop()
            around = neighbours.get(leaf, set())
            if len(around) == 1:
                (other,) = around
                if sets[leaf] & wanted <= sets[other]:
                    del neighbours[leaf]
                    neighbours[other].discard(leaf)
                    leaves.append(other)

        def step(node: int, *, is_root: bool) -> _Step:
            children = [n for n in sorted(neighbours[node]) if tree.parents[n] == node]
            below = tuple(step(child, is_root=False) for child in children)
            separator = () if is_root else tree.separators[node]
            # What a branch has no column of is not asked of it, so that queries share their branches.
            here = wanted & sets[node].union(*(child.wanted for child in below))
            kept = here.union(separator)
            own = sets[node] & kept.union(*(tree.separators[child] for child in children))
            return _Step(node, own, kept, separator, below)

        return tuple(step(n, is_root=True) for n in neighbours if tree.parents[n] not in neighbours)


def _reduce(
    tree: JunctionTree, tables: Sequence[Table], needed: Mapping[int, set[Attributes]]
) -> dict[tuple[int, Attributes], Factor]:
    """Sums each clique's table to all that is needed of it, in one pass over the table."""
    found: dict[tuple[int, Attributes], Factor] = {}
    for node, sets in needed.items():
        clique, table = tree.cliques[node], tables[node]
        found[node, frozenset(clique)] = Factor(clique, table)
        smaller = [own for own in sets if len(own) < len(clique)]
        axes = [frozenset(clique.index(a) for a in own) for own in smaller]
        sums = Sums(SumOut.plan(table.shape, axes), table.shape)
        for block in blocks(table.shape):
            sums.add(block, part(table, block))
        for own, summed in zip(smaller, sums.result(len(smaller)), strict=True):
            kept = tuple(a for a in clique if a in own)
            found[node, own] = Factor(kept, summed.reshape(tree.domain.shape(kept)))
    return found


class _Collector:
    """Puts marginals together from the tables of a subtree, those of branches that queries share once.

    Args:
        reduced: of each clique, what is needed of it.
        limit: cells of branches that are kept.
    """

    def __init__(self, reduced: Mapping[tuple[int, Attributes], Factor], limit: float) -> None:
        self._reduced, self._left = reduced, limit
        self._known: dict[_Step, Factor] = {}

    def collect(self, step: _Step) -> Factor:
        """Returns the marginal over what is wanted here and below, given the separator to the parent."""
        if step in self._known:
            return self._known[step]
        factor = self._reduced[step.node, step.own]
        if step.separator:
            norm = factor.marginal(step.separator).expand(factor.attributes)
            given = np.divide(factor.values, norm, out=np.zeros_like(factor.values), where=norm > 0)
            factor = Factor(factor.attributes, given)
        waiting = [set(child.separator) for child in step.children]
        for index, child in enumerate(step.children):
            message = self.collect(child)
            later: set[Attribute] = reduce(set.union, waiting[index + 1 :], set())
            attributes = dict.fromkeys((*factor.attributes, *message.attributes))
            factor = factor.contract(message, [a for a in attributes if a in step.wanted or a in later])
        found = factor.marginal(step.wanted)
        if step.separator and found.values.size <= self._left:
            self._left -= found.values.size
            self._known[step] = found
        return found
