"""Elimination orders: how small the cliques of a junction tree can be kept, worked out on sets held as bits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from heapq import heapify, heappop, heappush
from math import prod
from random import Random

from spark_dp.schema.domain import Clique, Domain

_RESTARTS = 8

Bits = int
Price = tuple[int, int, int]


class Triangulation:
    """The graph of some cliques, and the smallest chordal graph around it that greedy elimination finds.

    Two orders are tried, fewest fill-in edges first and smallest new clique first; which of two equals goes first is
    settled by the domain's order.

    Args:
        domain: every attribute is a vertex.
        cliques: any sets of attributes.
    """

    def __init__(self, domain: Domain, cliques: Iterable[Clique]) -> None:
        self.domain = domain
        self._bit = {attribute: 1 << i for i, attribute in enumerate(domain)}
        self._known: dict[tuple[int, Bits], int] = {}
        self._neighbours = [0] * len(domain)
        self._join(self._neighbours, cliques)

    def nodes(self, *, restarts: int = _RESTARTS) -> tuple[Clique, ...]:
        """Returns the maximal cliques of the smallest chordal graph found.

        Args:
            restarts: further orders to try, with equals in an order drawn from a fixed seed.
        """
        masks = self._best(self._neighbours, restarts)
        return tuple(tuple(self.domain.attributes[i] for i in _members(mask)) for mask in masks)

    def cells_with(self, candidate: Clique = ()) -> int:
        """Returns the cells of the chordal graph's cliques when one more clique joins; never less than `nodes` has."""
        neighbours = self._neighbours.copy()
        self._join(neighbours, [candidate])
        return sum(self._cells(mask) for mask in self._best(neighbours, 0))

    def _join(self, neighbours: list[Bits], cliques: Iterable[Clique]) -> None:
        for clique in cliques:
            whole = 0
            for attribute in clique:
                whole |= self._bit[attribute]
            for i in _members(whole):
                neighbours[i] |= whole & ~(1 << i)

    def _best(self, neighbours: Sequence[Bits], restarts: int) -> list[Bits]:
        ranks = list(range(len(neighbours)))
        tried = [self._eliminate(neighbours, ranks, by_fill=by_fill) for by_fill in (True, False)]
        shuffled = Random(0)
        for turn in range(restarts):
            shuffled.shuffle(ranks)
            tried.append(self._eliminate(neighbours, ranks, by_fill=turn % 2 == 0))
        return min(tried, key=lambda masks: sum(self._cells(mask) for mask in masks))

    def _eliminate(self, neighbours: Sequence[Bits], ranks: Sequence[int], *, by_fill: bool) -> list[Bits]:
        """Eliminates the cheapest vertex until none is left; a price is renewed only where its surroundings changed.

        An entry of the heap whose price is no longer the vertex's own is passed over.
        """
        near = list(neighbours)
        prices = [self._price(near, i, ranks, by_fill) for i in range(len(near))]
        heap = [(price, i) for i, price in enumerate(prices)]
        heapify(heap)
        gone = 0
        found: list[Bits] = []
        while heap:
            price, chosen = heappop(heap)
            if gone >> chosen & 1 or prices[chosen] != price:
                continue
            gone |= 1 << chosen
            around = near[chosen]
            node = around | 1 << chosen
            if not any(node & ~other == 0 for other in found):
                found.append(node)
            touched = around
            has_fill = price[0 if by_fill else 1] > 0
            for i in _members(around):
                near[i] = (near[i] | around) & ~(1 << i | 1 << chosen)
                if has_fill:
                    touched |= near[i]
            for i in _members(touched):
                renewed = self._price(near, i, ranks, by_fill)
                if renewed != prices[i]:
                    prices[i] = renewed
                    heappush(heap, (renewed, i))
        return found

    def _price(self, near: Sequence[Bits], vertex: int, ranks: Sequence[int], by_fill: bool) -> Price:
        around = near[vertex]
        key = (vertex, around)
        missing = sum((around & ~near[i]).bit_count() - 1 for i in _members(around)) // 2
        cells = self._known.get(key) or self._known.setdefault(key, self._cells(around | 1 << vertex))
        return (missing, cells, ranks[vertex]) if by_fill else (cells, missing, ranks[vertex])

    def _cells(self, mask: Bits) -> int:
        sizes = self.domain.sizes
        return prod(sizes[i] for i in _members(mask))


def _members(mask: Bits) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
