"""Marginals of any cliques of a model, many at once: what lies in its tables, and what must be put together from several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from spark_dp.graphical.factor import Factor
from spark_dp.graphical.junction_tree import JunctionTree
from spark_dp.graphical.sweep import SumOut, Sums, blocks, part
from spark_dp.schema.domain import Attribute, Clique

Table = NDArray[np.float64]
Attributes = frozenset[Attribute]

# Small tables that are held at once, for cells of the model.
_HELD_PER_CELL = 0.5
_HELD_AT_LEAST = 1 << 20


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
    cache; only those small tables are multiplied. So no table larger than a clique of the tree, or than what
    is asked with one separator, is built.

    Args:
        tables: probabilities, one of each clique of the tree.
        total: rows.
        cliques: distinct attributes each; in the tree's cliques or not.
    """
    found: dict[Clique, Table] = {}
    waiting: list[tuple[Clique, tuple[_Step, ...]]] = []
    needed: dict[int, set[Attributes]] = {}
    held = 0
    limit = max(_HELD_AT_LEAST, _HELD_PER_CELL * tree.cells)

    def finish() -> None:
        reduced = _reduce(tree, tables, needed)
        for clique, roots in waiting:
            result = Factor((), np.array(total))
            for root in roots:
                result = result * _collect(root, reduced)
            found[clique] = result.transpose(clique).values
        waiting.clear()
        needed.clear()

    for clique in dict.fromkeys(cliques):
        roots = _subtrees(tree, frozenset(tree.domain.canonical(clique)))
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


def _subtrees(tree: JunctionTree, wanted: Attributes) -> tuple[_Step, ...]:
    """Returns the smallest subtree of each connected part of the tree that holds any of the wanted attributes."""
    sets = [frozenset(c) for c in tree.cliques]
    holder = next((n for n in _by_size(tree) if wanted <= sets[n]), None)
    if holder is not None:
        return (_Step(holder, wanted, wanted, (), ()),) if wanted else ()
    neighbours: dict[int, set[int]] = {node: set() for node in _reachable(tree, wanted)}
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
        separator = () if is_root else tree.separators[node]
        kept = wanted.union(separator)
        own = sets[node] & kept.union(*(tree.separators[child] for child in children))
        return _Step(node, own, kept, separator, tuple(step(child, is_root=False) for child in children))

    return tuple(step(n, is_root=True) for n in neighbours if tree.parents[n] not in neighbours)


def _by_size(tree: JunctionTree) -> list[int]:
    return sorted(range(len(tree.cliques)), key=lambda node: tree.domain.cells(tree.cliques[node]))


def _reachable(tree: JunctionTree, wanted: Attributes) -> list[int]:
    """Returns the nodes of the connected parts that hold a wanted attribute."""
    component: list[int] = []
    for node, parent in enumerate(tree.parents):
        component.append(component[parent] if parent >= 0 else node)
    kept = {component[n] for n, c in enumerate(tree.cliques) if wanted & set(c)}
    return [node for node, root in enumerate(component) if root in kept]


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


def _collect(step: _Step, reduced: Mapping[tuple[int, Attributes], Factor]) -> Factor:
    """Returns the marginal over what is wanted here and below, given the separator to the parent."""
    factor = reduced[step.node, step.own]
    if step.separator:
        norm = factor.marginal(step.separator).expand(factor.attributes)
        given = np.divide(factor.values, norm, out=np.zeros_like(factor.values), where=norm > 0)
        factor = Factor(factor.attributes, given)
    waiting = [set(child.separator) for child in step.children]
    for index, child in enumerate(step.children):
        message = _collect(child, reduced)
        later: set[Attribute] = reduce(set.union, waiting[index + 1 :], set())
        attributes = dict.fromkeys((*factor.attributes, *message.attributes))
        factor = factor.contract(message, [a for a in attributes if a in step.wanted or a in later])
    return factor.marginal(step.wanted)
