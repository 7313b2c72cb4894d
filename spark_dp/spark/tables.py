"""Reading the input through Spark's own reader, and checking it against what the schema declares."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from spark_dp.errors import ConfigurationError, InputError, SparkDPError, nearest
from spark_dp.schema.table import TableSchema
from spark_dp.schema.types import StorageType
from spark_dp.spark.failures import files_at_fault, kind_of
from spark_dp.spark.file_tables import PLAIN_FILES, open_files, options_for, require_all_read
from spark_dp.spark.snapshot import Snapshot, snapshot_files

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import DataType

_WIDENS = {
    "smallint": {"tinyint"},
    "int": {"tinyint", "smallint"},
    "bigint": {"tinyint", "smallint", "int"},
    "double": {"float"},
}
_FILES_AS_TABLES = "spark.sql.runSQLOnFiles"
_TYPES_ARE_STATED = re.compile(
    r"\w+(\.\w+){2,}|`?(parquet|orc|avro|delta|iceberg|hudi)`?\.`[^`]+`", re.IGNORECASE
)
"""A table's name that is no files at all, or files of a format that states its types."""
_FILES_OF_A_TABLE_FORMAT = re.compile(r"`?(delta|iceberg|hudi)`?\s*\.\s*`[^`]+`", re.IGNORECASE)
_OF_PLAIN_FILES = {"parquet", "orc", "avro", "csv", "json", "text", "xml", "binaryfile"}
_LEAVING_OUT = ("ignorecorruptfiles", "ignoremissingfiles")
_FILES_AS_A_TABLE = re.compile(r"`?(parquet|orc|avro)`?\s*\.\s*`([^`]+)`", re.IGNORECASE)
_NOT_ALIKE = re.compile(r"CANNOT_MERGE|failed merging schema|failed to merge", re.IGNORECASE)
_SELF_DESCRIBING = ("parquet", "orc", "avro", "delta", "iceberg", "hudi")
_UNIT_TYPES = re.compile(r"string|tinyint|smallint|int|bigint|binary|decimal\(\d+,0\)|(var)?char\(\d+\)")


def read_table(
    session: SparkSession,
    *,
    path: str | None,
    table: str | None = None,
    format: str = "parquet",  # noqa: A002  the setting's name
    options: Mapping[str, str] | None = None,
    files: Sequence[str] = (),
) -> DataFrame:
    """Opens the table; no row is read yet.

    Only formats that state their types are read: of CSV and JSON Spark infers the types from all rows, so that one
    unit's row would decide how the others' are grouped and compared. The types of all Parquet and ORC files are compared,
    and no file decides more of how others are read (`file_tables`). Whether Spark reads all files of `path` is for the
    caller to check (`require_all_read`).

    Args:
        files: of the input, where they are known: one that cannot be read is named.

    Raises:
        ConfigurationError: the format does not state its types, or an option leaves out what cannot be read.
        InputError: the table is not there, or is not of this format; or it names files that do not state their types, or do
            not agree on them.
    """
    leaving_out = [key for key in options or {} if key.lower() in _LEAVING_OUT]
    if leaving_out:
        raise ConfigurationError(
            f"input.options has {leaving_out[0]!r}: rows of a file that cannot be read would be left out without a word. "
            "Nothing was read or spent. Leave the option out, and repair or remove such files.",
            field="input.options",
        )
    inferring = [
        key for key in options or {} if key.lower() in ("inferschema", "primitivesasstring", "samplingratio")
    ]
    if not table and (format.lower() not in _SELF_DESCRIBING or inferring):
        raise ConfigurationError(
            f"input.format is {format!r}{f' with the option {inferring[0]!r}' if inferring else ''}: its types would be "
            "read off the data, and one person's row would change how others' are read. Nothing was read or spent. "
            f"Choose one of: {', '.join(_SELF_DESCRIBING)}; or write the table as Parquet first, or name a table of a "
            "catalog (input.table).",
            field="input.format",
        )
    source, field = (
        (f"input.table {table!r}", "input.table") if table else (f"input.path {path!r}", "input.path")
    )
    as_files = _FILES_AS_A_TABLE.fullmatch(table.strip()) if table else None
    kind = as_files[1].lower() if as_files else format.lower()
    reader = session.read.format(kind).options(**options_for(kind, dict(options or {})))
    try:
        if as_files:
            opened = open_files(reader, as_files[2], field=field)
            listed = [name for name, _, _ in snapshot_files(session, as_files[2]).files]
            require_all_read(opened, listed, options or {}, field=field)
        elif table:
            with stating_its_types(session, table):
                opened = reader.table(table)
                _ = opened.schema
                _require_all_of_table(session, table, opened)
        elif kind in PLAIN_FILES:
            opened = open_files(reader, str(path), field=field)
        else:
            opened = reader.load(path)
            _ = opened.schema
    except SparkDPError:
        raise
    except Exception as error:
        if _NOT_ALIKE.search(str(error)):
            raise InputError(
                f"The files of {source} do not store the same columns in the same types. Spark would take those of the "
                "first file for all: larger numbers of the others would be cut, and the file with one unit's rows would "
                "decide how the others' are read. Nothing was spent. Write all files with the same types, as Spark does.",
                field=field,
            ) from None
        wanted = (
            "a name of a catalog: input.path names files" if table else f"of format {format!r} (input.format)"
        )
        broken = files_at_fault(error, files)
        raise InputError(
            f"{source} could not be opened as {format} ({kind_of(error)}){f' for the file {broken[0]}' if broken else ''}. "
            f"Nothing was spent. Check that it is there, is not empty, may be read, and is {wanted}.",
            field=field,
        ) from None
    return opened


def _require_all_of_table(session: SparkSession, table: str, opened: DataFrame) -> None:
    """Refuses a catalog's table of plain files that declares no partitions and of which some lie in folders key=value.

    Raises:
        InputError: Spark would leave out those that do not.
    """
    if _FILES_OF_A_TABLE_FORMAT.fullmatch(table.strip()):
        return
    if any(column.isPartition for column in session.catalog.listColumns(table)):
        return  # the catalog says which folders count
    described = session.sql(f"DESCRIBE TABLE EXTENDED {table}").collect()
    provider = {str(row["data_type"]).lower() for row in described if row["col_name"] == "Provider"}
    if provider & _OF_PLAIN_FILES:
        require_all_read(opened, opened.inputFiles(), {}, field="input.table")


@contextmanager
def stating_its_types(session: SparkSession, table: str) -> Iterator[None]:
    """Has Spark open a table's name, inside, only where what it stands for states its types.

    Else Spark takes csv.`visits` for files, and infers their types from all rows; delta.`visits` states them.
    """
    if _TYPES_ARE_STATED.fullmatch(table.strip()):
        yield
        return
    before = session.conf.get(_FILES_AS_TABLES, None)
    session.conf.set(_FILES_AS_TABLES, "false")
    try:
        yield
    finally:
        if before is None:
            session.conf.unset(_FILES_AS_TABLES)
        else:
            session.conf.set(_FILES_AS_TABLES, before)


def partition_columns(snapshot: Snapshot, path: str) -> frozenset[str]:
    """Returns the names of the Hive partition columns in the files' paths (`ds=01/part-0.parquet`: ds).

    Folders at and above `path` are none, whatever they are called; below a path with wildcards all count.
    """
    root = (
        re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*:(//[^/]*)?", "", path)
        if ":" in path
        else str(Path(path).absolute())
    )
    root = root.rstrip("/") + "/"
    below = (file.partition(root)[2] or file for file, _, _ in snapshot.files)
    keys = (re.findall(r"(?:^|(?<=/))([^/=]+)=[^/]*(?=/)", file) for file in below)
    return frozenset(name for found in keys for name in found)


def require_columns(
    rows: DataFrame,
    schema: TableSchema,
    unit: Sequence[str],
    partitions: frozenset[str] = frozenset(),
) -> None:
    """Checks that the table has every declared column in its declared type, and ids of an allowed type.

    Raises:
        ConfigurationError: a column's name is one of ours.
        InputError: a column is missing or of another type; names the column, both types and the choices.
    """
    have = {field.name: field.dataType for field in rows.schema.fields}
    for column in schema.columns:
        field = f"schema.{column.name}"
        if column.name.startswith("__"):
            raise ConfigurationError(
                f"Column {column.name!r} begins with two underscores, which are kept for columns of spark-dp's own. "
                "Nothing was spent. Rename it when the table is written, or leave it out of the schema.",
                field=field,
            )
        found = _require_present(column.name, have, field)
        if not _matches(found, column.type, column.name in partitions):
            raise InputError(
                f"Column {column.name!r} is declared as {column.type}, and the table has it as "
                f"{_spark_name(found)}. Nothing was spent. Change {field}.type, or cast the column when the "
                "table is written.",
                field=f"{field}.type",
            )
    for name in unit:
        if name.startswith("__"):
            raise ConfigurationError(
                f"The unit's column {name!r} begins with two underscores, which are kept for columns of spark-dp's own. "
                "Nothing was spent. Rename it when the table is written.",
                field="privacy.unit.column",
            )
        found = _require_present(name, have, "privacy.unit.column")
        if not _UNIT_TYPES.fullmatch(found.simpleString()):
            raise InputError(
                f"privacy.unit.column {name!r} has type {found.simpleString()}. A unit's id is a string, an integer, "
                "a decimal without fraction or binary: equal ids of other types may not be recognised as equal. "
                "Nothing was spent. Cast it when the table is written.",
                field="privacy.unit.column",
            )


def declared_columns(
    rows: DataFrame, schema: TableSchema, partitions: frozenset[str] = frozenset()
) -> DataFrame:
    """Returns the rows with each declared column in its declared type, other columns as they are.

    Partition columns come as strings and are parsed without failing: what does not parse is null.
    """
    from pyspark.sql import functions as F

    for column in schema.columns:
        if column.name in partitions and column.type.name != "string":
            parsed = F.expr(f"try_cast({quoted(column.name)} AS {column.type.spark_ddl})")
            rows = rows.withColumn(column.name, parsed)
    return rows


def quoted(name: str) -> str:
    """Returns the column's name as Spark SQL wants it."""
    return "`" + name.replace("`", "``") + "`"


def _require_present(name: str, have: Mapping[str, DataType], field: str) -> DataType:
    if name not in have:
        raise InputError(
            f"The table has no column {name!r} ({field}). Nothing was spent. Choose one of: {', '.join(have)}."
            f"{nearest(name, have)}",
            field=field,
        )
    return have[name]


def _matches(found: DataType, declared: StorageType, is_partition: bool) -> bool:
    have, want = found.simpleString(), declared.spark_ddl.lower()
    if want == "string":
        return have == "string" or re.fullmatch(r"(var)?char\(\d+\)", have) is not None
    return have == want or have in _WIDENS.get(want, ()) or (is_partition and have == "string")


def _spark_name(found: DataType) -> str:
    names = {"int": "integer", "bigint": "long", "smallint": "short", "tinyint": "byte"}
    have = str(found.simpleString())
    return names.get(have, have)
