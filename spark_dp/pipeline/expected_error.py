"""How far the synthetic table's marginals will be from the bounded table's, predicted from the noise alone.

What a marginal of n cells with noise sigma in each is off by is half the sum of n absolute values: rows that stand in
a wrong cell. Divided by the rows there are, that is the total variation distance. Where a cell has few rows, noise that
makes it negative is put right; how much is left is computed as if all cells had as many, the worst case or near it.
The fitted model is nearer than that, for its marginals agree, and one may be measured more than once, so that the
prediction is "at most about"; what a model leaves out (a relation that is not kept) is no noise and not in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, Final

import numpy as np

from spark_dp.graphical.projected_noise import Profile, unprojected_noise
from spark_dp.mechanisms.allocation import size_weight
from spark_dp.mechanisms.protocol import MechanismPlan, PlannedQuery
from spark_dp.pipeline.config import RunConfig
from spark_dp.schema.domain import Clique

GOOD: Final = 0.05
"""The error that a table is asked to be large enough for, where its size is not declared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedRows:
    """About how many rows count, and who says so.

    Attributes:
        rows: declared; None where nothing says.
        source: the setting that says so, or None.
    """

    rows: int | None
    source: str | None

    @classmethod
    def of(cls, config: RunConfig) -> ExpectedRows:
        """Reads it off the configuration: what is expected of the input, else the rows that are asked for."""
        if config.input.expected_rows is not None:
            return cls(rows=config.input.expected_rows, source="input.expected_rows")
        if config.output.rows:
            return cls(rows=config.output.rows, source="output.rows")
        return cls(rows=None, source=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedError:
    """What noise does to one marginal.

    Attributes:
        clique: of the marginal.
        cells: that it has.
        stddev: the noise in each, in rows.
        rows: that are expected in a wrong cell, at most about.
        tvd: the same as a share of all rows, at most 1; None where no size is declared.
        if_kept: whether it holds only if the mechanism chooses to measure the marginal.
    """

    clique: Clique
    cells: int
    stddev: float
    rows: float
    tvd: float | None
    if_kept: bool

    @property
    def good_from(self) -> float:
        """The rows from which on the error is at most `GOOD`."""
        return 0.5 * unprojected_noise(self.cells, self.stddev) / GOOD if self.cells > 1 else 0.0

    def facts(self) -> dict[str, Any]:
        """Returns it JSON-able."""
        return {
            "columns": list(self.clique),
            "cells": self.cells,
            "stddev_rows": self.stddev,
            "wrong_rows": self.rows,
            "tvd": self.tvd,
            "rows_for_5_percent": self.good_from,
            "if_kept": self.if_kept,
        }


def expected_errors(plan: MechanismPlan, expected: ExpectedRows, *, ways: int) -> tuple[ExpectedError, ...]:
    """Predicts the error of each marginal of `ways` columns that the plan may measure, worst first.

    Args:
        plan: of a mechanism.
        expected: about how many rows count.
        ways: 1 for columns, 2 for pairs.

    Returns:
        One prediction a marginal, from the query that measures it with the least noise.
    """
    chosen_from = {clique for query in plan.queries if query.kind != "measure" for clique in query.cliques}
    found: dict[Clique, ExpectedError] = {}
    for query in plan.queries:
        if query.kind != "measure":
            continue
        scales = _scales(plan, query, chosen=bool(chosen_from & set(query.cliques)))
        for clique, stddev in zip(query.cliques, scales, strict=True):
            if len(clique) != ways or (clique in found and found[clique].stddev <= stddev):
                continue
            found[clique] = _error(
                clique, plan.domain.cells(clique), stddev, expected, if_kept=clique in chosen_from
            )
    return tuple(sorted(found.values(), key=lambda error: -error.rows))


def _scales(plan: MechanismPlan, query: PlannedQuery, *, chosen: bool) -> Sequence[float]:
    """Returns the noise of each of a query's marginals.

    Marginals that are still to be chosen get noise by their size (`allot`): 1 / sigma^2 in proportion to a weight. The
    planned noise is that of marginals of equal weight; of which others one will share with is not known, so that
    all candidates stand in for them.
    """
    if not chosen:
        return [query.stddev] * len(query.cliques)
    weights = [size_weight(plan.domain.cells(clique)) for clique in query.cliques]
    mean = sum(weights) / len(weights)
    return [query.stddev * sqrt(mean / weight) for weight in weights]


def _error(
    clique: Clique, cells: int, stddev: float, expected: ExpectedRows, *, if_kept: bool
) -> ExpectedError:
    rows = 0.5 * unprojected_noise(cells, stddev) if cells > 1 else 0.0
    tvd = None
    if expected.rows is not None:
        tvd = _projected(cells, stddev, expected.rows) if cells > 1 else 0.0
        rows = tvd * expected.rows
    return ExpectedError(clique=clique, cells=cells, stddev=stddev, rows=rows, tvd=tvd, if_kept=if_kept)


def _projected(cells: int, stddev: float, rows: int) -> float:
    """Returns the total variation distance that noise leaves after projection, if all cells have as many rows."""
    if rows == 0:
        return 1.0
    even = Profile(rows=np.array([rows / cells]), cells=np.array([float(cells)]))
    return min(1.0, 0.5 * even.noise(stddev) / rows)
