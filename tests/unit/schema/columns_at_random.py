"""Hypothesis strategies: columns of every type, and Arrow arrays of any value that the type can hold."""

import datetime as dt
import math
from decimal import Decimal

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from spark_dp.errors import ConfigurationError
from spark_dp.schema.columns import Column
from spark_dp.schema.types import INT64_MAX, INT64_MIN

INTEGER_LIMITS = {
    "byte": (-(2**7), 2**7 - 1),
    "short": (-(2**15), 2**15 - 1),
    "integer": (-(2**31), 2**31 - 1),
    "long": (INT64_MIN, INT64_MAX),
}
ZONES = ("UTC", "America/New_York", "Asia/Kolkata", "Pacific/Chatham")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
MOMENTS = st.datetimes(dt.datetime(2, 1, 1), dt.datetime(9998, 1, 1))
DAYS = st.dates(dt.date(1, 1, 1), dt.date(9999, 12, 31))


@st.composite
def decimal_types(draw: st.DrawFn) -> str:
    precision = draw(st.integers(1, 38))
    return f"decimal({precision},{draw(st.integers(0, precision))})"


TYPES = st.one_of(
    st.sampled_from(
        ["string", "boolean", *INTEGER_LIMITS, "float", "double", "date", "timestamp", "timestamp_ntz"]
    ),
    decimal_types(),
)


def digits(name: str) -> tuple[int, int]:
    precision, scale = name.removeprefix("decimal(").removesuffix(")").split(",")
    return int(precision), int(scale)


def scalars(name: str, *, declared: bool) -> st.SearchStrategy:
    """Returns any value of the type; a declared one where asked, which int64 must be able to hold."""
    if name == "string":
        return TEXT
    if name == "boolean":
        return st.booleans()
    if name in INTEGER_LIMITS:
        low, high = INTEGER_LIMITS[name]
        return st.one_of(st.integers(low, high), st.integers(max(low, -100), min(high, 100)))
    if name == "double":
        return st.floats(allow_nan=not declared, allow_infinity=not declared)
    if name == "float":
        return st.floats(allow_nan=not declared, allow_infinity=not declared, width=32)
    if name == "date":
        return DAYS
    if name.startswith("timestamp"):
        return MOMENTS
    precision, scale = digits(name)
    limit = 10**precision - 1
    limit = min(limit, INT64_MAX - 1) if declared else limit
    return st.integers(-limit, limit).map(lambda unscaled: Decimal(f"{unscaled}E-{scale}"))


@st.composite
def columns(draw: st.DrawFn) -> Column:
    """Draws a column; settings that a column refuses are drawn again."""
    name = draw(TYPES)
    settings: dict[str, object] = {"type": name, "nullable": draw(st.booleans())}
    discrete = name not in ("float", "double", "timestamp", "timestamp_ntz")
    if name in ("string", "boolean") or (discrete and draw(st.booleans())):
        pool = draw(st.lists(scalars(name, declared=True), min_size=2, max_size=8, unique=True))
        settings["values"] = pool[:-1]
        last = pool[-1] if pool[-1] != "drop" else "dropped"
        policy = draw(st.sampled_from(["other", "value", "drop"]))
        if policy == "other":
            settings["other"] = last
        else:
            settings["undeclared"] = pool[0] if policy == "value" else "drop"
    else:
        edges = sorted(draw(st.sets(scalars(name, declared=True), min_size=2, max_size=6)))
        style = draw(st.sampled_from(["edges", "equal", "each"]))
        if style == "edges":
            settings["bins"] = edges
        elif style == "each" and (name in INTEGER_LIMITS or name == "date"):
            steps = draw(st.integers(0, 30))
            settings |= {"min": edges[0], "max": _later(edges[0], steps, INTEGER_LIMITS.get(name))}
        else:
            settings |= {"min": edges[0], "max": edges[-1], "bins": draw(st.integers(1, 30))}
    if name in ("float", "double"):
        policies = ["cell", "drop", *(["null"] if settings["nullable"] else [])]
        settings["nan"] = draw(st.sampled_from(policies))
        settings["infinity"] = draw(st.sampled_from(["clip", *policies[1:]]))
    if name == "timestamp":
        settings["timezone"] = draw(st.sampled_from(ZONES))
    try:
        return Column.from_settings("x", settings)
    except ConfigurationError:
        return draw(columns())


def _later(first: object, steps: int, limits: tuple[int, int] | None) -> object:
    if limits is None:
        return first + dt.timedelta(steps) if first.year < 9999 else first
    return min(first + steps, limits[1])


def arrays(column: Column) -> st.SearchStrategy[pa.Array]:
    """Draws arrays of any values of the column's type, nulls, extremes and what is not declared included."""
    name = str(column.type)
    extremes: list[object] = [None]
    if name in INTEGER_LIMITS:
        extremes += INTEGER_LIMITS[name]
    elif column.type.is_floating:
        extremes += [math.nan, math.inf, -math.inf, -0.0, float(np.finfo(np.float32).max)]
    elif name.startswith("decimal"):
        precision, scale = digits(name)
        extremes += [Decimal(f"{sign}{10**precision - 1}E-{scale}") for sign in ("", "-")]
    elif name == "string":
        extremes += ["", "null", "\x00", "\N{GRINNING FACE}"]
    if column.values is not None and (column.type.is_text or column.type.is_integer):
        extremes += column.values
    value = st.one_of(st.sampled_from(extremes), scalars(name, declared=False))
    return st.lists(value, max_size=30).map(lambda items: _array(items, column.type.arrow_type))


def _array(items: list[object], kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind):
        items = [item.replace(tzinfo=dt.UTC) if item is not None and kind.tz else item for item in items]
    return pa.array(items, kind)
