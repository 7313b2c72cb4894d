"""A public mapping from one column's values to another's: written in the configuration, or in a CSV or Parquet file.

A mapping is declared and never read off the table that is protected: what follows from it costs no privacy only then.
"""

from __future__ import annotations

import csv
import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from spark_dp.errors import ConfigurationError
from spark_dp.pipeline.config_tree import Entries, Items, Scalar, refuse

MOST_PAIRS: Final = 2_000_000
"""Of a mapping's file."""

_PARQUET: Final = (".parquet", ".pq")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One line of a mapping.

    Attributes:
        source: the value that determines, as text; `null` for null.
        target: what it determines; None for null.
        place: where it stands, for messages.
    """

    source: str
    target: str | None
    place: str


def inline_pairs(mapping: Entries, field: str) -> list[Pair]:
    """Reads a mapping that stands in the configuration."""
    found = []
    for source, target in mapping.entries.items():
        if not isinstance(target, Scalar):
            shown = "a list" if isinstance(target, Items) else "a mapping"
            refuse(
                field,
                f"maps {source!r} to {shown}, and a column determines one value. Write one; "
                "for several that are possible, forbid the others.",
            )
        found.append(Pair(source=source, target=None if target.is_null else target.text, place=target.place))
    return found


def file_pairs(path: Path, source: str, target: str, field: str) -> list[Pair]:
    """Reads the columns `source` and `target` of a CSV file with a header, or of a Parquet file.

    Text of a CSV stays as it is, so that `01001` keeps its zero; an empty field is null.

    Raises:
        ConfigurationError: the file cannot be read, lacks a column or a row, or has more than MOST_PAIRS.
    """
    try:
        found = _parquet(path, source, target, field) if path.suffix in _PARQUET else None
        if found is None:
            found = _csv(path, source, target, field)
    except ConfigurationError:
        raise
    except (OSError, ValueError, csv.Error, ArithmeticError) as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else _reason(error)
        _refuse_file(
            path, field, f"cannot be read: {reason}. Give the path of a CSV or Parquet file that is there"
        )
    if not found:
        _refuse_file(path, field, "has no row. Give a file with one row for each value")
    return found


def _csv(path: Path, source: str, target: str, field: str) -> list[Pair]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, strict=True)
        places = _columns(path, next(lines, []), source, target, field)
        found: list[Pair] = []
        for line in lines:
            if not line:
                continue
            place = f"{path}:{lines.line_num}"
            if len(line) <= max(places):
                _refuse_file(path, field, f"has too few fields in line {lines.line_num}. Correct it there")
            pair = [line[i] or None for i in places]
            found.append(Pair(source=pair[0] or "null", target=pair[1], place=place))
            _require_few(path, field, len(found))
    return found


def _parquet(path: Path, source: str, target: str, field: str) -> list[Pair]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        _columns(path, file.schema_arrow.names, source, target, field)
        _require_few(path, field, file.metadata.num_rows)
        table = file.read(columns=[source, target])
    pairs = zip(table[source].to_pylist(), table[target].to_pylist(), strict=True)
    return [
        Pair(source=_text(a) or "null", target=_text(b), place=f"{path}, row {number}")
        for number, (a, b) in enumerate(pairs, start=1)
    ]


def _text(value: object) -> str | None:
    """Writes a value as a configuration would."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, dt.date) else str(value)


def _columns(path: Path, names: list[str], source: str, target: str, field: str) -> tuple[int, int]:
    for name in (source, target):
        if names.count(name) != 1:
            found = f"column {name!r} more than once" if name in names else f"no column {name!r}"
            _refuse_file(
                path,
                field,
                f"has {found}, of {len(names)}. Name its columns as in the schema",
            )
    return names.index(source), names.index(target)


def _require_few(path: Path, field: str, count: int) -> None:
    if count > MOST_PAIRS:
        _refuse_file(
            path, field, f"has more than {MOST_PAIRS:,} rows. Keep those of the schema's values alone"
        )


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or "it has another format"


def _refuse_file(path: Path, field: str, what: str) -> NoReturn:
    raise ConfigurationError(
        f"Setting '{field}' names '{path}', which {what}. Nothing was read or spent.", field=field
    )
