"""The graphical model: a distribution over the whole domain, held on the cliques of a junction tree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from spark_dp.graphical.archive import pack, unpack
from spark_dp.graphical.factor import Factor
from spark_dp.graphical.junction_tree import JunctionTree
from spark_dp.schema.domain import Clique, Domain

FORMAT = "spark-dp graphical model"
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GraphicalModel:
    """A distribution of rows in which attributes are independent given the separators of a junction tree.

    Attributes:
        tree: the cliques and how they hang together.
        probabilities: per clique of the tree, float64 of the clique's shape, non-negative, sums to one;
            two cliques agree on what they share.
        total: rows, zero or more.
    """

    tree: JunctionTree
    probabilities: tuple[NDArray[np.float64], ...]
    total: float

    def __post_init__(self) -> None:
        for clique, table in zip(self.tree.cliques, self.probabilities, strict=True):
            if table.shape != self.domain.shape(clique) or not np.isfinite(table).all() or (table < 0).any():
                raise ValueError(
                    f"The probabilities of {clique} have a wrong shape, or are negative or not finite."
                )
        if not (self.total >= 0 and np.isfinite(self.total)):
            raise ValueError(f"A model's total is {self.total}; it must be finite and not negative.")

    @property
    def domain(self) -> Domain:
        """All attributes, in order."""
        return self.tree.domain

    @property
    def cliques(self) -> tuple[Clique, ...]:
        """The maximal cliques, on which the model is stored."""
        return self.tree.cliques

    @property
    def cells(self) -> int:
        """The number of stored probabilities."""
        return self.tree.cells

    def marginal(self, clique: Iterable[str]) -> NDArray[np.float64]:
        """Returns the expected rows of each cell of any clique's marginal, in the model or not.

        Eliminates variables on the smallest part of the tree that holds the clique, so that no table larger
        than the clique and one separator together is built.

        Args:
            clique: distinct attributes, in the order wanted of the axes.
        """
        wanted = tuple(clique)
        result = Factor((), np.array(self.total))
        for component in self._components(set(self.domain.canonical(wanted))):
            result = result * component
        return result.transpose(wanted).values

    def marginals(self, cliques: Iterable[Clique]) -> dict[Clique, NDArray[np.float64]]:
        """Returns `marginal` of each clique."""
        return {clique: self.marginal(clique) for clique in cliques}

    def _components(self, wanted: set[str]) -> list[Factor]:
        """Returns one factor over the wanted attributes of each connected part of the tree that has any."""
        tree, sets = self.tree, [frozenset(c) for c in self.tree.cliques]
        neighbours: dict[int, set[int]] = {node: set() for node in self._needed(wanted)}
        for node in neighbours:
            if tree.parents[node] in neighbours:
                neighbours[node].add(tree.parents[node])
                neighbours[tree.parents[node]].add(node)
        # A leaf that adds no wanted attribute to its neighbour is not needed.
        leaves = list(neighbours)
        while leaves:
            leaf = leaves.pop()
            around = neighbours.get(leaf, set())
            if len(around) == 1:
                (other,) = around
                if sets[leaf] & wanted <= sets[other]:
                    del neighbours[leaf]
                    neighbours[other].discard(leaf)
                    leaves.append(other)
        roots = [n for n in neighbours if tree.parents[n] not in neighbours]
        return [self._collect(root, neighbours, wanted) for root in roots]

    def _needed(self, wanted: set[str]) -> list[int]:
        """Returns the nodes of the components that hold a wanted attribute."""
        component: list[int] = []
        for node, parent in enumerate(self.tree.parents):
            component.append(component[parent] if parent >= 0 else node)
        kept = {component[n] for n, c in enumerate(self.tree.cliques) if wanted & set(c)}
        return [node for node, root in enumerate(component) if root in kept]

    def _collect(self, node: int, kept: dict[int, set[int]], wanted: set[str]) -> Factor:
        """Returns the marginal over what is wanted below `node`, with the separator to its parent."""
        clique, separator = self.tree.cliques[node], self.tree.separators[node]
        factor = Factor(clique, self.probabilities[node])
        children = [other for other in sorted(kept[node]) if self.tree.parents[other] == node]
        is_root = self.tree.parents[node] not in kept
        needed = wanted if is_root else wanted | set(separator)
        waiting = [set(self.tree.separators[child]) for child in children]
        if not children:
            factor = factor.marginal(needed)
        for index, child in enumerate(children):
            message = self._collect(child, kept, wanted)
            later: set[str] = reduce(set.union, waiting[index + 1 :], set())
            keep = needed | later
            attributes = dict.fromkeys((*factor.attributes, *message.attributes))
            factor = factor.contract(message, [a for a in attributes if a in keep])
        if is_root:
            return factor
        return self._given_separator(factor, separator)

    def _given_separator(self, factor: Factor, separator: Clique) -> Factor:
        """Divides by the separator's marginal; a configuration of probability zero stays zero."""
        held = set(separator)
        own = [a for a in factor.attributes if a in held]
        norm = self._separator_probabilities(separator)
        norm = Factor(separator, norm).expand(factor.attributes) if own else norm
        return Factor(
            factor.attributes,
            np.divide(factor.values, norm, out=np.zeros_like(factor.values), where=norm > 0),
        )

    def _separator_probabilities(self, separator: Clique) -> NDArray[np.float64]:
        node = next(i for i, s in enumerate(self.tree.separators) if s == separator)
        return Factor(self.tree.cliques[node], self.probabilities[node]).marginal(separator).values

    def to_bytes(self) -> bytes:
        """Returns an npz archive of the probabilities with a JSON header that states format and version."""
        header = {
            "format": FORMAT,
            "version": VERSION,
            "domain": self.domain.to_json(),
            "cliques": self.tree.cliques,
            "parents": self.tree.parents,
            "separators": self.tree.separators,
            "total": self.total.hex(),
        }
        return pack(header, {f"clique_{i}": table for i, table in enumerate(self.probabilities)})

    @classmethod
    def from_bytes(cls, content: bytes) -> GraphicalModel:
        """Reads what `to_bytes` wrote.

        Raises:
            InputError: the bytes are truncated, of another format or of an unknown version.
        """
        header, arrays = unpack(content, FORMAT, VERSION)
        tree = JunctionTree(
            domain=Domain.from_json(header["domain"]),
            cliques=tuple(tuple(clique) for clique in header["cliques"]),
            parents=tuple(header["parents"]),
            separators=tuple(tuple(separator) for separator in header["separators"]),
        )
        tables = tuple(arrays[f"clique_{i}"] for i in range(len(tree.cliques)))
        return cls(tree=tree, probabilities=tables, total=float.fromhex(header["total"]))
