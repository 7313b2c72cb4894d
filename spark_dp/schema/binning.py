"""Bins: how a declared range is cut into cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from spark_dp.errors import ConfigurationError
from spark_dp.schema.types import StorageType

WIDEST_BIN = 2**63


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TickBins:
    """Bins of whole numbers.

    Args:
        lows: int64 (n,), the least tick of each bin, increasing.
        highs: int64 (n,), the greatest tick of each bin, so that a bin may end at the end of int64.
    """

    lows: NDArray[np.int64]
    highs: NDArray[np.int64]

    @property
    def widths(self) -> NDArray[np.uint64]:
        """The number of ticks in each bin, 1 to 2**63."""
        return self.highs.view(np.uint64) - self.lows.view(np.uint64) + np.uint64(1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FloatBins:
    """Bins of floats: [edge, next edge), the last one closed.

    Args:
        edges: float64 (n + 1,), strictly increasing.
        lows: float64 (n,), the least value of the stored type inside each bin.
        highs: float64 (n,), the greatest one.
    """

    edges: NDArray[np.float64]
    lows: NDArray[np.float64]
    highs: NDArray[np.float64]


def equal_tick_bins(low: int, high: int, count: int, *, field: str) -> TickBins:
    """Cuts [low, high] into `count` bins whose numbers of ticks differ by at most one.

    Raises:
        ConfigurationError: there are more bins than ticks, or a bin is wider than 2**63.
    """
    ticks = high - low + 1
    if count > ticks:
        raise ConfigurationError(
            f"Setting '{field}' is {count}, but the range has only {ticks} values. "
            f"Ask for at most {ticks} bins, or leave bins out for one bin a value.",
            field=field,
        )
    starts = [low + (i * ticks) // count for i in range(count)]
    return _tick_bins(starts, high, field=field)


def tick_bins_between(edges: Sequence[int], *, field: str) -> TickBins:
    """Makes the bins [edge, next edge) of whole numbers, the last one closed."""
    return _tick_bins(list(edges[:-1]), edges[-1], field=field)


def _tick_bins(starts: list[int], last: int, *, field: str) -> TickBins:
    lasts = [start - 1 for start in starts[1:]] + [last]
    if max(b - a + 1 for a, b in zip(starts, lasts, strict=True)) > WIDEST_BIN:
        raise ConfigurationError(
            f"Setting '{field}' leaves a bin with more than 2**63 values. "
            "Ask for more bins or a smaller range.",
            field=field,
        )
    return TickBins(lows=np.array(starts, np.int64), highs=np.array(lasts, np.int64))


def equal_float_bins(kind: StorageType, low: float, high: float, count: int, *, field: str) -> FloatBins:
    """Cuts [low, high] into `count` bins at the floats nearest to the exact edges."""
    step = (Fraction(high) - Fraction(low)) / count
    edges = [float(Fraction(low) + i * step) for i in range(count)] + [high]
    return float_bins_between(kind, edges, field=field)


def float_bins_between(kind: StorageType, edges: Sequence[float], *, field: str) -> FloatBins:
    """Makes the bins [edge, next edge), the last one closed, and finds the stored values inside each.

    Raises:
        ConfigurationError: a bin holds no value of the stored type, which a 32-bit float makes likelier.
    """
    grid = np.array(edges, np.float64)
    lows, highs = _least_at_or_above(kind, grid[:-1]), _greatest_at_or_below(kind, grid[1:])
    with np.errstate(over="ignore"):
        below = np.nextafter(highs.astype(kind.numpy_type), kind.numpy_type.type(-np.inf)).astype(np.float64)
    highs[:-1] = np.where(highs[:-1] == grid[1:-1], below[:-1], highs[:-1])
    if not np.all(lows <= highs) or not np.all(np.diff(grid) > 0):
        raise ConfigurationError(
            f"Setting '{field}' makes {len(grid) - 1} bins, and one of them holds no value of type {kind}. "
            "Ask for fewer bins or a wider range.",
            field=field,
        )
    return FloatBins(edges=grid, lows=lows + 0.0, highs=highs + 0.0)


def _least_at_or_above(kind: StorageType, values: NDArray[np.float64]) -> NDArray[np.float64]:
    if kind.name == "double":
        return values.copy()
    limit = float(np.finfo(np.float32).max)
    near = np.clip(values, -limit, limit).astype(np.float32)
    with np.errstate(over="ignore"):  # above the greatest float: no value, which the caller refuses
        up = np.nextafter(near, np.float32(np.inf))
    return np.where(near.astype(np.float64) < values, up, near).astype(np.float64)


def _greatest_at_or_below(kind: StorageType, values: NDArray[np.float64]) -> NDArray[np.float64]:
    return -_least_at_or_above(kind, -values)
