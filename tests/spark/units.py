"""Tables of units with many rows, and how they are bounded by brute force."""

from __future__ import annotations

import collections

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tables_at_random import brute_force

from spark_dp.schema.table import TableSchema
from spark_dp.spark import bounding
from spark_dp.spark.counting import MarginalPass, SparkMarginals, count_rows_of
from spark_dp.spark.encode import RowReader, encoded_words
from spark_dp.spark.packing import Transport

W = bounding.WEIGHT_UNIT
SCHEMA = TableSchema.from_settings(
    {
        "a": {"type": "string", "values": ["x", "y", "z"], "undeclared": "drop"},
        "b": {"type": "integer", "min": 0, "max": 9, "nullable": True},
    }
)
CLIQUES = [("a", "b"), ("a",), ("b",), ()]


def units_table(sizes: dict[object, int], kind: pa.DataType, seed: int = 0) -> pa.Table:
    """Gives unit u `sizes[u]` rows, in random order; a few of them have no cell."""
    random = np.random.default_rng(seed)
    ids = [unit for unit, rows in sizes.items() for _ in range(rows)]
    order = random.permutation(len(ids))
    values = ["x", "y", "z", "dropped", None]
    return pa.table(
        {
            "id": pa.array([ids[i] for i in order], kind),
            "a": pa.array([values[i] for i in random.choice(5, len(ids), p=[0.4, 0.3, 0.2, 0.05, 0.05])]),
            "b": pa.array(random.integers(-3, 14, len(ids)), pa.int32()),
        }
    )


def read(spark, table: pa.Table, folder, files: int = 3):
    folder.mkdir()
    step = -(-table.num_rows // files)
    for i in range(files):
        pq.write_table(table.slice(i * step, step), folder / f"p{i}.parquet")
    return spark.read.parquet(str(folder))


def keys_of(table: pa.Table, unit=("id",), nulls="drop"):
    """Each row's unit, and which rows belong to none."""
    rows = list(zip(*(table.column(name).to_pylist() for name in unit), strict=True))
    return [None if any(part is None for part in row) else row for row in rows]


def expected_weights(table: pa.Table, k: int, unit=("id",), nulls="drop") -> np.ndarray:
    """floor(W k / m) a row of a unit of m > k rows, by Python."""
    keys = keys_of(table, unit)
    sizes = collections.Counter(keys)
    weights = [W if sizes[key] <= k else W * k // sizes[key] for key in keys]
    return np.array(
        [0 if key is None and nulls == "drop" else w for key, w in zip(keys, weights, strict=True)]
    )


def expected_counts(table: pa.Table, k: int, cliques=CLIQUES, **how):
    return brute_force(SCHEMA, table, cliques, expected_weights(table, k, **how))


def weighed(rows, k, *, unit=("id",), nulls="drop", nonce=1, schema=SCHEMA):
    transport = Transport.of(schema)
    keyed = bounding.with_unit_keys(rows, unit, nulls, transport.expressions())
    return bounding.weigh(keyed, max_rows=k, nulls=nulls, nonce=nonce), RowReader(transport)


def sampled(rows, k, *, unit=("id",), nulls="drop", nonce=1, schema=SCHEMA):
    transport = Transport.of(schema)
    keyed = bounding.with_unit_keys(rows, unit, nulls, transport.expressions())
    words, reader = encoded_words(keyed, schema, transport)
    return bounding.sample(words, max_rows=k, nulls=nulls, nonce=nonce), reader


def source_of(bounded, reader, cliques=CLIQUES, schema=SCHEMA):
    """The marginals as the curator gets them, with the check of the marks."""
    run = lambda layout: count_rows_of(bounded.rows, reader, layout)  # noqa: E731
    return SparkMarginals(schema.domain, cliques, lambda: MarginalPass(run, bounded.totals, lambda: None))


def counts(bounded, reader, cliques=CLIQUES, schema=SCHEMA):
    try:
        return dict(source_of(bounded, reader, cliques, schema).count(cliques))
    finally:
        bounded.release()


def same(found, expected) -> bool:
    return all(np.array_equal(found[c], expected[c]) for c in expected)
