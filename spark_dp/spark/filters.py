"""Filtering the input by a condition that looks at one row at a time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from spark_dp.errors import ConfigurationError
from spark_dp.spark.failures import kind_of, nothing_logged
from spark_dp.spark.plans import beyond_its_row

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_NOT_ROW_WISE = re.compile(
    r"\b(rand|randn|random|randstr|uniform|uuid|shuffle|monotonically_increasing_id|spark_partition_id|"
    r"input_file_\w+|current_(date|timestamp|time|timezone|user|catalog|database|schema)|curdate|now|"
    r"localtimestamp|unix_timestamp\s*\(\s*\)|(try_)?reflect|java_method|select|using|exists|over|_metadata|"
    r"session_user|user\s*\(|identifier\s*\()(?!\w)|"
    r"\|>|\(\s*(table|from|with|values)\b",
    re.IGNORECASE,
)
_SPECIAL_TIME = re.compile(r"['\"]\s*(now|today|yesterday|tomorrow|epoch)\b[^'\"]*['\"]", re.IGNORECASE)
_COMMENT = re.compile(r"--|/\*")
_QUOTED = re.compile(
    r"(?<!\w)[rR](?:'[^']*'|\"[^\"]*\")|'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|`(?:[^`]|``)*`", re.DOTALL
)
"""What Spark's lexer takes as one piece: a text, in which a raw one has no escapes, or a quoted name."""
_TYPED_TIME = re.compile(r"\b(date|time|timestamp(_ntz|_ltz)?)\s*$", re.IGNORECASE)


def filter_rows(rows: DataFrame, condition: str | None) -> DataFrame:
    """Keeps the rows for which a row-wise SQL condition is true.

    A condition that looks at other rows, at the clock or at chance would let one unit's rows decide about
    another's, or change between passes, so it is refused: by its words, and where Spark shows its analysed plan by that.

    Raises:
        ConfigurationError: the condition is not row-wise, or Spark cannot understand it.
    """
    if condition is None:
        return rows
    said = words_beyond_a_row(condition)
    if said is not None:
        raise _refused(said)
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


def words_beyond_a_row(condition: str) -> str | None:
    """Returns what a condition's text has that a look at one row cannot need; None where it has nothing of the kind.

    All that is looked at on Spark Connect: of the queries that may stand in brackets, `MAP ... USING` and
    `REDUCE ... USING` have no SELECT.
    """
    # A comment may hide where a literal begins.
    bare = _QUOTED.sub(_without_what_is_quoted, condition)
    found = (
        _COMMENT.search(bare)
        or _NOT_ROW_WISE.search(bare)
        or _SPECIAL_TIME.search(condition)
        or re.search(r"`_metadata`", condition, re.IGNORECASE)
    )
    if found:
        return repr(found.group(0))
    return "a date or timestamp literal that does not begin with a digit" if _odd_time(condition) else None


def _without_what_is_quoted(quoted: re.Match[str]) -> str:
    """Returns an empty text for a text or a name; a function's name stays, without its quotes."""
    piece = quoted.group(0)
    is_called = piece.startswith("`") and re.match(r"\s*\(", quoted.string[quoted.end() :])
    return piece.strip("`") if is_called else "''"


def _odd_time(condition: str) -> bool:
    """Whether a typed literal (DATE'...') may name a moment of the clock: Spark reads the clock as it parses it."""
    before = 0
    for quoted in _QUOTED.finditer(condition):
        typed = _TYPED_TIME.search(condition[before : quoted.start()])
        if typed and not re.match(r"[rR]?['\"]\s*[-+]?\d", quoted.group(0)):
            return True
        before = quoted.end()
    return False


def _refused(what: str) -> ConfigurationError:
    return ConfigurationError(
        f"input.filter uses {what}. A filter may look at one row at a time only: no subquery, window, clock, random "
        "number, comment or function of your own. Nothing was read or spent. Quote a column of such a name: `name`; or "
        "make the column when the table is written.",
        field="input.filter",
    )
