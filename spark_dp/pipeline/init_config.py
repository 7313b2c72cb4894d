"""The configuration that `spark-dp init` writes: what the types say, and a mark wherever a person must decide."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from spark_dp.pipeline.config_tree import UNFILLED
from spark_dp.pipeline.init_types import FoundColumn

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
_MARGIN = 34

_RANGE = (
    ("min", UNFILLED, "the least value; what lies below counts in the first bin"),
    ("max", UNFILLED, "the greatest value; what lies above counts in the last bin"),
)
_COUNTED = ("# bins", "24", "a number of equal bins, or a list of edges; one bin a value without it")
_BINNED = ("bins", UNFILLED, "a number of equal bins such as 24, or a list of edges")
_LOCAL = ("timezone", UNFILLED, "where days begin, such as Europe/Berlin or UTC")
_NULLABLE = ("# nullable", "true", "null gets a cell of its own; without it such rows are dropped")
_TEXT = (
    ("values", UNFILLED, "the texts that may occur: [A, B, C]"),
    ("other", UNFILLED, "the text for all others; or instead   undeclared: drop"),
)
_FLOAT = (
    ("# nan", "drop", "what becomes of NaN: drop, cell, or a number"),
    ("# infinity", "drop", "what becomes of ±inf: clip (without this line), drop"),
)
_BLOCKS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "string": _TEXT,
    "boolean": (),
    "date": (*_RANGE, ("# bins", "12", "a number of equal bins; one bin a day without it")),
    "timestamp": (_LOCAL, *_RANGE, _BINNED),
    "timestamp_ntz": (*_RANGE, _BINNED),
    "float": (*_RANGE, _BINNED, *_FLOAT),
    "double": (*_RANGE, _BINNED, *_FLOAT),
    "decimal": (*_RANGE, _BINNED),
}
_WHOLE = (*_RANGE, _COUNTED)


def configuration_text(
    columns: Sequence[FoundColumn], *, path: str | None = None, table: str | None = None
) -> str:
    """Returns a commented configuration that cannot be run before every placeholder is replaced.

    Guarantees: a function of its arguments: names and types of columns, and the table's name as the user gave it.
    """
    return "\n".join([*_head(path, table), *_schema(columns), *_tail(path or table or "")]) + "\n"


def _head(path: str | None, table: str | None) -> Iterator[str]:
    name = _name_of(path or table or "")
    yield "# A run of spark-dp, written from the names and types of the table's columns alone: no row, value or"
    yield f"# statistic was looked at. Replace every {UNFILLED}: `spark-dp plan` says which are left, and refuses them."
    yield "# Declare what you know of such data in general, not what a look at this table shows: the promise is for"
    yield "# choices that do not depend on its rows. A line that begins with a hash does nothing."
    yield ""
    yield "input:"
    yield from _line(1, *(("path", quoted(path)) if path is not None else ("table", quoted(table or ""))), "")
    yield from _line(1, "# filter", "column >= 18", "only rows that meet a condition on each row by itself")
    yield ""
    yield "output:"
    yield from _line(
        1, "path", quoted(f"synthetic/{name}"), "where the synthetic table goes; must not be there yet"
    )
    yield from _line(1, "# rows", "500000", "as many as the noisy total says without it")
    yield from _line(1, "# partition_by", "[column]", "columns that become folders")
    yield ""
    yield "privacy:"
    yield from _line(
        1, "epsilon", UNFILLED, "the privacy loss of this run, such as 1; smaller is more private"
    )
    yield from _line(1, "delta", UNFILLED, "below a tenth of one over the number of persons, such as 1e-9")
    yield from _line(1, "unit", "", "whom the promise is for; or, for a promise per row alone:  unit: row")
    yield from _line(2, "column", UNFILLED, "the column that identifies a person")
    yield from _line(2, "max_rows", UNFILLED, "how many rows of one person count; more bring more noise")
    yield from _line(2, "# nulls", "drop", "what becomes of rows without an id: drop, error, one_unit")
    yield from _line(
        1, "ledger", quoted("sqlite:///ledger.db"), "opened with `spark-dp ledger open`; or env:NAME"
    )
    yield from _line(1, "dataset", quoted(name), "the account that is charged")
    yield ""


def _schema(columns: Sequence[FoundColumn]) -> Iterator[str]:
    yield "schema:                           # the columns to synthesise: delete those that identify, or are not needed"
    seen: dict[str, str] = {}
    for column in columns:
        why = column.why
        if column.type is not None and column.name.startswith("__"):
            why = "begins with two underscores, which are kept for spark-dp's own columns"
        if column.type is not None and column.name.casefold() in seen:
            why = f"has the name of {quoted(seen[column.name.casefold()])} for Spark"
        if why or column.type is None or not column.name:
            yield f"  # {quoted(column.name)} {why or 'has no name'}: it is left out"
            continue
        seen[column.name.casefold()] = column.name
        yield f"  {quoted(column.name)}:"
        yield from _line(2, "type", column.type, "")
        for key, value, comment in _BLOCKS.get(column.type.partition("(")[0], _WHOLE):
            yield from _line(2, key, value, comment)
        yield from _line(2, *_NULLABLE)


def _tail(place: str) -> Iterator[str]:
    yield ""
    yield "# constraints:                    # what no row of the output may be; free, for it is declared and not looked up"
    yield '#   - forbid: {age: "<15", marital: married}'
    yield "#   - determines: {zip: state}    # with a public mapping, written here or in a CSV or Parquet file"
    yield "#     mapping: public/zip_to_state.csv"
    yield ""
    yield "# mechanism:"
    yield "#   name: mst                     # the tree of the strongest dependences between pairs of columns"
    yield "#   workload: {degree: 2}         # what should be right: all single columns and all pairs"
    yield ""
    yield "run:"
    yield from _line(
        1, "directory", quoted(f"runs/{_name_of(place)}"), "where measurements and model are kept"
    )
    yield from _line(
        1, "key", "first", "the same key resumes and never spends twice; another is another charge"
    )


def _line(depth: int, key: str, value: str, comment: str) -> Iterator[str]:
    text = f"{'  ' * depth}{key}:{' ' if value else ''}{value}"
    yield f"{text:{_MARGIN - 1}} # {comment}" if comment else text


def _name_of(place: str) -> str:
    """A short name for what is made from the table: the last part of its own, without what no name may have."""
    parts = [p for p in re.split(r"[/\\]", place.partition("?")[0].rstrip("/")) if p and "=" not in p]
    last = re.sub(r"\.(parquet|pq)$", "", parts[-1]) if parts else ""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", last.rpartition(".")[2]).strip("-_") or "table"


def quoted(text: str) -> str:
    """Writes a text as a YAML scalar of one line, in quotes unless it is a plain word."""
    if _PLAIN_KEY.fullmatch(text) and text.lower() not in _WORDS:
        return text
    if (
        re.fullmatch(r"[A-Za-z0-9_./-]*[A-Za-z][A-Za-z0-9_./-]*", text)
        and text[0] not in "-."
        and "." not in text
    ):
        return text if text.lower() not in _WORDS else f'"{text}"'
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    number = ord(character)
    return (
        f"\\x{number:02x}"
        if number < 0x100
        else f"\\u{number:04x}"
        if number < 0x10000
        else f"\\U{number:08x}"
    )
