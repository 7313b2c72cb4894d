"""Noisy distances of all candidates at once."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from desk import BUDGET, DOMAIN, Desk, Table
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_dp.errors import InternalError, LedgerError
from spark_dp.privacy.events import GaussianEvent, RoundedGaussianEvent
from spark_dp.privacy.queries import ScoreSpecification
from spark_dp.privacy.scoring import (
    LARGEST_DISTANCE,
    Candidate,
    ScoredCandidate,
    l1_distance,
    weighted_distance,
)
from spark_dp.privacy.sensitivity import Contribution, Neighbours
from spark_dp.schema.domain import Domain

SHARE = BUDGET.rho / 4
CLIQUES = [("a",), ("b",), ("a", "b"), ("b", "c")]


def flat(*clique: str, weight: int = 1) -> Candidate:
    return Candidate(clique=clique, estimate=np.full(DOMAIN.shape(clique), 5.0), weight=weight)


def exact_distances(desk: Desk) -> list[float]:
    return [float(np.abs(desk.table.marginal(clique) - 5).sum()) for clique in CLIQUES]


def test_each_distance_is_the_exact_one_with_the_noise_that_is_stated(desk: Desk):
    found = desk.curator().score("q", [flat(*clique) for clique in CLIQUES], rho=SHARE)
    stddev = float(len(CLIQUES) / (2 * SHARE)) ** 0.5
    assert [d.clique for d in found] == CLIQUES
    assert [d.stddev for d in found] == pytest.approx([stddev] * 4)
    for distance, exact in zip(found, exact_distances(desk), strict=True):
        assert distance.rows == int(distance.rows)
        assert abs(distance.rows - exact) < 7 * stddev


@pytest.mark.parametrize(
    "contribution, l2_squared",
    [
        (Contribution(max_rows=1, unit=1, neighbours=Neighbours.ADD_REMOVE), 1 + 1 + 9 + 4),
        (Contribution(max_rows=5, unit=1, neighbours=Neighbours.ADD_REMOVE), 25 * 15),
        (Contribution(max_rows=5, unit=2**20, neighbours=Neighbours.REPLACE), 4 * 25 * 2**40 * 15),
    ],
)
def test_the_noise_covers_all_distances_together_and_all_rows_of_a_unit(desk: Desk, contribution, l2_squared):
    weights = [1, 1, 3, 2]
    asked = [flat(*clique, weight=weight) for clique, weight in zip(CLIQUES, weights, strict=True)]
    found = desk.curator(contribution=contribution).score("q", asked, rho=SHARE)
    sigma = float(l2_squared / (2 * SHARE)) ** 0.5 / contribution.unit
    assert [d.stddev for d in found] == pytest.approx([sigma / weight for weight in weights])


class Empty:
    """A source of many columns and no row."""

    def count(self, cliques):
        return {clique: np.zeros((2,) * len(clique), dtype=np.int64) for clique in cliques}


def test_the_noise_has_the_stated_scale_and_not_one_ten_percent_off(desk: Desk):
    domain = Domain(tuple(f"x{i}" for i in range(64)), (2,) * 64)
    pairs = itertools.combinations(domain.attributes, 2)
    zero = [Candidate(clique=pair, estimate=np.zeros((2, 2)), weight=2) for pair in pairs]
    found = desk.curator(source=Empty(), domain=domain).score("q", zero, rho=SHARE)
    scaled = np.array([d.rows / d.stddev for d in found])
    # 2,016 squares: a relative standard error of 3.1 %, here 5 of them; a sigma 10 % off moves it by 20 %.
    assert np.mean(scaled**2) == pytest.approx(1.0, rel=0.155)
    assert np.mean((1.2 * scaled) ** 2) != pytest.approx(1.0, rel=0.155)


codes = st.integers(0, 23)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(codes, max_size=8),
    mine=st.lists(codes, min_size=1, max_size=5),
    other=st.lists(codes, min_size=1, max_size=5),
    neighbours=st.sampled_from(Neighbours),
    weights=st.lists(st.integers(1, 4), min_size=4, max_size=4),
    centre=st.integers(-3, 6),
)
def test_one_unit_moves_the_distances_by_no_more_than_the_sensitivity(
    rows, mine, other, neighbours, weights, centre
):
    contribution = Contribution(max_rows=5, unit=1, neighbours=neighbours)

    def distances(codes_of_rows: list[int]) -> np.ndarray:
        table = Table(np.bincount(codes_of_rows, minlength=24).reshape(2, 3, 4).astype(np.int64))
        return np.array(
            [
                weighted_distance(
                    ScoredCandidate(
                        clique=clique,
                        estimate=np.full(DOMAIN.shape(clique), centre),
                        bias=0,
                        weight=Fraction(weight),
                    ),
                    table.marginal(clique),
                )
                for clique, weight in zip(CLIQUES, weights, strict=True)
            ]
        )

    without = rows if neighbours is Neighbours.ADD_REMOVE else rows + other
    moved = distances(rows + mine) - distances(without)
    assert int((moved**2).sum()) <= contribution.scores_l2_squared(weights)


@pytest.mark.parametrize("neighbours, factor", [(Neighbours.ADD_REMOVE, 1), (Neighbours.REPLACE, 4)])
def test_the_sensitivity_is_reached_so_that_a_smaller_one_would_be_wrong(neighbours, factor):
    estimate = np.array([3, 3])
    before = np.array([3, 3]) if factor == 1 else np.array([8, 3])
    after = np.array([8, 3]) if factor == 1 else np.array([3, 8])
    if factor == 4:  # away from the estimate in one cell, towards it in none: 5 rows leave, 5 others come
        estimate = np.array([8, 3])
    moved = l1_distance(after, estimate) - l1_distance(before, estimate)
    contribution = Contribution(max_rows=5, unit=1, neighbours=neighbours)
    assert moved**2 == factor * 25 == contribution.scores_l2_squared([1])


def test_a_distance_beyond_64_bits_is_cut_and_not_wrapped():
    candidate = ScoredCandidate(clique=("a",), estimate=np.full(100, -(2**62)), bias=0, weight=Fraction(1000))
    assert weighted_distance(candidate, np.full(100, 2**62 - 1)) == LARGEST_DISTANCE


def test_a_replay_gives_the_same_distances_and_reads_nothing(desk: Desk):
    asked = [flat(*clique) for clique in CLIQUES]
    first = desk.curator().score("q", asked, rho=SHARE)
    read = len(desk.table.asked)
    moved = [Candidate(clique=c.clique, estimate=c.estimate + 1e-9) for c in asked]
    assert desk.curator().score("q", moved, rho=SHARE) == first
    assert len(desk.table.asked) == read
    with pytest.raises(LedgerError, match="another path"):
        desk.curator().measure("q", CLIQUES, rho=SHARE)


def test_scores_are_charged_as_one_gaussian_query(desk: Desk):
    curator = desk.curator()
    before = curator.remaining
    curator.score("q", [flat("a"), flat("b")], rho=SHARE)
    (query,) = desk.ledger.history("flights")[0].queries
    assert query.kind == "score"
    assert isinstance(query.event, GaussianEvent | RoundedGaussianEvent)
    assert query.event.rho == SHARE == before - curator.remaining


def test_a_specification_is_read_back_as_it_was_written(desk: Desk):
    desk.curator().score("q", [flat("a", weight=3), flat("b", "c")], rho=SHARE)
    (file,) = desk.files("specifications")
    content = file.read_bytes()
    stored = ScoreSpecification.from_bytes(content)
    assert stored.weights == (3, 1)
    assert stored.candidates[1].estimate.tolist() == [[5] * 4] * 3
    assert ScoreSpecification.from_bytes(stored.to_bytes()).to_bytes() == content
    file.write_bytes(content[:-40])
    with pytest.raises(LedgerError, match="altered"):
        desk.curator().score("q", [flat("a", weight=3), flat("b", "c")], rho=SHARE)


def test_joint_scores_need_weights():
    one = Contribution(max_rows=1, unit=1, neighbours=Neighbours.ADD_REMOVE)
    for weights in ([], [0], [1, -1]):
        with pytest.raises(InternalError, match="Nothing was drawn"):
            one.scores_l2_squared(weights)
