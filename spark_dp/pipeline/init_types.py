"""The names and types of a table's columns, and nothing else of it: for `spark-dp init`.

A Parquet footer holds statistics and free text of the writer beside the types. They pass through memory with the footer
and are dropped there: what leaves this module is names and type names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from spark_dp.errors import InputError
from spark_dp.files import Folder
from spark_dp.spark.tables import stating_its_types

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_TABLE_FORMATS = {"_delta_log": "Delta", ".hoodie": "Hudi", "metadata": "Iceberg"}
_UNSIGNED = {"uint8": "short", "uint16": "integer", "uint32": "long", "uint64": "decimal(20,0)"}
_NAMES = {
    "bool": "boolean",
    "int8": "byte",
    "int16": "short",
    "int32": "integer",
    "int64": "long",
    "float": "float",
    "double": "double",
    "string": "string",
    "large_string": "string",
    "string_view": "string",
    "date32[day]": "date",
    **_UNSIGNED,
}
_SPARK = {"tinyint": "byte", "smallint": "short", "int": "integer", "bigint": "long", "varchar": "string"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundColumn:
    """A column of the table.

    Attributes:
        name: as it is stored.
        type: that a schema may declare; None where there is none.
        why: there is none, in words that name the stored type.
        partition: it is a folder's key, whose values are text until a type is declared.
    """

    name: str
    type: str | None
    why: str = ""
    partition: bool = False


def read_parquet_types(path: str) -> tuple[FoundColumn, ...]:
    """Reads names and types from one footer; folders like `day=2024-01-01` add a column of text each.

    Guarantees: a function of the columns' names and types and of the keys of partition folders; neither a value, a
    statistic nor the writer's metadata is in it (tests/unit/cli/test_init.py).

    Raises:
        InputError: there is no Parquet file, or it is a table whose log says which files count.
    """
    place = re.sub(r"^s3[an]://", "s3://", path)
    folder = Folder.open(place)
    keys: list[str] = []
    try:
        found = _first_file(folder.filesystem, folder.path, path, keys)
        if found is None:
            raise InputError(
                f"{path!r} holds no Parquet file. Nothing was spent. Give the folder or a file of the table, or name a "
                "table of a catalog with --table.",
                field="input.path",
            )
        with pq.ParquetFile(found, filesystem=folder.filesystem) as file:
            legacy = _legacy_times(file)
            schema = file.schema_arrow.remove_metadata()
    except FileNotFoundError:
        raise InputError(
            f"{path!r} does not exist. Nothing was spent. Give the folder or a file of the table, or name a table of a "
            "catalog with --table.",
            field="input.path",
        ) from None
    except (OSError, pa.ArrowException) as error:
        raise InputError(
            f"No schema could be read below {path!r} ({type(error).__name__}). Nothing was spent. Check that it is "
            "Parquet and may be read, or name a table of a catalog with --table.",
            field="input.path",
        ) from None
    columns = [_of_arrow(field.name, field.type, legacy) for field in schema if field.name not in keys]
    return (*columns, *(FoundColumn(name=key, type="string", partition=True) for key in dict.fromkeys(keys)))


def read_catalog_types(session: SparkSession, table: str) -> tuple[FoundColumn, ...]:
    """Asks Spark's catalog for names and types; no row is read.

    Raises:
        InputError: there is no such table, or it is files that do not state their types: all rows would be read for them.
    """
    try:
        with stating_its_types(session, table):
            opened = session.read.table(table)
            fields: Sequence[Mapping[str, object]] = opened.schema.jsonValue()["fields"]
            types = dict(opened.dtypes)
    except Exception as error:
        raise InputError(
            f"Table {table!r} could not be opened ({type(error).__name__}). Nothing was spent. Check its name and that "
            "this Spark knows its catalog.",
            field="input.table",
        ) from None
    return tuple(_of_spark(str(field["name"]), types[str(field["name"])]) for field in fields)


def _first_file(filesystem: fs.FileSystem, path: str, shown: str, keys: list[str]) -> str | None:
    """Finds one data file, and the keys of the partition folders on the way to it."""
    info = filesystem.get_file_info(path)
    if info.type == fs.FileType.NotFound:
        raise FileNotFoundError(path)
    if info.type == fs.FileType.File:
        return str(path)
    listed = sorted(filesystem.get_file_info(fs.FileSelector(path)), key=lambda entry: entry.path)
    for entry in listed:
        format_ = _TABLE_FORMATS.get(entry.base_name)
        if format_ and entry.type == fs.FileType.Directory:
            raise InputError(
                f"{shown!r} looks like a {format_} table: its log says which files and columns count. Nothing was spent. "
                "Name it with --table, as Spark knows it (for Delta: --table 'delta.`/path`').",
                field="input.path",
            )
    for entry in listed:
        name = entry.base_name
        if name.startswith(".") or (name.startswith("_") and "=" not in name):
            continue
        if entry.type == fs.FileType.File:
            if entry.size:
                return str(entry.path)
            continue
        below = [name.partition("=")[0]] if "=" in name else []
        found = _first_file(filesystem, entry.path, shown, below)
        if found is not None:
            keys.extend(below)
            return found
    return None


def _legacy_times(file: pq.ParquetFile) -> frozenset[str]:
    """Names columns stored as INT96: instants, which Arrow takes for nanoseconds without a zone."""
    columns = (file.schema.column(i) for i in range(len(file.schema)))
    return frozenset(column.path for column in columns if column.physical_type == "INT96")


def _of_arrow(name: str, found: pa.DataType, legacy: frozenset[str]) -> FoundColumn:
    if pa.types.is_dictionary(found):
        return _of_arrow(name, found.value_type, legacy)
    if name in legacy:
        return FoundColumn(name=name, type="timestamp")
    if pa.types.is_timestamp(found):
        if found.unit == "ns":
            return FoundColumn(
                name=name, type=None, why="has nanoseconds, which Spark cannot read; write microseconds"
            )
        return FoundColumn(name=name, type="timestamp" if found.tz else "timestamp_ntz")
    if pa.types.is_decimal(found) and found.precision <= 38:
        return FoundColumn(name=name, type=f"decimal({found.precision},{found.scale})")
    kind = _NAMES.get(str(found))
    return FoundColumn(name=name, type=kind, why="" if kind else _unsupported(_word(found)))


def _of_spark(name: str, found: str) -> FoundColumn:
    plain = re.sub(r"^(var)?char\(\d+\)$", "varchar", found)
    kind = _SPARK.get(plain, plain)
    usable = kind in _NAMES.values() or kind in ("timestamp", "timestamp_ntz") or kind.startswith("decimal(")
    word = re.match(r"\w+", found)
    return FoundColumn(
        name=name, type=kind if usable else None, why="" if usable else _unsupported(word[0] if word else "")
    )


def _word(found: pa.DataType) -> str:
    """A type's own word: its fields have names that need no place here."""
    match = re.match(r"\w+", str(found))
    return match[0] if match else "unknown"


def _unsupported(kind: str) -> str:
    return f"has the type {kind}, of which nothing can be synthesised"
