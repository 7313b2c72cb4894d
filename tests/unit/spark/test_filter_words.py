"""What the text of a filter alone gives away: all that there is to look at on Spark Connect."""

from __future__ import annotations

import pytest

from spark_dp.spark.filters import words_beyond_a_row

QUERIES = [
    "x IN (SELECT x FROM t)",
    "x IN (TABLE t)",
    "x IN (VALUES 1, 2)",
    "x > (FROM t)",
    "x IN (WITH t AS (VALUES 1) TABLE t)",
    "x IN (MAP x USING 'cat' AS (y BIGINT) FROM t)",
    "x > (REDUCE max(x) USING 'cat' AS (y BIGINT) FROM t)",
    "x IN ((map (x) using 'cat' AS y FROM t))",
    "x > (MAP count(1)\nUSING\n'cat' AS (y BIGINT) FROM t)",
]


@pytest.mark.parametrize("condition", QUERIES)
def test_every_kind_of_query_within_a_filter_is_refused_by_its_words(condition):
    assert words_beyond_a_row(condition) is not None


@pytest.mark.parametrize(
    "condition",
    [
        "map(x, 1)[x] = 1",
        "reduce(array(x, 1), 0, (a, b) -> a + b) > 1",
        "`using` = 1",
        "x = 'map x using cat from t'",
        "confusing > 1",
    ],
)
def test_functions_columns_and_texts_of_such_names_are_no_query(condition):
    assert words_beyond_a_row(condition) is None
