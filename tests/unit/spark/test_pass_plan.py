"""Counts in several passes that fit are those of one pass, and no pass is larger than it may be."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from support.counting import ArraySource, random_codes

from spark_dp.errors import InternalError
from spark_dp.schema.domain import Domain
from spark_dp.spark.counting import Counted, MarginalPass, SparkMarginals
from spark_dp.spark.histograms import HistogramAccumulator, counting_layout
from spark_dp.spark.pass_plan import CountingRoom, planned_passes

DOMAIN = Domain(tuple(f"c{i:02}" for i in range(12)), tuple(3 + i % 7 for i in range(12)))
CODES = random_codes(DOMAIN, 500, seed=2)
EXACT = ArraySource(DOMAIN, CODES)
COLUMNS = [(a,) for a in DOMAIN]
PAIRS = list(combinations(DOMAIN.attributes, 2))
COUNTABLE = [*COLUMNS, *PAIRS]
WHOLE = counting_layout(COUNTABLE, DOMAIN)
LITTLE = CountingRoom(driver=60_000, executor=200_000, tasks=2)


class Passes:
    """Counts in this process; remembers what each pass counted and how often the table was bounded."""

    def __init__(self, heaviest=None):
        self.layouts, self.prepared, self.heaviest = [], 0, heaviest

    def prepare(self):
        self.prepared += 1
        return MarginalPass(self.run, None, lambda: None, self.heaviest)

    def run(self, layout):
        self.layouts.append(layout)
        histograms = HistogramAccumulator(layout)
        histograms.add({a: CODES[:, i] for i, a in enumerate(DOMAIN)}, len(CODES))
        return Counted(histograms.vector(), len(CODES), len(CODES), 0)


def source(passes, room=LITTLE, held_cells=0):
    planned = planned_passes(COUNTABLE, WHOLE, room)
    return SparkMarginals(DOMAIN, COUNTABLE, passes.prepare, passes=planned, held_cells=held_cells)


def same(found, cliques):
    return set(found) == set(cliques) and all(np.array_equal(found[c], EXACT.marginal(c)) for c in cliques)


def test_what_fits_is_one_pass():
    room = CountingRoom(driver=10**7, executor=10**7, tasks=2)
    assert planned_passes(COUNTABLE, WHOLE, room) == (WHOLE,)
    empty = counting_layout([], DOMAIN)
    assert planned_passes([], empty, CountingRoom(driver=0, executor=0, tasks=1)) == (empty,)


@pytest.mark.parametrize(
    "room",
    [
        LITTLE,
        CountingRoom(driver=10**6, executor=60_000, tasks=3),
        CountingRoom(driver=9_000, executor=40_000, tasks=1),
    ],
)
def test_every_planned_pass_fits_and_together_they_hold_everything(room):
    planned = planned_passes(COUNTABLE, WHOLE, room)
    assert len(planned) > 1
    assert all(room.holds(layout) for layout in planned)
    kept = [clique for layout in planned for clique in layout.kept]
    assert sorted(kept) == sorted(WHOLE.kept)


def test_a_marginal_that_does_not_fit_by_itself_has_a_pass_that_is_known_not_to_fit():
    planned = planned_passes(COUNTABLE, WHOLE, CountingRoom(driver=200, executor=10**6, tasks=1))
    assert {len(layout.kept) for layout in planned} == {1}
    assert len(planned) == len(PAIRS)


def test_counts_in_several_passes_are_those_of_one():
    passes = Passes()
    found = source(passes).count(COUNTABLE)
    assert same(found, COUNTABLE)
    assert len(passes.layouts) == len(planned_passes(COUNTABLE, WHOLE, LITTLE)) > 1
    assert passes.prepared == 1


def test_batches_in_the_planned_order_make_each_pass_once():
    passes = Passes()
    counted = source(passes)
    for start in range(0, len(PAIRS), 3):
        batch = PAIRS[start : start + 3]
        assert same(counted.count(batch), batch)
    assert passes.layouts == list(planned_passes(COUNTABLE, WHOLE, LITTLE))


def test_what_is_chosen_of_many_passes_is_counted_once_more_and_by_itself():
    passes = Passes()
    counted = source(passes)
    counted.count(PAIRS)
    before = len(passes.layouts)
    chosen = [min(layout.kept, key=DOMAIN.cells) for layout in passes.layouts[:3]]
    assert same(counted.count(chosen), chosen)
    assert len(passes.layouts) == before + 1
    assert set(passes.layouts[-1].kept) <= set(chosen)


def test_counts_that_may_be_kept_are_not_counted_again():
    passes = Passes()
    counted = source(passes, held_cells=10**6)
    counted.count(PAIRS)
    before = len(passes.layouts)
    counted.count(PAIRS[::7])
    assert len(passes.layouts) == before


def test_no_more_is_kept_than_may_be():
    passes = Passes()
    counted = source(passes, held_cells=0)
    counted.count(PAIRS)
    assert [layout for layout, _ in counted._vectors] == passes.layouts[-1:]


@pytest.mark.parametrize("heaviest", [None, 21])
def test_a_table_whose_units_may_weigh_more_than_noise_is_made_for_is_not_counted(heaviest):
    passes = Passes(heaviest)
    with pytest.raises(InternalError, match="noise is made for 20"):
        SparkMarginals(DOMAIN, COUNTABLE, passes.prepare, weight=20).count(COLUMNS)
    assert passes.layouts == []


@pytest.mark.parametrize("heaviest", [1, 20])
def test_a_table_whose_units_weigh_no_more_is_counted(heaviest):
    found = SparkMarginals(DOMAIN, COUNTABLE, Passes(heaviest).prepare, weight=20).count(COLUMNS)
    assert same(found, COLUMNS)
