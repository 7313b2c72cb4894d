"""Structural zeros: combinations of values that the declared domain rules out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spark_dp.errors import ConfigurationError
from spark_dp.graphical.inference import Placement
from spark_dp.graphical.junction_tree import JunctionTree, build_junction_tree
from spark_dp.schema.domain import Attribute, Clique, Domain

if TYPE_CHECKING:  # the engine by itself needs no pyarrow
    from spark_dp.schema.table import TableSchema


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StructuralZeros:
    """The cells of one clique that no row can be in. Declared, never learned, so that they cost no privacy.

    Attributes:
        clique: distinct attributes, in the order of the array's axes.
        forbidden: bool, one axis an attribute; True where no row may be. At least one cell is allowed.
    """

    clique: Clique
    forbidden: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.forbidden.dtype != np.bool_ or self.forbidden.ndim != len(self.clique):
            raise ConfigurationError(
                f"The forbidden cells of {self.clique} are a bool array with one axis an attribute, and not "
                f"{self.forbidden.dtype} with {self.forbidden.ndim} axes."
            )
        if self.forbidden.all():
            raise ConfigurationError(
                f"Every combination of {', '.join(self.clique)} is forbidden, so that no row is left. "
                "Nothing was estimated. Forbid less."
            )


def allowed_potentials(
    domain: Domain, sites: Sequence[Clique], zeros: Sequence[StructuralZeros]
) -> list[NDArray[np.float64] | None]:
    """Returns for each canonical site 0 where a row may be and -inf where none may; None where all may.

    Each clique of `zeros` lies within a site.
    """
    found: list[NDArray[np.float64] | None] = [None] * len(sites)
    for zero in zeros:
        clique = domain.canonical(zero.clique)
        table = np.where(zero.forbidden, -np.inf, 0.0)
        if table.shape != domain.shape(zero.clique):
            raise ConfigurationError(
                f"The forbidden cells of {zero.clique} have shape {table.shape}, and its marginal has "
                f"{domain.shape(zero.clique)}. Nothing was estimated."
            )
        table = table.transpose([zero.clique.index(a) for a in clique])
        i = next(i for i, site in enumerate(sites) if set(clique) <= set(site))
        held = found[i]
        if held is None:
            held = np.zeros(domain.shape(sites[i]))
        found[i] = held + table.reshape([domain.size(a) if a in clique else 1 for a in sites[i]])
    return found


def structural_zeros(schema: TableSchema) -> tuple[StructuralZeros, ...]:
    """Returns what a schema's constraints forbid: one table for each set of columns, in order of first appearance.

    Raises:
        ConfigurationError: the constraints on one set of columns leave no cell.
    """
    domain = schema.domain
    found: dict[Clique, NDArray[np.bool_]] = {}
    for constraint in schema.constraints:
        clique = domain.canonical(constraint.clique)
        table = constraint.forbidden(domain).transpose([constraint.clique.index(a) for a in clique])
        earlier = found.setdefault(clique, table)
        np.logical_or(earlier, table, out=earlier)
    return tuple(StructuralZeros(clique=clique, forbidden=table) for clique, table in found.items())


def possible_values(
    domain: Domain, zeros: Sequence[StructuralZeros], *, max_cells: int
) -> dict[Attribute, NDArray[np.bool_]]:
    """Returns for each attribute of the zeros which of its cells some row may be in; all False where no row may be.

    Whether cells agree is passed along a junction tree of the zeros' cliques alone, in booleans, so that it is exact.

    Raises:
        DomainTooLargeError: the zeros alone need a model of more than max_cells.
    """
    named = domain.project(domain.canonical(a for zero in zeros for a in zero.clique))
    if not len(named):
        return {}
    tree = build_junction_tree(named, [zero.clique for zero in zeros], max_cells=max_cells)
    potentials = allowed_potentials(named, tree.cliques, zeros)
    supports = [
        np.ones(named.shape(clique), np.bool_) if table is None else table > -np.inf
        for clique, table in zip(tree.cliques, potentials, strict=True)
    ]
    agreed = agreeing(tree, supports)
    possible = all(table.any() for table in agreed)
    found: dict[Attribute, NDArray[np.bool_]] = {}
    for clique, table in zip(tree.cliques, agreed, strict=True):
        for axis, attribute in enumerate(clique):
            held = np.asarray(table.any(axis=tuple(i for i in range(len(clique)) if i != axis)))
            found[attribute] = held if possible else np.zeros_like(held)
    return found


def completable(tree: JunctionTree, supports: Sequence[NDArray[np.bool_]]) -> list[NDArray[np.bool_]]:
    """Returns of each clique's cells those that can be completed to a cell of every clique below it."""
    found = [table.copy() for table in supports]
    for node in range(len(found) - 1, -1, -1):
        parent = tree.parents[node]
        if parent >= 0:
            inside, above = _places(tree, node)
            found[parent] &= found[node].any(axis=inside.lost).reshape(above.shape)
    return found


def agreeing(tree: JunctionTree, supports: Sequence[NDArray[np.bool_]]) -> list[NDArray[np.bool_]]:
    """Returns of each clique's cells those that some row of its component of the tree is in."""
    found = completable(tree, supports)
    for node, parent in enumerate(tree.parents):
        if parent >= 0:
            inside, above = _places(tree, node)
            found[node] &= found[parent].any(axis=above.lost).reshape(inside.shape)
    return found


def _places(tree: JunctionTree, node: int) -> tuple[Placement, Placement]:
    """Where a node's separator sits in the node, and in its parent."""
    separator = tree.separators[node]
    return (
        Placement.of(tree, separator, tree.cliques[node]),
        Placement.of(tree, separator, tree.cliques[tree.parents[node]]),
    )
