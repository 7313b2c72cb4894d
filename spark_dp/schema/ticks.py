"""Arrow arrays as numpy arrays of ticks, and back, without a Python object per value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from spark_dp.errors import InputError
from spark_dp.schema.columns import Column
from spark_dp.schema.types import INT64_MAX, INT64_MIN, StorageType

MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}
MILLISECONDS_A_DAY = 86_400_000


def check_arrow_type(column: Column, found: pa.DataType) -> None:
    """Refuses an Arrow type that cannot hold the column; the null type holds nothing and fits all.

    Raises:
        InputError: the table stores another type than the schema declares.
    """
    inner = found.value_type if pa.types.is_dictionary(found) else found
    if not (pa.types.is_null(inner) or _fits(column.type, inner)):
        raise InputError(
            f"Column {column.name!r} is declared as {column.type}, but the table stores {found}. "
            f"Nothing was drawn. Change 'schema.{column.name}.type', or convert the column first.",
            field=f"schema.{column.name}.type",
        )


def _fits(kind: StorageType, found: pa.DataType) -> bool:
    is_a = pa.types
    if kind.is_text:
        return bool(is_a.is_string(found) or is_a.is_large_string(found) or is_a.is_string_view(found))
    if kind.name == "boolean":
        return bool(is_a.is_boolean(found))
    if kind.is_integer:
        return bool(is_a.is_signed_integer(found)) and found.bit_width <= 8 * kind.numpy_type.itemsize
    if kind.is_floating:
        return bool(is_a.is_floating(found)) and found.bit_width <= 8 * kind.numpy_type.itemsize
    if kind.name == "decimal":
        fits = is_a.is_decimal(found) and not is_a.is_decimal256(found)
        return bool(fits and found.scale == kind.scale and found.precision <= kind.precision)
    if kind.name == "date":
        return bool(is_a.is_date(found))
    return bool(is_a.is_timestamp(found)) and (kind.name == "timestamp" or found.tz is None)


def valid_rows(array: pa.Array) -> NDArray[np.bool_] | None:
    """Returns which rows are not null, or None where all are valid."""
    if array.null_count == 0:
        return None
    valid: NDArray[np.bool_] = array.is_valid().to_numpy(zero_copy_only=False)
    return valid


def ticks_of(array: pa.Array) -> NDArray[np.int64] | NDArray[np.float64]:
    """Returns the ticks of an array that is neither text nor dictionary; at a null, what the buffer holds.

    Args:
        array: not empty, of a type that `check_arrow_type` lets pass.

    Returns:
        float64 for floats, else int64, (n,); a decimal or time that int64 cannot hold is clipped by its sign.
    """
    found = array.type
    if pa.types.is_boolean(found):
        return _buffer(array.cast(pa.uint8()), np.uint8).astype(np.int64)
    if pa.types.is_decimal(found):
        return _unscaled(
            array if pa.types.is_decimal128(found) else array.cast(pa.decimal128(38, found.scale))
        )
    if pa.types.is_timestamp(found):
        return _microseconds(_buffer(array, np.int64), found.unit)
    if pa.types.is_date64(found):
        days: NDArray[np.int64] = _buffer(array, np.int64) // MILLISECONDS_A_DAY
        return days
    if pa.types.is_date32(found):
        return _buffer(array, np.int32).astype(np.int64)
    raw = _buffer(array, found.to_pandas_dtype())
    if pa.types.is_floating(found):
        return raw.astype(np.float64, copy=False)
    return raw.astype(np.int64, copy=False)


def _buffer(array: pa.Array, kind: type[Any]) -> NDArray[Any]:
    values = array.buffers()[1]
    if values is None:
        return np.zeros(len(array), kind)
    return np.frombuffer(values, kind, count=array.offset + len(array))[array.offset :]


def _unscaled(array: pa.Array) -> NDArray[np.int64]:
    words = np.frombuffer(array.buffers()[1], np.int64, count=2 * (array.offset + len(array)))
    low, high = words.reshape(-1, 2)[array.offset :].T
    clipped = np.where(high < 0, np.int64(INT64_MIN), np.int64(INT64_MAX))
    ticks: NDArray[np.int64] = np.where(high == low >> 63, low, clipped)
    return ticks


def _microseconds(raw: NDArray[np.int64], unit: str) -> NDArray[np.int64]:
    if unit == "ns":
        return raw // 1_000
    factor = MICROSECONDS[unit]
    if factor == 1:
        return raw
    limit = INT64_MAX // factor
    return np.clip(raw, -limit, limit) * factor


def arrow_of(
    kind: StorageType, ticks: NDArray[np.int64] | NDArray[np.float64], valid: NDArray[np.bool_] | None
) -> pa.Array:
    """Returns ticks as an Arrow array of exactly the type's Arrow type.

    Args:
        kind: any type but string.
        ticks: (n,), each within the type.
        valid: (n,) of which rows are not null; None where all are.
    """
    buffers = [None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))]
    if kind.name == "boolean":
        buffers.append(pa.py_buffer(np.packbits(ticks.astype(np.bool_), bitorder="little")))
    elif kind.name == "decimal":
        words = np.empty((len(ticks), 2), np.int64)
        words[:, 0] = ticks
        words[:, 1] = words[:, 0] >> 63
        buffers.append(pa.py_buffer(words))
    else:
        buffers.append(pa.py_buffer(np.ascontiguousarray(ticks, dtype=kind.numpy_type)))
    return pa.Array.from_buffers(kind.arrow_type, len(ticks), buffers)
