"""Literals of a schema: how a declared value is read, kept as a tick, and written again."""

from __future__ import annotations

import datetime as dt
import math
import re
import zoneinfo
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from spark_dp.errors import ConfigurationError, nearest
from spark_dp.schema.types import StorageType

Tick = int | float | str
"""A declared value as the codec sees it: text, float, or a whole number (see `StorageType`)."""

_EPOCH = dt.datetime(1970, 1, 1)
_EPOCH_DAY = dt.date(1970, 1, 1).toordinal()
_MICROSECOND = dt.timedelta(microseconds=1)
_DAY = dt.timedelta(days=1)
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d{1,5})?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DATE_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(?P<offset>Z|[-+]\d{2}:\d{2})?)?",
    re.ASCII,
)
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_EXAMPLES = {
    "string": "text; quote a word that stands for no value, as in 'null'",
    "boolean": "true or false",
    "decimal": "a number with no more digits after the point than the type has",
    "date": "a date such as 2013-01-31",
    "timestamp": "a local date or date-time such as 2013-01-31 or 2013-01-31T18:00:00",
    "timestamp_ntz": "a date or date-time without an offset, such as 2013-01-31 or 2013-01-31T18:00:00",
    "float": "a finite number",
    "double": "a finite number",
}


class _NotOfTheTypeError(Exception):
    pass


def zone_of(name: str | None) -> dt.tzinfo:
    """Returns a time zone by its name; UTC needs no time-zone database.

    Raises:
        zoneinfo.ZoneInfoNotFoundError, ValueError: there is no such zone.
    """
    return dt.UTC if name in (None, "UTC") else zoneinfo.ZoneInfo(name)


def check_zone(name: str, *, field: str) -> None:
    """Refuses a time zone that does not exist, with the nearest one that does."""
    try:
        zone_of(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigurationError(
            f"Setting '{field}' is {name!r}, which is no time zone. Write a name such as Europe/Berlin."
            + nearest(name, zoneinfo.available_timezones()),
            field=field,
        ) from None


def parse_boolean(value: object, *, field: str) -> bool:
    """Reads a flag: a bool, or the text of one."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in _BOOLEANS:
        return _BOOLEANS[value]
    raise ConfigurationError(f"Setting '{field}' is {value!r}. Write true or false.", field=field)


def parse_tick(kind: StorageType, value: object, *, zone: str | None, field: str) -> Tick:
    """Reads a declared value by the column's type, from text or from a Python value.

    Args:
        kind: the column's type.
        value: raw text as it stands in a file, or a Python value.
        zone: where a local date-time of a `timestamp` column is read; UTC when None. A time that a change of
            the clock repeats is the earlier of the two.
        field: the dotted name of the setting, for the error.

    Raises:
        ConfigurationError: the value is not of the type, or outside its range.
    """
    try:
        tick = _parse(kind, value, zone)
    except (_NotOfTheTypeError, ValueError, OverflowError, InvalidOperation):
        example = _EXAMPLES.get(kind.name, "a whole number")
        raise ConfigurationError(
            f"Setting '{field}' has {value!r}, which is not a value of type {kind}. Write {example}.",
            field=field,
        ) from None
    low, high = kind.tick_limits
    if isinstance(tick, int) and not low <= tick <= high:
        raise ConfigurationError(
            f"Setting '{field}' has {value!r}, which is outside the range of type {kind}: "
            f"{label_of(kind, low, zone)} to {label_of(kind, high, zone)}. Write one within.",
            field=field,
        )
    return tick


def _parse(kind: StorageType, value: object, zone: str | None) -> Tick:
    if kind.is_text:
        if not isinstance(value, str):
            raise _NotOfTheTypeError
        value.encode()
        return value
    if kind.name == "boolean":
        return _boolean(value)
    if kind.name == "date":
        return _date(value).toordinal() - _EPOCH_DAY
    if kind.is_timestamp:
        return _microseconds(kind, value, zone)
    number = _number(value)
    if kind.is_floating:
        as_float = float(number)
        if not math.isfinite(as_float):
            raise _NotOfTheTypeError
        return as_float + 0.0
    if number.adjusted() > 40 or (number and number.adjusted() < -40):
        raise _NotOfTheTypeError
    unscaled = Fraction(number) * 10 ** (kind.scale or 0)
    if unscaled.denominator != 1:
        raise _NotOfTheTypeError
    return int(unscaled)


def _boolean(value: object) -> int:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and value in _BOOLEANS:
        return int(_BOOLEANS[value])
    raise _NotOfTheTypeError


def _number(value: object) -> Decimal:
    if isinstance(value, bool):
        raise _NotOfTheTypeError
    if isinstance(value, float):
        value = repr(value)
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value.strip()):
            raise _NotOfTheTypeError
        return Decimal(value.strip())
    if isinstance(value, int | Decimal) and Decimal(value).is_finite():
        return Decimal(value)
    raise _NotOfTheTypeError


def _date(value: object) -> dt.date:
    if isinstance(value, str) and _DATE.fullmatch(value.strip()):
        return dt.date.fromisoformat(value.strip())
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value
    raise _NotOfTheTypeError


def _microseconds(kind: StorageType, value: object, zone: str | None) -> int:
    if isinstance(value, str):
        if not _DATE_TIME.fullmatch(value.strip()):
            raise _NotOfTheTypeError
        moment = dt.datetime.fromisoformat(value.strip())
    elif isinstance(value, dt.datetime):
        moment = value
    elif isinstance(value, dt.date):
        moment = dt.datetime(value.year, value.month, value.day)
    else:
        raise _NotOfTheTypeError
    if kind.name == "timestamp":
        local = moment if moment.tzinfo else moment.replace(tzinfo=zone_of(zone))
        moment = local.astimezone(dt.UTC).replace(tzinfo=None)
    elif moment.tzinfo is not None:
        raise _NotOfTheTypeError
    return (moment - _EPOCH) // _MICROSECOND


def scalar_of(kind: StorageType, tick: Tick) -> Any:
    """Writes a tick as the JSON scalar that `parse_tick` reads back to the same tick, in any time zone."""
    if kind.name == "boolean":
        return bool(tick)
    if isinstance(tick, str) or kind.is_integer or kind.is_floating:
        return tick
    if kind.is_timestamp:
        moment = _EPOCH + int(tick) * _MICROSECOND
        return moment.isoformat() + ("Z" if kind.name == "timestamp" else "")
    return label_of(kind, tick, None)


def label_of(kind: StorageType, tick: Tick, zone: str | None) -> str:
    """Writes a tick for a reader; timestamps in the column's own zone."""
    if isinstance(tick, str):
        return tick
    if kind.is_floating:
        return f"{tick:.6g}" if float(f"{tick:.6g}") == tick else repr(tick)
    tick = int(tick)
    if kind.name == "boolean":
        return "true" if tick else "false"
    if kind.name == "date":
        return dt.date.fromordinal(tick + _EPOCH_DAY).isoformat()
    if kind.is_timestamp:
        moment = _EPOCH + tick * _MICROSECOND
        if kind.name == "timestamp" and dt.datetime.min + _DAY < moment < dt.datetime.max - _DAY:
            moment = moment.replace(tzinfo=dt.UTC).astimezone(zone_of(zone)).replace(tzinfo=None)
        return moment.isoformat(sep=" ")
    if kind.scale:
        digits = str(abs(tick)).rjust(kind.scale + 1, "0")
        return f"{'-' if tick < 0 else ''}{digits[: -kind.scale]}.{digits[-kind.scale :]}"
    return str(tick)
