"""Bounding what one privacy unit contributes, over the whole table.

Two ways with the same sensitivity, k rows' worth of weight a unit (`docs/privacy.md`, bounding):

    weigh    every row of a unit with m > k rows weighs floor(W k / m) instead of W
    sample   k of the unit's m rows are kept, those that a keyed hash of their own content puts first

Neither looks at row order, partitions or other units' rows, so a retry or another layout bounds the same way.
Both are checked in the counting pass itself: each row carries a mark, weight times a random hash of its unit
modulo a prime, and the sum of the marks must be what the units' row counts allow. It is a random linear
fingerprint of all units' weights: if any unit weighed other than it should, the sums differ but for a chance of
2^-31. Rows of another version of the table, or a frame whose rows change between passes, are noticed so too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from spark_dp.errors import InputError
from spark_dp.spark.failures import told_without_values

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

MARK_PRIME = 2**31 - 1
WEIGHT_UNIT = 1 << 20
"""W, the fixed-point weight of one row. A unit with more than k * W rows would weigh nothing."""

MOST_ROWS = 1 << 42
"""Rows up to which n * W stays below 2^62, so that no sum in int64 can overflow."""

BROADCAST_UNITS = 500_000
"""Units above their bound up to which their weights are sent to every executor instead of being shuffled."""

WEIGHT, MARK = "__weight", "__mark"
_SIZE, _KEY, _ORDER, _COPIES = "__m", "__unit", "__order", "__copies"


@dataclass(frozen=True, slots=True)
class BoundTotals:
    """What a pass over the bounded rows must find. Exact, SENSITIVE: it stays in the driver's memory.

    Attributes:
        rows: rows with an id, before sampling; after it, rows kept.
        weight: the total weight in fixed point.
        mark: the sum of the marks modulo MARK_PRIME.
        units: the number of units.
    """

    rows: int
    weight: int
    mark: int
    units: int


@dataclass(frozen=True, slots=True)
class BoundedRows:
    """Rows whose units are bounded, with the columns WEIGHT and MARK.

    Attributes:
        rows: the frame to count.
        totals: what counting it must find.
        unit: W, the fixed-point weight of one whole row.
        cached: frames that Spark keeps for this; to be let go when counting is over.
    """

    rows: DataFrame
    totals: BoundTotals
    unit: int
    cached: tuple[DataFrame, ...]

    def release(self) -> None:
        for frame in self.cached:
            frame.unpersist()


def with_unit_keys(rows: DataFrame, unit: Sequence[str], nulls: str, payload: Sequence[Column]) -> DataFrame:
    """Returns the payload with the unit's id in key columns of our own, null ids treated as asked.

    An id with any null part is null. `drop` leaves its rows out, `one_unit` makes all of them one unit, and
    `error` keeps them to be found by the pass over the ids.
    """
    from pyspark.sql import functions as F

    parts = [F.col(_sql_name(name)) for name in unit]
    is_null = reduce(lambda a, b: a | b, [part.isNull() for part in parts])
    if nulls == "drop":
        rows = rows.where(~is_null)
    elif len(parts) > 1:
        parts = [F.when(~is_null, part) for part in parts]
    return rows.select(*[part.alias(f"{_KEY}{i}") for i, part in enumerate(parts)], *payload)


def key_names(rows: DataFrame) -> list[str]:
    return [name for name in rows.columns if name.startswith(_KEY)]


def weigh(rows: DataFrame, *, max_rows: int, nulls: str, nonce: int) -> BoundedRows:
    """Gives each row the weight W, or floor(W k / m) where its unit has m > k rows.

    Sensitivity: a unit weighs min(m W, m floor(W k / m)) <= k W in all, and no other unit's weight moves.

    Args:
        rows: key columns and payload, from `with_unit_keys`.
        max_rows: k.
        nonce: keys the marks only; no count depends on it.

    Raises:
        InputError: there are null ids and `nulls` is `error`.
    """
    from pyspark.sql import functions as F

    keys = key_names(rows)
    payload = [name for name in rows.columns if name not in keys]
    sizes = rows.groupBy(*keys).agg(F.count(F.lit(1)).alias(_SIZE)).persist()
    shared = f"({WEIGHT_UNIT * max_rows}L DIV {_SIZE})"
    allowed = F.expr(
        f"CASE WHEN {_SIZE} <= {max_rows} THEN {_SIZE} * {WEIGHT_UNIT}L ELSE {_SIZE} * {shared} END"
    )
    with _let_go_on_failure(sizes):
        totals, above = _totals(sizes, keys, allowed, max_rows, nulls, nonce)
    weight = F.lit(WEIGHT_UNIT).cast("long")
    if above:
        heavy = sizes.where(F.col(_SIZE) > max_rows).select(
            *[F.col(k).alias(f"{k}_") for k in keys], F.expr(shared).alias("__w")
        )
        rows = rows.join(
            F.broadcast(heavy) if above <= BROADCAST_UNITS else heavy, _same(keys, nulls), "left"
        )
        weight = F.coalesce(F.col("__w"), weight)
    weighed = rows.withColumn(WEIGHT, weight).withColumn(MARK, _mark(keys, F.col(WEIGHT), nonce))
    bounded = weighed.select(*[_sql_name(p) for p in payload], WEIGHT, MARK)
    return BoundedRows(bounded, totals, WEIGHT_UNIT, (sizes,))


def sample(rows: DataFrame, *, max_rows: int, nulls: str, nonce: int) -> BoundedRows:
    """Keeps k rows of each unit: those whose keyed hash of (nonce, id, content, number of the copy) is least.

    Equal rows are counted before they are ranked, so that a unit with many copies of a row spreads over the
    cluster, and each copy has its own hash. Copies are numbered within the whole table, never within a partition.

    Sensitivity: a unit keeps at most k rows, and which ones depends on its own rows and the nonce only.

    Args:
        rows: key columns and code words (integers, none of them null), from `with_unit_keys`.
        max_rows: k.
        nonce: keys the ranking; another nonce keeps another sample.
    """
    from pyspark.sql import functions as F
    from pyspark.sql import types as T
    from pyspark.sql.window import Window

    keys = key_names(rows)
    words = [name for name in rows.columns if name not in keys]
    kept_rows = rows.persist()
    sizes = kept_rows.groupBy(*keys).agg(F.count(F.lit(1)).alias(_SIZE)).persist()
    allowed = F.least(F.col(_SIZE), F.lit(max_rows).cast("long"))
    with _let_go_on_failure(kept_rows, sizes):
        totals, _ = _totals(sizes, keys, allowed, max_rows, nulls, nonce)
    groups = kept_rows.groupBy(*keys, *words).agg(F.count(F.lit(1)).alias(_COPIES))
    ranked = groups.withColumn(_ORDER, F.xxhash64(F.lit(nonce), *[F.col(c) for c in (*keys, *words)]))
    fields = [f for f in ranked.schema.fields if f.name != _COPIES]

    def smallest(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return (least_hashes_of_copies(batch, max_rows) for batch in batches)

    copies = ranked.mapInArrow(smallest, T.StructType(fields))
    first = Window.partitionBy(*keys).orderBy(_ORDER, *words)
    sampled = copies.withColumn("__rank", F.row_number().over(first)).where(F.col("__rank") <= max_rows)
    one = F.lit(1).cast("long")
    bounded = sampled.select(*words, one.alias(WEIGHT), _mark(keys, one, nonce).alias(MARK))
    return BoundedRows(bounded, totals, 1, (kept_rows, sizes))


def _same(keys: Sequence[str], nulls: str) -> Column:
    """Whether a row is of the unit that it is joined with. Plain equality is much faster, and needs ids that are there."""
    from pyspark.sql import functions as F

    pairs = [(F.col(k), F.col(f"{k}_")) for k in keys]
    return reduce(lambda a, b: a & b, [a.eqNullSafe(b) if nulls == "one_unit" else a == b for a, b in pairs])


@contextmanager
def _let_go_on_failure(*cached: DataFrame) -> Iterator[None]:
    """Spark would answer the next reading of the same path from what a failed one left in memory."""
    try:
        yield
    except BaseException:
        for frame in cached:
            frame.unpersist()
        raise


def least_hashes_of_copies(batch: pa.RecordBatch, most: int) -> pa.RecordBatch:
    """Replaces (…, base hash, copies c) by one row for each of the `most` least hashes of copies 0 … c-1."""
    copies = batch.column(_COPIES).to_numpy(zero_copy_only=False)
    base = batch.column(_ORDER).to_numpy(zero_copy_only=False).view(np.uint64)
    emitted = np.minimum(copies, most)
    index = np.repeat(np.arange(len(copies)), emitted)
    order = np.empty(len(index), np.uint64)
    ends = np.cumsum(emitted)
    within = np.arange(len(index)) - np.repeat(ends - emitted, emitted)
    few = np.repeat(copies <= most, emitted)
    order[few] = hash_copy(base[index[few]], within[few].astype(np.uint64))
    for i in np.flatnonzero(copies > most):
        order[ends[i] - emitted[i] : ends[i]] = _least_of_many(base[i], int(copies[i]), most)
    names = [name for name in batch.schema.names if name != _COPIES]
    columns = [
        pa.array(order.view(np.int64)) if name == _ORDER else batch.column(name).take(pa.array(index))
        for name in names
    ]
    return pa.RecordBatch.from_arrays(columns, names=names)


def hash_copy(base: NDArray[np.uint64], copy: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mixes the number of the copy into the row's hash: the finaliser of SplitMix64 (Steele, Lea, Flood 2014)."""
    with np.errstate(over="ignore"):
        z = base + (copy + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed: NDArray[np.uint64] = z ^ (z >> np.uint64(31))
        return mixed


def _least_of_many(base: np.uint64, copies: int, most: int, block: int = 1 << 20) -> NDArray[np.uint64]:
    best = np.zeros(0, np.uint64)
    for start in range(0, copies, block):
        numbers = np.arange(start, min(copies, start + block), dtype=np.uint64)
        hashes = np.concatenate([best, hash_copy(np.full(len(numbers), base), numbers)])
        signed = np.sort(hashes.view(np.int64))  # ranked as Spark ranks them: signed
        best = signed[:most].view(np.uint64)
    return best


def _totals(
    sizes: DataFrame, keys: list[str], allowed: Column, max_rows: int, nulls: str, nonce: int
) -> tuple[BoundTotals, int]:
    """One pass over the ids: the totals that the counting pass must find, and the units above the bound."""
    from pyspark.sql import functions as F

    some_null = reduce(lambda a, b: a | b, [F.col(k).isNull() for k in keys])
    facts = sizes.select(_SIZE, allowed.alias("a"), some_null.alias("n"), *keys)
    reduced = F.expr(f"pmod(a, {MARK_PRIME}L)")
    with told_without_values("counting the rows of each unit"):
        found = facts.agg(
            F.sum(_SIZE).alias("rows"),
            F.count(F.lit(1)).alias("units"),
            F.sum(F.when(F.col(_SIZE) > max_rows, 1).otherwise(0)).alias("above"),
            F.sum(F.when(F.col("n"), 1).otherwise(0)).alias("nulls"),
            F.sum("a").alias("weight"),
            F.sum(_mark(keys, reduced, nonce)).alias("mark"),
        ).collect()[0]
    if nulls == "error" and found["nulls"]:
        refuse_null_ids()
    rows = int(found["rows"] or 0)
    if rows >= MOST_ROWS:
        raise InputError(
            "The table has more than 2^42 rows, more than fixed-point weights can add up exactly."
        )
    totals = BoundTotals(
        rows=rows,
        weight=int(found["weight"] or 0),
        mark=int(found["mark"] or 0) % MARK_PRIME,
        units=int(found["units"]),
    )
    return totals, int(found["above"] or 0)


def refuse_null_ids() -> NoReturn:
    """Says that there are null ids where `nulls` is `error`."""
    raise InputError(
        "privacy.unit.nulls is 'error', and there are rows whose unit id is null. Nothing was spent. Drop them "
        "(nulls: drop), count all of them as one unit (nulls: one_unit), or repair the table.",
        field="privacy.unit.nulls",
    )


def _mark(keys: list[str], weight: Column, nonce: int) -> Column:
    from pyspark.sql import functions as F

    prime = F.lit(MARK_PRIME).cast("long")
    coefficient = F.pmod(F.xxhash64(F.lit(nonce).cast("long"), *[F.col(k) for k in keys]), prime)
    return F.pmod(coefficient * weight, prime)


def _sql_name(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
