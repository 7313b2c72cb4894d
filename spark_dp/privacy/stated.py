"""Figures of a promise as text: what is written is never more than what is proved, or than what fits.

A float counts as the shortest decimal that is read as it. So 0.3, which is a little less in binary, stays 0.3.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal


def at_least(value: float, digits: int) -> str:
    """Writes an epsilon or a delta that is promised, asked or spent: rounded up, for a smaller one is not proved."""
    return _written(value, digits, ROUND_CEILING)


def at_most(value: float, digits: int) -> str:
    """Writes an epsilon or a delta that is left: rounded down, for a larger one would be refused."""
    return _written(value, digits, ROUND_FLOOR)


def percent(part: float, digits: int) -> str:
    """Writes a confidence in percent: rounded down, for a larger one is not kept."""
    hundredfold = Decimal(repr(float(part))) * 100
    return f"{float(Context(prec=digits, rounding=ROUND_FLOOR).create_decimal(hundredfold)):.{digits}g} %"


def declared(value: float) -> str:
    """Writes an epsilon or delta that somebody declared: with all of its digits."""
    return f"{float(value)!r}".removesuffix(".0")


def pair(epsilon: float, delta: float) -> str:
    """Writes a declared (epsilon, delta)."""
    return f"({declared(epsilon)}, {declared(delta)})"


def _written(value: float, digits: int, rounding: str) -> str:
    exact = repr(float(value))
    return f"{float(Context(prec=digits, rounding=rounding).create_decimal(exact)):.{digits}g}"
