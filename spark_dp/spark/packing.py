"""Carrying rows from the JVM to Python in few columns.

What a row costs on its way through Arrow grows with its columns, so the JVM packs all columns of few
values (whole numbers, dates, booleans, declared strings) into 64-bit words, and Python looks the code of each packed
value up in a table. The tables are made by the codec itself, over all packed values, so that there is one
encoder and not two; what does not fit into a table travels as it is, and goes through the codec.

    whole number x of a column declared on [low, high]   ->  clip(x, low - 1, high + 1) - low + 2, null -> 0
    string of a column declared by values                ->  its position from 1, 1 + n if undeclared, null -> 0
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from spark_dp.schema.codec import encode
from spark_dp.schema.columns import DROPPED, Column
from spark_dp.schema.table import TableSchema
from spark_dp.schema.types import INT64_MAX, INT64_MIN

if TYPE_CHECKING:
    from pyspark.sql import Column as Expression

WORD_BITS = 63
PACKED_VALUES = 1 << 20
"""Values up to which a column is packed: its table is 4 MiB."""

PACKED_STRINGS = 256
"""Declared strings up to which the JVM looks them up one by one."""

WORD = "__w"


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a column's packed value stands: `bits` bits of a word, from `shift` up."""

    column: str
    word: int
    shift: int
    bits: int


@dataclass(frozen=True, slots=True)
class Transport:
    """How the columns of a schema travel: some packed into words, the others as they are.

    Attributes:
        columns: those that travel, in the schema's order.
        slots: of the packed ones.
        words: the number of words.
    """

    columns: tuple[Column, ...]
    slots: tuple[Slot, ...]
    words: int

    @classmethod
    def of(cls, schema: TableSchema, *, packed: bool = True) -> Transport:
        """Lays the columns out; with `packed` false all of them travel as they are."""
        widths = [(c.name, _values(c).bit_length()) for c in schema.columns if packed and _is_packed(c)]
        slots, words = _first_fit(widths)
        return cls(schema.columns, slots, words)

    def expressions(self) -> list[Expression]:
        """Returns the Spark columns to select: the words, then the others, each under its own name."""
        from pyspark.sql import functions as F

        by_name = {column.name: column for column in self.columns}
        words: list[Expression | None] = [None] * self.words
        for slot in self.slots:
            part = F.shiftleft(_packed_value(by_name[slot.column]), slot.shift)
            word = words[slot.word]
            words[slot.word] = part if word is None else word.bitwiseOR(part)
        packed = {slot.column for slot in self.slots}
        others = [_as_is(c) for c in self.columns if c.name not in packed]
        return [word.alias(f"{WORD}{i}") for i, word in enumerate(words) if word is not None] + others

    def decoder(self, attributes: Sequence[str]) -> Unpacker:
        """Returns what turns the rows that arrive into codes of these attributes."""
        return Unpacker(self, attributes)


class Unpacker:
    """Turns batches into codes, on an executor."""

    def __init__(self, transport: Transport, attributes: Sequence[str]) -> None:
        self._slots = {slot.column: slot for slot in transport.slots}
        self._columns = transport.columns
        self._wanted = frozenset(attributes)
        self._tables = {c.name: _table(c) for c in transport.columns if c.name in self._slots}

    def codes(self, batch: pa.RecordBatch) -> tuple[dict[str, NDArray[np.integer]], NDArray[np.bool_] | None]:
        """Returns the codes of the attributes wanted, shape (rows,), and which rows are kept (None: all).

        A row is dropped when any column says so, wanted or not.
        """
        words: dict[int, NDArray[np.int64]] = {}
        codes: dict[str, NDArray[np.integer]] = {}
        kept: NDArray[np.bool_] | None = None
        for column in self._columns:
            slot = self._slots.get(column.name)
            if slot is None:
                found: NDArray[np.integer] = encode(column, _as_declared(column, batch.column(column.name)))
            else:
                if slot.word not in words:
                    words[slot.word] = batch.column(f"{WORD}{slot.word}").to_numpy(zero_copy_only=False)
                table = self._tables[column.name]
                if column.name not in self._wanted and not _drops(table):
                    continue
                value = (words[slot.word] >> slot.shift) & ((1 << slot.bits) - 1)
                found = table[value]
            if slot is None or _drops(self._tables[column.name]):
                whole = found != DROPPED
                if not whole.all():
                    kept = whole if kept is None else kept & whole
            if column.name in self._wanted:
                codes[column.name] = found
        return codes, kept


def _as_declared(column: Column, array: pa.Array) -> pa.Array:
    """Takes the microseconds of `_as_is` for the instants they are; the codec reads no zone as UTC."""
    return array.view(pa.timestamp("us")) if column.type.name == "timestamp" else array


def _drops(table: NDArray[np.integer]) -> bool:
    return table.dtype.kind == "i"


def code_words(sizes: Mapping[str, int]) -> tuple[tuple[Slot, ...], int]:
    """Lays codes out in words: each attribute in the bits its number of cells needs."""
    return _first_fit([(name, max(1, (size - 1).bit_length())) for name, size in sizes.items()])


def _first_fit(widths: Sequence[tuple[str, int]]) -> tuple[tuple[Slot, ...], int]:
    used: list[int] = []
    slots = []
    for name, bits in sorted(widths, key=lambda item: -item[1]):
        word = next((i for i, have in enumerate(used) if have + bits <= WORD_BITS), len(used))
        if word == len(used):
            used.append(0)
        slots.append(Slot(name, word, used[word], bits))
        used[word] += bits
    return tuple(slots), len(used)


def _is_packed(column: Column) -> bool:
    if column.type.is_text:
        return len(column.values or ()) <= PACKED_STRINGS
    if not (column.type.is_integer or column.type.name in ("date", "boolean")):
        return False
    low, high = _range(column)
    return _values(column) <= PACKED_VALUES and low - 2 >= INT64_MIN and high + 1 <= INT64_MAX


def _range(column: Column) -> tuple[int, int]:
    """The least and the greatest declared tick."""
    if column.values is not None:
        ticks = [int(v) for v in column.values]
        return min(ticks), max(ticks)
    return column.tick_range


def _values(column: Column) -> int:
    """The number of packed values, null's 0 included."""
    if column.type.is_text:
        return len(column.values or ()) + 2
    low, high = _range(column)
    return high - low + 4


def _packed_value(column: Column) -> Expression:
    from pyspark.sql import functions as F

    cell = F.col("`" + column.name.replace("`", "``") + "`")
    if column.type.is_text:
        declared = F.array(*[F.lit(v) for v in column.values or ()])
        # Spark 3.5's own array_position takes no column to look for.
        place = F.call_function("array_position", declared, cell.cast("string")).cast("long")
        value = F.when(place == 0, F.lit(len(column.values or ()) + 1)).otherwise(place)
    else:
        low, high = _range(column)
        tick = F.expr(f"unix_date({_quoted(column)})") if column.type.name == "date" else cell
        clipped = F.greatest(_long(low - 1), F.least(_long(high + 1), tick.cast("long")))
        value = F.when(cell.isNotNull(), clipped - _long(low - 2))
    return F.coalesce(value, F.lit(0)).cast("long")


def _long(value: int) -> Expression:
    from pyspark.sql import functions as F

    return F.lit(value).cast("long")


def _as_is(column: Column) -> Expression:
    """An unpacked column. Instants travel as microseconds, so that the session's time zone has no say."""
    from pyspark.sql import functions as F

    if column.type.name == "timestamp":
        return F.expr(f"unix_micros({_quoted(column)})").alias(column.name)
    return F.col(_quoted(column))


def _quoted(column: Column) -> str:
    return "`" + column.name.replace("`", "``") + "`"


def _table(column: Column) -> NDArray[np.integer]:
    """The code of every packed value, by the codec. Unsigned where no value drops its row."""
    if column.type.is_text:
        declared = [str(v) for v in column.values or ()]
        stranger = "\x00"
        while stranger in declared:
            stranger += "\x00"
        values = pa.array([None, *declared, stranger], pa.string())
    else:
        low, high = _range(column)
        least, greatest = column.type.tick_limits
        ticks = np.clip(np.arange(low - 1, high + 2), least, greatest)
        values = pa.concat_arrays([pa.nulls(1, column.type.arrow_type), _typed(ticks, column)])
    codes = encode(column, values)
    return codes if codes.min() < 0 else codes.astype(np.min_scalar_type(int(codes.max())))


def _typed(ticks: NDArray[np.int64], column: Column) -> pa.Array:
    if column.type.name == "boolean":
        return pa.array(ticks != 0)
    if column.type.name == "date":
        return pc.cast(pa.array(ticks, pa.int32()), pa.date32())
    return pa.array(ticks, column.type.arrow_type)
