"""How a budget is divided among marginals of different sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import log2

from spark_dp.schema.domain import Clique, Domain


@dataclass(frozen=True, slots=True, kw_only=True)
class Allotment:
    """Marginals of similar size that are measured jointly, and what that may cost."""

    cliques: tuple[Clique, ...]
    rho: Fraction


def allot(
    domain: Domain, cliques: Sequence[Clique], rho: Fraction, *, sizes: Mapping[Clique, float] | None = None
) -> tuple[Allotment, ...]:
    """Divides rho so that the expected L1 error of all marginals together is least.

    A marginal of n cells with noise sigma has the error sqrt(2 / pi) * sigma * n, and costs in proportion to
    1 / sigma^2. The sum of the errors at a given sum of the costs is least where 1 / sigma^2 grows with
    n^(2/3) (Lagrange). That weight is rounded to a power of two, and marginals of equal weight make
    one joint query, so that there are few queries; the rounding costs at most 5 % of the error.

    Guarantees: the parts add up to exactly rho. A pure function of declared sizes and the cliques.

    Args:
        cliques: distinct, at least one.
        rho: positive.
        sizes: for each clique the cells that count, of earlier outputs: where many are empty, and what is negative will
            be put right, fewer than there are. Their declared number where None.

    Returns:
        The largest marginals first; within one part the given order.
    """
    groups: dict[int, list[Clique]] = {}
    for clique in cliques:
        size = domain.cells(clique) if sizes is None else sizes[clique]
        groups.setdefault(_exponent(size), []).append(clique)
    weight = sum(len(group) << exponent for exponent, group in groups.items())
    return tuple(
        Allotment(
            cliques=tuple(groups[exponent]), rho=rho * Fraction(len(groups[exponent]) << exponent, weight)
        )
        for exponent in sorted(groups, reverse=True)
    )


def size_weight(cells: int) -> int:
    """Returns what 1 / sigma^2 of a marginal of so many cells is in proportion to."""
    return 1 << _exponent(cells)


def _exponent(cells: float) -> int:
    return round(log2(max(cells, 1)) * 2 / 3)
