"""How close the synthetic table came: what bounding changed, and what noise and model changed, apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from spark_dp.evaluation.columns import compare_column
from spark_dp.evaluation.marginals import Marginal
from spark_dp.evaluation.results import (
    CellComparison,
    CliqueComparison,
    ColumnComparison,
    Distances,
    OfTables,
    Statistic,
)
from spark_dp.schema.describe import labels_at
from spark_dp.schema.domain import Clique
from spark_dp.schema.table import TableSchema

WORST_TRIPLES = 50
WORST_CELLS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What comparing marginals found: the parts of an `Evaluation` that come from them."""

    mean: Mapping[int, Distances]
    cliques: tuple[CliqueComparison, ...]
    columns: tuple[ColumnComparison, ...]
    worst_cells: tuple[CellComparison, ...]


@dataclass(frozen=True, slots=True)
class _Cell:
    clique: Clique
    codes: tuple[int, ...]
    shares: OfTables

    @property
    def difference(self) -> float:
        return abs(self.shares.bounded - self.shares.synthetic)


def compare_marginals(
    schema: TableSchema,
    marginals: Iterable[Marginal],
    numbers: Mapping[str, Mapping[str, Statistic]],
) -> Comparison:
    """Compares marginals one at a time, so that memory holds few of them at once.

    Args:
        schema: declared.
        marginals: of the three tables, each clique once.
        numbers: the statistics of each column of numbers.
    """
    cliques: list[CliqueComparison] = []
    cells: list[_Cell] = []
    single: dict[str, Marginal] = {}
    for marginal in marginals:
        cliques.append(CliqueComparison(columns=marginal.clique, distances=marginal.distances()))
        if len(marginal.clique) == 1:
            single[marginal.clique[0]] = marginal
        cells = sorted([*cells, *_worst_cells(marginal)], key=lambda c: -c.difference)[:WORST_CELLS]
    cliques.sort(key=lambda c: (len(c.columns), -c.distances.bounded_to_synthetic))
    by_degree = {degree: list(found) for degree, found in groupby(cliques, lambda c: len(c.columns))}
    return Comparison(
        mean={degree: _mean([c.distances for c in found]) for degree, found in by_degree.items()},
        cliques=tuple(
            clique
            for degree, found in by_degree.items()
            for clique in (found[:WORST_TRIPLES] if degree == 3 else found)
        ),
        columns=tuple(compare_column(c, single.get(c.name), numbers.get(c.name)) for c in schema.columns),
        worst_cells=tuple(_labelled(schema, cell) for cell in cells),
    )


def _mean(found: list[Distances]) -> Distances:
    return Distances(
        raw_to_bounded=float(np.mean([d.raw_to_bounded for d in found])),
        bounded_to_synthetic=float(np.mean([d.bounded_to_synthetic for d in found])),
        raw_to_synthetic=float(np.mean([d.raw_to_synthetic for d in found])),
    )


def _worst_cells(marginal: Marginal) -> list[_Cell]:
    """Returns the worst cells of a marginal; the first ones of those that are equally bad."""
    difference = np.abs(marginal.bounded - marginal.synthetic).ravel()
    most = min(WORST_CELLS, len(difference))
    least = np.partition(difference, len(difference) - most)[len(difference) - most]
    worst = np.flatnonzero((difference >= least) & (difference > 0))
    worst = worst[np.argsort(-difference[worst], kind="stable")][:most]
    shape = marginal.raw.shape
    return [
        _Cell(
            marginal.clique, tuple(int(code) for code in np.unravel_index(index, shape)), marginal.cell(index)
        )
        for index in worst.tolist()
    ]


def _labelled(schema: TableSchema, cell: _Cell) -> CellComparison:
    labels = [labels_at(schema.column(a), [code])[0] for a, code in zip(cell.clique, cell.codes, strict=True)]
    return CellComparison(columns=cell.clique, cell=tuple(labels), shares=cell.shares)
