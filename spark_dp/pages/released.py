"""The page of a release: the promise, what was asked, and noisy distributions beside the model's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spark_dp.graphical.model import GraphicalModel
from spark_dp.graphical.pooling import pool
from spark_dp.graphical.uncertainty import half_width
from spark_dp.mechanisms.schedules import schedule_of
from spark_dp.pages.charts import Chart, Series, chart_of
from spark_dp.pages.matrix import Matrix, matrix_of
from spark_dp.pages.template import render
from spark_dp.pages.text import rows
from spark_dp.privacy.budget import PrivacyBudget
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.measurement import Measurement
from spark_dp.privacy.sensitivity import Contribution, Neighbours
from spark_dp.privacy.stated import at_least, declared
from spark_dp.schema.columns import Column
from spark_dp.schema.domain import Clique
from spark_dp.schema.table import TableSchema

CONFIDENCE = 0.95
"""Of the interval around each noisy count of a column."""

MOST_IN_MATRIX = 24
"""Columns up to which the dependence of all pairs is shown: each pair takes inference in the model."""

LARGEST_PAIR = 1_000_000
"""Cells of a pair whose dependence is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryView:
    """What was asked under one name.

    Attributes:
        share: of the run's rho, in the accounting of its account.
        stddevs: the least and the greatest noise in rows.
    """

    name: str
    marginals: int
    cells: int
    stddevs: tuple[float, float]
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationView:
    """Columns that were measured together.

    Attributes:
        dependence: total variation between the model and the same columns made independent.
        misfit: root mean square of (noisy - model) / noise; about 1 where they agree but for the noise.
    """

    columns: Clique
    cells: int
    stddev: float
    dependence: float
    misfit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnView:
    """A column of the page.

    Attributes:
        stddev: of the noise in each cell, in rows; None where nothing was asked about the column.
    """

    name: str
    type: str
    cells: int
    stddev: float | None
    notes: tuple[str, ...]
    chart: Chart


def released_page(
    *,
    statement: Mapping[str, Any],
    measurements: Sequence[Measurement],
    schema: TableSchema,
    fitted: Mapping[str, Any],
    model: GraphicalModel,
    manifest: Mapping[str, Any],
) -> str:
    """Returns the report of a release as one HTML page that loads nothing from elsewhere.

    Guarantees: post-processing of released artefacts; it may be published with them. The same artefacts give
    the same bytes.

    Args:
        statement: the promise that the measurements were made under.
        measurements: noisy.
        schema: as declared.
        fitted: how the fit went, as in `fit.json`.
        model: fitted to the measurements.
        manifest: of the output; empty where there is none.
    """
    relations = _relations(measurements, model)
    queries = _queries(statement, measurements)
    return render(
        "released.html",
        statement=statement,
        factor=_times(float(statement["epsilon"])),
        others=_others(statement),
        per_row=statement["unit"] == "row",
        replaces=statement["neighbours"] == Neighbours.REPLACE.value,
        queries=queries,
        rest=max(0.0, 1.0 - sum(query.share for query in queries)),
        relations=relations,
        matrix=_matrix(schema, model, relations),
        fitted=fitted,
        gap=at_least(fitted["gap"], 3),
        manifest=manifest,
        rules=schema.rules(),
        columns=[_column(column, measurements, model) for column in schema.columns],
    )


def _others(statement: Mapping[str, Any]) -> list[str]:
    """Returns what the release promises at other deltas."""
    promises = statement.get("accounting", {}).get("promises", [])
    return [
        f"ε = {at_least(p['epsilon'], 4)} at δ = {declared(p['delta'])}"
        for p in promises
        if p["delta"] != statement["delta"]
    ]


def _times(epsilon: float) -> str:
    """Returns e^epsilon as words say it, rounded up: a promise is not made stronger than it is."""
    if epsilon > 20:
        return f"e^{declared(epsilon)}"
    exact = math.exp(epsilon)
    digits = max(0, 2 - math.floor(math.log10(exact)))
    return f"{math.ceil(exact * 10**digits) / 10**digits:,.{digits}f}"


def _queries(statement: Mapping[str, Any], measurements: Sequence[Measurement]) -> list[QueryView]:
    thresholds = sum((Fraction(step.get("delta", 0)) for step in statement.get("learned", [])), Fraction(0))
    budget = PrivacyBudget(
        epsilon=statement["epsilon"], delta=statement["delta"], allow_large_delta=True, thresholds=thresholds
    )
    accounting = Accounting(statement.get("accounting", {}).get("name", Accounting.ZCDP))
    reserved = budget.rho_in(accounting)
    views = []
    for name in dict.fromkeys(m.query for m in measurements):
        group = [m for m in measurements if m.query == name]
        rho = sum(_contribution(statement, m).marginals_l2_squared(1) / (2 * m.sigma_squared) for m in group)
        stddevs = [m.stddev for m in group]
        views.append(
            QueryView(
                name=name,
                marginals=len(group),
                cells=sum(m.noisy.size for m in group),
                stddevs=(min(stddevs), max(stddevs)),
                share=float(rho / reserved),
            )
        )
    return views


def _contribution(statement: Mapping[str, Any], measured: Measurement) -> Contribution:
    return Contribution(
        max_rows=statement["max_rows_per_unit"],
        unit=measured.unit,
        neighbours=Neighbours(statement["neighbours"]),
    )


def _relations(measurements: Sequence[Measurement], model: GraphicalModel) -> list[RelationView]:
    views = []
    for measured in measurements:
        if len(measured.clique) < 2:
            continue
        expected = model.marginal(measured.clique)
        misfit = (measured.values - expected) / measured.stddev
        views.append(
            RelationView(
                columns=measured.clique,
                cells=measured.noisy.size,
                stddev=measured.stddev,
                dependence=_dependence(expected),
                misfit=float(np.sqrt(np.mean(misfit**2))),
            )
        )
    return sorted(views, key=lambda view: -view.dependence)


def _dependence(table: NDArray[np.float64]) -> float:
    """Total variation between a table and the product of its one-way margins, in [0, 1]."""
    total = table.sum()
    if total <= 0:
        return 0.0
    shares = table / total
    independent = np.ones(())
    for axis in range(shares.ndim):
        others = tuple(a for a in range(shares.ndim) if a != axis)
        independent = np.multiply.outer(independent, shares.sum(axis=others))
    return float(np.abs(shares - independent).sum() / 2)


def _matrix(schema: TableSchema, model: GraphicalModel, relations: Sequence[RelationView]) -> Matrix | None:
    names, sizes = schema.names, dict(zip(schema.names, schema.domain.sizes, strict=True))
    if not 2 <= len(names) <= MOST_IN_MATRIX:
        return None
    pairs = {
        frozenset((a, b)): _dependence(model.marginal((a, b)))
        for i, b in enumerate(names)
        for a in names[:i]
        if sizes[a] * sizes[b] <= LARGEST_PAIR
    }
    return matrix_of(names, pairs, framed=frozenset(frozenset(relation.columns) for relation in relations))


def _column(column: Column, measurements: Sequence[Measurement], model: GraphicalModel) -> ColumnView:
    noisy = pool(model.domain, measurements, (column.name,), schedule_of(measurements))
    expected = Series(
        name="synthetic (the model)", kind="mark" if noisy else "bar", values=model.marginal((column.name,))
    )
    measured = noisy and Series(
        name="noisy count, with its 95 % interval",
        kind="bar",
        values=noisy.values,
        half=half_width(noisy, 1 - CONFIDENCE),
    )
    is_scale = not (column.type.is_text or column.type.name == "boolean")
    return ColumnView(
        name=column.name,
        type=str(column.type),
        cells=column.size,
        stddev=noisy.stddev if noisy else None,
        notes=tuple(note.removeprefix(f"Column {column.name!r}: ") for note in column.notes()),
        chart=chart_of(
            column.cell_labels(),
            (measured, expected) if measured else (expected,),
            in_order=column.declared if is_scale else 0,
            write=rows,
            write_tick=rows,
        ),
    )
