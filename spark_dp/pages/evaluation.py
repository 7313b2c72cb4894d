"""The page of an evaluation: how close the synthetic table came, for the owner of the real one alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spark_dp.evaluation.results import (
    RATES,
    STATISTICS,
    CliqueComparison,
    ColumnComparison,
    Distances,
    Evaluation,
    OfTables,
    Statistic,
)
from spark_dp.pages.charts import Chart, Series, chart_of
from spark_dp.pages.matrix import Matrix, matrix_of
from spark_dp.pages.template import render
from spark_dp.pages.text import round_share, share

MOST_IN_MATRIX = 40
"""Columns in the heat map; of more, those that are in the worst pairs."""

MOST_WORST = 15
"""Marginals of each number of columns that are listed as the worst."""

_UNORDERED = ("string", "boolean")
_IN_WORDS = {1: "single columns", 2: "pairs of columns", 3: "triples of columns"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnView:
    """A column of the page.

    Attributes:
        distances: of the column alone; None where it was too large to be compared.
        chart: None as well where there are no shares.
    """

    name: str
    type: str
    distances: Distances | None
    chart: Chart | None
    rates: Mapping[str, OfTables]
    numbers: Mapping[str, Statistic] | None


def evaluation_page(evaluation: Evaluation, *, dataset: str) -> str:
    """Returns the evaluation as one HTML page that loads nothing from elsewhere.

    NOT PRIVATE: exact facts about the real table, as in the evaluation itself. It belongs in `internal/`.

    Args:
        evaluation: of one run.
        dataset: the account's name, for the title.
    """
    return render(
        "evaluation.html",
        evaluation=evaluation,
        dataset=dataset,
        per_row=evaluation.unit == "row",
        degrees=[(degree, _IN_WORDS.get(degree, f"{degree} columns")) for degree in evaluation.mean],
        matrix=_matrix(evaluation),
        worst=[
            (_IN_WORDS.get(degree, f"{degree} columns"), evaluation.of_degree(degree)[:MOST_WORST])
            for degree in evaluation.mean
            if evaluation.of_degree(degree)
        ],
        columns=_worst_first(evaluation),
        rate_names=RATES,
        statistic_names=STATISTICS,
    )


def _worst_first(evaluation: Evaluation) -> list[ColumnView]:
    found = {clique.columns[0]: clique.distances for clique in evaluation.of_degree(1)}
    views = [_column(column, found.get(column.name)) for column in evaluation.columns]
    return sorted(views, key=lambda v: -v.distances.bounded_to_synthetic if v.distances else 1.0)


def _column(column: ColumnComparison, distances: Distances | None) -> ColumnView:
    ordered = column.type not in _UNORDERED
    return ColumnView(
        name=column.name,
        type=column.type,
        distances=distances,
        chart=chart_of(
            column.labels,
            (
                Series(name="raw", kind="back", values=np.array(column.shares.raw)),
                Series(name="bounded", kind="bar", values=np.array(column.shares.bounded)),
                Series(name="synthetic", kind="mark", values=np.array(column.shares.synthetic)),
            ),
            in_order=len(column.labels) - len(column.rates) if ordered else 0,
            write=share,
            write_tick=round_share,
        )
        if column.labels
        else None,
        rates=column.rates,
        numbers=column.numbers,
    )


def _matrix(evaluation: Evaluation) -> Matrix | None:
    pairs = evaluation.of_degree(2)
    if not pairs:
        return None
    names = [column.name for column in evaluation.columns]
    kept = set(names) if len(names) <= MOST_IN_MATRIX else _in_the_worst(pairs)
    return matrix_of(
        [name for name in names if name in kept],
        {frozenset(pair.columns): pair.distances.bounded_to_synthetic for pair in pairs},
        left_out=len(names) - len(kept),
    )


def _in_the_worst(pairs: tuple[CliqueComparison, ...]) -> set[str]:
    kept: dict[str, None] = {}
    for pair in pairs:
        kept |= dict.fromkeys(pair.columns)
        if len(kept) >= MOST_IN_MATRIX:
            break
    return set(list(kept)[:MOST_IN_MATRIX])
