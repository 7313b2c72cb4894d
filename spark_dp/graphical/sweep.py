"""Large tables built from small ones and summed back to small ones, in blocks that stay in the processor's cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import log, prod

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.float64]
Axes = frozenset[int]
Block = tuple[slice, ...]

# 32 thousand cells of eight bytes: two or three such blocks fit in a core's second-level cache.
_BLOCK_CELLS = 1 << 15


@dataclass(frozen=True, slots=True)
class SumOut:
    """How one table is summed to several smaller ones with the fewest passes over the large one.

    The same plan read backwards builds the large table from the small ones: factors that lack an axis are first
    put together without it.

    Attributes:
        targets: indices of the small tables that have all of the axes left here.
        steps: an axis to sum out next, and what follows. Tables keep all axes; one that is summed out has length 1.
    """

    targets: tuple[int, ...]
    steps: tuple[tuple[int, SumOut], ...]

    @classmethod
    def plan(cls, shape: Sequence[int], wanted: Sequence[Axes]) -> SumOut:
        """Plans by a greedy cover: each step sums out the axis that most of the small tables can do without."""
        return cls._plan(shape, frozenset(range(len(shape))), dict(enumerate(wanted)))

    @classmethod
    def _plan(cls, shape: Sequence[int], kept: Axes, wanted: dict[int, Axes]) -> SumOut:
        here = tuple(i for i, axes in wanted.items() if axes == kept)
        rest = {i: axes for i, axes in wanted.items() if axes != kept}
        steps = []
        while rest:
            gain = {
                axis: sum(1 for axes in rest.values() if axis not in axes) * log(1 + shape[axis])
                for axis in kept
            }
            axis = max(sorted(gain), key=gain.__getitem__)
            served = {i: axes for i, axes in rest.items() if axis not in axes}
            rest = {i: axes for i, axes in rest.items() if axis in axes}
            steps.append((axis, cls._plan(shape, kept - {axis}, served)))
        return cls(here, tuple(steps))


def blocks(shape: Sequence[int]) -> Iterator[Block]:
    """Yields slices of the leading axes that cut a C-ordered table into pieces of about `_BLOCK_CELLS` cells."""
    below = prod(shape)
    for axis, size in enumerate(shape):
        below //= max(size, 1)
        if below <= _BLOCK_CELLS:
            step = max(1, _BLOCK_CELLS // max(below, 1))
            for outer in np.ndindex(*shape[:axis]):
                leading = tuple(slice(i, i + 1) for i in outer)
                for start in range(0, size, step):
                    yield (*leading, slice(start, min(start + step, size)))
            return
    yield ()


def part(table: Table, block: Block) -> Table:
    """Returns the block's view of a table whose axes may have length 1."""
    return table[tuple(b if n > 1 else slice(None) for b, n in zip(block, table.shape, strict=False))]


def gather(
    plan: SumOut, tables: Sequence[Table], combine: Callable[..., Table], shape: Sequence[int]
) -> list[Table]:
    """Returns few tables, each lacking an axis or none, whose combination is that of all the small ones.

    Args:
        tables: of the plan's targets, axes that they lack of length 1.
        combine: np.multiply, np.add.
        shape: of what is left of the large table here.
    """
    found = [tables[i] for i in plan.targets]
    for axis, after in plan.steps:
        left = tuple(1 if a == axis else n for a, n in enumerate(shape))
        found.append(combined(gather(after, tables, combine, left), combine, left))
    return found


def combined(tables: Sequence[Table], combine: Callable[..., Table], shape: Sequence[int]) -> Table:
    """Combines tables that broadcast to `shape`; one alone is returned as it is."""
    if len(tables) == 1:
        return tables[0]
    result = np.empty(shape)
    for block in blocks(shape):
        view = part(result, block)
        combine_block(tables, block, combine, view)
    return result


def combine_block(tables: Sequence[Table], block: Block, combine: Callable[..., Table], out: Table) -> None:
    """Writes the block of the combination of `tables` into `out`."""
    if not tables:
        out[...] = combine.identity  # type: ignore[attr-defined]
    elif len(tables) == 1:
        out[...] = part(tables[0], block)
    else:
        combine(part(tables[0], block), part(tables[1], block), out=out)
        for table in tables[2:]:
            combine(out, part(table, block), out=out)


class Sums:
    """The small tables of a plan, filled block by block.

    Args:
        plan: which sums.
        shape: of the large table.
    """

    def __init__(self, plan: SumOut, shape: Sequence[int]) -> None:
        self._plan = plan
        self._own = np.empty(shape) if plan.targets else None
        self._steps = [
            np.zeros([1 if a == axis else n for a, n in enumerate(shape)]) for axis, _ in plan.steps
        ]

    def add(self, block: Block, values: Table) -> None:
        """Takes in one block of the large table."""
        if self._own is not None:
            part(self._own, block)[...] = values
        for (axis, _), table in zip(self._plan.steps, self._steps, strict=True):
            view = part(table, block)
            if axis >= len(block):
                np.add.reduce(values, axis=axis, keepdims=True, out=view)
            else:
                view += np.add.reduce(values, axis=axis, keepdims=True)

    def result(self, count: int) -> list[Table]:
        """Returns the small tables, by the plan's indices."""
        found: list[Table] = [np.empty(0)] * count
        for i in self._plan.targets:
            if self._own is not None:
                found[i] = self._own
        for (_, after), table in zip(self._plan.steps, self._steps, strict=True):
            sum_out(after, table, found)
        return found


def sum_out(plan: SumOut, table: Table, found: list[Table]) -> None:
    """Writes the small tables of a plan into `found`, for a large table that fits the cache."""
    for i in plan.targets:
        found[i] = table
    for axis, after in plan.steps:
        sum_out(after, np.add.reduce(table, axis=axis, keepdims=True), found)
