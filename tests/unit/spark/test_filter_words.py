"""What the text of a filter gives away before Spark has seen it."""

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
HIDDEN = [
    r"name = r'\' OR x IN (SELECT x FROM t) OR name = ''",
    r'name = R"\" OR x IN (SELECT x FROM t) OR name = ""',
    "`abs`((SELECT max(x) FROM t)) > `x`",
    "`abs` (/* `x` */ x) > `x`",
    "`rand`() > 0.5",
    "`a``b` > (SELECT 1) AND `c` = 1",
    "x > DATE r'today'",
    "x > DATE r'tomorrow '",
    r"name = 'it\'s' OR x IN (SELECT x FROM t) OR name = 'it\'s'",
    '"rand"() > 0.5',
    '"_metadata".row_index < 3',
]
SUBSTITUTED = [
    "ra${x}nd() < 0.5",
    "x IN (sel${x}ect x FROM t)",
    "_meta${x}data.row_index < 3",
    "${spark.mine}",
]
CHANCE_AND_CLOCK = [
    "crc32(aes_encrypt(name, 'abcdefghijklmnop')) % 2 = 0",
    "hour(localtime()) > 3",
    "localtime > TIME '10:00:00'",
    "current_path() = name",
    "x > getdate()",
    "x > TIMESTAMP '12:30'",
    "x > 'T9:05'",
    "x > cast('\x01now' as timestamp)",
]


@pytest.mark.parametrize("condition", QUERIES)
def test_every_kind_of_query_within_a_filter_is_refused_by_its_words(condition):
    assert words_beyond_a_row(condition) is not None


@pytest.mark.parametrize("condition", HIDDEN)
def test_what_is_quoted_hides_nothing_that_is_not(condition):
    assert words_beyond_a_row(condition) is not None


@pytest.mark.parametrize("condition", SUBSTITUTED)
def test_a_setting_that_spark_would_put_in_before_it_parses_is_refused(condition):
    """An unset one is an empty text, so that the word around it is whole only when Spark reads it."""
    assert words_beyond_a_row(condition) == "'${'"


@pytest.mark.parametrize("condition", CHANCE_AND_CLOCK)
def test_chance_and_clocks_of_other_names_are_refused(condition):
    assert words_beyond_a_row(condition) is not None


@pytest.mark.parametrize(
    "condition",
    [
        "map(x, 1)[x] = 1",
        "reduce(array(x, 1), 0, (a, b) -> a + b) > 1",
        "`using` = 1",
        "x = 'map x using cat from t'",
        "confusing > 1",
        r"name = r'\' OR name = 'select'",
        "for_r'select' = 1",
        "`abs`(x) > `select`",
        "`a``select`` b` > 1",
        "x > DATE r'2024-01-01' AND y < TIMESTAMP '2024-01-01 00:00:00'",
    ],
)
def test_functions_columns_and_texts_of_such_names_are_no_query(condition):
    assert words_beyond_a_row(condition) is None
