"""Marginals taken apart into interactions: what each set of attributes adds to its subsets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_dp.schema.domain import Clique, Domain

Table = NDArray[np.float64]
Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Part:
    """One interaction within one site.

    Attributes:
        axes: which of the site's axes it has, as bits.
        cells: where it lies in the vector.
        shape: of the interaction, axes that it lacks of length 1.
        spread: cells of the site for one cell of the interaction.
        is_home: whether this site is the one that the interaction's potential belongs to.
    """

    axes: int
    cells: slice
    shape: tuple[int, ...]
    spread: float
    is_home: bool


class Interactions:
    """Coordinates in which marginals of overlapping cliques have nothing in common.

    A table over a clique is the sum of one interaction for each subset of its attributes: orthogonal tables whose
    sum along every axis of their own is zero (the analysis of variance). Cliques that overlap share the interactions of
    their common subsets. So the least-squares loss of noisy marginals, each with the same noise in all its cells, is a
    constant and one square for each interaction, with the precisions of all marginals that contain it
    added up (the residual basis of Xiao et al. 2023, section 4), and potentials of the interactions are unique.

    A vector holds all interactions one after another, each of its own marginal's size.

    Args:
        domain: of all attributes.
        sites: canonical cliques, distinct.
        measured: canonical cliques, each within a site; their subsets are the interactions.
    """

    def __init__(self, domain: Domain, sites: Sequence[Clique], measured: Iterable[Clique]) -> None:
        self.domain, self.sites = domain, tuple(sites)
        closure = {frozenset(subset) for clique in measured for subset in _subsets(clique)}
        self.cells: dict[frozenset[str], slice] = {}
        self._parts: list[tuple[_Part, ...]] = []
        self.size = 0
        self._shapes = [domain.shape(site) for site in self.sites]
        for site in self.sites:
            parts = []
            for axes, subset in enumerate(_subsets(site)):
                key = frozenset(subset)
                if key not in closure:
                    continue
                is_home = key not in self.cells
                if is_home:
                    cells = domain.cells(subset)
                    self.cells[key] = slice(self.size, self.size + cells)
                    self.size += cells
                shape = tuple(domain.size(a) if a in key else 1 for a in site)
                spread = domain.cells(site) / domain.cells(subset)
                parts.append(_Part(axes, self.cells[key], shape, spread, is_home))
            self._parts.append(tuple(parts))

    def potentials(self, vector: Vector) -> list[Table]:
        """Returns each site's table of potentials: the sum of the interactions whose home it is."""
        return [self._sum(i, vector, home=True) for i in range(len(self.sites))]

    def moments(self, marginals: Sequence[Table]) -> Vector:
        """Returns each interaction of consistent marginals, as a marginal: the adjoint of `potentials`."""
        found = np.zeros(self.size)
        for parts, table in zip(self._parts, marginals, strict=True):
            own = [part for part in parts if part.is_home]
            if own:
                split = _split(table, {part.axes for part in own})
                for part in own:
                    np.multiply(split[part.axes].ravel(), part.spread, out=found[part.cells])
        return found

    def smooth(self, vector: Vector, divisors: Sequence[Table]) -> Vector:
        """Spreads a vector of moments over every site, divides there, and gathers what comes out as potentials.

        With the sites' marginals as divisors this is the inverse of the covariance of one site's indicators, summed
        over the sites: an additive Schwarz preconditioner.
        """
        found = np.zeros(self.size)
        for i, (parts, divisor) in enumerate(zip(self._parts, divisors, strict=True)):
            if parts:
                table = self._sum(i, vector, home=False)
                table /= divisor
                split = _split(table, {part.axes for part in parts})
                for part in parts:
                    found[part.cells] += split[part.axes].ravel()
        return found

    def take_apart(self, clique: Clique, table: Table) -> dict[frozenset[str], Table]:
        """Returns the interactions of a table over a canonical clique, as parts of the table: means, not sums."""
        split = _split(table, set(range(1 << len(clique))))
        return {
            frozenset(subset): split[axes].reshape(self.domain.shape(subset))
            for axes, subset in enumerate(_subsets(clique))
        }

    def gather_potentials(self, tables: Iterable[tuple[Clique, Table]]) -> Vector:
        """Returns the vector of potentials that given tables add up to; interactions unknown here are dropped."""
        found = np.zeros(self.size)
        for clique, table in tables:
            for key, part in self.take_apart(clique, table).items():
                if key in self.cells:
                    found[self.cells[key]] += part.ravel()
        return found

    def _sum(self, site: int, vector: Vector, *, home: bool) -> Table:
        tables: dict[int, Table] = {}
        for part in self._parts[site]:
            if part.is_home or not home:
                values = vector[part.cells].reshape(part.shape)
                tables[part.axes] = values if home or part.spread == 1.0 else values * (1.0 / part.spread)
        return _join(tables, self._shapes[site])


def _join(tables: dict[int, Table], shape: tuple[int, ...]) -> Table:
    """Adds up tables of distinct axes, as bits, each first to those with one axis more: few sums are of the whole's size."""
    owned: set[int] = set()
    for axis in range(len(shape)):
        bit = 1 << axis
        for axes in [axes for axes in tables if not axes & bit and axes | bit in tables]:
            smaller, larger = tables.pop(axes), tables[axes | bit]
            if axes | bit in owned:
                larger += smaller
            else:
                tables[axes | bit] = larger + smaller
                owned.add(axes | bit)
    if len(tables) == 1 and owned:
        (whole,) = tables.values()
        if whole.shape == shape:
            return whole
    whole = np.zeros(shape)
    for table in tables.values():
        whole += table
    return whole


def _subsets(clique: Clique) -> list[Clique]:
    """Returns all subsets; bit i of an index says whether attribute i belongs to it."""
    return [tuple(a for i, a in enumerate(clique) if axes >> i & 1) for axes in range(1 << len(clique))]


def _split(table: Table, wanted: set[int]) -> dict[int, Table]:
    """Splits a table into interactions by taking off means axis after axis; only what leads to `wanted` is kept."""
    found = {0: table}
    for axis, size in enumerate(table.shape):
        bit, below = 1 << axis, (2 << axis) - 1
        leads = {axes & below for axes in wanted}
        renewed: dict[int, Table] = {}
        for axes, part in found.items():
            mean = np.add.reduce(part, axis=axis, keepdims=True)
            mean *= 1.0 / size
            if axes | bit in leads:
                # The table that was given stays as it is; what was made from it is nobody else's.
                renewed[axes | bit] = np.subtract(part, mean, out=None if part is table else part)
            if axes in leads:
                renewed[axes] = mean
        found = renewed
    return found
