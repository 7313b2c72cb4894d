"""Encoding: each value of an Arrow column becomes the number of its declared cell."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from spark_dp.schema.columns import DROP, DROPPED, Column
from spark_dp.schema.ticks import check_arrow_type, ticks_of, valid_rows
from spark_dp.schema.types import INT64_MAX, INT64_MIN

LOOKUP_TICKS = 2**16
"""Ranges up to this many ticks are looked up in a table that fits a processor's cache."""

_PLANS_KEPT = 256

Codes = NDArray[np.int32]


def encode(column: Column, array: pa.Array | pa.ChunkedArray) -> Codes:
    """Encodes a column by its declared domain alone; no value of the column's type makes it fail.

    Guarantees: a row's code depends on its own value only.

    Args:
        column: the declared column.
        array: of the column's type: integers and floats may be narrower, text may be large or a dictionary,
            times may have any unit and zone, dates either width. A `timestamp` without a zone is in UTC.

    Returns:
        int32 (n,): a code in [0, column.size), or DROPPED for a row that the schema says to drop.

    Raises:
        InputError: the array has another type.
    """
    check_arrow_type(column, array.type)
    if isinstance(array, pa.ChunkedArray):
        parts = [encode(column, chunk) for chunk in array.chunks]
        return np.concatenate(parts) if parts else np.empty(0, np.int32)
    if len(array) == 0:
        return np.empty(0, np.int32)
    if pa.types.is_null(array.type):
        return np.full(len(array), column.null_code, np.int32)
    if pa.types.is_dictionary(array.type):
        return _encode_dictionary(column, array)
    if column.type.is_text:
        codes = _text_plan(column)(array)
    else:
        codes = _tick_plan(column)(ticks_of(array))
    valid = valid_rows(array)
    if valid is not None:
        codes[~valid] = column.null_code
    return codes


def _encode_dictionary(column: Column, array: pa.DictionaryArray) -> Codes:
    words = encode(column, array.dictionary)
    if len(words) == 0:
        return np.full(len(array), column.null_code, np.int32)
    indices = array.indices
    valid = valid_rows(indices)
    if valid is not None:
        indices = pc.fill_null(indices, pa.scalar(0, indices.type))
    codes: Codes = words.take(indices.to_numpy(zero_copy_only=False).astype(np.int64))
    if valid is not None:
        codes[~valid] = column.null_code
    return codes


@lru_cache(_PLANS_KEPT)
def _text_plan(column: Column) -> Callable[[pa.Array], Codes]:
    values = pa.array(list(column.values or ()), pa.string())
    undeclared = pa.scalar(column.undeclared_code, pa.int32())

    def plan(array: pa.Array) -> Codes:
        text = array.cast(pa.large_string()) if pa.types.is_string_view(array.type) else array
        found = pc.fill_null(pc.index_in(text, value_set=values.cast(text.type)), undeclared)
        return np.array(found.to_numpy(zero_copy_only=False), np.int32)

    return plan


@lru_cache(_PLANS_KEPT)
def _tick_plan(column: Column) -> Callable[[NDArray[Any]], Codes]:
    if column.type.is_floating:
        return _float_plan(column)
    if column.values is not None:
        return _value_plan(np.array(column.values, np.int64), column.undeclared_code)
    low, high = column.tick_range
    if column.bins is None:
        return lambda ticks: (np.clip(ticks, low, high) - low).astype(np.int32)
    if high - low < LOOKUP_TICKS:
        bins = column.tick_bins()
        widths = bins.widths.astype(np.int64)
        table = np.repeat(np.arange(len(widths), dtype=np.int32), widths)
        return lambda ticks: table.take(np.clip(ticks, low, high) - low)
    inner = column.tick_bins().lows[1:]
    return lambda ticks: np.searchsorted(inner, ticks, side="right").astype(np.int32)


def _value_plan(values: NDArray[np.int64], undeclared: int) -> Callable[[NDArray[np.int64]], Codes]:
    low, high = int(values.min()), int(values.max())
    if high - low < LOOKUP_TICKS and low > INT64_MIN and high < INT64_MAX:
        table = np.full(high - low + 3, undeclared, np.int32)
        table[values - low + 1] = np.arange(len(values), dtype=np.int32)
        return lambda ticks: table.take(np.clip(ticks, low - 1, high + 1) - (low - 1))
    order = np.argsort(values).astype(np.int32)
    ordered = values[order]

    def plan(ticks: NDArray[np.int64]) -> Codes:
        place = np.minimum(np.searchsorted(ordered, ticks), len(ordered) - 1)
        return np.where(ordered[place] == ticks, order[place], np.int32(undeclared))

    return plan


def _float_plan(column: Column) -> Callable[[NDArray[np.float64]], Codes]:
    inner = column.float_bins().edges[1:-1].copy()
    if column.nan == "cell":
        nan_code = column.declared
    elif isinstance(column.nan, str):
        nan_code = DROPPED if column.nan == DROP else column.null_code
    else:
        nan_code = int(np.searchsorted(inner, column.nan or 0.0, side="right"))
    infinity_code = {"drop": DROPPED, "null": column.null_code}.get(column.infinity or "clip")

    def plan(values: NDArray[np.float64]) -> Codes:
        codes = np.searchsorted(inner, values, side="right").astype(np.int32)
        is_nan = np.isnan(values)
        if is_nan.any():
            codes[is_nan] = nan_code
        if infinity_code is not None:
            codes[np.isinf(values)] = infinity_code
        return codes

    return plan
