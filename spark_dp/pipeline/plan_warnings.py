"""Warnings of a plan, in plain words: each says what will go wrong, by the figures, and what to change."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from spark_dp.mechanisms.candidates import COUNTED_PAIRS, cells_of_models
from spark_dp.mechanisms.protocol import MechanismPlan
from spark_dp.pipeline.config import RunConfig
from spark_dp.pipeline.config_sections import ColumnUnit, UnitNulls
from spark_dp.pipeline.expected_error import ExpectedError, ExpectedRows
from spark_dp.pipeline.plan_account import CHARGED, Standing
from spark_dp.pipeline.plan_resources import Memory, OutputSize
from spark_dp.privacy.stated import at_least, at_most, declared

WEAK_EPSILON: Final = 8.0
WIDE: Final = 1_000
POOR: Final = 0.1
MANY_FOLDERS: Final = 1_000
SMALL_FILE_ROWS: Final = 10_000
MANY_ROWS: Final = 100
SHOWN: Final = 10


def account_warnings(config: RunConfig, standing: Standing) -> Iterator[str]:
    """Warns of an account that will refuse the run, or that promises more than the run does."""
    if standing.is_refused:
        yield standing.said
    account, delta = standing.account, config.privacy.budget.delta
    if account is not None and delta > account.delta and standing.state != CHARGED:
        yield (
            f"privacy.delta = {declared(delta)} is larger than the account's δ = {declared(account.delta)}: this run "
            "promises less than the account does. Write the account's δ."
        )


def promise_warnings(config: RunConfig, expected: ExpectedRows) -> Iterator[str]:
    """Warns of a promise that protects little, or other than it seems."""
    budget, unit = config.privacy.budget, config.privacy.unit
    if budget.epsilon > WEAK_EPSILON:
        yield (
            f"privacy.epsilon = {declared(budget.epsilon)} is a weak promise: what is released may be "
            f"{_times(budget.epsilon)} times likelier with a unit than without it. Values up to 1 are strong, "
            f"up to {WEAK_EPSILON:g} in use."
        )
    if expected.rows is not None:
        least = max(1, expected.rows // unit.max_rows)
        if budget.delta > 1 / (10 * least):
            much = "more than one over" if budget.delta > 1 / least else "more than a tenth of one over"
            yield (
                f"privacy.delta = {declared(budget.delta)} is {much} the number of units, of which {expected.rows:,} rows "
                f"have {least:,} or more: some could be released in full. Write one below {at_most(1 / (10 * least), 1)}."
            )
    if isinstance(unit, ColumnUnit):
        named = [name for name in unit.columns if name in config.schema.names]
        if named:
            yield (
                f"{', '.join(named)} identifies the unit and is in the schema too: its declared values were public before, "
                "and appear in the output. Leave it out unless that is meant."
            )
        if unit.nulls is UnitNulls.ONE_UNIT:
            yield (
                f"All rows whose {unit.label} is null are one unit of at most {unit.max_rows} rows' weight: as good as "
                "gone where they are many."
            )
    else:
        yield "The unit is the row: a person with many rows is NOT protected as a whole. Name the person's column."
    if config.input.filter is not None:
        yield (
            "input.filter leaves rows out before anything is bounded: the output is about what is left. The condition "
            "itself is not private; do not choose it by looking at the rows."
        )
    if config.evaluate.against_input:
        yield "evaluate.against_input writes exact figures to internal/: NOT private, for the owner alone."


def noise_warnings(
    config: RunConfig,
    expected: ExpectedRows,
    columns: Sequence[ExpectedError],
    pairs: Sequence[ExpectedError],
) -> Iterator[str]:
    """Warns of marginals that noise will hide, and of what makes it loud."""
    unit = config.privacy.unit
    if expected.rows is not None:
        rows = expected.rows
        lost = [column for column in columns if column.cells > 1 and rows / column.cells < column.stddev]
        for column in lost[:SHOWN]:
            yield (
                f"{column.clique[0]}: {column.cells:,} cells at σ = {_rows(column.stddev)} rows; the signal of a table of "
                f"{rows:,} rows ({_rows(rows / column.cells)} a cell) is below the noise: merge values or raise ε."
            )
        if len(lost) > SHOWN:
            yield f"{len(lost) - SHOWN} more columns are below the noise: see the table of columns."
        drowned = [pair for pair in pairs if rows / pair.cells < pair.stddev]
        if drowned:
            yield (
                f"{len(drowned):,} of {len(pairs):,} pairs have fewer rows a cell than noise, such as "
                f"{' × '.join(drowned[0].clique)}: their relation is likely lost. Fewer bins or values, or a larger ε, "
                "would keep more."
            )
        poor = [column for column in columns if (column.tvd or 0) > POOR]
        if poor and unit.max_rows > 1:
            yield (
                f"max_rows = {unit.max_rows} makes all noise {unit.max_rows} times that of one row a unit, and "
                f"columns such as {poor[0].clique[0]} are off by more than {POOR:.0%}. If most units have far fewer rows, "
                "lower it: the noise falls in proportion."
            )
    elif unit.max_rows >= MANY_ROWS:
        yield (
            f"max_rows = {unit.max_rows} makes all noise {unit.max_rows} times that of one row a unit. If most units have "
            "far fewer rows, lower it: the noise falls in proportion."
        )


def size_warnings(
    config: RunConfig, queries: MechanismPlan, memory: Memory, output: OutputSize
) -> Iterator[str]:
    """Warns of what is too large: columns, pairs, memory, folders and files."""
    domain = config.schema.domain
    wide = [name for name in domain if domain.size(name) >= WIDE]
    if wide:
        listed = ", ".join(f"{name} ({domain.size(name):,})" for name in wide[:SHOWN])
        yield f"Columns with {WIDE:,} cells or more: {listed}. Each cell gets noise; bins or fewer values help."
    wanted = [pair for pair in queries.workload.pair_weights() if min(domain.shape(pair)) > 1]
    countable = set(queries.countable)
    together = any(len(clique) > 1 for clique in countable)
    fits = cells_of_models(domain, queries.zeros)
    relations = not together and config.mechanism.name != "independent"
    if relations and wanted and all(fits(pair) > queries.max_cells for pair in wanted):
        smallest = min(wanted, key=domain.cells)
        yield (
            "No relation of columns can be kept, and only single columns are measured: the model may have "
            f"{queries.max_cells:,} cells (mechanism.max_model_mb), its columns have {sum(domain.sizes):,}, and the "
            f"smallest pair, {' × '.join(smallest)}, would add {domain.cells(smallest) - sum(domain.shape(smallest)):,}. "
            "Raise mechanism.max_model_mb, or use fewer bins or values."
        )
    if together:
        missing = [pair for pair in wanted if pair not in countable]
        alone = sum(domain.sizes)
        left = [
            pair
            for pair in missing
            if domain.cells(pair) + alone - sum(domain.shape(pair)) > queries.max_cells
        ]
        if len(missing) > len(left):
            yield (
                f"{len(missing) - len(left):,} of the workload's pairs, the largest, are not looked at: all pairs have "
                f"together more than {COUNTED_PAIRS} times the cells that the model may have ({queries.max_cells:,}). Use "
                "fewer bins or values, name the pairs that matter in mechanism.workload, or raise mechanism.max_model_mb."
            )
        if left:
            largest = max(left, key=domain.cells)
            yield (
                f"{len(left):,} of the workload's pairs have more cells than the model may have "
                f"({queries.max_cells:,}), such as {' × '.join(largest)} with {domain.cells(largest):,}: they cannot be "
                "kept. Use fewer bins or values, or raise mechanism.max_model_mb."
            )
    for role, needed, allowed in (
        ("driver", memory.driver, memory.driver_allowed),
        ("executor", memory.executor_counts, memory.executor_allowed),
    ):
        if role == "driver" and memory.model_is_open and memory.without_model <= allowed < needed:
            yield (
                f"The driver may need up to {needed / 1e6:,.0f} MB if the model grows to all that mechanism.max_model_mb "
                f"allows, and half of spark.driver.memory is {allowed / 1e6:,.0f} MB. What is worth its noise decides: on "
                "wide tables that is often all that is allowed. To be sure, lower mechanism.max_model_mb or raise "
                "spark.driver.memory."
            )
        elif needed > allowed:
            yield (
                f"The {role} may need {needed / 1e6:,.0f} MB, and half of spark.{role}.memory is {allowed / 1e6:,.0f} MB: "
                f"raise spark.{role}.memory, or use fewer bins or values."
            )
    if output.folders > MANY_FOLDERS:
        yield (
            f"output.partition_by makes up to {output.folders:,} folders. Partition by fewer or by smaller columns."
        )
    elif config.output.partition_by and output.files and output.rows and output.files > 1:
        each = output.rows // output.files
        if each < SMALL_FILE_ROWS and output.files > output.folders:
            yield (
                f"output.partition_by makes up to {output.files:,} files of some {each:,} rows. Partition by fewer columns "
                "if readers mind small files."
            )


def _times(epsilon: float) -> str:
    """Returns e^epsilon, rounded up: a promise is not made stronger than it is."""
    return f"{math.ceil(math.exp(epsilon)):,}" if epsilon < 20 else at_least(math.exp(min(epsilon, 700)), 1)


def _rows(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
