"""A column: its type, its declared domain, and what becomes of every value outside of it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from spark_dp.errors import ConfigurationError, DomainTooLargeError
from spark_dp.schema import describe, settings
from spark_dp.schema.binning import (
    FloatBins,
    TickBins,
    equal_float_bins,
    equal_tick_bins,
    float_bins_between,
    tick_bins_between,
)
from spark_dp.schema.literals import Tick
from spark_dp.schema.types import StorageType

DROPPED = -1
"""The code of a value whose row is dropped."""

DROP = "drop"
MAX_CELLS = 2**24
"""Cells that one column may have: more would make no marginal that fits anywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column with its declared domain.

    Its cells, in the order of their codes: the declared values or the bins; then `other`, where declared;
    then NaN's cell, where `nan` is `cell`; then null, where `nullable`. Nothing of it is read off a table.

    `from_settings` is the way to make one from what a user writes; the constructor takes ticks (see
    `StorageType`) and has the same checks. A time zone is only used to read and to show local times, so an
    executor needs no time-zone database.

    Args:
        name: not empty.
        type: the stored type.
        values: distinct declared values; None for a column of bins. A boolean has both where none are given.
        min: the least value; what lies below counts in the first bin. The first edge, where there are edges.
        max: the greatest value, which the last bin includes.
        bins: a number of equal bins, the edges, or None for one bin a value.
        other: a literal for all values outside of `values`, with a cell of its own.
        undeclared: instead of `other`: 'drop', or the declared value that stands in for them.
        nullable: whether null has a cell.
        nan: 'null', 'cell', 'drop' or a number in range; None is null where nullable, else drop.
        infinity: 'clip' (where None), 'null' or 'drop'.
        timezone: where local times are read and shown; UTC where None. For `timestamp` only.

    Raises:
        ConfigurationError: a setting is at fault; its `field` is schema.<name>.<setting>.
        DomainTooLargeError: the column has more than MAX_CELLS cells.
    """

    name: str
    type: StorageType
    values: tuple[Tick, ...] | None = None
    min: int | float | None = None
    max: int | float | None = None
    bins: int | tuple[int | float, ...] | None = None
    other: Tick | None = None
    undeclared: Tick | None = None
    nullable: bool = False
    nan: str | float | None = None
    infinity: str | None = None
    timezone: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ConfigurationError("A column needs a name.", field="schema")
        self._fill_defaults()
        if self.values is not None:
            self._check_values()
        else:
            self._check_range()
        self._check_floats()
        if self.timezone is not None and self.type.name != "timestamp":
            self._refuse("timezone", f"is only for timestamp; {self.type} has none. Leave it out.")

    @classmethod
    def from_settings(cls, name: str, mapping: Mapping[str, object]) -> Column:
        """Makes a column from what a user writes: Python values, or text that the column's type converts.

        Args:
            name: the column.
            mapping: settings by name; None for a scalar stands for an unquoted null.

        Raises:
            ConfigurationError: a setting is unknown or at fault.
        """
        return cls(**settings.read(name, mapping, check_zone=True))

    def to_json(self) -> dict[str, Any]:
        """Returns the canonical JSON-able form: equal columns give equal forms, however they were written."""
        return settings.write(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Column:
        """Reads what `to_json` wrote."""
        mapping = {key: value for key, value in document.items() if key != "name"}
        return cls(**settings.read(document["name"], mapping, check_zone=False))

    @property
    def size(self) -> int:
        """The number of cells."""
        return self.declared + (self.other is not None) + (self.nan == "cell") + self.nullable

    @property
    def declared(self) -> int:
        """The number of cells that are declared values or bins: the first ones."""
        if self.values is not None:
            return len(self.values)
        if isinstance(self.bins, tuple):
            return len(self.bins) - 1
        if self.bins is not None:
            return self.bins
        low, high = self.tick_range
        return high - low + 1

    @property
    def tick_range(self) -> tuple[int, int]:
        """The least and the greatest declared tick of a column of whole numbers in bins."""
        if not isinstance(self.min, int) or not isinstance(self.max, int):
            self._refuse("min", "and max are not whole numbers.")
        return self.min, self.max

    @property
    def undeclared_code(self) -> int:
        """Where a value outside of `values` goes."""
        if self.other is not None:
            return self.declared
        if self.values is not None and self.undeclared is not None and not self.drops_undeclared:
            return self.values.index(self.undeclared)
        return DROPPED

    @property
    def drops_undeclared(self) -> bool:
        """Whether a row with a value outside of `values` is dropped."""
        return self.undeclared == DROP and (self.values is None or DROP not in self.values)

    @property
    def nan_cell(self) -> int | None:
        """NaN's own cell, where it has one."""
        return self.declared if self.nan == "cell" else None

    @property
    def null_code(self) -> int:
        """Where null goes."""
        return self.size - 1 if self.nullable else self.undeclared_code

    def tick_bins(self) -> TickBins:
        """Returns the bins of a column of whole numbers; of one value each where `bins` is absent."""
        field = self._field("bins")
        if isinstance(self.bins, tuple):
            return tick_bins_between([int(edge) for edge in self.bins], field=field)
        low, high = self.tick_range
        return equal_tick_bins(low, high, self.declared, field=field)

    def float_bins(self) -> FloatBins:
        """Returns the bins of a column of floats."""
        field = self._field("bins")
        if isinstance(self.bins, tuple):
            return float_bins_between(self.type, [float(edge) for edge in self.bins], field=field)
        if self.bins is None or self.min is None or self.max is None:
            self._refuse("bins", "and min and max are needed.")
        return equal_float_bins(self.type, float(self.min), float(self.max), self.bins, field=field)

    def cell_labels(self) -> tuple[str, ...]:
        """Returns a label for each cell, in the order of the codes, for reports."""
        return describe.cell_labels(self)

    def notes(self) -> list[str]:
        """Says in plain sentences what becomes of nulls, NaN and all that is not declared."""
        return describe.notes(self)

    def _fill_defaults(self) -> None:
        if self.type.name == "boolean" and self.values is None and self.bins is None and self.min is None:
            object.__setattr__(self, "values", (0, 1))
        if isinstance(self.bins, tuple) and self.bins:
            object.__setattr__(self, "min", self.bins[0] if self.min is None else self.min)
            object.__setattr__(self, "max", self.bins[-1] if self.max is None else self.max)
        if self.type.is_floating:
            object.__setattr__(self, "nan", self.nan or ("null" if self.nullable else DROP))
            object.__setattr__(self, "infinity", self.infinity or "clip")
        if self.type.name == "timestamp":
            object.__setattr__(self, "timezone", self.timezone or "UTC")

    def _check_values(self) -> None:
        values = self.values or ()
        if not self.type.is_discrete:
            self._refuse("values", f"is not for {self.type}. Declare min, max and bins.")
        if not (self.min is None and self.max is None and self.bins is None):
            self._refuse("values", "is declared together with min, max or bins. Keep one of the two.")
        if not values:
            self._refuse("values", "is empty. Declare at least one value.")
        if len(set(values)) != len(values):
            twice = next(value for i, value in enumerate(values) if value in values[:i])
            self._refuse("values", f"has {self._show(twice)} twice. Keep it once.")
        if len(values) > MAX_CELLS:
            self._refuse_size(len(values))
        if self.other is not None and self.undeclared is not None:
            self._refuse("other", "is declared together with undeclared. Keep one of the two.")
        if self.other is not None and self.other in values:
            self._refuse(
                "other", f"is {self._show(self.other)}, which is one of values. Choose another literal."
            )
        if self.undeclared is not None and self.undeclared not in (*values, DROP):
            choices = ", ".join(["drop", *map(self._show, values[:20])])
            self._refuse("undeclared", f"is {self.undeclared!r}. Choose one of: {choices}.")
        if self.undeclared == DROP and DROP in values:
            self._refuse("undeclared", "is drop, which is also one of values. Declare other instead.")
        complete = self.type.name == "boolean" and len(values) == 2
        if self.other is None and self.undeclared is None and not complete:
            self._refuse(
                "undeclared",
                "is missing: a value that is not declared has no cell. Declare other: LITERAL for a cell of "
                "its own, undeclared: VALUE to count it as a declared value, or undeclared: drop.",
            )

    def _check_range(self) -> None:
        if self.type.is_text or self.type.name == "boolean":
            self._refuse("values", f"is missing. Declare them: a {self.type} column has no other domain.")
        for key in ("other", "undeclared"):
            if getattr(self, key) is not None:
                self._refuse(
                    key, "is only for a column with values: what is out of range is clipped. Leave it out."
                )
        for key in ("min", "max"):
            if getattr(self, key) is None:
                choice = "values, or min and max" if self.type.is_discrete else "min, max and bins"
                self._refuse(key, f"is missing: the domain must be declared. Declare {choice}.")
        if self.min is None or self.max is None:
            return
        if not isinstance(self.bins, tuple) and not self.min <= self.max:
            self._refuse(
                "max",
                f"is {self._show(self.max)}, below min = {self._show(self.min)}. Write one that is not below it.",
            )
        if self.bins is None and not self.type.is_discrete:
            self._refuse(
                "bins",
                f"is missing. Write a number of bins or their edges: a {self.type} column has no cell a value.",
            )
        self._check_bins()
        if self.size > MAX_CELLS:
            self._refuse_size(self.size)
        if self.type.is_floating:
            self.float_bins()
        elif self.bins is not None:
            self.tick_bins()

    def _check_bins(self) -> None:
        if isinstance(self.bins, tuple):
            if len(self.bins) < 2:
                self._refuse("bins", "has fewer than two edges. Give at least two.")
            if not all(a < b for a, b in itertools.pairwise(self.bins)):
                self._refuse("bins", "has edges that do not increase. Order them, each once.")
            for key, edge in (("min", self.bins[0]), ("max", self.bins[-1])):
                if getattr(self, key) != edge:
                    self._refuse(key, f"differs from the edge {self._show(edge)} of bins. Leave it out.")
        elif self.bins is not None and (isinstance(self.bins, bool) or self.bins < 1):
            self._refuse("bins", f"is {self.bins!r}. Write a number of bins from 1, or a list of edges.")

    def _check_floats(self) -> None:
        if not self.type.is_floating:
            for key in ("nan", "infinity"):
                if getattr(self, key) is not None:
                    self._refuse(key, f"is only for float and double; {self.type} has none. Leave it out.")
            return
        if isinstance(self.nan, str):
            if self.nan not in ("null", "cell", DROP):
                self._refuse(
                    "nan", f"is {self.nan!r}. Choose one of: null, cell, drop, or a number in range."
                )
        elif self.nan is None or not self.min <= self.nan <= self.max:  # type: ignore[operator]
            self._refuse("nan", f"is {self.nan!r}, which is out of range. Choose a number from min to max.")
        if self.infinity not in ("clip", "null", DROP):
            self._refuse("infinity", f"is {self.infinity!r}. Choose one of: clip, null, drop.")
        for key in ("nan", "infinity"):
            if getattr(self, key) == "null" and not self.nullable:
                self._refuse(
                    key, "is null, but the column is not nullable. Add nullable: true, or choose another."
                )

    def _show(self, tick: Tick) -> str:
        return repr(describe.show(self, tick))

    def _field(self, key: str) -> str:
        return f"schema.{self.name}.{key}"

    def _refuse(self, key: str, what: str) -> NoReturn:
        raise ConfigurationError(f"Setting '{self._field(key)}' {what}", field=self._field(key))

    def _refuse_size(self, size: int) -> NoReturn:
        raise DomainTooLargeError(
            f"Column {self.name!r} has {size} cells; a column may have {MAX_CELLS}. "
            f"Set '{self._field('bins')}' to fewer.",
            field=self._field("bins"),
        )
