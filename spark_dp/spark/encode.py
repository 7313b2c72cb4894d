"""Rows to codes: what travels from the table, and the two ways it is used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from spark_dp.schema.domain import Domain
from spark_dp.schema.table import TableSchema
from spark_dp.spark.packing import WORD, Slot, Transport, code_words

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Codes = dict[str, NDArray[np.integer]]


@dataclass(frozen=True, slots=True)
class RowReader:
    """Reads codes out of batches whose columns travel as `transport` says. Made on the driver, used on executors."""

    transport: Transport

    def batches(
        self, batches: Iterator[pa.RecordBatch], attributes: Sequence[str]
    ) -> Iterator[tuple[pa.RecordBatch, Codes, NDArray[np.bool_] | None]]:
        """Yields each batch with its codes and which of its rows are kept (None: all)."""
        unpacker = self.transport.decoder(attributes)
        for batch in batches:
            codes, kept = unpacker.codes(batch)
            yield batch, codes, kept


@dataclass(frozen=True, slots=True)
class CodeReader:
    """Reads codes out of words of codes, as `encoded_words` writes them."""

    slots: tuple[Slot, ...]

    def batches(
        self, batches: Iterator[pa.RecordBatch], attributes: Sequence[str]
    ) -> Iterator[tuple[pa.RecordBatch, Codes, NDArray[np.bool_] | None]]:
        """Yields each batch with its codes; no row is dropped any more."""
        wanted = frozenset(attributes)
        for batch in batches:
            codes: Codes = {}
            for slot in self.slots:
                if slot.column in wanted:
                    word = batch.column(f"{WORD}{slot.word}").to_numpy(zero_copy_only=False)
                    codes[slot.column] = (word >> slot.shift) & ((1 << slot.bits) - 1)
            yield batch, codes, None


def encoded_words(rows: DataFrame, schema: TableSchema, transport: Transport) -> tuple[DataFrame, CodeReader]:
    """Encodes rows into words of codes, all other columns kept, rows without a cell dropped.

    One row a record: the other columns as they are, and all codes in a few 64-bit words.
    """
    from pyspark.sql import types as T

    domain: Domain = schema.domain
    slots, words = code_words(dict(zip(domain.attributes, domain.sizes, strict=True)))
    carried = {f"{WORD}{i}" for i in range(transport.words)} | {c.name for c in transport.columns}
    passed = [f for f in rows.schema.fields if f.name not in carried]
    fields = [*passed, *(T.StructField(f"{WORD}{i}", T.LongType(), False) for i in range(words))]
    names = [f.name for f in passed]

    def encode_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch, codes, kept in RowReader(transport).batches(batches, domain.attributes):
            packed = [np.zeros(batch.num_rows, np.int64) for _ in range(words)]
            for slot in slots:
                # The code of a dropped row is -1; its bits are cleared, for the row goes in the next line.
                packed[slot.word] |= np.maximum(codes[slot.column], 0).astype(np.int64) << slot.shift
            columns = [*(batch.column(name) for name in names), *(pa.array(word) for word in packed)]
            made = pa.RecordBatch.from_arrays(columns, names=[*names, *(f"{WORD}{i}" for i in range(words))])
            yield made if kept is None else made.filter(pa.array(kept))

    return rows.mapInArrow(encode_batches, T.StructType(fields)), CodeReader(slots)
