"""Filtering the input by a condition that looks at one row at a time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from spark_dp.errors import ConfigurationError
from spark_dp.spark.failures import kind_of, nothing_logged
from spark_dp.spark.filter_words import unknown_piece
from spark_dp.spark.plans import beyond_its_row

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import StructType

_NOT_ROW_WISE = re.compile(
    r"\b(rand|randn|random|randstr|uniform|uuid|shuffle|monotonically_increasing_id|spark_partition_id|"
    r"input_file_\w+|current_(date|timestamp|time|timezone|user|catalog|database|schema|path|metastore)|curdate|"
    r"getdate|now|localtime|localtimestamp|aes_encrypt|unix_timestamp\s*\(\s*\)|(try_)?reflect|java_method|"
    r"select|using|exists|over|_metadata|session_user|user\s*\(|identifier\s*\()(?!\w)|"
    r"\|>|\(\s*(table|from|with|values)\b",
    re.IGNORECASE,
)
_SPECIAL_TIME = re.compile(
    r"['\"][\s\x00-\x20\x7f]*((now|today|yesterday|tomorrow|epoch)\b|T?\d{1,2}:)[^'\"]*['\"]", re.IGNORECASE
)
"""A moment of the clock: a name of one, or a time without a date, which Spark takes for one of today."""
_ATOMIC = r"(string|boolean|tinyint|smallint|int|bigint|float|double|date|timestamp(_ntz|_ltz)?|binary)"
_PLAIN = re.compile(
    rf"{_ATOMIC}|(string |(var)?char\().*|decimal\(\d+,\d+\)|array<{_ATOMIC}>|map<{_ATOMIC},{_ATOMIC}>"
)
_DECIMAL = re.compile(r"decimal\(\d+,(\d+)\)")
_COMMENT = re.compile(r"--|/\*")
_SUBSTITUTED = re.compile(r"\$\{")
"""Before Spark parses a text it puts a setting of the session in its place, an unset one as nothing: `ra${x}nd()`."""
_HIDDEN_COLUMN = re.compile(r"[`\"]_metadata[`\"]", re.IGNORECASE)
_QUOTED = re.compile(
    r"(?<!\w)[rR](?:'[^']*'|\"[^\"]*\")|'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|`(?:[^`]|``)*`", re.DOTALL
)
"""What Spark's lexer takes as one piece: a text, in which a raw one has no escapes, or a quoted name."""
_TYPED_TIME = re.compile(r"\b(date|time|timestamp(_ntz|_ltz)?)\s*$", re.IGNORECASE)


def filter_rows(rows: DataFrame, condition: str | None) -> DataFrame:
    """Keeps the rows for which a row-wise SQL condition is true.

    A condition that looks at other rows, at the clock or at chance would let one unit's rows decide about
    another's, or change between passes. It is made of known pieces or refused (`unknown_piece`), and where Spark shows its
    analysed plan that has to be one filter of such a kind. Its columns are of types that all files of a table
    have alike: a number of one file's may widen a decimal's type for all, and one file's field make the others' structs
    longer. So decimals are compared at the largest precision, and structs and the like are not columns of a condition.
    No reader of files is left to judge by what it knows of many rows at once (`session.REQUIRED`, `_alike`).

    Raises:
        ConfigurationError: the condition is not row-wise, or Spark cannot understand it.
    """
    if condition is None:
        return rows
    said = words_beyond_a_row(condition)
    if said is not None:
        raise _refused(said)
    _require_known(condition, plain_columns(rows.schema))
    seen, own = _alike(rows)
    try:
        with nothing_logged():
            kept = seen.where(condition)
            _ = kept.schema
    except Exception as error:
        raise ConfigurationError(
            f"input.filter is not a condition that Spark understands on this table ({kind_of(error)}). Nothing was read or "
            f"spent. Write a condition on the table's columns ({', '.join(rows.columns)}), such as age > 17; quote "
            "odd names: `a name`.",
            field="input.filter",
        ) from None
    beyond = beyond_its_row(kept, seen)
    if beyond is not None:
        raise _refused(beyond)
    return (
        kept.withColumns({name: kept[aside] for name, aside in own.items()}).drop(*own.values())
        if own
        else kept
    )


def plain_columns(schema: StructType) -> list[str]:
    """Returns the names of the columns that a condition may have.

    Left out are structs, intervals and whatever else several files may have in types that Spark makes one; and TIME,
    which a cast makes a timestamp of today.
    """
    return [field.name for field in schema.fields if _PLAIN.fullmatch(field.dataType.simpleString())]


def _alike(rows: DataFrame) -> tuple[DataFrame, dict[str, str]]:
    """Returns the rows as a condition sees them, and where the own columns of those are kept that it sees otherwise.

    Decimals have the largest precision. Floats have a zero added, which changes no number: so Spark gives no comparison of
    them to a reader of files, which would pass over all rows of a part whose least and largest number do not fit, and
    they leave NaN and the sign of 0 out, so that one row decides whether others are looked at.
    """
    from pyspark.sql import functions as F

    own: dict[str, str] = {}
    seen: dict[str, Column] = {}
    for field in rows.schema.fields:
        kind = field.dataType.simpleString()
        decimal = _DECIMAL.fullmatch(kind)
        if decimal is None and kind not in ("float", "double"):
            continue
        own[field.name] = aside = f"__own{len(own)}"
        column = F.col(aside)
        seen[field.name] = (
            column.cast(f"decimal(38,{decimal[1]})") if decimal else column + F.lit(0.0).cast(kind)
        )
    if not own:
        return rows, {}
    kept = rows.withColumns({aside: rows[_quoted(name)] for name, aside in own.items()})
    return kept.withColumns(seen), own


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def words_beyond_a_row(condition: str) -> str | None:
    """Returns what a condition's text has that a look at one row cannot need; None where it has nothing of the kind.

    Of the queries that may stand in brackets, `MAP ... USING` and `REDUCE ... USING` have no SELECT.
    """
    # A comment may hide where a literal begins.
    bare = _QUOTED.sub(_without_what_is_quoted, condition)
    found = (
        _SUBSTITUTED.search(condition)
        or _COMMENT.search(bare)
        or _NOT_ROW_WISE.search(bare)
        or _SPECIAL_TIME.search(condition)
        or _HIDDEN_COLUMN.search(condition)
    )
    if found:
        return repr(found.group(0))
    return "a date or timestamp literal that does not begin with a digit" if _odd_time(condition) else None


def _without_what_is_quoted(quoted: re.Match[str]) -> str:
    """Returns an empty text for a text or a name; a function's name stays, without its quotes."""
    piece = quoted.group(0)
    # A session may have double quotes for names too.
    is_called = piece[0] in '`"' and re.match(r"\s*\(", quoted.string[quoted.end() :])
    return piece.strip('`"') if is_called else "''"


def _odd_time(condition: str) -> bool:
    """Whether a typed literal (DATE'...') may name a moment of the clock: Spark reads the clock as it parses it."""
    before = 0
    for quoted in _QUOTED.finditer(condition):
        typed = _TYPED_TIME.search(condition[before : quoted.start()])
        if typed and not re.match(r"[rR]?['\"]\s*[-+]?\d", quoted.group(0)):
            return True
        before = quoted.end()
    return False


def _require_known(condition: str, columns: list[str]) -> None:
    unknown = unknown_piece(condition, columns)
    if unknown is not None:
        raise ConfigurationError(
            f"input.filter has {unknown}. A filter may look at one row at a time only, and is made of columns of the table "
            f"({', '.join(columns)}), comparisons, arithmetic, numbers, texts in single quotes without a backslash, dates "
            "such as DATE '2024-01-31', and plain functions of a column. Nothing was read or spent. Write it so, or make a "
            "column of it when the table is written.",
            field="input.filter",
        )


def _refused(what: str) -> ConfigurationError:
    return ConfigurationError(
        f"input.filter uses {what}. A filter may look at one row at a time only: no subquery, window, clock, random "
        "number, comment, ${setting}, hidden column or function of your own. Nothing was read or spent. Quote a "
        "column of such a name: `name`; or make the column when the table is written.",
        field="input.filter",
    )
