"""Counting the cells of many marginals over blocks of codes, in numpy alone.

Counting m marginals one by one costs m passes over the block. Most of them fit together into a few larger
ones (six pairs of four small attributes are margins of one 4-way marginal), so the block is counted into those,
and what was asked is summed out of them at the end. Sums of integers are exact in any order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_dp.schema.domain import Clique, Domain

BLOCK_ROWS = 1 << 16
"""Rows counted at a time: indices of a block and one histogram stay in a core's cache."""

COVER_CELLS = 1 << 14
"""Cells up to which marginals are merged into a larger one: 128 KiB of int64."""


@dataclass(frozen=True, slots=True)
class CountingLayout:
    """Which marginals are counted (`counted`), and which are handed on (`kept`), in a fixed order.

    Attributes:
        kept: the maximal ones of the cliques asked for, in the domain's order.
        counted: supersets of these that are counted row by row.
        source: for each of `kept`, the index in `counted` it is summed out of.
    """

    domain: Domain
    kept: tuple[Clique, ...]
    counted: tuple[Clique, ...]
    source: tuple[int, ...]

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes whose codes are needed, in the domain's order."""
        used = {a for clique in self.counted for a in clique}
        return tuple(a for a in self.domain.attributes if a in used)

    @property
    def offsets(self) -> tuple[int, ...]:
        """Where each of `kept` starts in the flat vector, and the vector's length at the end."""
        return tuple(np.cumsum([0, *(self.domain.cells(c) for c in self.kept)], dtype=np.int64).tolist())

    @property
    def vector_cells(self) -> int:
        return sum(self.domain.cells(c) for c in self.kept)

    @property
    def task_cells(self) -> int:
        """Cells a task holds while it counts: its histograms and the vector it hands on."""
        return self.vector_cells + sum(self.domain.cells(c) for c in self.counted)


def maximal(cliques: Sequence[Clique], domain: Domain) -> tuple[Clique, ...]:
    """Returns the cliques that no other one contains, each in the domain's order, without repeats."""
    ordered = sorted({domain.canonical(c) for c in cliques}, key=lambda c: (-len(c), c))
    found: list[Clique] = []
    holders: dict[str, set[int]] = {}
    for clique in ordered:
        containing = (
            set.intersection(*(holders.get(a, set()) for a in clique)) if clique else set(range(len(found)))
        )
        if not containing:
            for a in clique:
                holders.setdefault(a, set()).add(len(found))
            found.append(clique)
    return tuple(found)


def counting_layout(
    cliques: Sequence[Clique], domain: Domain, cover_cells: int = COVER_CELLS
) -> CountingLayout:
    """Covers the cliques greedily by few supersets of at most `cover_cells` cells.

    A superset grows from the largest clique not yet covered, each time by the attribute that covers most
    of what is left. A clique that is itself larger than `cover_cells` is counted as it is.
    """
    kept = maximal(cliques, domain)
    left = _Uncovered(kept, domain)
    source = [0] * len(kept)
    counted: list[Clique] = []
    by_size = sorted(range(len(kept)), key=lambda i: (-domain.cells(kept[i]), i))
    for start in by_size:
        if not left.has(start):
            continue
        grown = _grow(kept[start], left, domain, cover_cells)
        for i in left.cover(grown):
            source[i] = len(counted)
        counted.append(tuple(a for i, a in enumerate(domain.attributes) if grown[i]))
    return CountingLayout(domain, kept, tuple(counted), tuple(source))


def _grow(seed: Clique, left: _Uncovered, domain: Domain, limit: int) -> NDArray[np.bool_]:
    sizes = np.array(domain.sizes, np.int64)
    grown = np.array([a in seed for a in domain.attributes], np.bool_)
    cells = domain.cells(seed)
    while True:
        gain = left.gains(grown) / sizes**0.25
        gain[grown | (sizes > limit // cells)] = 0
        best = int(np.argmax(gain))
        if not gain[best]:
            return grown
        grown[best] = True
        cells *= int(sizes[best])


class _Uncovered:
    """The cliques that are not covered yet; sets of attributes are flags by position."""

    def __init__(self, cliques: Sequence[Clique], domain: Domain) -> None:
        places = {a: i for i, a in enumerate(domain.attributes)}
        longest = max((len(c) for c in cliques), default=0)
        # One row a clique; what it has fewer attributes than the longest is filled up with one that is always there.
        self._filler = len(domain)
        rows = [[*(places[a] for a in c), *[self._filler] * (longest - len(c))] for c in cliques]
        self._members = np.array(rows, np.intp).reshape(len(cliques), longest)
        self._numbers = np.arange(len(cliques))

    def has(self, clique: int) -> bool:
        place = int(np.searchsorted(self._numbers, clique))
        return place < len(self._numbers) and int(self._numbers[place]) == clique

    def gains(self, grown: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Returns for each attribute how many cliques lack that one only to lie within `grown`."""
        lacking = self._lacking(grown)
        one = lacking.sum(axis=1) == 1
        return np.bincount(self._members[one][lacking[one]], minlength=self._filler)

    def cover(self, grown: NDArray[np.bool_]) -> list[int]:
        """Takes the cliques within `grown` away, and returns their numbers."""
        within = ~self._lacking(grown).any(axis=1)
        covered: list[int] = self._numbers[within].tolist()
        self._members, self._numbers = self._members[~within], self._numbers[~within]
        return covered

    def _lacking(self, grown: NDArray[np.bool_]) -> NDArray[np.bool_]:
        lacking: NDArray[np.bool_] = ~np.append(grown, True)[self._members]
        return lacking


class HistogramAccumulator:
    """Adds blocks of codes to the histograms of a layout.

    The sums are exact and therefore SENSITIVE.

    Exactness: `np.bincount(weights=)` adds doubles; a block's total weight is at most 2^16 rows times 2^31,
    below 2^53, where every partial sum of integers is exact. Blocks are then added in int64.
    """

    def __init__(self, layout: CountingLayout) -> None:
        self._layout = layout
        self._histograms = [np.zeros(layout.domain.cells(c), np.int64) for c in layout.counted]
        self._buffer = np.empty(BLOCK_ROWS, np.intp)

    def add(
        self,
        codes: Mapping[str, NDArray[np.integer]],
        rows: int,
        weights: NDArray[np.int64] | None = None,
    ) -> None:
        """Counts rows whose attribute a has the code `codes[a][i]` in [0, domain size of a).

        Args:
            codes: for each of the layout's attributes an integer array of shape (rows,).
            rows: how many rows there are.
            weights: fixed-point weights of shape (rows,), each in [0, 2^31); None counts each row as 1.
        """
        for start in range(0, rows, BLOCK_ROWS):
            stop = min(rows, start + BLOCK_ROWS)
            block = {a: c[start:stop] for a, c in codes.items()}
            heavy = None if weights is None else weights[start:stop].astype(np.float64)
            for clique, histogram in zip(self._layout.counted, self._histograms, strict=True):
                index = self._cells(clique, block, stop - start)
                found = np.bincount(index, weights=heavy, minlength=len(histogram))
                histogram += found if heavy is None else found.astype(np.int64)

    def _cells(self, clique: Clique, block: Mapping[str, NDArray[np.integer]], rows: int) -> NDArray[np.intp]:
        index = self._buffer[:rows]
        if not clique:
            index[:] = 0
            return index
        index[:] = block[clique[0]]
        for a in clique[1:]:
            np.multiply(index, self._layout.domain.size(a), out=index)
            np.add(index, block[a], out=index, casting="unsafe")
        return index

    def vector(self) -> NDArray[np.int64]:
        """Returns the histograms of `kept` one behind the other, shape (layout.vector_cells,)."""
        parts = []
        for clique, origin in zip(self._layout.kept, self._layout.source, strict=True):
            counted = self._layout.counted[origin]
            full = self._histograms[origin].reshape(self._layout.domain.shape(counted))
            parts.append(margin(full, counted, clique).ravel())
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def margin(counts: NDArray[np.int64], have: Clique, want: Clique) -> NDArray[np.int64]:
    """Sums out of `counts` (axes `have`) every attribute that `want` does not name; axes in `want`'s order."""
    kept = [a for a in have if a in want]
    summed = counts.sum(axis=tuple(i for i, a in enumerate(have) if a not in want), dtype=np.int64)
    # Not ascontiguousarray, which gives the margin () an axis.
    return np.asarray(np.transpose(summed, [kept.index(a) for a in want]), order="C")


def split_vector(
    vector: NDArray[np.int64], layout: CountingLayout, cliques: Sequence[Clique]
) -> dict[Clique, NDArray[np.int64]]:
    """Returns the marginal of each clique asked for, out of a sum of `HistogramAccumulator.vector`s.

    What the layout does not hold is left out.
    """
    offsets = layout.offsets
    answers: dict[Clique, NDArray[np.int64]] = {}
    for clique, home in homes(layout, cliques).items():
        have = layout.kept[home]
        flat = vector[offsets[home] : offsets[home + 1]]
        answers[clique] = margin(flat.reshape(layout.domain.shape(have)), have, clique)
    return answers


def homes(layout: CountingLayout, cliques: Sequence[Clique]) -> dict[Clique, int]:
    """Returns for each clique the first of `layout.kept` that it can be summed out of; what lies in none is left out."""
    holders: dict[str, set[int]] = {}
    for i, have in enumerate(layout.kept):
        for a in have:
            holders.setdefault(a, set()).add(i)
    found: dict[Clique, int] = {}
    for clique in cliques:
        holding = set.intersection(*(holders.get(a, set()) for a in clique)) if clique else {0}
        if holding and layout.kept:
            found[clique] = min(holding)
    return found
