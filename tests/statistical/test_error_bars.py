"""Error bars on public tables, against the truth of the table: they hold at least as often as they say."""

from __future__ import annotations

import itertools
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.stats import binom
from seeded import P, SeededEntropy
from support.calibration import Tally, release
from support.counting import ArraySource

from spark_dp.graphical.uncertainty import Basis
from spark_dp.schema.domain import Domain

DATA = Path(
    os.environ.get("SPARK_DP_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")
)  # beside the repository
CONFIDENCE = 0.9
SEEDS = range(2)
TABLES = {
    "adult": ("education-num", "marital-status", "occupation", "relationship"),
    "nltcs": ("eating", "dressing", "bathing", "laundry", "traveling"),
    "titanic": ("Pclass", "Sex", "Age", "Fare", "Survived"),
    "msnbc": ("site_0", "site_1", "site_2"),
}
MECHANISMS = ("independent", "mst", "oneshot", "aim")
pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"{DATA} with the public tables is not here; SPARK_DP_DATA names another folder"
)


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
    columns = TABLES[name]
    sizes = json.loads((DATA / f"{name}.domain.json").read_text())
    read = pq.read_table(DATA / f"{name}.parquet", columns=list(columns))
    codes = np.stack([read[c].to_numpy().astype(np.int64) for c in columns], axis=1)
    return Counted(Domain(columns, tuple(sizes[c] for c in columns)), codes)


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
    assert measured.measured_holds == measured.measured
    assert measured.holds == measured.marginals


def test_bounds_on_what_was_not_measured_hold(runs):
    revealed = tallied(*runs)[Basis.REVEALED]
    assert holds(revealed.holds, revealed.marginals)
    assert revealed.bound <= 30 * revealed.truth


@pytest.fixture(scope="module")
def sparse():
    """Pairs of many cells and few rows, measured beforehand: where there is most to be made non-negative."""
    source = table("titanic")
    return source, [
        release("oneshot", source.domain, source, len(source.codes), entropy=SeededEntropy(s), epsilon=2.0)
        for s in range(3)
    ]


def test_the_test_rejects_half_of_the_noise(sparse):
    source, made = sparse
    halved = tallied(source, made, halved=True)[Basis.MEASURED]
    assert not holds(halved.covered, halved.cells)


def test_the_test_rejects_intervals_around_the_model(sparse):
    measured = tallied(*sparse)[Basis.MEASURED]
    assert holds(measured.by_mean, measured.occupied)
    assert not holds(measured.by_model, measured.occupied)
