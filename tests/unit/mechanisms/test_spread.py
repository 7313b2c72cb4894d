from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from support.noise import measurement

from spark_dp.graphical.estimation import estimate
from spark_dp.mechanisms.spread import spread_weights
from spark_dp.schema.domain import Domain

DOMAIN = Domain(("even", "rare", "rarer", "four"), (2, 2, 2, 4))
COUNTS = ([500, 500], [900, 100], [999, 1], [250, 250, 250, 250])
PAIRS = (("even", "rare"), ("even", "rarer"), ("rare", "rarer"), ("even", "four"))
ONE = dict.fromkeys(PAIRS, Fraction(1))


@pytest.fixture(scope="module")
def fitted():
    noisy = [
        measurement((a,), np.array(c, dtype=float), 0.01)
        for a, c in zip(DOMAIN.attributes, COUNTS, strict=True)
    ]
    return estimate(DOMAIN, noisy, max_cells=1000).model


def test_weights_are_the_inverse_fourth_root_of_both_spreads_the_largest_one(fitted):
    found = spread_weights(fitted, ONE, PAIRS, noise=10)
    spread = {"even": 0.5, "rare": 0.2, "rarer": 0.2, "four": 0.75}  # of rare .18, of rarer .002
    raw = {pair: (spread[pair[0]] * spread[pair[1]]) ** -0.25 for pair in PAIRS}
    assert max(found.values()) == 1
    for pair in PAIRS:
        assert float(found[pair]) == pytest.approx(raw[pair] / max(raw.values()), abs=1 / 512 + 1e-9), pair


def test_the_workloads_weights_stay_factors(fitted):
    halved = ONE | {("rare", "rarer"): Fraction(1, 2), ("even", "four"): Fraction(0)}
    found = spread_weights(fitted, halved, PAIRS, noise=1)
    assert found["even", "four"] == 0
    assert float(found["rare", "rarer"] / found["even", "rare"]) == pytest.approx(
        0.5 * (0.5 / 0.2) ** 0.25, abs=0.01
    )


def test_a_model_of_nothing_has_weights(fitted):
    nothing = estimate(
        DOMAIN, [measurement((a,), np.zeros(DOMAIN.size(a)), 1.0) for a in DOMAIN], max_cells=1000
    )
    assert all(0 < weight <= 1 for weight in spread_weights(nothing.model, ONE, PAIRS, noise=1).values())


def test_the_noisier_the_choice_the_nearer_are_weights_to_the_workloads(fitted):
    """Of 1,000 rows a scale of 10 is a hundredth."""
    quiet, noisy, drowned = (spread_weights(fitted, ONE, PAIRS, noise=rows) for rows in (10, 40, 10**6))
    for pair in PAIRS:
        assert float(noisy[pair]) == pytest.approx(float(quiet[pair]) ** 0.25, abs=0.01)
    assert set(drowned.values()) == {1}
