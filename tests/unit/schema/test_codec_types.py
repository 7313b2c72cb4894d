"""Encoding and decoding of each type, value by value."""

import datetime as dt
import math
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from spark_dp.errors import InputError, InternalError
from spark_dp.schema.codec import DROPPED, decode, encode, uniform_below
from spark_dp.schema.columns import Column

NAN, INF = math.nan, math.inf


def column(**settings):
    return Column.from_settings("x", settings)


def codes_of(a_column, values, kind=None):
    return encode(a_column, pa.array(values, kind or a_column.type.arrow_type)).tolist()


CARRIER = {"type": "string", "values": ["UA", "AA", "NO"]}
DELAY = {"type": "integer", "min": -60, "max": 600, "bins": 24}
DISTANCE = {"type": "double", "min": 0, "max": 100, "bins": [0, 10, 50, 100]}


@pytest.mark.parametrize(
    ("settings", "values", "codes"),
    [
        (CARRIER | {"other": "ZZ"}, ["UA", "NO", "", "ZZ", "ua", None], [0, 2, 3, 3, 3, 3]),
        (CARRIER | {"other": "ZZ", "nullable": True}, ["AA", "??", None], [1, 3, 4]),
        (CARRIER | {"undeclared": "AA"}, ["UA", "??", None], [0, 1, 1]),
        (CARRIER | {"undeclared": "drop"}, ["UA", "??", None], [0, DROPPED, DROPPED]),
        (CARRIER | {"undeclared": "drop", "nullable": "true"}, ["??", None], [DROPPED, 3]),
        ({"type": "boolean"}, [True, False, None], [1, 0, DROPPED]),
        ({"type": "boolean", "undeclared": "false"}, [True, None], [1, 0]),
        ({"type": "boolean", "nullable": True}, [True, False, None], [1, 0, 2]),
        ({"type": "byte", "min": -3, "max": 3}, [-128, -3, 0, 3, 127], [0, 0, 3, 6, 6]),
        ({"type": "short", "values": [7, -7], "other": 0}, [7, -7, 9, 0, -32768], [0, 1, 2, 2, 2]),
        (DELAY, [-(2**31), -60, -34, -33, 600, 2**31 - 1, None], [0, 0, 0, 1, 23, 23, DROPPED]),
        (
            {"type": "long", "values": [2**63 - 1, -(2**63)], "undeclared": "drop"},
            [2**63 - 1, -(2**63), 0],
            [0, 1, DROPPED],
        ),
        (
            {"type": "long", "min": -(2**63), "max": 2**63 - 1, "bins": 2},
            [-(2**63), -1, 0, 2**63 - 1],
            [0, 0, 1, 1],
        ),
        (
            DISTANCE | {"nullable": True, "nan": "cell"},
            [-0.0, 9.99, 10, 100, 1e300, -INF, INF, NAN, None],
            [0, 0, 1, 2, 2, 0, 2, 3, 4],
        ),
        (DISTANCE, [NAN, None, 5], [DROPPED, DROPPED, 0]),
        (DISTANCE | {"nullable": True}, [NAN, None], [3, 3]),
        (DISTANCE | {"nan": "50"}, [NAN, 49.0], [2, 1]),
        (DISTANCE | {"infinity": "drop"}, [INF, -INF, 1.0], [DROPPED, DROPPED, 0]),
        (DISTANCE | {"infinity": "null", "nullable": True}, [INF, -INF, 1.0], [3, 3, 0]),
        ({"type": "double", "min": -1, "max": 1, "bins": 2}, [-0.0, 0.0, -5e-324], [1, 1, 0]),
        (
            {"type": "decimal(5,2)", "min": "0.10", "max": "0.12"},
            [Decimal("-1"), Decimal("0.11"), Decimal("0.12"), Decimal("999.99")],
            [0, 1, 2, 2],
        ),
        (
            {"type": "decimal(38,0)", "min": -10, "max": 10, "bins": 3},
            [Decimal(2**64 + 1), Decimal(-(2**64) + 1), Decimal(0), Decimal(10**37)],
            [2, 0, 1, 2],
        ),
        (
            {"type": "decimal(38,0)", "values": [0, 2**63 - 2], "undeclared": "drop"},
            [Decimal(10**30)],
            [DROPPED],
        ),
        (
            {"type": "date", "min": "2013-01-01", "max": "2013-01-03"},
            [dt.date(1, 1, 1), dt.date(2013, 1, 2), dt.date(9999, 1, 1)],
            [0, 1, 2],
        ),
    ],
)
def test_each_value_goes_to_its_cell(settings, values, codes):
    assert codes_of(column(**settings), values) == codes


ALONE = [
    ({"type": "integer", "min": 0, "max": 9}, [3, 7, 12]),
    ({"type": "integer", "values": [2, 5, 9], "undeclared": 2}, [5, 9, 7]),
    (DELAY, [100, 200, 700]),
    (DISTANCE, [20.0, 60.0, 1000.0]),
    (CARRIER | {"other": "ZZ"}, ["NO", "XX", "AA"]),
]


@pytest.mark.parametrize(
    ("settings", "values"), ALONE, ids=lambda given: given.get("type", "") if isinstance(given, dict) else ""
)
def test_the_code_of_a_value_does_not_depend_on_the_rows_beside_it(settings, values):
    together = codes_of(column(**settings), values)
    assert [codes_of(column(**settings), [value])[0] for value in values] == together
    assert codes_of(column(**settings), values[::-1]) == together[::-1]


def test_timestamps_are_declared_in_local_time_and_encoded_by_instant():
    new_york = column(
        type="timestamp", timezone="America/New_York", bins=["2013-07-01", "2013-07-02", "2013-07-03"]
    )
    before, after = (
        dt.datetime(2013, 7, 2, 3, 59, tzinfo=dt.UTC),
        dt.datetime(2013, 7, 2, 4, 0, tzinfo=dt.UTC),
    )
    assert codes_of(new_york, [before, after]) == [0, 1]
    utc = column(type="timestamp", bins=["2013-07-01", "2013-07-02", "2013-07-03"])
    assert codes_of(utc, [before, after]) == [1, 1]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo"])
def test_an_instant_has_one_code_in_any_unit_and_zone(unit, zone):
    days = column(type="timestamp", min="1969-12-30", max="1970-01-03", bins=4)
    moments = [dt.datetime(1969, 12, 31, 23, 59, 59, tzinfo=dt.UTC), dt.datetime(1970, 1, 1, tzinfo=dt.UTC)]
    raw = pa.array(moments, pa.timestamp("us", "UTC")).cast(pa.timestamp(unit, "UTC"))
    assert encode(days, raw.cast(pa.int64()).cast(pa.timestamp(unit, zone))).tolist() == [1, 2]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_time_beyond_all_calendars_is_clipped_by_its_sign(unit):
    days = column(type="timestamp_ntz", min="1970-01-01", max="1970-01-03", bins=2)
    extremes = pa.array([-(2**63), 2**63 - 1], pa.int64()).cast(pa.timestamp(unit))
    assert encode(days, extremes).tolist() == [0, 1]


def test_a_wall_clock_time_knows_no_zone():
    hours = column(type="timestamp_ntz", min="2013-03-10", max="2013-03-11", bins=24)
    assert codes_of(hours, [dt.datetime(2013, 3, 10, 2, 30)]) == [2]
    with pytest.raises(InputError, match="timestamp_ntz"):
        encode(hours, pa.array([0], pa.timestamp("us", "UTC")))


def test_a_date_may_be_stored_in_milliseconds():
    days = column(type="date", min="1969-12-30", max="1970-01-02")
    assert codes_of(days, [dt.date(1969, 12, 31), dt.date(1970, 1, 1)], pa.date64()) == [1, 2]


@pytest.mark.parametrize("kind", [pa.int8(), pa.int16(), pa.int32()])
def test_a_narrower_integer_is_encoded(kind):
    assert codes_of(column(**DELAY), [-60, 100], kind) == [0, 5]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_text_may_be_stored_in_any_way(kind):
    assert codes_of(column(**CARRIER, other="ZZ"), ["NO", "??", None], kind) == [2, 3, 3]


def test_a_dictionary_may_hold_nulls_and_words_that_no_row_uses():
    words = pa.DictionaryArray.from_arrays(pa.array([0, 2, None, 3], pa.int8()), ["UA", "??", "NO", None])
    assert encode(column(**CARRIER, other="ZZ", nullable=True), words).tolist() == [0, 2, 4, 4]
    empty = pa.DictionaryArray.from_arrays(pa.array([None, None], pa.int8()), pa.array([], pa.string()))
    assert encode(column(**CARRIER, other="ZZ", nullable=True), empty).tolist() == [4, 4]


def test_a_column_of_nothing_but_nulls_is_encoded():
    assert encode(column(**DELAY, nullable=True), pa.nulls(2)).tolist() == [24, 24]
    assert encode(column(**DELAY), pa.nulls(2, pa.int32())).tolist() == [DROPPED, DROPPED]
    assert encode(column(**DELAY), pa.chunked_array([], pa.int32())).tolist() == []


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        (DELAY, pa.int64()),
        (DELAY, pa.uint8()),
        (DELAY, pa.string()),
        (CARRIER | {"other": "ZZ"}, pa.int32()),
        (DISTANCE, pa.int32()),
        ({"type": "float", "min": 0, "max": 1, "bins": 2}, pa.float64()),
        ({"type": "boolean"}, pa.int8()),
        ({"type": "date", "min": "2013-01-01", "max": "2013-01-03"}, pa.timestamp("us")),
        ({"type": "decimal(5,2)", "min": 0, "max": 1}, pa.decimal128(5, 3)),
        ({"type": "decimal(5,2)", "min": 0, "max": 1}, pa.decimal128(6, 2)),
        ({"type": "timestamp", "min": "2013-01-01", "max": "2013-01-03", "bins": 2}, pa.date32()),
    ],
)
def test_another_type_is_refused_by_name(settings, kind):
    with pytest.raises(InputError, match="declared as") as caught:
        encode(column(**settings), pa.array([], kind))
    assert caught.value.field == "schema.x.type"


@pytest.mark.parametrize("codes", [[0, -1], [25]])
def test_a_code_outside_of_the_column_is_never_decoded(codes):
    with pytest.raises(InternalError):
        decode(column(**DELAY, nullable=True), np.array(codes), np.zeros(len(codes), np.uint64))


def test_every_row_needs_a_draw():
    with pytest.raises(InternalError, match="draws"):
        decode(column(**DELAY), np.array([0, 1]), np.zeros(1, np.uint64))


@pytest.mark.parametrize("nullable", [True, False])
def test_one_bin_a_value_decodes_to_the_value_up_to_the_end_of_the_type(nullable):
    top = column(type="byte", min=125, max=127, nullable=nullable)
    cells = np.arange(top.size)
    decoded = decode(top, cells, np.zeros(len(cells), np.uint64))
    assert decoded.to_pylist() == [125, 126, 127, None][: top.size]
    assert decoded.type == pa.int8()


def test_other_decodes_to_its_literal():
    carrier = column(**CARRIER, other="ZZ", nullable=True)
    assert decode(carrier, np.arange(5), np.zeros(5, np.uint64)).to_pylist() == ["UA", "AA", "NO", "ZZ", None]


def test_nan_decodes_to_nan_and_null_to_null():
    distance = column(**DISTANCE, nan="cell", nullable=True)
    nan, null = decode(distance, np.array([3, 4]), np.zeros(2, np.uint64)).to_pylist()
    assert math.isnan(nan)
    assert null is None


def test_a_closed_last_bin_reaches_its_maximum():
    days = column(type="date", min="2013-01-01", max="2013-01-10", bins=2)
    last = decode(days, np.array([1]), np.array([2**64 - 1], np.uint64))
    assert last.to_pylist() == [dt.date(2013, 1, 10)]


def test_a_32_bit_float_stays_in_its_bin_after_rounding():
    narrow = column(type="float", bins=[0.1, 0.2, 0.3])
    draws = np.array([0, 2**64 - 1] * 2, np.uint64)
    decoded = decode(narrow, np.array([0, 0, 1, 1]), draws)
    assert decoded.type == pa.float32()
    assert encode(narrow, decoded).tolist() == [0, 0, 1, 1]
    assert all(0.1 <= value <= 0.3 for value in decoded.cast(pa.float64()).to_pylist())


def test_local_times_of_a_clock_change_are_the_earlier_ones():
    fall = column(
        type="timestamp", timezone="America/New_York", min="2013-11-03T01:30", max="2013-11-04", bins=1
    )
    first = dt.datetime(2013, 11, 3, 5, 30, tzinfo=dt.UTC)  # 01:30 comes again an hour later
    assert decode(fall, np.array([0]), np.zeros(1, np.uint64)).to_pylist() == [first]


UNIFORM = [
    ({"type": "integer", "min": 0, "max": 39, "bins": 2}, 20),
    ({"type": "decimal(9,1)", "min": "-1.0", "max": "0.9", "bins": 1}, 20),
    ({"type": "date", "min": "2013-01-01", "max": "2013-01-20", "bins": 1}, 20),
    ({"type": "double", "min": -3, "max": 17, "bins": 1}, 20),
    ({"type": "long", "min": -(2**63), "max": 2**63 - 1, "bins": 2}, 20),
    ({"type": "timestamp", "min": "2013-01-01", "max": "2014-01-01", "bins": 3}, 20),
]


def share_in_each_part(a_column, parts, power=1):
    """Decodes the first cell of many draws and counts the values in each of `parts` equal parts."""
    draws = np.random.default_rng(5).integers(0, 2**64, 40_000, np.uint64)
    if power != 1:
        draws = ((draws / 2.0**64) ** power * (2.0**64 - 2**12)).astype(np.uint64)
    values = decode(a_column, np.zeros(len(draws), np.int64), draws)
    if a_column.type.is_floating:
        numbers, (low, high) = values.to_numpy(), a_column.float_bins().edges[:2]
    else:
        unscaled = values.cast(pa.decimal128(38, 1)).to_pylist() if a_column.type.name == "decimal" else None
        numbers = np.array([int(10 * v) for v in unscaled]) if unscaled else ticks(values)
        bins = a_column.tick_bins()
        low, high = float(bins.lows[0]), float(bins.highs[0]) + 1
    return np.histogram(numbers.astype(np.float64), bins=parts, range=(low, high))[0]


def ticks(values):
    return values.cast(pa.int32() if values.type == pa.date32() else pa.int64()).to_numpy()


def chi_square(counts):
    expected = counts.sum() / len(counts)
    return float(((counts - expected) ** 2).sum() / expected)


CRITICAL_19 = 66.0  # chi-square with 19 degrees of freedom exceeds this with p = 5e-7


@pytest.mark.parametrize(("settings", "parts"), UNIFORM)
def test_values_are_uniform_in_their_bin(settings, parts):
    assert chi_square(share_in_each_part(column(**settings), parts)) < CRITICAL_19


@pytest.mark.parametrize(("settings", "parts"), UNIFORM)
def test_the_check_of_uniformity_rejects_draws_that_lean_to_one_end(settings, parts):
    assert chi_square(share_in_each_part(column(**settings), parts, power=1.2)) > CRITICAL_19


@pytest.mark.parametrize("width", [1, 2, 3, 2**32 - 1, 2**32, 2**32 + 1, 2**53 + 1, 2**63 - 1, 2**63])
def test_the_upper_half_of_the_product_is_exact(width):
    words = np.random.default_rng(3).integers(0, 2**64, 500, np.uint64)
    draws = np.concatenate([words, np.array([0, 1, 2**32 - 1, 2**32, 2**63, 2**64 - 1], np.uint64)])
    expected = [int(draw) * width >> 64 for draw in draws]
    assert uniform_below(draws, np.full(len(draws), width, np.uint64)).tolist() == expected
