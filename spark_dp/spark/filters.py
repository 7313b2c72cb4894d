"""Filtering the input by a condition that looks at one row at a time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from spark_dp.errors import ConfigurationError
from spark_dp.spark.failures import kind_of, nothing_logged
from spark_dp.spark.filter_words import unknown_piece
from spark_dp.spark.plans import beyond_its_row
from spark_dp.spark.session import is_connect

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
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
_TIME_OF_DAY = re.compile(r"(?<!\w)time\(")
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
    another's, or change between passes, so it is refused: by its words, and where Spark shows its analysed plan by that.
    Spark Connect shows none: there a condition is made of known pieces or refused (`unknown_piece`).

    Raises:
        ConfigurationError: the condition is not row-wise, or Spark cannot understand it.
    """
    if condition is None:
        return rows
    said = words_beyond_a_row(condition)
    if said is not None:
        raise _refused(said)
    if is_connect(rows.sparkSession):
        _require_known(condition, without_times_of_day(rows.schema))
    try:
        with nothing_logged():
            kept = rows.where(condition)
            _ = kept.schema
    except Exception as error:
        raise ConfigurationError(
            f"input.filter is not a condition that Spark understands on this table ({kind_of(error)}). Nothing was read or "
            f"spent. Write a condition on the table's columns ({', '.join(rows.columns)}), such as age > 17; quote "
            "odd names: `a name`.",
            field="input.filter",
        ) from None
    beyond = beyond_its_row(kept, rows)
    if beyond is not None:
        raise _refused(beyond)
    return kept


def without_times_of_day(schema: StructType) -> list[str]:
    """Returns the names of all columns but those of type TIME: a cast makes it a timestamp of today, which no plan shows."""
    return [field.name for field in schema.fields if not _TIME_OF_DAY.search(field.dataType.simpleString())]


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
            f"input.filter has {unknown}. A filter may look at one row at a time only. Spark Connect does not show what "
            f"Spark makes of it, so that it is made there of columns of the table ({', '.join(columns)}), comparisons, "
            "arithmetic, numbers, texts without a backslash, dates such as DATE '2024-01-31', and plain functions of a "
            "column. Nothing was read or spent. Write it so, run it without Spark Connect, or make a column of it when "
            "the table is written.",
            field="input.filter",
        )


def _refused(what: str) -> ConfigurationError:
    return ConfigurationError(
        f"input.filter uses {what}. A filter may look at one row at a time only: no subquery, window, clock, random "
        "number, comment, ${setting}, hidden column or function of your own. Nothing was read or spent. Quote a "
        "column of such a name: `name`; or make the column when the table is written.",
        field="input.filter",
    )
