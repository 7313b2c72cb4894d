"""Which conditions a filter may have: those made of known pieces only."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


KEYWORDS: Final = _words(
    "and or not in is null true false between like ilike rlike regexp case when then else end as div"
)
FUNCTIONS: Final = _words(
    "abs add_months array_contains ascii bigint bit_length boolean btrim cast ceil ceiling char_length "
    "character_length coalesce concat contains crc32 date date_add date_diff date_sub date_trunc datediff day "
    "dayofmonth dayofweek dayofyear double element_at endswith float floor get greatest hash hour if ifnull instr int "
    "isnan isnotnull isnull last_day lcase least left length lower lpad ltrim md5 minute mod month months_between "
    "nullif nvl pmod position quarter regexp_like repeat replace reverse right round rpad rtrim second sha1 sha2 sign "
    "size split sqrt startswith string substr substring to_date to_timestamp trim trunc try_cast try_divide "
    "try_element_at ucase unix_timestamp upper weekday weekofyear xxhash64 year"
)
"""Functions of Spark that depend on their arguments alone; but a column's text that is a time only becomes one of today."""
TYPES: Final = _words(
    "string boolean tinyint byte smallint short int integer bigint long float real double decimal numeric date timestamp "
    "timestamp_ntz timestamp_ltz binary"
)
_TIMES: Final = _words("date timestamp timestamp_ntz timestamp_ltz")
_QUERIES: Final = _words("user select from with values table map reduce using exists over lateral")
"""Words that begin a query or go on with one, or name who runs it: as names of columns they have to be quoted."""
_VALUES: Final = _words("null true false end")
_OPERATORS: Final = _words("= == <=> <> != < <= > >= + - * / %")
_PIECE: Final = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    | (?P<text>'[^'\\]*')
    | (?P<name>`[^`]+`)
    | (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?:BD|bd|[LlSsYyDdFf])?(?![\w.]))
    | (?P<word>[A-Za-z_]\w*)
    | (?P<operator>[<>=!+\-*/%|&^~:;?@\#]+)
    | (?P<mark>[(),.\[\]])""",
    re.VERBOSE | re.ASCII,
)


def unknown_piece(condition: str, columns: Collection[str]) -> str | None:
    """Returns the first piece of a condition that is not known to look at one row alone; None where all are.

    Known are columns of the table, each by its name (`struct(*)` has whichever one file brings), numbers, texts without a
    backslash, comparisons and arithmetic, KEYWORDS, casts to TYPES, dates and timestamps that begin with a year and a
    month, and FUNCTIONS. Each function has a column among its arguments: what Spark works out beforehand may be a
    moment of the clock ('no' and 'w' put together).
    Everything else is refused, whatever it is: closed by default.
    """
    if "${" in condition:  # Spark puts a setting there before it parses
        return repr("${")
    own = {name.lower() for name in columns}
    # Of each open bracket: whether that of a function has a column yet; None for one that is no function's.
    open_calls: list[bool | None] = []
    before, place = "", 0
    while place < len(condition):
        found = _PIECE.match(condition, place)
        if found is None:
            return repr(condition[place])
        piece, kind, place = found.group(0), str(found.lastgroup), found.end()
        if kind == "space":
            continue
        opens = re.match(r"\s*\(", condition[place:]) is not None
        known, is_column = _judged(kind, piece, before, own, opens=opens)
        if not known:
            return repr(piece)
        if is_column:
            open_calls = [None if seen is None else True for seen in open_calls]
        if piece == "(":
            open_calls.append(False if before.lower() in FUNCTIONS else None)
        elif piece == ")" and open_calls and open_calls.pop() is False:
            return "a function of no column"
        before = piece
    return None


_HOUR = re.compile(r"'[\s\x00-\x20\x7f]*T\d", re.IGNORECASE)
"""An hour of today, where it is compared with a timestamp."""


def _judged(kind: str, piece: str, before: str, own: Collection[str], *, opens: bool) -> tuple[bool, bool]:
    """Returns whether a piece is known where it stands, and whether it is a column."""
    word, earlier = piece.lower(), before.lower()
    if kind == "operator":
        if "*" in word and not _is_operand(earlier):
            return False, False
        # A minus may follow at once, as in `x =-1`; two of them are a comment.
        return word in _OPERATORS or (word[:-1] in _OPERATORS - {"-"} and word[-1] == "-"), False
    if kind == "text":
        if _HOUR.match(piece):
            return False, False
        is_typed = earlier in _TIMES and re.match(r"'[+-]?\d{4,7}-\d", piece) is not None
        return is_typed or earlier in KEYWORDS or earlier[-1:] in {"", *"(,[<>=+-*/%"}, False
    if kind not in {"word", "name"}:
        return True, False
    if before == ".":
        return not opens, False
    if kind == "name":
        is_column = not opens and piece[1:-1].lower() in own
        return is_column, is_column
    if earlier == "as":
        return word in TYPES, False
    if opens:
        return word in FUNCTIONS or word in KEYWORDS, False
    is_column = word in own and word not in _QUERIES | KEYWORDS
    return is_column or word in KEYWORDS or word in _TIMES, is_column


def _is_operand(piece: str) -> bool:
    """Whether a piece may be what is multiplied: else a star stands for all columns."""
    return piece not in KEYWORDS - _VALUES and re.search(r"[\w`')\]]$|\d\.$", piece) is not None
