"""Counting every marginal in one pass over the bounded rows, or in a few where memory asks for it (`pass_plan`).

    bounded rows ──▶ one vector of counts a task ──▶ a few sums of vectors ──▶ one vector, driver memory only

What travels grows with tasks times cells and not with rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from spark_dp.errors import ContributionExceededError, InternalError
from spark_dp.schema.domain import Clique, Domain
from spark_dp.spark.bounding import MARK, MARK_PRIME, WEIGHT, BoundTotals
from spark_dp.spark.encode import Codes
from spark_dp.spark.failures import told_without_values
from spark_dp.spark.histograms import (
    CountingLayout,
    HistogramAccumulator,
    counting_layout,
    homes,
    split_vector,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

PIECE_CELLS = 1 << 20
"""Cells of a vector that travel in one row: 8 MiB."""

MOST_SUMS = 8
SUMMED_BYTES = 1 << 28
"""The driver receives at most 8 vectors, and fewer where they would take more than 256 MiB."""

_NEIGHBOURS = 2
"""Planned passes that a question about neighbouring marginals may touch; what touches more was chosen here and there."""

PARTIAL = "slot int, piece int, cells binary, rows bigint, weight bigint, mark bigint"
_FIELDS = pa.schema(
    [
        ("slot", pa.int32()),
        ("piece", pa.int32()),
        ("cells", pa.binary()),
        ("rows", pa.int64()),
        ("weight", pa.int64()),
        ("mark", pa.int64()),
    ]
)


class CodesReader(Protocol):
    """Reads codes out of batches (`encode.RowReader`, `encode.CodeReader`)."""

    def batches(
        self, batches: Iterator[pa.RecordBatch], attributes: Sequence[str]
    ) -> Iterator[tuple[pa.RecordBatch, Codes, NDArray[np.bool_] | None]]: ...


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """One pass's sums. Exact and therefore SENSITIVE."""

    vector: NDArray[np.int64]
    rows: int
    weight: int
    mark: int


def count_rows_of(rows: DataFrame, reader: CodesReader, layout: CountingLayout) -> Counted:
    """Counts the layout's marginals over the frame, in one pass.

    Args:
        rows: what `reader` reads, and the columns WEIGHT and MARK where rows are weighted.
        reader: gives the codes of a batch.
        layout: what to count.

    Returns:
        The flat vector of `layout.kept`, int64, and the sums that the bound is checked with.
    """
    weighted = WEIGHT in rows.columns
    slots = sums_of(layout)

    def count_task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import TaskContext

        counted = _count_batches(batches, reader, layout, weighted)
        context: Any = TaskContext.get()
        # Which sum a task's vector goes into does not change the sum of the sums.
        yield from pieces(counted, slot=int(context.partitionId()) % slots)

    partial = rows.mapInArrow(count_task, PARTIAL)
    return sum_vectors(partial, layout.vector_cells, slots)


def sums_of(layout: CountingLayout) -> int:
    """Returns how many sums of vectors the driver receives."""
    return max(1, min(MOST_SUMS, SUMMED_BYTES // (8 * max(1, layout.vector_cells))))


def sum_vectors(partial: DataFrame, cells: int, slots: int, tasks: int | None = None) -> Counted:
    """Adds the tasks' vectors up in two steps: on executors into `slots` of them, and these on the driver.

    Where there are known to be no more `tasks` than that, the driver adds theirs up itself.
    """

    def sum_task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        total = _Sum(cells)
        for batch in batches:
            for row in batch.to_pylist():
                total.add(row)
        yield from pieces(total.counted(), slot=0)

    total = _Sum(cells)
    if tasks is None or tasks > slots:
        partial = partial.repartition(slots, "slot").mapInArrow(sum_task, PARTIAL)
    with told_without_values("counting the marginals"):
        for row in partial.collect():
            total.add(row.asDict())
    return total.counted()


def _count_batches(
    batches: Iterator[pa.RecordBatch], reader: CodesReader, layout: CountingLayout, weighted: bool
) -> Counted:
    histograms = HistogramAccumulator(layout)
    rows, weight, mark = 0, 0, 0
    for batch, codes, kept in reader.batches(batches, layout.attributes):
        rows += batch.num_rows
        weights = batch.column(WEIGHT).to_numpy(zero_copy_only=False) if weighted else None
        if weights is not None:
            weight += int(weights.sum())
            mark += int(batch.column(MARK).to_numpy(zero_copy_only=False).sum())
        else:
            weight += batch.num_rows
        counted = batch.num_rows
        if kept is not None:
            counted = int(np.count_nonzero(kept))
            codes = {a: c[kept] for a, c in codes.items()}
            weights = None if weights is None else weights[kept]
        histograms.add(codes, counted, weights)
    return Counted(histograms.vector(), rows, weight, mark % MARK_PRIME)


def pieces(counted: Counted, *, slot: int) -> Iterator[pa.RecordBatch]:
    """Cuts a vector into rows of at most PIECE_CELLS cells, the sums with the first."""
    for piece, start in enumerate(range(0, max(1, len(counted.vector)), PIECE_CELLS)):
        first = piece == 0
        row = {
            "slot": slot,
            "piece": piece,
            "cells": counted.vector[start : start + PIECE_CELLS].tobytes(),
            "rows": counted.rows if first else 0,
            "weight": counted.weight if first else 0,
            "mark": counted.mark if first else 0,
        }
        yield pa.RecordBatch.from_pylist([row], schema=_FIELDS)


class _Sum:
    """Adds rows of pieces into one vector; sums of counts stay below 2^62 (`bounding.MOST_ROWS`)."""

    def __init__(self, cells: int) -> None:
        self._vector = np.zeros(cells, np.int64)
        self._rows = self._weight = self._mark = 0

    def add(self, row: Mapping[str, Any]) -> None:
        start = row["piece"] * PIECE_CELLS
        piece = np.frombuffer(row["cells"], np.int64)
        self._vector[start : start + len(piece)] += piece
        self._rows += row["rows"]
        self._weight += row["weight"]
        self._mark = (self._mark + row["mark"]) % MARK_PRIME

    def counted(self) -> Counted:
        return Counted(self._vector, self._rows, self._weight, self._mark)


@dataclass(frozen=True, slots=True, eq=False)
class MarginalPass:
    """One way to run a counting pass over the input, and what it must find.

    Attributes:
        run: counts a layout (`count_rows_of` on the bounded frame, or a direct pass over its files).
        totals: what it must find; None where the unit is the row, which needs no bounding.
        unchanged: raises when the input is not what it was.
        heaviest: what a unit weighs in it at most, in fixed point; None where nothing bounds it.
    """

    run: Callable[[CountingLayout], Counted]
    totals: BoundTotals | None
    unchanged: Callable[[], None]
    heaviest: int | None = None


class SparkMarginals:
    """The exact marginals of a bounded table, counted by Spark. Its only reader is the curator.

    The first question counts everything in `countable` in one pass, or, where that does not fit, the planned pass that
    holds what was asked: as many passes' counts are kept as `held_cells` allows, the latest ones. What was not
    planned, or lies in several passes that are kept no more, is counted on demand, by itself.
    The counts stay in this process's memory and are in no file, log, plan text or message. Where every answer
    is replayed, nothing is counted at all.

    Args:
        domain: declared.
        countable: what a mechanism may ask for.
        prepare: bounds the table when it is first needed, once for all passes.
        passes: the planned passes over the table; one for all of `countable` where None.
        held_cells: the most cells of counts that are kept beside those of the latest pass; None keeps all.
        weight: what noise is made for, `Contribution.weight`: a table in which a unit may weigh more is refused, which is
            checked by what was asked of bounding and not by the rows. None where no noise follows.
    """

    def __init__(
        self,
        domain: Domain,
        countable: Sequence[Clique],
        prepare: Callable[[], MarginalPass],
        *,
        passes: Sequence[CountingLayout] | None = None,
        held_cells: int | None = None,
        weight: int | None = None,
    ) -> None:
        self._domain = domain
        self._countable = tuple(countable)
        self._prepare = prepare
        self._passes = None if passes is None else tuple(passes)
        self._held_cells = held_cells
        self._weight = weight
        self._table: MarginalPass | None = None
        self._vectors: list[tuple[CountingLayout, NDArray[np.int64]]] = []

    def __repr__(self) -> str:
        return f"{type(self).__name__}(<exact counts withheld>)"

    def count(self, cliques: Sequence[Clique]) -> Mapping[Clique, NDArray[np.int64]]:
        """Returns each clique's exact marginal in fixed point, int64, empty cells included. SENSITIVE.

        Raises:
            ContributionExceededError: the pass found other weights than the units' row counts allow.
            InputChangedError: the input changed since the start of the run.
            InternalError: a unit was bounded to more than noise is made for. No marginal was counted.
        """
        answers: dict[Clique, NDArray[np.int64]] = {}
        self._answer(cliques, answers)
        while missing := [clique for clique in cliques if clique not in answers]:
            self._keep(self._next_pass(missing))
            self._answer(missing, answers)
        return answers

    def _answer(self, cliques: Sequence[Clique], answers: dict[Clique, NDArray[np.int64]]) -> None:
        """Takes what is kept of the cliques out of it."""
        for layout, vector in self._vectors:
            answers.update(split_vector(vector, layout, [c for c in cliques if c not in answers]))

    def _next_pass(self, missing: Sequence[Clique]) -> CountingLayout:
        """Returns what to count next: the planned pass of the first that is missing, unless a pass for all that is missing
        alone would do: marginals that were chosen here and there among many passes.
        """
        if self._passes is None:
            self._passes = (counting_layout(self._countable, self._domain),)
        planned: dict[Clique, CountingLayout | None] = dict.fromkeys(missing)
        for layout in reversed(self._passes):
            planned |= dict.fromkeys(homes(layout, missing), layout)
        first = planned[missing[0]]
        if first is not None and len({id(found) for found in planned.values()}) <= _NEIGHBOURS:
            return first
        alone = counting_layout(missing, self._domain)
        if first is None or alone.vector_cells <= max(x.vector_cells for x in self._passes):
            return alone
        return first

    def _keep(self, layout: CountingLayout) -> None:
        """Counts a layout; drops the oldest counts first where there would be too many."""
        if self._held_cells is not None:
            while self._vectors and sum(x.vector_cells for x, _ in self._vectors) > self._held_cells:
                del self._vectors[0]
        self._vectors.append(self._run(layout))

    def _bounded(self) -> MarginalPass:
        """Prepares the table, whose units may weigh no more than noise is made for."""
        table = self._prepare()
        if self._weight is not None and (table.heaviest is None or table.heaviest > self._weight):
            bound = "any weight" if table.heaviest is None else f"a weight of {table.heaviest}"
            raise InternalError(
                f"Units were bounded to {bound}, and noise is made for {self._weight}. No marginal was counted "
                "and nothing was drawn."
            )
        return table

    def _run(self, layout: CountingLayout) -> tuple[CountingLayout, NDArray[np.int64]]:
        if self._table is None:
            self._table = self._bounded()
        table = self._table
        counted = table.run(layout)
        table.unchanged()
        totals = table.totals
        if totals is not None and (counted.weight, counted.mark) != (totals.weight, totals.mark):
            raise ContributionExceededError(
                "The counting pass found other weights than the rows of each unit allow: the input or the rows "
                "of the frame changed between two passes. No query was answered from it. Run the same key again; "
                "if it happens again, the input is not stable (a frame with rand() or limit(), a table being written)."
            )
        edges = layout.offsets
        sums = [int(counted.vector[a:b].sum()) for a, b in itertools.pairwise(edges)]
        if any(not 0 <= found <= counted.weight for found in sums):
            raise InternalError(
                "The marginals add up to more than the rows that were read. Nothing was drawn."
            )
        if counted.weight >= 1 << 62:
            raise InternalError(
                "The total weight is 2^62 or more: sums in int64 may overflow. Nothing was drawn."
            )
        return layout, counted.vector
