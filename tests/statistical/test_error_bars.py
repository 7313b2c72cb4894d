"""Error bars against the truth of tables that are drawn here: they hold at least as often as they say."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom
from seeded import P, SeededEntropy
from support.calibration import Tally, release
from support.counting import ArraySource

from spark_dp.graphical import error_bars, estimate, noisy_marginal
from spark_dp.graphical.uncertainty import Basis
from spark_dp.schema.domain import Domain

CONFIDENCE = 0.9
SEEDS = range(2)
SHAPES = {  # rows, sizes and how skewed: those of the public tables of `python -m benchmarks calibration`
    "census": (48_842, {"education": 16, "marital": 7, "occupation": 15, "relationship": 6}, 1.0),
    "survey": (21_574, {"eating": 2, "dressing": 2, "bathing": 2, "laundry": 2, "traveling": 2}, 1.5),
    "passengers": (1_304, {"class": 3, "sex": 2, "age": 10, "fare": 10, "survived": 2}, 0.5),
    "visits": (100_000, {"first": 17, "second": 18, "third": 18}, 1.2),
    "wide pair": (48_842, {"age": 74, "hours": 96}, 2.0),
}
TABLES = ("census", "survey", "passengers", "visits")
MECHANISMS = ("independent", "mst", "oneshot", "aim")


class Counted(ArraySource):
    """Counts each marginal once."""

    def __init__(self, domain, codes):
        super().__init__(domain, codes)
        self.found = {}

    def marginal(self, clique):
        if clique not in self.found:
            self.found[clique] = super().marginal(clique)
        return self.found[clique]


def table(name):
    """Draws a chain of columns: each has Zipf's frequencies in an order that hangs on the column before."""
    rows, sizes, skew = SHAPES[name]
    rng, before, codes = np.random.default_rng(len(name)), np.zeros(rows, dtype=np.int64), []
    for size in sizes.values():
        weights = (1.0 + np.arange(size)) ** -skew
        drawn = rng.choice(size, rows, p=weights / weights.sum())
        codes.append(before := (drawn + before * (rng.random(rows) < 0.7)) % size)
    return Counted(Domain(tuple(sizes), tuple(sizes.values())), np.stack(codes, axis=1))


@pytest.fixture(scope="module", params=[(t, m) for t in TABLES for m in MECHANISMS], ids="-".join)
def runs(request):
    name, mechanism = request.param
    source = table(name)
    entropies = (SeededEntropy(10 * seed + MECHANISMS.index(mechanism)) for seed in SEEDS)
    made = [
        release(mechanism, source.domain, source, len(source.codes), entropy=entropy) for entropy in entropies
    ]
    return source, made


def tallied(source, made, ways=(1, 2), halved=False):
    """Returns what holds of the marginals that were measured, each by itself, and of those that were not."""
    found = {Basis.MEASURED: Tally(), Basis.REVEALED: Tally()}
    for one in made:
        if halved:
            one = replace(
                one,
                measurements=tuple(replace(m, sigma_squared=m.sigma_squared / 4) for m in one.measurements),
            )
        own = {m.clique for m in one.measurements}
        for clique in (c for k in ways for c in itertools.combinations(source.domain, k)):
            bars = one.bars(clique, CONFIDENCE)
            if bars.basis in found and (clique in own or bars.basis is Basis.REVEALED):
                exact = source.marginal(clique)
                found[bars.basis].add(bars, exact, one.model.marginal(clique), one.planned.get(clique))
    return found


def holds(times, of, confidence=CONFIDENCE):
    return binom.cdf(times, of, confidence) > P


def test_intervals_hold_the_bounded_table_as_often_as_they_say(runs):
    measured = tallied(*runs)[Basis.MEASURED]
    assert measured.cells >= 20
    assert holds(measured.covered, measured.cells)
    assert holds(measured.measured_holds, measured.measured)
    assert holds(measured.holds, measured.marginals)


def test_bounds_on_what_was_not_measured_hold(runs):
    source, made = runs
    revealed = tallied(source, made)[Basis.REVEALED]
    assert holds(revealed.holds, revealed.marginals)
    # and say something: little more than the truth, or little beside all rows where the model is nearly right
    assert revealed.bound <= max(30 * revealed.truth, revealed.marginals * len(source.codes) / 2)


def test_the_test_rejects_half_of_the_noise():
    source = table("passengers")
    made = [
        release("oneshot", source.domain, source, len(source.codes), entropy=SeededEntropy(1), epsilon=2.0)
    ]
    assert holds(*coverage(tallied(source, made)))
    assert not holds(*coverage(tallied(source, made, halved=True)))


def coverage(found):
    return found[Basis.MEASURED].covered, found[Basis.MEASURED].cells


def test_the_test_rejects_intervals_around_the_model():
    """Most cells of this pair are nearly empty: what their noise adds, a non-negative fit takes from the full ones."""
    source, sigma = table("wide pair"), 20.0
    pair = source.domain.attributes
    exact = source.marginal(pair)
    full, random = exact > 5 * sigma, np.random.default_rng(6)
    by_mean = by_model = 0
    for _ in range(4):
        measured = [noisy_marginal(pair, exact + random.normal(0, sigma, exact.shape), sigma)]
        model = estimate(source.domain, measured, max_cells=10_000).model
        bars = error_bars(model, measured, pair, confidence=CONFIDENCE)
        by_mean += int(((bars.low <= exact) & (exact <= bars.high))[full].sum())
        by_model += int(
            (np.abs(model.marginal(pair) - exact) <= (bars.high - bars.centre)[full].max())[full].sum()
        )
    assert holds(by_mean, 4 * full.sum())
    assert not holds(by_model, 4 * full.sum())


def test_what_the_plan_predicts_of_columns_is_at_most_about_what_runs_have_and_not_five_times_as_much(runs):
    source, made = runs
    found = tallied(source, made, ways=(1,))[Basis.MEASURED]
    assert found.kept / 1.5 <= found.planned <= 5 * found.kept
    assert found.truth / 1.5 <= found.expected <= 2.5 * found.truth
