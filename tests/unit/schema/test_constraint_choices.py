"""What a constraint says of a column, in codes: decided by what the column writes out, or refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_dp.errors import ConfigurationError
from spark_dp.schema.choices import Choices
from spark_dp.schema.columns import Column
from spark_dp.schema.decode import decode

AGE = {"type": "integer", "min": 0, "max": 29, "bins": 3}
WARD = {"type": "string", "values": ["A", "B", "<3"], "other": "elsewhere", "nullable": True}
VISITED = {
    "type": "date",
    "min": "2024-01-01",
    "max": "2024-12-31",
    "bins": ["2024-01-01", "2024-07-01", "2024-12-31"],
}
COST = {"type": "decimal(6,2)", "bins": [0, 10, 20.5]}
SCORE = {"type": "double", "min": 0, "max": 1, "bins": 4, "nan": "cell", "nullable": True}
COUNT = {"type": "integer", "values": [1, 5, 9], "other": -1}
AT = {"type": "timestamp", "timezone": "Europe/Berlin", "min": "2024-01-01", "max": "2024-01-03", "bins": 2}


def codes(column, choice):
    return Choices(Column.from_settings("c", column)).codes(choice, field="constraints[0].forbid.c")


@pytest.mark.parametrize(
    ("column", "choice", "wanted"),
    [
        (WARD, "B", (1,)),
        (WARD, ["B", "A"], (0, 1)),
        (WARD, "elsewhere", (3,)),
        (WARD, None, (4,)),
        (WARD, "<3", (2,)),  # of a text, a comparison is a value as any other
        (WARD, {"not": ["A", None]}, (1, 2, 3)),
        (AGE, "<10", (0,)),
        (AGE, "<=9", (0,)),
        (AGE, ">=20", (2,)),
        (AGE, ">9 and <20", (1,)),
        (AGE, ">= 10, <= 29", (1, 2)),
        (AGE, [">=20", "<10"], (0, 2)),
        (AGE, {"not": "<10"}, (1, 2)),
        (AGE, "> -5", (0, 1, 2)),
        (AGE | {"bins": 30}, 7, (7,)),
        ({"type": "short", "min": 3, "max": 6}, ["4", "6"], (1, 3)),
        ({"type": "short", "min": 3, "max": 6}, "<5", (0, 1)),
        (COUNT, ">=5", (1, 2)),
        (COUNT, "<5", (0, 3)),  # the literal of other is what is written out
        (COST, "<10", (0,)),
        (COST, ">=10.00", (1,)),
        (SCORE, ">=0.5", (2, 3)),
        (SCORE, "NaN", (4,)),
        (SCORE, [None, "<0.25"], (0, 5)),
        (SCORE, {"not": ">=0.5"}, (0, 1, 4, 5)),
        (VISITED, "<2024-07-01", (0,)),
        (VISITED, ">2024-06-30", (1,)),
        (AT, "< 2024-01-02 00:00:00", (0,)),
        ({"type": "boolean"}, "true", (1,)),
    ],
    ids=str,
)  # fmt: skip
def test_a_choice_stands_for_these_cells(column, choice, wanted):
    assert codes(column, choice) == wanted


@pytest.mark.parametrize(
    ("column", "choice", "says"),
    [
        (WARD, "a", r"'a'.*Choose from: A, B, <3, elsewhere, null.*"),
        (WARD, [], "empty list"),
        (WARD, {"not": ["A", "B", "<3", "elsewhere", None]}, "leaves out every value"),
        (WARD, {"but": "A"}, r"\{not: CHOICE\}"),
        (WARD, [["A"]], "list or a mapping within a list"),
        (AGE, "<15", r"cuts through the bin \[10, 20\).*10 or 20"),
        (AGE, 12, r"'12'.*cuts through the bin \[10, 20\)"),
        (AGE, "<29", r"cuts through the bin \[20, 29\]"),  # the last bin holds its upper edge too
        (AGE, None, "not nullable"),
        (AGE, "<0", "no declared value"),
        (AGE, "31", "out of the range.*0 to 29"),
        (AGE, "<ten", "not a value of type integer"),
        (AGE, "old", "not a value of type integer"),
        (AGE, ">=20 and <10", "no declared value"),
        (SCORE, "<0.3", r"cuts through the bin \[0.25, 0.5\)"),
        (SCORE, "0.25", "cuts through"),
        (VISITED, "<2024-06-30", "cuts through"),
        (COUNT, 6, "'6', which column 'c' has not"),
    ],
    ids=str,
)
def test_what_cannot_be_decided_is_refused(column, choice, says):
    with pytest.raises(ConfigurationError, match=says) as caught:
        codes(column, choice)
    assert caught.value.field.startswith("constraints[0].forbid.c")


@given(
    kind=st.sampled_from(["short", "integer", "decimal(6,1)", "float", "double"]),
    bins=st.integers(1, 6),
    operator=st.sampled_from(["<", "<=", ">", ">="]),
    bound=st.integers(-2, 22),
    draws=st.lists(st.integers(0, 2**64 - 1), min_size=20, max_size=20),
)
@settings(max_examples=200, deadline=None)
def test_all_or_none_of_what_a_cell_is_decoded_to_obeys_a_comparison(kind, bins, operator, bound, draws):
    column = Column.from_settings("c", {"type": kind, "min": 0, "max": 20, "bins": bins})
    try:
        chosen = set(Choices(column).codes(f"{operator}{bound}", field="f"))
    except ConfigurationError as error:
        assert "cuts through" in error.message or "no declared value" in error.message
        return
    extremes = np.array([*draws, 0, 2**64 - 1], np.uint64)
    obeys = {"<": float.__lt__, "<=": float.__le__, ">": float.__gt__, ">=": float.__ge__}[operator]
    for code in range(column.size):
        values = decode(column, np.full(len(extremes), code), extremes).to_pylist()
        assert {obeys(float(value), float(bound)) for value in values} == {code in chosen}


def test_null_as_a_key_is_null_unless_the_column_declares_that_word():
    nullable = Choices(Column.from_settings("c", WARD))
    assert nullable.key("null", field="f") == (4,)
    word = Choices(Column.from_settings("c", {**WARD, "values": ["null", "A"]}))
    assert word.key("null", field="f") == (0,)
