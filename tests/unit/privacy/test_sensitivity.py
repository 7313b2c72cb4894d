from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from spark_dp.errors import ConfigurationError, InternalError
from spark_dp.privacy.sensitivity import Contribution, Neighbours

ADD, REPLACE = Neighbours.ADD_REMOVE, Neighbours.REPLACE


def histogram(rows: tuple[int, ...], cells: int = 2) -> np.ndarray:
    return np.bincount(np.array(rows, dtype=np.int64), minlength=cells)


def units(k: int) -> list[np.ndarray]:
    """All histograms over two cells of a unit with at most k rows."""
    return [histogram(rows) for m in range(k + 1) for rows in product(range(2), repeat=m)]


def movements(k: int, neighbours: Neighbours) -> list[np.ndarray]:
    mine = units(k)
    others = mine if neighbours is REPLACE else [histogram(())]
    return [a - b for a in mine for b in others]


@pytest.mark.parametrize("k", [1, 2, 4])
@pytest.mark.parametrize("neighbours", [ADD, REPLACE])
def test_the_l2_sensitivity_is_what_the_worst_unit_moves(k, neighbours):
    worst = max(int((moved**2).sum()) for moved in movements(k, neighbours))
    contribution = Contribution(max_rows=k, unit=1, neighbours=neighbours)
    assert contribution.marginals_l2_squared(1) == worst
    assert contribution.marginals_l2_squared(3) == 3 * worst


@pytest.mark.parametrize("k", [1, 2, 4])
@pytest.mark.parametrize("neighbours", [ADD, REPLACE])
def test_the_score_sensitivity_is_what_the_worst_unit_moves(k, neighbours):
    worst = max(int(np.abs(moved).sum()) for moved in movements(k, neighbours))
    contribution = Contribution(max_rows=k, unit=1, neighbours=neighbours)
    assert contribution.score(Fraction(1)) == worst
    assert contribution.score(Fraction(3, 7)) == Fraction(3, 7) * worst


def test_ignoring_the_rows_of_a_unit_would_be_noticed():
    one, five = (Contribution(max_rows=k, unit=1, neighbours=ADD) for k in (1, 5))
    assert five.marginals_l2_squared(2) == 25 * one.marginals_l2_squared(2)
    assert five.score(Fraction(1)) == 5 * one.score(Fraction(1))


def test_fixed_point_scales_every_sensitivity():
    weighted = Contribution(max_rows=50, unit=2**20, neighbours=ADD)
    assert weighted.weight == 50 * 2**20
    assert weighted.marginals_l2_squared(3) == 3 * (50 * 2**20) ** 2
    assert weighted.score(Fraction(2)) == 2 * 50 * 2**20


@pytest.mark.parametrize("k", [None, 0, -1, 2.5, True, "3"])
def test_a_bound_that_is_no_positive_integer_is_refused(k):
    with pytest.raises(ConfigurationError) as caught:
        Contribution(max_rows=k, unit=1, neighbours=ADD)
    assert caught.value.field == "privacy.unit.max_rows"


def test_an_unknown_adjacency_is_refused():
    with pytest.raises(ConfigurationError):
        Contribution(max_rows=1, unit=1, neighbours="swap")


def test_sensitivities_of_nothing_are_refused():
    contribution = Contribution(max_rows=1, unit=1, neighbours=ADD)
    with pytest.raises(InternalError):
        contribution.marginals_l2_squared(0)
    with pytest.raises(InternalError):
        contribution.score(Fraction(-1))
