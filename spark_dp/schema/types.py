"""The types in which a column may be stored, and their names in Arrow and in Spark."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from spark_dp.errors import ConfigurationError, nearest

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
WIDEST_DECIMAL = 38
WIDEST_DECIMAL_IN_INT64 = 18

_INTEGERS: dict[str, type[np.signedinteger]] = {
    "byte": np.int8,
    "short": np.int16,
    "integer": np.int32,
    "long": np.int64,
}
_FLOATS = {"float": np.float32, "double": np.float64}
_DDL = {"byte": "TINYINT", "short": "SMALLINT", "integer": "INT", "long": "BIGINT"}
TYPE_NAMES = ("string", "boolean", *_INTEGERS, *_FLOATS, "decimal", "date", "timestamp", "timestamp_ntz")
_CHOICES = ", ".join(f"{name}(p,s)" if name == "decimal" else name for name in TYPE_NAMES)
_DECIMAL = re.compile(r"decimal\(\s*([0-9]{1,3})\s*,\s*([0-9]{1,3})\s*\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageType:
    """The stored type of a column.

    All types but string, float and double reduce to a whole number, the *tick*: the integer itself, 0 or 1,
    days since 1970, microseconds since 1970 (in UTC, or of the wall clock for timestamp_ntz), or the unscaled
    value of a decimal. Floats are their own ticks, as 64-bit floats.

    Args:
        name: one of the type names, `decimal` without its digits.
        precision: digits of a decimal, 1 to 38; None for all other types.
        scale: digits of a decimal after the point, 0 to precision; None for all other types.
    """

    name: str
    precision: int | None = None
    scale: int | None = None

    def __post_init__(self) -> None:
        if self.name not in TYPE_NAMES:
            raise ConfigurationError(f"Type {self.name!r} is unknown. Choose one of: {_CHOICES}.")
        if (self.name == "decimal") != (self.precision is not None and self.scale is not None):
            raise ConfigurationError(
                f"Type {self.name!r}: a decimal needs its digits, as in decimal(10,2); nothing else has any."
            )
        if self.precision is not None and self.scale is not None:
            if not 1 <= self.precision <= WIDEST_DECIMAL:
                raise ConfigurationError(
                    f"Type '{self}': a decimal has 1 to {WIDEST_DECIMAL} digits. Write fewer."
                )
            if not 0 <= self.scale <= self.precision:
                raise ConfigurationError(
                    f"Type '{self}': the second number must lie between 0 and the first."
                )

    @classmethod
    def parse(cls, text: object, *, field: str | None = None) -> StorageType:
        """Reads a type such as `integer` or `decimal(10,2)`.

        Raises:
            ConfigurationError: the text names no type; the message has the choices and the nearest one.
        """
        try:
            if isinstance(text, str) and (digits := _DECIMAL.fullmatch(text.strip())):
                return cls(name="decimal", precision=int(digits[1]), scale=int(digits[2]))
            if text == "decimal":
                raise ConfigurationError("Type 'decimal' needs its digits, as in decimal(10,2).")
            if not isinstance(text, str) or text not in TYPE_NAMES:
                raise ConfigurationError(
                    f"Type {text!r} is unknown. Choose one of: {_CHOICES}." + nearest(str(text), TYPE_NAMES)
                )
            return cls(name=text)
        except ConfigurationError as error:
            prefix = f"Setting '{field}': " if field else ""
            raise ConfigurationError(prefix + error.message, field=field) from None

    def __str__(self) -> str:
        return f"decimal({self.precision},{self.scale})" if self.name == "decimal" else self.name

    @property
    def is_text(self) -> bool:
        return self.name == "string"

    @property
    def is_integer(self) -> bool:
        return self.name in _INTEGERS

    @property
    def is_floating(self) -> bool:
        return self.name in _FLOATS

    @property
    def is_timestamp(self) -> bool:
        return self.name in ("timestamp", "timestamp_ntz")

    def holds(self, stored: str | None) -> bool:
        """Whether every value of a stored type, by its name here, is one of this type: the same, or a narrower one."""
        wider = {
            "short": ("byte",),
            "integer": ("byte", "short"),
            "long": ("byte", "short", "integer"),
            "double": ("float",),
        }
        return stored == str(self) or stored in wider.get(self.name, ())

    @property
    def is_discrete(self) -> bool:
        """Whether single values of the type may be declared."""
        return not (self.is_floating or self.is_timestamp)

    @property
    def tick_limits(self) -> tuple[int, int]:
        """The least and the greatest tick that a schema may declare.

        A wide decimal stops one short of int64, so that a value clipped to int64 never equals a declared one.
        """
        if self.is_integer:
            limits = np.iinfo(_INTEGERS[self.name])
            return int(limits.min), int(limits.max)
        if self.precision is not None:
            if self.precision > WIDEST_DECIMAL_IN_INT64:
                return INT64_MIN + 1, INT64_MAX - 1
            return 1 - 10**self.precision, 10**self.precision - 1
        return (0, 1) if self.name == "boolean" else (INT64_MIN, INT64_MAX)

    @property
    def numpy_type(self) -> np.dtype[np.generic]:
        """The type of one value in Arrow's buffer; not for string, boolean and decimal."""
        if self.name == "date":
            return np.dtype(np.int32)
        if self.is_timestamp:
            return np.dtype(np.int64)
        return np.dtype((_INTEGERS | _FLOATS)[self.name])

    @property
    def arrow_type(self) -> pa.DataType:
        """The Arrow type of what is decoded."""
        match self.name:
            case "string":
                return pa.string()
            case "boolean":
                return pa.bool_()
            case "decimal":
                return pa.decimal128(self.precision, self.scale)
            case "date":
                return pa.date32()
            case "timestamp":
                return pa.timestamp("us", "UTC")
            case "timestamp_ntz":
                return pa.timestamp("us")
            case _:
                return pa.from_numpy_dtype(self.numpy_type)

    @property
    def spark_ddl(self) -> str:
        """The type's name in Spark SQL."""
        return _DDL.get(self.name, str(self).upper())
