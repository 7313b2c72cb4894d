"""The settings of a column: what a user writes, read into ticks and written back canonically."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypedDict

from spark_dp.errors import ConfigurationError
from spark_dp.schema.literals import Tick, check_zone, parse_boolean, parse_tick, scalar_of
from spark_dp.schema.spelling import hint_for, missing_colon
from spark_dp.schema.types import TYPE_NAMES, StorageType

if TYPE_CHECKING:
    from spark_dp.schema.columns import Column

SETTINGS: Final[Mapping[str, str]] = {
    "type": "the stored type, such as string, integer, double, decimal(10,2), date or timestamp",
    "values": "a list of the values that are declared, or {private: 50, per_unit: 1, share: 0.02, delta: 1e-9} to learn "
    "them",
    "min": "the least value, as far as you may say it without looking; what lies below is clipped to it",
    "max": "the greatest value, as far as you may say it without looking; what lies above is clipped to it",
    "bins": "a number of equal bins, a list of their edges, or {private: 24, share: 0.02} to learn bounds and edges; leave "
    "it out for one bin a value",
    "other": "a literal that stands for all values that are not declared",
    "undeclared": "drop, or a declared value that stands for all that are not declared",
    "nullable": "true where the column may be null: null then has a cell of its own; or {private: true, share: 0.005}",
    "nan": "what becomes of NaN: null, cell, drop, or a number in range",
    "infinity": "what becomes of an infinite value: clip, null or drop",
    "timezone": "the zone in which local times are read, such as Europe/Berlin",
}
"""Each setting of a column, and what to write for it."""

KEYS: Final = tuple(SETTINGS)


class ColumnFields(TypedDict):
    """The fields of a `Column`, in ticks."""

    name: str
    type: StorageType
    values: tuple[Tick, ...] | None
    min: int | float | None
    max: int | float | None
    bins: int | tuple[int | float, ...] | None
    other: Tick | None
    undeclared: Tick | None
    nullable: bool
    nan: str | float | None
    infinity: str | None
    timezone: str | None


def read(name: str, mapping: Mapping[str, object], *, check_zone: bool) -> ColumnFields:
    """Reads the settings of one column; Python values, or text that the column's type converts."""
    return _Reader(name, mapping).fields(needs_zone=check_zone)


def write(column: Column) -> dict[str, Any]:
    """Writes a column as JSON-able settings that read back to an equal one; defaults are written out."""
    kind = column.type
    document: dict[str, Any] = {"name": column.name, "type": str(kind)}
    if column.values is not None:
        document["values"] = [scalar_of(kind, value) for value in column.values]
    for key in ("min", "max", "other", "undeclared"):
        tick = getattr(column, key)
        if tick is not None:
            is_drop = key == "undeclared" and column.drops_undeclared
            document[key] = tick if is_drop else scalar_of(kind, tick)
    if isinstance(column.bins, tuple):
        document["bins"] = [scalar_of(kind, edge) for edge in column.bins]
    elif column.bins is not None:
        document["bins"] = column.bins
    document["nullable"] = column.nullable
    for key in ("nan", "infinity", "timezone"):
        if getattr(column, key) is not None:
            document[key] = getattr(column, key)
    return document


class _Reader:
    """Reads one column's settings; each method names the setting in its error."""

    def __init__(self, name: str, mapping: Mapping[str, object]) -> None:
        self._name = name
        if not isinstance(mapping, Mapping):
            raise ConfigurationError(
                f"Setting 'schema.{name}' is {_shown(mapping)}. {_usual_form(mapping)}",
                field=f"schema.{name}",
            )
        for key in mapping:
            if key not in KEYS:
                raise ConfigurationError(
                    f"Setting {self._field(str(key))!r} is unknown. Choose one of: {', '.join(KEYS)}."
                    + hint_for(str(key), KEYS),
                    field=self._field(str(key)),
                )
        self._mapping = mapping

    def fields(self, *, needs_zone: bool) -> ColumnFields:
        if "type" not in self._mapping:
            field = self._field("type")
            raise ConfigurationError(f"Setting '{field}' is missing. Write {SETTINGS['type']}.", field=field)
        kind = StorageType.parse(self._mapping["type"], field=self._field("type"))
        zone = self._zone(needs_zone)
        return ColumnFields(
            name=self._name,
            type=kind,
            values=self._values(kind, zone),
            min=self._number(kind, zone, "min"),
            max=self._number(kind, zone, "max"),
            bins=self._bins(kind, zone),
            other=self._tick(kind, zone, "other"),
            undeclared=self._undeclared(kind, zone),
            nullable=parse_boolean(self._mapping.get("nullable", False), field=self._field("nullable")),
            nan=self._nan(kind),
            infinity=self._word("infinity"),
            timezone=zone,
        )

    def _field(self, key: str) -> str:
        return f"schema.{self._name}.{key}"

    def _refuse(self, key: str, what: str) -> ConfigurationError:
        return ConfigurationError(f"Setting '{self._field(key)}' {what}", field=self._field(key))

    def _zone(self, needs_zone: bool) -> str | None:
        zone = self._word("timezone")
        if zone is not None and needs_zone:
            check_zone(zone, field=self._field("timezone"))
        return zone

    def _word(self, key: str) -> str | None:
        if key not in self._mapping:
            return None
        word = self._mapping[key]
        if word is None and key == "infinity":
            return "null"
        if not isinstance(word, str) or not word:
            raise self._refuse(key, f"is {word!r}. Write a word.")
        return word

    def _tick(self, kind: StorageType, zone: str | None, key: str) -> Tick | None:
        if key not in self._mapping:
            return None
        return parse_tick(kind, self._mapping[key], zone=zone, field=self._field(key))

    def _number(self, kind: StorageType, zone: str | None, key: str) -> int | float | None:
        if key in self._mapping and (kind.is_text or kind.name == "boolean"):
            raise self._refuse(key, f"is not for {kind}. Declare its values.")
        tick = self._tick(kind, zone, key)
        return None if isinstance(tick, str) else tick

    def _list(self, key: str) -> list[object]:
        items = self._mapping[key]
        if isinstance(items, str | bytes | Mapping) or not hasattr(items, "__iter__"):
            raise self._refuse(key, f"is {items!r}. Write a list, as in [a, b].")
        return list(items)

    def _values(self, kind: StorageType, zone: str | None) -> tuple[Tick, ...] | None:
        if "values" not in self._mapping:
            return None
        items = self._list("values")
        if not kind.is_discrete:
            raise self._refuse("values", f"is not for {kind}. Declare min, max and bins.")
        return tuple(parse_tick(kind, item, zone=zone, field=self._field("values")) for item in items)

    def _bins(self, kind: StorageType, zone: str | None) -> int | tuple[int | float, ...] | None:
        if "bins" not in self._mapping:
            return None
        bins = self._mapping["bins"]
        if kind.is_text or kind.name == "boolean":
            raise self._refuse("bins", f"is not for {kind}. Declare its values.")
        if isinstance(bins, str) and bins.isascii() and bins.isdigit() and len(bins) < 19:
            return int(bins)
        if isinstance(bins, int) and not isinstance(bins, bool):
            return bins
        if isinstance(bins, str | bool | float) or bins is None:
            raise self._refuse("bins", f"is {bins!r}. Write a number of bins from 1, or a list of edges.")
        field = self._field("bins")
        ticks = [parse_tick(kind, edge, zone=zone, field=field) for edge in self._list("bins")]
        return tuple(tick for tick in ticks if not isinstance(tick, str))

    def _undeclared(self, kind: StorageType, zone: str | None) -> Tick | None:
        if self._mapping.get("undeclared") == "drop":
            return "drop"
        return self._tick(kind, zone, "undeclared")

    def _nan(self, kind: StorageType) -> str | float | None:
        if "nan" not in self._mapping:
            return None
        nan = self._mapping["nan"]
        if nan is None:
            return "null"
        if not kind.is_floating or nan in ("null", "cell", "drop"):
            return str(nan)
        try:
            return float(parse_tick(kind, nan, zone=None, field=self._field("nan")))
        except ConfigurationError:
            raise self._refuse(
                "nan", f"is {nan!r}. Choose one of: null, cell, drop, or a number in range."
            ) from None


def _shown(value: object) -> str:
    return "missing" if value is None else "a list" if isinstance(value, list) else repr(value)


def _usual_form(value: object) -> str:
    """Says how the settings of a column are written, from what was written instead."""
    if isinstance(value, str) and (hint := missing_colon(value, KEYS)):
        return hint.strip()
    kind = value if isinstance(value, str) and value in TYPE_NAMES else "string"
    ranged = f"{{type: {kind}, min: LEAST, max: GREATEST, bins: NUMBER}}"
    discrete = f"{{type: {kind}, values: [A, B], other: REST}}"
    return f"Write its settings, such as {discrete if kind in ('string', 'boolean') else ranged}."
