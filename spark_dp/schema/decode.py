"""Decoding: each code becomes a value of its cell, drawn uniformly in the type's own resolution."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from spark_dp.errors import InternalError
from spark_dp.schema.columns import Column
from spark_dp.schema.ticks import arrow_of

_PLANS_KEPT = 256
_BLOCK = 2**14  # rows whose intermediate products fit a processor's cache
_HALF = np.uint64(32)
_LOW_HALF = np.uint64(2**32 - 1)

Codes = NDArray[np.integer]
Draws = NDArray[np.uint64]
Plan = Callable[[Codes, Draws], pa.Array]


def decode(column: Column, codes: Codes, draws: Draws) -> pa.Array:
    """Decodes a column: a declared value as it is, a value of a bin uniformly in the bin.

    Guarantees: a pure function of its arguments, and `encode` gives every code back.

    Args:
        column: the declared column.
        codes: (n,), each in [0, column.size).
        draws: (n,), a uniform 64-bit word for each row: the only randomness, of which a bin of w values is
            off uniform by less than w / 2**64.

    Returns:
        An Arrow array of exactly column.type.arrow_type.

    Raises:
        InternalError: a code is not of the column.
    """
    if codes.shape != draws.shape:
        raise InternalError(f"Column {column.name!r}: {codes.shape} codes but {draws.shape} draws.")
    if len(codes) and not (codes.min() >= 0 and codes.max() < column.size):
        raise InternalError(f"Column {column.name!r}: a code lies outside of its {column.size} cells.")
    return _plan(column)(codes, draws)


def uniform_below(draws: Draws, widths: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Returns floor(draw * width / 2**64), the upper half of the exact 128-bit product.

    Args:
        draws: uint64 (n,), uniform.
        widths: uint64 (n,), 1 to 2**63.

    Returns:
        uint64 (n,), each below its width.
    """
    drawn = np.empty(len(draws), np.uint64)
    for start in range(0, len(draws), _BLOCK):
        block = slice(start, start + _BLOCK)
        drawn[block] = _upper_half(draws[block], widths[block])
    return drawn


def _upper_half(draws: Draws, widths: NDArray[np.uint64]) -> NDArray[np.uint64]:
    draw_high, draw_low = draws >> _HALF, draws & _LOW_HALF
    if widths.max() <= _LOW_HALF:
        return (draw_high * widths + (draw_low * widths >> _HALF)) >> _HALF
    width_high, width_low = widths >> _HALF, widths & _LOW_HALF
    middle = draw_high * width_low + (draw_low * width_low >> _HALF)
    cross = draw_low * width_high + (middle & _LOW_HALF)
    product: NDArray[np.uint64] = draw_high * width_high + (middle >> _HALF) + (cross >> _HALF)
    return product


@lru_cache(_PLANS_KEPT)
def _plan(column: Column) -> Plan:
    if column.type.is_floating:
        return _float_plan(column)
    if column.values is None:
        return _range_plan(column) if column.bins is None else _bin_plan(column)
    literals = list(column.values) if column.other is None else [*column.values, column.other]
    if column.type.is_text:
        words = pa.array(literals + [None] * column.nullable, pa.string())
        return lambda codes, _: words.take(pa.array(codes))
    ticks = np.array(literals + [0] * column.nullable, np.int64)
    return lambda codes, _: arrow_of(column.type, ticks.take(codes), _valid(column, codes))


def _valid(column: Column, codes: Codes) -> NDArray[np.bool_] | None:
    return codes != column.null_code if column.nullable else None


def _range_plan(column: Column) -> Plan:
    low, high = column.tick_range

    def plan(codes: Codes, _: Draws) -> pa.Array:
        ticks = codes.astype(np.int64) + low
        if column.nullable:  # at a null the tick may lie outside of the stored type
            ticks = np.minimum(ticks, high)
        return arrow_of(column.type, ticks, _valid(column, codes))

    return plan


def _bin_plan(column: Column) -> Plan:
    bins = column.tick_bins()
    lows = np.append(bins.lows.view(np.uint64), np.uint64(0))
    widths = np.append(bins.widths, np.uint64(1))

    def plan(codes: Codes, draws: Draws) -> pa.Array:
        ticks = lows.take(codes) + uniform_below(draws, widths.take(codes))
        return arrow_of(column.type, ticks.view(np.int64), _valid(column, codes))

    return plan


def _float_plan(column: Column) -> Plan:
    bins = column.float_bins()
    extra = np.full(column.size - column.declared, np.nan)
    starts, ends = np.append(bins.edges[:-1], extra), np.append(bins.edges[1:], extra)
    lows, highs = np.append(bins.lows, extra), np.append(bins.highs, extra)
    kind = column.type

    def plan(codes: Codes, draws: Draws) -> pa.Array:
        share = (draws >> np.uint64(11)) * 2.0**-53
        values = starts.take(codes) * (1.0 - share) + ends.take(codes) * share
        inside = np.minimum(np.maximum(values, lows.take(codes)), highs.take(codes)) + 0.0
        return arrow_of(kind, inside, _valid(column, codes))

    return plan
