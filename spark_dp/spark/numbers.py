"""Statistics of columns of numbers, by Spark. Exact facts of the table: for the owner's evaluation only.

Values are taken as the schema takes them: rows that it drops are left out, what is out of range is clipped, and
nulls and NaN have no number.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from decimal import Decimal
from functools import reduce
from typing import TYPE_CHECKING, Any

from spark_dp.schema.columns import DROPPED, Column
from spark_dp.schema.table import TableSchema
from spark_dp.spark.failures import told_without_values
from spark_dp.spark.tables import quoted

if TYPE_CHECKING:
    from pyspark.sql import Column as Expression
    from pyspark.sql import DataFrame

COLUMNS_A_QUERY = 64
"""A sketch of a column's percentiles takes up to some megabytes on an executor."""

_PERCENTILES = {"p5": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95}


def is_numeric(column: Column) -> bool:
    """Whether a column has numbers on a scale: declared by a range, and no date or time.

    Declared single values may be codes, of which a mean says nothing.
    """
    kind = column.type
    return column.values is None and (kind.is_integer or kind.is_floating or kind.name == "decimal")


def numbers_of(rows: DataFrame, schema: TableSchema) -> dict[str, dict[str, float | None]]:
    """Computes mean, sample standard deviation and percentiles of each numeric column, in one query.

    (In a few where there are more columns than `COLUMNS_A_QUERY`.) Percentiles are values of the column, off by at
    most a ten-thousandth of the rows.

    Args:
        rows: with each declared column in its declared type.
        schema: declared.

    Returns:
        For each numeric column the statistics; None where there are too few values.
    """
    numeric = [column for column in schema.columns if is_numeric(column)]
    found: dict[str, dict[str, float | None]] = {}
    kept = rows.where(is_kept(schema))
    for start in range(0, len(numeric), COLUMNS_A_QUERY):
        found |= _numbers(kept, numeric[start : start + COLUMNS_A_QUERY])
    return found


def is_kept(schema: TableSchema) -> Expression:
    """Returns whether the schema keeps a row: the condition under which no column's code is `DROPPED`."""
    from pyspark.sql import functions as F

    conditions = itertools.chain.from_iterable(_conditions(column) for column in schema.columns)
    return reduce(lambda a, b: a & b, conditions, F.lit(True))


def _conditions(column: Column) -> list[Expression]:
    """Returns what must hold of a column's value lest its row is dropped; each is true or false, never null."""
    from pyspark.sql import functions as F

    cell, found = F.col(quoted(column.name)), []
    if column.null_code == DROPPED:
        found.append(cell.isNotNull())
    if column.values is not None and column.undeclared_code == DROPPED:
        tick = F.expr(f"unix_date({quoted(column.name)})") if column.type.name == "date" else cell
        found.append(F.coalesce(tick.isin(_literals(column)), F.lit(True)))
    if column.nan == "drop":
        found.append(~F.coalesce(F.isnan(cell), F.lit(False)))
    if column.infinity == "drop":
        found.append(~F.coalesce(_is_infinite(cell), F.lit(False)))
    return found


def _literals(column: Column) -> Sequence[Any]:
    values = column.values or ()
    if column.type.name == "boolean":
        return [bool(value) for value in values]
    if column.type.scale is not None:
        return [Decimal(f"{value}E-{column.type.scale}") for value in values]
    return list(values)


def _is_infinite(cell: Expression) -> Expression:
    from pyspark.sql import functions as F

    return F.abs(cell) == F.lit(math.inf)


def _number(column: Column) -> Expression:
    """Returns a column's value as a double within its declared range, null where it has none."""
    from pyspark.sql import functions as F

    cell = F.col(quoted(column.name)).cast("double")
    if column.type.is_floating:
        is_nan = F.isnan(cell)
        instead = None if isinstance(column.nan, str) else column.nan
        cell = F.when(is_nan, F.lit(instead).cast("double")).otherwise(cell)
        if column.infinity == "null":
            cell = F.when(~_is_infinite(cell), cell)
    scale = 10 ** (column.type.scale or 0)
    low, high = (float(edge or 0) / scale for edge in (column.min, column.max))
    # greatest and least pass over nulls, so a null is let through by itself.
    return F.when(cell.isNotNull(), F.greatest(F.lit(low), F.least(F.lit(high), cell)))


def _numbers(rows: DataFrame, columns: Sequence[Column]) -> dict[str, dict[str, float | None]]:
    from pyspark.sql import functions as F

    asked = list(_PERCENTILES.values())
    numbers = rows.select(*[_number(column).alias(f"n{i}") for i, column in enumerate(columns)])
    aggregates = [
        expression
        for i in range(len(columns))
        for expression in (
            F.avg(f"n{i}").alias(f"mean{i}"),
            F.stddev_samp(f"n{i}").alias(f"stddev{i}"),
            F.percentile_approx(f"n{i}", asked).alias(f"percentiles{i}"),
        )
    ]
    with told_without_values("computing statistics of columns of numbers"):
        row = numbers.agg(*aggregates).collect()[0]
    return {
        column.name: {
            "mean": _finite(row[f"mean{i}"]),
            "stddev": _finite(row[f"stddev{i}"]),
            **dict(zip(_PERCENTILES, map(_finite, row[f"percentiles{i}"] or [None] * 5), strict=True)),
        }
        for i, column in enumerate(columns)
    }


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
