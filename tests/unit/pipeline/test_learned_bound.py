"""Private steps: what a learned k bounds, and what the noise of each step covers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from support.visits import DELTA, EPSILON, Site

from spark_dp.errors import InternalError
from spark_dp.pipeline import preprocessing
from spark_dp.pipeline.config import RunConfig
from spark_dp.pipeline.preprocessing import Desk, learn
from spark_dp.pipeline.resume import answers_of, begin
from spark_dp.privacy.ledger import open_account
from spark_dp.privacy.queries import MeasureSpecification
from spark_dp.privacy.sensitivity import Neighbours
from spark_dp.privacy.transcript import Transcript
from spark_dp.privacy.value_selection import ThresholdSpecification
from spark_dp.spark.bounding import WEIGHT_UNIT
from spark_dp.spark.counting import Counted, MarginalPass
from spark_dp.spark.histograms import CountingLayout

AT_MOST, ROWS_OF_EACH, UNITS = 60, 3, 100_000
UNIT = f"{{column: person, max_rows: auto, at_most: {AT_MOST}, share: 0.1}}"
SCHEMA = """
  ward:   {type: string, values: {private: 5, per_unit: 4, share: 0.2, delta: 1e-9}, other: elsewhere}
  delay:  {type: integer, min: 0, max: 99, bins: {private: 5, share: 0.15}}
  urgent: {type: boolean, nullable: {private: true, share: 0.05}}
"""
WEIGHED = (ROWS_OF_EACH * WEIGHT_UNIT) ** 2
LEVELS_OF_60, LEVELS_OF_100 = 2, 2
COVERED = {
    "preprocess/values/ward": (4, Fraction(2, 10)),
    "preprocess/rows per unit": (LEVELS_OF_60, Fraction(1, 10)),
    "preprocess/bins/delay": (LEVELS_OF_100 * WEIGHED, Fraction(15, 100)),
    "preprocess/nulls/urgent": (WEIGHED, Fraction(5, 100)),
}
"""The squared L2 sensitivity of each step where a unit is added or removed, and its share of rho."""


@dataclass(frozen=True)
class Bounded:
    """An input whose rows are all in one cell; remembers to what its units were bounded. No row of it is real."""

    config: RunConfig
    bounds: list[int]
    more: int = 0

    def with_config(self, config: RunConfig) -> Bounded:
        return replace(self, config=config)

    def units(self) -> None:
        return None

    def unchanged(self) -> None:
        return None

    def bounded_pass(self, run_id: str) -> MarginalPass:
        assert run_id
        k = self.config.privacy.unit.max_rows
        self.bounds.append(k)
        return MarginalPass(self._run, None, self.unchanged, (k + self.more) * WEIGHT_UNIT)

    def _run(self, layout: CountingLayout) -> Counted:
        vector = np.zeros(layout.vector_cells, np.int64)
        vector[list(layout.offsets[:-1])] = total = UNITS * WEIGHT_UNIT
        return Counted(vector, UNITS, total, 0)


@dataclass(frozen=True)
class Learned:
    """What came of the private steps: the configuration, the bounds of all counts, and each query's figures."""

    config: RunConfig
    bounds: list[int]
    asked: dict[str, tuple[int, Fraction]]


def learned(
    site: Site, monkeypatch: pytest.MonkeyPatch, neighbours: Neighbours = Neighbours.ADD_REMOVE, more: int = 0
) -> Learned:
    def count_sizes(*_: object, at_most: int, **__: object) -> np.ndarray[Any, Any]:
        return UNITS * (np.arange(1, at_most + 1) == ROWS_OF_EACH).astype(np.int64)

    monkeypatch.setattr(preprocessing, "count_sizes", count_sizes)
    monkeypatch.setattr(preprocessing._Values, "count", lambda _: {"A": UNITS, "B": UNITS})
    open_account(site.ledger, "own", EPSILON, DELTA, "person", neighbours, thresholds=1e-9)
    overrides = ("privacy.dataset=own", f"privacy.neighbours={neighbours.value}")
    run = site.run(None, *overrides, schema=SCHEMA, unit=UNIT)
    opened = Bounded(run.config, [], more)
    with begin(run, "0" * 64) as account:
        answers = answers_of(run, account)
        transcript = Transcript(account, answers)
        desk: Any = Desk(
            config=run.config, opened=opened, account=account, answers=answers, transcript=transcript
        )
        config = learn(desk)
        asked = {}
        for query in transcript.answered(frozenset({"measure", "threshold"})):
            kind = ThresholdSpecification if query.kind == "threshold" else MeasureSpecification
            found = kind.from_bytes(query.specification)
            asked[query.name] = (found.l2_squared, found.l2_squared / found.sigma_squared / 2 / account.rho)
    return Learned(config, opened.bounds, asked)


@pytest.fixture
def site(tmp_path) -> Site:
    return Site.make(tmp_path)


def test_all_that_is_counted_after_k_is_learned_is_bounded_to_it(site, monkeypatch):
    found = learned(site, monkeypatch)
    assert found.config.privacy.unit.max_rows == ROWS_OF_EACH
    assert found.bounds == [ROWS_OF_EACH, ROWS_OF_EACH]


def test_a_count_that_is_bounded_to_more_than_its_noise_is_made_for_is_refused(site, monkeypatch):
    with pytest.raises(InternalError, match="noise is made for"):
        learned(site, monkeypatch, more=1)


@pytest.mark.parametrize(("neighbours", "factor"), [(Neighbours.ADD_REMOVE, 1), (Neighbours.REPLACE, 2)])
def test_the_noise_of_each_step_covers_a_unit_and_costs_its_share(site, monkeypatch, neighbours, factor):
    found = learned(site, monkeypatch, neighbours)
    assert found.asked == {name: (factor * squared, share) for name, (squared, share) in COVERED.items()}
