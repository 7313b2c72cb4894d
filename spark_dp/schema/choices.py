"""What a constraint says of one column, read into codes: a value, a list, a comparison, null, or all but these.

    married                      a declared value, or the literal of other
    [married, widowed]           any of these
    "<15"   ">=15 and <65"       numbers, dates and times by comparison
    null   nan                   the cells of these, where the column has them
    {not: [single, null]}        every other cell

A comparison is refused where it cuts through a bin: of what is decoded from that bin, some would obey it and some would not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from spark_dp.errors import ConfigurationError, nearest
from spark_dp.schema.columns import Column
from spark_dp.schema.describe import labels_at, show
from spark_dp.schema.literals import Tick, parse_tick

_OPERATOR: Final = re.compile(r"(<=|>=|<|>)")
_NULLS: Final = ("null", "~", "")
_NANS: Final = ("nan", ".nan")
_SHOWN: Final = 20


class Choices:
    """Reads choices of one column's cells.

    Args:
        column: declared; nothing of it private.
    """

    def __init__(self, column: Column) -> None:
        self.column = column
        literals = [] if column.values is None else [*column.values]
        if column.other is not None:
            literals.append(column.other)
        self._codes: dict[Tick, int] = {literal: code for code, literal in enumerate(literals)}
        self._bounds: tuple[NDArray[Any], NDArray[Any]] | None = None

    def codes(self, choice: object, *, field: str) -> tuple[int, ...]:
        """Returns the codes that a choice stands for, increasing, at least one.

        Args:
            choice: as in the module's table; None for an unquoted null. Python values, or text that the type converts.
            field: the dotted name of the setting, for the error.

        Raises:
            ConfigurationError: a value is not declared, a comparison cuts through a bin, or nothing is chosen.
        """
        if isinstance(choice, Mapping):
            return self._all_but(choice, field)
        items = choice if isinstance(choice, list | tuple) else [choice]
        if not items:
            self._refuse(field, "is an empty list. Name at least one value.")
        return tuple(sorted({code for item in items for code in self._item(item, field)}))

    def key(self, text: str, *, field: str) -> tuple[int, ...]:
        """Returns the codes of a mapping's key, which is a text whatever it was: `null` is null unless it is declared."""
        is_null = text in _NULLS and not self._is_value(text)
        return self.codes(None if is_null else text, field=field)

    def has(self, text: str) -> bool:
        """Whether a mapping's key is one of the column's values."""
        if text in _NULLS and not self._is_value(text):
            return self.column.nullable
        return self._is_value(text)

    def _is_value(self, text: str) -> bool:
        try:
            tick = parse_tick(self.column.type, text, zone=self.column.timezone, field="")
        except ConfigurationError:
            return False
        if self.column.values is not None:
            return tick in self._codes
        lows, highs = self._cells()
        return bool(lows[0] <= tick <= highs[-1])

    def _all_but(self, choice: Mapping[Any, object], field: str) -> tuple[int, ...]:
        if list(choice) != ["not"]:
            self._refuse(field, "is a mapping. Write a value, a list, a comparison, or {not: CHOICE}.")
        left_out = set(self.codes(choice["not"], field=f"{field}.not"))
        kept = tuple(code for code in range(self.column.size) if code not in left_out)
        if not kept:
            self._refuse(field, "leaves out every value of the column. Name fewer.")
        return kept

    def _item(self, item: object, field: str) -> list[int]:
        column = self.column
        if isinstance(item, list | tuple | Mapping):
            self._refuse(field, "has a list or a mapping within a list. Write values and comparisons alone.")
        if item is None:
            if not column.nullable:
                self._refuse(
                    field, f"has null, and column {column.name!r} is not nullable. Leave null out of it."
                )
            return [column.null_code]
        if column.nan_cell is not None and str(item).lower() in _NANS:
            return [column.nan_cell]
        ordered = not (column.type.is_text or column.type.name == "boolean")
        if ordered and isinstance(item, str) and _OPERATOR.match(item.strip()):
            return self._compared(item, field)
        return [self._value(item, field)]

    def _value(self, item: object, field: str) -> int:
        column = self.column
        tick = parse_tick(column.type, item, zone=column.timezone, field=field)
        if column.values is not None:
            if tick in self._codes:
                return self._codes[tick]
            words = labels_at(column, range(min(column.size, 10_000)))
            self._refuse(
                field,
                f"has {show(column, tick)!r}, which column {column.name!r} has not. Choose from: "
                f"{', '.join(words[:_SHOWN])}{', ...' if column.size > _SHOWN else ''}."
                + nearest(show(column, tick), words),
            )
        lows, highs = self._cells()
        code = int(np.searchsorted(lows, tick, side="right")) - 1
        if code < 0 or tick > highs[code]:
            self._refuse(
                field,
                f"has {show(column, tick)}, which is out of the range of column {column.name!r}: "
                f"{show(column, column.min or 0)} to {show(column, column.max or 0)}. Choose a value within.",
            )
        if lows[code] != highs[code]:
            self._refuse_cut(field, f"{show(column, tick)}", code)
        return code

    def _compared(self, text: str, field: str) -> list[int]:
        """Reads comparisons, all of which a cell has to meet."""
        lows, highs = self._cells()
        every, none = np.ones(len(lows), np.bool_), np.zeros(len(lows), np.bool_)
        parts = _OPERATOR.split(text.strip())[1:]
        for operator, literal in zip(parts[::2], parts[1::2], strict=True):
            bare = re.sub(r"(,|\s+and)\s*$", "", literal.rstrip()).strip()
            tick = parse_tick(self.column.type, bare, zone=self.column.timezone, field=field)
            below, above = lows < tick, highs > tick  # some of the cell is below, some is above
            equal_low, equal_high = lows == tick, highs == tick
            match operator:
                case "<":
                    every, none = every & (highs < tick), none | ~below
                case "<=":
                    every, none = every & ~above, none | ~(below | equal_low)
                case ">":
                    every, none = every & (lows > tick), none | ~above
                case _:
                    every, none = every & ~below, none | ~(above | equal_high)
        cut = np.flatnonzero(~every & ~none)
        if len(cut):
            self._refuse_cut(field, text, int(cut[0]))
        found = [int(code) for code in np.flatnonzero(every)]
        if not found:
            self._refuse(
                field,
                f"is {text!r}, which no declared value of column {self.column.name!r} meets. Its values go from "
                f"{show(self.column, lows.min().item())} to {show(self.column, highs.max().item())}. Write a bound within.",
            )
        return found

    def _cells(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Returns the least and the greatest value that each ordered cell may be decoded to; NaN and null have none."""
        if self._bounds is None:
            self._bounds = self._make_cells()
        return self._bounds

    def _make_cells(self) -> tuple[NDArray[Any], NDArray[Any]]:
        column = self.column
        if column.values is not None:
            literals = np.array(list(self._codes), np.int64)
            return literals, literals
        if column.type.is_floating:
            floats = column.float_bins()
            return floats.lows, floats.highs
        if column.bins is None:
            low, high = column.tick_range
            ticks = np.arange(low, high + 1, dtype=np.int64)
            return ticks, ticks
        bins = column.tick_bins()
        return bins.lows, bins.highs

    def _refuse_cut(self, field: str, text: str, code: int) -> NoReturn:
        column = self.column
        (label,) = labels_at(column, [code])
        first, last = label.strip("[])").split(", ")
        self._refuse(
            field,
            f"is {text!r}, which cuts through the bin {label} of column {column.name!r}: a value drawn from that bin may be "
            f"on either side. Write one of its edges, {first} or {last}, in a comparison; or make an edge there in "
            f"schema.{column.name}.bins.",
        )

    def _refuse(self, field: str, what: str) -> NoReturn:
        raise ConfigurationError(f"Setting '{field}' {what}", field=field)
