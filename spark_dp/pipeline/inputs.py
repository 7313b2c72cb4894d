"""Opening and bounding the input: from a table to rows whose units weigh no more than k."""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from spark_dp.errors import InputChangedError, InputError, TransientError
from spark_dp.pipeline.config import RunConfig
from spark_dp.pipeline.config_sections import Bounding, ColumnUnit
from spark_dp.privacy.sensitivity import Contribution
from spark_dp.spark import bounding
from spark_dp.spark.counting import CodesReader, Counted, MarginalPass, count_rows_of
from spark_dp.spark.direct import count_files, readable_directly
from spark_dp.spark.encode import RowReader, encoded_words
from spark_dp.spark.file_tables import PLAIN_FILES, require_all_read
from spark_dp.spark.filters import filter_rows
from spark_dp.spark.histograms import CountingLayout
from spark_dp.spark.packing import Transport
from spark_dp.spark.plans import inferred_partitions
from spark_dp.spark.snapshot import (
    Snapshot,
    require_same_rows,
    require_unchanged,
    snapshot_files,
    snapshot_rows,
)
from spark_dp.spark.tables import (
    declared_columns,
    partition_columns,
    quoted,
    read_table,
    require_columns,
)

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

log = logging.getLogger(__name__)


def contribution_of(config: RunConfig) -> Contribution:
    """Returns what bounding guarantees about a unit: the one object that all sensitivities come from."""
    unit = config.privacy.unit
    weighted = isinstance(unit, ColumnUnit) and unit.bounding is Bounding.WEIGHT
    return Contribution(
        max_rows=unit.max_rows,
        unit=bounding.WEIGHT_UNIT if weighted else 1,
        neighbours=config.privacy.neighbours,
    )


@dataclass(slots=True, eq=False)
class OpenedInput:
    """The input of a run: checked against its schema, no row read yet.

    Attributes:
        rows: the table's own rows: declared columns in their declared types, and the unit's id as it is stored.
        unit: the columns of `rows` that hold the id.
        snapshot: what it was when it was opened.
        from_path: it is the files below `input.path`, and not a frame, a catalog's table or a table format.
    """

    session: SparkSession
    config: RunConfig
    rows: DataFrame
    unit: tuple[str, ...]
    snapshot: Snapshot
    from_path: bool
    _bounded: list[bounding.BoundedRows] = field(default_factory=list)

    def unchanged(self) -> None:
        """Raises when the input is not what it was when it was opened.

        Files are compared by name, size and time. Rows of a frame or of a table format have no such list: they are
        fingerprinted again, which takes one more pass.
        """
        if self.from_path:
            require_unchanged(self.session, str(self.config.input.path), self.snapshot)
        else:
            require_same_rows(self.rows, self.snapshot)

    def release(self) -> None:
        """Lets go of what Spark kept in memory."""
        for bounded in self._bounded:
            bounded.release()
        self._bounded.clear()

    def with_config(self, config: RunConfig) -> OpenedInput:
        """Returns the same input, to be read by other domains of the same columns or another bound."""
        return replace(self, config=config)  # what Spark keeps for either is let go by both

    def units(self, *payload: Column) -> DataFrame:
        """Returns the rows with their units in key columns, none where the unit is the row. Nothing is bounded."""
        unit = self.config.privacy.unit
        if not isinstance(unit, ColumnUnit):
            return self.rows.select(*payload)
        return bounding.with_unit_keys(self.rows, self.unit, unit.nulls.value, payload)

    def raw_pass(self) -> MarginalPass:
        """Counts all rows as they are, unbounded. Only for the owner's evaluation."""
        return MarginalPass(partial(self._counted, self._count_plain), None, self.unchanged)

    def bounded_pass(self, run_id: str) -> MarginalPass:
        """Bounds the table, once, and returns how to count it.

        Args:
            run_id: keys which rows a sample keeps, so that a resumed run keeps the same.
        """
        unit = self.config.privacy.unit
        if not isinstance(unit, ColumnUnit):
            return replace(self.raw_pass(), heaviest=1)
        with self._blamed_on_changes():
            bounded, reader = self._bounded_by(unit, run_id)
        self._bounded.append(bounded)
        count = partial(count_rows_of, bounded.rows, reader)
        return MarginalPass(
            partial(self._counted, count), bounded.totals, self.unchanged, unit.max_rows * bounded.unit
        )

    def _bounded_by(self, unit: ColumnUnit, run_id: str) -> tuple[bounding.BoundedRows, CodesReader]:
        schema, nulls = self.config.schema, unit.nulls.value
        transport = Transport.of(schema)
        keyed = bounding.with_unit_keys(self.rows, self.unit, nulls, transport.expressions())
        reader: CodesReader = RowReader(transport)
        if unit.bounding is Bounding.WEIGHT:
            nonce = secrets.randbits(62)
            return bounding.weigh(keyed, max_rows=unit.max_rows, nulls=nulls, nonce=nonce), reader
        words, reader = encoded_words(keyed, schema, transport)
        return bounding.sample(words, max_rows=unit.max_rows, nulls=nulls, nonce=nonce_of(run_id)), reader

    def _counted(self, count: Callable[[CountingLayout], Counted], layout: CountingLayout) -> Counted:
        with self._blamed_on_changes():
            return count(layout)

    @contextmanager
    def _blamed_on_changes(self) -> Iterator[None]:
        """A pass that fails over files that are not those of the start is told as what it is, and may be retried."""
        try:
            yield
        except (InputError, TransientError) as failure:
            raise self._change() or failure from None

    def _change(self) -> InputChangedError | None:
        """Returns what there is to say of files that have changed; None where they are as they were, or who knows."""
        try:
            if self.from_path:
                self.unchanged()
        except InputChangedError as change:
            return change
        except (InputError, TransientError):
            return None
        return None

    def _count_plain(self, layout: CountingLayout) -> Counted:
        source = self.config.input
        plain = source.format == "parquet" and not source.options and source.filter is None
        if self.from_path and plain:
            splits = readable_directly(
                self.session,
                self.snapshot,
                self.config.schema,
                path=source.path,
                partitions=partition_columns(self.snapshot, str(source.path)),
            )
            if splits is not None:
                try:
                    return count_files(self.session, splits, self.config.schema, layout)
                except Exception as error:
                    log.info("reading the files directly failed (%s); Spark reads them", type(error).__name__)
        transport = Transport.of(self.config.schema)
        return count_rows_of(self.rows.select(*transport.expressions()), RowReader(transport), layout)


def open_input(session: SparkSession, config: RunConfig, table: DataFrame | None = None) -> OpenedInput:
    """Opens the input and checks it against the schema; reads no row, unless it must be fingerprinted.

    Args:
        session: Spark's.
        config: of the run.
        table: a frame to use instead of what `input` names.

    Raises:
        InputError: it is missing, empty of files, not of its format, or not what the schema declares; or its ids have a type
            that was inferred from folders.
        ConfigurationError: the filter is not row-wise.
    """
    source, unit, schema = config.input, config.privacy.unit, config.schema
    by_path = table is None and source.path is not None and source.format.lower() in PLAIN_FILES
    snapshot = snapshot_files(session, str(source.path)) if by_path else None
    if table is None:
        table = read_table(
            session,
            path=source.path,
            table=source.table,
            format=source.format,
            options=source.options,
            files=[name for name, _, _ in snapshot.files] if snapshot else (),
        )
    if snapshot:
        listed = [name for name, _, _ in snapshot.files]
        require_all_read(table, listed, source.options, field="input.path")
    else:
        _require_ids_as_stored(table, unit.columns)
    partitions = partition_columns(snapshot, str(source.path)) if snapshot else frozenset()
    rows = filter_rows(table, source.filter)
    require_columns(rows, schema, unit.columns, partitions)
    # Ids as they are stored, before any column is parsed: two spellings of a number are two units.
    ids = {f"__id{i}": name for i, name in enumerate(unit.columns)}
    # All at once: none of them may be read from another of them.
    rows = rows.withColumns({alias: _stored_id(rows, name) for alias, name in ids.items()})
    rows = declared_columns(rows, schema, partitions)
    rows = rows.select(*[quoted(name) for name in schema.names], *ids)
    return OpenedInput(session, config, rows, tuple(ids), snapshot or snapshot_rows(rows), by_path)


def _stored_id(rows: DataFrame, name: str) -> Column:
    """An id's column; a decimal with the most digits: one file with more would have Spark hash all others otherwise."""
    column = rows[quoted(name)]
    is_decimal = rows.schema[name].dataType.simpleString().startswith("decimal")
    return column.cast("decimal(38,0)") if is_decimal else column


def _require_ids_as_stored(table: DataFrame, unit: Sequence[str]) -> None:
    """Refuses a frame whose ids are folders' names that Spark has read as numbers: `pid=007` and `pid=7` as one unit.

    Whether it does depends on the names of all folders, so that one unit more would regroup the others.
    """
    found = inferred_partitions(table, unit)
    if found:
        raise InputError(
            f"The ids of the units come from folders of the column {found[0]!r}, whose type Spark inferred from the names "
            "of all folders or was told: one unit more could change which of the others' rows belong together. Nothing was "
            "spent. Give input.path instead of a frame or view, or set spark.sql.sources.partitionColumnTypeInference."
            "enabled to false before the files are read, and give the column no other type than string.",
            field="privacy.unit.column",
        )


def nonce_of(run_id: str) -> int:
    """Returns what keys the choice of rows and values in a run; the same when it is resumed."""
    return int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:8], "big") >> 2
