"""What a column accepts, what it refuses and by which name, and how it is written down."""

import datetime as dt
import json
from decimal import Decimal

import pyarrow as pa
import pytest

from spark_dp.errors import ConfigurationError, DomainTooLargeError
from spark_dp.schema.columns import Column
from spark_dp.schema.types import StorageType

TEXT = {"type": "string", "values": ["a", "b"], "other": "z"}
COUNT = {"type": "integer", "min": 0, "max": 9}
SHARE = {"type": "double", "min": 0, "max": 1, "bins": 4}
TIME = {"type": "timestamp", "min": "2013-01-01", "max": "2014-01-01", "bins": 4}
MONEY = {"type": "decimal(5,2)", "min": "0", "max": "9.99"}
DAY = {"type": "date", "min": "2013-01-01", "max": "2013-01-31"}


def column(settings):
    return Column.from_settings("x", settings)


def without(settings, key):
    return {name: value for name, value in settings.items() if name != key}


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        (TEXT, 3),
        (TEXT | {"nullable": True}, 4),
        ({"type": "string", "values": ["a"], "undeclared": "a"}, 1),
        ({"type": "boolean"}, 2),
        ({"type": "boolean", "nullable": "true"}, 3),
        (COUNT, 10),
        (COUNT | {"bins": 1}, 1),
        (COUNT | {"bins": "10"}, 10),
        (COUNT | {"max": 0}, 1),
        ({"type": "integer", "bins": [0, 5, 9]}, 2),
        (SHARE | {"nullable": True, "nan": "cell"}, 6),
        ({"type": "float", "bins": ["0", "1e-3", "1"]}, 2),
        (TIME, 4),
        (TIME | {"timezone": "America/New_York"}, 4),
        ({"type": "timestamp_ntz", "bins": ["2013-01-01", "2013-01-01T12:00"]}, 1),
        (MONEY, 1000),
        (DAY, 31),
        (DAY | {"bins": 5, "nullable": True}, 6),
        ({"type": "long", "values": [1, 2], "undeclared": "drop"}, 2),
    ],
)
def test_a_declared_column_has_its_cells_and_survives_json(settings, size):
    made = column(settings)
    assert made.size == len(made.cell_labels()) == size
    assert Column.from_json(json.loads(json.dumps(made.to_json()))) == made


REFUSED = [
    ({}, "type"),
    ({"type": "strng"}, "type"),
    ({"type": "decimal"}, "type"),
    ({"type": "decimal(39,0)"}, "type"),
    ({"type": "decimal(5,6)"}, "type"),
    ({"type": "decimal(0,0)"}, "type"),
    ({"type": 3}, "type"),
    (TEXT | {"valeus": []}, "valeus"),
    (without(TEXT, "other"), "undeclared"),
    (without(TEXT, "values"), "values"),
    (TEXT | {"values": []}, "values"),
    (TEXT | {"values": "a"}, "values"),
    (TEXT | {"values": ["a", "a"]}, "values"),
    (TEXT | {"values": ["a", None]}, "values"),
    (TEXT | {"values": ["a", 1]}, "values"),
    (TEXT | {"values": ["\ud800"]}, "values"),
    (TEXT | {"min": "a"}, "min"),
    (TEXT | {"bins": 2}, "bins"),
    (TEXT | {"other": "a"}, "other"),
    (TEXT | {"other": None}, "other"),
    (TEXT | {"undeclared": "drop"}, "other"),
    (without(TEXT, "other") | {"undeclared": "c"}, "undeclared"),
    ({"type": "string", "values": ["drop"], "undeclared": "drop"}, "undeclared"),
    (TEXT | {"nullable": "yes"}, "nullable"),
    (TEXT | {"nullable": 1}, "nullable"),
    (TEXT | {"nan": "drop"}, "nan"),
    (TEXT | {"infinity": "drop"}, "infinity"),
    (TEXT | {"timezone": "UTC"}, "timezone"),
    ({"type": "boolean", "min": 0}, "min"),
    ({"type": "boolean", "values": [True]}, "undeclared"),
    ({"type": "boolean", "values": [1]}, "values"),
    ({"type": "integer"}, "min"),
    (without(COUNT, "max"), "max"),
    (COUNT | {"min": 10}, "max"),
    (COUNT | {"min": "0.5"}, "min"),
    (COUNT | {"min": True}, "min"),
    (COUNT | {"max": 2**31}, "max"),
    (COUNT | {"max": "1e99999"}, "max"),
    (COUNT | {"bins": 0}, "bins"),
    (COUNT | {"bins": -1}, "bins"),
    (COUNT | {"bins": True}, "bins"),
    (COUNT | {"bins": 2.5}, "bins"),
    (COUNT | {"bins": "many"}, "bins"),
    (COUNT | {"bins": None}, "bins"),
    (COUNT | {"bins": 11}, "bins"),
    (COUNT | {"bins": [0]}, "bins"),
    (COUNT | {"bins": [0, 9, 9]}, "bins"),
    (COUNT | {"bins": [0, 5]}, "max"),
    (COUNT | {"bins": [1, 9]}, "min"),
    (COUNT | {"other": 3}, "other"),
    (COUNT | {"undeclared": "drop"}, "undeclared"),
    (COUNT | {"values": [1]}, "values"),
    ({"type": "long", "min": -(2**63), "max": 2**63 - 1, "bins": 1}, "bins"),
    (without(SHARE, "bins"), "bins"),
    (SHARE | {"max": "inf"}, "max"),
    (SHARE | {"max": ".nan"}, "max"),
    (SHARE | {"max": "1_0"}, "max"),
    (SHARE | {"max": 0}, "bins"),
    (SHARE | {"values": [0.5]}, "values"),
    (SHARE | {"nan": "null"}, "nan"),
    (SHARE | {"nan": None}, "nan"),
    (SHARE | {"nan": "skip"}, "nan"),
    (SHARE | {"nan": 2}, "nan"),
    (SHARE | {"infinity": "null"}, "infinity"),
    (SHARE | {"infinity": "cell"}, "infinity"),
    (SHARE | {"max": 5e-324}, "bins"),
    ({"type": "float", "min": 1, "max": 1.0000001, "bins": 4}, "bins"),
    ({"type": "float", "bins": [1e300, 2e300]}, "bins"),
    (without(TIME, "bins"), "bins"),
    (TIME | {"min": "01/02/2013"}, "min"),
    (TIME | {"min": "2013-02-30"}, "min"),
    (TIME | {"min": "0001-01-01T00:00+10:00"}, "min"),
    (TIME | {"timezone": "America/New_Yrok"}, "timezone"),
    (TIME | {"timezone": "../etc/passwd"}, "timezone"),
    (TIME | {"type": "timestamp_ntz", "timezone": "UTC"}, "timezone"),
    (TIME | {"type": "timestamp_ntz", "min": "2013-01-01T00:00Z"}, "min"),
    (MONEY | {"max": "9.999"}, "max"),
    (MONEY | {"max": "1000"}, "max"),
    ({"type": "decimal(38,0)", "min": 0, "max": str(2**63), "bins": 2}, "max"),
    (DAY | {"min": "2013-01-01T00:00"}, "min"),
    (DAY | {"min": 5}, "min"),
]


@pytest.mark.parametrize(("settings", "key"), REFUSED)
def test_what_a_column_refuses_is_named(settings, key):
    with pytest.raises(ConfigurationError) as caught:
        column(settings)
    assert caught.value.field == f"schema.x.{key}"
    assert f"schema.x.{key}" in caught.value.message


def test_more_cells_than_a_column_may_have_are_refused_beforehand():
    with pytest.raises(DomainTooLargeError, match="4294967296 cells"):
        column({"type": "integer", "min": -(2**31), "max": 2**31 - 1})


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"type": "strng"}, "Did you mean 'string'"),
        (TEXT | {"valeus": []}, "Did you mean 'values'"),
        (TIME | {"timezone": "America/New_Yrok"}, "Did you mean 'America/New_York'"),
        (COUNT | {"bins": 11}, "at most 10 bins"),
    ],
)
def test_a_refusal_says_what_to_write_instead(settings, hint):
    with pytest.raises(ConfigurationError, match=hint):
        column(settings)


@pytest.mark.parametrize(
    ("one", "another"),
    [
        (COUNT, COUNT | {"min": "0", "max": "+9.0"}),
        (SHARE, SHARE | {"max": "1e0", "min": -0.0, "nan": "drop", "infinity": "clip"}),
        (TIME, TIME | {"min": dt.date(2013, 1, 1), "max": "2014-01-01 00:00:00.000", "timezone": "UTC"}),
        (TIME, TIME | {"min": dt.datetime(2013, 1, 1, tzinfo=dt.UTC)}),
        (MONEY, MONEY | {"min": Decimal("0.00"), "max": 9.99}),
        ({"type": "boolean"}, {"type": "boolean", "values": [False, "true"]}),
        (
            {"type": "integer", "bins": [0, 5, 9]},
            {"type": "integer", "bins": ["0", "5", "9"], "min": 0, "max": 9},
        ),
        (TEXT, dict(reversed(TEXT.items()))),
    ],
)
def test_columns_that_mean_the_same_have_one_form(one, another):
    assert json.dumps(column(one).to_json()) == json.dumps(column(another).to_json())


@pytest.mark.parametrize(
    ("one", "another"),
    [
        (COUNT, COUNT | {"type": "long"}),
        (COUNT, COUNT | {"nullable": True}),
        (TEXT, TEXT | {"values": ["b", "a"]}),
        (TIME, TIME | {"timezone": "Europe/Berlin"}),
    ],
)
def test_columns_that_differ_have_different_forms(one, another):
    assert json.dumps(column(one).to_json()) != json.dumps(column(another).to_json())


def test_scalars_are_read_by_the_type_of_the_column():
    assert column({"type": "string", "values": ["NO", "1e3", "null"], "other": "x"}).values == (
        "NO",
        "1e3",
        "null",
    )
    assert column({"type": "long", "values": ["1e3"], "undeclared": "drop"}).values == (1000,)
    assert column({"type": "date", "values": ["1970-01-02"], "undeclared": "drop"}).values == (1,)


def test_a_wide_decimal_keeps_all_its_digits():
    wide = {"type": "decimal(38,5)", "min": 0, "max": "12345678901234.56789", "bins": 2}
    assert column(wide).max == 1234567890123456789
    assert column(wide).to_json()["max"] == "12345678901234.56789"


def test_labels_are_in_the_readers_own_terms():
    assert column({"type": "integer", "bins": [0, 5, 9], "nullable": True}).cell_labels() == (
        "[0, 5)",
        "[5, 9]",
        "null",
    )
    assert column(TEXT).cell_labels() == ("a", "b", "z")
    assert column(MONEY | {"max": "0.02"}).cell_labels() == ("0.00", "0.01", "0.02")
    local = column(TIME | {"timezone": "America/New_York", "bins": 1})
    assert local.cell_labels() == ("[2013-01-01 00:00:00, 2014-01-01 00:00:00]",)
    assert column(SHARE | {"nan": "cell"}).cell_labels()[-2:] == ("[0.75, 1]", "NaN")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (TEXT, "not declared counts as 'z'"),
        (TEXT, "null counts as 'z'"),
        (TEXT | {"nullable": True}, "null has a cell of its own"),
        (
            without(TEXT, "other") | {"undeclared": "drop"},
            "a row with a value that is not declared is dropped",
        ),
        (without(TEXT, "other") | {"undeclared": "drop"}, "a row with null is dropped"),
        (without(TEXT, "other") | {"undeclared": "b"}, "not declared counts as 'b'"),
        (COUNT, "below 0 counts in the first bin, one above 9 in the last"),
        (COUNT, "a row with null is dropped"),
        (SHARE, "a row with NaN is dropped"),
        (SHARE | {"nan": "0.5"}, "NaN counts as 0.5"),
        (SHARE | {"nullable": True}, "NaN counts as null"),
        (SHARE | {"nan": "cell"}, "NaN has a cell"),
        (SHARE, "an infinite value counts in the first or the last bin"),
        (SHARE | {"infinity": "drop"}, "a row with an infinite value is dropped"),
        (SHARE | {"infinity": "null", "nullable": True}, "an infinite value counts as null"),
    ],
)
def test_the_notes_say_what_becomes_of_what_has_no_value(settings, sentence):
    assert any(sentence in note for note in column(settings).notes())


@pytest.mark.parametrize(
    ("text", "arrow", "ddl"),
    [
        ("string", pa.string(), "STRING"),
        ("boolean", pa.bool_(), "BOOLEAN"),
        ("byte", pa.int8(), "TINYINT"),
        ("short", pa.int16(), "SMALLINT"),
        ("integer", pa.int32(), "INT"),
        ("long", pa.int64(), "BIGINT"),
        ("float", pa.float32(), "FLOAT"),
        ("double", pa.float64(), "DOUBLE"),
        ("decimal(10, 2)", pa.decimal128(10, 2), "DECIMAL(10,2)"),
        ("date", pa.date32(), "DATE"),
        ("timestamp", pa.timestamp("us", "UTC"), "TIMESTAMP"),
        ("timestamp_ntz", pa.timestamp("us"), "TIMESTAMP_NTZ"),
    ],
)
def test_each_type_has_its_names(text, arrow, ddl):
    kind = StorageType.parse(text)
    assert (kind.arrow_type, kind.spark_ddl) == (arrow, ddl)
    assert StorageType.parse(str(kind)) == kind
