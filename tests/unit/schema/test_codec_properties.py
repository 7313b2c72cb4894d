"""What every column's codec must do, for columns and values at random."""

import json
import math

import numpy as np
import pyarrow as pa
import pytest
from columns_at_random import arrays, columns
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spark_dp.schema import encode as encode_module
from spark_dp.schema.codec import DROPPED, decode, encode
from spark_dp.schema.columns import Column

MODERATE = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
ENDS = np.array([0, 1, 2**63, 2**64 - 1, 0x9E3779B97F4A7C15], np.uint64)


def every_cell_comes_back(column: Column) -> bool:
    """Decodes each cell at both ends and inside, and encodes what came out."""
    cells = np.repeat(np.arange(min(column.size, 200)), len(ENDS))
    decoded = decode(column, cells, np.resize(ENDS, len(cells)))
    decoded.validate(full=True)
    return decoded.type == column.type.arrow_type and np.array_equal(encode(column, decoded), cells)


@MODERATE
@given(columns())
def test_what_is_decoded_from_a_cell_is_encoded_to_that_cell(column):
    assert every_cell_comes_back(column)


@pytest.mark.parametrize("off_by", [1, -1])
def test_the_check_of_cells_rejects_a_codec_that_is_off_by_one(monkeypatch, off_by):
    column = Column.from_settings("x", {"type": "integer", "min": 0, "max": 99, "bins": 10})
    plan = encode_module._tick_plan(column)
    assert every_cell_comes_back(column)
    monkeypatch.setattr(encode_module, "_tick_plan", lambda _: lambda ticks: plan(ticks + off_by))
    assert not every_cell_comes_back(column)


@MODERATE
@given(st.data())
def test_every_value_of_the_type_is_encoded_without_an_exception(data):
    column = data.draw(columns())
    array = data.draw(arrays(column))
    codes = encode(column, array)
    assert codes.dtype == np.int32
    assert len(codes) == len(array)
    assert np.all((codes >= DROPPED) & (codes < column.size))


@MODERATE
@given(st.data())
def test_a_value_is_dropped_only_where_the_column_says_so(data):
    column = data.draw(columns())
    array = data.draw(arrays(column))
    said = " ".join(column.notes())
    dropped = [
        value for value, code in zip(array.to_pylist(), encode(column, array), strict=True) if code < 0
    ]
    for value in dropped:
        if value is None:
            assert "a row with null is dropped" in said or "not declared is dropped" in said
        elif isinstance(value, float) and math.isnan(value):
            assert "a row with NaN is dropped" in said
        elif isinstance(value, float) and math.isinf(value):
            assert "infinite value is dropped" in said
        else:
            assert "not declared is dropped" in said


@MODERATE
@given(st.data())
def test_slices_and_chunks_are_encoded_like_the_whole(data):
    column = data.draw(columns())
    array = data.draw(arrays(column))
    cut = data.draw(st.integers(0, len(array)))
    whole = encode(column, array)
    chunked = pa.chunked_array([array[:cut], array[cut:]], array.type)
    assert np.array_equal(encode(column, array[cut:]), whole[cut:])
    assert np.array_equal(encode(column, chunked), whole)
    assert np.array_equal(encode(column, array.dictionary_encode()), whole)
    assert np.array_equal(encode(column, array.dictionary_encode()[cut:]), whole[cut:])


@MODERATE
@given(columns())
def test_a_column_survives_json_and_has_one_form(column):
    document = json.loads(json.dumps(column.to_json(), allow_nan=False))
    again = Column.from_json(document)
    assert again == column
    assert json.dumps(again.to_json()) == json.dumps(column.to_json())


@MODERATE
@given(columns())
def test_every_cell_has_a_label(column):
    assert len(column.cell_labels()) == column.size
    assert column.notes() or (column.type.name == "boolean" and column.nullable)
