"""Noise decides whether a marginal is shown as measured or as passed over: over both, error bars hold as often as said."""

from __future__ import annotations

import numpy as np
from scipy.stats import binom, norm
from seeded import P

from spark_dp.graphical import Domain, Schedule, error_bars, estimate, noisy_marginal
from spark_dp.graphical.uncertainty import Basis
from spark_dp.graphical.unmeasured import ScoredError
from spark_dp.privacy.choices import Scored

DOMAIN, PAIR = Domain(("a", "b"), (2, 2)), ("a", "b")
EXACT = np.array([[3000.0, 1000.0], [1000.0, 3000.0]])
SIGMA, TAU, RUNS = 40.0, 60.0, 500
MISSES = 0.2


def held(confidence, score_misses):
    """Counts the runs in which what is shown of a pair holds: measured where its noisy score is above what would miss.

    The worst case: a score that is too low by more than the bound allows for is what keeps the pair from being measured.
    """
    columns = [
        noisy_marginal((name,), EXACT.sum(axis=axis), 1.0, stage="one-way")
        for axis, name in ((1, "a"), (0, "b"))
    ]
    model = estimate(DOMAIN, columns, max_cells=100).model
    off, random = float(np.abs(model.marginal(PAIR) - EXACT).sum()), np.random.default_rng(3)
    lowest = off - norm.isf(score_misses) * TAU
    count = 0
    for _ in range(RUNS):
        score, noise = off + random.normal(0, TAU), random.normal(0, SIGMA, EXACT.shape)
        chosen = [noisy_marginal(PAIR, EXACT + noise, SIGMA, stage="chosen")] if score > lowest else []
        record = Scored(clique=PAIR, reference="r", rows=score, stddev=TAU)
        bars = error_bars(
            model,
            [*columns, *chosen],
            PAIR,
            confidence=confidence,
            schedule=Schedule.TWO_STAGES,
            revealed=() if chosen else (ScoredError(record=record, moved=0.0),),
        )
        if bars.basis is Basis.MEASURED:
            count += bool(bars.low[0, 0] <= EXACT[0, 0] <= bars.high[0, 0])
        else:
            count += off <= bars.bound
    return count


def test_over_both_bases_what_is_shown_holds_as_often_as_it_says():
    assert binom.cdf(held(1 - MISSES, MISSES / 2), RUNS, 1 - MISSES) > P


def test_the_test_rejects_all_of_what_may_go_wrong_for_each_basis():
    """At half the confidence's rest each basis gets what it would have, were it the only one that is ever shown."""
    assert binom.cdf(held(1 - 2 * MISSES, MISSES), RUNS, 1 - MISSES) < P
