"""Opening files as a table in which no file decides how another is read, or whether.

Spark takes from the first file that it looks at what it then believes of all: the types, unless it is told to compare
them; what stands in place of a column that a file lacks, and to which width texts are padded, from notes that a writer
left beside the columns; and from any folder `key=value` that only files in such folders are the table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from spark_dp.errors import ConfigurationError, InputError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, DataFrameReader
    from pyspark.sql.types import DataType, StructType

PLAIN_FILES: Final = ("parquet", "orc", "avro")
"""Formats whose files are the table. In a table format a log says which files count."""
_ONE_FILE_FOR_ALL: Final = ("parquet", "orc")
"""Formats of which Spark takes the first file's types for all files, unless it is told to compare them."""
_COMPARES: Final = "mergeschema"
_RECURSIVE: Final = "recursivefilelookup"
_SYSTEM: Final = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:(//[^/]*(?=/))?")
_UNNAMED: Final = re.compile(r"_col\d+")
"""Columns of ORC files of old writers, which Spark takes by their place in another file's schema."""


def options_for(format: str, options: dict[str, str]) -> dict[str, str]:  # noqa: A002  the setting's name
    """Returns the options of a reader that compares the types of all files, whatever is asked for.

    Spark Connect keeps two spellings of an option, and either may win.
    """
    if format not in _ONE_FILE_FOR_ALL:
        return options
    return {key: value for key, value in options.items() if key.lower() != _COMPARES} | {
        "mergeSchema": "true"
    }


def open_files(reader: DataFrameReader, path: str, *, field: str) -> DataFrame:
    """Opens files by the names and types that all of them agree on, and nothing else that one of them says.

    Args:
        reader: of one of PLAIN_FILES, with `options_for` it.
        field: the setting that names the files.

    Raises:
        ConfigurationError: the path is a pattern that may name a file more than once.
        InputError: columns have no names.
    """
    _require_once(path, field)
    agreed = reader.load(path).schema
    unnamed = [name for name in agreed.names if _UNNAMED.fullmatch(name)]
    if unnamed:
        raise InputError(
            f"A file of the input has columns without names ({unnamed[0]}, as old writers of ORC leave them). Spark takes "
            "them by their place among the columns of whichever file comes first. Nothing was spent. Write the table "
            "again with names.",
            field=field,
        )
    return reader.schema(_bare_fields(agreed)).load(path)


def require_all_read(
    rows: DataFrame, files: Sequence[str], options: Mapping[str, str], *, field: str
) -> None:
    """Checks that Spark reads each of the files that are there.

    Guarantees: whether a row is read does not depend on where other rows are stored: either all files are, or none.

    Args:
        rows: as they were opened.
        files: all that were listed below the path.
        options: of the reader.
        field: the setting that names the path.

    Raises:
        InputError: Spark leaves some out.
    """
    read = {place for name in rows.inputFiles() for place in (_place(name), unquote(_place(name)))}
    left = sum(_place(name) not in read for name in files)
    if left:
        said = f"Spark would read {len(files) - left} of the {len(files)} files of the input"
    elif (
        not _recursive(options)
        and len(kinds := set(map(_layout, files))) > 1
        and any(keys for _, keys in kinds)
    ):
        said = "Not all files of the input lie at the same depth in folders of the same keys"
    else:
        return
    raise InputError(
        f"{said}. Where some lie in folders key=value and others do not, or in further folders, Spark leaves out all but "
        "one kind without a word: one unit's file could decide whether the others' are read. Nothing was spent. Put all "
        "files at the same depth, in folders of the same keys or in none; or, of an input.path, write "
        "input.options: {recursiveFileLookup: true}, which reads all and takes nothing from the folders' names.",
        field=field,
    )


def _require_once(path: str, field: str) -> None:
    """Refuses a slash between braces: Spark takes each alternative for a place, and reads twice what two of them name.

    Without one all that a pattern names lies at one depth, each once.
    """
    depth = 0
    for mark in path.replace("\\\\", "").replace("\\{", "").replace("\\}", ""):
        depth += (mark == "{") - (mark == "}" and depth > 0)
        if mark == "/" and depth:
            raise ConfigurationError(
                f"{field} has a pattern with a slash between braces: a file that two of its alternatives name would be read "
                "more than once, and its rows count as often. Nothing was read or spent. Write braces within one name, "
                "such as visits/{2023,2024}; or the folder above.",
                field=field,
            )


def _recursive(options: Mapping[str, str]) -> bool:
    """Whether all files are read, wherever they lie; where two spellings disagree, they are not."""
    asked = {str(value).lower() for key, value in options.items() if key.lower() == _RECURSIVE}
    return asked == {"true"}


def _place(name: str) -> str:
    """A file's path in its file system, slashes at its beginning made one."""
    return "/" + _SYSTEM.sub("", name).lstrip("/")


def _layout(name: str) -> tuple[int, tuple[str, ...]]:
    """How deep a file lies, and the keys of the folders key=value that it lies in."""
    folders = _place(name).split("/")[:-1]
    keys: list[str] = []
    for folder in reversed(folders):
        key, found, _ = folder.partition("=")
        if not found:
            break
        keys.append(key)
    return len(folders), tuple(reversed(keys))


def _bare_fields(schema: StructType) -> StructType:
    """The fields without the notes beside them: defaults of columns, padded widths, ids of fields."""
    from pyspark.sql.types import StructField, StructType

    return StructType([StructField(f.name, _bare(f.dataType), f.nullable) for f in schema.fields])


def _bare(kind: DataType) -> DataType:
    from pyspark.sql.types import ArrayType, MapType, StructType

    if isinstance(kind, StructType):
        return _bare_fields(kind)
    if isinstance(kind, ArrayType):
        return ArrayType(_bare(kind.elementType), kind.containsNull)
    if isinstance(kind, MapType):
        return MapType(_bare(kind.keyType), _bare(kind.valueType), kind.valueContainsNull)
    return kind
