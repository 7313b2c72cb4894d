"""Error bars of a model: pooling against brute force, what each rests on, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from spark_dp.errors import ConfigurationError
from spark_dp.graphical import Domain, Schedule, error_bars, estimate, noisy_marginal
from spark_dp.graphical.pooling import pool
from spark_dp.graphical.uncertainty import Basis
from spark_dp.graphical.unmeasured import PassedOverError, ScoredError
from spark_dp.privacy.choices import PassedOver, Scored, Worst

DOMAIN = Domain(("a", "b", "c"), (2, 3, 4))
CLIQUES = [("a",), ("b", "a"), ("c", "b"), ("a", "b", "c"), ("c",), ()]
ROWS = 2400.0


def measured(cliques, noises, stages=None):
    random = np.random.default_rng(7)
    stages = stages or ["own"] * len(cliques)
    return [
        noisy_marginal(c, random.normal(ROWS / DOMAIN.cells(c), s, DOMAIN.shape(c)), s, stage=stage)
        for c, s, stage in zip(cliques, noises, stages, strict=True)
    ]


@given(
    chosen=st.lists(st.tuples(st.sampled_from(CLIQUES[:-1]), st.floats(0.5, 50)), min_size=1, max_size=5),
    wanted=st.sampled_from(CLIQUES),
)
@settings(max_examples=60, deadline=None)
def test_pooling_is_the_inverse_variance_mean_of_what_was_summed_out(chosen, wanted):
    measurements = measured(*zip(*chosen, strict=True))
    found = pool(DOMAIN, measurements, wanted, Schedule.FIXED)
    values, precision = np.zeros(DOMAIN.shape(wanted)), 0.0
    for m in measurements:
        if set(wanted) <= set(m.clique):
            letters = {"a": "i", "b": "j", "c": "k"}
            spelled = "".join(letters[x] for x in m.clique) + "->" + "".join(letters[x] for x in wanted)
            variance = m.stddev**2 * DOMAIN.cells(m.clique) / DOMAIN.cells(wanted)
            values = values + np.einsum(spelled, m.values) / variance
            precision += 1 / variance
    if not precision:
        assert found is None
        return
    assert found.values == pytest.approx(values / precision)
    assert found.stddev == pytest.approx(precision**-0.5)
    assert found.looks.most == 1


def test_a_marginal_of_the_second_stage_has_one_look_and_its_columns_have_two():
    given_stages = ["mst/one-way-1", "mst/one-way-2", "mst/pairs-1"]
    measurements = measured([("a",), ("b",), ("a", "b")], [4, 4, 6], given_stages)
    looks = [pool(DOMAIN, measurements, c, Schedule.TWO_STAGES).looks for c in (("a", "b"), ("a",))]
    assert [look.most for look in looks] == [1, 2]
    assert looks[1].growth > 1
    assert pool(DOMAIN, measurements, ("a", "b"), Schedule.SEQUENTIAL).looks.most is None
    three = measured([("a",), ("b",), ("a", "b")], [4, 4, 6], ["x", "y", "z"])
    assert pool(DOMAIN, three, ("a", "b"), Schedule.TWO_STAGES).looks.most is None


def test_intervals_widen_with_confidence_and_with_how_adaptive_the_measuring_was():
    measurements = measured([("a",), ("a", "b")], [4, 6], ["x", "y"])
    model = estimate(DOMAIN, measurements, max_cells=100).model

    def width(**options):
        bars = error_bars(model, measurements, ("a",), **options)
        return float((bars.high - bars.low).max())

    widths = [width(schedule=s) for s in (Schedule.FIXED, Schedule.TWO_STAGES, Schedule.SEQUENTIAL)]
    assert widths == sorted(set(widths))
    assert width(confidence=0.99) > width(confidence=0.9)


def test_axes_come_in_the_order_that_was_asked_for():
    measurements = measured([("a", "b")], [6])
    model = estimate(DOMAIN, measurements, max_cells=100).model
    one, other = (error_bars(model, measurements, c) for c in (("a", "b"), ("b", "a")))
    assert one.low.shape == (2, 3)
    np.testing.assert_allclose(other.low.T, one.low)
    assert other.bound == pytest.approx(one.bound)


def scored(rows=100.0, stddev=10.0, moved=30.0, clique=("a", "c")):
    return ScoredError(record=Scored(clique=clique, reference="r", rows=rows, stddev=stddev), moved=moved)


def test_what_was_not_measured_has_a_bound_from_the_smallest_marginal_that_choosing_said_something_of():
    measurements = measured([("a",), ("b",), ("c",)], [4, 4, 4])
    model = estimate(DOMAIN, measurements, max_cells=100).model
    revealed = (scored(clique=("a", "b", "c"), rows=50.0), scored())
    bars = error_bars(model, measurements, ("c", "a"), revealed=revealed)
    assert bars.basis is Basis.REVEALED
    assert bars.low is None
    assert bars.bound == pytest.approx(100 + norm.isf(0.025 * 7 / 8) * 10 + 30)
    assert bars.expected == pytest.approx(math.sqrt(100**2 - 30**2))
    nothing = error_bars(model, measurements, ("a", "c"))
    assert (nothing.basis, nothing.bound, nothing.bound_tvd) == (Basis.NONE, None, None)
    assert nothing.rows[0] < ROWS < nothing.rows[1]


def passed_over(worst, share=1.0):
    return PassedOverError(
        record=PassedOver(
            clique=("a", "c"),
            reference="r",
            weight=0.5,
            bias=20.0,
            scale=3.0,
            candidates=10,
            share=share,
            worst=worst,
        ),
        moved=0.0,
    )


def test_a_choice_to_stop_bounds_all_candidates_by_their_bias_and_the_scale_of_the_choice():
    bound = passed_over(None).bound(0.05)
    assert bound == pytest.approx(20 + 3 * (math.log(10) + math.log(20)) / 0.5)
    assert passed_over(None, share=0.1).bound(0.05) > bound


def test_a_choice_bounds_what_it_passed_over_by_what_it_took_less_its_noise():
    worst = Worst(weight=1.0, bias=40.0, cells=100, distance=400.0, variance=16.0, grain=0.0)
    bound = passed_over(worst).bound(0.05)
    by_the_paper = (400 + math.sqrt(2 * math.log(40)) * 4 * 10 - 40) + 3 * (math.log(10) + math.log(40))
    assert passed_over(None).bound(0.05) < bound < 20 + by_the_paper / 0.5
    assert passed_over(worst).expected < bound


@pytest.mark.parametrize("confidence", [0, 1, -0.1, 1.5, math.nan])
def test_a_confidence_lies_between_0_and_1(confidence):
    measurements = measured([("a",)], [4])
    model = estimate(DOMAIN, measurements, max_cells=100).model
    with pytest.raises(ConfigurationError, match="between 0 and 1"):
        error_bars(model, measurements, ("a",), confidence=confidence)


def test_the_bound_holds_where_most_cells_are_empty_and_is_far_below_the_noise_of_all():
    random, domain = np.random.default_rng(8), Domain(("a", "b"), (60, 60))
    exact = np.zeros((60, 60))
    exact[:5, :5] = 1000.0
    held, bounds = 0, []
    for _ in range(12):
        measurements = [noisy_marginal(("a", "b"), exact + random.normal(0, 10, exact.shape), 10.0)]
        model = estimate(domain, measurements, max_cells=10_000).model
        bars = error_bars(model, measurements, ("a", "b"), confidence=0.9)
        held += np.abs(model.marginal(("a", "b")) - exact).sum() <= bars.bound
        bounds.append(bars.bound)
        assert bars.expected < bars.bound
    assert held == 12
    assert max(bounds) < 0.6 * bars.measured_l1


def test_what_was_certain_to_be_measured_gets_all_that_may_go_wrong_and_what_was_chosen_half():
    measurements = measured(
        [("a",), ("b",), ("a", "b")], [4, 4, 6], ["mst/one-way-1", "mst/one-way-2", "mst/pairs"]
    )
    model = estimate(DOMAIN, measurements, max_cells=100).model

    def half(clique, schedule):
        bars = error_bars(model, measurements, clique, schedule=schedule)
        return float((bars.high - bars.centre).max()) - 2.0**-21, bars.stddev

    width, stddev = half(("a", "b"), Schedule.FIXED)
    assert width == pytest.approx(1.959964 * stddev, rel=1e-5)
    width, stddev = half(("a", "b"), Schedule.TWO_STAGES)
    assert width == pytest.approx(2.241403 * stddev, rel=1e-5)
    width, stddev = half(("b",), Schedule.TWO_STAGES)
    assert width == pytest.approx(2.3535 * stddev, rel=1e-3)


@pytest.mark.parametrize("rows", [100.0, 1e9])
def test_a_bound_and_the_number_of_rows_beside_it_share_what_may_go_wrong(rows):
    measurements = measured([("a",)], [4])
    model = estimate(DOMAIN, measurements, max_cells=100).model
    bars = error_bars(model, measurements, ("a", "c"), confidence=0.9, revealed=[scored(rows=rows)])
    total, noise = float(measurements[0].values.sum()), math.sqrt(2) * 4
    rows_off = norm.isf(0.05 / 8 / 2) * noise + 2.0**-21
    l1 = min(rows + norm.isf(0.05 * 7 / 8) * 10 + 30, model.total + total + rows_off)
    assert bars.bound == pytest.approx(l1)
    low, high = total - rows_off, total + rows_off
    assert bars.bound_rows == pytest.approx((low, high))
    assert bars.bound_tvd == pytest.approx(
        min(1, (l1 + max(high - model.total, model.total - low)) / (2 * low))
    )
    assert bars.rows == pytest.approx((total - 1.644854 * noise, total + 1.644854 * noise), abs=1e-3)
