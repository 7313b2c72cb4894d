"""Which marginals are compared: all of 1 to 3 columns where they fit, a fixed part of them where they do not.

A table of 100 columns has 161,700 marginals of 3. What a pass over the rows costs grows with the marginals, and what
memory holds with their cells, so both are limited; the choice depends on the declared domain alone, so that two
runs of one schema compare the same.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from spark_dp.evaluation.results import Coverage
from spark_dp.schema.domain import Clique, Domain

DEGREES = (1, 2, 3)
MOST_MARGINALS = {1: 1 << 20, 2: 5000, 3: 1000}
"""Marginals of a degree that are compared at most: all pairs of 100 columns, all triples of 19."""

MOST_CELLS = 1 << 20
"""Cells of one pair or triple: above, a table has fewer rows than the marginal cells, as a rule."""

_SEED = 20130101


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The marginals to compare.

    Attributes:
        cliques: by degree, each degree in the domain's order.
        coverage: how many of how many, by degree.
    """

    cliques: tuple[Clique, ...]
    coverage: Mapping[int, Coverage]


def choose_cliques(domain: Domain, *, cells: int) -> Choice:
    """Chooses marginals of together at most `cells` cells.

    Columns come first. Pairs may take half of what is left where there are triples, which take the rest. Where not
    all of a degree fit, they are taken in an order that is random and fixed, and those that do not fit are left out.

    Args:
        domain: declared.
        cells: of all chosen marginals together.
    """
    positions = {a: i for i, a in enumerate(domain)}
    chosen: list[Clique] = []
    coverage: dict[int, Coverage] = {}
    left = cells
    for degree in DEGREES:
        of = math.comb(len(domain), degree)
        if not of:
            break
        may_take = left // 2 if degree == 2 and len(domain) > 2 else left
        largest = may_take if degree == 1 else min(may_take, MOST_CELLS)
        candidates = [c for c in _candidates(domain, degree) if domain.cells(c) <= largest]
        fitting = _that_fit(domain, candidates, may_take)
        found = sorted(fitting, key=lambda clique: [positions[a] for a in clique])
        left -= sum(domain.cells(c) for c in found)
        chosen += found
        coverage[degree] = Coverage(compared=len(found), of=of)
    return Choice(cliques=tuple(chosen), coverage=coverage)


def _candidates(domain: Domain, degree: int) -> Iterator[Clique]:
    """Yields the cliques of a degree, or as many as may be compared: a simple random sample without repeats."""
    of, most = math.comb(len(domain), degree), MOST_MARGINALS[degree]
    if of <= most:
        yield from itertools.combinations(domain.attributes, degree)
        return
    for rank in random.Random(_SEED).sample(range(of), most):
        yield tuple(domain.attributes[i] for i in combination_at(rank, degree))


def combination_at(rank: int, degree: int) -> tuple[int, ...]:
    """Returns the combination of this rank in the combinatorial number system (Knuth, TAOCP 7.2.1.3).

    Args:
        rank: from 0 to below comb(n, degree), for numbers below n.
        degree: how many numbers.

    Returns:
        `degree` numbers that increase; another rank gives other ones.
    """
    found: list[int] = []
    for k in range(degree, 0, -1):
        number = k - 1
        while math.comb(number + 1, k) <= rank:
            number += 1
        rank -= math.comb(number, k)
        found.append(number)
    return tuple(reversed(found))


def _that_fit(domain: Domain, candidates: list[Clique], cells: int) -> Iterable[Clique]:
    if sum(map(domain.cells, candidates)) <= cells:
        return candidates
    found = []
    for clique in random.Random(_SEED).sample(candidates, len(candidates)):
        if domain.cells(clique) <= cells:
            cells -= domain.cells(clique)
            found.append(clique)
    return found
