"""Figures of a promise as text: what is written is never more than what is proved, or than what fits."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Context


def at_least(value: float, digits: int) -> str:
    """Writes an epsilon that is promised, or was spent: rounded up, for a smaller one is not proved."""
    return _written(value, digits, ROUND_CEILING)


def at_most(value: float, digits: int) -> str:
    """Writes an epsilon that is left: rounded down, for a larger one would be refused."""
    return _written(value, digits, ROUND_FLOOR)


def _written(value: float, digits: int, rounding: str) -> str:
    return f"{float(Context(prec=digits, rounding=rounding).create_decimal(value)):.{digits}g}"
