"""Which set of marginals is chosen, from distances that are known."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from spark_dp.graphical.projected_noise import Profile
from spark_dp.mechanisms.candidates import COUNTED_CELLS, COUNTED_PAIRS, Overlaps, countable_candidates
from spark_dp.mechanisms.choice import Situation, shrunk
from spark_dp.mechanisms.workload import Workload
from spark_dp.privacy.scoring import NoisyDistance
from spark_dp.schema.domain import Domain

DOMAIN = Domain(("a", "b", "c", "d"), (4, 4, 4, 4))
ROWS = 10_000.0


def situation(distances, *, workload=None, max_cells=10_000, measured=(), precisions=None):
    workload = workload or Workload.of_degree(DOMAIN, 3)
    candidates = countable_candidates(workload, max_cells)
    return Situation(
        domain=DOMAIN,
        overlaps=Overlaps(workload, candidates),
        profiles={c: Profile.of(np.full(DOMAIN.shape(c), ROWS / DOMAIN.cells(c))) for c in candidates},
        distances=[NoisyDistance(clique=c, rows=distances.get(c, 0.0), stddev=0.0) for c in candidates],
        precisions=precisions or {},
        measured=[*[(a,) for a in DOMAIN], *measured],
        rows=ROWS,
        max_cells=max_cells,
    )


PAIR = {("a", "b"): 4000.0, ("a", "b", "c"): 4000.0, ("a", "b", "d"): 4000.0}


def test_a_pair_that_explains_its_triples_is_chosen_alone():
    assert situation(PAIR).choose(10.0).cliques == (("a", "b"),)


def test_a_triple_of_its_own_is_chosen():
    assert situation({("b", "c", "d"): 5000.0}).choose(10.0).cliques == (("b", "c", "d"),)


def test_nothing_is_chosen_where_noise_is_louder():
    assert situation(PAIR).choose(5000.0).cliques == ()
    assert situation({}).choose(10.0).cliques == ()


def test_what_was_measured_well_is_not_measured_again():
    wrong = {("a", "b"): 50.0, ("a", "b", "c"): 50.0, ("a", "b", "d"): 50.0}
    assert situation(wrong).choose(2.0).cliques == (("a", "b"),)
    assert situation(wrong).choose(20.0).cliques == ()


def test_a_set_keeps_within_the_size_of_the_model():
    every = dict.fromkeys(countable_candidates(Workload.of_degree(DOMAIN, 2), 10000), 5000.0)
    workload = Workload.of_degree(DOMAIN, 2)
    tree = situation(every, workload=workload, max_cells=48).choose(5.0)
    assert len(tree.cliques) == 3
    assert len(situation(every, workload=workload, max_cells=256).choose(5.0).cliques) == 6


def test_the_weights_of_a_workload_decide():
    heavy = Workload.of_cliques(DOMAIN, [(("a", "b"), 100), (("c", "d"), 1)])
    wrong = {("a", "b"): 300.0, ("c", "d"): 300.0}
    first = situation(wrong, workload=heavy).choose(5.0)
    assert first.cliques[0] == ("a", "b")


def test_noisy_distances_are_pulled_together_by_as_much_as_they_are_noise():
    random = np.random.default_rng(3)
    domain = Domain(tuple(f"x{i}" for i in range(30)), (3,) * 30)
    pairs = countable_candidates(Workload.of_degree(domain, 2), 10_000)
    noise = [NoisyDistance(clique=c, rows=1000 + float(random.normal(0, 200)), stddev=200.0) for c in pairs]
    assert np.std([d.rows for d in shrunk(domain, noise)]) < 80
    sharp = [NoisyDistance(clique=d.clique, rows=d.rows, stddev=1.0) for d in noise]
    assert [d.rows for d in shrunk(domain, sharp)] == pytest.approx([d.rows for d in sharp], rel=1e-3)


def test_what_can_be_counted_keeps_within_a_multiple_of_the_model():
    domain = Domain(tuple("abcdefgh"), (50,) * 8)
    found = countable_candidates(Workload.of_degree(domain, 3), 3_500)
    assert all(len(c) == 2 for c in found)
    assert 0 < sum(map(domain.cells, found)) <= COUNTED_PAIRS * 3_500
    assert len(found) < 28
    cubes = countable_candidates(Workload.of_degree(domain, 3), 130_000)
    assert sum(1 for c in cubes if len(c) == 2) == 28
    assert 0 < sum(domain.cells(c) for c in cubes if len(c) == 3) <= COUNTED_CELLS * 130_000
    assert countable_candidates(Workload.of_degree(domain, 1), 10_000) == ()


def test_a_workload_that_is_too_wide_keeps_its_small_degrees():
    domain = Domain(tuple(f"x{i}" for i in range(60)), (2,) * 60)
    found = countable_candidates(Workload.of_degree(domain, 3), 10**6)
    assert {len(c) for c in found} == {2}
    wide = Workload.of_cliques(domain, [(domain.attributes[:20], 1)])
    assert {len(c) for c in countable_candidates(wide, 10**6)} >= {2, 3}


def test_importance_is_the_weighted_number_of_shared_columns():
    workload = Workload.of_cliques(DOMAIN, [(("a", "b", "c"), 2), (("c", "d"), 1)])
    overlaps = Overlaps(workload, [("b", "c")])
    assert overlaps.importances([("b", "c")]).tolist() == [2 * 2 + 1]
    assert workload.favouring(["d"]).weights == {("a", "b", "c"): 2, ("c", "d"): Fraction(4)}
