"""What a filter may be made of on Spark Connect: pieces that are known, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_dp.spark.filter_words import FUNCTIONS, unknown_piece
from spark_dp.spark.filters import plain_columns

COLUMNS = ["x", "name", "day", "wall", "r", "select", "from", "t", "rand", "user", "_pos", "a b"]

KNOWN = [
    "x = 1 AND name = 'x'",
    "x>-1 and x<=2.5e3 or not (x <=> 3L)",
    "name IN ('a', 'b') AND name IS NOT NULL AND name LIKE '%-- /* $%'",
    "day BETWEEN DATE '2012-01-01' AND date_add(day, 9) AND wall < TIMESTAMP'2020-01-01 00:00:00'",
    "CASE WHEN x > 1 THEN 'a' ELSE 'b' END = name",
    "cast(name AS decimal(10, 2)) > 1 AND try_cast(name as int) > 3",
    "year(wall) = 2013 AND date_trunc('month', wall) = wall",
    "pmod(hash(name), 10) = 0 AND length(trim(name)) > 2",
    "`select` = `from` AND `a b` > 1 AND _pos < 3 AND `user` = name",
    "t.field[0] = 1 AND `t`.`odd field` = 2",
    "rand > 1",
]
UNKNOWN = [
    "rand() < x",
    "`rand`() < x",
    "x IN (SELECT x FROM t)",
    "x IN (select from t)",
    "x IN (`select` from t)",
    "x IN (TABLE t)",
    "x IN (VALUES 1, x)",
    "x IN (MAP x USING 'cat' AS (y BIGINT) FROM t)",
    "x > (FROM t)",
    "ra${x}nd() < 0.5",
    "name = '${x}'",
    "x -- 1\n> 2",
    "x /* 1 */ > 2",
    "x = 1 |> x",
    r"name = 'it\'s'",
    r"name = r'\' OR x IN (SELECT x FROM t) OR name = ''",
    "name = r'x'",
    "name = r 'x'",
    'name = "x"',
    "name = 'a' 'b'",
    "name = 'a''b'",
    "day < 'no' || 'w'",
    "day < to_date(substr('nowhere', 1, 3))",
    "day < cast(concat('no', 'w') AS date)",
    "day < cast('2020' AS date)",
    "day > DATE 'today'",
    "user = name",
    "wall > TIMESTAMP '12:30'",
    "wall > TIMESTAMP 'T12'",
    "wall > 'T12'",
    "wall > '\x7ft12'",
    "day < current_date",
    "day < current_date()",
    "current_user = name",
    "unix_timestamp() > x",
    "_metadata.row_index < x",
    "x._metadata.rand() < 1",
    "catalog.mine(x) > 1",
    "sum(x) > 1",
    "sum(x) OVER () > 1",
    "array_contains(transform(array(x), k -> k + 1), 2)",
    "identifier('rand')(x) < 1",
    "exists(x)",
    "x = :value",
    "x = ?",
    "x = @session",
    "x::date = day",
    "aes_encrypt(name, 'abcdefghijklmnop') = name",
    "reflect('java.util.UUID', 'randomUUID', name) = name",
    "x > x'1F'",
    "ｘ > 1",
    "x > 1\x0b",
    "x = 1; x = 2",
    "x > interval '1' day",
]


@pytest.mark.parametrize("condition", KNOWN)
def test_a_condition_of_known_pieces_may_pass(condition):
    assert unknown_piece(condition, COLUMNS) is None


@pytest.mark.parametrize("condition", UNKNOWN)
def test_anything_else_is_refused_whatever_it_is(condition):
    assert unknown_piece(condition, COLUMNS) is not None


@pytest.mark.parametrize("name", ["now", "today ", " yesterday", "tomorrow", "epoch"])
def test_a_typed_literal_of_the_clock_is_refused(name):
    assert unknown_piece(f"day > DATE '{name}'", COLUMNS) is not None


@given(
    st.sampled_from(sorted(FUNCTIONS)), st.lists(st.sampled_from(["'no'", "1", "NULL", "true"]), max_size=3)
)
def test_no_function_is_worked_out_beforehand(function, arguments):
    assert unknown_piece(f"day < {function}({', '.join(arguments)})", COLUMNS) is not None
    assert unknown_piece(f"day < {function}({', '.join(['x', *arguments])})", COLUMNS) is None


@given(st.text(alphabet="abx'`\"\\$-/*(){}|>: \n", max_size=12))
def test_what_passes_has_no_comment_no_setting_and_no_other_quotes(condition):
    if unknown_piece(condition, COLUMNS) is None:
        outside = "".join(condition.split("'")[::2])
        assert not any(mark in outside for mark in ("--", "/*", "${", '"', "\\", "|>", "->", "::"))
        assert condition.count("'") % 2 == 0


@pytest.mark.parametrize(
    "condition",
    [
        "coalesce(*) > 0",
        "coalesce(x, *) > 0",
        "x IN (*)",
        "xxhash64(x.*) > 0",
        "greatest(x, -*) > 0",
        "x % * > 1",
        "NOT *",
    ],
)
def test_a_star_that_stands_for_all_columns_is_refused(condition):
    """Which they are, one file may decide."""
    assert "*" in str(unknown_piece(condition, COLUMNS))


@pytest.mark.parametrize(
    "condition",
    ["x * 2 > 1", "2*x>1", "2. * x > 1", "(x) * x > 0", "`x`*`x` > 0", "CASE WHEN x > 0 THEN x END * 2 > 1"],
)
def test_a_star_that_multiplies_is_known(condition):
    assert unknown_piece(condition, COLUMNS) is None


def test_a_column_of_times_of_day_is_none_of_the_columns_that_a_filter_may_have():
    from pyspark.sql import types as T

    if not hasattr(T, "TimeType"):
        pytest.skip("times of day are of Spark 4.1")
    schema = T.StructType(
        [
            T.StructField("name", T.StringType()),
            T.StructField("at", T.TimeType()),
            T.StructField("many", T.ArrayType(T.TimeType(3))),
            T.StructField("wall", T.TimestampNTZType()),
        ]
    )
    assert plain_columns(schema) == ["name", "wall"]
