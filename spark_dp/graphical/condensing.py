"""Fewer and larger tables: neighbours in a junction tree multiplied, where the product is small."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spark_dp.graphical.junction_tree import JunctionTree
from spark_dp.schema.domain import Clique

SMALL = 1 << 16
"""Cells up to which a product of neighbours is small: half a megabyte."""

Table = NDArray[np.float64]


def condensed(
    tree: JunctionTree, tables: Sequence[Table], *, small: int = SMALL
) -> tuple[JunctionTree, list[Table]]:
    """Joins cliques with their parents, the smallest unions first, as long as a union is small.

    Guarantees: the distribution is the same, and the tree has the running intersection property: joining two
    neighbours of a tree keeps it. A table that is returned is one of `tables` or has at most `small` cells.

    Args:
        tables: probabilities, one of each clique.
        small: cells of a union at most.
    """
    domain = tree.domain
    sets: list[Clique] = list(tree.cliques)
    parents, held = list(tree.parents), list(tables)
    left = list(range(len(sets)))
    union = {n: domain.canonical((*sets[n], *sets[parents[n]])) for n in left if parents[n] >= 0}
    while union:
        child = min(union, key=lambda n: (domain.cells(union[n]), n))
        joined = union.pop(child)
        if domain.cells(joined) > small:
            break
        parent = parents[child]
        held[parent] = _product(
            domain.shape(joined), joined, sets, held, child, parent, tree.separators[child]
        )
        sets[parent] = joined
        left.remove(child)
        for node in left:
            if parents[node] == child:
                parents[node] = parent
            if parents[node] >= 0 and parent in (node, parents[node]):
                union[node] = domain.canonical((*sets[node], *sets[parents[node]]))
    place = {node: index for index, node in enumerate(left)}
    smaller = JunctionTree(
        domain=domain,
        cliques=tuple(sets[node] for node in left),
        parents=tuple(place[parents[node]] if parents[node] >= 0 else -1 for node in left),
        separators=tuple(tree.separators[node] for node in left),
    )
    return smaller, [held[node] for node in left]


def _product(
    shape: tuple[int, ...],
    joined: Clique,
    sets: Sequence[Clique],
    tables: Sequence[Table],
    child: int,
    parent: int,
    separator: Clique,
) -> Table:
    """Returns the parent's table times the child's given their separator."""
    table = tables[child]
    lost = tuple(i for i, a in enumerate(sets[child]) if a not in separator)
    norm = table.sum(axis=lost, keepdims=True)
    given = np.divide(table, norm, out=np.zeros_like(table), where=norm > 0)
    size = dict(zip(joined, shape, strict=True))
    above, below = (
        t.reshape([size[a] if a in own else 1 for a in joined])
        for t, own in ((tables[parent], sets[parent]), (given, sets[child]))
    )
    return np.asarray(above * below)
