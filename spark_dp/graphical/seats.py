"""Small tables within larger ones whose axes come in another order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_dp.schema.domain import Attribute, Clique

Table = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """Where a table sits in a larger one.

    Attributes:
        axes: of the larger table, those of the small one, ascending.
        shape: of the small table seated, with length 1 along the axes that it lacks.
        order: turns the small table's axes into the larger one's order.
        lengths: of its axes in that order.
        back: turns them back.
    """

    axes: tuple[int, ...]
    shape: tuple[int, ...]
    order: tuple[int, ...]
    lengths: tuple[int, ...]
    back: tuple[int, ...]

    @classmethod
    def of(cls, inner: Clique, outer: Sequence[Attribute], sizes: Sequence[int]) -> Seat:
        """Seats a table over `inner` in one over `outer`, which holds all of its attributes."""
        places = [outer.index(a) for a in inner]
        axes = tuple(sorted(places))
        return cls(
            axes=axes,
            shape=tuple(size if axis in places else 1 for axis, size in enumerate(sizes)),
            order=tuple(places.index(axis) for axis in axes),
            lengths=tuple(sizes[axis] for axis in axes),
            back=tuple(axes.index(place) for place in places),
        )

    def place(self, table: Table) -> Table:
        """Returns the small table so that it broadcasts over the larger one."""
        return np.ascontiguousarray(table.transpose(self.order)).reshape(self.shape)

    def lift(self, table: Table) -> Table:
        """The inverse of `place`."""
        return table.reshape(self.lengths).transpose(self.back).copy()
