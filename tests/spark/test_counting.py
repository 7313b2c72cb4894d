"""Marginals counted by Spark are those of brute force, however the rows are laid out."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tables_at_random import EVERY, brute_force, plain_frame, schema_of, table_of

from spark_dp.errors import ContributionExceededError
from spark_dp.schema.table import TableSchema
from spark_dp.spark import counting
from spark_dp.spark.counting import MarginalPass, SparkMarginals, count_rows_of
from spark_dp.spark.histograms import counting_layout, split_vector

pytestmark = pytest.mark.spark

COLUMNS = {name: EVERY[name] for name in ("text_other", "flag", "small", "real", "instant", "whole_drop")}
SCHEMA = schema_of(COLUMNS)
CLIQUES = [
    (),
    ("flag",),
    ("real", "flag"),
    ("small", "instant", "text_other"),
    ("whole_drop", "small"),
    tuple(reversed(SCHEMA.names[:4])),
]
LAYOUT = counting_layout(CLIQUES, SCHEMA.domain)


@pytest.fixture(scope="module")
def table():
    return table_of(COLUMNS, 3000, seed=5)


@pytest.fixture(scope="module")
def path(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("counted")
    pq.write_table(table.slice(0, 1000), folder / "a.parquet")
    pq.write_table(table.slice(1000), folder / "b.parquet", row_group_size=300)
    return str(folder)


@pytest.fixture(scope="module")
def expected(table):
    return brute_force(SCHEMA, table, CLIQUES)


def marginals(rows, schema=SCHEMA, layout=LAYOUT, cliques=CLIQUES):
    frame, reader = plain_frame(rows, schema)
    counted = count_rows_of(frame, reader, layout)
    assert counted.vector.dtype == np.int64
    return counted, split_vector(counted.vector, layout, cliques)


def same(found, expected):
    return all(
        np.array_equal(found[c], expected[c]) and found[c].shape == expected[c].shape for c in expected
    )


@pytest.mark.parametrize(("partitions", "shuffled"), [(1, False), (1, True), (7, True), (64, False)])
def test_counts_do_not_depend_on_partitions_or_order(spark, path, table, expected, partitions, shuffled):
    rows = spark.read.parquet(path).repartition(partitions)
    if shuffled:
        rows = rows.sortWithinPartitions("text_other", "real")
    counted, found = marginals(rows)
    assert same(found, expected)
    assert counted.rows == counted.weight == table.num_rows


@pytest.mark.parametrize("setting", ["spark.sql.adaptive.enabled", "spark.sql.ansi.enabled"])
@pytest.mark.parametrize("on", ["true", "false"])
def test_counts_do_not_depend_on_settings_of_the_engine(spark, conf, path, expected, setting, on):
    conf[setting] = on
    conf["spark.sql.execution.arrow.maxRecordsPerBatch"] = "700"
    assert same(marginals(spark.read.parquet(path).repartition(5))[1], expected)


def test_counts_are_the_same_after_what_was_kept_is_let_go(spark, path, expected):
    rows = spark.read.parquet(path).repartition(3).persist()
    before = marginals(rows)[1]
    rows.unpersist(blocking=True)
    assert same(before, expected)
    assert same(marginals(rows)[1], expected)


def test_one_row_less_is_noticed(spark, path, expected):
    assert not same(marginals(spark.read.parquet(path).limit(2999))[1], expected)


def test_a_table_without_rows_has_all_its_cells(spark, path):
    counted, found = marginals(spark.read.parquet(path).where("false"))
    assert (counted.rows, counted.weight, counted.mark) == (0, 0, 0)
    assert [found[c].shape for c in CLIQUES] == [SCHEMA.domain.shape(c) for c in CLIQUES]
    assert not counted.vector.any()


def test_sums_of_many_vectors_are_sums_of_all(spark, monkeypatch, path, expected):
    for bytes_allowed in (1, 1 << 30):
        monkeypatch.setattr(counting, "SUMMED_BYTES", bytes_allowed)
        assert same(marginals(spark.read.parquet(path).repartition(20))[1], expected)


def test_vectors_longer_than_a_piece_are_counted(spark, tmp_path):
    schema = TableSchema.from_settings(
        {"a": {"type": "integer", "min": 0, "max": 1499}, "b": {"type": "integer", "min": 0, "max": 999}}
    )
    layout = counting_layout([("a", "b")], schema.domain)
    assert layout.vector_cells > counting.PIECE_CELLS
    random = np.random.default_rng(1)
    table = pa.table(
        {"a": random.integers(0, 1500, 5000, np.int32), "b": random.integers(0, 1000, 5000, np.int32)}
    )
    pq.write_table(table, tmp_path / "t.parquet")
    rows = spark.read.parquet(str(tmp_path / "t.parquet")).repartition(3)
    found = marginals(rows, schema, layout, [("a", "b"), ("b",)])[1]
    assert same(found, brute_force(schema, table, [("a", "b"), ("b",)]))


class Passes:
    """Counts the passes over the table."""

    def __init__(self, rows):
        self.frame, self.reader = plain_frame(rows, SCHEMA)
        self.prepared, self.layouts, self.checked = 0, [], 0

    def prepare(self):
        self.prepared += 1
        return MarginalPass(self.run, None, self.unchanged)

    def run(self, layout):
        self.layouts.append(layout)
        return count_rows_of(self.frame, self.reader, layout)

    def unchanged(self):
        self.checked += 1


def test_all_that_may_be_asked_is_counted_in_one_pass(spark, path, expected):
    passes = Passes(spark.read.parquet(path))
    source = SparkMarginals(SCHEMA.domain, CLIQUES, passes.prepare)
    assert passes.prepared == 0
    assert same(source.count(CLIQUES[:2]), {c: expected[c] for c in CLIQUES[:2]})
    assert same(source.count(CLIQUES), expected)
    assert (len(passes.layouts), passes.checked) == (1, 1)


def test_what_was_not_announced_is_counted_on_demand(spark, path, table):
    passes = Passes(spark.read.parquet(path))
    source = SparkMarginals(SCHEMA.domain, [("flag",)], passes.prepare)
    asked = [("flag",), ("real", "text_other")]
    assert same(source.count(asked), brute_force(SCHEMA, table, asked))
    assert same(source.count(asked[1:]), brute_force(SCHEMA, table, asked[1:]))
    assert [layout.kept for layout in passes.layouts] == [(("flag",),), (("text_other", "real"),)]


def test_an_input_that_changed_answers_nothing(spark, path):
    passes = Passes(spark.read.parquet(path))

    def changed():
        raise ContributionExceededError("changed")

    source = SparkMarginals(SCHEMA.domain, CLIQUES, lambda: MarginalPass(passes.run, None, changed))
    for _ in range(2):
        with pytest.raises(ContributionExceededError):
            source.count(CLIQUES)
    assert len(passes.layouts) == 2


def test_exact_counts_are_in_no_plan_and_no_picture(spark, path):
    passes = Passes(spark.read.parquet(path))
    source = SparkMarginals(SCHEMA.domain, CLIQUES, passes.prepare)
    source.count(CLIQUES)
    assert "withheld" in repr(source)
