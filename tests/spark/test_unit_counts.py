"""Units are counted by their rows and by their values: whatever the partitions, and one unit moves little."""

from __future__ import annotations

import collections

import numpy as np
import pytest

from spark_dp.errors import InputError
from spark_dp.schema.columns import Column
from spark_dp.spark.bounding import with_unit_keys
from spark_dp.spark.unit_counts import LONGEST_VALUE, VALUE, count_sizes, count_values

pytestmark = pytest.mark.spark

WARD = Column.from_settings("ward", {"type": "string", "values": ["x"], "other": "elsewhere"})
CODE = Column.from_settings("code", {"type": "long", "values": [1], "other": -1})
NONCE = 7
RNG = np.random.default_rng(5)
ROWS = [
    (f"p{int(p)}", f"w{int(w)}")
    for p, w in zip(RNG.geometric(0.05, 600), RNG.integers(0, 9, 600), strict=True)
]
HEAVY = "p1"


def keyed(spark, rows, *, nulls: str = "drop", partitions: int = 3, kind: str = "string"):
    from pyspark.sql import functions as F

    frame = spark.createDataFrame(rows, f"id string, v {kind}").repartition(partitions)
    return with_unit_keys(frame, ["id"], nulls, [F.col("v").alias(VALUE)])


def values_of(spark, rows, per_unit: int, column: Column = WARD, nonce: int = NONCE, **how):
    kind = "string" if column is WARD else "bigint"
    nulls = how.get("nulls", "drop")
    return dict(
        count_values(
            keyed(spark, rows, kind=kind, **how), column, per_unit=per_unit, nulls=nulls, nonce=nonce
        )
    )


def test_sizes_are_those_of_the_units(spark):
    sizes = collections.Counter(collections.Counter(p for p, _ in ROWS).values())
    found = count_sizes(keyed(spark, ROWS), at_most=10, nulls="drop")
    assert found.dtype == np.int64
    assert found.tolist() == [sizes[m] for m in range(1, 10)] + [sum(n for m, n in sizes.items() if m >= 10)]


def test_a_unit_more_moves_the_sizes_by_one(spark):
    some = count_sizes(keyed(spark, [r for r in ROWS if r[0] != HEAVY]), at_most=10, nulls="drop")
    all_of = count_sizes(keyed(spark, ROWS), at_most=10, nulls="drop")
    assert np.abs(all_of - some).sum() == 1


def test_a_unit_counts_once_for_each_of_its_values_up_to_the_bound(spark):
    held = collections.defaultdict(set)
    for person, ward in ROWS:
        held[person].add(ward)
    unbounded = collections.Counter(w for wards in held.values() for w in wards)
    assert values_of(spark, ROWS, 9) == unbounded
    bounded = values_of(spark, ROWS, 2)
    assert sum(bounded.values()) == sum(min(2, len(wards)) for wards in held.values())


@pytest.mark.parametrize("per_unit", [1, 2, 5])
def test_a_unit_more_moves_no_more_counts_than_its_bound_each_by_one(spark, per_unit):
    some = values_of(spark, [r for r in ROWS if r[0] != HEAVY], per_unit)
    all_of = values_of(spark, ROWS, per_unit)
    moved = {v: all_of.get(v, 0) - some.get(v, 0) for v in all_of.keys() | some.keys()}
    assert set(moved.values()) <= {0, 1}
    assert sum(moved.values()) == per_unit  # the heavy one has as many


def test_without_a_bound_one_unit_moves_more(spark):
    """The twin: the check above finds a bound that is not kept."""
    some = values_of(spark, [r for r in ROWS if r[0] != HEAVY], 9)
    all_of = values_of(spark, ROWS, 9)
    assert sum(all_of.values()) - sum(some.values()) > 5


@pytest.mark.parametrize("partitions", [1, 7])
def test_the_same_values_count_whatever_the_partitions_and_the_order(spark, partitions):
    assert values_of(spark, ROWS[::-1], 2, partitions=partitions) == values_of(spark, ROWS, 2)


def test_another_nonce_keeps_other_values(spark):
    assert values_of(spark, ROWS, 1, nonce=8) != values_of(spark, ROWS, 1)


def test_what_is_no_value_is_not_counted(spark):
    rows = [
        ("a", None),
        ("b", "elsewhere"),
        ("c", "x" * (LONGEST_VALUE + 1)),
        ("d", "bad\ufffd"),
        ("e", ""),
        ("f", "y"),
    ]
    assert values_of(spark, rows, 3) == {"": 1, "y": 1}
    assert values_of(spark, [("a", -1), ("b", 5), ("c", None)], 3, CODE) == {5: 1}


def test_null_ids_are_dropped_or_one_unit_or_refused(spark):
    rows = [(None, "A"), (None, "A"), ("p", "A")]
    assert values_of(spark, rows, 2) == {"A": 1}
    assert values_of(spark, rows, 2, nulls="one_unit") == {"A": 2}
    with pytest.raises(InputError, match=r"privacy\.unit\.nulls"):
        values_of(spark, rows, 2, nulls="error")
    with pytest.raises(InputError, match=r"privacy\.unit\.nulls"):
        count_sizes(keyed(spark, rows, nulls="error"), at_most=3, nulls="error")


def test_rows_are_units_where_there_are_no_keys(spark):
    from pyspark.sql import functions as F

    frame = spark.createDataFrame([("A",), ("A",), ("B",), (None,)], "v string").select(
        F.col("v").alias(VALUE)
    )
    assert dict(count_values(frame, WARD, per_unit=1, nulls="", nonce=1)) == {"A": 2, "B": 1}
