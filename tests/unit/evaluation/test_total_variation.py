from __future__ import annotations

import numpy as np
import pytest

from spark_dp.evaluation.evaluate import WARNING, Evaluation, evaluate_counts
from spark_dp.evaluation.marginals import cliques_up_to, compare, total_variation
from spark_dp.schema.domain import Domain

DOMAIN = Domain(("a", "b", "c"), (2, 3, 5))


@pytest.mark.parametrize(
    ("left", "right", "distance"),
    [
        ([1, 1], [2, 2], 0.0),
        ([1, 0], [0, 7], 1.0),
        ([3, 1], [1, 1], 0.25),
        ([0, 0], [0, 0], 0.0),
        ([0, 0], [1, 0], 1.0),
    ],
)
def test_total_variation_is_half_the_distance_of_shares(left, right, distance):
    assert total_variation(np.array(left), np.array(right)) == pytest.approx(distance)


def test_total_variation_does_not_overflow_on_fixed_point_counts():
    large = np.array([2**61, 2**61])
    assert total_variation(large, np.array([1, 1])) == 0.0


def test_cliques_are_all_of_up_to_a_degree_that_fit():
    assert len(cliques_up_to(DOMAIN, 2, max_cells=100)) == 6
    assert ("b", "c") not in cliques_up_to(DOMAIN, 2, max_cells=14)
    assert len(cliques_up_to(Domain(("a",), (2,)), 2, max_cells=100)) == 1


def test_the_mean_and_the_worst_are_by_degree():
    counts = {("a",): np.array([1, 1]), ("b",): np.array([1, 0, 0]), ("a", "b"): np.eye(2, 3)}
    other = {("a",): np.array([1, 0]), ("b",): np.array([1, 0, 0]), ("a", "b"): np.eye(2, 3)}
    found = compare(counts, other)
    assert found.mean(1) == pytest.approx(0.25)
    assert found.worst(1) == (("a",), pytest.approx(0.5))
    assert (found.mean(2), found.mean(3), found.worst(3)) == (0.0, 0.0, None)


def test_an_evaluation_says_that_it_is_not_private_and_reads_back():
    counts = {("a",): np.array([1, 3])}
    found = evaluate_counts(counts, {("a",): np.array([1, 1])}, {("a",): np.array([0, 1])})
    assert found.text().startswith(WARNING)
    assert found.facts()["warning"] == WARNING
    again = Evaluation.from_facts(found.facts())
    assert again.text() == found.text()
    assert again.bounded_to_synthetic.by_clique[("a",)] == pytest.approx(0.5)
