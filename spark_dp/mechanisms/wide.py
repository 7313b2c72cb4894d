"""What a wide table cannot have: groups of columns of which there are too many, and rounds over too many counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Final

from spark_dp.errors import DomainTooLargeError
from spark_dp.mechanisms.candidates import MOST_CANDIDATES
from spark_dp.schema.domain import Clique, Domain

MOST_WORKLOAD_CELLS: Final = 10**10
"""Cells of all groups of a degree from which on the degree below is taken."""

COMPARED_CELLS: Final = 500_000_000
"""Cells that all choices of a run may compare together: 4 GB of estimates, which are kept with every choice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Degree:
    """How many columns a workload's groups have.

    Attributes:
        asked: by the configuration.
        taken: the same, or what is left of it on a wide table; at least 2 where 2 are asked for.
        reason: why fewer are taken, in a sentence; else None.
    """

    asked: int
    taken: int
    reason: str | None

    @classmethod
    def of(cls, domain: Domain, asked: int) -> Degree:
        """Takes the asked degree, or the largest one below of whose groups there are not too many."""
        taken = most = min(asked, max(len(domain), 1))
        while taken > 2 and (
            comb(len(domain), taken) > MOST_CANDIDATES or cells_of_degree(domain, taken) > MOST_WORKLOAD_CELLS
        ):
            taken -= 1
        reason = None
        if taken < most:
            reason = (
                f"mechanism.workload asks for groups of {asked} columns: those of {taken + 1} would be "
                f"{comb(len(domain), taken + 1):,} with {cells_of_degree(domain, taken + 1):.2g} cells, and at most "
                f"{MOST_CANDIDATES:,} with {MOST_WORKLOAD_CELLS:.0e} are looked at. Groups of {taken} are taken instead; "
                "name the larger ones that matter in mechanism.workload."
            )
        return cls(asked=asked, taken=taken, reason=reason)


def cells_of_degree(domain: Domain, degree: int) -> int:
    """Returns the cells of all groups of `degree` columns together, without listing them."""
    sums = [1] + [0] * degree
    for size in domain.sizes:
        for held in range(degree, 0, -1):
            sums[held] += sums[held - 1] * size
    return sums[degree]


def require_choosable(name: str, domain: Domain, candidates: Sequence[Clique], rounds: int) -> None:
    """Refuses rounds that would compare, and keep, more cells than a run's choices may.

    Raises:
        DomainTooLargeError: nothing was read or spent.
    """
    cells = sum(map(domain.cells, candidates))
    if cells * rounds > COMPARED_CELLS:
        raise DomainTooLargeError(
            f"Mechanism {name!r} would compare {len(candidates):,} groups of columns with {cells:,} cells in each of "
            f"{rounds:,} rounds or so, {cells * rounds:,} cells in all, and a run may compare {COMPARED_CELLS:,}. "
            "Nothing was read or spent. Write mechanism.name: oneshot or auto, which looks at all of them once; or use "
            "fewer bins or values, or name the groups that matter in mechanism.workload.",
            field="mechanism.name",
        )
