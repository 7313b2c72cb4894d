"""The discrete domain of a table: its attributes and how many cells each has."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from spark_dp.errors import ConfigurationError, nearest

Attribute = str
Clique = tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class Domain:
    """The attributes of a table in order, each with its number of cells.

    Declared, never learned from the table, so that every size that is derived from it is public.

    Args:
        attributes: distinct names; their order is the axis order of all marginals.
        sizes: cells of each attribute, at least 1.

    Raises:
        ConfigurationError: the names are not distinct, or a size is not a positive integer.
    """

    attributes: tuple[Attribute, ...]
    sizes: tuple[int, ...]
    _positions: dict[Attribute, int] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "attributes", tuple(self.attributes))
        object.__setattr__(self, "sizes", tuple(self.sizes))
        if len(self.attributes) != len(self.sizes):
            raise ConfigurationError(
                f"A domain of {len(self.attributes)} attributes needs as many sizes, not {len(self.sizes)}."
            )
        object.__setattr__(self, "_positions", {name: i for i, name in enumerate(self.attributes)})
        if len(self._positions) != len(self.attributes):
            raise ConfigurationError(f"The attributes of a domain must be distinct: {self.attributes}.")
        for attribute, size in zip(self.attributes, self.sizes, strict=True):
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                raise ConfigurationError(
                    f"Attribute {attribute!r} has size {size!r}; a size is an integer from 1."
                )

    def size(self, attribute: Attribute) -> int:
        """Returns the number of cells of one attribute."""
        return self.sizes[self._position(attribute)]

    def shape(self, clique: Iterable[Attribute]) -> tuple[int, ...]:
        """Returns the shape of a clique's marginal, axes in the clique's own order."""
        return tuple(self.size(attribute) for attribute in clique)

    def cells(self, clique: Iterable[Attribute]) -> int:
        """Returns the number of cells of a clique's marginal; 1 for the empty clique, never overflowing."""
        return math.prod(self.shape(clique))

    def canonical(self, clique: Iterable[Attribute]) -> Clique:
        """Returns the clique's attributes once each, in the domain's order."""
        positions = {self._position(attribute) for attribute in clique}
        return tuple(self.attributes[i] for i in sorted(positions))

    def project(self, attributes: Iterable[Attribute]) -> Domain:
        """Returns the domain of these attributes, in the order in which they are given."""
        kept = tuple(attributes)
        return Domain(kept, self.shape(kept))

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-able form that `from_json` reads back to an equal domain."""
        return {"attributes": list(self.attributes), "sizes": list(self.sizes)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Domain:
        """Reads what `to_json` wrote."""
        return cls(tuple(document["attributes"]), tuple(document["sizes"]))

    def _position(self, attribute: Attribute) -> int:
        try:
            return self._positions[attribute]
        except KeyError:
            raise ConfigurationError(
                f"The domain has no attribute {attribute!r}. It has: {', '.join(self.attributes)}."
                + nearest(str(attribute), self.attributes)
            ) from None

    def __contains__(self, attribute: object) -> bool:
        return attribute in self._positions

    def __iter__(self) -> Iterator[Attribute]:
        return iter(self.attributes)

    def __len__(self) -> int:
        return len(self.attributes)
