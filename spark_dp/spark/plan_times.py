"""Dates and times that an analysed expression makes of a constant text, which may be of the clock.

Spark takes `now` for a moment, as late as it optimises, and a time without a date for one of the day on which it is read:
as a text, an element of an array, or a field of JSON. So every text beneath what makes a time is looked at, wherever it is.
Nor has a value of the type TIME, which newer releases have, a date: what is cast from it to a date or timestamp is of today.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_CLOCK = re.compile(r"[\s\x00-\x20]*(now|today|yesterday|tomorrow|epoch)\b", re.IGNORECASE)
_NO_DATE = re.compile(r"(?<![\d:+-])(?<!-\d\d[ T])(?<!-\d[ T])\d{1,2}:|(?<!\w)T\d", re.IGNORECASE)
"""A time with no date before it, which is no zone's distance from Greenwich either."""
_DATED = frozenset({"date", "timestamp", "timestamp_ntz", "timestamp_ltz"})
_TIMES = _DATED | {"time"}
_TEXTS = frozenset({"string", "char", "varchar", "variant"})
_HOLDS_ONLY = re.compile(r"Alias|NamedLambdaVariable|LambdaFunction|Create(Array|Map|NamedStruct)")
"""What has texts in it, and changes none."""
_PARSED = re.compile(r"(Json|Csv|Xml)ToStructs")
"""What spells a time in its own way, `12\\u003a30`."""


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """One expression and what it is made of.

    Attributes:
        kind: its class.
        types: the simple types in its type: of elements, keys, values and fields.
        text: of a literal; None of all else.
        pieces: its children.
        open: whether a column of the row has part in it.
        variables: the variables of functions within it, by their ids.
        bound: those of them whose function is within it.
    """

    kind: str
    types: frozenset[str]
    text: str | None
    pieces: tuple[_Piece, ...]
    open: bool
    variables: frozenset[int]
    bound: frozenset[int]

    @property
    def constant(self) -> bool:
        """Whether it is the same for every row. A function is not: it takes what it is given."""
        return not self.open and self.variables <= self.bound and self.kind != "LambdaFunction"

    def all(self) -> Iterator[_Piece]:
        yield self
        for piece in self.pieces:
            yield from piece.all()


def may_read_the_clock(expression: Any) -> bool:
    """Returns whether a date or time within the expression is made of a constant text that may name a moment of the clock.

    Refused are casts of a TIME to a date or timestamp; and, beneath what is or contains a date or time: a constant text
    that is put together by a function; a constant that is parsed from JSON, CSV or XML; and a text that begins as a
    moment's name does or has a time without a date. A text that a column has part in is that row's own, but for the
    constants in it.

    Args:
        expression: analysed, of classic Spark.
    """
    return any(_of_clock(piece) for piece in _piece(expression).all() if piece.types & _TIMES)


def _of_clock(made: _Piece) -> bool:
    if made.kind == "Cast" and made.types & _DATED and any("time" in part.types for part in made.pieces):
        return True
    if made.constant and _PARSED.fullmatch(made.kind):
        return True
    beneath = (piece for part in made.pieces for piece in part.all())
    for piece in beneath:
        if not piece.types & _TEXTS:
            continue
        if piece.text is not None:
            if _CLOCK.match(piece.text) or _NO_DATE.search(piece.text):
                return True
        elif not _HOLDS_ONLY.fullmatch(piece.kind) and (made.constant or piece.constant):
            return True
    return False


def _piece(expression: Any) -> _Piece:
    kind = str(expression.getClass().getSimpleName())
    children = expression.children()
    pieces = tuple(_piece(children.apply(i)) for i in range(children.size()))
    variables = frozenset[int]().union(*(piece.variables for piece in pieces))
    bound = frozenset[int]().union(*(piece.bound for piece in pieces))
    if kind == "NamedLambdaVariable":
        variables |= {int(expression.exprId().id())}
    if kind == "LambdaFunction":  # its body, and then its arguments
        bound |= frozenset[int]().union(*(piece.variables for piece in pieces[1:]))
    return _Piece(
        kind=kind,
        types=frozenset(_simple(json.loads(expression.dataType().json()))),
        text=str(expression) if kind == "Literal" else None,
        pieces=pieces,
        open=not expression.references().isEmpty(),
        variables=variables,
        bound=bound,
    )


def _simple(declared: Any) -> Iterator[str]:
    """The names of the simple types in a type as Spark writes it, without length, precision or collation."""
    if isinstance(declared, str):
        yield re.split(r"[ (]", declared)[0]
        return
    for field in declared.get("fields", ()):
        yield from _simple(field["type"])
    for part in ("elementType", "keyType", "valueType", "sqlType"):
        if part in declared:
            yield from _simple(declared[part])
