"""Marginals of a released model: free, for they are post-processing of what was released. No Spark, no ledger."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from spark_dp.errors import ConfigurationError, DomainTooLargeError, InputError, nearest
from spark_dp.files import Folder
from spark_dp.graphical.model import GraphicalModel
from spark_dp.graphical.uncertainty import error_bars
from spark_dp.graphical.unmeasured import Unmeasured
from spark_dp.mechanisms.schedules import schedule_of
from spark_dp.pipeline.artefacts import (
    read_measurements,
    read_schema,
    read_statement,
    require_same_release,
)
from spark_dp.pipeline.error_bars import read_unmeasured
from spark_dp.pipeline.query_bars import AnswerBars
from spark_dp.pipeline.run_directory import Artefact, RunDirectory
from spark_dp.privacy.measurement import Measurement
from spark_dp.schema.codec import encode
from spark_dp.schema.columns import Column
from spark_dp.schema.literals import parse_tick
from spark_dp.schema.table import TableSchema

MOST_CELLS = 1_000_000
"""Cells of one answer."""

MOST_WORK = 50_000_000
"""Cells that are held at once to work an answer out: it, times the widest separator of the model."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ReleasedModel:
    """A model, the labels of its cells, what it was fitted to, and the promise that it was released under.

    Attributes:
        revealed: what choosing said of marginals that were not measured; None where the release does not say.
    """

    model: GraphicalModel
    schema: TableSchema
    statement: dict[str, Any]
    measurements: tuple[Measurement, ...]
    revealed: tuple[Unmeasured, ...] | None

    @classmethod
    def open(cls, place: str) -> ReleasedModel:
        """Opens a run directory (DIRECTORY/KEY), its `released/`, or the model folder in that.

        Raises:
            InputError: there is no model, or not what was committed.
        """
        modelled, measured = _artefacts(place)
        return cls(
            model=GraphicalModel.from_bytes(modelled.files["model.npz"]),
            schema=read_schema(measured),
            statement=read_statement(measured),
            measurements=read_measurements(measured),
            revealed=read_unmeasured(modelled),
        )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Answer:
    """One marginal of a model, its largest cells first.

    Attributes:
        by: the columns.
        where: conditions, as (column, the label of its cell).
        labels: a tuple for each cell, in the order of `by`.
        rows: estimated rows of each cell; not whole, for they are expectations.
        total: rows that meet the conditions.
        kept: the model holds the relation of all these columns; else it is what their other relations imply.
        statement: the promise that the model was released under.
        bars: how far the answer may be from the bounded table's.
    """

    by: tuple[str, ...]
    where: tuple[tuple[str, str], ...]
    labels: tuple[tuple[str, ...], ...]
    rows: NDArray[np.float64]
    total: float
    kept: bool
    statement: dict[str, Any]
    bars: AnswerBars

    def share(self, cell: int) -> float:
        """Of the rows that meet the conditions."""
        return float(self.rows[cell] / self.total) if self.total > 0 else 0.0

    def facts(self, limit: int | None = None) -> dict[str, Any]:
        """Returns the answer, JSON-able."""
        shown = range(len(self.rows))[:limit]
        return {
            "by": list(self.by),
            "where": dict(self.where),
            "total_rows": self.total,
            "relation_kept": self.kept,
            "cells_in_all": len(self.rows),
            "cells": [
                {
                    "labels": dict(zip(self.by, self.labels[i], strict=True)),
                    "rows": float(self.rows[i]),
                    "share": self.share(i),
                    **self.bars.cell(i),
                }
                for i in shown
            ],
            "error_bars": self.bars.facts(),
            "privacy": self.statement,
        }

    def csv(self, limit: int | None = None) -> str:
        """Returns the answer as CSV: the columns, rows and share, and the interval, which is empty where there is none."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*self.by, "rows", "share", "measured", "low", "high"])
        for i in range(len(self.rows))[:limit]:
            interval = ("" if value is None else repr(value) for value in self.bars.cell(i).values())
            writer.writerow([*self.labels[i], repr(float(self.rows[i])), repr(self.share(i)), *interval])
        return stream.getvalue().rstrip("\n")

    def lines(self, limit: int | None = None) -> Iterator[str]:
        """Shows the answer as a table."""
        shown = range(len(self.rows))[:limit]
        cells = [tuple(map(printable, self.labels[i])) for i in shown]
        widths = [
            max(len(name), *(len(c[k]) for c in cells), 0) for k, name in enumerate(map(printable, self.by))
        ]
        names = "  ".join(f"{printable(n):{w}}" for n, w in zip(self.by, widths, strict=True))
        yield f"{names}  {'rows':>14}  {'share':>7}{self.bars.heading()}"
        for i, labels in zip(shown, cells, strict=True):
            named = "  ".join(f"{label:{w}}" for label, w in zip(labels, widths, strict=True))
            yield f"{named}  {self.rows[i]:14,.0f}  {self.share(i):7.2%}{self.bars.interval(i)}"
        rest = self.rows[len(shown) :]
        if len(rest):
            yield f"… and {len(rest):,} more cells with {rest.sum():,.0f} rows (--limit)"
        yield ""
        which = " where " + ", ".join(f"{c} is {printable(v)}" for c, v in self.where) if self.where else ""
        yield f"Estimated rows of {self.total:,.0f}{which}, from the released model: free, nothing was spent."
        asked = " × ".join(map(printable, dict.fromkeys((*self.by, *(c for c, _ in self.where)))))
        if not self.kept:
            yield f"The model does not hold the relation {asked}: what its other relations leave open is as by chance."
        yield from self.bars.lines()


def marginal(
    released: ReleasedModel, by: Sequence[str], where: Sequence[str] = (), *, confidence: float = 0.95
) -> Answer:
    """Answers how many rows each combination of some columns has.

    Args:
        released: the model.
        by: columns, each once.
        where: conditions `column=value`; the value is a cell's label or a literal of the column.
        confidence: of each interval and bound.

    Raises:
        ConfigurationError: a column or a value is unknown; has the choices. Or the confidence is none.
        DomainTooLargeError: the answer has more than MOST_CELLS cells, or takes more than MOST_WORK to work out.
    """
    schema, model = released.schema, released.model
    names = tuple(_known(schema, name, "--by") for name in by)
    if not names or len(set(names)) != len(names):
        raise ConfigurationError(
            "--by names each column once, and at least one. Nothing was spent.", field="by"
        )
    conditions = [_condition(schema, text) for text in where]
    fixed = dict(conditions)
    if len(fixed) != len(conditions):
        raise ConfigurationError("--where names a column twice. Nothing was spent.", field="where")
    clique = (*names, *(name for name in fixed if name not in names))
    _require_fits(model, clique)
    bars = error_bars(
        model,
        released.measurements,
        clique,
        confidence=confidence,
        schedule=schedule_of(released.measurements),
        revealed=released.revealed or (),
    )

    def part(cells: NDArray[np.float64]) -> NDArray[np.float64]:
        """What meets the conditions: a fixed column that is not asked for goes; one that is keeps its one cell."""
        for axis, name in enumerate(clique):
            if name in fixed:
                cells = cells.take([fixed[name]], axis=axis)
        return cells.reshape(cells.shape[: len(names)])

    table = part(model.marginal(clique))
    labels = [_labels_of(schema.column(name), fixed.get(name)) for name in names]
    rows = table.ravel()
    order = np.argsort(-rows, kind="stable")
    cells = (
        np.stack(np.unravel_index(order, table.shape), axis=1) if len(order) else np.empty((0, len(names)))
    )
    return Answer(
        by=names,
        where=tuple((n, schema.column(n).cell_labels()[code]) for n, code in fixed.items()),
        labels=tuple(tuple(labels[k][int(c)] for k, c in enumerate(cell)) for cell in cells),
        rows=rows[order],
        total=float(rows.sum()),
        kept=any(set(clique) <= set(held) for held in model.cliques),
        statement=released.statement,
        bars=AnswerBars(
            whole=bars,
            measured=None if bars.centre is None else part(bars.centre).ravel()[order],
            low=None if bars.low is None else part(bars.low).ravel()[order],
            high=None if bars.high is None else part(bars.high).ravel()[order],
            choices=released.revealed is not None,
        ),
    )


def printable(text: str) -> str:
    """A declared value may hold a terminal's control characters: they are shown and not obeyed."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _artefacts(place: str) -> tuple[Artefact, Artefact]:
    folder = Folder.open(place)
    above, _, last = folder.path.rpartition("/")
    parent = Folder(folder.filesystem, above or "/", folder.uri)
    for root, name in ((folder, "released/model"), (folder, "model"), (parent, last)):
        directory = RunDirectory(root)
        modelled = directory.find(name)
        if modelled is None:
            continue
        measured = directory.find(f"{name.rpartition('model')[0]}measurements")
        if "model.npz" in modelled.files and measured is not None:
            return require_same_release(modelled, measured), measured
    raise InputError(
        f"{folder.shown!r} holds no released model. Nothing was spent. Give a run directory (run.directory/run.key), its "
        "released/ folder or the model folder beside its measurements, after `spark-dp fit` or `run`.",
        field="model",
    )


def _known(schema: TableSchema, name: str, option: str) -> str:
    if name not in schema.names:
        raise ConfigurationError(
            f"{option} names {name!r}, which the model has not. Choose from: {', '.join(schema.names)}."
            f"{nearest(name, schema.names)} Nothing was spent.",
            field=option.lstrip("-"),
        )
    return name


def _condition(schema: TableSchema, text: str) -> tuple[str, int]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigurationError(
            f"--where {text!r} is no condition. Write --where column=value. Nothing was spent.", field="where"
        )
    column = schema.column(_known(schema, name, "--where"))
    labels = column.cell_labels()
    if value in labels:
        return name, labels.index(value)
    try:
        code = int(encode(column, _array_of(column, value))[0])
    except ConfigurationError:
        code = -1
    if code < 0:
        shown = ", ".join(map(printable, labels[:20])) + (", …" if len(labels) > 20 else "")
        raise ConfigurationError(
            f"--where: {name!r} has no cell for {value!r}. Its cells: {shown}.{nearest(value, labels)} Nothing was spent.",
            field="where",
        )
    return name, code


def _array_of(column: Column, text: str) -> pa.Array:
    """One literal as Arrow holds it."""
    kind = column.type
    tick = parse_tick(kind, text, zone=column.timezone, field="--where")
    if kind.precision is not None:
        return pa.array([Decimal(int(tick)).scaleb(-(kind.scale or 0))], kind.arrow_type)
    if kind.name == "date":
        return pa.array([int(tick)], pa.int32()).cast(kind.arrow_type)
    if kind.is_timestamp:
        return pa.array([int(tick)], pa.int64()).cast(kind.arrow_type)
    return pa.array([bool(tick) if kind.name == "boolean" else tick], kind.arrow_type)


def _labels_of(column: Column, code: int | None) -> tuple[str, ...]:
    labels = column.cell_labels()
    return labels if code is None else (labels[code],)


def _require_fits(model: GraphicalModel, clique: Sequence[str]) -> None:
    domain, wanted = model.domain, set(clique)
    cells = domain.cells(clique)
    widest = max((math.prod(domain.shape(set(s) - wanted)) for s in model.tree.separators), default=1)
    if cells > MOST_CELLS or cells * widest > MOST_WORK:
        sizes = ", ".join(f"{name} {domain.size(name):,}" for name in clique)
        raise DomainTooLargeError(
            f"The answer has {cells:,} cells ({sizes}), and takes {widest:,} times as many to work out; an answer may have "
            f"{MOST_CELLS:,}, and take {MOST_WORK:,}. Nothing was spent. Ask for fewer columns, or generate rows and "
            "query those.",
            field="by",
        )
