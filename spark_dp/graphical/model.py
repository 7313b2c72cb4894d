"""The graphical model: a distribution over the whole domain, held on the cliques of a junction tree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_dp.graphical.archive import pack, unpack
from spark_dp.graphical.elimination import marginals
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
        return self.marginals([wanted])[wanted]

    def marginals(self, cliques: Iterable[Clique]) -> dict[Clique, NDArray[np.float64]]:
        """Returns `marginal` of each clique, in far less time than one by one: the model is read about once."""
        return marginals(self.tree, self.probabilities, self.total, cliques)

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
