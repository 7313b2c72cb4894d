"""Private preprocessing: what the schema leaves open is learned from noisy answers, before the marginals are counted.

    values    units by value, each with at most L0 values           ->  those above a threshold; the rest is `other`
    k         how many rows units have, on 1 ... at_most            ->  a quantile of the noisy counts
    bins      rows in the cells of a public grid, bounded to k      ->  bounds and edges, and whether there are nulls
    nulls     rows with a value, rows with null                     ->  whether null has a cell

Values come first: where an account has no delta left for their threshold, nothing is answered yet, and the run is given
back. Every step is a query of the run: reserved, persisted, replayed. What follows from the answers is post-processing, a
pure function of them, so that a run that is resumed comes to the same schema.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spark_dp.pipeline.artefacts import read_schema, read_statement
from spark_dp.pipeline.config import RunConfig
from spark_dp.pipeline.config_sections import ColumnUnit
from spark_dp.pipeline.config_shares import learned_share
from spark_dp.pipeline.inputs import OpenedInput, contribution_of, nonce_of
from spark_dp.pipeline.run import Run
from spark_dp.pipeline.run_directory import Artefact
from spark_dp.privacy.answers import Blobs
from spark_dp.privacy.curator import Curator, MarginalSource
from spark_dp.privacy.entropy import OS_ENTROPY, Entropy
from spark_dp.privacy.grid_estimate import SIGNIFICANT, GridEstimate
from spark_dp.privacy.grid_levels import GridLevels
from spark_dp.privacy.measurement import Measurement
from spark_dp.privacy.run_account import RunAccount
from spark_dp.privacy.sensitivity import Contribution
from spark_dp.privacy.transcript import Transcript
from spark_dp.privacy.value_selection import Value, ValueCurator, specify
from spark_dp.schema.columns import Column
from spark_dp.schema.grid import Grid, cut_column, fine_column, grid_of, null_column, without_nulls
from spark_dp.schema.private import Cut, PrivateColumn
from spark_dp.schema.table import TableSchema
from spark_dp.spark.counting import SparkMarginals
from spark_dp.spark.tables import quoted
from spark_dp.spark.unit_counts import VALUE, count_sizes, count_values

ROWS_PER_UNIT: Final = "rows per unit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What every step needs.

    Attributes:
        config: of the run.
        opened: its input.
        account: what it may spend.
        answers: its private state.
        transcript: its queries so far.
        entropy: the operating system's, except in tests.
        say: told what was learned: functions of noisy answers alone.
    """

    config: RunConfig
    opened: OpenedInput
    account: RunAccount
    answers: Blobs
    transcript: Transcript
    entropy: Entropy = OS_ENTROPY
    say: Callable[[str], None] = lambda _: None

    def rho(self, share: Fraction) -> Fraction:
        return self.account.rho * share


def learn(desk: Desk) -> RunConfig:
    """Asks what the schema leaves open, and returns the configuration with the answers in place.

    Guarantees: the queries together cost the declared shares of the run's rho and the declared deltas. What is returned
    depends on the declared configuration and on persisted answers only.

    Raises:
        RhoExceededError, BudgetExceededError: a step costs more than is left. Nothing was read for it.
        LedgerError: the run's records are missing, altered, or another query's.
    """
    learned = {
        private.name: _learned_values(desk, private)
        for private in desk.config.private
        if private.values is not None
    }
    config = _with_bound(desk)
    desk = replace(desk, config=config)  # from here on k is the learned one, for bounding and for noise alike
    schema = config.schema
    binned = [p for p in config.private if p.bins is not None]
    sources = _fine_sources(desk, binned)
    for private in binned:
        schema = _with(schema, _binned(desk, private, sources))
    for private in config.private:
        column = schema.column(private.name)
        if private.bins is None and private.nulls is not None:
            column = _nulled(desk, column, private.nulls)
        if private.name in learned:
            column = _of_values(column, learned[private.name])
        schema = _with(schema, column)
    return replace(config, schema=schema)


def resolved_config(run: Run, measured: Artefact) -> RunConfig:
    """Returns the configuration with what its private steps learned, as it was released with the measurements."""
    if not learned_share(run.config.privacy, run.config.private):
        return run.config
    statement = read_statement(measured)
    return _bounded_to(replace(run.config, schema=read_schema(measured)), statement["max_rows_per_unit"])


def _bounded_to(config: RunConfig, max_rows: int) -> RunConfig:
    unit = config.privacy.unit
    if not isinstance(unit, ColumnUnit):
        return config
    return replace(config, privacy=replace(config.privacy, unit=replace(unit, max_rows=max_rows)))


# k -------------------------------------------------------------------------------------------------------


def _with_bound(desk: Desk) -> RunConfig:
    """Learns k: the least bound under which the asked part of all units counts in full, as far as noise lets one see."""
    config, unit = desk.config, desk.config.privacy.unit
    if not isinstance(unit, ColumnUnit) or unit.learned is None:
        return config
    grid = Grid(name=ROWS_PER_UNIT, cells=unit.max_rows)

    def count() -> NDArray[np.int64]:
        counts = count_sizes(desk.opened.units(), at_most=unit.max_rows, nulls=unit.nulls.value)
        desk.opened.unchanged()
        return counts

    measured = _measured(
        desk,
        "preprocess/rows per unit",
        grid,
        GridLevels(grid, count),
        # A unit is one entry of this histogram, however many rows it has.
        Contribution(max_rows=1, unit=1, neighbours=config.privacy.neighbours),
        unit.learned.share,
    )
    found = GridEstimate.of(grid, measured).quantile(float(unit.learned.quantile)) + 1
    desk.say(f"each {unit.label} counts with the weight of at most {found} rows, learned privately")
    return _bounded_to(config, found)


# bins and nulls ------------------------------------------------------------------------------------------


def _fine_sources(desk: Desk, binned: list[PrivateColumn]) -> SparkMarginals | None:
    """Counts the grids of all columns in one pass, when the first of them is read."""
    if not binned:
        return None
    columns = tuple(fine_column(desk.config.schema.column(private.name)) for private in binned)
    return _marginals(desk, columns)


def _marginals(desk: Desk, columns: tuple[Column, ...]) -> SparkMarginals:
    schema = TableSchema(columns=columns)
    opened = desk.opened.with_config(replace_schema(desk.config, schema))
    return SparkMarginals(
        schema.domain,
        [(column.name,) for column in columns],
        lambda: opened.bounded_pass(desk.account.run_id),
        weight=contribution_of(desk.config).weight,
    )


def replace_schema(config: RunConfig, schema: TableSchema) -> RunConfig:
    """Returns the configuration with other columns; what names columns that are not there is left out of it."""
    return replace(
        config,
        schema=schema,
        output=replace(config.output, partition_by=()),
        mechanism=type(config.mechanism)(),
    )


def _binned(desk: Desk, private: PrivateColumn, fine_source: SparkMarginals | None) -> Column:
    declared = desk.config.schema.column(private.name)
    fine = fine_column(declared)
    grid = grid_of(fine)
    if private.bins is None or fine_source is None:
        return declared

    def count() -> NDArray[np.int64]:
        return fine_source.count([(fine.name,)])[(fine.name,)]

    share = private.bins.share + (private.nulls or 0)
    name = f"preprocess/bins/{private.name}"
    measured = _measured(desk, name, grid, GridLevels(grid, count), contribution_of(desk.config), share)
    estimate = GridEstimate.of(grid, measured)
    cut = estimate.bins_of_equal_mass if private.bins.cut is Cut.MASS else estimate.bins_of_equal_width
    starts, last = cut(min(private.bins.most, grid.cells))
    nullable = declared.nullable
    if private.nulls is not None:
        nullable = bool(estimate.others[-1] > SIGNIFICANT * estimate.others_stddev)
    column = cut_column(fine, starts, last, nullable=nullable)
    desk.say(f"{private.name}: {column.declared} bins learned privately{_said(private, nullable)}")
    return column


def _nulled(desk: Desk, column: Column, share: Fraction) -> Column:
    asked = null_column(column)
    curator = _curator(
        desk, _marginals(desk, (asked,)), TableSchema(columns=(asked,)), contribution_of(desk.config)
    )
    (measured,) = curator.measure(f"preprocess/nulls/{column.name}", [(column.name,)], rho=desk.rho(share))
    nullable = bool(measured.values[asked.null_code] > SIGNIFICANT * measured.stddev)
    desk.say(f"{column.name}: {'null has a cell' if nullable else 'no nulls to speak of'}, learned privately")
    return column if nullable else without_nulls(column)


def _said(private: PrivateColumn, nullable: bool) -> str:
    return "" if private.nulls is None else ", and a cell for null" if nullable else ", and none for null"


# values --------------------------------------------------------------------------------------------------


def _learned_values(desk: Desk, private: PrivateColumn) -> tuple[Value, ...]:
    values, unit, column = private.values, desk.config.privacy.unit, desk.config.schema.column(private.name)
    if values is None:
        return ()
    asked = specify(
        f"preprocess/values/{column.name}",
        per_unit=values.per_unit,
        neighbours=desk.config.privacy.neighbours,
        rho=desk.rho(values.share),
        delta=values.delta,
        most=values.most,
        noise=desk.account.accounting.noise,
    )
    source = _Values(desk, column, values.per_unit, unit.nulls.value if isinstance(unit, ColumnUnit) else "")
    learned = ValueCurator(source, desk.transcript, entropy=desk.entropy).learn(asked)
    desk.say(f"{column.name}: {len(learned)} values learned privately, the rest counts as {column.other!r}")
    return tuple(learned)


def _of_values(column: Column, learned: tuple[Value, ...]) -> Column:
    if not learned and column.other is not None:  # a column needs a value: all of it is `other`
        return replace(column, values=(column.other,), other=None, undeclared=column.other)
    return replace(column, values=learned)


@dataclass(frozen=True, slots=True)
class _Values:
    """The numbers of units by value. SENSITIVE: its only reader is the value curator."""

    desk: Desk
    column: Column
    per_unit: int
    nulls: str

    def __repr__(self) -> str:
        return "_Values(<exact counts withheld>)"

    def count(self) -> dict[Value, int]:
        from pyspark.sql import functions as F

        rows = self.desk.opened.units(F.col(quoted(self.column.name)).alias(VALUE))
        nonce = nonce_of(self.desk.account.run_id)
        counts = count_values(rows, self.column, per_unit=self.per_unit, nulls=self.nulls, nonce=nonce)
        self.desk.opened.unchanged()
        return dict(counts)


# the curator ---------------------------------------------------------------------------------------------


def _measured(
    desk: Desk, name: str, grid: Grid, source: MarginalSource, contribution: Contribution, share: Fraction
) -> tuple[Measurement, ...]:
    """Measures all levels of a grid jointly."""
    curator = Curator(
        domain=grid.domain,
        contribution=contribution,
        source=source,
        account=desk.account,
        answers=desk.answers,
        entropy=desk.entropy,
        transcript=desk.transcript,
    )
    return curator.measure(name, [(level,) for level in grid.levels], rho=desk.rho(share))


def _curator(desk: Desk, source: MarginalSource, schema: TableSchema, contribution: Contribution) -> Curator:
    return Curator(
        domain=schema.domain,
        contribution=contribution,
        source=source,
        account=desk.account,
        answers=desk.answers,
        entropy=desk.entropy,
        transcript=desk.transcript,
    )


def _with(schema: TableSchema, column: Column) -> TableSchema:
    columns = tuple(column if c.name == column.name else c for c in schema.columns)
    return replace(schema, columns=columns)
