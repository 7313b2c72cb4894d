"""Junction trees: the cliques that a model is stored on, known before anything is allocated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod

from spark_dp.errors import DomainTooLargeError
from spark_dp.graphical.cliques import maximal_cliques
from spark_dp.schema.domain import Attribute, Clique, Domain


@dataclass(frozen=True, slots=True, kw_only=True)
class JunctionTree:
    """Maximal cliques of a chordal graph, in an order where each parent comes before its children.

    Guarantees: the cliques cover every attribute of the domain; what a clique shares with all cliques
    before it lies in its parent (the running intersection property). A component's first clique has
    parent -1 and an empty separator, so that a forest needs no special case.

    Attributes:
        domain: all attributes of the model.
        cliques: canonical, none contained in another.
        parents: the index of each clique's parent, or -1.
        separators: what each clique shares with its parent, canonical.
    """

    domain: Domain
    cliques: tuple[Clique, ...]
    parents: tuple[int, ...]
    separators: tuple[Clique, ...]

    @property
    def cells(self) -> int:
        """The cells of all cliques together: what a model over this tree must hold."""
        return sum(self.domain.cells(clique) for clique in self.cliques)

    @property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """The indices of each clique's children."""
        found: list[list[int]] = [[] for _ in self.cliques]
        for child, parent in enumerate(self.parents):
            if parent >= 0:
                found[parent].append(child)
        return tuple(tuple(children) for children in found)


def build_junction_tree(domain: Domain, cliques: Iterable[Clique], *, max_cells: int) -> JunctionTree:
    """Builds a junction tree in which each of `cliques` lies within one node.

    Triangulates by greedy elimination, once by fewest fill-in edges and once by smallest new clique, and
    keeps the smaller result; joins the maximal cliques by a spanning tree of largest separators, which has
    the running intersection property (Jensen and Jensen 1994, theorem 1).

    Args:
        domain: every attribute gets a place in the tree, also one that no clique names.
        cliques: any sets of attributes: nested, repeated, disconnected or none at all.
        max_cells: the most cells that the tree's cliques may have together.

    Raises:
        DomainTooLargeError: the tree would have more cells. Nothing was allocated.
    """
    asked = maximal_cliques(domain.canonical(clique) for clique in cliques)
    nodes = triangulate(domain, asked)
    tree = _join(domain, nodes)
    if tree.cells > max_cells:
        largest = max(tree.cliques, key=domain.cells)
        raise DomainTooLargeError(
            f"A model that holds {len(asked)} cliques needs {tree.cells} cells, and {max_cells} are allowed. "
            f"Its largest clique has {domain.cells(largest)} cells: {', '.join(largest)}. "
            "Nothing was allocated. Declare fewer bins, ask for fewer marginals, or raise "
            "mechanism.max_model_mb.",
            field="mechanism.max_model_mb",
        )
    return tree


class GrowingTree:
    """How large the junction tree of some cliques becomes when one more joins them.

    Args:
        domain: every attribute has a place in the tree.
        cliques: what the model holds already.
    """

    def __init__(self, domain: Domain, cliques: Iterable[Clique]) -> None:
        self.domain = domain
        self.cliques = maximal_cliques(domain.canonical(clique) for clique in cliques)
        self._nodes = triangulate(domain, self.cliques)
        self._sets = [frozenset(node) for node in self._nodes]
        self.cells = sum(domain.cells(node) for node in self._nodes)

    def cells_with(self, candidate: Clique) -> int:
        """Returns the cells of the tree that holds the candidate too; `cells` where it holds it already."""
        needed = frozenset(candidate)
        if any(needed <= node for node in self._sets):
            return self.cells
        nodes = triangulate(self.domain, (*self.cliques, self.domain.canonical(candidate)))
        return sum(self.domain.cells(node) for node in nodes)


def triangulate(domain: Domain, cliques: Sequence[Clique]) -> tuple[Clique, ...]:
    """Returns the maximal cliques of a chordal graph that contains every clique; covers the domain."""
    by_fill = _eliminate(domain, cliques, lambda fill, cells: (fill, cells))
    by_size = _eliminate(domain, cliques, lambda fill, cells: (cells, fill))
    return min(by_fill, by_size, key=lambda nodes: sum(domain.cells(node) for node in nodes))


def _eliminate(
    domain: Domain, cliques: Sequence[Clique], cost: Callable[[int, int], tuple[int, int]]
) -> tuple[Clique, ...]:
    """Eliminates the cheapest attribute until none is left; ties go to the first in domain order.

    An attribute's cost is stored and renewed only where its neighbourhood changed.
    """
    neighbours: dict[Attribute, set[Attribute]] = {attribute: set() for attribute in domain}
    for clique in cliques:
        for left, right in combinations(clique, 2):
            neighbours[left].add(right)
            neighbours[right].add(left)
    size = {attribute: domain.size(attribute) for attribute in domain}
    rank = {attribute: index for index, attribute in enumerate(domain)}

    def price(attribute: Attribute) -> tuple[tuple[int, int], int]:
        around = neighbours[attribute]
        missing = sum(1 for left, right in combinations(around, 2) if right not in neighbours[left])
        return cost(missing, size[attribute] * prod(size[other] for other in around)), rank[attribute]

    prices = {attribute: price(attribute) for attribute in domain}
    nodes: list[Clique] = []
    while prices:
        chosen = min(prices, key=prices.__getitem__)
        around = neighbours.pop(chosen)
        del prices[chosen]
        nodes.append(domain.canonical((chosen, *around)))
        for attribute in around:
            neighbours[attribute] |= around
            neighbours[attribute] -= {attribute, chosen}
        touched = around.union(*(neighbours[attribute] for attribute in around))
        for attribute in touched:
            prices[attribute] = price(attribute)
    return maximal_cliques(nodes)


def _join(domain: Domain, nodes: Sequence[Clique]) -> JunctionTree:
    """Joins cliques of a chordal graph by Prim's algorithm, each component from its largest clique."""
    sets = [frozenset(node) for node in nodes]
    waiting = sorted(range(len(nodes)), key=lambda node: (-domain.cells(nodes[node]), node))
    order: list[int] = []
    parent_of: dict[int, int] = {}
    best: dict[int, tuple[int, int]] = {}
    while waiting:
        node = max(best, key=lambda n: (best[n][0], -n)) if best else waiting[0]
        parent_of[node] = best.pop(node)[1] if node in best else -1
        waiting.remove(node)
        order.append(node)
        for other in waiting:
            shared = len(sets[node] & sets[other])
            if shared and shared > best.get(other, (0, -1))[0]:
                best[other] = (shared, node)
    place = {node: index for index, node in enumerate(order)}
    separators = tuple(
        domain.canonical(sets[node] & sets[parent_of[node]]) if parent_of[node] >= 0 else () for node in order
    )
    return JunctionTree(
        domain=domain,
        cliques=tuple(nodes[node] for node in order),
        parents=tuple(place[parent_of[node]] if parent_of[node] >= 0 else -1 for node in order),
        separators=separators,
    )
