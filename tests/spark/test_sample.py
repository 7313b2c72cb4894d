"""k rows of each unit are kept, chosen by the unit's own rows and the nonce alone."""

import collections

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scipy import stats
from units import counts, keys_of, read, sampled

from spark_dp.errors import InputError
from spark_dp.schema.codec import encode
from spark_dp.schema.table import TableSchema
from spark_dp.spark import bounding

pytestmark = pytest.mark.spark

UNITS = [f"u{i}" for i in range(40)]
SCHEMA = TableSchema.from_settings(
    {
        "id": {"type": "string", "values": UNITS, "undeclared": "drop", "nullable": True},
        "a": {"type": "string", "values": ["x", "y"], "undeclared": "drop"},
        "b": {"type": "integer", "min": 0, "max": 9},
    }
    | {f"c{i}": {"type": "long", "min": 0, "max": 2**20 - 5} for i in range(4)}
)
JOINT = ("id", "a", "b")


def table_of(sizes, seed=1):
    random = np.random.default_rng(seed)
    ids = random.permutation([unit for unit, rows in sizes.items() for _ in range(rows)])
    words = {f"c{i}": random.integers(0, 3, len(ids)) * 2**18 for i in range(4)}
    return pa.table(
        {
            "id": pa.array(ids.tolist(), pa.string()),
            "a": pa.array(random.choice(["x", "y", "dropped"], len(ids), p=[0.6, 0.3, 0.1]).tolist()),
            "b": pa.array(random.integers(0, 10, len(ids)), pa.int32()),
            **{name: pa.array(values, pa.int64()) for name, values in words.items()},
        }
    )


SIZES = {unit: 1 + i % 13 for i, unit in enumerate(UNITS)} | {"u39": 900}


@pytest.fixture(scope="module")
def table():
    return table_of(SIZES)


def kept(rows, k, **how):
    """How many rows of each unit and content are kept: shape (units and null, a, b)."""
    return counts(*sampled(rows, k, schema=SCHEMA, **how), [JOINT], SCHEMA)[JOINT]


@pytest.mark.parametrize("k", [1, 4, 1000])
def test_a_unit_keeps_all_its_rows_or_k(spark, tmp_path, table, k):
    found = kept(read(spark, table, tmp_path / "t"), k)
    whole = table.filter(pc.not_equal(table.column("a"), "dropped"))
    sizes = collections.Counter(whole.column("id").to_pylist())
    assert found.sum(axis=(1, 2))[: len(UNITS)].tolist() == [min(k, sizes[unit]) for unit in UNITS]
    codes = np.zeros(found.shape, np.int64)
    np.add.at(codes, tuple(encode(SCHEMA.column(n), whole.column(n)) for n in JOINT), 1)
    assert (found <= codes).all()


def test_what_is_kept_does_not_depend_on_the_layout(spark, conf, tmp_path, table):
    rows = read(spark, table, tmp_path / "t")
    first = kept(rows, 4)
    for partitions, adaptive in ((1, "true"), (17, "false")):
        conf["spark.sql.adaptive.enabled"] = adaptive
        assert np.array_equal(kept(rows.repartition(partitions, "b").sortWithinPartitions("a"), 4), first)
    assert not np.array_equal(kept(rows, 4, nonce=2), first)


@pytest.mark.parametrize("removed", ["u5", "u39"])
def test_removing_a_unit_changes_no_other_units_rows(spark, tmp_path, table, removed):
    without = table.filter(pc.not_equal(table.column("id"), removed))
    before, after = kept(read(spark, table, tmp_path / "d"), 4), kept(read(spark, without, tmp_path / "e"), 4)
    place = UNITS.index(removed)
    assert not after[place].any()
    assert 0 < before[place].sum() <= 4
    assert np.array_equal(np.delete(before, place, 0), np.delete(after, place, 0))


def test_the_comparison_notices_rows_that_chance_keeps(spark, tmp_path, table):
    rows = read(spark, table, tmp_path / "t")
    assert not np.array_equal(kept(rows.sample(0.9, seed=1), 4), kept(rows.sample(0.9, seed=2), 4))


PAIRS = TableSchema.from_settings(
    {
        "id": {"type": "integer", "min": 0, "max": 1999},
        "a": {"type": "string", "values": ["x", "y"], "undeclared": "drop"},
    }
)


def spread_of_copies(spark, folder, nonce):
    """p of the number of x kept, of units with 5 equal x and 5 equal y and k = 5, against its law."""
    ids = np.repeat(np.arange(2000), 10)
    table = pa.table({"id": pa.array(ids, pa.int32()), "a": pa.array(["x", "y"] * 10_000)})
    bounded, reader = sampled(read(spark, table, folder), 5, schema=PAIRS, nonce=nonce)
    found = counts(bounded, reader, [("id", "a")], PAIRS)[("id", "a")]
    assert (found.sum(axis=1) == 5).all()
    observed = np.bincount(found[:, 0], minlength=6)
    return stats.chisquare(observed, 2000 * stats.hypergeom(10, 5, 5).pmf(np.arange(6))).pvalue


def test_equal_rows_of_a_unit_are_kept_one_by_one(spark, tmp_path):
    assert spread_of_copies(spark, tmp_path / "t", 7) > 1e-6


def test_a_twin_without_the_number_of_the_copy_keeps_clumps(spark, monkeypatch, tmp_path):
    def clumped(batch, most):
        import pyarrow

        copies = batch.column("__copies").to_pylist()
        index = [i for i, c in enumerate(copies) for _ in range(c)]
        names = [name for name in batch.schema.names if name != "__copies"]
        columns = [batch.column(name).take(pyarrow.array(index, pyarrow.int64())) for name in names]
        return pyarrow.RecordBatch.from_arrays(columns, names=names)

    monkeypatch.setattr(bounding, "least_hashes_of_copies", clumped)
    assert spread_of_copies(spark, tmp_path / "t", 7) < 1e-6


def test_what_is_kept_of_equal_rows_does_not_depend_on_partitions(spark, tmp_path):
    """Copies are numbered in the whole table: per partition, other numbers would have the least hashes."""
    ids = np.repeat(np.arange(300), 12)
    table = pa.table({"id": pa.array(ids, pa.int32()), "a": pa.array(["x", "y"] * 1800)})
    rows = read(spark, table, tmp_path / "t")
    found = [
        counts(*sampled(rows.repartition(n), 5, schema=PAIRS), [("id", "a")], PAIRS)[("id", "a")]
        for n in (1, 6)
    ]
    assert (found[0].sum(axis=1)[:300] == 5).all()
    assert np.array_equal(*found)


def test_a_hot_row_of_one_unit_is_cut_to_k(spark, tmp_path):
    table = pa.table(
        {"id": pa.array([1] * 50_000 + [2], pa.int32()), "a": pa.array(["x"] * 49_999 + ["y"] * 2)}
    )
    found = counts(*sampled(read(spark, table, tmp_path / "t"), 3, schema=PAIRS), [("id", "a")], PAIRS)[
        ("id", "a")
    ]
    assert found[1].tolist() == [3, 0]
    assert found[2].tolist() == [0, 1]


def test_null_ids_are_left_out_or_one_unit_or_refused(spark, tmp_path):
    table = table_of({"u0": 3, "u1": 9})
    ids = pa.array(
        [None if i % 2 else unit for i, unit in enumerate(table.column("id").to_pylist())], pa.string()
    )
    table = table.set_column(0, "id", ids)
    rows = read(spark, table, tmp_path / "t", files=1)
    whole = table.filter(pc.not_equal(table.column("a"), "dropped"))
    sizes = collections.Counter(keys_of(whole))
    assert kept(rows, 4).sum() == sum(min(4, m) for key, m in sizes.items() if key is not None)
    one = kept(rows, 4, nulls="one_unit")
    assert one.sum() == sum(min(4, m) for m in sizes.values())
    assert one[-1].sum() == min(4, sizes[None])
    with pytest.raises(InputError) as caught:
        sampled(rows, 4, schema=SCHEMA, nulls="error")
    assert caught.value.field == "privacy.unit.nulls"
