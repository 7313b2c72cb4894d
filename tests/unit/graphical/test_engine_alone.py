"""The engine by itself: the example of its page runs, and nothing of Spark or the ledger is loaded."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import spark_dp.graphical
from spark_dp.errors import ConfigurationError
from spark_dp.graphical import Domain, draw_rows, estimate, noisy_marginal

ROOT = Path(__file__).parents[3]
NEITHER = """
import sys
class No:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("pyspark", "pandas", "sqlalchemy", "pyarrow", "click"): raise ImportError(name)
sys.meta_path.insert(0, No())
"""
AFTER = """
assert bars.low.shape == bars.high.shape == (3,)
assert (bars.low < counts.sum(axis=1)).all() and (counts.sum(axis=1) < bars.high).all()
assert 0 < bars.expected_tvd < bars.bound_tvd < 0.2
assert {name: len(codes) for name, codes in rows.items()} == {"ward": 1000, "age": 1000}
"""


def test_the_example_of_the_page_runs_without_spark_and_ledger():
    page = (ROOT / "docs" / "api.md").read_text().split("## The engine alone")[1]
    example = re.search(r"```python\n(.*?)```", page, re.DOTALL).group(1)
    done = subprocess.run(
        [sys.executable, "-c", NEITHER + example + AFTER],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr


def test_all_that_is_offered_is_there():
    for name in spark_dp.graphical.__all__:
        assert getattr(spark_dp.graphical, name).__name__ == name
    with pytest.raises(AttributeError, match="nothing_such"):
        spark_dp.graphical.nothing_such  # noqa: B018


def test_own_counts_are_kept_to_a_millionth_of_a_row():
    measured = noisy_marginal(("a", "b"), [[1.25, -3.0000001], [0.1, 7e9]], 0.5)
    np.testing.assert_allclose(measured.values, [[1.25, -3.0000001], [0.1, 7e9]], atol=2**-21)
    assert measured.stddev == 0.5


@pytest.mark.parametrize(
    ("clique", "values", "stddev", "field"),
    [
        (("a",), [[1.0]], 1.0, "clique"),
        (("a", "a"), [[1.0]], 1.0, "clique"),
        (("a",), [float("nan")], 1.0, "values"),
        (("a",), [1e300], 1.0, "values"),
        (("a",), [1.0], 0.0, "stddev"),
        (("a",), [1.0], float("inf"), "stddev"),
    ],
)
def test_what_is_no_noisy_marginal_is_refused(clique, values, stddev, field):
    with pytest.raises(ConfigurationError) as refused:
        noisy_marginal(clique, values, stddev)
    assert refused.value.field == field


def test_drawn_rows_follow_the_model_and_the_seed():
    domain = Domain(("a", "b"), (2, 3))
    measured = [noisy_marginal(("a", "b"), [[10, 20, 30], [5, 15, 20]], 0.01)]
    model = estimate(domain, measured, max_cells=100).model
    rows = draw_rows(model, 10_000, seed=3)
    counts = np.bincount(rows["a"] * 3 + rows["b"], minlength=6)
    np.testing.assert_allclose(counts, np.array([10, 20, 30, 5, 15, 20]) * 100, atol=3)
    again = draw_rows(model, 10_000, seed=3)
    assert all((rows[name] == again[name]).all() for name in rows)
    assert not all((rows[name] == draw_rows(model, 10_000, seed=4)[name]).all() for name in rows)
    assert {len(codes) for codes in draw_rows(model, 0, seed=3).values()} == {0}
    with pytest.raises(ConfigurationError, match="cannot be drawn"):
        draw_rows(model, -1, seed=3)
