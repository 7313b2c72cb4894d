"""How far pooled noise strays, against simulation: also where an adversary decides when and how to measure again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from spark_dp.graphical.deviations import (
    FIXED,
    Looks,
    cell_factor,
    excess_factor,
    folded_inverse,
    l1_factor,
)

ALPHA = 0.1
TRIALS = 100_000
TWO = Looks(most=2, growth=1.0)


def second_look(factor):
    """Returns how often an error is outside, if one that is inside is measured again with the worst precision."""
    random = np.random.default_rng(1)
    first, second = random.standard_normal((2, TRIALS))
    kept = np.minimum(np.abs(first) / factor, 1.0)  # sqrt(w1 / W), which makes being outside likeliest
    pooled = kept * np.abs(first) + np.sqrt(1 - kept**2) * second
    return float(np.mean((np.abs(first) > factor) | (np.abs(pooled) > factor)))


def many_looks(outside, looks=200, step=0.1):
    """Returns how often an error is outside at some look, of many that each add a tenth to the precision."""
    random = np.random.default_rng(2)
    precision, moved = 1.0, random.standard_normal(TRIALS // 5)
    found = np.zeros(len(moved), dtype=bool)
    for _ in range(looks):
        found |= np.abs(moved) / np.sqrt(precision) > outside(precision)
        moved += np.sqrt(step * precision) * random.standard_normal(len(moved))
        precision *= 1 + step
    return float(found.mean())


def test_one_look_has_the_quantile_of_the_normal_law():
    assert cell_factor(0.05) == pytest.approx(1.959964, abs=1e-6)


def test_two_looks_are_covered_whatever_the_second_is():
    assert 0.7 * ALPHA < second_look(cell_factor(ALPHA, TWO)) <= ALPHA


def test_the_adversary_beats_the_factor_of_one_look():
    assert second_look(cell_factor(ALPHA)) > 1.3 * ALPHA


def test_any_number_of_looks_is_covered():
    assert many_looks(lambda w: cell_factor(ALPHA, Looks(most=None, growth=w))) <= ALPHA


def test_many_looks_beat_the_factor_of_two():
    assert many_looks(lambda w: cell_factor(ALPHA, TWO)) > 2 * ALPHA


@pytest.mark.parametrize("most", [1, 2, None])
@given(alpha=st.floats(1e-9, 0.5), growth=st.floats(1, 1e6))
@settings(max_examples=20, deadline=None)
def test_more_looks_and_more_confidence_need_more_room(most, alpha, growth):
    factor = cell_factor(alpha, Looks(most=most, growth=growth))
    assert factor >= cell_factor(alpha) - 1e-9
    assert cell_factor(alpha / 2, Looks(most=most, growth=growth)) > factor
    assert l1_factor(3, alpha, Looks(most=most, growth=growth)) >= l1_factor(3, alpha)


@pytest.mark.parametrize("cells", [1, 2, 30, 1000])
def test_the_sum_of_all_errors_is_covered_and_not_by_far(cells):
    noise = np.abs(np.random.default_rng(3).standard_normal((2_000_000 // max(cells, 100), cells))).sum(
        axis=1
    )
    bound = l1_factor(cells, ALPHA)
    assert np.mean(noise > bound) <= ALPHA
    assert bound <= 1.35 * np.quantile(noise, 1 - ALPHA)


def test_the_sum_of_all_errors_is_covered_at_any_number_of_looks():
    random, cells = np.random.default_rng(4), 20
    moved, precision = random.standard_normal((2000, cells)), 1.0
    outside = np.zeros(len(moved), dtype=bool)
    for _ in range(60):
        error = np.abs(moved).sum(axis=1) / np.sqrt(precision)
        outside |= error > l1_factor(cells, ALPHA, Looks(most=None, growth=precision))
        moved += np.sqrt(0.2 * precision) * random.standard_normal(moved.shape)
        precision *= 1.2
    assert outside.mean() <= ALPHA


@pytest.mark.parametrize("threshold", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("cells", [5, 500])
def test_what_errors_exceed_a_threshold_by_is_covered(cells, threshold):
    noise = np.random.default_rng(5).standard_normal((2000, cells))
    exceeded = np.maximum(noise - threshold, 0).sum(axis=1)
    assert np.mean(exceeded > excess_factor(cells, threshold, ALPHA)) <= ALPHA
    assert excess_factor(cells, threshold, ALPHA) < l1_factor(cells, ALPHA)


@given(
    sizes=st.lists(st.floats(0, 50), min_size=1, max_size=20),
    sigma=st.floats(0.1, 20),
)
@settings(max_examples=60, deadline=None)
def test_noise_is_taken_off_a_distance_and_never_too_much_of_it(sizes, sigma):
    d = np.array(sizes)
    folded = sigma * np.sqrt(2 / np.pi) * np.exp(-((d / sigma) ** 2) / 2) + d * (1 - 2 * norm.sf(d / sigma))
    found = folded_inverse(float(folded.mean()), sigma)
    assert d.mean() <= found + 1e-5 * (1 + found) + 1e-2 * sigma * (d.mean() < 0.1 * sigma)
    assert found <= folded.mean() + 1e-9


@pytest.mark.parametrize(("mean", "sigma"), [(8.331634669637511, 1.0), (1.0457731166633788, 0.125)])
def test_a_distance_is_found_where_rounding_leaves_no_change_of_sign(mean, sigma):
    assert folded_inverse(mean, sigma) == pytest.approx(mean)


def test_equal_distances_are_found_again():
    folded = 5 * np.sqrt(2 / np.pi) * np.exp(-0.5) + 5 * (1 - 2 * norm.sf(1.0))
    assert folded_inverse(float(folded), 5.0) == pytest.approx(5.0)
    assert folded_inverse(0.5, 5.0) == 0.0
    assert FIXED.most == 1


def integer_noise(sigma, rounded, cells):
    """Returns the values and probabilities of a sum of cells' noise, and its standard deviation."""
    at = np.arange(-int(12 * sigma) - 2, int(12 * sigma) + 3)
    one = norm.cdf((at + 0.5) / sigma) - norm.cdf((at - 0.5) / sigma) if rounded else norm.pdf(at / sigma)
    one = total = one / one.sum()
    for _ in range(cells - 1):
        total = np.convolve(total, one)
    half = len(total) // 2
    values = np.arange(-half, half + 1)
    return values, total, float(np.sqrt((total * values**2).sum()))


def missed(noise, factor, beside):
    values, chances, stddev = noise
    return float(chances[np.abs(values) > factor * stddev + beside + 1e-12].sum())


WIDTHS = np.linspace(0.3, 7, 671)


@pytest.mark.parametrize("rounded", [True, False])
@pytest.mark.parametrize("cells", [1, 2, 4])
@pytest.mark.parametrize("sigma", [1.0, 1.5, 3.0, 10.0])
def test_half_a_unit_covers_what_integer_noise_is_not_normal_by(sigma, cells, rounded):
    noise = integer_noise(sigma, rounded, cells)
    values, chances, stddev = noise
    off = np.abs(np.cumsum(chances) - norm.cdf((values + 0.5) / stddev)).max()
    assert off < (0.011 if cells == 1 else 0.0052) / sigma**2
    assert all(missed(noise, c, 0.5) <= 2 * norm.sf(c) + 1e-15 for c in WIDTHS)


def test_without_half_a_unit_integer_noise_is_not_covered():
    noise = integer_noise(1.0, True, 2)
    assert any(missed(noise, c, 0.0) > 1.2 * 2 * norm.sf(c) for c in WIDTHS)
