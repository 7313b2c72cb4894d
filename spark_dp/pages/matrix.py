"""A heat map of pairs of columns: a table, shaded, of which half is enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LEVELS = 9
"""Shades above the palest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One pair.

    Attributes:
        text: its number, two digits after the point; nothing where there is none.
        level: of its shade, 0 to LEVELS.
        framed: whether it is pointed out.
    """

    text: str
    level: int
    framed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """The lower half: row i has a field for each of the columns before it.

    Attributes:
        names: of the columns, as they are.
        lines: of each column but the first, one field for every column before it.
        darkest: the number at the darkest shade.
        left_out: columns that are not shown.
    """

    names: tuple[str, ...]
    lines: tuple[tuple[Field, ...], ...]
    darkest: float
    left_out: int = 0


def matrix_of(
    names: Sequence[str],
    pairs: Mapping[frozenset[str], float],
    *,
    framed: frozenset[frozenset[str]] = frozenset(),
    left_out: int = 0,
) -> Matrix:
    """Makes a heat map.

    Args:
        names: of the columns to show, in order.
        pairs: a number from 0 for each pair of them that has one.
        framed: pairs to point out.
        left_out: how many columns were left out.
    """
    darkest = max(pairs.values(), default=0.0)

    def field(pair: frozenset[str]) -> Field:
        number = pairs.get(pair)
        if number is None:
            return Field(text="", level=0, framed=False)
        level = round(LEVELS * number / darkest) if darkest > 0 else 0
        return Field(text=f"{number:.2f}".removeprefix("0"), level=level, framed=pair in framed)

    lines = tuple(
        tuple(field(frozenset((row, before))) for before in names[:i]) for i, row in enumerate(names) if i
    )
    return Matrix(names=tuple(names), lines=lines, darkest=darkest, left_out=left_out)
