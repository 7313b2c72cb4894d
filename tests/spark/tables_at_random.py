"""Tables with every column type, with values of every kind, and what is counted in them by brute force."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal

import numpy as np
import pyarrow as pa

from spark_dp.schema.codec import DROPPED, encode
from spark_dp.schema.table import TableSchema
from spark_dp.spark.encode import RowReader
from spark_dp.spark.packing import Transport

UTC = dt.UTC
FAR = [dt.datetime(1, 1, 2), dt.datetime(1500, 1, 1), dt.datetime(9999, 12, 30)]
NEAR = [dt.datetime(2013, 1, 1), dt.datetime(2013, 3, 10, 2, 30), dt.datetime(2013, 11, 3, 1, 30, 0, 999999)]
MOMENTS = [*FAR, *NEAR, dt.datetime(2014, 1, 1), dt.datetime(1969, 12, 31, 23, 59, 59, 999999), None]
DAYS = [
    dt.date(1, 1, 1),
    dt.date(1500, 1, 1),
    dt.date(2013, 1, 1),
    dt.date(2013, 6, 30),
    dt.date(9999, 12, 31),
    None,
]
TEXTS = [
    "UA",
    "AA",
    "aa",
    "UA ",
    "",
    "null",
    "Ω≈ç",
    "\N{GRINNING FACE}",
    "a'b\"c\\",
    "\x00",
    "no one's",
    None,
]
FLOATS = [0.0, -0.0, 1.5, -1.5, 10.0, 1e300, -1e300, 5e-324, math.nan, math.inf, -math.inf, None]
SINGLES = [0.0, -0.0, 0.1, 10.0, 3e38, -3e38, math.nan, math.inf, -math.inf, None]


def limits(bits: int) -> list[int | None]:
    return [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, -61, -60, -1, 0, 1, 59, 60, 61, None]


COLUMNS: dict[str, tuple[dict[str, object], list[object]]] = {
    "text_other": (
        {"type": "string", "values": ["UA", "", "Ω≈ç", "a'b\"c\\", "\x00"], "other": "ZZ", "nullable": True},
        TEXTS,
    ),
    "text_value": ({"type": "string", "values": ["UA", "AA"], "undeclared": "AA"}, TEXTS),
    "text_many": (
        {"type": "string", "values": ["AA", *map(str, range(300))], "other": "?"},
        [*TEXTS, "17", "299"],
    ),
    "flag": ({"type": "boolean", "nullable": True}, [True, False, None]),
    "tiny": ({"type": "byte", "min": -128, "max": 127, "nullable": True}, limits(8)),
    "small": ({"type": "short", "min": -60, "max": 60, "bins": 7, "nullable": True}, limits(16)),
    "whole": ({"type": "integer", "values": [-60, 0, 61], "other": 5, "nullable": True}, limits(32)),
    "wide": ({"type": "long", "min": -60, "max": 60, "bins": [-60, 0, 1, 60], "nullable": True}, limits(64)),
    "wider": ({"type": "long", "min": -(2**63), "max": 2**63 - 1, "bins": 9, "nullable": True}, limits(64)),
    "single": ({"type": "float", "min": 0, "max": 10, "bins": 5, "nullable": True, "nan": "cell"}, SINGLES),
    "real": (
        {"type": "double", "min": -2, "max": 10, "bins": 6, "nullable": True, "nan": 1.5, "infinity": "null"},
        FLOATS,
    ),
    "money": (
        {"type": "decimal(10,2)", "min": "-1.50", "max": "99.99", "bins": 4, "nullable": True},
        [Decimal("-99999999.99"), Decimal("-1.50"), Decimal("0.00"), Decimal("99999999.99"), None],
    ),
    "huge": (
        {"type": "decimal(38,3)", "min": 0, "max": 1000, "bins": 4, "nullable": True},
        [Decimal("9" * 35 + ".999"), Decimal("-" + "9" * 35 + ".999"), Decimal("500.001"), None],
    ),
    "code": (
        {"type": "decimal(5,0)", "values": ["7", "12345"], "other": "1", "nullable": True},
        [Decimal(7), Decimal(8), None],
    ),
    "day": ({"type": "date", "min": "2013-01-01", "max": "2014-01-01", "bins": 12, "nullable": True}, DAYS),
    "day_far": (
        {"type": "date", "min": "0001-01-01", "max": "9999-12-31", "bins": 5, "nullable": True},
        DAYS,
    ),
    "instant": (
        {
            "type": "timestamp",
            "timezone": "America/New_York",
            "min": "2013-01-01",
            "max": "2014-01-01",
            "bins": 24,
            "nullable": True,
        },
        [None if m is None else m.replace(tzinfo=UTC) for m in MOMENTS],
    ),
    "wall": (
        {"type": "timestamp_ntz", "min": "2013-01-01", "max": "2014-01-01", "bins": 24, "nullable": True},
        MOMENTS,
    ),
}

DROPPING = {
    "text_drop": ({"type": "string", "values": ["UA", "AA"], "undeclared": "drop"}, TEXTS),
    "whole_drop": ({"type": "integer", "values": [-60, 0, 61], "undeclared": "drop"}, limits(32)),
    "real_drop": ({"type": "double", "min": -2, "max": 10, "bins": 6, "infinity": "drop"}, FLOATS),
    "flag_drop": ({"type": "boolean", "values": [True], "undeclared": "drop"}, [True, False, None]),
}

EVERY = COLUMNS | DROPPING


def schema_of(columns) -> TableSchema:
    return TableSchema.from_settings({name: settings for name, (settings, _) in columns.items()})


def table_of(columns, rows: int, seed: int = 0) -> pa.Table:
    """Draws rows from the values listed for each column; each value is there at least once."""
    schema, random = schema_of(columns), np.random.default_rng(seed)
    arrays = []
    for column, (_, values) in zip(schema.columns, columns.values(), strict=True):
        drawn = [*values, *(values[i] for i in random.integers(0, len(values), max(0, rows - len(values))))]
        order = random.permutation(rows)
        arrays.append(pa.array([drawn[i] for i in order], column.type.arrow_type))
    return pa.Table.from_arrays(arrays, names=list(schema.names))


def encoded(schema: TableSchema, table: pa.Table):
    """The codes of the rows that are kept, and which these are, by the codec alone."""
    codes = {c.name: encode(c, table.column(c.name)) for c in schema.columns}
    kept = np.logical_and.reduce([c != DROPPED for c in codes.values()])
    return {name: found[kept] for name, found in codes.items()}, kept


def brute_force(schema: TableSchema, table: pa.Table, cliques, weights=None):
    """Each clique's marginal by numpy."""
    codes, kept = encoded(schema, table)
    weight = np.ones(table.num_rows, np.int64) if weights is None else np.asarray(weights, np.int64)
    answers = {}
    for clique in cliques:
        counts = np.zeros(schema.domain.shape(clique), np.int64)
        np.add.at(counts, tuple(codes[a] for a in clique), weight[kept]) if clique else counts.__iadd__(
            weight[kept].sum()
        )
        answers[clique] = counts
    return answers


def plain_frame(rows, schema: TableSchema, *, packed: bool = True):
    """The frame that is counted where the unit is the row, and its reader."""
    transport = Transport.of(schema, packed=packed)
    return rows.select(*transport.expressions()), RowReader(transport)
