"""Non-negative tables over attributes, and the algebra that variable elimination needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from string import ascii_letters

import numpy as np
from numpy.typing import NDArray

from spark_dp.schema.domain import Attribute, Clique

_SMALL_WORK = 1 << 16


@dataclass(frozen=True, slots=True)
class Factor:
    """A table with one axis per attribute.

    Attributes:
        attributes: distinct names, in the order of the axes.
        values: float64, one axis per attribute.
    """

    attributes: Clique
    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        if len(set(self.attributes)) != len(self.attributes) or self.values.ndim != len(self.attributes):
            raise ValueError(f"A table of shape {self.values.shape} cannot have axes {self.attributes}.")

    def size(self, attribute: Attribute) -> int:
        """Returns the length of an attribute's axis."""
        return int(self.values.shape[self.attributes.index(attribute)])

    def transpose(self, attributes: Sequence[Attribute]) -> Factor:
        """Returns the same table with its axes in another order."""
        axes = [self.attributes.index(attribute) for attribute in attributes]
        return Factor(tuple(attributes), self.values.transpose(axes))

    def expand(self, attributes: Sequence[Attribute]) -> NDArray[np.float64]:
        """Returns a view that broadcasts against tables over `attributes`, which include the factor's own."""
        own = [attribute for attribute in attributes if attribute in self.attributes]
        shape = [self.size(attribute) if attribute in self.attributes else 1 for attribute in attributes]
        return self.transpose(own).values.reshape(shape)

    def marginal(self, attributes: Iterable[Attribute]) -> Factor:
        """Sums out everything else; the remaining axes keep the factor's order."""
        wanted = set(attributes)
        lost = tuple(axis for axis, attribute in enumerate(self.attributes) if attribute not in wanted)
        return Factor(tuple(a for a in self.attributes if a in wanted), self.values.sum(axis=lost))

    def __mul__(self, other: Factor) -> Factor:
        attributes = (*self.attributes, *(a for a in other.attributes if a not in self.attributes))
        return Factor(attributes, self.expand(attributes) * other.expand(attributes))

    def contract(self, other: Factor, attributes: Sequence[Attribute]) -> Factor:
        """Returns the marginal over `attributes` of the product, which itself is never built.

        Every attribute asked for must belong to one of the two factors.
        """
        letters = dict(zip(dict.fromkeys((*self.attributes, *other.attributes)), ascii_letters, strict=False))
        left, right, kept = (
            "".join(letters[a] for a in axes) for axes in (self.attributes, other.attributes, attributes)
        )
        sizes = dict(zip(left, self.values.shape, strict=True)) | dict(
            zip(right, other.values.shape, strict=True)
        )
        # To look for a faster way takes longer than a small product.
        is_large = prod(sizes.values()) > _SMALL_WORK
        values = np.einsum(f"{left},{right}->{kept}", self.values, other.values, optimize=is_large)
        return Factor(tuple(attributes), np.asarray(values, dtype=np.float64))

    def log(self) -> Factor:
        """Returns the logarithms; an empty cell becomes -inf without a warning."""
        with np.errstate(divide="ignore"):
            return Factor(self.attributes, np.log(self.values))

    def exp(self) -> Factor:
        """Returns the exponentials, the inverse of `log`."""
        return Factor(self.attributes, np.exp(self.values))
