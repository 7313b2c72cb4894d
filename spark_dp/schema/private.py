"""What a schema may leave to a private step: a column's values, its bins, and whether it has nulls.

    values:    {private: 50, per_unit: 3, share: 0.02, delta: 1e-9}     at most 50 values, the rest in `other`
    bins:      {private: 24, share: 0.02}                               at most 24 bins between min and max
    nullable:  {private: true, share: 0.005}                            whether null has a cell

Each names its share of the run's budget. Until it is answered, the column stands for the largest domain that can come of it,
so that all sizes that a plan shows are public.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any, Final, NoReturn

from spark_dp.errors import ConfigurationError
from spark_dp.schema.columns import DROP, Column
from spark_dp.schema.literals import parse_boolean, parse_tick
from spark_dp.schema.spelling import hint_for
from spark_dp.schema.types import StorageType

MOST_VALUES: Final = 100_000
MOST_BINS: Final = 512
_LEAST_DELTA: Final = Fraction(1, 10**100)
_NUMBER: Final = re.compile(r"([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][-+]?[0-9]{1,3})?")

PRIVATE_VALUES: Final[Mapping[str, str]] = {
    "private": "how many values may be learned at most",
    "per_unit": "how many different values of one unit count, at least 1; 1 where the unit is a row",
    "share": "the part of the run's budget that it may cost, such as 0.02",
    "delta": "the part of privacy.delta that it may cost, such as a tenth of it",
}
PRIVATE_BINS: Final[Mapping[str, str]] = {
    "private": "how many bins there are at most",
    "cut": "mass for bins of about equal counts, width for bins of about equal width; both between learned bounds",
    "share": "the part of the run's budget that it may cost, such as 0.02",
}
PRIVATE_NULLS: Final[Mapping[str, str]] = {
    "private": "true",
    "share": "the part of the run's budget that it may cost, such as 0.005",
}
PRIVATE: Final = {"values": PRIVATE_VALUES, "bins": PRIVATE_BINS, "nullable": PRIVATE_NULLS}
"""The settings of a column that may be private, and what is written there."""


class Cut(StrEnum):
    """How learned bounds are cut into bins: by counts, or evenly."""

    MASS = "mass"
    WIDTH = "width"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateValues:
    """Values that are learned from how many units have them.

    Args:
        most: how many at most.
        per_unit: how many different values of one unit count.
        share: of the run's rho.
        delta: the probability that a value of one unit alone is learned, added to what the run's delta pays for.
    """

    most: int
    per_unit: int
    share: Fraction
    delta: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateBins:
    """Bounds and bins that are learned from a noisy histogram on a public grid."""

    most: int
    cut: Cut
    share: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateColumn:
    """What is learned of one column; each part is None where it is declared.

    Attributes:
        name: of the column.
        values, bins: of its domain.
        nulls: the share of rho that finds out whether there are nulls.
    """

    name: str
    values: PrivateValues | None = None
    bins: PrivateBins | None = None
    nulls: Fraction | None = None

    @property
    def share(self) -> Fraction:
        """The part of rho that all of it costs."""
        parts = (self.values, self.bins)
        return sum((part.share for part in parts if part is not None), self.nulls or Fraction(0))

    @property
    def delta(self) -> Fraction:
        """The part of delta that it costs."""
        return Fraction(0) if self.values is None else self.values.delta

    def to_json(self) -> dict[str, Any]:
        """Returns a canonical JSON-able form."""
        document: dict[str, Any] = {"name": self.name}
        if (values := self.values) is not None:
            document["values"] = {
                "private": values.most,
                "per_unit": values.per_unit,
                "share": str(values.share),
                "delta": str(values.delta),
            }
        if (bins := self.bins) is not None:
            document["bins"] = {"private": bins.most, "cut": bins.cut.value, "share": str(bins.share)}
        if self.nulls is not None:
            document["nullable"] = {"private": True, "share": str(self.nulls)}
        return document


def read_column(name: str, settings: object) -> tuple[Column, PrivateColumn | None]:
    """Reads a column's settings, private ones among them.

    Returns:
        The column with the largest domain that may come of it, and what is private of it; None where nothing is.

    Raises:
        ConfigurationError: a setting is unknown or at fault.
    """
    if not isinstance(settings, Mapping) or not any(isinstance(settings.get(k), Mapping) for k in PRIVATE):
        return Column.from_settings(name, settings), None  # type: ignore[arg-type]
    kind = StorageType.parse(settings.get("type"), field=f"schema.{name}.type")
    declared, parts = dict(settings), {}
    for key in PRIVATE:
        if isinstance(settings.get(key), Mapping):
            parts[key] = _PartReader(name, key, settings[key])
    values = bins = nulls = None
    if (part := parts.get("values")) is not None:
        values = _values(part, kind, settings)
        declared["values"] = _stand_ins(kind, values.most, settings["other"], field=f"schema.{name}.other")
    if (part := parts.get("bins")) is not None:
        bins = _bins(part, kind)
        declared["bins"] = bins.most
    if (part := parts.get("nullable")) is not None:
        part.flag("private")
        nulls = part.share()
        declared["nullable"] = True
    column = Column.from_settings(name, declared)
    return column, PrivateColumn(name=name, values=values, bins=bins, nulls=nulls)


def _values(part: _PartReader, kind: StorageType, settings: Mapping[str, object]) -> PrivateValues:
    if not (kind.is_text or kind.is_integer):
        part.refuse(
            "",
            f"is private, which is for string and integer columns; this one is {kind}. Declare its values."
            if kind.name == "boolean"
            else f"is private, which is for string and integer columns; this one is {kind}. Write private bins instead.",
        )
    if settings.get("other") is None:
        part.refuse(
            "",
            "is private, and other is missing: values that are not learned need a cell. Write other: LITERAL.",
        )
    if kind.is_text and settings["other"] == DROP:
        part.refuse(
            "",
            f"is private, and other is {DROP!r}, which drops no row here: all that is not learned counts in a cell of that "
            "name. Write another literal for it, such as other: elsewhere.",
        )
    delta = part.positive("delta")
    if delta < _LEAST_DELTA:
        part.refuse(
            "delta",
            f"is {float(delta):g}, and no threshold is worked out for less than 1e-100. "
            "Write a larger one, such as a tenth of privacy.delta.",
        )
    return PrivateValues(
        most=part.whole("private", MOST_VALUES),
        per_unit=part.whole("per_unit", MOST_VALUES),
        share=part.share(),
        delta=delta,
    )


def _bins(part: _PartReader, kind: StorageType) -> PrivateBins:
    if kind.is_text or kind.name == "boolean":
        part.refuse("", f"is private, which is not for {kind}. Declare its values, or make them private.")
    cut = part.text("cut") or Cut.MASS.value
    if cut not in tuple(Cut):
        part.refuse("cut", f"is {cut!r}. Choose one of: {', '.join(Cut)}.")
    return PrivateBins(most=part.whole("private", MOST_BINS), cut=Cut(cut), share=part.share())


def _stand_ins(kind: StorageType, count: int, other: object, *, field: str) -> list[str]:
    """Names of values that nobody knows yet, for the sizes of a plan; nothing is ever encoded by them."""
    if kind.is_text:
        return [word for i in range(count + 1) if (word := f"(not learned yet {i + 1})") != other][:count]
    if count > 2 * kind.tick_limits[1]:
        raise ConfigurationError(
            f"A column of type {kind} has not as many values as {count}. Ask for fewer private values.",
            field="schema",
        )
    taken = parse_tick(kind, other, zone=None, field=field)  # by value: +7, 07 and 7 are one
    spread = (i // 2 if i % 2 == 0 else -(i // 2) - 1 for i in range(count + 1))
    return [str(tick) for tick in spread if tick != taken][:count]


class _PartReader:
    """Reads one private setting; each method names it in its error."""

    def __init__(self, column: str, key: str, mapping: Mapping[str, object]) -> None:
        self._field, self._mapping, self._known = f"schema.{column}.{key}", mapping, PRIVATE[key]
        for name in mapping:
            if name not in self._known:
                self.refuse(
                    str(name),
                    f"is unknown. Choose one of: {', '.join(self._known)}.{hint_for(str(name), self._known)}",
                )

    def refuse(self, key: str, what: str) -> NoReturn:
        field = f"{self._field}.{key}" if key else self._field
        raise ConfigurationError(f"Setting '{field}' {what}", field=field)

    def text(self, key: str) -> str | None:
        found = self._mapping.get(key)
        return None if found is None else str(found)

    def required(self, key: str) -> str:
        found = self.text(key)
        if found is None:
            self.refuse(key, f"is missing, and it has no default. Write {self._known[key]}.")
        return found

    def flag(self, key: str) -> None:
        if not parse_boolean(self.required(key), field=f"{self._field}.{key}"):
            self.refuse(key, "is false. Write nullable: false, or nullable: true, without a share.")

    def whole(self, key: str, most: int) -> int:
        text = self.required(key)
        if not re.fullmatch(r"[0-9]{1,18}", text) or not 1 <= int(text) <= most:
            self.refuse(key, f"is {text!r}. Write {self._known[key]}: a whole number from 1 to {most:,}.")
        return int(text)

    def positive(self, key: str) -> Fraction:
        text = self.required(key)
        if not _NUMBER.fullmatch(text) or not 0 < Fraction(text) < 1:
            self.refuse(key, f"is {text!r}. Write {self._known[key]}: a number between 0 and 1.")
        return Fraction(text)

    def share(self) -> Fraction:
        return self.positive("share")
