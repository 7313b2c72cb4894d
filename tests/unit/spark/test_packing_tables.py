"""The tables that turn packed values into codes, against the codec on the values themselves."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_dp.schema.codec import encode
from spark_dp.schema.columns import Column
from spark_dp.schema.table import TableSchema
from spark_dp.spark import packing
from spark_dp.spark.packing import WORD, WORD_BITS, Transport, code_words

EPOCH = dt.date(1970, 1, 1)

PACKED = [
    {"type": "string", "values": ["b", "a", "", "Ω", "\x00"], "other": "z", "nullable": True},
    {"type": "string", "values": ["b", "a"], "undeclared": "a"},
    {"type": "string", "values": ["b", "a"], "undeclared": "drop"},
    {"type": "boolean"},
    {"type": "boolean", "nullable": True},
    {"type": "boolean", "values": ["true"], "undeclared": "drop"},
    {"type": "byte", "min": -128, "max": 127, "nullable": True},
    {"type": "byte", "min": -5, "max": 5},
    {"type": "short", "min": -400, "max": 400, "bins": 7},
    {"type": "integer", "values": [5, -3, 900], "other": 7, "nullable": True},
    {"type": "integer", "values": [5, -3, 900], "undeclared": "drop"},
    {"type": "integer", "min": -60, "max": 600, "bins": [-60, 0, 1, 600], "nullable": True},
    {"type": "long", "min": 10**18, "max": 10**18 + 50, "bins": 3},
    {"type": "date", "min": "2013-01-01", "max": "2014-01-01", "bins": 12, "nullable": True},
    {"type": "date", "values": ["1969-12-31", "1970-01-01"], "undeclared": "drop"},
    {"type": "date", "min": "0001-01-01", "max": "0001-03-01"},
]


def packed_value(column, value):
    """What the JVM packs, by the words of the module's docstring."""
    if value is None:
        return 0
    if column.type.is_text:
        return column.values.index(value) + 1 if value in column.values else len(column.values) + 1
    tick = (value - EPOCH).days if isinstance(value, dt.date) else int(value)
    ticks = column.values if column.values is not None else column.tick_range
    low, high = min(ticks), max(ticks)
    return min(max(tick, low - 1), high + 1) - low + 2


def some_values(column):
    if column.type.is_text:
        return [*column.values, "nobody", "B", " a", "\x00\x00", None]
    if column.type.name == "boolean":
        return [True, False, None]
    ticks = column.values if column.values is not None else column.tick_range
    low, high = min(ticks), max(ticks)
    if column.type.name == "date":
        days = [*range(low, min(low + 40, high) + 1), high - 1, high, low - 1, high + 1, 0]
        days = [d for d in days if d + EPOCH.toordinal() >= 1]
        return [
            *(dt.date.fromordinal(EPOCH.toordinal() + d) for d in days),
            dt.date(1, 1, 1),
            dt.date.max,
            None,
        ]
    limits = column.type.tick_limits
    ticks = [low - 2, low - 1, low, low + 1, 0, high - 1, high, high + 1, high + 2, *limits]
    return [*(t for t in ticks if limits[0] <= t <= limits[1]), None]


@pytest.mark.parametrize("given_settings", PACKED, ids=str)
def test_a_packed_value_has_the_code_that_the_codec_gives(given_settings):
    column = Column.from_settings("x", given_settings)
    assert packing._is_packed(column)
    table = packing._table(column)
    values = some_values(column)
    expected = encode(column, pa.array(values, column.type.arrow_type))
    found = [int(table[packed_value(column, value)]) for value in values]
    assert found == expected.tolist()


@pytest.mark.parametrize("given_settings", PACKED, ids=str)
def test_a_table_has_an_entry_for_every_packed_value_that_fits_its_bits(given_settings):
    column = Column.from_settings("x", given_settings)
    assert len(packing._table(column)) == packing._values(column)
    (slot,) = Transport.of(TableSchema(columns=(column,))).slots
    assert packing._values(column) - 1 < 1 << slot.bits


def test_a_table_off_by_one_is_noticed():
    column = Column.from_settings("x", {"type": "byte", "min": -5, "max": 5})
    table = np.roll(packing._table(column), 1)
    found = [int(table[packed_value(column, value)]) for value in some_values(column)]
    assert found != encode(column, pa.array(some_values(column), pa.int8())).tolist()


@pytest.mark.parametrize(
    "given_settings",
    [
        {"type": "double", "min": 0, "max": 1, "bins": 4},
        {"type": "decimal(5,2)", "min": 0, "max": 1, "bins": 4},
        {"type": "timestamp", "min": "2013-01-01", "max": "2013-01-02", "bins": 4},
        {"type": "timestamp_ntz", "min": "2013-01-01", "max": "2013-01-02", "bins": 4},
        {"type": "long", "min": 0, "max": 10**9, "bins": 4},
        {"type": "long", "min": -(2**63), "max": -(2**63) + 9},
        {"type": "long", "min": 2**63 - 9, "max": 2**63 - 1},
        {"type": "string", "values": [str(i) for i in range(257)], "undeclared": "drop"},
    ],
    ids=str,
)
def test_what_no_table_can_hold_travels_as_it_is(given_settings):
    assert Transport.of(TableSchema.from_settings({"x": given_settings})).slots == ()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 2**21), min_size=1, max_size=40))
def test_slots_lie_in_their_words_and_do_not_overlap(sizes):
    slots, words = code_words({str(i): size for i, size in enumerate(sizes)})
    assert sorted(slot.column for slot in slots) == sorted(str(i) for i in range(len(sizes)))
    taken = [0] * words
    for slot in slots:
        bits = ((1 << slot.bits) - 1) << slot.shift
        assert bits < 1 << WORD_BITS
        assert taken[slot.word] & bits == 0
        assert sizes[int(slot.column)] - 1 < 1 << slot.bits
        taken[slot.word] |= bits


def pack(schema, transport, rows):
    """Packs rows as the JVM does, in numpy."""
    words = np.zeros((transport.words, len(rows)), np.int64)
    for slot in transport.slots:
        column = schema.column(slot.column)
        place = schema.names.index(slot.column)
        values = np.array([packed_value(column, row[place]) for row in rows], np.int64)
        words[slot.word] |= values << slot.shift
    return pa.RecordBatch.from_arrays([pa.array(w) for w in words], [f"{WORD}{i}" for i in range(len(words))])


SCHEMA = TableSchema.from_settings(
    {
        "s": {"type": "string", "values": ["a", "b"], "undeclared": "drop"},
        "i": {"type": "integer", "min": 0, "max": 9, "nullable": True},
        "b": {"type": "boolean", "nullable": True},
    }
)
ROWS = [("a", 3, True), ("b", None, None), ("?", 4, False), ("a", 99, False), (None, 1, True)]


def test_a_row_is_dropped_when_a_column_says_so_that_nobody_asked_for():
    transport = Transport.of(SCHEMA)
    codes, kept = transport.decoder(["i"]).codes(pack(SCHEMA, transport, ROWS))
    assert list(codes) == ["i"]
    assert codes["i"][kept].tolist() == [3, 10, 9]
    assert kept.tolist() == [True, True, False, True, False]


def test_where_no_row_is_dropped_nothing_is_filtered():
    transport = Transport.of(SCHEMA)
    codes, kept = transport.decoder(["s", "b"]).codes(pack(SCHEMA, transport, ROWS[:2]))
    assert kept is None
    assert codes["s"].tolist() == [0, 1]
    assert codes["b"].tolist() == [1, 2]
