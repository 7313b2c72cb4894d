"""About how long each stage of a run takes, from declared facts alone: a rough figure, given before anything is read.

The constants are CPU seconds on one core of the machine of benchmarks/README.md. What executors do is divided by two cores,
because that is what was measured; on a cluster it falls with the cores. What the driver does takes one core.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from spark_dp.mechanisms.protocol import MechanismPlan
from spark_dp.pipeline.config import RunConfig
from spark_dp.pipeline.config_sections import Bounding, ColumnUnit
from spark_dp.pipeline.expected_error import ExpectedRows
from spark_dp.pipeline.plan_resources import Memory, OutputSize
from spark_dp.spark.histograms import CountingLayout

_WIDTH: Final = 110
CORES: Final = 2
MILLION: Final = 1_000_000

START: Final = 15.0
"""Seconds until Spark is up and its first task has run, and each further pass's share of that is `PASS`."""

PASS: Final = 2.0

DIRECT: Final = 5e-9
READER: Final = 23e-9
"""To read a value, from files directly or by Spark's reader (benchmark `counting`: 10 million rows of 14 columns)."""

BOUNDED: Final = {Bounding.WEIGHT: 3e-6, Bounding.SAMPLE: 10e-6}
"""To bound a row and hand it on (benchmarks `counting` and `sizes`)."""

COUNTED: Final = 3e-9
"""To count a row in one of the marginals that are counted (benchmarks `counting` and `wide`)."""

COMPARED: Final = 60e-9
LOOKED_AT: Final = 2e-3
"""To compare a cell of an estimate with its count, and a marginal besides its cells (benchmark `wide`)."""

FITTED: Final = 2e-6
"""To fit a cell of the model to the end (benchmarks `estimation` and `wide`)."""

FITTED_BETWEEN: Final = 0.3e-6
"""The same between two rounds, from where the last one ended, while the model grows."""

LEAST_FIT: Final = 0.5

MADE: Final = 110e-9
"""To sample, decode and write a value (benchmark `generation`: half of it is sampling and decoding)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTime:
    """One stage.

    Attributes:
        stage: what is done.
        fixed: seconds that do not depend on the rows.
        each_million: seconds for each million rows.
        rows: that there are, about; None where nothing says.
        at_most: whether it is a bound: what is worth measuring decides, and is not known.
        on_executors: whether more cores make it shorter.
        grows_with: in words.
    """

    stage: str
    fixed: float
    each_million: float
    rows: int | None
    at_most: bool
    on_executors: bool
    grows_with: str

    @property
    def seconds(self) -> float | None:
        """All of it; None where that depends on rows that are not declared."""
        if self.each_million == 0:
            return self.fixed
        return None if self.rows is None else self.fixed + self.each_million * self.rows / MILLION

    def facts(self) -> dict[str, Any]:
        """Returns it JSON-able."""
        return {
            "stage": self.stage,
            "seconds": self.seconds,
            "fixed_seconds": self.fixed,
            "seconds_per_million_rows": self.each_million,
            "at_most": self.at_most,
            "on_executors": self.on_executors,
            "grows_with": self.grows_with,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTime:
    """All stages, in order. The table is never looked at."""

    stages: tuple[StageTime, ...]

    @property
    def seconds(self) -> float | None:
        """All stages together; None where one depends on rows that are not declared."""
        each = [stage.seconds for stage in self.stages]
        return None if None in each else sum(seconds or 0.0 for seconds in each)

    def facts(self) -> dict[str, Any]:
        """Returns it JSON-able."""
        return {
            "cores": CORES,
            "seconds": self.seconds,
            "at_most": any(stage.at_most for stage in self.stages),
            "stages": [stage.facts() for stage in self.stages],
        }

    @classmethod
    def of(
        cls,
        config: RunConfig,
        queries: MechanismPlan,
        passes: tuple[CountingLayout, ...],
        reads: int,
        memory: Memory,
        output: OutputSize,
    ) -> RunTime:
        """Works it out from what is declared.

        Args:
            config: of the run.
            queries: the mechanism's plan.
            passes: that count marginals.
            reads: times that the table is read, these passes among them.
            memory: of the run.
            output: rows to be made.
        """
        return cls(stages=tuple(_stages(config, queries, passes, reads, memory, output)))


def _stages(
    config: RunConfig,
    queries: MechanismPlan,
    passes: tuple[CountingLayout, ...],
    reads: int,
    memory: Memory,
    output: OutputSize,
) -> Iterator[StageTime]:
    columns = len(queries.domain)
    counted = sum(len(layout.counted) for layout in passes)
    unit, source = config.privacy.unit, config.input
    plain = source.format == "parquet" and not source.options and source.filter is None
    direct = plain and source.table is None and not isinstance(unit, ColumnUnit)
    each_row = reads * columns * (DIRECT if direct else READER) + counted * COUNTED
    if isinstance(unit, ColumnUnit):
        each_row += BOUNDED[unit.bounding] * (1 + len(passes)) / 2
    yield StageTime(
        stage="start",
        fixed=START,
        each_million=0.0,
        rows=None,
        at_most=False,
        on_executors=False,
        grows_with="Spark's own start",
    )
    yield StageTime(
        stage="count",
        fixed=PASS * reads + sum(layout.task_cells for layout in passes) * COMPARED,
        each_million=each_row * MILLION / CORES,
        rows=ExpectedRows.of(config).rows,
        at_most=False,
        on_executors=True,
        grows_with=f"rows, {_many(reads, 'pass')} and {_many(counted, 'marginal')} that are counted one by one",
    )
    rounds, marginals, cells = _looked_at(queries)
    if cells:
        yield StageTime(
            stage="choose",
            fixed=marginals * LOOKED_AT + cells * COMPARED,
            each_million=0.0,
            rows=None,
            at_most=rounds > 1,
            on_executors=False,
            grows_with=f"{_many(rounds, 'look')} at {marginals // rounds:,} marginals with {cells // rounds:,} cells",
        )
    fits = sum(query.rounds for query in queries.queries if query.rounds > 1)
    yield StageTime(
        stage="fit",
        fixed=LEAST_FIT * (1 + fits) + memory.model_cells * (FITTED + FITTED_BETWEEN * fits),
        each_million=0.0,
        rows=None,
        at_most=bool(cells),
        on_executors=False,
        grows_with=f"a model of {'at most ' if cells else ''}{memory.model_cells:,} cells"
        + (f", fitted again in each of {rounds:,} rounds or so" if fits else ""),
    )
    yield StageTime(
        stage="generate",
        fixed=PASS,
        each_million=columns * MADE * MILLION / CORES,
        rows=output.rows,
        at_most=False,
        on_executors=True,
        grows_with=f"rows and {_many(columns, 'column')}",
    )


def time_lines(time: RunTime) -> Iterator[str]:
    """Shows the stages as a table."""
    text = (
        f"About, as on {CORES} cores of the machine of the benchmarks; on another three times as much or as little. Only "
        "count and generate take less with more cores."
    )
    yield from textwrap.wrap(f"  {text}", _WIDTH, subsequent_indent="  ")
    yield ""
    for stage in time.stages:
        line = f"  {stage.stage:10} {_said(stage):30} {stage.grows_with}"
        yield from textwrap.wrap(line, _WIDTH, subsequent_indent=" " * 44, drop_whitespace=True)
    whole = time.seconds
    if whole is not None:
        most = "at most " if any(stage.at_most for stage in time.stages) else ""
        yield f"  {'together':10} {most}{_span(whole)}"
    else:
        yield "  With input.expected_rows (about how many rows count) the whole can be said."


def _said(stage: StageTime) -> str:
    most = "at most " if stage.at_most and stage.fixed >= 1 else ""
    if stage.seconds is not None:
        return most + _span(stage.seconds)
    rate = stage.each_million
    return f"{most}{_span(stage.fixed)} + {_span(rate) if rate >= 10 else f'{rate:.1g} s'} a million rows"


def _span(seconds: float) -> str:
    """Writes seconds with one or two digits that count: more would be pretended."""
    if seconds < 10:
        return "under 1 s" if seconds < 1 else f"{seconds:.0f} s"
    if seconds < 90:
        return f"{5 * round(seconds / 5)} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:,.1f} h"


def _looked_at(queries: MechanismPlan) -> tuple[int, int, int]:
    """Returns how often marginals are compared with counts, how many together in all of that, and their cells."""
    rounds = marginals = cells = 0
    for query in queries.queries:
        if query.kind == "measure":
            continue
        rounds += query.rounds
        marginals += query.rounds * len(query.cliques)
        cells += query.rounds * sum(map(queries.domain.cells, query.cliques))
    return rounds, marginals, cells


def _many(count: int, what: str) -> str:
    plural = "es" if what.endswith("ss") else "s"
    return f"{count:,} {what}{'' if count == 1 else plural}"
