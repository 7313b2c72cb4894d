from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from support.counting import ArraySource, random_codes
from support.noise import measurement

from spark_dp.errors import ConfigurationError
from spark_dp.mechanisms.mst import MST, MSTShares
from spark_dp.mechanisms.workload import Workload
from spark_dp.privacy.scoring import Candidate
from spark_dp.privacy.sensitivity import Contribution, Neighbours
from spark_dp.schema.domain import Clique, Domain

ONE_ROW = Contribution(max_rows=1, unit=1, neighbours=Neighbours.ADD_REMOVE)
RHO = Fraction(1)


class NoiselessCurator:
    """Answers exactly and selects the best score, so that a mechanism's own choices show."""

    def __init__(self, source: ArraySource, rho: Fraction = RHO) -> None:
        self.domain, self.source, self.remaining = source.domain, source, rho
        self.candidates: list[list[Clique]] = []
        self.charges: list[tuple[str, Fraction]] = []

    def measure(self, name: str, cliques: Sequence[Clique], *, rho: Fraction):
        self._charge(name, rho)
        return tuple(measurement(c, self.source.marginal(c), 0.01) for c in cliques)

    def select(self, name: str, candidates: Sequence[Candidate], *, rho: Fraction) -> Clique | None:
        self._charge(name, rho)
        self.candidates.append([c.clique for c in candidates])
        scores = [
            0.0
            if c.estimate is None
            else float(c.weight) * (np.abs(self.source.marginal(c.clique) - c.estimate).sum() - c.bias)
            for c in candidates
        ]
        return candidates[int(np.argmax(scores))].clique or None

    def _charge(self, name: str, rho: Fraction) -> None:
        self.remaining -= rho
        self.charges.append((name, rho))


def run(source: ArraySource, *, max_cells: int = 10_000, degree: int = 2, shares: MSTShares | None = None):
    mechanism = MST(shares=shares or MSTShares())
    workload = Workload.of_degree(source.domain, degree)
    plan = mechanism.plan(
        source.domain, rho=RHO, contribution=ONE_ROW, workload=workload, max_cells=max_cells
    )
    curator = NoiselessCurator(source)
    measurements = mechanism.measure(curator, plan, lambda line: None)
    return plan, curator, [m.clique for m in measurements if len(m.clique) == 2]


DOMAIN = Domain(("a", "b", "c", "d"), (4, 4, 4, 4))


def test_the_edges_span_without_a_cycle_when_all_is_dependent():
    _, curator, pairs = run(ArraySource(DOMAIN, random_codes(DOMAIN, 20_000, 1)))
    assert sorted(pairs) == [("a", "b"), ("b", "c"), ("c", "d")]
    assert [len(candidates) for candidates in curator.candidates] == [7, 6, 4]
    assert not {pairs[0], pairs[1]} & set(curator.candidates[2])
    assert curator.remaining == 0


def test_independent_columns_get_no_edge_and_their_marginals_all_the_budget():
    codes = np.stack(np.unravel_index(np.arange(4**4), (4,) * 4), axis=1)
    _, curator, pairs = run(ArraySource(DOMAIN, codes))
    assert pairs == []
    assert curator.charges[-1][0] == "mst/one-way-again-1"
    assert curator.remaining == 0


def test_without_the_noise_bias_independent_columns_may_get_edges():
    codes = np.stack(np.unravel_index(np.arange(4**4), (4,) * 4), axis=1)
    codes = np.concatenate([codes, codes[:1]])
    _, _, pairs = run(ArraySource(DOMAIN, codes), shares=MSTShares(noise_bias=0.0))
    assert len(pairs) == 3


def test_what_is_not_spent_on_choosing_measures_the_edges():
    domain = Domain(("a", "b", "c"), (2, 2, 2))
    half = np.repeat([[0, 0, 0], [0, 0, 1], [1, 1, 0], [1, 1, 1]], 5000, axis=0)
    plan, curator, pairs = run(ArraySource(domain, half))
    charged = dict(curator.charges)
    assert pairs == [("a", "b")]
    assert charged["mst/pairs-1"] == plan.queries[-1].rho
    assert "mst/select-2" in charged


def test_a_strong_dependence_of_rare_values_goes_before_a_weak_one_of_frequent_values():
    domain = Domain(("a", "b", "c", "d"), (2, 2, 2, 2))
    rare = np.repeat([0, 1], [9500, 500])  # b is a: a distance of .19 of the rows
    common = np.tile([0, 0, 0, 0, 1, 1, 1, 1], 1250)
    unlike = np.tile([0, 0, 0, 1, 1, 1, 1, 0], 1250)  # d is c for three in four: .5
    weak = np.where(np.arange(10_000) % 16 < 8, unlike, np.tile([0, 1], 5000))  # for five in eight: .25
    _, _, pairs = run(ArraySource(domain, np.stack([rare, rare, common, weak], axis=1)))
    assert pairs[:2] == [("a", "b"), ("c", "d")]


def test_pairs_that_do_not_fit_the_model_are_no_candidates():
    plan, _, pairs = run(ArraySource(DOMAIN, random_codes(DOMAIN, 20_000, 1)), max_cells=16 + 4 + 4)
    assert all(len(c) == 1 or DOMAIN.cells(c) == 16 for c in plan.countable)
    assert len(pairs) == 1
    plan, _, pairs = run(ArraySource(DOMAIN, random_codes(DOMAIN, 20_000, 1)), max_cells=16 + 4 + 3)
    assert pairs == []
    assert plan.countable == (("a",), ("b",), ("c",), ("d",))


def test_a_workload_of_single_columns_chooses_nothing():
    plan, curator, pairs = run(ArraySource(DOMAIN, random_codes(DOMAIN, 100, 1)), degree=1)
    assert pairs == []
    assert curator.candidates == []
    assert sum(q.rho for q in plan.queries) == RHO


@pytest.mark.parametrize(
    "shares",
    [
        {"one_way": 0},
        {"selection": 0},
        {"one_way": Fraction(19, 20)},
        {"noise_bias": -0.1},
        {"noise_bias": 2},
    ],
)
def test_shares_that_leave_nothing_or_make_no_sense_are_refused(shares):
    with pytest.raises(ConfigurationError):
        MSTShares(**shares)
