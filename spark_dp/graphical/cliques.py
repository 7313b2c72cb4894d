"""Sets of cliques: which contain which, and what lies below them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

from spark_dp.schema.domain import Clique, Domain


def maximal_cliques(cliques: Iterable[Clique]) -> tuple[Clique, ...]:
    """Returns the cliques that no other one contains, each once, in order of first appearance.

    The empty clique is contained in every other and so appears only when it is alone.
    """
    distinct = list(dict.fromkeys(cliques))
    sets = [frozenset(clique) for clique in distinct]
    kept: dict[frozenset[str], Clique] = {}
    for clique, attributes in zip(distinct, sets, strict=True):
        if attributes not in kept and not any(attributes < other for other in sets):
            kept[attributes] = clique
    return tuple(kept.values())


def downward_closure(domain: Domain, cliques: Iterable[Clique]) -> tuple[Clique, ...]:
    """Returns every non-empty subset of every clique, canonical, the smaller first, then in domain order.

    The closure of one clique of d attributes has 2**d - 1 members.
    """
    position = {attribute: index for index, attribute in enumerate(domain)}
    closure = {
        subset
        for clique in maximal_cliques(domain.canonical(clique) for clique in cliques)
        for degree in range(1, len(clique) + 1)
        for subset in combinations(clique, degree)
    }
    return tuple(sorted(closure, key=lambda clique: (len(clique), [position[a] for a in clique])))


def smallest_superset(domain: Domain, clique: Clique, cliques: Sequence[Clique]) -> int | None:
    """Returns the index of the clique with fewest cells that contains `clique`, the first of equals.

    None where no clique contains it.
    """
    needed = frozenset(clique)
    holders = [index for index, other in enumerate(cliques) if needed <= frozenset(other)]
    return min(holders, key=lambda index: domain.cells(cliques[index])) if holders else None
