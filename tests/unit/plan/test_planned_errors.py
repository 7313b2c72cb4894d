"""The errors that a plan expects of columns and pairs."""

import math

import pytest
from support.planned import page, planned


def test_the_expected_error_of_a_column_is_half_the_sum_of_its_noise(tmp_path):
    plan = planned(tmp_path, "mechanism.name=independent", "input.expected_rows=50000")
    noise = {c: q.stddev for q in plan.queries.queries for c in q.cliques}
    for error in plan.errors(1):
        assert error.stddev == noise[error.clique]
        assert error.rows == pytest.approx(
            0.5 * error.cells * error.stddev * math.sqrt(2 / math.pi), rel=0.01
        )
        assert error.tvd == pytest.approx(error.rows / 50000)
        assert not error.if_kept
    assert plan.errors(2) == ()
    assert "independent of one another" in page(plan)


def test_errors_are_worst_first_and_at_most_one(tmp_path):
    for ways in (1, 2):
        errors = planned(tmp_path, "input.expected_rows=100").errors(ways)
        assert [e.rows for e in errors] == sorted((e.rows for e in errors), reverse=True)
        assert 0.5 < max(e.tvd for e in errors) <= 1.0


def test_a_pair_is_predicted_only_if_it_is_kept(tmp_path):
    errors = planned(tmp_path).errors(2)
    assert {e.clique for e in errors} == {("ward", "age"), ("ward", "cost"), ("age", "cost")}
    assert all(e.if_kept for e in errors)
    large, *_, small = errors
    assert large.cells > small.cells
    assert large.stddev < small.stddev


def test_a_column_of_one_cell_has_no_error(tmp_path):
    schema = "  a: {type: integer, min: 1, max: 1}\n  b: {type: boolean}\n"
    found = {e.clique: e.rows for e in planned(tmp_path, schema=schema).errors(1)}
    assert found[("a",)] == 0 < found[("b",)]


@pytest.mark.parametrize(
    ("overrides", "rows", "source"),
    [
        ([], None, None),
        (["output.rows=500"], 500, "output.rows"),
        (["output.rows=0"], None, None),
        (["output.rows=500", "input.expected_rows=70"], 70, "input.expected_rows"),
    ],
)
def test_the_size_is_what_is_declared_and_says_by_what(tmp_path, overrides, rows, source):
    plan = planned(tmp_path, *overrides)
    assert (plan.expected.rows, plan.expected.source) == (rows, source)
    assert plan.facts()["expected_rows"] == rows
    assert ("rows for 5%" in page(plan)) == (rows is None)


def test_without_a_size_the_plan_says_which_would_bring_five_percent(tmp_path):
    error = planned(tmp_path).errors(1)[0]
    sized = planned(tmp_path, f"input.expected_rows={math.ceil(error.good_from)}").errors(1)[0]
    assert sized.tvd == pytest.approx(0.05, rel=1e-3)
    assert f"{error.good_from:,.0f}" in page(planned(tmp_path))
