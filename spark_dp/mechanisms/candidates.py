"""What may be measured: the cliques below a workload, and which of the workload each of them helps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spark_dp.graphical.junction_tree import GrowingTree
from spark_dp.graphical.zeros import StructuralZeros
from spark_dp.mechanisms.workload import Workload
from spark_dp.schema.domain import Clique, Domain

MOST_CANDIDATES: Final = 20_000
"""Cliques that are considered; of wider workloads the largest degrees are left out."""

COUNTED_CELLS: Final = 4
"""Cells of all countable cliques of three or more columns together, in multiples of the model's size."""

COUNTED_PAIRS: Final = 16
"""Cells of all countable pairs together, in multiples of the model's size: pairs are what a wide table has."""


def countable_candidates(
    workload: Workload, max_cells: int, zeros: Sequence[StructuralZeros] = ()
) -> tuple[Clique, ...]:
    """Returns the cliques of two or more columns below the workload that may be counted, the smaller degrees first.

    Left out are cliques with a column of one cell, which tells nothing of others, and cliques with which no model of
    max_cells could be made; the largest degrees of which there would be more than MOST_CANDIDATES; and the largest
    cliques where the counts of all would be COUNTED_CELLS times the model, or COUNTED_PAIRS times for pairs. A function
    of declared sizes alone.
    """
    domain = workload.domain
    model_cells = cells_of_models(domain, zeros)

    def fits(clique: Clique) -> bool:
        return min(domain.shape(clique)) > 1 and model_cells(clique) <= max_cells

    found: list[Clique] = []
    for degree in range(2, len(domain) + 1):
        below = workload.below(degree, most=MOST_CANDIDATES - len(found))
        if not below:
            break
        found += [clique for clique in below if fits(clique)]
    kept: set[Clique] = set()
    for pairs, limit in ((True, COUNTED_PAIRS), (False, COUNTED_CELLS)):
        left = limit * max_cells
        for clique in sorted((c for c in found if (len(c) == 2) == pairs), key=domain.cells):
            left -= domain.cells(clique)
            if left < 0:
                break
            kept.add(clique)
    return tuple(clique for clique in found if clique in kept)


def cells_of_models(domain: Domain, zeros: Sequence[StructuralZeros]) -> Callable[[Clique], int]:
    """Returns a function: the cells of the model that holds one clique, the zeros' cliques, and each column.

    A column that no constraint names adds its own cells and no loop, so that trees are built of the others alone.
    """
    alone = sum(domain.sizes)
    forbidden = [zero.clique for zero in zeros]
    bound = domain.canonical(a for clique in forbidden for a in clique)
    base = GrowingTree(domain.project(bound), forbidden).cells if bound else 0
    rest = alone - sum(domain.shape(bound))

    def cells(clique: Clique) -> int:
        own = domain.cells(clique) - sum(domain.shape(clique))
        if set(bound).isdisjoint(clique):
            return base + rest + own
        named = domain.canonical((*bound, *clique))
        tree = GrowingTree(domain.project(named), forbidden)
        return tree.cells_with(clique) + alone - sum(domain.shape(named))

    return cells


class Overlaps:
    """The workload's cliques, and what each candidate shares with them.

    Everything is numbered: `cliques` holds the candidates, and the workload's cliques and the parts that they share
    with a candidate, each once.

    Args:
        workload: that is to be good.
        candidates: that may be measured.
    """

    def __init__(self, workload: Workload, candidates: Sequence[Clique]) -> None:
        self.domain = workload.domain
        self.cliques: list[Clique] = []
        self._number: dict[Clique, int] = {}
        self._affected: dict[Clique, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
        wanted = workload.weighted()
        self._holding: dict[Clique, list[Clique]] = {}
        for clique in wanted:
            for part in chain(combinations(clique, 1), combinations(clique, 2)):
                self._holding.setdefault(part, []).append(clique)
        for clique in chain(candidates, wanted):
            self.number(clique)
        self.wanted = [self.number(clique) for clique in wanted]
        self.weights = np.array([float(weight) for weight in wanted.values()])

    def number(self, clique: Clique) -> int:
        """Returns a clique's number, a new one where it has none."""
        if clique not in self._number:
            self._number[clique] = len(self.cliques)
            self.cliques.append(clique)
        return self._number[clique]

    def known(self, clique: Clique) -> int | None:
        """Returns a clique's number, or None where it has none."""
        return self._number.get(clique)

    def affected(self, candidate: Clique) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Returns the numbers of the workload's cliques that it changes, and of what they share with it.

        These are the cliques that share two or more columns; for a single column all that hold it.
        """
        if candidate not in self._affected:
            parts = combinations(candidate, min(len(candidate), 2))
            sharing = dict.fromkeys(clique for part in parts for clique in self._holding.get(part, ()))
            held = frozenset(candidate)
            shared = [self.number(tuple(a for a in clique if a in held)) for clique in sharing]
            self._affected[candidate] = (
                np.array([self.number(clique) for clique in sharing], dtype=np.int64),
                np.array(shared, dtype=np.int64),
            )
        return self._affected[candidate]

    def importances(self, candidates: Sequence[Clique]) -> NDArray[np.float64]:
        """Returns for each the sum over the workload of weight times the number of shared columns (McKenna et al. 2022).

        That is the sum over its columns of the weights of the workload's cliques that hold the column.
        """
        of_column = dict.fromkeys(self.domain, 0.0)
        for number, weight in zip(self.wanted, self.weights, strict=True):
            for attribute in self.cliques[number]:
                of_column[attribute] += float(weight)
        return np.array([sum(of_column[a] for a in clique) for clique in candidates])


def cells_of(domain: Domain, cliques: Sequence[Clique]) -> NDArray[np.float64]:
    """Returns the numbers of cells, as floats."""
    return np.array([float(domain.cells(clique)) for clique in cliques])
