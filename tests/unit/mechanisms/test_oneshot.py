"""The one-shot mechanism's own choices, with a curator that answers exactly."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from support.counting import ArraySource, random_codes
from support.noise import measurement

from spark_dp.errors import ConfigurationError
from spark_dp.mechanisms.oneshot import OneShot, OneShotShares
from spark_dp.mechanisms.workload import Workload
from spark_dp.privacy.scoring import Candidate, NoisyDistance
from spark_dp.privacy.sensitivity import Contribution, Neighbours
from spark_dp.schema.domain import Domain

ONE_ROW = Contribution(max_rows=1, unit=1, neighbours=Neighbours.ADD_REMOVE)
RHO = Fraction(1)
DOMAIN = Domain(("a", "b", "c", "d"), (4, 4, 4, 4))


class NoiselessCurator:
    """Answers exactly and keeps account, so that a mechanism's own choices show."""

    def __init__(self, source: ArraySource) -> None:
        self.domain, self.source, self.remaining = source.domain, source, RHO
        self.charges: list[tuple[str, Fraction]] = []
        self.scored: list[int] = []

    def measure(self, name: str, cliques, *, rho: Fraction):
        self._charge(name, rho)
        return tuple(measurement(c, self.source.marginal(c), 0.01) for c in cliques)

    def score(self, name: str, candidates: Sequence[Candidate], *, rho: Fraction):
        self._charge(name, rho)
        self.scored.append(len(candidates))
        return tuple(
            NoisyDistance(
                clique=c.clique,
                rows=float(np.abs(self.source.marginal(c.clique) - c.estimate).sum()),
                stddev=0.01,
            )
            for c in candidates
        )

    def _charge(self, name: str, rho: Fraction) -> None:
        assert rho > 0
        self.remaining -= rho
        self.charges.append((name, rho))


def run(source: ArraySource, *, degree=3, max_cells=10_000, shares: OneShotShares | None = None):
    mechanism = OneShot(shares=shares or OneShotShares())
    workload = Workload.of_degree(source.domain, degree)
    plan = mechanism.plan(
        source.domain, rho=RHO, contribution=ONE_ROW, workload=workload, max_cells=max_cells
    )
    curator, said = NoiselessCurator(source), []
    measured = mechanism.measure(curator, plan, said.append)
    return curator, [m.clique for m in measured if len(m.clique) > 1], said


def table(rows=20_000):
    return ArraySource(DOMAIN, random_codes(DOMAIN, rows, 1))


@pytest.mark.parametrize("shots", [1, 2, 3])
def test_everything_is_spent_and_what_depends_is_measured(shots):
    curator, chosen, _ = run(table(), shares=OneShotShares(shots=shots))
    assert curator.remaining == 0
    assert {a for clique in chosen for a in clique} == set(DOMAIN)
    assert {name.split("/")[0] for name, _ in curator.charges} == {"oneshot"}


def test_independent_columns_are_measured_again_with_all_that_is_left():
    codes = np.stack(np.unravel_index(np.arange(4**4), (4,) * 4), axis=1)
    curator, chosen, said = run(ArraySource(DOMAIN, np.repeat(codes, 50, axis=0)))
    assert chosen == []
    assert curator.remaining == 0
    assert said


def test_a_table_too_small_for_scores_is_not_scored():
    curator, chosen, said = run(table(rows=3))
    assert curator.scored == []
    assert chosen == []
    assert curator.remaining == 0
    assert any("would tell nothing" in line for line in said)


def test_a_model_that_may_hold_no_relation_measures_columns_and_spends_all():
    curator, chosen, _ = run(table(), max_cells=16)
    assert (chosen, curator.scored, curator.remaining) == ([], [], 0)


def test_scores_that_do_not_fit_one_query_are_asked_in_parts_of_equal_noise(monkeypatch):
    monkeypatch.setattr("spark_dp.mechanisms.oneshot.SCORED_CELLS", 100)
    curator, _, _ = run(table())
    scores = [(name, rho) for name, rho in curator.charges if "/score" in name]
    assert len(curator.scored) > 2
    assert sum(curator.scored) == 10
    assert sum(rho for _, rho in scores) == RHO * Fraction(9, 10) * OneShotShares().score
    for (_, rho), number in zip(scores, curator.scored, strict=True):
        assert rho / number == scores[0][1] / curator.scored[0]


@pytest.mark.parametrize("shares", [{"one_way": 0}, {"score": 1}, {"shots": 0}])
def test_shares_that_make_no_sense_are_refused(shares):
    with pytest.raises(ConfigurationError):
        OneShotShares(**shares)
