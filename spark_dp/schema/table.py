"""The schema of a table: its columns in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from spark_dp.errors import ConfigurationError, nearest
from spark_dp.schema.columns import Column
from spark_dp.schema.constraints import Constraint, constraint_from_json, note, rule
from spark_dp.schema.describe import words_for
from spark_dp.schema.domain import Domain

FORMAT = 1
CONSTRAINED_FORMAT = 2
"""Of a schema with constraints, so that a release that knows none refuses it and breaks none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSchema:
    """The declared columns of a table, in the order in which they are written out.

    Args:
        columns: at least one; names distinct also when their case is ignored, as Spark does.
        constraints: that every row of the output obeys.

    Raises:
        ConfigurationError: there is no column, two have one name, or a constraint is not of these columns.
    """

    columns: tuple[Column, ...]
    constraints: tuple[Constraint, ...] = ()

    def __post_init__(self) -> None:
        if not self.columns:
            raise ConfigurationError("Setting 'schema' has no column. Declare at least one.", field="schema")
        seen: dict[str, str] = {}
        for column in self.columns:
            folded = column.name.casefold()
            if folded in seen:
                field = f"schema.{column.name}"
                raise ConfigurationError(
                    f"Settings '{field}' and 'schema.{seen[folded]}' are one column to Spark.",
                    field=field,
                )
            seen[folded] = column.name
        for constraint in self.constraints:
            constraint.require_within(self.domain)

    @classmethod
    def from_settings(cls, mapping: Mapping[str, Mapping[str, object]]) -> TableSchema:
        """Makes a schema from the settings of each column (see `Column.from_settings`)."""
        return cls(columns=tuple(Column.from_settings(name, column) for name, column in mapping.items()))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def domain(self) -> Domain:
        """The discrete domain: an attribute for each column, in order."""
        return Domain(self.names, tuple(column.size for column in self.columns))

    @property
    def arrow_schema(self) -> pa.Schema:
        """The Arrow schema of what is decoded; every field may hold null, as in what Spark reads."""
        return pa.schema([pa.field(column.name, column.type.arrow_type) for column in self.columns])

    def column(self, name: str) -> Column:
        """Returns the column of this name."""
        for column in self.columns:
            if column.name == name:
                return column
        raise ConfigurationError(
            f"The schema has no column {name!r}. It has: {', '.join(self.names)}." + nearest(name, self.names)
        )

    def to_json(self) -> dict[str, Any]:
        """Returns a canonical JSON-able form that `from_json` reads back to an equal schema."""
        columns = [column.to_json() for column in self.columns]
        if not self.constraints:
            return {"format": FORMAT, "columns": columns}
        constraints = [constraint.to_json() for constraint in self.constraints]
        return {"format": CONSTRAINED_FORMAT, "columns": columns, "constraints": constraints}

    def constraint_notes(self) -> list[str]:
        """Says in plain sentences what the constraints mean for the output."""
        return [note(constraint, self._words) for constraint in self.constraints]

    def rules(self) -> list[str]:
        """Says the same in sentences that stand by themselves."""
        return [rule(constraint, self._words) for constraint in self.constraints]

    def _words(self, name: str, codes: Sequence[int]) -> str:
        return words_for(self.column(name), codes)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> TableSchema:
        """Reads what `to_json` wrote.

        Raises:
            ConfigurationError: it was written by another version.
        """
        if document.get("format") not in (FORMAT, CONSTRAINED_FORMAT):
            raise ConfigurationError(
                f"The schema has format {document.get('format')!r}; this version reads {FORMAT} and "
                f"{CONSTRAINED_FORMAT}.",
                field="schema",
            )
        return cls(
            columns=tuple(Column.from_json(column) for column in document["columns"]),
            constraints=tuple(constraint_from_json(found) for found in document.get("constraints", ())),
        )
