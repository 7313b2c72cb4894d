"""Exact counts of units, for private preprocessing: how many rows units have, and how many units have a value.

What is counted is SENSITIVE and stays in the driver's memory: the only readers are the curators. Neither looks at row order,
partitions or other units' rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from spark_dp.errors import InputError
from spark_dp.schema.columns import Column
from spark_dp.spark.bounding import key_names, refuse_null_ids
from spark_dp.spark.failures import told_without_values

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

LONGEST_VALUE: Final = 1000
"""Characters of a value that may be learned; a longer one counts as `other`, whatever its count."""

MOST_COUNTED: Final = 4_000_000
"""Distinct values of a column that the driver takes."""

VALUE: Final = "__value"
_UNREADABLE: Final = "\ufffd"


def count_sizes(rows: DataFrame, *, at_most: int, nulls: str) -> NDArray[np.int64]:
    """Counts the units that have 1, 2, ... rows, the last cell `at_most` rows or more.

    Sensitivity: a unit is in exactly one cell, so that adding or removing one moves the counts by 1 in L1 and L2.

    Args:
        rows: key columns, from `bounding.with_unit_keys`.
        at_most: the last cell.
        nulls: what becomes of null ids.

    Returns:
        int64, (at_most,).
    """
    from pyspark.sql import functions as F

    keys = key_names(rows)
    _require_ids(rows, keys, nulls)
    sizes = rows.groupBy(*keys).agg(F.count(F.lit(1)).alias("m"))
    cells = sizes.select(F.least("m", F.lit(at_most).cast("long")).alias("m")).groupBy("m").count()
    counts = np.zeros(at_most, np.int64)
    with told_without_values("counting the rows of each unit"):
        for row in cells.collect():
            counts[row["m"] - 1] = row["count"]
    return counts


def count_values(
    rows: DataFrame, column: Column, *, per_unit: int, nulls: str, nonce: int
) -> Mapping[str | int, int]:
    """Counts the units that have each value, each unit for at most `per_unit` of its distinct values.

    Which values of a unit count depends on a keyed hash of the unit's id and the value alone. Null is no value, nor is
    the column's `other`, nor text that is longer than LONGEST_VALUE or is not readable: these are rules about the value
    itself and not about how often it occurs.

    Sensitivity: a unit moves at most `per_unit` counts by 1 each.

    Args:
        rows: key columns from `bounding.with_unit_keys`, none where the unit is the row, and the column as VALUE.
        column: of the values, with its `other`.
        per_unit: L0.
        nulls: what becomes of null ids.
        nonce: keys the choice.

    Raises:
        InputError: there are more than MOST_COUNTED values, or null ids where `nulls` is `error`.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.window import Window

    keys = key_names(rows)
    _require_ids(rows, keys, nulls)
    kind = "string" if column.type.is_text else "long"
    valued = rows.withColumn(VALUE, F.col(VALUE).cast(kind)).where(F.col(VALUE).isNotNull())
    if column.type.is_text:
        valued = valued.where(F.length(VALUE) <= LONGEST_VALUE)
    if column.other is not None:
        valued = valued.where(F.col(VALUE) != F.lit(column.other))
    if keys:
        order = F.xxhash64(F.lit(nonce).cast("long"), *[F.col(k) for k in keys], F.col(VALUE))
        first = Window.partitionBy(*keys).orderBy("__order", VALUE)
        ranked = valued.select(*keys, VALUE).distinct().withColumn("__order", order)
        valued = ranked.withColumn("__rank", F.row_number().over(first)).where(F.col("__rank") <= per_unit)
    counted = valued.groupBy(VALUE).count().limit(MOST_COUNTED + 1)
    with told_without_values("counting the units of each value"):
        found = counted.collect()
    if len(found) > MOST_COUNTED:
        raise InputError(
            f"Column {column.name!r} has more than {MOST_COUNTED:,} different values, too many to learn them on the driver. "
            f"Nothing was drawn. Declare schema.{column.name}.values, or leave the column out.",
            field=f"schema.{column.name}.values",
        )
    return {row[VALUE]: row["count"] for row in found if _UNREADABLE not in str(row[VALUE])}


def _require_ids(rows: DataFrame, keys: list[str], nulls: str) -> None:
    """Refuses null ids where they are an error, before anything is drawn from the others."""
    from pyspark.sql import functions as F

    if nulls == "error" and keys:
        some_null = reduce(lambda a, b: a | b, [F.col(k).isNull() for k in keys])
        with told_without_values("looking for rows without a unit"):
            found = rows.where(some_null).limit(1).count()
        if found:
            refuse_null_ids()
