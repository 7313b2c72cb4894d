"""Every unit weighs at most k rows, whatever it has and wherever it lies."""

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from units import (
    CLIQUES,
    SCHEMA,
    W,
    counts,
    expected_counts,
    expected_weights,
    read,
    same,
    units_table,
    weighed,
)

from spark_dp.errors import ContributionExceededError, InputError
from spark_dp.spark import bounding
from spark_dp.spark.tables import require_columns

pytestmark = pytest.mark.spark

SIZES = {f"u{i}": 1 + i % 9 for i in range(60)} | {"hot": 700, None: 11}


@pytest.fixture(scope="module")
def table():
    return units_table(SIZES, pa.string())


@pytest.mark.parametrize("k", [1, 4, 50, 10_000])
def test_a_row_weighs_its_share_of_k_and_never_more(spark, tmp_path, table, k):
    found = counts(*weighed(read(spark, table, tmp_path / "t"), k))
    assert same(found, expected_counts(table, k))


@pytest.mark.parametrize(("partitions", "adaptive"), [(1, "true"), (7, "false"), (64, "true")])
def test_weights_do_not_depend_on_the_layout(spark, conf, tmp_path, table, partitions, adaptive):
    conf["spark.sql.adaptive.enabled"] = adaptive
    rows = read(spark, table, tmp_path / "t").repartition(partitions, "b")
    assert same(counts(*weighed(rows, 4)), expected_counts(table, 4))


def test_weights_that_are_shuffled_are_those_that_are_broadcast(spark, monkeypatch, tmp_path, table):
    monkeypatch.setattr(bounding, "BROADCAST_UNITS", 0)
    assert same(counts(*weighed(read(spark, table, tmp_path / "t"), 4)), expected_counts(table, 4))


def test_a_weight_rounded_up_is_noticed(table):
    up = [W if w == W else w + 1 for w in expected_weights(table, 4)]
    assert not np.array_equal(up, expected_weights(table, 4))
    assert sum(w for w, u in zip(up, table.column("id").to_pylist(), strict=True) if u == "hot") > 4 * W


def test_a_unit_with_a_million_rows_in_ten_files_weighs_at_most_k(spark, tmp_path):
    k, sizes = 3, {"hot": 1_000_000, "cold": 2}
    bounded, reader = weighed(read(spark, units_table(sizes, pa.string()), tmp_path / "t", files=10), k)
    weights = bounded.rows.toArrow().column("__weight").to_numpy()
    assert len(weights) == 1_000_002
    assert weights.sum() == bounded.totals.weight
    assert weights.sum() - 2 * W == 1_000_000 * (W * k // 1_000_000) <= k * W
    total = counts(bounded, reader, [()])[()]
    assert total <= (k + 2) * W


@pytest.mark.parametrize(("removed", "nulls"), [("u8", "one_unit"), ("hot", "drop")])
def test_removing_a_unit_leaves_the_others_as_they_were(spark, tmp_path, table, removed, nulls):
    k = 4
    without = table.filter(pc.fill_null(pc.not_equal(table.column("id"), removed), True))
    before = counts(*weighed(read(spark, table, tmp_path / "d"), k, nulls=nulls))
    after = counts(*weighed(read(spark, without, tmp_path / "e"), k, nulls=nulls))
    assert same(after, expected_counts(without, k, nulls=nulls))
    for clique in CLIQUES:
        moved = (before[clique] - after[clique]).ravel()
        assert (moved >= 0).all()
        assert 0 < moved.sum() <= k * W
        assert np.square(moved.astype(float)).sum() <= float(k * W) ** 2


def test_the_bound_is_too_tight_for_rows_that_are_not_weighed(spark, tmp_path, table):
    k = 4
    hot = table.filter(pc.equal(table.column("id"), "hot"))
    found = counts(*weighed(read(spark, hot, tmp_path / "t"), 10_000), [("a",)])
    assert found[("a",)].sum() > k * W


IDS = {
    "string": (pa.string(), ["a", "A", "a ", "", "Ω"]),
    "byte": (pa.int8(), [-128, -1, 0, 1, 127]),
    "short": (pa.int16(), [-(2**15), 0, 1, 2, 3]),
    "integer": (pa.int32(), [-(2**31), 0, 1, 2, 3]),
    "long": (pa.int64(), [-(2**63), 2**53, 2**53 + 1, 0, 1]),
    "decimal": (
        pa.decimal128(38, 0),
        [Decimal(10**37), Decimal(10**37 + 1), Decimal(0), Decimal(-1), Decimal(1)],
    ),
    "binary": (pa.binary(), [b"\x00", b"\x00\x00", b"", b"\xff\xfe", b"a"]),
}


@pytest.mark.parametrize("kind", IDS)
def test_ids_of_every_allowed_type_tell_units_apart(spark, tmp_path, kind):
    arrow_type, ids = IDS[kind]
    table = units_table({unit: 3 + 2 * i for i, unit in enumerate(ids)} | {None: 2}, arrow_type)
    rows = read(spark, table, tmp_path / "t", files=1)
    require_columns(rows, SCHEMA, ["id"])
    assert same(counts(*weighed(rows, 4)), expected_counts(table, 4))


@pytest.mark.parametrize(
    "sql_type", ["float", "double", "timestamp", "timestamp_ntz", "date", "boolean", "decimal(9,2)"]
)
def test_ids_that_equality_cannot_tell_apart_are_refused_by_name(spark, sql_type):
    rows = spark.sql(f"SELECT 'x' AS a, 1 AS b, CAST(NULL AS {sql_type}) AS id")
    with pytest.raises(InputError, match="id") as caught:
        require_columns(rows, SCHEMA, ["id"])
    assert caught.value.field == "privacy.unit.column"


def composite(first, second):
    table = units_table(dict.fromkeys(range(len(first)), 6), pa.int64(), seed=3)
    row = table.column("id").to_pylist()
    ids = {"p": pa.array([first[i] for i in row]), "q": pa.array([second[i] for i in row])}
    return pa.table({**ids, "a": table.column("a"), "b": table.column("b")})


def test_ids_that_differ_only_by_where_they_are_cut_are_two_units(spark, tmp_path):
    table = composite(["a", "ab", "", "abc"], ["bc", "c", "abc", ""])
    found = counts(*weighed(read(spark, table, tmp_path / "t"), 4, unit=("p", "q")))
    assert same(found, expected_counts(table, 4, unit=("p", "q")))
    joined = pa.table(
        {**{n: table.column(n) for n in "ab"}, "id": pc.binary_join_element_wise(table["p"], table["q"], "")}
    )
    assert not same(found, expected_counts(joined, 4))


@pytest.mark.parametrize("nulls", ["drop", "one_unit"])
def test_a_null_part_makes_the_whole_id_null(spark, tmp_path, nulls):
    table = composite(["a", "a", None, None], ["b", None, "b", None])
    found = counts(*weighed(read(spark, table, tmp_path / "t"), 4, unit=("p", "q"), nulls=nulls))
    assert same(found, expected_counts(table, 4, unit=("p", "q"), nulls=nulls))
    assert found[()] < (8 if nulls == "one_unit" else 4) * W + 1


def test_null_ids_are_refused_where_they_are_errors(spark, tmp_path, table):
    rows = read(spark, table, tmp_path / "t")
    with pytest.raises(InputError) as caught:
        weighed(rows, 4, nulls="error")
    assert caught.value.field == "privacy.unit.nulls"
    assert not any(character.isdigit() for character in str(caught.value))
    assert same(counts(*weighed(rows.where("id IS NOT NULL"), 4, nulls="error")), expected_counts(table, 4))


@pytest.mark.parametrize("sizes", [{}, {"one": 1}, {None: 5}])
def test_tables_of_no_unit_or_one(spark, tmp_path, sizes):
    table = units_table({"x": 1} | sizes, pa.string())
    rows = read(spark, table, tmp_path / "t", files=1).where("id != 'x' OR id IS NULL")
    kept = table.filter(pc.fill_null(pc.not_equal(table.column("id"), "x"), True))
    assert same(counts(*weighed(rows, 4)), expected_counts(kept, 4))


def test_counts_do_not_depend_on_the_nonce(spark, tmp_path, table):
    rows = read(spark, table, tmp_path / "t")
    assert same(counts(*weighed(rows, 4, nonce=2**62 - 1)), expected_counts(table, 4))


def test_what_spark_kept_may_be_lost_between_two_passes(spark, tmp_path, table):
    bounded, reader = weighed(read(spark, table, tmp_path / "t"), 4)
    first = counts(bounded, reader)
    assert same(counts(bounded, reader), first)


@pytest.mark.parametrize("field", ["weight", "mark"])
def test_other_totals_than_the_pass_finds_are_refused(spark, tmp_path, table, field):
    import dataclasses

    bounded, reader = weighed(read(spark, table, tmp_path / "t"), 4)
    wrong = dataclasses.replace(bounded.totals, **{field: getattr(bounded.totals, field) + 1})
    with pytest.raises(ContributionExceededError):
        counts(dataclasses.replace(bounded, totals=wrong), reader)
