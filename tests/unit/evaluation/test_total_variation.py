from __future__ import annotations

import numpy as np
import pytest

from spark_dp.evaluation.marginals import Marginal, total_variation


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


def test_the_three_distances_are_of_the_tables_that_they_name():
    found = Marginal.of_counts(("a",), np.array([4, 0]), np.array([3, 1]), np.array([1, 1])).distances()
    assert (found.raw_to_bounded, found.bounded_to_synthetic, found.raw_to_synthetic) == (0.25, 0.25, 0.5)
