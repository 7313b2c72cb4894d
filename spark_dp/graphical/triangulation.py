"""Elimination orders: how small the cliques of a junction tree can be kept, worked out on sets held as bits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from heapq import heapify, heappop, heappush
from math import inf, prod
from random import Random

from spark_dp.schema.domain import Clique, Domain

_RESTARTS = 8

Bits = int
Worth = tuple[int, int]


class Triangulation:
    """The graph of some cliques, and the smallest chordal graph around it that greedy elimination finds.

    A vertex whose neighbours all know one another costs nothing to eliminate, and some smallest chordal graph does so
    first; such vertices are peeled off, again and again. What is left, the core, is the same in whatever order: each
    connected part of it is eliminated greedily, fewest fill-in edges first and smallest new clique first, and the
    smaller result kept; which of two equals goes first is settled by the domain's order. A forest has no core.

    Args:
        domain: every attribute is a vertex.
        cliques: any sets of attributes.
    """

    def __init__(self, domain: Domain, cliques: Iterable[Clique]) -> None:
        self.domain = domain
        self._sizes = domain.sizes
        self._bit = {attribute: 1 << i for i, attribute in enumerate(domain)}
        self._near = [0] * len(domain)
        self._products: dict[Bits, int] = {}
        for clique in cliques:
            whole = self._mask(clique)
            for i in _members(whole):
                self._near[i] |= whole & ~(1 << i)
        self._everything = (1 << len(domain)) - 1
        self._peeled = _Peeled(self, self._near, self._everything)
        self._parts = _parts(self._near, self._peeled.core)
        self._known: dict[Bits, list[Bits]] = {}

    def nodes(self, *, restarts: int = _RESTARTS) -> tuple[Clique, ...]:
        """Returns the maximal cliques of the smallest chordal graph found.

        Args:
            restarts: further orders to try, with equals in an order drawn from a fixed seed.
        """
        found = list(self._peeled.maximal)
        for part in self._parts:
            found += self._peeled.kept(self._best(self._near, part, restarts))
        return tuple(tuple(self.domain.attributes[i] for i in _members(mask)) for mask in found)

    def cells_with(self, candidate: Clique = ()) -> int:
        """Returns the cells of the chordal graph's cliques when one more clique joins; never less than `nodes` has.

        Only what the candidate changes is eliminated anew: its own vertices, those peeled off after they were, and
        the parts of the core that they hang on. All others are peeled off as before, since a vertex keeps
        its neighbours and these only get to know one another better.
        """
        joined = self._mask(candidate)
        near, peeled = self._near, self._peeled
        held = joined
        for i in _members(joined):
            held |= peeled.after[i]
        others = peeled.cost
        for part in self._parts:
            if part & held:
                held |= part
            else:
                others += self._cost(part)
        renewed = {i: near[i] & held for i in _members(held)}
        for i in renewed:
            others -= peeled.costs[i]
            if joined >> i & 1:
                renewed[i] |= joined & ~(1 << i)
        inner = _Peeled(self, renewed, held)
        found = inner.maximal
        if inner.core:
            for part in _parts(renewed, inner.core):
                found += inner.kept(self._best(renewed, part, 0))
        return others + sum(self.cells(mask) for mask in found if not peeled.covers(mask, outside=held))

    def cells(self, mask: Bits) -> int:
        """Returns the cells of a set of vertices."""
        if mask not in self._products:
            self._products[mask] = prod(self._sizes[i] for i in _members(mask))
        return self._products[mask]

    def _mask(self, clique: Clique) -> Bits:
        whole = 0
        for attribute in clique:
            whole |= self._bit[attribute]
        return whole

    def _cost(self, part: Bits) -> int:
        """Returns the cells of one part of the core, which is eliminated once."""
        if part not in self._known:
            self._known[part] = self._peeled.kept(self._best(self._near, part, 0))
        return sum(self.cells(mask) for mask in self._known[part])

    def _best(self, near: _Near, part: Bits, restarts: int) -> list[Bits]:
        """Returns the maximal cliques of one connected part of the core, of the order with the fewest cells."""
        ranks = list(range(len(self._sizes)))
        around = {i: near[i] & part for i in _members(part)}
        worth = {i: self._worth(around, i) for i in around}
        best, least = self._eliminate(around, worth, ranks, inf, by_fill=True)
        shuffled = Random(0)
        for turn in range(restarts + 1):
            tried, cells = self._eliminate(around, worth, ranks, least, by_fill=turn % 2 == 1)
            if cells < least:
                best, least = tried, cells
            if turn < restarts:
                shuffled.shuffle(ranks)
        return best

    def _eliminate(
        self,
        near: dict[int, Bits],
        worth: dict[int, Worth],
        ranks: Sequence[int],
        least: float,
        *,
        by_fill: bool,
    ) -> tuple[list[Bits], int]:
        """Eliminates the cheapest vertex until none is left, or until the cliques have as many cells as another order's.

        What a vertex costs is renewed only where its surroundings changed; an entry of the heap that is no longer the
        vertex's own is passed over.
        """
        total = 0
        left, worth = near.copy(), worth.copy()
        first, second = (0, 1) if by_fill else (1, 0)
        heap = [(w[first], w[second], ranks[i], i) for i, w in worth.items()]
        heapify(heap)
        found: list[Bits] = []
        while heap:
            one, other, _, chosen = heappop(heap)
            if chosen not in left or worth[chosen] != ((one, other) if by_fill else (other, one)):
                continue
            around = left.pop(chosen)
            node = around | 1 << chosen
            for earlier in found:
                if not node & ~earlier:
                    break
            else:
                found.append(node)
                total += self.cells(node)
                if total >= least:
                    break
            touched = around
            has_fill = worth[chosen][0] > 0
            waiting = around
            while waiting:
                low = waiting & -waiting
                waiting ^= low
                i = low.bit_length() - 1
                left[i] = (left[i] | around) & ~(low | 1 << chosen)
                if has_fill:
                    touched |= left[i]
            while touched:
                low = touched & -touched
                touched ^= low
                i = low.bit_length() - 1
                if not low & around:
                    # Only who knows two of those that now know one another is better off.
                    both = left[i] & around
                    if not both & both - 1:
                        continue
                renewed = self._worth(left, i)
                if renewed != worth[i]:
                    worth[i] = renewed
                    heappush(heap, (renewed[first], renewed[second], ranks[i], i))
        return found, total

    def _worth(self, left: dict[int, Bits], vertex: int) -> Worth:
        """Returns the edges that eliminating a vertex would fill in, and the cells of its clique."""
        around = waiting = left[vertex]
        missing = 0
        while waiting:
            low = waiting & -waiting
            waiting ^= low
            missing += (around & ~left[low.bit_length() - 1]).bit_count() - 1
        node = around | 1 << vertex
        return missing // 2, self._products.get(node) or self.cells(node)


_Near = Sequence[Bits] | dict[int, Bits]


class _Peeled:
    """The vertices that can be eliminated without any fill-in, in an order in which they can, and what is left.

    Attributes:
        core: what is left.
        maximal: the cliques that go with the peeled vertices: those of the graph that no other of them contains.
        costs: for each vertex the cells of its maximal clique, 0 where it has none.
        cost: their sum.
    """

    def __init__(self, graph: Triangulation, near: _Near, among: Bits) -> None:
        self.core = among
        self.maximal: list[Bits] = []
        self.costs = [0] * len(graph.domain)
        self.cost = 0
        self._node: dict[int, Bits] = {}
        self._holding: dict[int, list[tuple[int, Bits]]] = {}
        waiting, renewed = among, 0
        while waiting:
            # In turns, the outermost first: so few vertices wait for one and the same.
            for vertex in _members(waiting):
                around = near[vertex] & self.core
                if self.core >> vertex & 1 and _all_know(near, around):
                    self._peel(graph, vertex, around)
                    renewed |= around
            waiting, renewed = renewed & self.core, 0

    def _peel(self, graph: Triangulation, vertex: int, around: Bits) -> None:
        low = 1 << vertex
        self.core ^= low
        node = around | low
        if not self.covers(node):
            self.maximal.append(node)
            self.costs[vertex] = graph.cells(node)
            self.cost += self.costs[vertex]
        self._node[vertex] = node
        for i in _members(node):
            self._holding.setdefault(i, []).append((vertex, node))

    @cached_property
    def after(self) -> dict[int, Bits]:
        """For each vertex itself and all that wait for it to be peeled, with those of the core that they know."""
        found = {vertex: 1 << vertex for vertex in _members(self.core)}
        for vertex, node in reversed(self._node.items()):
            held = node
            for i in _members(node & ~(1 << vertex)):
                held |= found[i]
            found[vertex] = held
        return found

    def covers(self, mask: Bits, *, outside: Bits = 0) -> bool:
        """Whether a clique of a vertex that was peeled off contains the mask; of one outside of a set."""
        lowest = (mask & -mask).bit_length() - 1
        held = self._holding.get(lowest, ())
        return any(mask & ~node == 0 and not outside >> vertex & 1 for vertex, node in held)

    def kept(self, masks: Iterable[Bits]) -> list[Bits]:
        """Returns those that no clique of a peeled vertex contains."""
        return [mask for mask in masks if not self.covers(mask)]


def _all_know(near: _Near, around: Bits) -> bool:
    """Whether all of these vertices are one another's neighbours."""
    return all(not around & ~(near[i] | 1 << i) for i in _members(around))


def _parts(near: _Near, among: Bits) -> list[Bits]:
    """Returns the connected parts."""
    found = []
    while among:
        part = reached = among & -among
        while reached:
            vertex = (reached & -reached).bit_length() - 1
            reached ^= 1 << vertex
            fresh = near[vertex] & among & ~part
            part |= fresh
            reached |= fresh
        found.append(part)
        among &= ~part
    return found


def _members(mask: Bits) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
