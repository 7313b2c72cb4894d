"""Junction trees: the cliques that a model is stored on, known before anything is allocated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from spark_dp.errors import DomainTooLargeError
from spark_dp.graphical.cliques import maximal_cliques
from spark_dp.graphical.triangulation import Triangulation
from spark_dp.schema.domain import Clique, Domain


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

    Triangulates by greedy elimination in several orders and keeps the smallest result (`Triangulation`); joins
    the maximal cliques by a spanning tree of largest separators, which has the running intersection property
    (Jensen and Jensen 1994, theorem 1).

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

    A mechanism asks that of each candidate in each round: of 4,950 pairs over a tree of a hundred columns all together
    take about a second (benchmarks/README.md). Candidates that add the same edges to the graph are sized once.

    Args:
        domain: every attribute has a place in the tree.
        cliques: what the model holds already.
    """

    def __init__(self, domain: Domain, cliques: Iterable[Clique]) -> None:
        self.domain = domain
        self._cliques = tuple(cliques)
        self._graph = Triangulation(domain, self._cliques)
        nodes = self._graph.nodes(restarts=0)
        self._sets = [frozenset(node) for node in nodes]
        self.cells = sum(domain.cells(node) for node in nodes)
        self._edges = {pair for clique in self._cliques for pair in _pairs(domain, clique)}
        self._known: dict[tuple[Clique, ...], int] = {(): self.cells}
        self._parts = _connected(self._cliques)

    def cells_with(self, candidate: Clique) -> int:
        """Returns the cells of the tree that holds the candidate too; `cells` where it holds it already.

        `build_junction_tree` tries more orders: its tree has that many cells or fewer.
        """
        return self.cells if self.holds(candidate) else self.rebuilt_with(candidate)

    def holds(self, candidate: Clique) -> bool:
        """Whether a clique of the tree has all of the candidate's attributes."""
        needed = frozenset(candidate)
        return any(needed <= node for node in self._sets)

    def rebuilt_with(self, candidate: Clique) -> int:
        """Returns the cells of the tree that is made of the cliques and the candidate from scratch.

        A candidate within the tree adds edges that elimination had filled in, after which another order may be found.
        """
        added = self._added(candidate)
        if added not in self._known:
            self._known[added] = self._graph.cells_with(candidate)
        return self._known[added]

    def at_most_with(self, candidate: Clique) -> int:
        """Returns, without sizing any tree, what `rebuilt_with` is at most, whatever order is taken.

        Of a connected part, the clique of the i-th vertex that is eliminated has no vertex that went before it, and so at
        most as many cells as all but the i - 1 smallest have.
        """
        held = set(candidate)
        joined = held.union(*(part for part in self._parts if part & held))
        apart = set(self.domain).difference(joined, *self._parts)
        parts = [joined, *(part for part in self._parts if not part & held), *({a} for a in apart)]
        return sum(_staircase(self.domain.shape(part)) for part in parts)

    def grown(self, clique: Clique) -> GrowingTree:
        """Returns the tree of the cliques and one more: this one, with what it knows, where no edge is new."""
        return self if not self._added(clique) else GrowingTree(self.domain, (*self._cliques, clique))

    def _added(self, clique: Clique) -> tuple[Clique, ...]:
        return tuple(pair for pair in _pairs(self.domain, clique) if pair not in self._edges)


def _pairs(domain: Domain, clique: Clique) -> Iterable[Clique]:
    return combinations(domain.canonical(clique), 2)


def _connected(cliques: Iterable[Clique]) -> list[frozenset[str]]:
    """Returns the attributes of each connected part of the cliques' graph."""
    parts: list[frozenset[str]] = []
    for clique in cliques:
        own = frozenset(clique)
        touched = [part for part in parts if part & own]
        parts = [part for part in parts if not part & own] + [own.union(*touched)]
    return [part for part in parts if part]


def _staircase(sizes: Sequence[int]) -> int:
    """Returns the products of all but the smallest 0, 1, 2, ... of some sizes, added up."""
    total, product = 0, 1
    for size in sorted(sizes, reverse=True):
        product *= size
        total += product
    return total


def triangulate(domain: Domain, cliques: Iterable[Clique]) -> tuple[Clique, ...]:
    """Returns the maximal cliques of a chordal graph that contains every clique; covers the domain."""
    return Triangulation(domain, cliques).nodes()


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
