"""What noisy levels of a grid say: exactly the truth without noise, and never more bins or mass than there is."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_dp.privacy.grid_estimate import GridEstimate
from spark_dp.privacy.grid_levels import GridLevels
from spark_dp.privacy.measurement import Measurement
from spark_dp.schema.grid import BLOCK, Grid

QUIET = Fraction(1, 100)


def measured(grid: Grid, fine: np.ndarray, stddev: float, seed: int = 1) -> tuple[Measurement, ...]:
    rng = np.random.default_rng(seed)
    levels = GridLevels(grid, lambda: fine.astype(np.int64)).count([(name,) for name in grid.levels])
    return tuple(
        Measurement(
            clique=clique,
            noisy=(counts + np.rint(rng.normal(0, stddev, counts.shape))).astype(np.int64),
            sigma_squared=Fraction(max(stddev, 0.1)) ** 2,
            unit=1,
            query="q",
        )
        for clique, counts in levels.items()
    )


def estimate(fine: np.ndarray, stddev: float = 0.0, others: int = 0, seed: int = 1) -> GridEstimate:
    grid = Grid(name="x", cells=len(fine) - others, others=others)
    return GridEstimate.of(grid, measured(grid, fine, stddev, seed))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 700), st.integers(0, 2), st.integers(0, 2**32))
def test_without_noise_the_masses_are_the_counts(cells, others, seed):
    fine = np.random.default_rng(seed).integers(0, 50, cells + others)
    found = estimate(fine, others=others)
    np.testing.assert_allclose(found.masses, fine[:cells], atol=1e-6)
    np.testing.assert_allclose(found.others, fine[cells:], atol=1e-6)


@pytest.mark.parametrize("cells", [1, 16, 17, 100, 4096])
def test_every_level_counts_every_row_once(cells):
    grid = Grid(name="x", cells=cells, others=1)
    fine = np.arange(cells + 1, dtype=np.int64)
    for name, level in grid.coarsen(fine).items():
        assert level.sum() == fine.sum()
        assert level.shape == grid.domain.shape((name,))
        assert level[-1] == fine[-1]
    assert max(grid.sizes[-1:]) <= 16


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 700), st.floats(0, 100), st.integers(0, 2**32))
def test_masses_are_never_negative_and_a_block_has_the_sum_of_its_parts(cells, stddev, seed):
    found = estimate(np.random.default_rng(seed).integers(0, 9, cells), stddev, seed=seed)
    assert (found.masses >= 0).all()


def test_least_squares_over_levels_is_better_than_the_finest_level_alone():
    fine = np.full(4096, 10)
    grid = Grid(name="x", cells=4096)
    noisy = measured(grid, fine, 30.0)
    combined = np.cumsum(GridEstimate.of(grid, noisy).masses)
    alone = np.cumsum(noisy[0].values)
    truth = np.cumsum(fine)
    assert np.abs(combined - truth).max() < np.abs(alone - truth).max() / 2


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 700), st.integers(1, 40), st.floats(0, 30), st.integers(0, 2**32))
def test_bins_are_in_order_within_the_bounds_and_never_too_many(cells, most, stddev, seed):
    found = estimate(np.random.default_rng(seed).geometric(0.2, cells), stddev, seed=seed)
    for cut in (found.bins_of_equal_mass, found.bins_of_equal_width):
        starts, last = cut(min(most, cells))
        assert 1 <= len(starts) <= most
        assert sorted(set(starts)) == starts
        assert 0 <= starts[0] <= starts[-1] <= last < cells


def test_bins_hold_about_the_same_and_empty_tails_are_left_out():
    fine = np.zeros(1000, np.int64)
    fine[300:500] = 100
    starts, last = estimate(fine).bins_of_equal_mass(10)
    assert (starts[0], last) == (300, 499)
    masses = np.add.reduceat(fine[: last + 1], starts)
    assert len(starts) <= 10
    assert masses.max() <= fine.sum() / 7


def test_a_long_tail_gets_bins_that_follow_it():
    fine = np.rint(1e6 * np.exp(-np.arange(2000) / 100)).astype(np.int64)
    found = estimate(fine, 30.0)
    starts, last = found.bins_of_equal_mass(20)
    spread = np.zeros(len(fine))
    for start, end in zip(starts, [*starts[1:], last + 1], strict=True):
        spread[start:end] = fine[start:end].sum() / (end - start)
    assert len(starts) == 20
    assert np.abs(np.cumsum(spread) - np.cumsum(fine)).max() < 0.012 * fine.sum()


def test_a_value_with_half_of_all_rows_has_a_bin_to_itself_and_costs_no_other_bin():
    fine = np.full(200, 10)
    fine[50] = 10_000
    starts, _ = estimate(fine).bins_of_equal_mass(10)
    assert {50, 51} <= set(starts)
    assert len(starts) == 10


def test_bounds_keep_out_what_noise_alone_makes_of_a_range_that_is_far_too_wide():
    fine = np.zeros(4096, np.int64)
    fine[2000:2100] = 200
    for seed in range(20):
        first, last = estimate(fine, 130.0, seed=seed).bounds()
        assert 1984 <= first <= 2010  # the start of a block of eight, or of its neighbour
        assert 2090 <= last <= 2112


def test_a_quantile_is_the_first_cell_that_reaches_it():
    assert estimate(np.array([5, 3, 2, 0])).quantile(0.5) == 0
    assert estimate(np.array([5, 3, 2, 0])).quantile(0.51) == 1
    assert estimate(np.array([5, 3, 2, 0])).quantile(0.9) == 2


def test_noise_alone_gives_one_range_and_no_failure():
    found = estimate(np.zeros(64, np.int64))
    assert found.bounds() == (0, 63)
    assert found.quantile(0.9) == 0
    assert found.bins_of_equal_width(BLOCK)[1] == 63
