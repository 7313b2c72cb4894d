"""What chains of pairs tell of their ends: products of strengths, believed where distances bear them out."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest

from spark_dp.graphical.projected_noise import Profile
from spark_dp.mechanisms.candidates import Overlaps, countable_candidates
from spark_dp.mechanisms.chains import Chains, Reached
from spark_dp.mechanisms.choice import Situation
from spark_dp.mechanisms.workload import Workload
from spark_dp.privacy.scoring import NoisyDistance
from spark_dp.schema.domain import Domain

ROWS, VALUES = 1000.0, 4
COLUMNS = tuple("abcdef")
DOMAIN = Domain(COLUMNS, (VALUES,) * 6)
PAIRS = tuple(combinations(COLUMNS, 2))
SPREAD = 1 - 1 / VALUES


def distance(strength):
    return 2 * ROWS * SPREAD * strength


def of_path(repeats):
    """L1 distances where each column repeats the one before with a probability, and is else independent of it."""
    places = {a: i for i, a in enumerate(COLUMNS)}
    return {(a, b): distance(repeats ** (places[b] - places[a])) for a, b in PAIRS}


def chains(distances):
    energies = np.array([distances[pair] ** 2 for pair in PAIRS])
    return Chains(COLUMNS, PAIRS, energies, [SPREAD] * 6, ROWS)


def exact_distance(repeats):
    """The L1 distance of two such columns from independence, from their joint table."""
    joint = np.full((VALUES, VALUES), (1 - repeats) / VALUES**2) + np.eye(VALUES) * repeats / VALUES
    return ROWS * float(np.abs(joint - 1 / VALUES**2).sum())


@pytest.mark.parametrize("repeats", [0.2, 0.6, 1.0])
def test_the_strength_of_a_column_that_repeats_another_is_how_often_it_does(repeats):
    assert distance(repeats) == pytest.approx(exact_distance(repeats))
    assert chains(of_path(repeats)).strengths[PAIRS.index(("a", "b"))] == pytest.approx(repeats)


def test_the_strength_of_two_columns_of_two_values_is_their_correlation():
    joint = np.array([[0.5, 0.1], [0.1, 0.3]])
    one = joint.sum(axis=1)
    energy = np.square(ROWS * np.abs(joint - np.outer(one, one)).sum())
    spread = 1 - float(np.square(one).sum())
    found = Chains(("a", "b"), [("a", "b")], np.array([energy]), [spread, spread], ROWS).strengths[0]
    correlation = (joint[1, 1] - one[1] ** 2) / (one[0] * one[1])
    assert found == pytest.approx(correlation)


def test_strengths_multiply_along_a_chain_of_whatever_order():
    known = chains(of_path(0.6))
    reached = Reached(known, belief=1.0)
    for pair in [("c", "d"), ("a", "b"), ("b", "c")]:
        assert not reached.joins(PAIRS.index(pair))
        reached.add(PAIRS.index(pair))
    predicted = dict(zip(PAIRS, np.sqrt(reached.predicted()), strict=True))
    assert predicted["a", "d"] == pytest.approx(distance(0.6**3))
    assert reached.joins(PAIRS.index(("a", "d"))) and not reached.joins(PAIRS.index(("a", "e")))
    assert predicted["a", "e"] == 0


def test_a_pair_is_explained_once_and_what_is_measured_by_itself_not_at_all():
    known = chains(of_path(0.6))
    reached = Reached(known, belief=1.0)
    assert not reached.explained_by(("a", "b")).any()
    more = dict(zip(PAIRS, reached.explained_by(("b", "c")), strict=True))
    assert {pair for pair, energy in more.items() if energy > 0} == {("a", "c")}
    assert more["a", "c"] == pytest.approx(distance(0.36) ** 2)
    assert not reached.explained_by(("b", "c")).any()
    triple = dict(zip(PAIRS, Reached(known, belief=1.0).explained_by(("a", "b", "c")), strict=True))
    assert not any(triple.values())


def test_chains_are_believed_where_columns_follow_one_another_and_not_where_all_pairs_are_alike():
    assert chains(of_path(0.6)).belief == 1.0
    alike = chains(dict.fromkeys(PAIRS, distance(0.3)))
    assert alike.belief == 0.0
    assert not any(Reached(alike, belief=alike.belief).explained_by(pair).any() for pair in PAIRS)


@pytest.mark.parametrize("energies", [0.0, 1e-30])
def test_columns_that_are_independent_or_have_one_value_are_no_trouble(energies):
    found = Chains(COLUMNS, PAIRS, np.full(len(PAIRS), energies), [0.0] * 6, 0.0)
    assert 0.0 <= found.belief <= 1.0
    assert np.isfinite(Reached(found, belief=1.0).explained_by(("a", "b"))).all()
    assert Chains(("a",), [], np.zeros(0), [0.5], 1.0).belief == 0.0


def choice(distances, sigma):
    candidates = countable_candidates(Workload.of_degree(DOMAIN, 2), 10_000)
    return Situation(
        domain=DOMAIN,
        overlaps=Overlaps(Workload.of_degree(DOMAIN, 2), candidates),
        profiles={c: Profile.of(np.full(DOMAIN.shape(c), ROWS / DOMAIN.cells(c))) for c in candidates},
        distances=[NoisyDistance(clique=c, rows=distances[c], stddev=0.0) for c in candidates],
        precisions={},
        measured=[(a,) for a in DOMAIN],
        rows=ROWS,
        max_cells=10_000,
    ).choose(sigma)


def test_columns_that_follow_one_another_take_their_tree_alone():
    path = set(pairwise(COLUMNS))
    assert set(choice(of_path(0.6), 1.0).cliques) == path


def test_columns_of_which_all_pairs_are_alike_take_all_pairs():
    assert len(choice(dict.fromkeys(PAIRS, distance(0.3)), 1.0).cliques) == len(PAIRS)
